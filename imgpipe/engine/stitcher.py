"""Stitcher: a buffer where results land in any order and leave in order, without a gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Stitcher"]

T = TypeVar("T")


class Stitcher(Generic[T]):
    """A reorder buffer.

    Parameters
    ----------
    bound : int
        Largest number of results that wait at once; the window of tasks is never wider.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._waiting: dict[int, T] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def land(self, index: int, result: T) -> None:
        """Take the result of task `index`.

        Raises
        ------
        RuntimeError
            If it has landed before, or more results wait than the bound allows.
        """
        if index < self._next or index in self._waiting:
            raise RuntimeError(f"result {index} landed twice")
        if len(self._waiting) >= self._bound:
            raise RuntimeError(f"more than {self._bound} results wait for number {self._next}")
        self._waiting[index] = result

    def pop(self) -> Iterator[T]:
        """Yield every result whose turn has come."""
        while self._next in self._waiting:
            result = self._waiting.pop(self._next)
            self._next += 1
            yield result
