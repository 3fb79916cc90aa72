"""Rows: a position in a sequential source that can also pass rows over."""

from __future__ import annotations

from typing import cast

import numpy as np

from imgpipe.formats.base import Check, Rows, SequentialSource, Source
from imgpipe.image import Pixels

__all__ = ["COPY_BYTES", "RowsOf"]

COPY_BYTES = 4 << 20
"""Bytes that are read or copied between two looks at whether that is to end."""


class RowsOf:
    """A position in a sequential source that can also pass rows over."""

    def __init__(self, source: Source, check: Check, *, ahead: bool = False) -> None:
        self._info, self._check = source.info, check
        self._rows: Rows = cast(SequentialSource, source).rows(ahead=ahead)
        self._next = 0

    def read_into(self, out: Pixels) -> None:
        """Fill `out` with the next rows."""
        self._rows.read_into(out)
        self._next += len(out)

    def skip_to(self, row: int) -> None:
        """Pass rows over until `row` is the next."""
        step = max(1, COPY_BYTES // self._info.row_bytes)
        while self._next < row:
            self._check()
            count = min(step, row - self._next)
            self.read_into(np.empty((count, *self._info.shape[1:]), self._info.dtype))

    def finish(self) -> None:
        """Check what follows the last row, if that is where this position is."""
        if self._next == self._info.height:
            self._rows.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()
