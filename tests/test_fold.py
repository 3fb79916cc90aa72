"""Measurements become one, in the order of the image, however they come and are merged."""

from __future__ import annotations

from collections import deque
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine.fold import Fold


@given(total=st.integers(1, 60), late=st.lists(st.booleans(), max_size=200))
def test_all_are_merged_in_order_one_merge_at_a_time(total: int, late: list[bool]) -> None:
    fold, lateness, merges = Fold(total), deque(late), 0
    to_come, under_way = deque([n] for n in range(total)), tuple[list[int], ...]()
    while fold.open:
        if under_way and not (to_come and lateness and lateness.popleft()):
            fold.land(list(chain(*under_way)))
            under_way = ()
        elif to_come:
            fold.add(to_come.popleft())
        if due := fold.due():
            assert not under_way
            assert len(due) > 1
            under_way, merges = due, merges + 1
    assert fold.result == list(range(total))
    assert not to_come
    assert merges <= max(1, total // 4)


def test_one_measurement_needs_no_merge() -> None:
    fold = Fold(1)
    fold.add("all")
    assert fold.due() == ()
    assert not fold.open
    assert fold.result == "all"


def test_a_few_wait_until_they_are_worth_a_task() -> None:
    fold = Fold(100)
    for n in range(7):
        fold.add(n)
        assert fold.due() == ()
    fold.add(7)
    assert fold.due() == tuple(range(8))


@pytest.mark.parametrize("landed", [None, 0, ()])
def test_any_value_may_be_a_measurement(landed: object) -> None:
    fold = Fold(2)
    fold.add(None)
    fold.add(None)
    assert fold.due() == (None, None)
    fold.land(landed)
    assert not fold.open
    assert fold.result == landed
