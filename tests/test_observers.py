"""Observers: all are told of everything, and a failure of one is its own affair."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import Cancelled
from imgpipe.events import Compared, Event, Finished, Written
from imgpipe.filters import invert
from imgpipe.observers import Observers

EVENTS = [Written(time=float(n), pixels=n, size=n) for n in range(4)]
IMAGE = np.zeros((9, 9), np.uint8)


def broken(event: Event) -> None:
    raise ValueError(f"no such key\n{event}")


class Page:
    """An observer that is an object."""

    def __call__(self, event: Event) -> None:
        [][event.run]


def test_all_are_told_of_every_event_in_order() -> None:
    first: list[Event] = []
    second: list[Event] = []
    tell = Observers([first.append, second.append])
    for event in EVENTS:
        tell(event)
    assert first == second == EVENTS


def test_one_that_raises_is_switched_off_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "imgpipe")  # a command may have made it quiet
    told: list[Event] = []
    tell = Observers([broken, told.append, Page()])
    for event in EVENTS:
        tell(event)
    assert told == EVENTS
    first, second = (r.getMessage() for r in caplog.records if r.levelno == logging.WARNING)
    assert "the observer broken is switched off: ValueError: no such key (test_observers" in first
    assert "the observer Page is switched off: IndexError: list index out of range" in second
    assert "\n" not in first


@pytest.mark.parametrize("end", [Cancelled, KeyboardInterrupt, SystemExit])
def test_one_that_asks_for_the_end_is_heard(end: type[BaseException]) -> None:
    def stop(event: Event) -> None:
        raise end

    with pytest.raises(end):
        Observers([stop])(EVENTS[0])


def test_a_run_goes_on_without_an_observer_that_raises(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "imgpipe")
    told: list[Event] = []
    imgpipe.write(IMAGE, tmp_path / "in.png")
    report = imgpipe.run(
        tmp_path / "in.png", invert(), tmp_path / "o.png", on_event=[broken, told.append]
    )
    assert (imgpipe.read(tmp_path / "o.png") == 255).all()
    assert isinstance(told[-1], Finished)
    assert told[-1].report == report
    assert caplog.text.count("switched off") == 1


def test_every_way_in_takes_several_observers() -> None:
    for way in (
        lambda told: imgpipe.apply(IMAGE, invert(), on_event=told),
        lambda told: imgpipe.measure(IMAGE, np.max, max, on_event=told),
    ):
        one: list[Event] = []
        other: list[Event] = []
        way((one.append, other.append))
        assert one == other != []


def test_observers_of_a_check_may_fail_too() -> None:
    told: list[Event] = []
    assert imgpipe.check(invert(), on_event=[broken, told.append])
    assert {type(event) for event in told} == {Compared}
    assert {event.run for event in told} == {0}
