"""Many images by one command: sources, names, policies, what is told, and exit codes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.shell_completion import ShellComplete

import imgpipe
from imgpipe.cli import execute, signals
from imgpipe.cli.batchoptions import MANY_IMAGES
from imgpipe.cli.program import program
from tests.batchresults import odd_names
from tests.browser import browser
from tests.conftest import noise
from tests.leftovers import session_ends
from tests.scripts import run_command

COMMAND = [sys.executable, "-m", "imgpipe"]
HERE = ("--executor", "serial")  # without worker processes


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photographs, a broken one, and others that are none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for number, name in enumerate(["a.png", "sub/b.jpg", "sub/c.png"]):
        imgpipe.write(noise((30, 40 + number, 3), "uint8"), f"photos/{name}")
    Path("photos/notes.txt").write_text("no image")
    Path("photos/.hidden.png").write_text("no image")
    return tmp_path


def break_one() -> None:
    Path("photos/sub/broken.png").write_bytes(Path("photos/a.png").read_bytes()[:200])


def flip(*args: str, code: int = 0) -> None:
    assert execute(["flip", *args, *HERE]) == code


def outputs(folder: str = "out") -> list[str]:
    """Return the outputs in a folder, without the journal and temporaries."""
    files = (path for path in Path(folder).rglob("*") if path.is_file() and path.name[0] != ".")
    found = (path.relative_to(folder) for path in files)
    return sorted(str(path) for path in found if not str(path).startswith(".imgpipe"))


class TestSources:
    @pytest.mark.parametrize(
        ("sources", "made"),
        [
            (["photos/"], ["a.png", "sub/b.jpg", "sub/c.png"]),
            (["photos"], ["a.png", "sub/b.jpg", "sub/c.png"]),
            (["photos/**/*.png"], ["a.png", "sub/c.png"]),
            (["photos/sub/c.png"], ["c.png"]),
            (["photos/a.png", "photos/sub"], ["a.png", "b.jpg", "c.png"]),
            (["--base", ".", "photos"], ["photos/a.png", "photos/sub/b.jpg", "photos/sub/c.png"]),
            (["photos", "--max-depth", "0"], ["a.png"]),
            (["photos", "--ext", "JPG,tif"], ["sub/b.jpg"]),
            (["photos", "--include", "*.png", "--exclude", "c.*"], ["a.png"]),
        ],
    )
    def test_decide_where_outputs_are(self, sources: list[str], made: list[str]) -> None:
        flip(*sources, "-o", "out/", "-q")
        assert outputs() == made

    def test_of_an_output_that_is_a_file_stay_one_image(self) -> None:
        flip("photos/a.png", "-o", "a.png", "-q")
        assert sorted(os.listdir()) == ["a.png", "photos"]

    def test_may_be_listed(self) -> None:
        Path("list").write_text("photos/a.png\nphotos/sub\n")
        flip("--files-from", "list", "-o", "out", "-q")
        assert outputs() == ["photos/a.png", "photos/sub/b.jpg", "photos/sub/c.png"]

    def test_may_be_listed_on_standard_input_with_zero_bytes(self) -> None:
        os.rename("photos/a.png", "photos/two\nlines.png")
        command = [*COMMAND, "flip", "--files-from", "-", "-0", "-o", "out", "-q", *HERE]
        run_command(command, Path(), before="exec < <(find photos -name 'two*' -print0)")
        assert outputs() == ["photos/two\nlines.png"]

    def test_that_yield_nothing_are_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        flip("photos/*.tif", "-o", "out", code=2)
        assert "nothing matched" in capsys.readouterr().err
        flip("photos/*.tif", "-o", "out", "--allow-empty")

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ("photos -o out.png", "out.png: is not the name of a folder"),
            ("photos photos/a.png -o -", "standard output holds one image"),
            ("- -o out/", "standard input has no name"),
            ("photos -o out --region 1,2,3,4", "put crop into the chain"),
            ("photos -o out --seed 3", "--order random"),
            ("photos", "Missing option '-o' / '--output'. Name the folder of the outputs, such as"),
            ("photos --backup old", "-o out/, or replace the sources: --in-place.\n"),
            ("photos/a.png new.png", "If new.png is the output, write -o new.png.\n"),
            ("photos/a.png", "Name the output, such as -o out.png.\n"),
            ("-o out", "Missing argument 'INPUT...'"),
            ("photos -o out --in-place", "leave"),
            ("photos -o out --backup old", "--in-place"),
            ("photos -o out --max-failures 0", "must be a number (1 or more)"),
            ("photos -o out --resume --update", "give only one of --resume and --update"),
            ("photos -o out --skip-existing --overwrite", "--skip-existing and --overwrite"),
            ("photos -o out --value-range 1", "error: --value-range must be full, measured"),
            ("photos -o out --scratch no", "error: --scratch: "),
            ("photos -o out --report report.txt", ".html, .json or .csv"),
            ("photos -o out --report photos/a.png/report.csv", "cannot write"),
            ("photos -o out --name {no} --report new/r.csv --timeline new/t.html", "{no}"),
            ("photos -o out --quality 800", "quality must be"),
            ("photos -o out --tile 64", "no output has the option tile"),
            ("photos -o out -O tiles=64", "no format has the option tiles"),
            ("photos/a.png -o a.png --resume", "--resume is for a folder of outputs"),
            ("photos/a.png -o a.png --json", "--json is for a folder of outputs"),
        ],
    )
    def test_and_options_that_are_wrong_are_reported(
        self, args: str, says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = sorted(os.listdir())
        flip(*args.split(), code=2)
        assert says in capsys.readouterr().err
        assert sorted(os.listdir()) == before


def test_files_beside_a_batch_make_their_folders(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("report", "out/r.html"), ("timeline", "out/t/t.html"), ("failed-to", "new/list")
    flip("photos", "-o", "out", *[f"--{option}={path}" for option, path in names])
    assert all(os.path.getsize(path) for option, path in names if option != "failed-to")
    assert Path("new/list").read_bytes() == b""


def test_a_limit_on_memory_that_fits_no_image_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flip("photos", "-o", "out", "--max-memory", "1M", code=2)
    assert "the batch: the memory limit is 1 MB, but " in capsys.readouterr().err
    assert outputs() == []


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_odd_names_pass_through_all_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    os.mkdir("odd")
    names = [*(name.replace("/", "|") for name in odd_names()), "a b.jpg", "~.jpg", "-n.jpg"]
    for name in names:
        os.link("photos/sub/b.jpg", os.path.join("odd", name))
    Path("odd/bad\udce9\n.jpg").write_bytes(b"\xff\xd8\xff")
    files = ["--failed-to", "failed", "-0", "--report", "report.csv", "--json"]
    flip("odd", "-o", "out", *files, code=3)
    assert sorted(os.listdir("out")) == sorted([".imgpipe", *names])
    captured = capfd.readouterr()
    assert len([each for each in events(captured.out) if each["event"] == "done"]) == len(names)
    assert Path("failed").read_bytes() == b"odd/bad\xe9\n.jpg\0"
    flip("--files-from", "failed", "-0", "--base", "odd", "-o", "out", "--resume", code=3)
    flip("odd", "-o", "out", "--resume", code=3)
    assert f"{len(names)} skipped (up to date), 1 failed" in capfd.readouterr().err


class TestPages:
    @pytest.fixture(autouse=True)
    def stack(self, here: Path) -> None:
        """A file of three pages."""
        pages = [noise((20, 30, 3), "uint8", seed=number) for number in range(3)]
        tifffile.imwrite("stack.tif", np.stack(pages), photometric="rgb")

    def test_all_are_one_file_each(self, capfd: pytest.CaptureFixture[str]) -> None:
        convert = ("convert", "stack.tif", *HERE, "-q", "--format", "png", "--page")
        assert execute([*convert, "all", "-o", "out/", "--name", "{stem}-{page}.{ext}"]) == 0
        assert outputs() == ["stack-0.png", "stack-1.png", "stack-2.png"]
        assert execute([*convert, "2", "-o", "one/"]) == 0
        assert (Path("one") / "stack.png").read_bytes() == Path("out/stack-2.png").read_bytes()

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["-o", "out/"], 'put {page} into the name: --name "{stem}-{page}.{ext}"'),
            (["-o", "out/", "--name", "{stem}-soft.{ext}"], "put {page} into the name"),
            (["-o", "stack.png"], "--page all is for a folder of outputs; end the output with /"),
        ],
    )
    def test_all_need_different_names(
        self, words: list[str], told: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert execute(["convert", "stack.tif", "--page", "all", *HERE, *words]) == 2
        assert told in capfd.readouterr().err
        assert not Path("out").exists()

    def test_a_word_that_is_none(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert execute(["convert", "stack.tif", "--page", "-1", "-o", "out/"]) == 2
        assert "must be the number of a frame (0 or more) or all, not " in capfd.readouterr().err


class TestOutputs:
    def test_have_names_by_a_template(self) -> None:
        flip("photos", "-o", "out", "--name", "{stem}-{width}.{ext}", "-q")
        assert outputs() == ["a-40.png", "sub/b-41.jpg", "sub/c-42.png"]

    def test_of_mixed_formats_take_the_options_that_their_format_has(self) -> None:
        for quality in ("10", "95"):
            flip("photos", "-o", quality, "--quality", quality, "-q")
        sizes = [os.path.getsize(f"{quality}/sub/b.jpg") for quality in ("10", "95")]
        assert sizes[0] < sizes[1] / 2
        assert outputs("10") == outputs("95")

    def test_may_all_have_one_format(self) -> None:
        args = ["photos", "-o", "out", "--format", "webp", "--quality", "50", "-q", *HERE]
        assert execute(["convert", *args]) == 0
        assert outputs() == ["a.webp", "sub/b.webp", "sub/c.webp"]

    def test_of_two_sources_with_one_name_are_refused(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        imgpipe.write(noise((9, 9, 3), "uint8"), "photos/a.jpg")
        flip("photos", "-o", "out", "--format", "webp", code=2)
        assert '--name "{name}.{ext}"' in capsys.readouterr().err
        assert not Path("out").exists()

    def test_that_exist_stop_the_command_before_it_begins(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flip("photos/sub", "-o", "out", "-q")
        flip("photos/sub", "-o", "out", code=2)
        told = capsys.readouterr().err
        assert "2 of 2 outputs exist (2 of them up to date)" in told
        for way in ("--resume", "--update", "--skip-existing", "--overwrite"):
            assert way in told

    @pytest.mark.parametrize(
        ("way", "says"),
        [
            ("--resume", "3 skipped (up to date)"),
            ("--update", "3 skipped"),
            ("--skip-existing", "3 skipped (already there)"),
            ("--ignore-existing", "3 skipped (already there)"),
            ("--overwrite", "3 done"),
        ],
    )
    def test_that_exist_have_four_ways_on(
        self, way: str, says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flip("photos", "-o", "out", "-q")
        capsys.readouterr()
        flip("photos", "-o", "out", way)
        assert says in capsys.readouterr().err

    def test_that_need_no_value_range_have_one_warning_with_their_count(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flip("photos", "--ext", "png", "-o", "out", "--value-range", "0..1")
        lines = [line for line in capsys.readouterr().err.splitlines() if "value range" in line]
        text = ": the value range 0..1 is not used, because PNG holds uint8; "
        assert len(lines) == 2
        assert text in lines[0]
        assert lines[1].startswith(f"warning in 2 outputs{text}")

    def test_may_take_the_place_of_the_sources(self) -> None:
        before = imgpipe.read("photos/a.png")
        flip("photos", "--ext", "png", "--in-place", "--backup", "old", "-q")
        np.testing.assert_array_equal(imgpipe.read("photos/a.png"), before[::-1])
        np.testing.assert_array_equal(imgpipe.read("old/a.png"), before)

    def test_of_several_sizes_and_formats_come_from_one_decode(self) -> None:
        args = ["photos/sub", "-o", "web", "--size", "10,20x8", "--format", "webp,jpg"]
        assert execute(["thumbnail", *args, "--quality", "60", "-q", *HERE]) == 0
        names = [f"{stem}-{size}.{ext}" for stem in "bc" for size in ("10", "20x8")
                 for ext in ("jpg", "webp")]  # fmt: skip
        assert outputs("web") == names

    def test_are_not_made_by_a_dry_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        flip("photos", "-o", "out", "-n")
        told = capsys.readouterr().out
        assert all(name in told for name in ("out/a.png", "out/sub/b.jpg", "out/sub/c.png", "new"))
        assert not Path("out").exists()


class TestToldToPeople:
    def test_lines_where_there_is_no_terminal(self, capfd: pytest.CaptureFixture[str]) -> None:
        break_one()
        flip("photos", "-o", "out", code=3)
        captured = capfd.readouterr()
        assert captured.out == ""
        assert "\r" not in captured.err
        assert "\x1b" not in captured.err
        first, failure, last, resume = captured.err.splitlines()
        assert first.startswith("4 images to make")
        assert "2 passed over: 1 hidden, 1 not an image" in first
        assert failure.startswith("failed (")
        assert "photos/sub/broken.png: " in failure
        assert last.startswith("3 done, 1 failed")
        assert resume.startswith("to go on: imgpipe ")

    def test_only_failures_where_quiet(self, capfd: pytest.CaptureFixture[str]) -> None:
        break_one()
        flip("photos", "-o", "out", "-q", code=3)
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("failed (")

    def test_names_of_what_was_passed_over_where_verbose(
        self, capfd: pytest.CaptureFixture[str]
    ) -> None:
        flip("photos", "-o", "out", "-v")
        assert "photos/notes.txt: passed over (not image)" in capfd.readouterr().err

    @pytest.mark.skipif(sys.platform != "linux", reason="script of util-linux")
    def test_bars_on_a_terminal(self) -> None:
        break_one()
        command = shlex.join(
            [*COMMAND, *["flip", "photos", "-o", "out", "--progress", "bar", "-j", "1"]]
        )
        done = subprocess.run(
            ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=60,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "60"}, check=False,
        )  # fmt: skip
        assert done.returncode == 3
        assert "failed (" in done.stdout
        assert "3 done, 1 failed" in done.stdout.splitlines()[-2]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def test_a_list_from_standard_input_is_to_be_given_again() -> None:
    break_one()
    command = [*COMMAND, "flip", "--files-from", "-", "-o", "out"]
    names = "\n".join(str(each) for each in sorted(Path("photos").rglob("*")) if each.is_file())
    done = subprocess.run(command, input=names, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "to go on, with the same list on standard input: imgpipe flip --files-from - -o out "
        "--resume"
    )


class TestToldToPrograms:
    def test_events(self, capfd: pytest.CaptureFixture[str]) -> None:
        break_one()
        flip("photos", "-o", "out", "--json", code=3)
        told = events(capfd.readouterr().out)
        kinds = [each["event"] for each in told if each["event"] != "progress"]
        assert kinds[:2] == ["start", "plan"]
        assert sorted(kinds[2:-1]) == ["done", "done", "done", "failed"]
        assert kinds[-1] == "summary"
        assert told[-1]["exit"] == 3
        assert told[0]["argv"][0] == "imgpipe"
        assert told[1]["peak_memory"] is None  # the headers are not read yet

    @pytest.mark.parametrize(
        "args",
        [
            "photos -o out --nothing",
            "photos --json",
            "photos -o out --sigma big",
            "photos -o out -q -v",
            "nowhere -o out",
            "photos -o out --seed 1",
            "photos/a.png -o b.png",
            "photos -o photos",
        ],
    )
    def test_a_refusal_in_one_line(self, args: str, capfd: pytest.CaptureFixture[str]) -> None:
        flip(*args.split(), "--json", code=2)
        (told,) = events(capfd.readouterr().out)
        assert told["event"] == "summary"
        assert (told["exit"], told["error"]) == (2, "UsageError")
        assert told["message"]

    @pytest.mark.parametrize("args", ["flipp photos -o out", "--nothing flip photos", "flip:2 ."])
    def test_a_command_that_does_not_exist_in_one_line(
        self, args: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert execute([*args.split(), "--json"]) == 2
        (told,) = events(capfd.readouterr().out)
        assert (told["event"], told["exit"], told["error"]) == ("summary", 2, "UsageError")
        assert execute([*args.split(), "--", "--json"]) == 2
        assert not capfd.readouterr().out

    def test_nothing_else_although_a_filter_prints(self, capfd: pytest.CaptureFixture[str]) -> None:
        Path("loud.py").write_text("def f(x):\n    print('hello')\n    return x\n")
        args = ["loud.py:f", "photos", "-o", "out", "--json", "--halo", "0", *HERE]
        assert execute(["run", *args]) == 0
        captured = capfd.readouterr()
        assert events(captured.out)[-1]["event"] == "summary"
        assert "hello" in captured.err

    def test_that_go_away_end_nothing(self) -> None:
        command = [*COMMAND, *["flip", "photos", "-o", "out", "--json", "-j", "1"]]
        done = run_command(command, Path(), after="| true; exit ${PIPESTATUS[0]}")
        assert outputs() == ["a.png", "sub/b.jpg", "sub/c.png"]
        assert done.stderr.count("their reader went away") <= 1

    def test_files_with_all_of_it(self) -> None:
        break_one()
        files = ["--report", "r.json", "--failed-to", "failed", "--timeline", "t.html"]
        flip("photos", "-o", "out", *files, "-q", code=3)
        assert Path("failed").read_text() == "photos/sub/broken.png\n"
        assert len(json.loads(Path("r.json").read_text())["results"]) == 4
        assert "<html" in Path("t.html").read_text()
        flip("--files-from", "failed", "--base", "photos", "-o", "out", "--resume", "-q", code=3)

    @pytest.mark.slow
    def test_a_page_that_asks_for_nothing(self, here: Path) -> None:
        break_one()
        flip("photos", "-o", "out", "--report", "report.html", "--timeline", "line.html", code=3)
        with browser(here / "profile") as page:
            page.open(here / "report.html")
            assert {each.partition(":")[0] for each in page.requests} == {"file", "data"}
            assert page.requests.count((here / "report.html").as_uri()) == 1
            assert "photos/sub/broken.png" in page.value("document.body.innerText")
            page.open(here / "line.html")
            assert len(page.requests) == 1
            assert "photos → out" in page.value("document.body.innerText")
            assert "3 done, 1 failed · " in page.value("document.body.innerText")
            assert not page.errors

    def test_no_file_takes_the_place_of_a_source(self) -> None:
        os.rename("photos/notes.txt", "r.csv")
        flip("photos", "r.csv", "-o", "out", "--report", "r.csv", code=2)
        assert Path("r.csv").read_text() == "no image"


SLOW = """
import imgpipe, sys, time
@imgpipe.filter(halo=0)
def slow(chunk):
    print("begun", flush=True)
    time.sleep(SECONDS)
    return chunk
