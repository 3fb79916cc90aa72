"""Whole batches: trees as they are found, and runs that follow one another."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shlex
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import imgpipe
from imgpipe.cli import execute
from imgpipe.events import Event
from tests.batches import left_behind, made, tree
from tests.batchresults import odd_names
from tests.conftest import noise
from tests.scripts import run_command, run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes and names of Linux")

COMMAND = [sys.executable, "-m", "imgpipe"]
HERE = ("--executor", "serial", "--progress", "none")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def image(path: str, seed: int = 0) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    imgpipe.write(noise((6, 7, 3), "uint8", seed=seed), path)


def summary(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the last event of a command."""
    last: dict[str, Any] = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert last["event"] == "summary"
    return last


# --- trees as they are found ----------------------------------------------------------------


def wild_tree() -> tuple[int, list[str]]:
    """Make a tree with all that goes wrong; return the number of its entries and good names."""
    image("in/a.png")
    odd = [name.replace("/", "|").replace(".jpg", ".png") for name in odd_names()]
    both = [unicodedata.normalize(form, "ü b.png") for form in ("NFC", "NFD")]
    good = ["a.png", *(f"odd/{name}" for name in [*odd, *both])]
    os.mkdir("in/odd")
    for name in good[1:]:
        os.link("in/a.png", f"in/{name}")
    Path("in/torn.png").write_bytes(Path("in/a.png").read_bytes()[:80])
    Path("in/empty.png").touch()
    Path("in/notes.txt").touch()
    Path("in/._a.png").touch()
    os.mkdir("in/@eaDir")
    image("in/@eaDir/thumbnail.png")
    image("elsewhere.png")
    os.symlink("../elsewhere.png", "in/outside.png")
    os.symlink("nowhere.png", "in/dangling.png")
    os.symlink(".", "in/loop")
    os.mkfifo("in/pipe.png")
    image("in/unreadable/x.png")
    folders = {"odd"}  # the others count as one entry each
    entries = sum(1 for entry in os.scandir("in") if entry.name not in folders)
    return entries + len(os.listdir("in/odd")), good


