"""Pixels of a task: chunks are put into them one after the other.

A chunk has a halo, and some filters make its pixels too, which are of no use. Such a filter writes
straight into the strip: what it overwrites beyond its chunk is put back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from imgpipe.geometry import Box, Halo
from imgpipe.image import Pixels

__all__ = ["TaskPixels"]


class TaskPixels(NamedTuple):
    """The pixels of a box, with more rows above and below that may be written over.

    Attributes
    ----------
    box : Box
        The pixels that are wanted.
    halo : (int, int) or None
        Rows and columns on each side of a chunk that its filter may write over, and rows on each
        side of the box; None if the filter writes elsewhere.
    array : ndarray, of the `shape` for these
        The memory.
    """

    box: Box
    halo: Halo | None
    array: Pixels

    @staticmethod
    def shape(box: Box, halo: Halo | None, channels: int) -> tuple[int, int, int]:
        """Return the shape of the memory of a strip."""
        rows, _ = halo or (0, 0)
        return box.height + 2 * rows, box.width, channels

    @property
    def pixels(self) -> Pixels:
        """The pixels of the box."""
        rows, _ = self.halo or (0, 0)
        return self.array[rows : rows + self.box.height]

    def put(self, chunk: Box, make: Callable[[Pixels | None], Pixels]) -> None:
        """Put the pixels of `chunk`, a part of the box, in their place.

        A chunk comes before all that its halo reaches below it or to the right of it, except if it
        has no room: its filter writes elsewhere then.

        `make` returns the pixels. It gets the place of the chunk with its halo, or None if there is
        none. If it writes to the inside of that, it returns a view of it.
        """
        halo = self.halo or (0, 0)
        around, padded = self.box.grow((halo[0], 0)), chunk.grow(halo)
        place = self.array[chunk.within(around)]
        if self.halo is None or not around.contains(padded):
            place[...] = make(None)
            return
        (rows, columns), room = halo, self.array[padded.within(around)]
        above, left = room[:rows].copy(), room[rows:, :columns].copy()
        made = make(room)
        room[:rows], room[rows:, :columns] = above, left
        if not _is_same(made, place):
            place[...] = made


def _is_same(one: Pixels, other: Pixels) -> bool:
    """Return whether two views show the same memory."""
    first, second = one.__array_interface__, other.__array_interface__
    return one.strides == other.strides and first["data"][0] == second["data"][0]
