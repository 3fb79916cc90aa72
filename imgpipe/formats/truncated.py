"""Truncated files: sources without their last rows, as the size of the file shows."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from imgpipe.formats.base import RandomSource
from imgpipe.formats.losses import Losses, emptied
from imgpipe.formats.rows import COPY_BYTES
from imgpipe.formats.wrapper import Wrapper
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["CutSource", "stretches"]


@dataclass(frozen=True, eq=False)
class CutSource(Wrapper[RandomSource]):
    """An image in a cut-off file, whose missing rows are known.

    Attributes
    ----------
    kept : tuple of (int, int)
        The first row, and the one after the last, of all stretches of rows that are there.
    marks : Losses or None
        The same, for the caller.
    blank : float or None
        The value of missing pixels; 0 by default.
    """

    access: ClassVar[Literal["random"]] = "random"
    kept: tuple[tuple[int, int], ...]
    marks: Losses | None = None
    blank: float | None = None

    @property
    def losses(self) -> Losses | None:
        """The rows that are missing."""
        return self.marks

    @property
    def missing(self) -> list[tuple[int, int]]:
        """The stretches of rows that are missing."""
        edges = [0, *(row for stretch in self.kept for row in stretch), self.source.info.height]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(begin, end) for begin, end in pairs if begin < end]

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        return getattr(self.source, "details", {})

    @property
    def decode_bytes(self) -> int:
        """Memory that a reader needs beside the pixels: that of the source, and some rows."""
        return self.source.decode_bytes + COPY_BYTES + self.source.info.row_bytes

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        info = self.source.info
        out = np.empty((*box.shape, info.channels), info.dtype)
        emptied(out, info, self.blank)
        for y0, y1 in self.kept:
            part = box.intersect(Box(y0, 0, y1, info.width))
            if part.area:
                step = max(1, COPY_BYTES // (part.width * info.channels * info.dtype.itemsize))
                for each in part.cut(step, part.width):
                    out[each.within(box)] = self.source.read(each)
        return out


def stretches(flags: Any) -> list[tuple[int, int]]:
    """Return begin and end of each stretch of True."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
