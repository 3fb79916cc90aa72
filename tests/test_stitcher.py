"""Results land in any order and leave in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine.stitcher import Stitcher


@given(st.permutations(range(12)))
def test_any_order_of_landing_leaves_in_order(order: list[int]) -> None:
    stitcher: Stitcher[int] = Stitcher(12)
    out: list[int] = []
    for index in order:
        stitcher.land(index, index * 10)
        out += stitcher.pop()
    assert out == [index * 10 for index in range(12)]
    assert len(stitcher) == 0


def test_nothing_leaves_before_its_turn() -> None:
    stitcher: Stitcher[str] = Stitcher(3)
    stitcher.land(1, "b")
    assert list(stitcher.pop()) == []
    stitcher.land(0, "a")
    assert list(stitcher.pop()) == ["a", "b"]


def test_the_number_of_waiting_results_is_bounded() -> None:
    stitcher: Stitcher[str] = Stitcher(2)
    stitcher.land(1, "b")
    stitcher.land(2, "c")
    with pytest.raises(RuntimeError, match="more than 2"):
        stitcher.land(3, "d")


def test_a_result_lands_once() -> None:
    stitcher: Stitcher[str] = Stitcher(2)
    stitcher.land(0, "a")
    with pytest.raises(RuntimeError, match="twice"):
        stitcher.land(0, "a")
    list(stitcher.pop())
    with pytest.raises(RuntimeError, match="twice"):
        stitcher.land(0, "a")
