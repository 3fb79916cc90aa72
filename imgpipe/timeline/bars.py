"""Bars of a lane, thinned: a bounded number of them, however many come."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from imgpipe.geometry import Box

__all__ = ["STAGES", "Bar", "Bars"]

STAGES = "read", "filter", "encode", "write", "other"
"""Stages of a task. ``other`` is the rest of its time, such as the import of a filter."""

_FIELDS = 16


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
        How many there are.
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
        self._put(self._data, bar)
        if len(self) > limit:
            self.thin(limit // 2)

    def thin(self, limit: int) -> None:
        """Merge neighbours until there are at most `limit` bars, or one."""
        if len(self) <= max(1, limit):
            return
        # More of the finest pixels than bars: the first guess is too fine rather than too coarse.
        span = max(bar.end for bar in self) - self._data[0]
        self._pixel = max(self._pixel, span / (8 * limit + 8), 1e-9)
        while len(self) > max(1, limit):
            self._merge()
            self._pixel *= 2

    def _merge(self) -> None:
        data = array("d")
        last: Bar | None = None
        for bar in self:
            if last is not None and self._is_short(last) and self._is_short(bar):
                joined = _joined(last, bar)
                if joined.end - joined.start <= self._pixel:
                    last = joined
                    continue
            if last is not None:
                self._put(data, last)
            last = bar
        if last is not None:
            self._put(data, last)
        self._data = data

    def _is_short(self, bar: Bar) -> bool:
        return bar.end - bar.start <= self._pixel

    @staticmethod
    def _put(data: array[float], bar: Bar) -> None:
        box = bar.box
        data.extend((bar.start, bar.end, bar.made, *bar.stages, bar.number, bar.kind))
        data.extend((bar.run, bar.task, box.y0, box.x0, box.y1, box.x1))


def _joined(one: Bar, other: Bar) -> Bar:
    stages = tuple(map(sum, zip(one.stages, other.stages, strict=True)))
    end = max(one.end, other.end)
    return one._replace(
        start=min(one.start, other.start), end=end, stages=stages, number=one.number + other.number
    )
