"""Events: lines of JSON that a program can rely on, whatever happens."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest

from imgpipe.batches.events import (
    BatchPlanned,
    BatchRefused,
    Heartbeat,
    OutputEnded,
    SourceStarted,
    Tick,
    WatchNotice,
)
from imgpipe.batches.progress.eventlines import EventLines
from imgpipe.errors import CorruptError, OutputError, UsageError
from tests.batchresults import (
    Clock,
    done,
    ended,
    failed,
    odd_names,
    planned,
    skipped,
    started,
    told,
)


class Output:
    """A file that events are written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Text that a reader has received up to now. JSON is text in UTF-8."""
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Output]:
    made = Output(tmp_path / "events")
    yield made
    os.close(made.descriptor)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(output: Output, clock: Clock) -> EventLines:
    return EventLines(output.descriptor, clock)


def test_a_batch_from_start_to_end(lines: EventLines, output: Output, clock: Clock) -> None:
    results = [done(warnings=("tag 5",)), skipped(), failed(attempts=3)]
    lines(started())
    clock.now += 0.41
    passed = {"not_image": 290, "hidden": 20}
    lines(planned(results, passed_over=passed, pixels={".jpg .jpg": 1_500_000}, peak_memory=19))
    for each in results:
        lines(OutputEnded(each, 1_500_000))
    clock.now += 2
    lines(ended(results, exit=3, utilisation=0.94449, bottleneck="encode", resume="imgpipe …"))
    begin, plan, first, second, third, summary = output.events
    assert begin == {
        "v": 1, "event": "start", "time": "2026-09-21T14:13:20.250Z", "imgpipe": "0.1",
        "argv": ["imgpipe", "blur", "photos"], "chain": "blur", "out": "web", "workers": 2,
        "max_memory": 1 << 30, "pid": 4711, "accelerator": "none",
    }  # fmt: skip
    assert plan == {
        "v": 1, "event": "plan", "t": 0.41, "sources": 3, "passed_over": passed, "current": 1,
        "to_do": 2, "megapixels": 1.5, "peak_memory": 19,
    }  # fmt: skip
    assert first == {
        "v": 1, "event": "done", "t": 0.41, "path": "a/x.jpg", "output": "web/a/x.jpg",
        "pixels": 3_000_000, "bytes_in": 1000, "bytes_out": 500,
        "seconds": {"wait": 9.0, "read": 0.25, "filter": 0.5}, "warnings": ["tag 5"],
    }  # fmt: skip
    assert second == {
        "v": 1, "event": "skipped", "t": 0.41, "path": "a/y.jpg", "output": "web/a/y.jpg",
        "reason": "current",
    }  # fmt: skip
    assert third == {
        "v": 1, "event": "failed", "t": 0.41, "path": "b/z.png", "output": "web/b/z.png",
        "stage": "read", "error": "CorruptError", "message": "b/z.png: is damaged", "attempts": 3,
    }  # fmt: skip
    assert summary == {
        "v": 1, "event": "summary", "t": 2.41, "exit": 3, "interrupted": None, "stopped_by": None,
        "done": 1, "skipped": 1, "failed": 1, "left": 0, "passed_over": {}, "megapixels": 3.0,
        "bytes_in": 1000, "bytes_out": 500, "peak_pss": None, "utilisation": 0.944,
        "bottleneck": "encode", "resume": "imgpipe …",
    }  # fmt: skip


def test_every_event_is_there_at_once(lines: EventLines, output: Output) -> None:
    lines(started())
    lines(planned([done()]))
    assert [each["event"] for each in output.events] == ["start", "plan"]
    lines(OutputEnded(done()))
    assert output.events[-1]["event"] == "done"


def test_progress_comes_at_most_once_a_second(
    lines: EventLines, output: Output, clock: Clock
) -> None:
    results = [done(f"{number}.jpg") for number in range(1000)]
    lines(started())
    lines(planned(results))
    lines(SourceStarted("big.jpg"))
    for each in results:
        clock.now += 0.01
        lines(OutputEnded(each, 2_000_000))
    times = [each["t"] for each in output.named("progress")]
    assert len(times) in {9, 10}
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))
    clock.now += 1
    lines(Tick())
    assert output.events[-1] == {
        "v": 1, "event": "progress", "t": 11.0, "done": 1000, "failed": 0, "skipped": 0,
        "files": 1000, "megapixels_done": 2000.0, "rate_mp_s": 181.818, "remaining_s": 0.0,
        "running": ["big.jpg"],
    }  # fmt: skip


def test_each_output_ends_once(lines: EventLines, output: Output) -> None:
    results = [done("a.jpg", f"a-{size}.jpg") for size in (400, 800)]
    results += [failed("b.jpg"), skipped("c.jpg")]
    told(lines, results)
    ends = [each["output"] for each in output.events if "output" in each]
    assert sorted(ends) == sorted(each.output for each in results)


def test_names_of_any_bytes(lines: EventLines, output: Output) -> None:
    name = "caf\udce9.jpg"
    result = done(name, name, warnings=(f"{name}: odd",))
    lines(started(argv=("imgpipe", name), out=name, chain="{mine:caf\udce9}"))
    lines(planned([result]))
    lines(OutputEnded(result))
    lines(OutputEnded(failed(name)))
    begin, _, good, bad = output.events
    assert begin["argv"][1] == begin["out"] == good["path"] == "caf\ufffd.jpg"
    for each in (begin["out_bytes"], good["path_bytes"], good["output_bytes"], bad["path_bytes"]):
        assert base64.b64decode(each) == b"caf\xe9.jpg"
    assert good["warnings"] == ["caf\ufffd.jpg: odd"]
    assert bad["message"] == "caf\ufffd.jpg: is damaged"


def test_running_sources_have_their_bytes_too(
    lines: EventLines, output: Output, clock: Clock
) -> None:
    lines(planned([done(), done()]))
    lines(SourceStarted("a.jpg"))
    lines(SourceStarted("caf\udce9.jpg"))
    clock.now += 1
    lines(Tick())
    last = output.events[-1]
    assert last["running"] == ["a.jpg", "caf\ufffd.jpg"]
    assert last["running_bytes"] == [None, base64.b64encode(b"caf\xe9.jpg").decode()]


def test_one_event_is_one_line_whatever_the_name(lines: EventLines, output: Output) -> None:
    results = [done(name) for name in odd_names()]
    told(lines, results)
    events = [json.loads(line) for line in output.path.read_bytes().split(b"\n")[:-1]]
    assert len(events) == len(results) + 3


@pytest.mark.parametrize(
    "error", [UsageError("412 outputs exist"), click.UsageError("no such option")]
)
def test_a_refusal_is_one_line_and_nothing_else(
    output: Output, clock: Clock, error: Exception
) -> None:
    with suppress(type(error)), EventLines(output.descriptor, clock) as lines:
        lines(started())
        raise error
    name, message = type(error).__name__, str(error)
    expected = {"v": 1, "event": "summary", "exit": 2, "error": name, "message": message}
    assert output.events == [expected]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (OutputError("the disk is full"), 1),
        (SystemExit(3), 3),
        (SystemExit("words"), 1),
        (ZeroDivisionError(), 70),
    ],
)
def test_the_summary_is_the_last_line_whatever_happens(
    output: Output, clock: Clock, error: BaseException, code: int
) -> None:
    with suppress(type(error)), EventLines(output.descriptor, clock) as lines:
        lines(started())
        lines(BatchPlanned(1, {"hidden": 2}, 0, {".jpg .jpg": 2}))
        lines(OutputEnded(done()))
        raise error
    last = output.events[-1]
    assert (last["event"], last["exit"], last["done"]) == ("summary", code, 1)
    assert last["passed_over"] == {"hidden": 2}


def test_nothing_follows_the_summary(lines: EventLines, output: Output, clock: Clock) -> None:
    with lines:
        told(lines, [done()])
        clock.now += 5
        lines(Tick())
        lines(BatchRefused(1, CorruptError("late")))
    assert [each["event"] for each in output.events][-1] == "summary"
    assert len(output.named("summary")) == 1


def test_without_its_reader_the_run_goes_on_and_says_so_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as read:
        lines = EventLines(writer, clock)
        lines(started())
        lines(planned([done()]))
        assert len(read.read1().splitlines()) == 2
    for _ in range(10):
        lines(OutputEnded(done()))
    lines(ended([]))
    os.close(writer)
    assert caplog.messages == ["the events end here, the run goes on: their reader went away"]


def test_a_pipe_that_does_not_wait_gets_all(clock: Clock) -> None:
    import threading

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = EventLines(writer, clock)
    got: list[bytes] = []

    def read() -> None:
        with open(reader, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=read)
    results = [done(f"{number}", warnings=("x" * 100_000,)) for number in range(10)]
    lines(planned(results))
    thread.start()
    for each in results:
        lines(OutputEnded(each))
    os.close(writer)
    thread.join()
    assert len([json.loads(line) for line in got[0].splitlines()]) == 11


def test_a_watch_has_signs_of_life_and_no_progress(output: Output, clock: Clock) -> None:
    lines = EventLines(output.descriptor, clock, progress=False)
    for each in (started(), planned([])):
        lines(each)
    for _ in range(3):
        clock.now += 10
        lines(Tick())
    lines(WatchNotice("inbox_missing", "caf\udce9", "caf\udce9: is not there"))
    lines(Heartbeat(waiting=1, running=0, done=2, failed=3, present=False, polling=True))
    lines(ended([]))
    notice, beat = output.events[2:4]
    assert [each["event"] for each in output.events] == [
        "start", "plan", "notice", "heartbeat", "summary",
    ]  # fmt: skip
    assert (notice["kind"], notice["path_bytes"]) == ("inbox_missing", "Y2Fm6Q==")
    assert (beat["t"], beat["waiting"], beat["failed"], beat["present"]) == (30.0, 1, 3, False)
    assert beat["time"].endswith("Z")
