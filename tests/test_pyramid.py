"""Gaussians of bytes by way of every second row and column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

import imgpipe
from imgpipe.borders import Border
from imgpipe.filters import adaptive_threshold, blur, unsharp
from imgpipe.image import Pixels
from imgpipe.kernels.lines import whole_weights
from imgpipe.kernels.pyramid import pyramid, reach
from tests.test_gaussian import random_image

DESIGNS = [
    (1, 3, 0.63),
    (1, 5, 0.78),
    (2, 7, 1.2),
    (2, 3, 0.6),
    (3, 3, 0.5),
]


def summed(whole: Pixels, weights: list[int], half: int, shift: int) -> Pixels:
    for axis in (0, 1):
        whole = ndimage.correlate1d(whole, np.array(weights), axis=axis)
    return (whole + half) >> shift


def stated(image: Pixels, levels: int, taps: int, spread: float) -> Pixels:
    """The formula, written out for a whole image; values near its ends are junk."""
    whole = image.astype(int)
    if not levels:
        side = whole_weights(taps, spread)
        for axis in (0, 1):
            line = np.array([*side[:0:-1], *side])
            whole = (ndimage.correlate1d(whole, line, axis=axis) + 128) >> 8
        return whole
    small = summed(whole, [1, 4, 6, 4, 1], 128, 8)[::2, ::2]
    small = stated(small, levels - 1, taps, spread)
    apart = np.zeros_like(whole)
    apart[::2, ::2] = small
    return summed(apart, [1, 4, 6, 4, 1], 32, 6)


BIG = random_image(np.uint8, (205, 331, 3))
EDGE = 48
STATED = {design: stated(BIG, *design) for design in DESIGNS}


@given(
    st.sampled_from(DESIGNS),
    st.tuples(st.integers(EDGE, 150), st.integers(EDGE, 270)),
    st.tuples(st.integers(1, 150), st.integers(1, 270)),
    st.integers(0, 2),
)
def test_a_chunk_is_the_formula_wherever_it_is(
    design: tuple[int, int, float],
    start: tuple[int, int],
    size: tuple[int, int],
    more: int,
) -> None:
    (levels, taps, spread), (y, x) = design, start
    radius = reach(levels, taps) + more
    rows, columns = (
        min(length, end - EDGE - at)
        for length, end, at in zip(size, BIG.shape, start, strict=False)
    )
    chunk = BIG[y - radius : y + rows + radius, x - radius : x + columns + radius]
    first = y % 2**levels, x % 2**levels
    made = pyramid(chunk, radius, first, levels, taps, spread)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, STATED[design][y : y + rows, x : x + columns])


def test_a_chunk_that_takes_many_parts() -> None:
    design = 1, 3, 0.63
    big = random_image(np.uint8, (211, 1203, 3))
    made = pyramid(big[1:-1, 1:-1], 9, (0, 0), *design)
    np.testing.assert_array_equal(made, stated(big, *design)[10:-10, 10:-10])


@pytest.mark.parametrize("first", [(0, 0), (1, 2), (3, 1)])
@pytest.mark.parametrize("design", DESIGNS)
def test_a_flat_image_stays_as_it_is(
    design: tuple[int, int, float], first: tuple[int, int]
) -> None:
    radius = reach(*design[:2])
    levels = np.arange(256, dtype=np.uint8)  # that of 255 is the largest sum there is
    chunk = np.broadcast_to(levels, (3 + 2 * radius, 5 + 2 * radius, 256))
    assert (pyramid(chunk, radius, first, *design) == levels).all()


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_channels_are_not_mixed(channels: int) -> None:
    design = 1, 3, 0.63
    chunk = random_image(np.uint8, (27, 33, channels))
    made = pyramid(chunk, 7, (1, 0), *design)
    for c in range(channels):
        alone = pyramid(chunk[..., c : c + 1], 7, (1, 0), *design)
        np.testing.assert_array_equal(made[..., c : c + 1], alone)


@pytest.mark.parametrize("border", ["edge", "reflect", "wrap", "constant"])
@pytest.mark.parametrize("chunk", [(1, 30), (7, 11), 64])
@pytest.mark.parametrize("sigma", [2.0, 2.5, 9.0])
def test_blurs_are_the_same_under_any_cut(sigma: float, chunk: Any, border: Border) -> None:
    image, one = random_image(np.uint8, (41, 53, 3)), blur(sigma=sigma, border=border)
    np.testing.assert_array_equal(imgpipe.apply(image, one, chunk=chunk), one(image))


@pytest.mark.parametrize(
    "one", [unsharp(radius=3.5), adaptive_threshold(radius=11, method="gaussian", offset=0)]
)
def test_filters_say_where_their_chunks_are(one: imgpipe.Filter) -> None:
    image = random_image(np.uint8, (41, 53, 1))
    np.testing.assert_array_equal(imgpipe.apply(image, one, chunk=(7, 11)), one(image))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (9, 1, 3), (2, 2, 1)])
@pytest.mark.parametrize("sigma", [2.0, 9.0])
def test_small_images(sigma: float, shape: tuple[int, int, int]) -> None:
    image = random_image(np.uint8, shape)
    wanted = ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest")
    assert np.abs(imgpipe.apply(image, blur(sigma=sigma)) - wanted).max() <= 1.5
