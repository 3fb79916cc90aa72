"""Boxes are half-open and never touch pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.geometry import Box, equal, equal_at_most, pieces

sides = st.integers(0, 40)
boxes = st.builds(
    lambda y, x, h, w: Box(y, x, y + h, x + w),
    st.integers(-30, 30),
    st.integers(-30, 30),
    sides,
    sides,
)


def pixels_of(box: Box) -> set[tuple[int, int]]:
    return {(y, x) for y in range(box.y0, box.y1) for x in range(box.x0, box.x1)}


@given(boxes, boxes)
def test_intersection_is_what_both_hold(one: Box, other: Box) -> None:
    assert pixels_of(one.intersect(other)) == pixels_of(one) & pixels_of(other)


@given(boxes, boxes)
def test_containing_is_holding_every_pixel(one: Box, other: Box) -> None:
    if not other.empty:
        assert one.contains(other) == (pixels_of(other) <= pixels_of(one))


@given(boxes, st.integers(1, 17), st.integers(1, 17))
def test_a_cut_holds_every_pixel_exactly_once(box: Box, rows: int, columns: int) -> None:
    count = np.zeros((80, 80), int)
    for part in box.cut(rows, columns):
        assert not part.empty
        assert part.height <= rows
        assert part.width <= columns
        count[part.within(Box(-30, -30, 50, 50))] += 1
    expected = np.zeros_like(count)
    expected[box.within(Box(-30, -30, 50, 50))] = 1
    np.testing.assert_array_equal(count, expected)


def test_growing_shifting_and_clipping() -> None:
    box = Box(2, 3, 5, 9)
    assert box.grow((1, 2)) == Box(1, 1, 6, 11)
    assert box.shift(-2, 4) == Box(0, 7, 3, 13)
    assert box.grow((9, 9)).clip(7, 10) == Box.of(7, 10)
    assert (box.height, box.width, box.shape, box.area) == (3, 6, (3, 6), 18)


@given(st.integers(1, 5000), st.integers(1, 700), st.integers(1, 40))
def test_equal_pieces_cover_a_length_and_differ_in_the_last_only(
    length: int, count: int, multiple: int
) -> None:
    size = equal(length, count, multiple)
    found = list(pieces(length, size))
    assert size % multiple == 0
    assert len(found) <= count
    assert [index for piece in found for index in range(length)[piece]] == list(range(length))
    assert {piece.stop - piece.start for piece in found[:-1]} <= {size}


@given(st.integers(1, 5000), st.integers(1, 700))
def test_equal_pieces_are_as_few_as_their_largest_size_allows(length: int, most: int) -> None:
    size = equal_at_most(length, most)
    assert size <= most
    assert len(list(pieces(length, size))) == -(-length // most)