def test_a_wild_tree_is_made_and_every_report_accounts_for_every_entry(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, good = wild_tree()
    scandir = os.scandir

    def closed(path: Any = ".") -> Any:
        if "unreadable" in os.fsdecode(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    for again in (0, 1):
        more = ["--report", f"{again}.json"] if again else ["--report", "0.csv"]
        policy = ["--resume"] if again else []
        code = execute(["invert", "in", "-o", "out", "--json", *more, *policy, *HERE])
        assert code == 3
        told = summary(capfd)
        assert sorted(tree("out")) == sorted(good)
        assert (told["done"], told["skipped"]) == ((0, len(good)) if again else (len(good), 0))
        over = told["passed_over"]
        assert over == {
            "not_image": 1, "hidden": 1, "junk": 1, "link_outside": 1, "link_to_nothing": 1,
            "link_to_folder": 1, "special_file": 1,
        }  # fmt: skip
        seen = told["done"] + told["failed"] + told["skipped"] + sum(over.values())
        assert seen == entries, told
        if again:
            report = json.loads(Path("1.json").read_text())
            counts = Counter(each["event"] for each in report["results"])
            assert report["summary"]["passed_over"] == over
        else:
            with open("0.csv", newline="", encoding="utf-8") as file:
                counts = Counter(row["status"] for row in csv.DictReader(file))
        assert counts == Counter(
            {key: told[key] for key in ("done", "failed", "skipped") if told[key]}
        )
    assert not left_behind("out")


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_header_that_cannot_be_read_costs_only_the_name_of_its_file(executor: str) -> None:
    for name in ("a", "b", "c"):
        image(f"in/{name}.png")
    os.truncate("in/b.png", 20)
    batch = made("in", "invert", "out", name="{stem}-{width}.{ext}", executor=executor)
    assert sorted(tree("out")) == ["a-7.png", "c-7.png"]
    (failure,) = batch.report.failures
    assert (failure.path, failure.output, batch.exit) == ("in/b.png", "", 3)


# --- runs that follow one another -----------------------------------------------------------


@pytest.mark.parametrize("source", ["photos", "photos/**/*.png", "photos/"])
def test_an_output_inside_the_input_leaves_the_number_of_sources(
    source: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b/c", "b/d/e"):
        image(f"photos/{name}.png")
    found = []
    for policy in ([], ["--resume"], ["--overwrite"]):
        command = ["invert", source, "-o", "photos/out", "--json", *policy, *HERE]
        assert execute(command) == 0
        lines = map(json.loads, capfd.readouterr().out.splitlines())
        found += [each["sources"] for each in lines if each["event"] == "plan"]
    assert found == [3, 3, 3]
    assert len(tree("photos/out")) == 3
    assert execute(["invert", source, "-o", "photos/other", "--json", *HERE]) == 0
    told = summary(capfd)
    assert (told["done"], told["passed_over"]["earlier_output"]) == (3, 1)


_opened: list[list[str]] = []


def _note(event: str, given: tuple[Any, ...]) -> None:
    if event == "open" and _opened and isinstance(given[0], str | bytes):
        _opened[0].append(os.path.basename(os.fsdecode(given[0])))


sys.addaudithook(_note)


def test_a_command_that_resumes_what_is_done_opens_no_image(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b/c"):
        image(f"in/{name}.png")
    with monkeypatch.context() as patch:  # long after the sources were written
        patch.setattr("imgpipe.batches.publishing.ledger.time.time_ns", lambda: 1 << 62)
        assert execute(["invert", "in", "-o", "out", *HERE]) == 0
    opened: list[str] = []
    _opened.append(opened)
    try:
        assert execute(["invert", "in", "-o", "out", "--resume", "--json", *HERE]) == 0
    finally:
        _opened.clear()
    assert summary(capfd)["skipped"] == 2
    assert "journal.jsonl" in opened
    assert not [name for name in opened if "png" in name]


def test_a_resume_makes_what_an_edit_of_a_filter_has_changed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = "import imgpipe\nfrom {} import amount\n\n\n@imgpipe.filter(halo=0)\ndef more(chunk):\n"
    helper = Path("helper_of_more.py")
    Path("more.py").write_text(code.format("helper_of_more") + "    return chunk + amount()\n")
    helper.write_text("def amount():\n    return 1\n")
    image("a.png")

    def made_again() -> int:
        command = ["run", "more.py:more", "a.png", "-o", "out/", "--resume", "--json"]
        assert execute([*command, *HERE]) == 0
        return int(summary(capfd)["done"])

    assert made_again() == 1
    helper.write_text("# a comment\n\n\ndef amount():\n    '''Docs.'''\n    return 1  # one\n")
    assert made_again() == 0
    helper.write_text("def amount():\n    return 2\n")
    assert made_again() == 1


def test_commands_at_the_same_time_share_a_journal() -> None:
    for name in "ab":
        image(f"in/{name}.png")
    command = f"ls in/*.png | xargs -P 2 -n 1 {shlex.join(COMMAND)} invert -q -o out/"
    run_command(["bash", "-c", command], Path())
    again = made("in", "invert", "out", resume=True)
    assert (again.report.done, again.report.skipped) == (0, 2)


# --- workers --------------------------------------------------------------------------------


def measuring(log: str) -> Callable[[Any], Any]:
    """Return a filter that notes the seconds of its process, and those of its thread."""

    def measure(chunk: Any) -> Any:
        import os

        spent = time.process_time() - time.thread_time()
        with open(log, "a") as file:
            file.write(f"{os.getpid()} {time.process_time()} {spent}\n")
        return chunk

    return measure


def test_codecs_keep_no_other_thread_of_a_worker_busy(tmp_path: Path) -> None:
    """All outputs of a file are coded between two calls of the filter."""
    log = str(tmp_path / "log")
    os.mkdir("in")
    for number in range(5):
        imgpipe.write(noise((300, 400, 3), "uint8", seed=number), f"in/{number}.jpg")
    tails: dict[str, Any] = dict.fromkeys(f"{{stem}}.{end}" for end in ("avif", "jxl", "webp"))
    tails["{stem}.png"] = measuring(log)
    batch = made("in", tails, "out", halo=0, executor="processes", workers=1)
    assert batch.report.done == 20
    lines = [list(map(float, line.split())) for line in Path(log).read_text().splitlines()]
    assert len({line[0] for line in lines}) == 1
    (_, whole, others), (_, later, others_later) = lines[0], lines[-1]
    assert later - whole > 0.02
    assert others_later - others < 0.1 * (later - whole)


def test_codecs_keep_one_thread_of_this_process_busy_and_start_none_that_stays(
    tmp_path: Path,
) -> None:
    """Every file is decoded, filtered and coded, in a process that has no other tests."""
    script = """
import json, os, time
import imgpipe
from imgpipe.formats.formatchoice import loaded
from imgpipe.machine import PeakMemory
from imgpipe.registry import FORMATS
from imgpipe.testing.pictures import noise

PeakMemory._sample = lambda _: None  # in a thread of its own
names = sorted(name for name in FORMATS.built_in if loaded(name).write)
threads, busy = set(os.listdir("/proc/self/task")), {}
for name in names:
    os.mkdir(name)
    imgpipe.write(noise((400, 500, 3), "uint8"), f"{name}/a{FORMATS[name].suffixes[0]}")
    spent, here = time.process_time(), time.thread_time()
    lossy = {"quality": 60} if "quality" in {one.name for one in loaded(name).options} else {}
    report = imgpipe.batch(name, "invert", f"{name} out", save=lossy, executor="serial", workers=1)
    assert report.done == 1
    spent, here = time.process_time() - spent, time.thread_time() - here
    busy[name] = (spent - here) / spent
left = len(set(os.listdir("/proc/self/task")) - threads)
print(json.dumps([busy, left]))
"""
    busy, left = json.loads(run_script(script, tmp_path).stdout)
    assert max(busy.values()) < 0.1, busy
    assert left == 0


# --- the timeline ---------------------------------------------------------------------------


def test_the_timeline_of_five_thousand_files_is_a_page_of_5_mb(tmp_path: Path) -> None:
    """The events of a small batch, again and again."""
    os.mkdir("in")
    for number in range(20):
        image(f"in/{number}.png", number)
    events: list[Event] = []
    made("in", "invert", "out", on_event=events.append)
    times = [each.time for each in events]
    length = max(times) - min(times)
    with imgpipe.Timeline(tmp_path / "t.html") as timeline:
        for turn in range(250):
            for event in events:
                timeline(later(event, turn * length))
    assert 10_000 < (tmp_path / "t.html").stat().st_size <= 5_000_000
    assert timeline.verdict.bottleneck != "none"


def later(event: Event, seconds: float) -> Event:
    """Return an event that happens some seconds later."""
    known = [each.name for each in dataclasses.fields(event)]
    names = [name for name in ("time", "made", "started", "ended") if name in known]
    return dataclasses.replace(event, **{name: getattr(event, name) + seconds for name in names})
