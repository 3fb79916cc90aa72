"""Placed sinks out of the workers' reach: rows come back, and this process places them."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from imgpipe.formats.arrays import RawEncoder
from imgpipe.formats.base import Data, Facts, PlacedSink
from imgpipe.geometry import Box

__all__ = ["Rerouted"]


class Rerouted:
    """An ordered sink that fills a placed one.

    Parameters
    ----------
    sink : PlacedSink
        Takes the rows.
    """

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, sink: PlacedSink) -> None:
        self.info, self.encoder = sink.info, RawEncoder(sink.info.row_bytes)
        self.unit, self.seal_bytes = self.encoder.unit, sink.seal_bytes
        self._sink, self._next = sink, 0

    def append(self, data: Data, facts: Facts) -> None:
        """Place the next rows."""
        info, top = self.info, self._next
        rows = np.frombuffer(data, info.dtype).reshape(-1, *info.shape[1:])
        self._next += len(rows)
        box = Box(top, 0, self._next, info.width)
        place = self._sink.placer.rows(box)
        if place is not None:
            place[...] = rows
            rows = place
        self._sink.placer.place(box, rows)

    def commit(self) -> int:
        """Seal and publish the file; return its size in bytes."""
        self._sink.placer.seal()
        return self._sink.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._sink.abort()
