"""Hints from watchdog: what the system tells of a folder."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from imgpipe.batches.watch import hints
from imgpipe.batches.watch.hints import Hint, HintsLost, WatchdogHints, hints_for

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the events of Linux"),
    pytest.mark.lowest,
]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Queue[Hint | HintsLost]]:
    """The hints about a folder."""
    pytest.importorskip("watchdog")
    (tmp_path / "in").mkdir()
    found: Queue[Hint | HintsLost] = Queue()
    source = WatchdogHints()
    assert source.start(str(tmp_path / "in"), found.put) is None
    yield found
    source.stop()
    assert logging.getLogger("watchdog").propagate, "the warnings of others are heard again"


def until(told: Queue[Hint | HintsLost], wanted: Hint | HintsLost) -> list[Hint | HintsLost]:
    """Return the hints up to the wanted one."""
    found = [told.get(timeout=30)]
    while found[-1] != wanted:
        found.append(told.get(timeout=30))
    return found


def test_a_file_that_is_written_and_one_that_is_renamed(
    tmp_path: Path, told: Queue[Hint | HintsLost]
) -> None:
    path = str(tmp_path / "in" / "a.png")
    Path(path).write_text("x")
    assert set(until(told, Hint(path))) == {Hint(path)}
    for origin in (tmp_path / "x.png", tmp_path / "in" / "b.part"):
        origin.write_text("x")
        os.rename(origin, path)
        until(told, Hint(path, renamed=True))


def test_new_folders_have_hints_as_well(tmp_path: Path, told: Queue[Hint | HintsLost]) -> None:
    for number in range(30):  # watchdog warns of some that it meets twice
        folder = tmp_path / "in" / str(number) / "b"
        folder.mkdir(parents=True)
        until(told, Hint(str(folder), folder=True))
    (folder / "c.png").write_text("x")
    until(told, Hint(str(folder / "c.png")))


def test_reading_a_file_is_no_hint(tmp_path: Path, told: Queue[Hint | HintsLost]) -> None:
    """A worker that reads a file must not make the file seem to be written."""
    path = tmp_path / "in" / "a.png"
    path.write_text("x")
    until(told, Hint(str(path)))
    path.read_text()
    (tmp_path / "in" / "b.png").touch()
    after = until(told, Hint(str(tmp_path / "in" / "b.png")))
    assert after.count(Hint(str(path))) <= 1  # the first one told of its creation


def test_a_warning_of_watchdog_is_a_loss(told: Queue[Hint | HintsLost]) -> None:
    """The library has no other sign for a queue that overflows."""
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed")
    until(told, HintsLost())


def test_it_is_known_for_how_many_folders_there_are_events(
    tmp_path: Path, told: Queue[Hint | HintsLost]
) -> None:
    source = WatchdogHints()
    assert not source.covers(1), "it has not begun"
    assert source.start(str(tmp_path / "in"), told.put) is None
    assert source.covers(1)
    assert not source.covers(1000)
    source.stop()


def test_where_there_are_no_events_the_reason_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(reason: BaseException) -> str | None:
        def started(*_: object) -> None:
            raise reason

        monkeypatch.setattr(hints, "_started", started)
        return WatchdogHints().start(str(tmp_path), lambda _: None)

    assert "pip install" in str(start(ImportError("watchdog")))
    assert "inotify watch limit reached" in str(start(OSError(28, "inotify watch limit reached")))
    monkeypatch.setattr(hints, "silent_type", lambda _: "nfs4")
    assert "nfs4" in str(WatchdogHints().start(str(tmp_path), lambda _: None))
    assert hints_for(0.5).start(str(tmp_path), lambda _: None) == ""
