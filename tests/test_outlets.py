"""Parts land in any order, and leave for their sink in the order that it wants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine.fold import Fold
from imgpipe.engine.outlets import DeferredOutlet, MeasuredOutlet, OrderedOutlet, PlacedOutlet
from imgpipe.engine.tasks import Part
from imgpipe.engine.worker import Encoded, Receipt
from imgpipe.errors import OutputError
from imgpipe.events import Event, SpanDone, Written
from imgpipe.formats.arrays import PlacedArraySink
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

COUNT = 8
ORDERS = st.permutations(range(COUNT))


def part(turn: int) -> Part:
    return Part(0, turn, Box(10 * turn, 0, 10 * turn + 10, 5))


class Sink:
    """Gets units of bytes."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def append(self, data: memoryview, facts: Sequence[int]) -> None:
        if bytes(data) == b"full":
            raise OutputError("the disk is full")
        self.got.append(bytes(data))


def encoded(*units: bytes) -> Receipt:
    sizes = tuple((len(unit), ()) for unit in units)
    return Receipt(encoded=(Encoded(), Encoded(sizes, b"".join(units))))


@given(ORDERS)
def test_encoded_units_leave_from_top_to_bottom(order: list[int]) -> None:
    sink, events = Sink(), list[Event]()
    outlet = OrderedOutlet(sink, COUNT, events.append)  # type: ignore[arg-type]
    served: list[int] = []
    for turn in order:
        receipt = encoded(b"a%d" % turn, b"bb%d" % turn)
        served += [ready.turn for ready in outlet.land(part(turn), receipt, 1)]
    assert served == list(range(COUNT))
    assert sink.got == [unit for n in range(COUNT) for unit in (b"a%d" % n, b"bb%d" % n)]
    written = [event for event in events if isinstance(event, Written)]
    assert (written[-1].pixels, written[-1].size) == (COUNT * 50, COUNT * 5)
    spans = [event.box for event in events if isinstance(event, SpanDone)]
    assert spans == [part(turn).box for turn in range(COUNT)]


def test_a_part_whose_turn_has_not_come_is_not_served() -> None:
    outlet = OrderedOutlet(Sink(), 2, lambda _: None)  # type: ignore[arg-type]
    assert list(outlet.land(part(1), encoded(b"b"), 1)) == []
    assert [one.turn for one in outlet.land(part(0), encoded(b"a"), 1)] == [0, 1]


def test_a_sink_that_cannot_be_written_is_an_error() -> None:
    outlet = OrderedOutlet(Sink(), 2, lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="full"):
        list(outlet.land(part(0), encoded(b"full"), 1))


@given(ORDERS)
def test_pixels_that_are_in_place_are_counted(order: list[int]) -> None:
    info = ImageInfo(10 * COUNT, 5, 3, np.dtype("uint16"))
    events: list[Event] = []
    sink = PlacedArraySink(info, np.zeros(info.shape, info.dtype))
    for outlet in (PlacedOutlet(sink, events.append), DeferredOutlet()):
        for turn in order:
            assert list(outlet.land(part(turn), Receipt(), 0)) == [part(turn)]
    assert [event.size for event in events if isinstance(event, Written)] == [
        300 * n for n in range(1, COUNT + 1)
    ]


@given(ORDERS)
def test_measurements_are_folded_in_the_order_of_the_image(order: list[int]) -> None:
    fold, served = Fold(COUNT), []
    outlet = MeasuredOutlet(fold, COUNT)
    for turn in order:
        served += [ready.turn for ready in outlet.land(part(turn), Receipt(measured=turn), 0)]
    assert served == list(range(COUNT))
    assert fold.due() == tuple(range(COUNT))