"""


class TestStops:
    def begin(self, seconds: float, *args: str) -> subprocess.Popen[str]:
        """Begin a batch, and return when the first image is in the filter."""
        Path("slow it.py").write_text(SLOW.replace("SECONDS", str(seconds)))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, which ignores it, may be around
        process = subprocess.Popen(
            [*COMMAND, "run", "slow it.py:slow", "photos", "-o", "out", "-j", "1", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        prints = process.stderr if "--json" in args else process.stdout
        assert prints is not None
        while (line := prints.readline()) != "begun\n":
            assert line
        return process

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_by_a_signal_end_with_the_command_that_goes_on(self, name: str) -> None:
        number = getattr(signal, name)
        process = self.begin(0.3)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 128 + number, told
        assert session_ends(process.pid)
        assert ("press Ctrl-C again" if name == "SIGINT" else "a second signal ends it") in told
        last = told.splitlines()[-1]
        assert last.endswith("imgpipe run 'slow it.py:slow' photos -o out -j 1 --resume")
        assert outputs()[0] == "a.png"
        if name != "SIGINT":  # it is the same for all
            return
        again = last[last.index("imgpipe") :].replace("imgpipe", shlex.join(COMMAND), 1)
        done = run_command(["bash", "-c", again], Path())
        assert " skipped (" in done.stderr
        assert outputs() == ["a.png", "sub/b.jpg", "sub/c.png"]

    def test_at_once_by_a_second_signal(self) -> None:
        process = self.begin(1000)
        process.send_signal(signal.SIGINT)
        while "stopping" not in (line := process.stderr.readline()):  # type: ignore[union-attr]
            assert line
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 130, told
        assert session_ends(process.pid)
        assert outputs() == []

    def test_before_anything_is_written_leave_nothing(self) -> None:
        os.mkfifo("list")
        process = subprocess.Popen(
            [*COMMAND, *["flip", "--files-from", "list", "-o", "out", "--json"]],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        with open("list", "w"):  # once the command reads it
            process.send_signal(signal.SIGINT)
            told, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert said == "imgpipe: interrupted; nothing was written\n"
        (summary,) = events(told)
        assert (summary["exit"], summary["interrupted"]) == (130, "SIGINT")
        assert not Path("out").exists()

    def test_that_come_after_the_end_do_not_deny_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signals, "_state", signals._State())
        flip("nothing/", "-o", "out", code=2)
        assert str(signals.Signalled(2)) == "interrupted; nothing was written"
        flip("photos", "-o", "out")
        assert str(signals.Signalled(2)) == "interrupted; what was finished is recorded"

    def test_are_the_last_of_all_events(self) -> None:
        process = self.begin(0.3, "--json")
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
        summary = events(told)[-1]
        assert summary["event"] == "summary"
        assert (summary["exit"], summary["interrupted"]) == (143, "SIGTERM")
        assert summary["resume"].endswith("--resume")


def test_a_loop_that_reads_names_gets_all_of_them() -> None:
    """Neither the command nor a program that a filter calls eats the list."""
    Path("eats.py").write_text(
        "import os, imgpipe\n@imgpipe.filter(halo=0)\ndef f(x):\n"
        "    assert os.read(0, 1000) == b''\n    return x\n"
    )
    Path("list").write_text("photos/a.png\nphotos/sub/b.jpg\n")
    command = f'{shlex.join(COMMAND)} run eats.py:f "$f" -o out/ -q -j 2'
    run_command(["bash", "-c", f"while read f; do {command}; done < list"], Path())
    assert outputs() == ["a.png", "b.jpg"]


@pytest.mark.parametrize("out", ["out/", "out.png"])
def test_standard_input_is_left_to_others(out: str) -> None:
    Path("eats.py").write_text("import os\ndef f(x):\n    os.read(0, 1000)\n    return x\n")
    reads, writes = os.pipe()
    os.write(writes, b"for others")
    os.close(writes)
    before = os.dup(0)
    os.dup2(reads, 0)
    try:
        assert execute(["run", "eats.py:f", "photos/a.png", "-o", out, "--halo", "0", *HERE]) == 0
        assert os.read(0, 1000) == b"for others"
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reads)


@pytest.mark.parametrize(
    ("begun", "offers"),
    [
        ("--re", ["--region", "--resume", "--report"]),
        ("--qual", ["--quality"]),
        ("--order l", ["largest-first"]),
        ("-O comp", ["compression="]),
    ],
)
def test_the_shell_completes_options_of_many_images(begun: str, offers: list[str]) -> None:
    *words, last = f"flip photos -o out/ {begun}".split()
    found = ShellComplete(program, {}, "imgpipe", "_IMGPIPE_COMPLETE").get_completions(words, last)
    assert [each.value for each in found] == offers


@pytest.mark.parametrize("command", ["flip", "convert", "run", "thumbnail"])
def test_help_has_sections_for_many_images(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([command, "--help-all"]) == 0
    text = capsys.readouterr().out
    places = [text.index(f"\n{title}:") for title in ("Engine", *MANY_IMAGES)]
    assert places == sorted(places)
    assert "--ignore-existing" not in text
    assert "INPUT..." in text
