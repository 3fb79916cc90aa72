"""Outlets: ends of the branches of a flow, which serve the parts in the order of the sink."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Protocol

from imgpipe.engine.fold import Fold
from imgpipe.engine.stitcher import Stitcher
from imgpipe.engine.tasks import Part
from imgpipe.engine.worker import Encoded, Receipt
from imgpipe.events import Observer, SpanDone, Written
from imgpipe.formats.base import OrderedSink, PlacedSink

__all__ = ["DeferredOutlet", "MeasuredOutlet", "OrderedOutlet", "Outlet", "PlacedOutlet"]


class Outlet(Protocol):
    """The end of a branch."""

    def land(self, part: Part, receipt: Receipt, at: int) -> Iterator[Part]:
        """Take the result of `part`, number `at` of its task; yield the parts that are served.

        Raises
        ------
        OutputError
            If the sink cannot be written.
        """


class OrderedOutlet:
    """Outlet to an ordered sink: encoded bytes leave from top to bottom.

    Parameters
    ----------
    sink : OrderedSink
        Gets them.
    bound : int
        Largest number of parts that wait at once.
    on_event : callable
        Gets the events.
    output : int
        Number of the output in its run.
    """

    def __init__(self, sink: OrderedSink, bound: int, on_event: Observer, output: int = 0) -> None:
        self._sink, self._on_event, self._output = sink, on_event, output
        self._stitcher: Stitcher[tuple[Part, Encoded]] = Stitcher(bound)
        self._pixels = self._size = 0

    def land(self, part: Part, receipt: Receipt, at: int) -> Iterator[Part]:
        """Append all parts whose turn has come."""
        self._stitcher.land(part.turn, (part, receipt.encoded[at]))
        for ready, encoded in self._stitcher.pop():
            self._append(ready, encoded)
            yield ready

    def _append(self, part: Part, encoded: Encoded) -> None:
        started = time.monotonic()
        data = part.output.bytes() if part.output else memoryview(encoded.data)
        used = 0
        for size, facts in encoded.units:
            self._sink.append(data[used : used + size], facts)
            used += size
        self._pixels += part.box.area
        self._size += used
        now = time.monotonic()
        self._on_event(SpanDone(time=now, name="write", box=part.box, started=started, ended=now))
        self._on_event(Written(time=now, output=self._output, pixels=self._pixels, size=self._size))


class PlacedOutlet:
    """Outlet of a placed sink: pixels are in their place already, and are only counted."""

    def __init__(self, sink: PlacedSink, on_event: Observer, output: int = 0) -> None:
        self._info, self._on_event, self._output = sink.info, on_event, output
        self._pixels = 0

    def land(self, part: Part, receipt: Receipt, at: int) -> Iterator[Part]:
        """Count `part`, which is served."""
        info = self._info
        self._pixels += part.box.area
        size = self._pixels * info.channels * info.dtype.itemsize
        now = time.monotonic()
        self._on_event(Written(time=now, output=self._output, pixels=self._pixels, size=size))
        yield part


class DeferredOutlet:
    """Outlet of a deferred encoding: another flow encodes the pixels, from a scratch file."""

    def land(self, part: Part, receipt: Receipt, at: int) -> Iterator[Part]:
        """Yield `part`, which is served."""
        yield part


class MeasuredOutlet:
    """Outlet of a pass of measuring: measurements are folded in the order of the image."""

    def __init__(self, fold: Fold, bound: int) -> None:
        self._fold = fold
        self._stitcher: Stitcher[tuple[Part, Any]] = Stitcher(bound)

    def land(self, part: Part, receipt: Receipt, at: int) -> Iterator[Part]:
        """Add all measurements whose turn has come."""
        self._stitcher.land(part.turn, (part, receipt.measured))
        for ready, measured in self._stitcher.pop():
            self._fold.add(measured)
            yield ready
