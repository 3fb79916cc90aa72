"""Rerouted sinks: rows come back to this process, which places or encodes them."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from imgpipe.formats.arrays import RawEncoder
from imgpipe.formats.base import Data, Facts, OrderedSink, Sink, aside_of, further_of
from imgpipe.geometry import Box
from imgpipe.image import Pixels

__all__ = ["Rerouted"]


class Rerouted:
    """An ordered sink of rows that fills another sink.

    Parameters
    ----------
    sink : Sink
        A placed sink, or an ordered one that uses pixels aside.
    """

    kind: ClassVar[Literal["ordered"]] = "ordered"

    def __init__(self, sink: Sink) -> None:
        self.info, rows = sink.info, sink.unit[0]
        self.encoder = RawEncoder(sink.info.row_bytes)
        self.unit = -(-self.encoder.unit[0] // rows) * rows, 0  # whole units of the sink
        self.seal_bytes = sink.seal_bytes if sink.kind == "placed" else 0
        self.further = tuple((source, Rerouted(level)) for source, level in further_of(sink))
        self._sink, self._next = sink, 0

    def append(self, data: Data, facts: Facts) -> None:
        """Place or encode the next rows."""
        info, top = self.info, self._next
        rows = np.frombuffer(data, info.dtype).reshape(-1, *info.shape[1:])
        self._next += len(rows)
        box = Box(top, 0, self._next, info.width)
        if self._sink.kind == "ordered":
            self._encode(self._sink, box, rows)
            return
        place = self._sink.placer.rows(box)
        if place is not None:
            place[...] = rows
            rows = place
        self._sink.placer.place(box, rows)

    def _encode(self, sink: OrderedSink, box: Box, rows: Pixels) -> None:
        """Encode whole units of an ordered sink, which needs no rows above them."""
        aside, encoder = aside_of(sink), sink.encoder
        if aside is not None:
            aside.place(box, rows)
        for unit in box.cut(sink.unit[0], sink.unit[1] or box.width):
            sink.append(*encoder.encode(np.ascontiguousarray(rows[unit.within(box)]), None))

    def commit(self) -> int:
        """Seal and publish the file; return its size in bytes."""
        if self._sink.kind == "placed":
            self._sink.placer.seal()
        return self._sink.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._sink.abort()
