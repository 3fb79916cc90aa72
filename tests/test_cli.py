"""The command line: what is asked for reaches the engine, and what went wrong is one line."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from click.testing import CliRunner

import imgpipe
from imgpipe.cli import execute, signals
from imgpipe.cli.batchoptions import MANY_IMAGES
from imgpipe.cli.commands import FilterCommand
from imgpipe.cli.early import fork_early, one_thread_each
from imgpipe.cli.examples import example
from imgpipe.cli.imageruns import _is_for_threads
from imgpipe.cli.program import program
from imgpipe.errors import Cancelled, CorruptError, DeclarationError, InputError, OutputError
from imgpipe.events import Report
from imgpipe.filters import blur, grayscale, invert
from imgpipe.geometry import Box
from imgpipe.parameters import Between, Example
from imgpipe.registry import FILTERS, Member, filters_by_family

COMMANDS = ["run", "convert", "watch", "info", "check", "filters", "formats", *FILTERS]


@imgpipe.filter(halo=0)
def odd(
    chunk: Any,
    *,
    needed: Annotated[int, Between(1, 5), "how often"],
    strong_edges: Annotated[bool, "whether edges count"] = False,
    smooth: bool = True,
    no_more_than: float = 0.5,
    mode: Literal["fast", "exact"] = "fast",
    anything: Any = None,
) -> Any:
    """Do something odd.

    It takes ``one`` of each.

    Parameters
    ----------
    chunk : ndarray
        Pixels.
    """
    return chunk


@imgpipe.filter(halo=0)
def needy(chunk: Any, *, first: int, second: int, third: int) -> Any:
    return chunk


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    logger = logging.getLogger("imgpipe")
    kept = logger.handlers[:], logger.level, dict(os.environ)
    yield
    logger.handlers[:], level, environ = kept
    logger.setLevel(level)
    os.environ.clear()
    os.environ.update(environ)


@pytest.fixture
def odd_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILTERS._members, "odd", Member(__name__, "Do something odd.", "odd"))


class Engine:
    """Stands in for the engine: notes its calls, and answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.options: dict[str, Any] = {}
        self.error: BaseException | None = None

    def run(self, source: str, chain: Any, output: str, **options: Any) -> Report:
        self.asked.append((source, chain, output))
        self.options = options
        if self.error is not None:
            raise self.error
        return Report(source, output, 2, 3, 1, "uint8", 9, 1, 1, 2, "threads, why", 0, 0, 1, 1, 0)

    def plan_run(self, source: str, chain: Any, output: str, **options: Any) -> str:
        return f"the plan for {source}"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    fake = Engine()
    importlib.import_module("imgpipe.converting")  # it must not take the fake for good
    monkeypatch.setattr("imgpipe.running.run", fake.run)
    monkeypatch.setattr("imgpipe.running.plan_run", fake.plan_run)
    return fake


