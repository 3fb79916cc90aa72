"""Boxes and equal pieces: positions of pixels, never the pixels themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Box", "Halo", "equal", "equal_at_most", "pieces"]

Halo = tuple[int, int]
"""Rows and columns of context that a filter needs on each side of a chunk."""


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open rectangle of pixels: rows ``y0 <= y < y1``, columns ``x0 <= x < x1``."""

    y0: int
    x0: int
    y1: int
    x1: int

    @classmethod
    def of(cls, height: int, width: int) -> Box:
        """Return the box of a whole image of `height` by `width` pixels."""
        return cls(0, 0, height, width)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def empty(self) -> bool:
        """Return whether the box holds no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of this box in an array whose origin is at 0, 0."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grow(self, halo: Halo) -> Box:
        """Return this box with `halo` rows and columns more on each side."""
        rows, columns = halo
        return Box(self.y0 - rows, self.x0 - columns, self.y1 + rows, self.x1 + columns)

    def shift(self, rows: int, columns: int) -> Box:
        """Return this box moved down by `rows` and right by `columns`."""
        return Box(self.y0 + rows, self.x0 + columns, self.y1 + rows, self.x1 + columns)

    def clip(self, height: int, width: int) -> Box:
        """Return the part of this box inside an image of `height` by `width`."""
        return self.intersect(Box(0, 0, height, width))

    def intersect(self, other: Box) -> Box:
        """Return the common part of both boxes; an empty box where they do not meet."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        return Box(y0, x0, max(y0, min(self.y1, other.y1)), max(x0, min(self.x1, other.x1)))

    def snap(self, rows: int, columns: int) -> Box:
        """Return the smallest box around this one on a grid of so many rows and columns."""
        return Box(
            self.y0 // rows * rows,
            self.x0 // columns * columns,
            -(-self.y1 // rows) * rows,
            -(-self.x1 // columns) * columns,
        )

    def contains(self, other: Box) -> bool:
        """Return whether every pixel of `other` is in this box."""
        return (
            self.y0 <= other.y0
            and self.x0 <= other.x0
            and other.y1 <= self.y1
            and other.x1 <= self.x1
        )

    def within(self, origin: Box) -> tuple[slice, slice]:
        """Return the index of this box in an array that holds the pixels of `origin`."""
        return self.shift(-origin.y0, -origin.x0).slices

    def cut(self, rows: int, columns: int) -> Iterator[Box]:
        """Yield the boxes of at most `rows` by `columns` that make up this one, row by row."""
        for y in range(self.y0, self.y1, rows):
            for x in range(self.x0, self.x1, columns):
                yield Box(y, x, min(y + rows, self.y1), min(x + columns, self.x1))


def equal(length: int, count: int, multiple: int = 1) -> int:
    """Return the size of `count` equal pieces, the last of which may be smaller.

    The size is a multiple of `multiple`, so that there may be fewer pieces.
    """
    return -(-length // (count * multiple)) * multiple


def equal_at_most(length: int, most: int) -> int:
    """Return the size of equal pieces of at most `most`, as few as possible."""
    return equal(length, -(-length // most))


def pieces(length: int, size: int) -> Iterator[slice]:
    """Yield the slices of at most `size` that make up a length."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
