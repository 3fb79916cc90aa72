"""Lineup: frames that are made at once go into their file one after the other."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from imgpipe.formats.arrays import RawEncoder
from imgpipe.formats.framequeue import Lineup
from imgpipe.image import ImageInfo

INFO = ImageInfo(4, 5, 1, np.dtype(np.uint8), None, "gray")


class Frame:
    """A sink that notes its calls."""

    kind = "ordered"
    unit = (1, 0)
    info = INFO
    encoder = RawEncoder(5)

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def append(self, data: Any, facts: Any) -> None:
        self.notes.append(f"{self.name}: {bytes(data).decode()} {facts}")

    def commit(self) -> int:
        self.notes.append(f"{self.name} ends")
        return 7

    def abort(self) -> None:
        self.notes.append(f"{self.name} is dropped")


class Placed(Frame):
    kind = "placed"
    seal_bytes = 3
    placer = None


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_bytes_wait_for_the_turn_of_their_frame() -> None:
    notes: list[str] = []
    line, files = Lineup(), open_files()
    a, b, c = (line.join(Frame(name, notes), waits=True) for name in "abc")  # type: ignore[arg-type]
    c.append(b"six", (6,))  # type: ignore[union-attr]
    b.append(memoryview(b"three"), (3,))  # type: ignore[union-attr]
    a.append(b"one", (1,))  # type: ignore[union-attr]
    b.append(b"four", (4,))  # type: ignore[union-attr]
    assert b.commit() == 9
    assert notes == ["a: one (1,)"]
    assert a.commit() == 7
    assert notes == [
        "a: one (1,)", "a ends", "b: three (3,)", "b: four (4,)", "b ends", "c: six (6,)",
    ]  # fmt: skip
    c.append(b"seven", (7,))  # type: ignore[union-attr]
    c.commit()
    assert notes[-2:] == ["c: seven (7,)", "c ends"]
    assert open_files() == files


def test_placed_frames_end_in_their_order() -> None:
    notes: list[str] = []
    line = Lineup()
    sinks = [line.join(Placed(name, notes), waits=True) for name in "abc"]  # type: ignore[arg-type]
    for sink in (sinks[2], sinks[1], sinks[0]):
        sink.commit()
    assert notes == ["a ends", "b ends", "c ends"]


def test_frames_that_are_not_complete_are_dropped() -> None:
    notes: list[str] = []
    line, files = Lineup(), open_files()
    a, b, c = (line.join(Frame(name, notes), waits=True) for name in "abc")  # type: ignore[arg-type]
    a.commit()
    b.append(b"three", (3,))  # type: ignore[union-attr]
    c.append(b"six", (6,))  # type: ignore[union-attr]
    c.commit()
    line.close()
    line.close()
    assert sorted(notes) == ["a ends", "b is dropped", "b: three (3,)", "c is dropped"]
    assert open_files() == files


@pytest.mark.parametrize("waits", [False, True])
def test_bytes_that_wait_are_planned(waits: bool) -> None:
    sink = Lineup().join(Frame("a", []), waits=waits)  # type: ignore[arg-type]
    assert sink.scratch_bytes == waits * Frame.encoder.bound(4)  # type: ignore[union-attr]
