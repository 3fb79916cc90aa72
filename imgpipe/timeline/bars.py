"""Bars of a lane, thinned: a bounded number of them, however many come."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from imgpipe.geometry import Box

__all__ = ["STAGES", "Bar", "Bars"]

STAGES = "read", "filter", "encode", "write", "other"
"""Stages of a task. ``other`` is the rest of its time, such as the import of a filter."""

_FIELDS = 16
_START, _END = 0, 1
_ADDED = slice(3, 9)  # the stages and the number


class Bar(NamedTuple):
    """A task, a read or a write; or several of them, drawn as one.

    Attributes
    ----------
    start, end : float
        From the beginning of the first to the end of the last.
    made : float
        Time at which the first was made.
    stages : tuple of float
        Seconds in each of `STAGES`, of all together. Their sum is the busy time.
    number : int
        Number of units of work in the bar.
    kind, run, task : int
        Numbers of the kind, of the run, and of the task within its pass; of the first.
    box : Box
        Pixels of the first.
    """

    start: float
    end: float
    made: float
    stages: tuple[float, ...]
    number: int
    kind: int
    run: int
    task: int
    box: Box


class Bars:
    """Bars in the order of time.

    Above the limit, bars shorter than a pixel are merged with their neighbours. The pixel grows
    until half of the limit is enough.
    """

    def __init__(self) -> None:
        self._data = array("d")  # 128 bytes a bar, a fifth of that in Python objects
        self._pixel = 0.0  # seconds

    def __len__(self) -> int:
        return len(self._data) // _FIELDS

    def __iter__(self) -> Iterator[Bar]:
        for at in range(0, len(self._data), _FIELDS):
            start, end, made, *rest = self._data[at : at + _FIELDS]
            stages, (number, kind, run, task, *box) = tuple(rest[:5]), map(int, rest[5:])
            yield Bar(start, end, made, stages, number, kind, run, task, Box(*box))

    def add(self, bar: Bar, limit: int) -> None:
        """Add a bar, and keep at most `limit` of them."""
        self._put(bar)
        if len(self) > limit:
            self.thin(limit // 2)

    def thin(self, limit: int) -> None:
        """Merge neighbours until there are at most `limit` bars, or one."""
        if len(self) <= max(1, limit):
            return
        rows = np.frombuffer(self._data).reshape(-1, _FIELDS)
        first = (rows[:, _END].max() - rows[0, _START]) / (8 * limit + 8)  # rather too fine
        self._pixel = max(self._pixel, float(first), 1e-9)
        while len(rows := _merged(rows, self._pixel)) > max(1, limit):
            self._pixel *= 2
        self._data = array("d", rows.tobytes())

    def _put(self, bar: Bar) -> None:
        box = bar.box
        self._data.extend((bar.start, bar.end, bar.made, *bar.stages, bar.number, bar.kind))
        self._data.extend((bar.run, bar.task, box.y0, box.x0, box.y1, box.x1))


def _merged(rows: Any, pixel: float) -> Any:
    """Return rows of bars in which short neighbours that begin in one pixel are one."""
    start, end = rows[:, _START], rows[:, _END]
    short, column = end - start <= pixel, np.floor_divide(start, pixel)
    same = short[1:] & short[:-1] & (column[1:] == column[:-1])
    firsts = np.flatnonzero(np.concatenate(([True], ~same)))
    found = rows[firsts]
    found[:, _START] = np.minimum.reduceat(start, firsts)
    found[:, _END] = np.maximum.reduceat(end, firsts)
    found[:, _ADDED] = np.add.reduceat(rows[:, _ADDED], firsts)
    return found
