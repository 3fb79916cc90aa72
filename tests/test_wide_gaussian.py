"""Wide Gaussians of 8-bit images, by way of every fourth row and column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgpipe
from imgpipe.filters import blur
from imgpipe.kernels.gaussian import gaussian
from tests.test_gaussian import (
    PHOTOGRAPHS,
    Pixels,
    exact,
    padded,
    radius_of,
    random_image,
    synthetic,
)

SIGMAS = [14.0, 20.0, 33.3, 60.0]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_photographs_are_within_a_level(sigma: float) -> None:
    for name, image in PHOTOGRAPHS.items():
        chunk = padded(image, radius_of(sigma))
        error = np.abs(gaussian(chunk, sigma=sigma, origin=(1, 2)) - exact(chunk, sigma))
        assert error.max() <= 1.1, name
        assert error.mean() <= 0.27, name


@pytest.mark.parametrize("sigma", SIGMAS)
def test_edges_boards_impulses_and_noise_are_within_a_level_and_a_half(sigma: float) -> None:
    for name, image in synthetic().items():
        chunk = padded(image, radius_of(sigma))
        error = np.abs(gaussian(chunk, sigma=sigma, origin=(3, 0)) - exact(chunk, sigma))
        assert error.max() <= 1.5, name


@pytest.mark.parametrize("truncate", [3.5, 3.7, 6.0])
def test_other_truncations_are_within_a_level_and_a_half(truncate: float) -> None:
    chunk = padded(PHOTOGRAPHS[3], radius_of(15, truncate))
    made = gaussian(chunk, sigma=15, truncate=truncate, origin=(0, 0))
    assert np.abs(made - exact(chunk, 15, truncate)).max() <= 1.5


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("level", [0, 1, 100, 254, 255])
def test_a_flat_image_stays_as_it_is(sigma: float, level: int) -> None:
    side = 2 * radius_of(sigma) + 7
    chunk = np.full((side, side, 1), level, np.uint8)
    assert (gaussian(chunk, sigma=sigma, origin=(-radius_of(sigma), 2)) == level).all()


@given(
    y=st.integers(0, 90),
    x=st.integers(0, 120),
    rows=st.integers(1, 97),
    columns=st.integers(1, 131),
)
def test_a_chunk_is_a_part_of_the_whole(y: int, x: int, rows: int, columns: int) -> None:
    r, chunk, whole = BIG
    part = chunk[y : y + rows + 2 * r, x : x + columns + 2 * r]
    made = gaussian(part, sigma=14, origin=(y - r, x - r))
    np.testing.assert_array_equal(made, whole[y : y + rows, x : x + columns])


def _big() -> tuple[int, Pixels, Pixels]:
    radius = radius_of(14)
    chunk = padded(random_image(np.uint8), radius)
    return radius, chunk, gaussian(chunk, sigma=14, origin=(-radius, -radius))


BIG = _big()


@pytest.mark.parametrize("border", ["edge", "reflect", "wrap", "constant"])
@pytest.mark.parametrize("chunk", [(7, 64), (64, 61), 500])
def test_the_filter_says_where_its_chunks_are(border: Any, chunk: Any) -> None:
    array, one = random_image(np.uint8, (149, 163, 3)), blur(sigma=17, border=border)
    np.testing.assert_array_equal(imgpipe.apply(array, one, chunk=chunk), one(array))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_no_channels_are_mixed(channels: int) -> None:
    chunk = padded(random_image(np.uint8, (19, 23, channels)), 56)
    blurred = gaussian(chunk, sigma=14, origin=(0, 0))
    for c in range(channels):
        alone = gaussian(chunk[..., c : c + 1], sigma=14, origin=(0, 0))
        np.testing.assert_array_equal(blurred[..., c : c + 1], alone)


@pytest.mark.parametrize(
    ("dtype", "sigma", "truncate"),
    [(np.uint16, 20, 4), (np.float32, 20, 4), (np.uint8, 13, 4), (np.uint8, 20, 2)],
)
def test_narrow_or_short_ones_and_finer_types_are_not_thinned_out(
    dtype: Any, sigma: float, truncate: float
) -> None:
    chunk = padded(random_image(dtype, (30, 40, 3)), radius_of(sigma, truncate))
    np.testing.assert_array_equal(
        gaussian(chunk, sigma=sigma, truncate=truncate, origin=(1, 3)),
        gaussian(chunk, sigma=sigma, truncate=truncate),
    )