def imgpipe_command(*args: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgpipe", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (37, 41, 3), np.uint8))
    return path


class TestHelp:
    def test_lists_every_filter_with_its_summary(self) -> None:
        shown = CliRunner().invoke(program, ["--help"])
        assert shown.exit_code == 0
        for name, member in FILTERS.items():
            assert f"{name} " in shown.output
            assert member.summary in " ".join(shown.output.split())

    def test_lists_commands_then_filters_by_family(self) -> None:
        shown = CliRunner().invoke(program, ["--help"]).output
        titles = re.findall(r"^ *(\w[\w ,]*).*:$", shown, re.MULTILINE)
        families = [*filters_by_family()]
        assert [each.strip() for each in titles] == [
            *("Commands", "Filters", *families, "Options", "Examples")
        ]
        for family, names in filters_by_family().items():
            part = shown.split(f"  {family}:\n")[1].split("\n\n")[0]
            assert re.findall(r"^    (\w+)", part, re.MULTILINE) == names

    @pytest.mark.parametrize("page", ["--help", "--help-all"])
    def test_sections_have_the_same_order_everywhere(self, page: str) -> None:
        order = [
            *("Usage", "Filter", "Input", "Format", "Output", "Options of the output format"),
            *("Engine", *MANY_IMAGES, "Watch", "More options", "Help", "Examples"),
        ]
        short_only = {"info", "check", "filters", "formats"} if page == "--help-all" else set()
        for name in sorted({*COMMANDS} - short_only):
            shown = CliRunner().invoke(program, [name, page]).output
            titles = re.findall(r"^(\w[\w :]*?)(?: \(.*\))?:(?:$| imgpipe)", shown, re.MULTILINE)
            assert titles == sorted(titles, key=order.index), name
            assert {"Usage", "Help", "Examples"} <= {*titles}, name

    @pytest.mark.parametrize("name", ["blur", "run", "convert", "thumbnail", "watch"])
    def test_short_page_explains_few_options_and_names_all(self, name: str) -> None:
        short, full = (CliRunner().invoke(program, [name, p]).output for p in ("-h", "--help-all"))
        assert len(short.splitlines()) < 0.6 * len(full.splitlines())
        explained = r"^  (?:-\w, )?(--[\w-]+)"
        for option in re.findall(explained, full, re.MULTILINE):
            assert re.search(rf"{option}\b(?!-)", short), option
        assert {"--output", "--format", "--jobs"} <= {*re.findall(explained, short, re.MULTILINE)}
        assert "More options" not in full

    @pytest.mark.parametrize("args", [["--help"], ["-h"], *([c, "--help"] for c in COMMANDS)])
    def test_every_page_has_an_example(self, args: list[str]) -> None:
        shown = CliRunner().invoke(program, args)
        assert shown.exit_code == 0
        assert "\nExample" in shown.output
        assert f"\n  imgpipe {args[0] if args[0] in COMMANDS else ''}" in shown.output

    @pytest.mark.parametrize("name", FILTERS)
    def test_examples_are_right(
        self, name: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("curve.txt").write_text("\n".join(map(str, range(256))))
        shown = CliRunner().invoke(program, [name, "--help"])
        example = shown.output.strip().splitlines()[-2]
        assert execute(shlex.split(example)[1:]) == 0
        assert engine.asked[0][::2] == ("photo.png", "out.png")
        defaults = {each.name: each.default for each in FILTERS.load(name).definition.parameters}
        assert not defaults or engine.asked[0][1].keywords != defaults

    @pytest.mark.parametrize(
        ("kind", "default", "words"),
        [
            (int, 3, "--value 6"),
            (float, 0.5, "--value 1"),
            (Annotated[float, Between(0, 1)], 1.0, "--value 0.5"),
            (Annotated[float, Between(0, 5)], 0.0, "--value 1"),
            (Annotated[float, Between(-1, 0.5)], 0.0, "--value 0.05"),
            (Annotated[int, Between(3, 4)], 3, ""),
            (Annotated[int, Between(500)], ..., "--value 500"),
            (Annotated[float | None, Between(-1, 1)], None, "--value 0.1"),
            (Annotated[int, Between(1, 16), Example("2")], 4, "--value 2"),
            (bool, False, "--value"),
            (bool, True, "--no-value"),
            (Literal["one", "two"], "two", "--value one"),
            (Literal["one"], "one", ""),
            (str, "some", ""),
            (str, ..., "--value text"),
            (Any, ..., "--value 1"),
            (list, [], ""),
        ],
    )
    def test_example_gives_a_value_that_is_no_default(
        self, kind: Any, default: Any, words: str
    ) -> None:
        def function(chunk: Any, *, value: Any = default) -> Any: ...

        function.__annotations__["value"] = kind
        if default is ...:
            function.__kwdefaults__ = {}
        definition = imgpipe.filter(halo=0)(function).definition
        assert example(["imgpipe", "function"], definition) == f"imgpipe function {words}".strip()

    def test_example_takes_what_is_declared_as_one(self) -> None:
        @imgpipe.filter(halo=0)
        def two(chunk: Any, *, a: int = 1, b: Annotated[int, Example("7")] = 2) -> Any: ...

        assert example([], two.definition) == "--b 7"

    def test_page_of_a_filter_tells_what_its_signature_does(self, odd_filter: None) -> None:
        shown = CliRunner().invoke(program, ["odd", "--help"], terminal_width=100).output
        assert "Do something odd." in shown
        assert "It takes one of each." in shown
        assert "Parameters" not in shown
        for line in [
            r"--needed INTEGER +How often \(between 1 and 5\)  \[required\]",
            r"--strong-edges / --no-strong-edges\n? +Whether edges count",
            r"--smooth / --no-smooth +\[default: smooth\]",
            r"--no-more-than NUMBER +\[default: 0.5\]",
            r"--mode \[fast\|exact\] +\[default: fast\]",
        ]:
            assert_matches(line, shown)

    def test_keeps_the_lines_of_code_in_a_docstring(self) -> None:
        shown = CliRunner().invoke(program, ["sepia", "--help"]).output
        assert "where `sepia` is:\n\n      red   = 0.393 * red" in shown
        assert "\n      blue  = 0.272 * red + 0.534 * green + 0.131 * blue\n" in shown

    def test_explains_the_formula_and_leaves_the_rest_to_the_full_page(self) -> None:
        short, full = (
            CliRunner().invoke(program, ["blur", p]).output for p in ("-h", "--help-all")
        )
        assert "Each channel is convolved with" in short
        assert "For uint8 the result is defined in whole numbers." in full
        assert "For uint8 the result" not in short

    def test_offers_a_border_where_there_may_be_one(self) -> None:
        assert FILTERS.load("invert").definition.halo == 0
        assert FILTERS.load("blur").definition.halo != 0
        for name in FILTERS:
            shown = CliRunner().invoke(program, [name, "--help"]).output
            has_halo = FILTERS.load(name).definition.halo not in (0, (0, 0))
            assert ("--border [edge|symmetric" in shown) == has_halo, name

    def test_needs_neither_numpy_nor_logging(self) -> None:
        code = (
            "import sys; from imgpipe.cli import execute; execute(['--help']); "
            "slow = {'numpy', 'PIL', 'tqdm', 'cloudpickle', 'logging'}; "
            "sys.exit(' '.join(slow & {*sys.modules}) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (done.stderr.strip(), done.returncode) == ("", 0)

    def test_no_arguments_show_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute([]) == 0
        assert "Usage: imgpipe" in capsys.readouterr().out

    def test_version(self) -> None:
        assert imgpipe_command("--version").stdout == f"imgpipe {imgpipe.__version__}\n"


class TestOptions:
    def test_of_a_filter_become_its_values(self, engine: Engine) -> None:
        args = "blur in.png -o out.png --sigma 3 --truncate 2.5 --border wrap"
        assert execute(args.split()) == 0
        assert engine.asked == [("in.png", blur(3, 2.5, border="wrap"), "out.png")]

    def test_border_is_taken_where_it_is_not_offered(self, engine: Engine) -> None:
        assert execute(["invert", "in.png", "-o", "out.png", "--border", "wrap"]) == 0
        assert engine.asked == [("in.png", invert(border="wrap"), "out.png")]

    def test_leave_the_collection_of_garbage_as_it_was(self, engine: Engine) -> None:
        assert execute(["blur", "in.png", "-o", "out.png"]) == 0
        assert gc.isenabled()
        assert gc.get_freeze_count() == 0

    def test_left_out_are_defaults(self, engine: Engine) -> None:
        assert execute(["blur", "in.png", "-o", "out.png"]) == 0
        assert engine.asked == [("in.png", blur(), "out.png")]
        wanted = {
            "alpha",
            "background",
            "executor",
            "format",
            "workers",
            "max_memory",
            "region",
            "max_pixels",
            "nodata",
            "page",
            "save",
            "chunk",
            "timeout",
            "scratch",
            "value_range",
            "accelerator",
        }
        assert {name for name, value in engine.options.items() if value is None} == wanted

    @pytest.mark.parametrize(
        ("text", "alpha"), [("last", "last"), ("none", "none"), ("3", 3), ("-1", -1)]
    )
    def test_alpha_is_a_word_or_a_number(self, engine: Engine, text: str, alpha: object) -> None:
        assert execute(["blur", "in.npy", "-o", "out.png", "--alpha", text]) == 0
        assert engine.options["alpha"] == alpha

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--alpha", "first"),
            ("--alpha", "1.0"),
            ("--timeout", "nan"),
            ("--timeout", "inf"),
            ("--max-memory", "12X"),
            ("--max-pixels", "0"),
            ("-o", ""),
        ],
    )
    def test_that_cannot_be_meant_are_refused(
        self, picture: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = picture.with_name("out.png")
        assert execute(["invert", str(picture), "-o", str(out), option, value]) == 2
        said = capsys.readouterr().err
        assert said.startswith("imgpipe: error: ")
        assert not out.exists()

    def test_alpha_of_an_array_is_said_by_an_option(self, picture: Path) -> None:
        array, out = picture.with_name("rgba.npy"), picture.with_name("out.png")
        pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
        np.save(array, pixels)
        assert execute(["invert", str(array), "-o", str(out), "--alpha", "last", "-q"]) == 0
        np.testing.assert_array_equal(imgpipe.read(out), invert()(pixels, alpha=3))
        assert execute(["invert", str(out), "-o", str(out), "--alpha", "none", "-q"]) == 2

    def test_alpha_of_a_picture_that_is_checked_is_one_too(self, picture: Path) -> None:
        array = picture.with_name("rgba.npy")
        np.save(array, np.zeros((9, 8, 4), np.uint8))
        assert execute(["check", "invert", str(array), "--alpha", "2"]) == 2
        assert execute(["check", "invert", str(array), "--timeout", "nan"]) == 2

    def test_a_path_with_a_blank_is_found(self, picture: Path) -> None:
        folder = picture.with_name("dir with blank")
        folder.mkdir()
        (folder / "f.py").write_text(
            "import imgpipe\n\n@imgpipe.filter(halo=0)\ndef fn(chunk):\n    return 255 - chunk\n"
        )
        out = picture.with_name("out.npy")
        assert execute(["run", f"{folder}/f.py:fn", str(picture), "-o", str(out), "-q"]) == 0
        np.testing.assert_array_equal(np.load(out), 255 - np.load(picture))

    @pytest.mark.parametrize(
        ("args", "values"),
        [
            ([], (2, False, True, 0.5, "fast", None)),
            (["--strong-edges", "--no-smooth"], (2, True, False, 0.5, "fast", None)),
            (
                ["--mode=exact", "--no-more-than=3", "--anything=1.5"],
                (2, False, True, 3, "exact", 1.5),
            ),
        ],
    )
    def test_of_every_kind(
        self, engine: Engine, odd_filter: None, args: list[str], values: tuple[Any, ...]
    ) -> None:
        assert execute(["odd", "in.png", "-o", "o.png", "--needed", "2", *args]) == 0
        assert engine.asked[0][1] == odd(*values)

    @pytest.mark.parametrize(
        ("args", "name", "value"),
        [
            ("-j 3", "workers", 3),
            ("--jobs=3", "workers", 3),
            ("--region 1,2,30,40", "region", Box(2, 1, 42, 31)),
            ("--max-memory 512M", "max_memory", 512_000_000),
            ("--max-memory 1.5GB", "max_memory", 1_500_000_000),
            ("--max-memory 64kib", "max_memory", 65_536),
            ("--max-memory 4Gi", "max_memory", 4 << 30),
            ("--max-memory 123456789012345678", "max_memory", 123456789012345678),
            ("--max-pixels 4G", "max_pixels", 4_000_000_000),
            ("--max-pixels 1e9", "max_pixels", 10**9),
            ("--max-pixels 250", "max_pixels", 250),
            ("--compression 0", "save", {"compression": ("deflate", 0)}),
            ("-O compression=deflate:0", "save", {"compression": ("deflate", 0)}),
            ("--save compression=none", "save", {"compression": ("none", None)}),
            ("--chunk 7", "chunk", (7, 7)),
            ("--scratch /some/folder", "scratch", "/some/folder"),
            ("--chunk 7,64", "chunk", (7, 64)),
        ],
    )
    def test_of_every_command(self, engine: Engine, args: str, name: str, value: object) -> None:
        assert execute(["blur", "in.png", "-o", "o.png", *args.split()]) == 0
        assert engine.options[name] == value

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ("blur in.png", "Name the output, such as -o out.png."),
            ("help blur", "there is no command 'help'; write: imgpipe blur --help"),
            ("blur -o out.png", "Missing argument 'INPUT...'"),
            (
                "blur in.png -o o.png -j 0",
                "'--jobs': must be a whole number, at least 1, not '0'",
            ),
            ("blur in.png -o o.png -j -2", "must be a whole number, at least 1, not '-2'"),
            ("blur in.png -o o.png -j two", "must be a whole number, at least 1, not 'two'"),
            ("blur in.png -o o.png --level -1", "'--level': must be a whole number, at least 0"),
            ("blur in.png -o o.png --timeout 0", "must be a number of seconds, larger than 0"),
            ("blur in.png -o o.png --timeout nan", "larger than 0, not 'nan'"),
            ("watch blur in -o out --settle -1", "must be a number of seconds, at least 0"),
            ("check blur --timeout soon", "must be a number of seconds, larger than 0"),
            ("blur in.png -o o.png --sigma 0", "'--sigma': must be a number between 0.3"),
            ("blur in.png -o o.png --sigma big", "'--sigma': must be a number"),
            ("resize in.png -o o.png --size a", "'--size': 'a' is not a size"),
            ("blur in.png -o o.tif --tile 17", "'--tile': must be N or ROWSxCOLUMNS"),
            ("crop in.png -o o.png --width 0", "'--width': must be a whole number, at least 1"),
            ("blur in.png -o o.png --sigm 2", "no option '--sigm'; did you mean '--sigma'?"),
            (
                "blur in.png -o o.png --radius 2",
                "no option '--radius'; the options of the filter: --sigma, --truncate, --border",
            ),
            (
                "blur in.png -o o.png --border mirror",
                "wrap, constant, not 'mirror'",
            ),
            ("blur in.png -o o.png --region 1,2,3", "must be left,top,width,height"),
            ("blur in.png -o o.png --region 1,2,0,3", "must be left,top,width,height"),
            ("blur in.png -o o.png --region=-1,2,1,3", "must be left,top,width,height"),
            ("blur in.png -o o.png --max-memory lots", "is not a size such as 512M"),
            ("blur in.png -o o.png --max-memory 0", "is too small"),
            ("blur in.png -o o.png --max-memory -5", "is not a size"),
            ("blur in.png -o o.png --max-pixels 1e999", "is not a size"),
            ("blur in.png -o o.png --compression 10", "or 0-9 for deflate, not 10"),
            ("blur in.png -o o.png -O compression=10", "or 0-9 for deflate, not 10"),
            ("blur in.png -o o.png -O compression", "is not OPTION=VALUE, such as compression=3"),
            ("blur in.png -o o.png -O quality=1", "PNG has no option 'quality'; its options: comp"),
            ("blur in.png -o o.npy --compression 1", "NPY has no option 'compression'; it has no"),
            ("blur in.png -o o.pgn --compression 1", "no format has the suffix '.pgn'"),
            ("blur in.png -o o.png -O compression=1 --compression 1", "compression is given twice"),
            ("blur in.png -o o.png -j x", "must be a whole number, at least 1, not 'x'"),
            ("blur in.png -o out/ --seed x", "'--seed': must be a whole number, not 'x'"),
            ("formats bla", "'FORMAT': must be one of png, jpeg"),
            ("blur in.png -o o.png --chunk x", "must be one whole number of pixels, or two"),
            ("run blur in.png -o o.png --halo -1", "'--halo': must be one whole number"),
            ("blur in.png -o o.png -q -v", "give only one of --quiet and --verbose"),
            (
                "blur in.png other.png -o o.png",
                "o.png: is not the name of a folder, but there are 2 inputs (in.png, other.png)",
            ),
            ("crop in.png -o o.png", "Missing options '--width' and '--height'.\n"),
            ("crop in.png -o o.png --height 9", "Missing option '--width'.\n"),
            (
                "crop in.png -o o.png --region 10,20,30,40",
                "to cut out this part, give --x 10 --y 20 --width 30 --height 40 instead\n",
            ),
            ("resize in.png -o o.png --region 1,2,3,4", "Missing option '--size'.\n"),
            ("blurr in.png", "there is no command 'blurr'; did you mean 'blur'?"),
            ("blur:2 in.png", 'a chain is run by: imgpipe run "blur:2"'),
            ("--nothing", "--nothing"),
            ("run blur| in.png -o o.png", "a filter is missing here\n  blur|\n       ^"),
            ("run nowhere.py:f in.png -o o.png", "nowhere.py: there is no such file"),
        ],
    )
    def test_that_are_wrong_are_reported_and_nothing_runs(
        self, engine: Engine, capsys: pytest.CaptureFixture[str], args: str, says: str
    ) -> None:
        assert execute(args.split()) == 2
        told = capsys.readouterr().err
        assert told.startswith("imgpipe: error: ")
        assert says in told
        assert not engine.asked

    def test_that_are_missing_are_all_named(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(FILTERS._members, "needy", Member(__name__, "Need three.", "needy"))
        assert execute(["needy", "in.png", "-o", "out.png"]) == 2
        assert "Missing options '--first', '--second' and '--third'." in capsys.readouterr().err


class TestRun:
    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ("threshold IN -o OUT --level 128", "has no pyramid level 128, only level 0"),
            ("threshold IN -o OUT --level 128", "and --value the threshold"),
            ("invert IN -o OUT --value-range 1..0", "--value-range must have the smaller number"),
        ],
    )
    def test_that_are_often_mistaken_are_told_apart(
        self, picture: Path, capsys: pytest.CaptureFixture[str], args: str, says: str
    ) -> None:
        paths = {"IN": str(picture), "OUT": str(picture.with_name("out.npy"))}
        assert execute([paths.get(word, word) for word in args.split()]) == 2
        assert says in capsys.readouterr().err

    def test_parses_the_chain(self, engine: Engine) -> None:
        assert execute(["run", "blur:3 | grayscale", "in.png", "-o", "out.png", "-j", "2"]) == 0
        assert engine.asked == [("in.png", blur(3) | grayscale(), "out.png")]
        assert engine.options["workers"] == 2


