"""Options on the command line: of the output format, and of filters that use the same names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import imgpipe
from imgpipe.chains.loading import filters_of
from imgpipe.cli import execute
from imgpipe.cli.chaincommands import RunCommand
from imgpipe.cli.commands import FilterCommand
from imgpipe.cli.filteroptions import FilterOption, names_of
from imgpipe.cli.program import program
from imgpipe.errors import UsageError
from imgpipe.filters import invert
from imgpipe.formats.formatchoice import usable
from imgpipe.registry import FORMATS


def taken_names() -> list[str]:
    """Return the name of every option of a command that is not of a filter."""
    params = [*RunCommand("run", "").params, *FilterCommand("blur", "").params]
    names = {name.lstrip("-").replace("-", "_") for param in params for name in names_of(param)}
    formats = {option.name for one in usable([]).values() for option in one.options}
    return sorted(name for name in {*names, *formats, "help", "h"} if name.isidentifier())


class Parsed(Exception):  # noqa: N818
    """Arguments of the run that a command was about to start."""


class Commands:
    """``imgpipe fade`` and ``imgpipe run``, which return the arguments of their run.

    The filter has a parameter of the given name.
    """

    def __init__(self, name: str, folder: Path) -> None:
        file = folder / "own.py"
        file.write_text(
            "import imgpipe\n@imgpipe.filter(halo=0)\n"
            f"def fade(pixels, *, {name}=1): return pixels\n"
        )
        self._text = f"{file}:fade"
        self.factory = filters_of(str(file))["fade"]
        self.fade, self.run = FilterCommand("fade", ""), RunCommand("run", "")
        self.fade.__dict__["factory"] = self.factory

    def parsed(self, command: click.Command, *words: str) -> tuple[Any, dict[str, Any]]:
        words = ("in.png", "-o", "out.png", *words)
        text = [self._text] if command is self.run else []
        with pytest.raises(Parsed) as caught:
            command.main([*text, *words], standalone_mode=False)
        return caught.value.args  # type: ignore[return-value]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Commands]:
    def stop(chain: Any, **options: Any) -> None:
        raise Parsed(chain, options)

    monkeypatch.setattr("imgpipe.cli.commands.make_image", stop)
    return lambda name: Commands(name, tmp_path)


def test_the_names_that_may_clash_are_all_there() -> None:
    some = {"jobs", "output", "j", "o", "chain", "inputs", "save", "compression", "halo"}
    assert some < set(taken_names())


@pytest.mark.parametrize("name", taken_names())
def test_a_filter_may_use_the_name_of_any_option(
    name: str, commands: Callable[[str], Commands]
) -> None:
    both = commands(name)
    factory = both.factory
    for command in (both.fade, both.run):
        chain, options = both.parsed(command)
        assert chain == factory()
        assert (options["input_"], options["output"]) == ("in.png", "out.png")
        context = click.Context(command)
        params = command.get_params(context)
        (option,) = [p for p in params if isinstance(p, FilterOption) and p.parameter == name]
        dashed = name.strip("_").replace("_", "-")
        assert option.opts in ([f"--{dashed}"], [f"--fade-{dashed}"])
        chain, options = both.parsed(command, option.opts[0], "7")
        assert chain == factory(7)
        assert options["save"] is None
        assert (options["input_"], options["output"]) == ("in.png", "out.png")
        assert option.opts[0] in command.get_help(context)


def test_the_parameter_of_a_filter_wins_over_an_option_of_the_format(
    commands: Callable[[str], Commands],
) -> None:
    both = commands("compression")
    for command in (both.fade, both.run):
        chain, options = both.parsed(command, "--compression", "77", "-O", "compression=3")
        assert chain == both.factory(77)
        assert options["save"] == {"compression": ("deflate", 3)}


def test_an_option_of_the_format_is_given_under_either_name(
    commands: Callable[[str], Commands],
) -> None:
    both = commands("by")
    for words in (("--compression", "3"), ("-O", "compression=3"), ("--save=compression=3",)):
        assert both.parsed(both.fade, *words)[1]["save"] == {"compression": ("deflate", 3)}


PACKAGE = Path(__file__).parent / "toy_format.py"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a picture, where a package with a format of its own is installed."""
    info = tmp_path / "site" / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[imgpipe.formats]\ntoy = toy_made\n")
    (tmp_path / "site" / "toy_made.py").write_text(PACKAGE.read_text())
    np.save(tmp_path / "in.npy", np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    return tmp_path


def imgpipe_with(site: Path, *args: str, **more: str) -> str:
    path = os.pathsep.join(filter(None, (str(site / "site"), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path, **more}
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", *args],
        env=env, cwd=site, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_format_of_another_package_has_options_help_and_completion(site: Path) -> None:
    said = imgpipe_with(site, "invert", "in.npy", "-o", "o.tny", "--comment", "hello", "-j", "2")
    assert "o.tny: 5 x 4 x 3 uint8" in said
    assert (site / "o.tny").read_bytes().startswith(b"T6\n# hello 0.5\n5 4\n255\n\xff\xfe")
    said = imgpipe_with(site, "invert", "o.tny", "-o", "back.npy", "-j", "2")
    assert np.array_equal(np.load(site / "back.npy"), np.load(site / "in.npy")), said
    assert "--comment TEXT" in imgpipe_with(site, "blur", "--help")
    explained = imgpipe_with(site, "blur", "-o", "o.tny", "--help")
    assert "A line of text in the header." in explained
    assert "Toy (.toy, .tny)" in imgpipe_with(site, "formats")
    words = {"COMP_WORDS": "imgpipe invert in.npy -o o.tny --com", "COMP_CWORD": "5"}
    said = imgpipe_with(site, _IMGPIPE_COMPLETE="bash_complete", **words)
    assert said == "plain,--comment\n"


def test_its_options_are_checked_and_named(site: Path) -> None:
    said = imgpipe_with(site, "invert", "in.npy", "-o", "o.tny", "--sigma", "2")
    assert "--sigma': must be a number between 0 and 1, not 2" in said
    said = imgpipe_with(site, "invert", "in.npy", "-o", "o.png", "--comment", "hello")
    assert "o.png: PNG has no option 'comment'; its options: compression" in said
    said = imgpipe_with(site, "invert", "in.npy", "-o", "o.tny", "-O", "quality=3")
    assert "o.tny: Toy has no option 'quality'; its options: comment, sigma" in said
    # Both have a sigma: it is that of the filter, and the format's has its second spelling.
    said = imgpipe_with(
        site, "run", "blur", "in.npy", "-o", "o.tny", "--sigma", "2", "-O", "sigma=1"
    )
    assert "o.tny: 5 x 4 x 3 uint8" in said
    assert (site / "o.tny").read_bytes().startswith(b"T6\n# made 1.0\n")


def test_every_option_is_in_the_list_of_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["formats"]) == 0
    listed = capsys.readouterr().out
    assert "PNG (.png, .apng)" in listed
    assert "--compression" in listed
    assert "uint8, uint16; gray, gray and alpha, RGB, RGB and alpha" in " ".join(listed.split())
    assert execute(["formats", "npy"]) == 0
    assert "PNG" not in capsys.readouterr().out
    for name, says in (("webp", "lossy, or lossless with --lossless"), ("heif", "read only")):
        assert execute(["formats", name]) == 0
        assert says in " ".join(capsys.readouterr().out.split())
    assert execute(["formats", "nothing"]) == 2
    assert "must be one of png, " in capsys.readouterr().err


class TestFormatOfTheOutput:
    """``--format`` decides instead of the suffix, and has the options of its format."""

    @pytest.mark.parametrize("spelling", ["npy", "NPY", ".npy"])
    def test_it_is_more_than_the_suffix(self, tmp_path: Path, spelling: str) -> None:
        image = np.arange(12, dtype=np.uint8).reshape(3, 4)
        imgpipe.write(image, tmp_path / "in.png")
        out = tmp_path / "out.png"
        given = ["-o", str(out), "-q", "--format", spelling]
        assert execute(["invert", str(tmp_path / "in.png"), *given]) == 0
        assert (np.load(out).squeeze() == 255 - image).all()
        imgpipe.run(tmp_path / "in.png", invert(), out, format=spelling)
        assert (np.load(out).squeeze() == 255 - image).all()

    def test_a_suffix_of_another_format_is_a_warning(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        imgpipe.write(np.zeros((3, 4), np.uint8), tmp_path / "in.png")
        for name, chosen, warned in (
            ("out.png", "jpg", True),
            ("out.jpeg", "jpg", False),
            ("out.data", "jpg", False),
            ("copy.tif", "png", True),  # whose coded pixels are copied
        ):
            words = [str(tmp_path / "in.png"), "-o", str(tmp_path / name), "--format", chosen]
            assert execute(["convert", *words]) == 0
            said = capsys.readouterr().err
            assert said.count("its suffix is that of") == warned, said
        assert "copy.tif: is written as PNG, as --format" in said

    def test_a_suffix_names_a_format(self, tmp_path: Path) -> None:
        imgpipe.write(np.zeros((3, 4), np.uint8), tmp_path / "out", format="tif")
        assert imgpipe.info(tmp_path / "out").width == 4

    def test_its_options_are_those_of_the_format(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["in.png", "-o", str(tmp_path / "out.png"), "--format", "jpeg", "--compression=3"]
        assert execute(["blur", *words]) == 2
        assert "JPEG has no option 'compression'" in capsys.readouterr().err

    def test_an_unknown_one_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["blur", "in.png", "-o", "out.png", "--format", "nothing"]) == 2
        assert "must be one of png, " in capsys.readouterr().err
        with pytest.raises(UsageError, match="there is no format 'nothing'"):
            imgpipe.write(np.zeros((3, 4), np.uint8), "out.png", format="nothing")
        with pytest.raises(UsageError, match="format must be the name of a format"):
            imgpipe.submit("in.png", invert(), "out.png", format=3)


class TestHelp:
    """Options of the output format: a row for each format, or explained if there is an output."""

    @staticmethod
    def section(title: str, *words: str) -> str:
        page = CliRunner().invoke(program, [*words, "--help"], terminal_width=100).output
        found = re.search(rf"^{title}.*?:\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
        assert found is not None, page
        return found[1]

    @pytest.mark.parametrize("command", ["blur", "run", "convert"])
    def test_names_the_options_of_each_format(self, command: str) -> None:
        rows = " ".join(self.section("Options of the output format", command).split())
        for name, member in FORMATS.items():
            assert (f"{member.name}" in rows) == bool(member.options), name
        assert "--tile SIZE, --subsampling 4:4:4|4:2:2|4:2:0, --pyramid, --cog" in rows

    def test_explains_those_of_the_format_of_the_output(self) -> None:
        rows = self.section("Options of JPEG", "convert", "-o", "out.jpg")
        assert re.search(r"--quality INTEGER +1 is the smallest file", rows)
        assert "--tile" not in rows

    def test_has_sections(self) -> None:
        assert "--sigma" in self.section("Filter", "blur")
        assert "INPUT..." in self.section("Input", "blur")
        assert "-o, --output" in self.section("Output", "blur")
        assert "--jobs" in self.section("Engine", "blur")
        assert "INPUT" not in self.section("Engine", "blur")


@pytest.mark.parametrize("command", ["run", "convert"])
def test_help_without_a_filter_loads_no_format(command: str) -> None:
    code = (
        f"import sys; from imgpipe.cli import execute; code = execute([{command!r}, '--help']); "
        "sys.exit(' '.join({'numpy', 'imgpipe.formats.png'} & {*sys.modules}) or code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--save" in done.stdout


def test_an_option_of_the_format_may_stand_before_the_chain(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros((4, 5), np.uint8))
    words = ["run", "--compression", "0", "invert", str(tmp_path / "in.npy")]
    assert execute([*words, "-q", "-o", str(tmp_path / "out.png")]) == 0
