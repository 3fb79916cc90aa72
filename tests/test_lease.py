"""Every task under way has a place of its own, and there are as many places as tasks."""

from __future__ import annotations

import numpy as np
import pytest

from imgpipe.cleanup import CleanupStack
from imgpipe.engine import buffers
from imgpipe.engine.lease import Lease


@pytest.mark.parametrize("notes", [False, True])
def test_places_are_apart_from_each_other(notes: bool) -> None:
    with CleanupStack() as held:
        lease = Lease(3, (5000, 0, 100), notes=notes, held=held)
        places = [lease.take() for _ in range(3)]
        assert not lease
        slots = [slot for place in places for slot in place.outputs if slot is not None]
        slots += [place.note for place in places if place.note is not None]
        slots += [lease.beside] if lease.beside is not None else []
        assert len(slots) == 3 * 2 + notes * 4
        for number, slot in enumerate(slots):
            slot.array((slot.size,), np.dtype("uint8"))[:] = number
        for number, slot in enumerate(slots):
            assert (slot.array((slot.size,), np.dtype("uint8")) == number).all()


def test_a_place_that_is_given_back_is_free() -> None:
    with CleanupStack() as held:
        lease = Lease(2, (10,), notes=False, held=held)
        first, second = lease.take(), lease.take()
        assert first.outputs != second.outputs
        lease.give_back(second)
        assert lease
        assert lease.take() is second
        assert not lease


def test_its_memory_goes_with_what_holds_it() -> None:
    before = set(buffers._attached)
    with CleanupStack() as held:
        Lease(2, (10, 20), notes=True, held=held)
        assert len(set(buffers._attached) - before) == 3
    assert set(buffers._attached) == before
