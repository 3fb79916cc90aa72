"""Watching a folder: from Python, by the command, and through kills."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import imgpipe
from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    BatchStarted,
    Heartbeat,
    OutputEnded,
    Tick,
)
from imgpipe.batches.watch.scan import Scan, Scanner
from imgpipe.cli.program import program
from imgpipe.errors import UsageError
from tests.batches import left_behind, tree
from tests.leftovers import descendants, eventually
from tests.watching import image

MOMENTS = int(os.environ.get("IMGPIPE_MOMENTS", "8"))
"""Number of times that a watch is killed."""


def watch(home: Path, until: Callable[[], bool], **given: Any) -> tuple[Any, list[BatchEvent]]:
    """Watch `home`/in until something is so; return the report and all that happened."""
    stop, events = threading.Event(), list[BatchEvent]()

    def tell(event: BatchEvent) -> None:
        events.append(event)
        if isinstance(event, Tick) and until():
            stop.set()

    (home / "in").mkdir(exist_ok=True)
    given = {"executor": "serial", "workers": 1, "settle": 0.05, "poll": 0.05} | given
    report = imgpipe.watch(
        home / "in", given.pop("filter", "invert"), home / "out", stop=stop, on_batch_event=tell,
        **given,
    )  # fmt: skip
    return report, events


def test_files_are_made_as_they_arrive(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    (tmp_path / "in" / "text.txt").touch()
    arrived = False

    def until() -> bool:
        nonlocal arrived
        if (tmp_path / "out" / "a.png").exists() and not arrived:
            image(tmp_path / "in" / "deep" / "b.png")
            arrived = True
        return (tmp_path / "out" / "deep" / "b.png").exists()

    report, events = watch(tmp_path, until)
    assert (report.done, report.failed, report.left) == (2, 1, 0)
    assert "MP/s" not in str(report)
    first, *_, last = events
    assert isinstance(first, BatchStarted)
    (plan,) = [each for each in events if isinstance(each, BatchPlanned)]
    assert (plan.sources, dict(plan.passed_over)) == (2, {"not_image": 1})
    assert isinstance(last, BatchEnded)
    assert last.exit == 0
    ended = [each.result for each in events if isinstance(each, OutputEnded)]
    assert sorted(each.status for each in ended) == ["done", "done", "failed"]
    imgpipe.run(tmp_path / "in" / "a.png", "invert", tmp_path / "alone.png")
    assert tree(tmp_path / "out")["a.png"] == (tmp_path / "alone.png").read_bytes()


def test_an_output_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    image(tmp_path / "in" / "deep" / "a.png")
    arrived = False

    def until() -> bool:
        nonlocal arrived
        if (tmp_path / "out" / "deep" / "a.png").exists() and not arrived:
            shutil.rmtree(tmp_path / "out" / "deep")
            image(tmp_path / "in" / "deep" / "b.png")
            arrived = True
        return (tmp_path / "out" / "deep" / "b.png").exists()

    report, _ = watch(tmp_path, until)
    assert (report.done, report.failed) == (2, 0)


@pytest.mark.parametrize("scan", [1, 2])
def test_no_thread_outlives_a_watch_whose_scan_fails(
    scan: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first scan is done before the watch has a thread of its own."""
    pytest.importorskip("watchdog")
    image(tmp_path / "in" / "a.png")
    turns, whole = itertools.count(1), Scanner.everything

    def everything(scanner: Scanner) -> Scan:
        if next(turns) == scan:
            raise MemoryError
        return whole(scanner)

    monkeypatch.setattr(Scanner, "everything", everything)
    monkeypatch.setattr("imgpipe.batches.watch.inbox._WHOLE_SECONDS", 0)
    before = set(threading.enumerate())
    with pytest.raises(MemoryError):
        watch(tmp_path, lambda: False, poll=None)
    assert set(threading.enumerate()) <= before


def test_the_sign_of_life_comes_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgpipe.batches.watch.watchrun.HEARTBEAT_SECONDS", 1e-3)
    image(tmp_path / "in" / "a.png")
    _, events = watch(tmp_path, (tmp_path / "out" / "a.png").exists)
    beats = [each for each in events if isinstance(each, Heartbeat)]
    assert beats[-1] == Heartbeat(
        waiting=0, running=0, done=1, failed=0, present=True, polling=True
    )


