"""Events: each belongs to a run, and together they tell when and where everything happened."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

import imgpipe
from imgpipe.events import Event, SpanDone, TaskDone, Written
from imgpipe.filters import autocontrast, blur
from tests.conftest import PicklingExecutor, noise

HEIGHT = 300


@pytest.fixture
def png(tmp_path: Path) -> Path:
    imgpipe.write(noise((HEIGHT, 200, 3), "uint8"), tmp_path / "in.png")
    return tmp_path / "in.png"


def events_of(
    png: Path, filter: imgpipe.Filter, suffix: str = ".png", **options: object
) -> list[Event]:
    events: list[Event] = []
    out = png.with_name(f"o{suffix}")
    imgpipe.run(png, filter, out, on_event=events.append, chunk=(16, 64), **options)
    return events


def test_every_event_carries_the_number_of_its_run(png: Path) -> None:
    runs = [{event.run for event in events_of(png, blur(), workers=1)} for _ in range(3)]
    ((first,), *others) = runs
    assert first > 0
    assert others == [{first + 1}, {first + 2}]


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_a_task_has_four_times_a_worker_and_a_process(executor: str, png: Path) -> None:
    events = events_of(png, autocontrast(), workers=2, executor=executor)
    done = [event for event in events if isinstance(event, TaskDone)]
    assert {event.kind for event in done} >= {"measure", "chunks"}
    for event in done:
        times = [events[0].time, event.made, event.started, event.ended, event.landed]
        assert times == sorted(times)
        assert event.landed == event.time
    assert {event.worker for event in done} <= {"worker 1", "worker 2"}
    assert ({event.pid for event in done} == {os.getpid()}) == (executor != "processes")


def test_the_process_of_a_worker_that_may_be_far_away_is_not_reported(png: Path) -> None:
    events = events_of(png, blur(), executor=PicklingExecutor(shares_files=True))
    pids = {event.kind: event.pid for event in events if isinstance(event, TaskDone)}
    assert pids == {"copy": os.getpid(), "chunks": 0}
    copies = [event for event in events if isinstance(event, TaskDone) and event.kind == "copy"]
    assert all(event.made <= event.started < event.ended == event.landed for event in copies)


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_reader_and_writer_tell_of_every_row_once(suffix: str, png: Path) -> None:
    events = events_of(png, blur(), suffix, workers=2, executor="threads")
    spans = [event for event in events if isinstance(event, SpanDone)]
    assert all(event.started <= event.ended <= event.time for event in spans)
    rows: dict[str, list[int]] = {"read": [], "write": []}
    for event in spans:
        rows[event.name].extend(range(event.box.y0, event.box.y1))
    assert rows["read"] == list(range(HEIGHT))
    assert rows["write"] == (list(range(HEIGHT)) if suffix == ".png" else [])  # workers place rows


def test_pixels_are_written_once_the_writer_has_written_them(png: Path) -> None:
    events = events_of(png, blur(), workers=1)
    written = [at for at, event in enumerate(events) if isinstance(event, Written)]
    assert written
    assert all(isinstance(events[at - 1], SpanDone) for at in written)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (800, "0.8 kB"),
        (31_620, "31.6 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.00 MB"),
        (1_234_567_890, "1,234.57 MB"),
    ],
)
def test_the_line_of_a_report_has_the_size_of_the_file(size: int, shown: str, png: Path) -> None:
    report = imgpipe.run(png, blur(), png.with_name("out.png"), executor="serial")
    assert f" uint8, {shown} in " in str(dataclasses.replace(report, size=size))
