"""The timeline: totals of all events, thin drawings, and a sentence that is right."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import imgpipe
from imgpipe.cli.program import program
from imgpipe.errors import Cancelled, FilterError, OutputError, UsageError
from imgpipe.events import Event, Finished, Report, SpanDone, Started, TaskDone, WorkerLost, Written
from imgpipe.filters import invert
from imgpipe.geometry import Box
from imgpipe.publish import OutputFile
from imgpipe.timeline import observer
from imgpipe.timeline.bars import STAGES, Bar, Bars
from imgpipe.timeline.page import page
from imgpipe.timeline.perfetto import trace_lines
from imgpipe.timeline.recording import Recording
from imgpipe.timeline.verdict import verdict
from tests.browser import browser

BOX = Box(0, 0, 100, 200)


def begun(workers: int = 2, run: int = 1, time: float = 100.0, source: str = "in.png") -> Started:
    return Started(
        time=time, run=run, source=source, destination="out.png",
        pixels=1, tasks=1, passes=1, workers=workers,
    )  # fmt: skip


def task(
    worker: int | str, start: float, end: float, *, pid: int = 0, run: int = 1, **spans: float
) -> TaskDone:
    """Return a task whose times are seconds after the beginning."""
    label = worker if isinstance(worker, str) else f"worker {worker}"
    return TaskDone(
        time=100 + end, run=run, kind="chunks", pass_index=0, index=0, box=BOX, worker=label,
        pid=pid or sum(label.encode()), made=100 + start, started=100 + start, ended=100 + end,
        spans=tuple(spans.items()),
    )  # fmt: skip


def side(name: str, start: float, end: float, run: int = 1) -> SpanDone:
    return SpanDone(
        time=100 + end, run=run, name=name, box=BOX, started=100 + start, ended=100 + end
    )


def done(time: float, run: int = 1) -> Finished:
    report = Report("a", "b", 1, 1, 1, "uint8", 1, 1.0, 1.0, 1, "serial", 0, 0, 1, 1, 0)
    return Finished(time=100 + time, run=run, report=report)


def recorded(*events: Event, most: int = 1000) -> Recording:
    recording = Recording(most)
    for event in events:
        recording(event)
    return recording


def numbers_of(text: str) -> Any:
    """Return the data of a page."""
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


# --- totals -----------------------------------------------------------------------------


def test_every_second_of_a_task_belongs_to_a_stage() -> None:
    recording = recorded(
        begun(), task(1, 0, 4, read=0.5, filter=1, measure=0.5, encode=1, seal=0.25)
    )
    assert recording.stages(["worker"]) == pytest.approx(
        {"read": 0.5, "filter": 1.5, "encode": 1.25, "write": 0, "other": 0.75}
    )
    assert recording.share("worker") == pytest.approx(0.5)  # one of two


def test_steps_never_take_longer_than_their_task() -> None:
    recording = recorded(begun(), task(1, 0, 2, filter=3, write=1))  # by threads of its own
    assert recording.stages() == pytest.approx(
        {"read": 0, "filter": 1.5, "encode": 0, "write": 0.5, "other": 0}
    )


def test_readers_and_writers_have_lanes_of_their_own() -> None:
    recording = recorded(begun(), side("read", 0, 1), task(1, 1, 2), side("write", 2, 3), done(4))
    assert [lane.name for lane in recording.lanes] == ["reader", "worker 1", "writer"]
    assert recording.share("reader") == pytest.approx(1 / 4)
    assert recording.share("writer") == pytest.approx(2 / 4)  # and put into its place
    assert recording.finishing == pytest.approx(1)


def test_readers_at_the_same_time_do_not_share_a_lane() -> None:
    events = [begun(run=1), begun(run=2), begun(run=3)]
    events += [side("read", 0, 2, run=1), side("read", 1, 3, run=2), side("read", 2, 4, run=3)]
    lanes = recorded(*events).lanes
    assert [(lane.name, lane.tasks) for lane in lanes] == [("reader", 2), ("reader 2", 1)]


def test_copying_by_the_parent_is_reading() -> None:
    copy = TaskDone(**{**_fields(task("parent", 0, 3)), "kind": "copy"})
    recording = recorded(begun(), copy)
    assert [lane.name for lane in recording.lanes] == ["reader"]
    assert recording.stages()["read"] == pytest.approx(3)


def _fields(event: TaskDone) -> dict[str, Any]:
    return {name: getattr(event, name) for name in TaskDone.__dataclass_fields__}


def test_a_worker_elsewhere_has_the_time_of_its_receipt() -> None:
    event = TaskDone(**{**_fields(task(1, 0, 5)), "pid": 0, "started": 7e6, "ended": 7e6 + 2})
    (lane,) = recorded(begun(), event).lanes
    (bar,) = lane.bars
    assert (bar.start, bar.end) == (103, 105)


def test_workers_are_in_the_order_of_their_numbers() -> None:
    recording = recorded(begun(12), *(task(n, 0, 1) for n in (10, 2, 1)))
    assert [lane.name for lane in recording.lanes] == ["worker 1", "worker 2", "worker 10"]


# --- lanes are slots --------------------------------------------------------------------


def test_a_rebuilt_worker_stays_in_its_lane_with_a_mark() -> None:
    recording = recorded(
        begun(), task(1, 0, 1, pid=7), task(2, 0, 1, pid=8),
        WorkerLost(time=101.5, run=1, reason="SIGKILL", tasks=1),
        task(1, 2, 3, pid=9), task(2, 2, 3, pid=8),
    )  # fmt: skip
    first, second = recording.lanes
    assert first.marks == [(102, "process 9 took the place of 7")]
    assert second.marks == []
    assert recording.marks == [(101.5, "workers were lost: SIGKILL")]


def test_a_new_name_takes_the_lane_of_a_lost_worker() -> None:
    recording = recorded(
        begun(), task(1, 0, 1, pid=7), task(2, 0, 1, pid=8),
        WorkerLost(time=101.5, run=1, reason="SIGKILL", tasks=1),
        task(2, 2, 3, pid=8), task(3, 2, 3, pid=9),
    )  # fmt: skip
    assert [(lane.name, lane.tasks) for lane in recording.lanes] == [
        ("worker 1", 2), ("worker 2", 2),
    ]  # fmt: skip


def test_the_processes_of_another_run_replace_nobody() -> None:
    recording = recorded(begun(), task(1, 0, 1, pid=7), done(1), task(1, 2, 3, pid=9, run=2))
    (lane,) = (each for each in recording.lanes if each.role == "worker")
    assert lane.marks == []


# --- the sentence -----------------------------------------------------------------------


def sentence(*events: Event) -> str:
    return verdict(recorded(*events)).sentence


def test_reading_is_named() -> None:
    events = begun(), side("read", 0, 9.3), task(1, 0, 4), task(2, 0, 4.2), done(10)
    assert verdict(recorded(*events)).bottleneck == "read"
    assert sentence(*events[:-1], side("write", 9.9, 10)) == (
        "Reading is the bottleneck: the reader was busy 93 % of the time, the workers 41 %."
    )


@pytest.mark.parametrize(
    ("spans", "name"),
    [
        ({"filter": 8.0, "encode": 1.0}, "Filtering"),
        ({"encode": 8.0, "filter": 1.0}, "Encoding"),
        ({"write": 8.0}, "Writing"),
        ({"read": 8.0}, "Reading"),
    ],
)
def test_the_longest_stage_of_busy_workers_is_named(spans: dict[str, float], name: str) -> None:
    reads = side("read", 0, 5)
    found = sentence(begun(), reads, task(1, 0, 10, **spans), task(2, 0, 10, **spans))
    assert found == (
        f"{name} is the bottleneck: the workers were busy 100 % of the time, and spent 80 % of "
        f"that {name.lower()}."
    )


def test_writing_is_named() -> None:
    found = sentence(begun(), task(1, 0, 1), side("write", 1, 10))
    assert found == (
        "Writing is the bottleneck: the writer was busy 90 % of the time, the workers 5 %."
    )


def test_a_slow_disk_at_the_end_is_writing() -> None:
    assert sentence(begun(), task(1, 0, 1), task(2, 0, 1), done(10)).startswith("Writing is")


def test_workers_are_judged_before_the_end() -> None:
    works = task(1, 0, 4, filter=4), task(2, 0, 4, filter=4)
    assert sentence(begun(), *works, side("write", 7, 7), done(9)).startswith("Filtering is")
    assert sentence(begun(), *works, side("write", 9, 9), done(9)).startswith("Waiting is")


def test_where_all_is_done_by_one_the_longest_stage_is_named() -> None:
    events = begun(1), side("read", 0, 4), task(1, 4, 9, filter=3, encode=2), side("write", 9, 10)
    assert sentence(*events) == (
        "Reading is the bottleneck: it took 40 % of the time, filtering 30 %, encoding 20 % and "
        "writing 10 %."
    )


def test_too_few_tasks_are_named() -> None:
    events = begun(8), *(task(n, 0, 10) for n in (1, 2, 3))
    assert verdict(recorded(*events)).bottleneck == "wait"
    assert sentence(*events) == (
        "Waiting is the bottleneck: there were only 3 tasks for 8 workers, which were busy 38 % of "
        "the time."
    )


def test_a_late_beginning_is_named() -> None:
    events = begun(1), task(1, 3, 4)
    assert sentence(*events) == (
        "Waiting is the bottleneck: the first step began after 75 % of the time, 3.00 s."
    )


def test_pauses_are_named() -> None:
    events = begun(1), task(1, 0, 1), task(1, 9, 10)
    assert sentence(*events) == (
        "Waiting is the bottleneck: the worker was busy 20 % of the time, the reader 0 %, the "
        "writer 0 %."
    )


def test_a_run_without_tasks_has_no_bottleneck() -> None:
    assert verdict(recorded()) == ("none", "Nothing was recorded: no task ran.", 0.0)


# --- thinning ---------------------------------------------------------------------------


def test_thinning_keeps_every_second_and_every_bar() -> None:
    generator = np.random.default_rng(1)
    bars, whole, now = Bars(), np.zeros(len(STAGES)), 0.0
    for _ in range(5000):
        stages = generator.exponential(0.01, len(STAGES))
        whole += stages
        bars.add(Bar(now, now + stages.sum(), now, tuple(stages), 1, 0, 1, 0, BOX), 300)
        now += stages.sum() * generator.uniform(1, 3)
        assert len(bars) <= 300
    found = list(bars)
    assert np.allclose(np.sum([bar.stages for bar in found], axis=0), whole)
    assert sum(bar.number for bar in found) == 5000
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


def test_long_bars_are_not_merged() -> None:
    bars = Bars()
    for n in range(1000):
        length = 50.0 if n == 500 else 0.001
        now = float(n if n <= 500 else n + 50)
        bars.add(Bar(now, now + length, now, (length, 0, 0, 0, 0), 1, 0, 1, n, BOX), 200)
    (long,) = (bar for bar in bars if bar.end - bar.start >= 50)
    assert (long.number, long.task) == (1, 500)


def test_totals_are_of_all_events_and_pages_are_small() -> None:
    recording = recorded(begun(3), most=500)
    for n in range(3000):
        recording(task(n % 3 + 1, n, n + 0.5, filter=0.25))
    assert recording.stages(["worker"])["filter"] == pytest.approx(750)
    assert sum(len(lane.bars) for lane in recording.lanes) <= 500
    text = page(recording, verdict(recording))
    assert "short bars are merged into" in text
    assert sum(bar[7] for lane in numbers_of(text)["lanes"] for bar in lane["bars"]) == 3000


def test_a_million_bars_make_a_page_of_5_mb() -> None:
    recording = recorded(begun(20), *(task(n, 0, 2e6) for n in range(1, 21)))
    numbers = np.arange(1, 1_000_001)
    rows = np.zeros((1_000_000, 16))  # laid out as in `Bars`
    rows[:, 0], rows[:, 1], rows[:, 2] = numbers, numbers + 0.7, numbers - 0.1
    rows[:, 3:8], rows[:, 8] = (0.123456, 0.234567, 0.245678, 0.0, 0.012345), 1
    rows[:, 11], rows[:, 12:] = numbers, (90_000, 80_000, 91_024, 81_280)
    for n, lane in enumerate(recording.lanes):
        lane.bars._data.frombytes(rows[n::20].tobytes())  # all at once, which is quicker
        lane.bars.thin(4_000)
    text = page(recording, verdict(recording))
    assert 1_000_000 < len(text.encode()) <= 5_000_000
    assert sum(bar[7] for lane in numbers_of(text)["lanes"] for bar in lane["bars"]) == 1_000_020


# --- files ------------------------------------------------------------------------------


def test_names_are_text_on_the_page() -> None:
    bad = "</script><img src=x onerror=alert(1)>&\udce9.png"
    recording = recorded(
        begun(source=bad), task(1, 0, 1), WorkerLost(time=101.0, run=1, reason=bad, tasks=1)
    )
    text = page(recording, verdict(recording))
    assert "<img" not in text
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;" in text
    assert numbers_of(text)["marks"][0][1] == f"workers were lost: {bad}"


def test_a_trace_has_what_its_viewers_need() -> None:
    recording = recorded(
        begun(), side("read", 0, 1), task(1, 1, 3, read=0.5, filter=1),
        WorkerLost(time=103.5, run=1, reason="SIGKILL", tasks=1),
        task(1, 4, 5, pid=99, encode=0.5), side("write", 5, 6), done(7),
    )  # fmt: skip
    trace = json.loads("".join(trace_lines(recording, verdict(recording))))
    events = trace["traceEvents"]
    assert trace["otherData"]["bottleneck"] == verdict(recording).bottleneck
    slices = [each for each in events if each["ph"] == "X"]
    assert all({"name", "ts", "dur", "pid", "tid"} <= each.keys() for each in slices)
    threads = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert list(threads.values()) == ["reader", "worker 1", "writer"]
    worker = [
        (each["name"], each["ts"], each["dur"])
        for each in slices if threads[each["tid"]] == "worker 1"
    ]  # fmt: skip
    assert worker == [
        ("wait", 0, 1e6), ("chunks", 1e6, 2e6), ("read", 1e6, 5e5), ("filter", 1.5e6, 1e6),
        ("wait", 3e6, 1e6), ("chunks", 4e6, 1e6), ("encode", 4e6, 5e5),
    ]  # fmt: skip
    assert [(each["s"], each["ts"]) for each in events if each["ph"] == "i"] == [
        ("t", 4e6), ("g", 3.5e6),
    ]  # fmt: skip


def test_a_large_trace_is_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer, "_LARGEST_PLAIN", 1000)
    monkeypatch.setattr(observer, "_CHUNK", 1000)
    path = tmp_path / "run.json"
    with imgpipe.Timeline(path) as timeline:
        for event in (begun(), *(task(1, n, n + 0.5) for n in range(50))):
            timeline(event)
    assert json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]


# --- runs -------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.png"
    imgpipe.write(np.random.default_rng(0).integers(0, 256, (600, 80, 3), np.uint8), path)
    return path


def test_a_timeline_tells_of_every_task(image: Path) -> None:
    events: list[Event] = []
    with imgpipe.Timeline("run.html") as timeline:
        for out in ("one.png", "two.tif"):
            imgpipe.run(image, invert(), out, workers=1, on_event=[timeline, events.append])
    data = numbers_of(Path("run.html").read_text())
    (worker,) = (lane for lane in data["lanes"] if lane["role"] == "worker")
    tasks = [each for each in events if isinstance(each, TaskDone)]
    assert len(worker["bars"]) == len(tasks) >= 2
    busy = sum(sum(bar[2:7]) for bar in worker["bars"])
    assert busy == pytest.approx(1e6 * sum(each.ended - each.started for each in tasks), abs=999)
    assert timeline.verdict.utilisation > 0
    assert "2 images" in Path("run.html").read_text()


def test_without_a_context_it_is_written_at_the_end_of_a_run(image: Path) -> None:
    imgpipe.run(image, invert(), "out.png", workers=1, on_event=imgpipe.Timeline("run.json"))
    assert json.loads(Path("run.json").read_text())["otherData"]["runs"] == 1


def test_it_is_written_for_a_run_that_fails(image: Path) -> None:
    @imgpipe.filter(halo=0)
    def fails(chunk: Any) -> Any:
        raise ValueError("no")

    with pytest.raises(FilterError), imgpipe.Timeline("run.html") as timeline:
        imgpipe.run(image, fails(), "out.png", workers=1, on_event=timeline)
    assert "not finished" in Path("run.html").read_text()


def test_it_is_written_for_a_run_that_is_stopped(image: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Written):
            raise Cancelled("enough")

    with pytest.raises(Cancelled), imgpipe.Timeline("run.html") as timeline:
        imgpipe.run(image, invert(), "out.png", workers=1, on_event=[timeline, stop])
    assert numbers_of(Path("run.html").read_text())["lanes"]
    assert sorted(path.name for path in image.parent.iterdir()) == ["in.png", "run.html"]


def test_a_file_that_cannot_be_written_is_refused_before_the_run(image: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"), imgpipe.Timeline("in.png/run.html"):
        pytest.fail("it began")


def test_a_full_disk_is_a_warning_and_hides_no_failure(
    image: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*parts: bytes) -> None:
        raise OutputError("run.html: cannot write: the disk is full")

    caplog.set_level(logging.WARNING, "imgpipe")  # a command may have made it quiet
    monkeypatch.setattr(OutputFile, "write", fail)
    with imgpipe.Timeline("run.html"):
        pass
    assert "the disk is full" in caplog.text
    with pytest.raises(Cancelled, match="enough"), imgpipe.Timeline("run.html"):
        raise Cancelled("enough")
    assert caplog.text.count("the disk is full") == 2
    assert [path.name for path in image.parent.iterdir()] == ["in.png"]


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"a timeline is a \.html or \.json file"):
        imgpipe.Timeline("run.svg")


# --- the command ------------------------------------------------------------------------


def command(*words: str) -> Any:
    return CliRunner().invoke(program, words)


@pytest.mark.parametrize("words", [["invert"], ["run", "invert"], ["convert"]])
def test_every_command_that_makes_an_image_has_the_option(image: Path, words: list[str]) -> None:
    result = command(*words, "in.png", "-o", "out.tif", "-j", "1", "--timeline", "run.html")
    assert result.exit_code == 0, result.output
    assert re.search(r"run\.html: \w+ is the bottleneck: ", result.stderr)
    assert Path("run.html").exists()


def test_a_copy_of_coded_pixels_has_no_tasks(image: Path) -> None:
    result = command("convert", "in.png", "-o", "out.png", "--timeline", "run.html")
    assert "run.html: Nothing was recorded: no task ran." in result.stderr


@pytest.mark.parametrize("name", ["in.png", "out.html"])
def test_the_image_is_not_replaced_by_its_timeline(image: Path, name: str) -> None:
    before = image.read_bytes()
    image.rename("in.html")
    given = "in.html" if name == "in.png" else "out.html"
    result = command("invert", "in.html", "-o", "out.html", "--format", "png", "--timeline", given)
    assert isinstance(result.exception, UsageError)
    assert "the timeline would replace the image" in str(result.exception)
    assert Path("in.html").read_bytes() == before
    assert not Path("out.html").exists()


def test_a_dry_run_draws_nothing(image: Path) -> None:
    command("invert", "in.png", "-o", "out.png", "--dry-run", "--timeline", "run.html")
    assert not Path("run.html").exists()


# --- in a browser -----------------------------------------------------------------------


def test_the_page_opens_and_asks_for_nothing_else(tmp_path: Path) -> None:
    bad = "</script><script>document.title='gone'</script>"
    path = tmp_path / 'a "b" #.html'
    with imgpipe.Timeline(path) as timeline:
        for event in (
            begun(source=bad), side("read", 0, 9), task(1, 1, 3, filter=2), task(2, 4, 5, write=1),
            WorkerLost(time=106.0, run=1, reason=bad, tasks=1), done(10),
        ):  # fmt: skip
            timeline(event)
    with browser(tmp_path / "profile") as shown:
        shown.open(path)
        assert shown.requests == [path.as_uri()]
        assert shown.errors == []
        assert shown.value("document.title") == f"Timeline: {bad} → out.png"
        assert shown.value("document.getElementById('verdict').textContent").startswith("Reading")
        assert _colour(shown, 0.5, "reader") == "#0072b2"
        assert _colour(shown, 0.2, "worker 1") == "#009e73"
        assert _colour(shown, 0.6, "worker 1") == "#d42a2a"  # the loss
        assert _told(shown, 0.5, "reader").startswith("reader: read\nfrom 0 µs, 9.00 s")
        assert _told(shown, 0.2, "worker 1").startswith("worker 1: chunks 0\nfrom 1.00 s, 2.00 s")
        assert _told(shown, 0.9, "worker 2") == "worker 2: wait\n5.00 s"
        shown.value("zoom(0.5, 0)")
        assert shown.value("[from, to]") == [0, 5e6]
        assert shown.requests == [path.as_uri()]


def _place(share: float, lane: str) -> str:
    row = f"data.lanes.findIndex(lane => lane.name === '{lane}')"
    return f"width * {share}, ({row} + 0.5) * ROW"


def _colour(shown: Any, share: float, lane: str) -> str:
    pixel = f"lanes.getContext('2d').getImageData({_place(share, lane)}, 1, 1).data"
    return "#" + bytes(shown.value(f"[...{pixel}]")[:3]).hex()


def _told(shown: Any, share: float, lane: str) -> str:
    return str(shown.value(f"words({_place(share, lane)})"))