def test_several_outputs_of_a_file_are_done_before_it_is_moved(tmp_path: Path) -> None:
    image(tmp_path / "in" / "a.png")
    done = tmp_path / "in" / "done" / "a.png"
    chains = {"{stem}.webp": None, "{stem}-turned.png": "rotate:90"}
    report, _ = watch(tmp_path, done.exists, filter=chains, move_done=tmp_path / "in" / "done")
    assert report.done == 2
    assert sorted(tree(tmp_path / "out")) == ["a-turned.png", "a.webp"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"destination": "in/out"}, "overlap"),
        ({"destination": "in"}, "overlap"),
        ({"destination": "link/out"}, "overlap"),
        ({"destination": "."}, "overlap"),
        ({"inbox": "missing"}, "no such folder; create it"),
        ({"move_done": "out/done"}, "overlap"),
        ({"move_failed": "in"}, "holds the inbox"),
        ({"move_failed": "."}, "overlap"),
        ({"name": "{index}.png"}, "index"),
        ({"settle": -1}, "settle"),
        ({"poll": True}, "poll"),
        ({"stop": 3}, "stop must be a threading.Event, not 3"),
        ({"inbox": None}, "inbox must be the path"),
        ({"in_place": True}, "not an option of watch"),
    ],
)
def test_folders_and_options_that_do_not_go_together_are_refused(
    given: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image(tmp_path / "in" / "a.png")
    os.symlink("in", "link")
    given = {"inbox": "in", "filter": "invert", "destination": "out"} | given
    with pytest.raises(UsageError, match=message):
        imgpipe.watch(**given)
    assert sorted(os.listdir()) == ["in", "link"]


def test_the_command_refuses_in_one_line() -> None:
    shown = CliRunner().invoke(program, ["watch", "blur", "missing", "-o", "out", "--order=fifo"])
    assert "--order is not an option of watch" in str(shown.exception)


@pytest.mark.slow
def test_a_service_takes_what_arrives_and_ends_at_a_signal(tmp_path: Path) -> None:
    """With processes, and the events of the system."""
    image(tmp_path / "x.png")
    image(tmp_path / "in" / "early.png")
    command = [
        sys.executable, "-m", "imgpipe", "watch", "convert", "in", "-o", "out", "--format", "webp",
        "--json", "--settle", "0.1", "--move-done", "done", "-j", "2",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        events = map(json.loads, iter(process.stdout.readline, ""))
        start, plan, heartbeat = (next(events) for _ in range(3))
        assert (start["event"], start["argv"]) == ("start", ["imgpipe", *command[3:]])
        assert (plan["event"], plan["to_do"], plan["peak_memory"]) == ("plan", 1, None)
        assert heartbeat["event"] == "heartbeat"
        assert next(events)["output"] == os.path.join("out", "early.webp")
        os.rename(tmp_path / "x.png", tmp_path / "in" / "a.png")
        made = next(events)
        assert (made["event"], made["output"]) == ("done", os.path.join("out", "a.webp"))
        image(tmp_path / "in" / "new" / "b.png")
        assert next(events)["output"] == os.path.join("out", "new", "b.webp")
        (tmp_path / "in" / "c.png").write_bytes(b"no image")
        assert next(events)["event"] == "failed"
        assert eventually((tmp_path / "done" / "new" / "b.png").exists)
        workers = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        (summary,) = events
        _, words = process.communicate(timeout=60)
    assert (process.returncode, summary["exit"], summary["interrupted"]) == (0, 0, "SIGTERM")
    assert (summary["done"], summary["failed"]) == (3, 1)
    assert "c.png" in words
    assert not left_behind(tmp_path / "out")
    assert workers
    assert eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))


# --- kills ------------------------------------------------------------------------------

_CALLS = ("open", "write", "fsync", "replace", "rename", "link", "unlink", "mkdir")


def killed(home: Path, moment: int) -> bool:
    """Watch in a process that is killed at a call of the system; return whether it was.

    Without `moment` it ends when nothing is left in the folder.
    """
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    try:
        left = moment

        def counted(call: Callable[..., Any]) -> Callable[..., Any]:
            def count(*args: Any, **given: Any) -> Any:
                nonlocal left
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **given)

            return count

        for name in _CALLS:
            setattr(os, name, counted(getattr(os, name)))
        _watch_quickly(home)
        os._exit(0)
    finally:
        os._exit(1)


def _watch_quickly(home: Path) -> None:
    from imgpipe.batches.publishing import ledger
    from imgpipe.batches.work import loop

    loop._TICK = loop._BEAT = 0.02
    ledger._SECONDS = 0.0
    moves = {"move_done": home / "done", "move_failed": home / "failed"}
    watch(home, lambda: not any((home / "in").rglob("*.png")), **moves)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the tests fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_watch_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """The trees after kills and restarts are those of an uninterrupted watch."""
    home, alone = tmp_path / "home", tmp_path / "alone"
    chance, number, kills = random.Random(11), 0, 0
    for place in (home, alone):
        (place / "in").mkdir(parents=True)

    def arrive(count: int) -> None:
        nonlocal number
        for number in range(number + 1, number + 1 + count):  # noqa: B020
            for place in (home, alone):
                path = place / "in" / str(number % 3) / f"{number}.png"
                image(path, number % 256)
                if number % 5 == 0:
                    path.write_bytes(b"no image")

    while kills < MOMENTS:
        arrive(4)
        kills += killed(home, chance.randrange(1, 150))
    assert not killed(home, 0)
    assert not killed(alone, 0)
    for part in ("out", "done", "failed"):
        assert tree(home / part) == tree(alone / part)
    assert len(tree(home / "done")) + len(tree(home / "failed")) == number
    assert not left_behind(home / "out")
