"""Fold: the merging of measurements, in the order of the image, into one.

Workers merge, a few measurements at once: a merge function of the user's may crash or hang like any
other.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Fold"]

_AT_ONCE = 8


class Fold:
    """Measurements that are not merged yet.

    Parameters
    ----------
    total : int
        The number of measurements that will come.
    """

    def __init__(self, total: int) -> None:
        self._to_come = total
        self._waiting: list[Any] = []
        self._merging = False

    def add(self, measurement: Any) -> None:
        """Take the next measurement, in the order of the image."""
        self._to_come -= 1
        self._waiting.append(measurement)

    def due(self) -> tuple[Any, ...]:
        """Return the measurements to merge next, in order; none while some are being merged."""
        enough = _AT_ONCE if self._to_come else 2
        if self._merging or len(self._waiting) < enough:
            return ()
        due, self._waiting, self._merging = tuple(self._waiting), [], True
        return due

    def land(self, merged: Any) -> None:
        """Take the result of the last merging."""
        self._waiting.insert(0, merged)
        self._merging = False

    @property
    def open(self) -> bool:
        """Return whether anything is still to come or to be merged."""
        return bool(self._to_come) or self._merging or len(self._waiting) > 1

    @property
    def result(self) -> Any:
        """The merged measurement."""
        return self._waiting[0]
