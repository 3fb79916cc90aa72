"""A filter of the user's own at the command line: run it, check it, find it in the list."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.loading import filters_of, found_in
from imgpipe.cli import execute
from imgpipe.cli.docstrings import description, parameter_texts
from imgpipe.cli.filteroptions import filter_options
from imgpipe.cli.program import program
from imgpipe.registry import FILTERS, Member

SOURCE = '''
from typing import Annotated
import numpy as np, imgpipe

@imgpipe.filter(halo=1)
def emboss(chunk, *, strength: float = 1.0, needed: Annotated[int, "what is added"]):
    """Emboss: light from the top left.

    What it does in ``so many`` words.

    Parameters
    ----------
    strength : float, default 1
        How strong the light is; below 0
        it comes from the other side.

        Not for a list of options.

    See Also
    --------
    bare
    """
    wide = chunk.astype(float)
    return wide + needed + strength * (np.roll(wide, 1, (0, 1)) - np.roll(wide, -1, (0, 1)))

def bare(chunk, *, by: int = 3):
    """Mix with what is beside."""
    return chunk / 2 + np.roll(chunk, by, 1) / 2

@imgpipe.filter(halo=1)
def wrong(chunk):
    return bare(chunk, by=3)
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (37, 41, 3), np.uint8))
    return path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def shown(*args: str) -> Result:
    return CliRunner().invoke(program, list(args))


class TestRun:
    def test_parameters_are_options(self, own: Path, picture: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        chain = f"{own}:emboss:strength=9"
        words = ["--needed", "4", "--strength", "2", "--border", "wrap", "-j", "1"]
        assert execute(["run", chain, str(picture), "-o", str(out), *words]) == 0
        emboss = filters_of(str(own))["emboss"]
        expected = emboss(strength=2, needed=4, border="wrap")(np.load(picture))
        np.testing.assert_array_equal(np.load(out), expected)

    def test_parameters_may_be_in_the_chain(self, own: Path, picture: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        assert execute(["run", f"{own}:emboss:needed=4", str(picture), "-o", str(out)]) == 0
        expected = filters_of(str(own))["emboss"](needed=4)(np.load(picture))
        np.testing.assert_array_equal(np.load(out), expected)

    def test_of_a_longer_chain_they_are_not(
        self, own: Path, picture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        args = ["run", f"invert | {own}:wrong", str(picture), "-o", "o.npy", "--strength", "2"]
        assert execute(args) == 2
        assert re.search(r"option '--strength' for several filters; ", said(capsys))

    @pytest.mark.parametrize("command", ["run", "check"])
    @pytest.mark.parametrize("words", [["--strength", "2"], ["--strength=2"], ["-s2"]])
    def test_before_the_filter_they_are_not(
        self, own: Path, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
    ) -> None:
        assert execute([command, *words, f"{own}:emboss", "in.npy"]) == 2
        told = said(capsys)
        assert re.search(r"option '(--strength|-s)' before the filter; .* after it", told)
        assert f"Try 'imgpipe {command} --help'" in told

    def test_that_are_wrong_are_reported_with_the_way_to_their_help(
        self, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        chain = f"{own}:emboss"
        for words, says in [
            (["--needed", "x"], "'--needed': must be a whole number, not 'x'"),
            (["--stren", "2"], "there is no option '--stren'; did you mean '--strength'?"),
        ]:
            assert execute(["run", chain, "in.npy", "-o", "o.npy", *words]) == 2
            told = said(capsys)
            assert says in told
            assert f"Try 'imgpipe run {chain} --help'" in told

    def test_an_error_names_the_missing_parameter(
        self, own: Path, picture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert execute(["run", f"{own}:emboss", str(picture), "-o", "o.npy"]) == 2
        assert "needs a value for needed" in said(capsys)

    def test_a_bare_function_is_refused_with_the_way_out(
        self, own: Path, picture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert execute(["run", f"{own}:bare", str(picture), "-o", "o.npy"]) == 2
        assert re.search(
            r"without a declared halo; give --halo N.*; imgpipe check .*own.py:bare", said(capsys)
        )

    @pytest.mark.parametrize("halo", ["3", "0,3"])
    def test_a_bare_function_with_a_halo(
        self, own: Path, picture: Path, tmp_path: Path, halo: str
    ) -> None:
        out = tmp_path / "out.npy"
        args = ["run", f"{own}:bare", str(picture), "-o", str(out), "--halo", halo, "--by", "2"]
        assert execute([*args, "--chunk", "7"]) == 0
        padded = np.pad(np.load(picture), ((0, 0), (2, 0), (0, 0)), "edge")
        np.testing.assert_array_equal(
            np.load(out), np.rint(padded[:, 2:] / 2 + padded[:, :-2] / 2).astype(np.uint8)
        )

    def test_a_halo_by_hand_is_only_for_bare_functions(
        self, own: Path, picture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        args = ["run", f"{own}:wrong | blur", str(picture), "-o", "o.npy", "--halo", "3"]
        assert execute(args) == 2
        assert "--halo is only for bare functions" in said(capsys)

    def test_functions_of_scipy(self, picture: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        args = ["run", "scipy.ndimage:gaussian_filter", str(picture), "-o", str(out), "--halo", "8"]
        expected = found_in("scipy.ndimage", "gaussian_filter").declared((8, 8))(sigma=2)
        assert execute([*args, "--sigma", "2"]) == 0
        np.testing.assert_array_equal(np.load(out), expected(np.load(picture)))

    def test_a_function_of_a_top_level_module(self, picture: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        args = ["run", "numpy:flipud", str(picture), "-o", str(out), "--halo", "0", "--chunk", "64"]
        assert execute(args) == 0
        np.testing.assert_array_equal(np.load(out), np.load(picture)[::-1])

    def test_a_chunk_that_takes_too_long_is_given_up(
        self, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "slow.py"
        path.write_text("import time\ndef slow(chunk):\n    time.sleep(60)\n    return chunk\n")
        args = ["run", f"{path}:slow", str(picture), "-o", str(tmp_path / "o.npy"), "--halo", "0"]
        assert execute([*args, "-j", "1", "--timeout", "0.3"]) == 1
        assert re.search(r"in\.npy.*slow.*(time|0\.3)", said(capsys))
        assert not (tmp_path / "o.npy").exists()


class TestCheck:
    def test_one_that_is_right(self, own: Path) -> None:
        done = shown("check", f"{own}:emboss", "--needed", "1")
        assert done.exit_code == 0
        assert re.search(r"no difference was found between whole pictures", done.output)

    def test_one_that_is_wrong(self, own: Path, tmp_path: Path) -> None:
        seams = tmp_path / "seams.npy"
        done = shown("check", f"{own}:wrong", "--seams", str(seams))
        assert done.exit_code == 1
        assert "declare halo=(0, 3)" in done.output
        assert set(np.unique(np.load(seams))) == {0, 255}

    def test_a_bare_function(self, own: Path) -> None:
        done = shown("check", f"{own}:bare", "--by", "5")
        assert done.exit_code == 0
        assert "declare halo=(0, 5)" in " ".join(done.output.split())  # of any width

    def test_a_bare_function_with_a_halo(self, own: Path) -> None:
        assert shown("check", f"{own}:bare", "--by", "5", "--halo", "0,5").exit_code == 0

    def test_with_a_picture(self, own: Path, picture: Path) -> None:
        done = shown("check", f"{own}:bare", str(picture), "--halo", "3")
        assert done.exit_code == 0
        without = shown("check", f"{own}:bare", "--halo", "3")
        counts = [
            int(re.search(r"tried: (\d+) pictures", each.output)[1]) for each in (done, without)
        ]
        assert counts[0] == counts[1] + 1

    @pytest.mark.parametrize(
        ("body", "options", "words"),
        [
            ("ctypes.string_at(0)", [], r"SIGSEGV.*bad\.py\", line 3 in bad"),
            ("os._exit(3)", [], r"the function crashed \(it ended its process by exit code 3\)"),
            (
                "time.sleep(60)",
                ["--timeout", "2"],
                r"did not finish within its timeout.*line 3 in bad.*Allow more",
            ),
            ("1 / 0", [], r"bad\.py\", line 3, in bad.*ZeroDivisionError"),
        ],
        ids=["crash", "exit", "hang", "failure"],
    )
    def test_one_that_ends_its_process_or_hangs(
        self, body: str, options: list[str], words: str,
        tmp_path: Path, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        path = tmp_path / "bad.py"
        path.write_text(f"import ctypes, os, time\ndef bad(chunk):\n    {body}\n")
        assert execute(["check", f"{path}:bad", *options]) == 1
        assert re.search(f"error: .*bad.*{words}", said(capsys))

    def test_one_that_cannot_be_sent_to_the_process_that_checks(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "bad.py"
        path.write_text(
            "import threading\nlock = threading.Lock()\n"
            "def locked(chunk):\n    with lock:\n        return chunk\n"
        )
        assert execute(["check", f"{path}:locked"]) == 2
        assert re.search("locked cannot be sent.*lock.*at its first call", said(capsys))


def summary(page: str) -> str:
    """Return a page of help up to its options."""
    return re.split(r"\n(?:Options|Filter|Input):\n", page)[0]


@pytest.mark.parametrize("command", ["run", "check"])
class TestHelp:
    def test_is_that_of_the_function(self, command: str, own: Path) -> None:
        page = " ".join(shown(command, f"{own}:emboss", "--help").output.split())
        assert "Emboss: light from the top left. What it does in so many words." in page
        assert (
            "--strength NUMBER How strong the light is; below 0 it comes from the other side. "
            "[default: 1.0]"
        ) in page
        assert "--needed INTEGER What is added [required]" in page
        assert "See Also" not in page
        assert "list of options" not in page

    def test_ends_with_an_example_of_it(self, command: str, own: Path) -> None:
        page = shown(command, f"{own}:emboss", "--help").output
        assert re.search(rf"\nExample:\n  imgpipe {command} \S+own.py:emboss .*--needed \d", page)

    def test_without_a_docstring_tells_of_the_command(self, command: str, own: Path) -> None:
        page = shown(command, f"{own}:wrong", "--help").output
        assert summary(page) == summary(shown(command, "--help").output)

    def test_of_several_filters_tells_of_the_command(self, command: str, own: Path) -> None:
        page = shown(command, f"{own}:emboss | invert", "--help").output
        assert summary(page) == summary(shown(command, "--help").output)


class TestHelpOfABareFunction:
    @pytest.mark.parametrize("more", [[], ["--halo", "2"]])
    def test_says_what_it_needs(
        self, own: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
    ) -> None:
        monkeypatch.chdir(own.parent)
        done = shown("run", "own.py:bare", *more, "--help")
        assert done.exit_code == 0
        page = " ".join(done.output.split())
        assert (
            "Mix with what is beside. bare is a bare function, so --halo N must be given; "
            "imgpipe check own.py:bare finds the smallest halo. Filter: --by INTEGER"
        ) in page
        assert "imgpipe run own.py:bare photo.png -o out.png --halo 1" in page

    def test_of_check_needs_nothing(self, own: Path) -> None:
        assert "must be given" not in shown("check", f"{own}:bare", "--help").output

    def test_is_no_help_where_the_function_is_missing(
        self, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert execute(["run", f"{own}:bear", "--help"]) == 2
        assert "it has no filter or function 'bear'" in said(capsys)


def test_check_needs_no_further_images(own: Path) -> None:
    assert re.search(r"--other PATH [^-]*\[required\]", shown("run", "blend", "--help").output)
    assert "[required]" not in shown("check", "blend", "--help").output


def explained(chunk: object, sigma: float, size: int, mode: str, shape: int) -> None:
    """Do it.

    It is
    done.

    Parameters
    ----------
    chunk : array
        Pixels.
    sigma, size: numbers
        How ``far``
        it goes.
    mode

    Returns
    -------
    shape : int
        Not a parameter.

    Other Parameters
    ----------------
    mode : {"a", "b"}
        Which way: either.
    """


@pytest.mark.parametrize(
    ("declared", "offered"),
    [
        ({"halo": 0}, False),
        ({"halo": (0, 0)}, False),
        ({"halo": 0, "align": 8}, False),
        ({"halo": (0, 1)}, True),
        ({"halo": lambda by: by}, True),
        ({"halo": 0, "output": lambda size: size, "region": lambda box, size: box}, True),
    ],
)
def test_a_border_is_offered_where_there_may_be_one(
    declared: dict[str, Any], offered: bool
) -> None:
    definition = imgpipe.filter(**declared)(lambda chunk, *, by=1: chunk).definition
    border = filter_options(definition, [])[-1]
    assert (border.name, border.hidden) == ("border", not offered)


class TestDocstrings:
    def test_describe_a_function_before_the_first_section(self) -> None:
        assert description(explained) == "Do it.\n\nIt is\ndone."

    def test_tell_of_parameters(self) -> None:
        assert parameter_texts(explained) == {
            "chunk": "Pixels.",
            "sigma": "How far it goes.",
            "size": "How far it goes.",
            "mode": "Which way: either.",
        }

    def test_of_a_partial_are_those_of_its_function(self) -> None:
        assert description(functools.partial(explained, size=1)) == description(explained)

    @pytest.mark.parametrize("function", [lambda chunk: chunk, functools.partial(np.add, 1), abs])
    def test_may_tell_nothing_of_parameters(self, function: functools.partial[int]) -> None:
        assert parameter_texts(function).get("chunk") is None


LOUD = """
import os, sys
print("loaded"), print("loaded", file=sys.stderr)
from imgpipe.filters import invert
import imgpipe

