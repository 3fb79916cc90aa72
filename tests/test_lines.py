"""Weighted sums of bytes along lines, in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from imgpipe.image import Pixels
from imgpipe.kernels.lines import additions, lines, whole_weights

DESIGNS = [(3, 0.4), (3, 0.6), (5, 0.8), (7, 1.2), (9, 1.5), (13, 2.0), (21, 3.7)]


def stated(chunk: Pixels, radius: int, taps: int, spread: float) -> Pixels:
    """The formula, written out."""
    side = whole_weights(taps, spread)
    weights = np.array([*side[:0:-1], *side])
    whole = chunk.astype(int)
    for axis in (0, 1):
        whole = (ndimage.correlate1d(whole, weights, axis=axis) + 128) >> 8
    return whole[radius:-radius, radius:-radius].astype(np.uint8)


@given(
    st.sampled_from(DESIGNS),
    st.tuples(st.integers(1, 40), st.integers(1, 90), st.integers(1, 5)),
    st.integers(0, 2),
    st.integers(0, 9),
)
def test_compute_the_formula(
    design: tuple[int, float], shape: tuple[int, int, int], more: int, seed: int
) -> None:
    radius = design[0] // 2 + more
    rows, columns, channels = shape
    random = np.random.default_rng(seed)
    size = rows + 2 * radius, columns + 2 * radius, channels
    chunk = random.integers(0, 256, size, np.uint8) if seed else np.full(size, 255, np.uint8)
    made = lines(chunk, radius, *design)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, stated(chunk, radius, *design))


def test_of_a_chunk_that_takes_many_parts() -> None:
    chunk = np.random.default_rng(0).integers(0, 256, (207, 1312, 3), np.uint8)
    np.testing.assert_array_equal(lines(chunk, 6, 13, 2.0), stated(chunk, 6, 13, 2.0))


def test_weights_are_those_of_opencv() -> None:
    assert whole_weights(13, 2.0) == (52, 45, 31, 16, 7, 2, 1)
    assert whole_weights(5, 0.8) == (128, 58, 6)


@pytest.mark.parametrize("taps", [3, 5, 9, 13, 17, 25])
def test_a_product_has_the_sum_of_the_weights(taps: int) -> None:
    for spread in np.linspace(taps / 12, taps / 4, 25):
        weights = whole_weights(taps, float(spread))
        plan = additions(weights)
        line = np.zeros(2 * plan.rest + 1, int)
        for _, weight, distances in plan.groups:
            for distance in distances:
                line[plan.rest + distance] = line[plan.rest - distance] = weight
        for distance in plan.pairs:
            pair = np.zeros(distance + 1, int)
            pair[[0, -1]] = 1
            line = np.convolve(line, pair)
        assert line.tolist() == [*weights[:0:-1], *weights]


def test_a_product_takes_fewer_operations() -> None:
    assert additions((50, 45, 31, 17, 7, 2, 1)).pairs == (1, 1, 2)
    assert additions((50, 45, 31, 17, 7, 2, 1)).operations == 11
