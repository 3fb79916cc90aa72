"""Rows: the reading of parts of a sequential source, from top to bottom."""

from __future__ import annotations

import contextlib
from typing import cast

import numpy as np

from imgpipe.formats.base import Check, Rows, SequentialSource, Source, WholeSource
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["COPY_BYTES", "RowsOf", "decode"]

COPY_BYTES = 4 << 20
"""Bytes that are read or copied between two checks for the end of the run."""


def decode(
    source: SequentialSource | WholeSource, out: Pixels, check: Check = lambda: None
) -> None:
    """Fill `out`, shape (height, width, channels), with the whole image.

    Calls `check` every few megabytes; an exception of `check` ends the decoding. Sources that can
    decode small files without a stream have a function `at_once`, which says if it has done so.
    """
    if source.access == "whole":
        source.decode_into(out, check)
        return
    at_once = getattr(source, "at_once", None)
    if at_once is not None and at_once(out):
        return
    step = max(1, COPY_BYTES // source.info.row_bytes)
    with contextlib.closing(RowsOf(source, check)) as rows:
        for at in range(0, len(out), step):
            check()
            rows.read_into(out[at : at + step])
        rows.finish()


class RowsOf:
    """A position in a sequential source that skips rows, and reads overlapping parts.

    Parameters
    ----------
    source : SequentialSource
        The image.
    check : callable, optional
        Raises if reading is to end.
    ahead : bool, default False
        Whether the source may decode in a thread of its own.
    """

    def __init__(self, source: Source, check: Check = lambda: None, *, ahead: bool = False) -> None:
        self._info, self._check = source.info, check
        self._rows: Rows = cast(SequentialSource, source).rows(ahead=ahead)
        self._next, self._finished = 0, False
        self._band, self._band_end = self._lines(0), 0

    def read_into(self, out: Pixels) -> None:
        """Fill `out` with the next rows."""
        self._rows.read_into(out)
        self._next += len(out)

    def skip_to(self, row: int) -> None:
        """Pass rows over until `row` is the next."""
        while self._next < row:
            self._check()
            self.read_into(self._lines(min(self._step, row - self._next)))

    def fill(self, band: Pixels, row: int) -> None:
        """Fill `band` with the rows from `row` on.

        Bands go down the image, with both ends. Rows of the last band are copied from it.
        """
        common = max(0, self._band_end - row)
        if common:
            band[:common] = self._band[len(self._band) - common :][: len(band)]
        if common < len(band):
            self.skip_to(row + common)
            self.read_into(band[common:])
        self._band, self._band_end = band, row + len(band)

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`, whose rows are all still to come."""
        out = np.empty((*box.shape, *self._info.shape[2:]), self._info.dtype)
        self.skip_to(box.y0)
        for part in Box(box.y0, 0, box.y1, self._info.width).cut(self._step, self._info.width):
            target = out[part.y0 - box.y0 : part.y1 - box.y0]
            lines = target if box.width == part.width else self._lines(part.height)
            self.read_into(lines)
            if lines is not target:
                target[:] = lines[:, box.x0 : box.x1]
        self.finish()
        return out

    def finish(self) -> None:
        """Check the end of the file, once, if the last row was read."""
        if self._next == self._info.height and not self._finished:
            self._finished = True
            self._rows.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    @property
    def _step(self) -> int:
        return max(1, COPY_BYTES // self._info.row_bytes)

    def _lines(self, count: int) -> Pixels:
        return np.empty((count, *self._info.shape[1:]), self._info.dtype)