@imgpipe.filter(halo=1)
def emboss(chunk, *, big: int = 3):
    open("was-run", "w")

def bare(chunk, *, other: int = 3):
    return chunk
"""
BROKEN = {
    "broken.py": "def (",
    "failing.py": "1 / 0",
    "quitting.py": "import sys; sys.exit('no')",
    "missing.py": None,
}


def completed(*words: str) -> list[str]:
    """Return the answer to bash when the last of `words` is completed."""
    args = {"COMP_WORDS": "\n".join(["imgpipe", *words]), "COMP_CWORD": str(len(words))}
    env = {**os.environ, "_IMGPIPE_COMPLETE": "bash_complete", **args}
    command = [sys.executable, "-m", "imgpipe"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud.py").write_text(LOUD)
    yield tmp_path
    assert not (tmp_path / "was-run").exists()


@pytest.mark.usefixtures("folder")
class TestCompletion:
    @pytest.mark.parametrize("command", ["run", "check", "filters"])
    def test_of_the_filters_in_a_file_or_module(self, command: str) -> None:
        both = ["plain,loud.py:emboss", "plain,loud.py:invert"]
        assert completed(command, "loud.py:") == both
        assert completed(command, "loud.py") == both
        assert completed(command, "loud.py:em") == both[:1]
        assert completed(command, "loud:em") == ["plain,loud:emboss"]
        assert completed(command, "'blur | loud.py:em") == ["plain,blur | loud.py:emboss"]

    @pytest.mark.parametrize("command", ["run", "check"])
    def test_of_their_options(self, command: str) -> None:
        assert completed(command, "loud.py:emboss", "--bi") == ["plain,--big"]
        assert completed(command, "loud.py:emboss", "--bo") == ["plain,--border"]
        assert completed(command, "loud.py:emboss:big=2", "--bi") == ["plain,--big"]
        assert completed(command, "loud.py:bare", "--ot") == ["plain,--other"]
        assert completed(command, "loud.py:emboss", "--big", "3", "pict") == ["file,pict"]

    def test_needs_no_blank_after_what_a_value_follows(self) -> None:
        env = {**os.environ, "_IMGPIPE_COMPLETE": "bash_source"}
        command = [sys.executable, "-m", "imgpipe"]
        script = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
        assert "*[:=] ]] && compopt -o nospace" in script

    @pytest.mark.parametrize(("name", "source"), BROKEN.items())
    def test_where_a_file_does_not_load_is_of_the_rest(
        self, folder: Path, name: str, source: str | None
    ) -> None:
        if source is not None:
            (folder / name).write_text(source)
        assert completed("run", f"{name}:") == [f"file,{name}:"]
        assert completed("run", f"{name}:emboss", "--tim") == [
            "plain,--timeout",
            "plain,--timeline",
        ]

    def test_runs_no_file_for_a_name_that_is_not_of_it(self, folder: Path) -> None:
        (folder / "blur.py").write_text("open('was-run', 'w')")
        assert completed("run", "blur:t") == ["plain,blur:truncate="]
        (folder / "loud.py").write_text("open('was-run', 'w')")
        assert completed("run", "lou") == ["file,lou"]

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["run", "loud.py", ":"], ["emboss", "invert"]),
            (["run", "loud.py", ":", "em"], ["emboss"]),
            (["run", "loud.py", ":", "emboss", "--bi"], ["--big"]),
            (["run", "loud.py", ":", "emboss", ":", "bi"], ["big="]),
            (["run", "blur", ":", "sigma", "=", "2,tr"], ["2,truncate="]),
            (["run", "blur", ":", "sigma", "=", "2,border", "=", "wr"], ["wrap"]),
            (["run", "flip", ":", "direction", "="], ["vertical", "horizontal"]),
            (["run", "loud.py", ":", "emboss", ":", "big", "=", "2", "--bo"], ["--border"]),
            (["run", "loud.py", ":", "emboss", "--border", "=", "wr"], ["wrap"]),
            (["run", "loud.py", ":", "emboss", "--border", "="], list(BORDERS)),
        ],
    )
    def test_in_bash_which_cuts_words_at_colons(
        self, words: list[str], expected: list[str]
    ) -> None:
        assert completed(*words) == [f"plain,{each}" for each in expected]


class TestFilters:
    @pytest.fixture
    def with_a_broken_one(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        members = FILTERS._members | {"broken": Member("no_such_package", "from nowhere", "x")}
        monkeypatch.setattr(FILTERS, "_members", members)
        return iter(())

    def test_lists_all_with_parameters_and_halo(self) -> None:
        output = " ".join(shown("filters").output.split())
        for name in FILTERS:
            assert f"{name}(" in output
        assert "blur(sigma=2.0, truncate=4.0) Gaussian blur. (halo 8 by default)" in output

    @pytest.mark.parametrize("columns", [40, 60, 80, 120])
    def test_fits_the_terminal(self, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        for args in (["filters"], ["filters", "blur"], ["filters", "levels"]):
            output = shown(*args).output
            assert max(map(len, output.splitlines())) <= columns
            assert "sigma=2.0" in output or "in_black" in output
        assert len({line.strip() for line in shown("filters").output.splitlines()} - {""}) > 44

    @pytest.mark.usefixtures("with_a_broken_one")
    def test_one_that_does_not_load_is_listed_and_breaks_nothing(self) -> None:
        done = shown("filters")
        assert done.exit_code == 0
        assert "no_such_package" in done.output
        assert "invert()" in done.output

    def test_explains_one(self) -> None:
        output = shown("filters", "blur").output
        assert output.startswith("blur(sigma=2.0, truncate=4.0)\nhalo: 8 by default; border: edge")
        assert "Standard deviation in pixels" in output
        assert shown("filters", "invert").output.startswith("invert()\nhalo: 0; alpha: keep\n\n")

    def test_explains_one_of_a_file_or_module(self, own: Path) -> None:
        output = shown("filters", f"{own}:emboss").output
        assert output.startswith("emboss(strength=1.0, needed)\nhalo: 1; border: edge")
        assert "light from the top left" in output
        assert shown("filters", "imgpipe.filters:blur").output == shown("filters", "blur").output

    def test_says_what_is_unknown(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["filters", "blurr"]) == 2
        assert "did you mean 'blur'?" in said(capsys)


def test_an_array_becomes_a_file(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    size = imgpipe.write(array, tmp_path / "a.png")
    assert size == (tmp_path / "a.png").stat().st_size
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "a.png"), array)
    assert imgpipe.info(tmp_path / "a.png").alpha == 3
