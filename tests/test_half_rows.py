"""The Gaussian of sigma 2 for 8-bit images, by way of every second row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgpipe
from imgpipe.borders import Border
from imgpipe.filters import blur
from imgpipe.kernels.half_rows import RADIUS, SIGMA, blurred_by_half
from tests.test_gaussian import PHOTOGRAPHS, Pixels, exact, padded, random_image, synthetic

FIRST_ROWS = [-8, 3]  # an even row of the image, and an odd one


def errors(image: Pixels, first: int, radius: int = RADIUS) -> Pixels:
    chunk = padded(image, radius)
    return np.abs(blurred_by_half(chunk, radius, first) - exact(chunk, SIGMA, radius / SIGMA))


@pytest.mark.parametrize("first", FIRST_ROWS)
def test_photographs_are_within_a_level(first: int) -> None:
    for name, image in PHOTOGRAPHS.items():
        error = errors(image, first)
        assert error.max() <= 1, name
        assert error.mean() <= 0.26, name


@pytest.mark.parametrize("first", FIRST_ROWS)
def test_edges_boards_impulses_and_noise_are_within_a_level_and_a_quarter(first: int) -> None:
    for name, image in synthetic().items():
        assert errors(image, first).max() <= 1.25, name


@pytest.mark.parametrize("first", FIRST_ROWS)
@pytest.mark.parametrize("period", [2, 3, 3.25, 4, 5, 7])
def test_rows_that_alternate_are_within_two_levels(first: int, period: float) -> None:
    bright = np.sin(2 * np.pi * np.arange(80) / period) > 0
    image = np.repeat((255 * bright).astype(np.uint8)[:, None, None], 30, axis=1)
    assert errors(image, first).max() <= 2


@pytest.mark.parametrize("radius", [9, 10, 20])
def test_a_larger_radius_changes_little(radius: int) -> None:
    assert errors(PHOTOGRAPHS[3], -radius, radius).max() <= 1


@pytest.mark.parametrize("first", FIRST_ROWS)
def test_a_flat_image_stays_as_it_is(first: int) -> None:
    for level in range(256):  # that of 255 is the largest sum there is
        chunk = np.full((19, 18, 1), level, np.uint8)
        assert (blurred_by_half(chunk, RADIUS, first) == level).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_channels_are_not_mixed(channels: int) -> None:
    chunk = random_image(np.uint8, (27, 33, channels))
    blurred = blurred_by_half(chunk, RADIUS, 0)
    for c in range(channels):
        alone = blurred_by_half(chunk[..., c : c + 1], RADIUS, 0)
        np.testing.assert_array_equal(blurred[..., c : c + 1], alone)


def _big() -> tuple[Pixels, Pixels]:
    chunk = padded(random_image(np.uint8, (401, 701, 3)), RADIUS)
    return chunk, blurred_by_half(chunk, RADIUS, -RADIUS)


BIG = _big()


@given(
    y=st.integers(0, 400),
    x=st.integers(0, 700),
    rows=st.integers(1, 401),
    columns=st.integers(1, 701),
)
def test_a_chunk_is_a_part_of_the_whole(y: int, x: int, rows: int, columns: int) -> None:
    chunk, whole = BIG
    part = chunk[y : y + rows + 2 * RADIUS, x : x + columns + 2 * RADIUS]
    made = blurred_by_half(part, RADIUS, y - RADIUS)
    np.testing.assert_array_equal(made, whole[y : y + rows, x : x + columns])


@pytest.mark.parametrize("border", ["edge", "reflect", "wrap", "constant"])
@pytest.mark.parametrize("chunk", [(1, 30), (7, 11)])
def test_the_filter_takes_this_way_under_any_cut(chunk: tuple[int, int], border: Border) -> None:
    image, halo = random_image(np.uint8, (41, 53, 3)), ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0))
    expected = blurred_by_half(np.pad(image, halo, border), RADIUS, -RADIUS)
    made = imgpipe.apply(image, blur(border=border), chunk=chunk)
    np.testing.assert_array_equal(made, expected)