class TestWhatIsPrinted:
    def test_one_line_at_the_end(self, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
        execute(["blur", "in.png", "-o", "out.png"])
        out, err = capsys.readouterr()
        assert out == ""
        assert_matches(r"\Aout.png: 3 x 2 x 1 uint8, .* 2 workers\)\n\Z", err)

    def test_quiet(self, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
        execute(["blur", "in.png", "-o", "out.png", "--quiet"])
        assert capsys.readouterr() == ("", "")

    def test_verbose(self, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
        execute(["blur", "in.png", "-o", "out.png", "--verbose"])
        err = capsys.readouterr().err
        assert "executor: threads, why" in err
        assert logging.getLogger("imgpipe.anything").isEnabledFor(logging.DEBUG)

    def test_dry_run(self, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["blur", "in.png", "-o", "out.png", "--dry-run"]) == 0
        assert capsys.readouterr() == ("the plan for in.png\n", "")
        assert not engine.asked

    def test_no_bar_where_there_is_no_terminal(self, picture: Path, tmp_path: Path) -> None:
        done = imgpipe_command("blur", picture, "-o", tmp_path / "out.png")
        assert "|" not in done.stderr

    def test_file_names_cannot_command_the_terminal(
        self, engine: Engine, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine.error = CorruptError("a\x1b[31m\udcff.png: is truncated")
        assert execute(["blur", "in.png", "-o", "out.png"]) == 1
        assert capsys.readouterr().err == ("imgpipe: error: a\\x1b[31m\\udcff.png: is truncated\n")


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code", "says"),
        [
            (CorruptError("in.png: is truncated"), 1, "error: in.png: is truncated"),
            (OutputError("out.png: cannot write"), 1, "error: out.png: cannot write"),
            (InputError("a\nb.png: is empty"), 1, "error: a\\nb.png: is empty"),
            (DeclarationError("odd: impossible"), 2, "error: odd: impossible"),
            (MemoryError(), 1, "error: the system gave no memory; lower --max-memory"),
            (OSError(28, "No space left"), 1, "error: the system refused: [Errno 28] No space"),
            (RuntimeError("boom"), 70, "internal error: RuntimeError: boom; please report it"),
        ],
    )
    def test_are_one_line(
        self,
        engine: Engine,
        capsys: pytest.CaptureFixture[str],
        error: Exception,
        code: int,
        says: str,
    ) -> None:
        engine.error = error
        assert execute(["blur", "in.png", "-o", "out.png"]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"imgpipe: {says}")
        assert err.count("\n") == 1

    def test_have_a_traceback_only_when_asked_for(
        self, engine: Engine, capsys: pytest.CaptureFixture[str]
    ) -> None:
        engine.error = RuntimeError("boom")
        assert execute(["blur", "in.png", "-o", "out.png", "-v"]) == 70
        assert "Traceback (most recent call last)" in capsys.readouterr().err

    def test_permissions_of_the_input_are_those_of_opening_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The system may say beforehand that a file is not readable, and be wrong."""
        imgpipe.write(np.zeros((4, 5, 3), np.uint8), tmp_path / "in.png")
        monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("in.png"))
        assert execute(["info", str(tmp_path / "in.png")]) == 0

    def test_reader_that_goes_away_is_none(self) -> None:
        command = [sys.executable, "-m", "imgpipe", "--help"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""


def asking_bash(line: str) -> dict[str, str]:
    return {
        "_IMGPIPE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }


def completions(line: str) -> list[str]:
    done = imgpipe_command(env={**os.environ, **asking_bash(line)})
    assert done.stderr == ""
    return done.stdout.splitlines()


class TestCompletion:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("imgpipe ", [f"plain,{name}" for name in [*COMMANDS[:7], *FILTERS]]),
            ("imgpipe gr", ["plain,grayscale"]),
            ("imgpipe blur --si", ["plain,--sigma"]),
            ("imgpipe flip --direction ", ["plain,vertical", "plain,horizontal"]),
            ("imgpipe blur pict", ["file,pict"]),
            ("imgpipe blend --other pict", ["file,pict"]),
            ("imgpipe run bl", ["plain,blackhat", "plain,blend", "plain,blur"]),
            ("imgpipe run 'blur|gr", ["plain,blur|grayscale"]),
            ("imgpipe run ./my_f", ["file,./my_f"]),
            ("imgpipe run blur pict", ["file,pict"]),
            ("imgpipe run blur --si", ["plain,--sigma"]),
            ("imgpipe check gr", ["plain,grayscale"]),
            ("imgpipe filters ", [f"plain,{name}" for name in sorted(FILTERS)]),
            ("imgpipe filters gr", ["plain,grayscale"]),
            ("imgpipe blur --bo", ["plain,--border"]),
            ("imgpipe blur --com", ["plain,--compression"]),
            ("imgpipe blur in.png -o o.png --com", ["plain,--compression"]),
            ("imgpipe blur in.png -o o.npy --com", [""]),
            ("imgpipe blur in.png -O comp", ["plain,compression="]),
            ("imgpipe formats n", ["plain,npy"]),
            ("imgpipe invert --bo", [""]),
        ],
    )
    def test_of(self, line: str, expected: list[str]) -> None:
        assert completions(line) == expected

    @pytest.mark.parametrize("line", ["imgpipe ", "imgpipe run bl", "imgpipe filters "])
    def test_of_names_needs_no_numpy(self, line: str) -> None:
        code = (
            "import sys; from imgpipe.cli import execute; execute([]); "
            "sys.exit(' '.join({'numpy', 'PIL', 'tqdm', 'cloudpickle'} & {*sys.modules}) or 0)"
        )
        env = {**os.environ, **asking_bash(line)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
        )
        assert (done.stderr.strip(), done.returncode) == ("", 0)
        assert "plain,blur" in done.stdout

    def test_script_for_the_shell(self) -> None:
        done = imgpipe_command(env={**os.environ, "_IMGPIPE_COMPLETE": "bash_source"})
        assert "complete -o nosort -F _imgpipe_completion imgpipe" in done.stdout


def test_the_options_of_a_command_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    begin = FilterCommand.__init__

    def noted(command: FilterCommand, name: str, summary: str) -> None:
        made.append(name)
        begin(command, name, summary)

    monkeypatch.setattr(FilterCommand, "__init__", noted)
    assert execute(["blur"]) == 2
    assert made == ["blur"]


class TestEarlyFork:
    @pytest.fixture
    def forked(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        """The codecs that each fork server was to load."""
        calls: list[tuple[str, ...]] = []
        fork = "imgpipe.executors.processes.pool.fork_now"
        monkeypatch.setattr(fork, lambda codecs: calls.append(tuple(codecs)))
        monkeypatch.setattr("imgpipe.machine.usable_processors", lambda: 2)
        return calls

    @pytest.fixture
    def big(self, tmp_path: Path) -> str:
        path = tmp_path / "big.png"
        path.write_bytes(bytes(1_000_001))
        return str(path)

    @pytest.mark.parametrize("jobs", [None, 2, 11])
    def test_for_a_big_file(
        self, forked: list[tuple[str, ...]], big: str, jobs: int | None
    ) -> None:
        fork_early(imgpipe.filters.blur(), big, jobs)
        assert forked

    def test_not_where_threads_will_do(self, forked: list[tuple[str, ...]], big: str) -> None:
        pytest.importorskip("cv2")
        fork_early((), big, 2, light=True)
        fork_early(imgpipe.filters.blur(), big, 2, light=True)
        assert not forked
        fork_early(imgpipe.filters.blur(), big, 2, light=True, accelerator="none")
        fork_early(imgpipe.filters.blur(), big, 8, light=True)
        assert len(forked) == 2

    @pytest.mark.parametrize(
        ("output", "format", "codecs"),
        [
            ("out.jpg", None, ("imagecodecs._jpeg8",)),
            ("out.png", "jpeg", ("imagecodecs._jpeg8",)),
            ("out.png", None, ()),
            ("-", None, ()),
            ("out.unknown", None, ()),
        ],
    )
    def test_loads_the_codecs_of_the_output(
        self,
        forked: list[tuple[str, ...]],
        big: str,
        output: str,
        format: str | None,
        codecs: tuple[str, ...],
    ) -> None:
        fork_early(imgpipe.filters.blur(), big, 2, output=output, format=format)
        assert forked == [codecs]

    @pytest.mark.parametrize(
        ("ends", "save", "light"),
        [
            (("a.jpg", "b.JPG"), {}, True),
            (("a.png", "b.png"), {}, False),
            (("a.tif", "b.tif"), {"compression": "none"}, True),
            (("a.png", "b.tiff"), {"compression": "jpeg:80"}, True),
            (("a.tif", "b.tif"), {"compression": "deflate"}, False),
            (("a.tif", "b.tif"), {}, False),
            (("a.tif", "b.jpg"), {}, False),
        ],
    )
    def test_guesses_by_the_names_whether_threads_will_do(
        self, ends: tuple[str, str], save: dict[str, str], light: bool
    ) -> None:
        assert _is_for_threads(*ends, save, filters=True) == light
        unfiltered = light and ends[0] != "a.tif"
        assert _is_for_threads(*ends, save, filters=False) == unfiltered

    def test_not_where_no_workers_are_needed(
        self, forked: list[tuple[str, ...]], big: str, picture: Path
    ) -> None:
        fork_early(imgpipe.filters.blur(), big, 1)
        fork_early(imgpipe.filters.blur(), str(picture), None)
        fork_early(imgpipe.filters.blur(), "missing.png", None)
        assert not forked

    def test_not_where_a_file_of_the_user_has_been_loaded(
        self, forked: list[tuple[str, ...]], big: str
    ) -> None:
        fork_early(imgpipe.filters.blur() | imgpipe.filter(halo=0)(lambda chunk: chunk)(), big, 2)
        assert not forked

    def test_does_no_harm_when_it_fails(
        self, forked: list[tuple[str, ...]], big: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr("imgpipe.executors.processes.pool.fork_now")
        fork_early(imgpipe.filters.blur(), big, 2)

    def test_threads_of_libraries_are_one_unless_the_user_says_otherwise(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
        one_thread_each()
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert os.environ["OPENBLAS_NUM_THREADS"] == "7"


class TestWholeCommand:
    @pytest.mark.parametrize("jobs", ["1", "2"])
    def test_makes_what_the_filter_makes(self, picture: Path, tmp_path: Path, jobs: str) -> None:
        out = tmp_path / "out.npy"
        done = imgpipe_command("blur", picture, "-o", out, "--sigma", "1.5", "-j", jobs)
        assert (done.returncode, done.stdout) == (0, "")
        assert_matches(r"\A\S+out.npy: 41 x 37 x 3 uint8, .*MP/s.*\n\Z", done.stderr)
        assert np.array_equal(np.load(out), blur(1.5)(np.load(picture)))

    def test_region(self, picture: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        imgpipe_command("blur", picture, "-o", out, "--region", "5,7,20,10")
        assert np.array_equal(np.load(out), blur()(np.load(picture))[7:17, 5:25])

    def test_dry_run_writes_nothing(self, picture: Path, tmp_path: Path) -> None:
        done = imgpipe_command("blur", picture, "-o", tmp_path / "out.png", "--dry-run")
        assert done.returncode == 0
        assert "memory:" in done.stdout
        assert os.listdir(tmp_path) == ["picture.npy"]

    def test_function_of_the_user(self, picture: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "import imgpipe\n\n@imgpipe.filter(halo=0)\n"
            "def darker(chunk, *, by: int = 2):\n    return chunk // by\n"
        )
        done = imgpipe_command(
            "run", "mine.py:darker:by=3 | grayscale", picture, "-o", "out.npy", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        expected = grayscale()(np.load(picture) // 3)[..., 0]
        assert np.array_equal(np.load(tmp_path / "out.npy"), expected)

    @pytest.mark.parametrize(
        ("source", "output", "code", "says"),
        [
            ("missing.png", "out.png", 1, "missing.png: there is no such file"),
            ("foldr", "out", 2, "foldr: no such file or folder; check the path"),
            ("picture.npy", "out.xyz", 2, "out.xyz: no format has the suffix '.xyz'"),
            ("picture.npy", "no/out.png", 1, "no/out.png: cannot write: there is no folder"),
            ("broken.png", "out.png", 1, "broken.png: "),
            (".", "out.png", 2, "out.png: is not the name of a folder"),
        ],
    )
    def test_errors(
        self, picture: Path, tmp_path: Path, source: str, output: str, code: int, says: str
    ) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
        before = sorted(os.listdir(tmp_path))
        done = imgpipe_command("blur", source, "-o", output, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith(f"imgpipe: error: {says}")
        assert done.stderr.count("\n") == 1
        assert sorted(os.listdir(tmp_path)) == before


@pytest.fixture
def _handled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals are handled as in a command, and as before once the test is over."""
    monkeypatch.setattr(signals, "_state", signals._State())
    before = {number: signal.getsignal(number) for number in signals._NUMBERS}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    signals.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def within(stop: Callable[[], None], body: Callable[[], object]) -> None:
    with signals.stopping(stop):
        body()


def stopped(stop: Callable[[], None], body: Callable[[], object]) -> signals.Signalled:
    with pytest.raises(signals.Signalled) as caught:
        within(stop, body)
    return caught.value


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def cancelled() -> None:
    raise Cancelled("in.png: stopped")


def nothing() -> None:
    pass


@pytest.mark.usefixtures("_handled")
class TestSignals:
    @pytest.mark.parametrize("number", signals._NUMBERS)
    def test_ask_the_run_to_stop_once(self, number: signal.Signals) -> None:
        asked: list[bool] = []

        def run() -> None:
            signal.raise_signal(number)
            signal.raise_signal(number)
            cancelled()

        found = stopped(lambda: asked.append(True), run)
        assert asked == [True]
        assert found.exit_code == 128 + number
        assert str(found).endswith("; nothing was written")

    def test_that_come_too_late_say_so(self) -> None:
        def run() -> None:
            interrupt()
            signals.outcome("out.png was complete already")

        assert str(stopped(nothing, run)) == "interrupted; out.png was complete already"

    def test_an_error_without_one_stays_an_error(self) -> None:
        with pytest.raises(Cancelled):
            within(nothing, cancelled)

    def test_end_an_engine_that_does_not_listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signals, "_PATIENCE", 0.05)

        def run() -> None:
            interrupt()
            threading.Event().wait(60)

        stopped(nothing, run)

    def test_do_not_disturb_the_cleaning_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signals, "_PATIENCE", 0.05)
        cleaned: list[bool] = []

        def run() -> None:
            try:
                interrupt()
                cancelled()
            finally:
                time.sleep(0.2)
                interrupt()
                cleaned.append(True)

        stopped(nothing, run)
        assert cleaned

    def test_that_were_ignored_stay_ignored(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signals.install()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


START = (
    "import signal, sys; from imgpipe.cli import main; "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); sys.exit(main())"
)


def interrupted(args: Sequence[str], folder: Path, number: int, times: int) -> tuple[int, str]:
    """Send a signal to a command, and to all its processes, once it has begun to write."""
    command = [sys.executable, "-c", START, *args]
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        until = time.monotonic() + 60
        while not any(name.endswith(".imgpipe") for name in os.listdir(folder)):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        for _ in range(times):
            os.killpg(process.pid, number)
            time.sleep(0.01)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


class TestInterruption:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("times", [1, 3])
    def test_leaves_nothing_and_says_so(self, tmp_path: Path, number: int, times: int) -> None:
        pixels = np.zeros((2000, 2000, 3), np.uint8)
        np.save(tmp_path / "in.npy", pixels)
        # Chunks of 8 x 8 pixels take long enough to be interrupted.
        args = shlex.split("blur in.npy -o out.png --sigma 20 --chunk 8 -j 2")
        code, err = interrupted(args, tmp_path, number, times)
        assert code == 128 + number
        assert_matches(r"\Aimgpipe: (interrupted|terminated); nothing was written\n\Z", err)
        assert os.listdir(tmp_path) == ["in.npy"]


def assert_matches(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text
