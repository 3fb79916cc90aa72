"""Gaussians of 8-bit images by way of every second row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgpipe
from imgpipe.borders import Border
from imgpipe.filters import blur
from imgpipe.kernels.gaussian import gaussian_radius
from imgpipe.kernels.half_design import HalfRows, half_rows
from imgpipe.kernels.half_rows import blurred_by_half
from tests.test_gaussian import PHOTOGRAPHS, Pixels, exact, padded, random_image, synthetic

FIRST_ROWS = [-8, 3]  # an even row of the image, and an odd one
# With and without weights at three rows, with and without pairs, on both sides of jumps of the
# radius.
SIGMAS = [2.0, 2.02, 2.25, 2.5, 3.0, 3.59, 4.37]


def designed(sigma: float, radius: int | None = None) -> HalfRows:
    design = half_rows(sigma, gaussian_radius(sigma, 4) if radius is None else radius)
    assert design is not None
    return design


def blurred(chunk: Pixels, sigma: float, first: int) -> Pixels:
    radius = gaussian_radius(sigma, 4)
    return blurred_by_half(chunk, radius, first, designed(sigma))


def errors(image: Pixels, sigma: float, first: int) -> Pixels:
    chunk = padded(image, gaussian_radius(sigma, 4))
    return np.abs(blurred(chunk, sigma, first) - exact(chunk, sigma))


@pytest.mark.parametrize("first", FIRST_ROWS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_photographs_are_within_a_level(sigma: float, first: int) -> None:
    for name, image in PHOTOGRAPHS.items():
        error = errors(image[:160, :160, :1], sigma, first)
        assert error.max() <= 1, name
        assert error.mean() <= 0.27, name


@pytest.mark.parametrize("first", FIRST_ROWS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_edges_boards_impulses_and_noise_are_within_a_level_and_three_quarters(
    sigma: float, first: int
) -> None:
    for name, image in synthetic().items():
        assert errors(image[60:180, 60:180], sigma, first).max() <= 1.75, name


@pytest.mark.parametrize("first", FIRST_ROWS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_rows_and_columns_that_alternate_are_within_two_and_a_half_levels(
    sigma: float, first: int
) -> None:
    for period in (2, 3, 3.25, 4, 5, 6, 7, 8):
        bright = np.sin(2 * np.pi * np.arange(80) / period) > 0
        rows = np.repeat((255 * bright).astype(np.uint8)[:, None, None], 24, axis=1)
        assert errors(rows, sigma, first).max() <= 2.5, period
        assert errors(rows.transpose(1, 0, 2), sigma, first).max() <= 1.5, period


@pytest.mark.parametrize("sigma", [1.5, 1.99, 2.27, 4.41, 10.0])
def test_other_sigmas_have_no_design(sigma: float) -> None:
    assert half_rows(sigma, gaussian_radius(sigma, 4)) is None


def test_a_gaussian_that_is_cut_off_early_has_no_design() -> None:
    assert half_rows(3.0, gaussian_radius(3.0, 2)) is None


def test_the_default_needs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    from imgpipe.kernels import half_design

    monkeypatch.setattr(half_design, "_design", None)
    half_design.half_rows.cache_clear()
    assert half_rows(2.0, 8) is not None


@pytest.mark.parametrize("radius", [9, 10, 20])
def test_a_larger_radius_changes_little(radius: int) -> None:
    chunk = padded(PHOTOGRAPHS[3], radius)
    made = blurred_by_half(chunk, radius, -radius, designed(2.0, radius))
    assert np.abs(made - exact(chunk, 2.0, radius / 2)).max() <= 1


@pytest.mark.parametrize("first", FIRST_ROWS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_flat_image_stays_as_it_is(sigma: float, first: int) -> None:
    size = 3 + 2 * gaussian_radius(sigma, 4)
    levels = np.arange(256, dtype=np.uint8)  # that of 255 is the largest sum there is
    chunk = np.broadcast_to(levels, (size, size, 256))
    assert (blurred(chunk, sigma, first) == levels).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_channels_are_not_mixed(channels: int) -> None:
    chunk = random_image(np.uint8, (27, 33, channels))
    made = blurred(chunk, 2.0, 0)
    for c in range(channels):
        alone = blurred(chunk[..., c : c + 1], 2.0, 0)
        np.testing.assert_array_equal(made[..., c : c + 1], alone)


CUT = [2.0, 2.1, 2.5, 4.3]  # with and without weights at three rows, which need a row more
BIG = random_image(np.uint8, (301, 501, 3))
WHOLE = {sigma: blurred(BIG, sigma, -3) for sigma in CUT}


@given(
    sigma=st.sampled_from(CUT),
    y=st.integers(0, 260),
    x=st.integers(0, 460),
    rows=st.integers(1, 301),
    columns=st.integers(1, 501),
)
def test_a_chunk_is_a_part_of_the_whole(
    sigma: float, y: int, x: int, rows: int, columns: int
) -> None:
    halo = 2 * gaussian_radius(sigma, 4)
    part = BIG[y : y + rows + halo, x : x + columns + halo]
    made = blurred(part, sigma, y - 3)
    np.testing.assert_array_equal(made, WHOLE[sigma][y : y + rows, x : x + columns])


@pytest.mark.parametrize("border", ["edge", "reflect", "wrap", "constant"])
@pytest.mark.parametrize("chunk", [(1, 30), (7, 11)])
@pytest.mark.parametrize("sigma", [2.0, 2.5])
def test_the_filter_takes_this_way_under_any_cut(
    sigma: float, chunk: tuple[int, int], border: Border
) -> None:
    image, radius = random_image(np.uint8, (41, 53, 3)), gaussian_radius(sigma, 4)
    chunk_ = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), border)
    made = imgpipe.apply(image, blur(sigma=sigma, border=border), chunk=chunk)
    np.testing.assert_array_equal(made, blurred(chunk_, sigma, -radius))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (9, 1, 3), (2, 2, 1)])
@pytest.mark.parametrize("sigma", CUT)
def test_small_images(sigma: float, shape: tuple[int, int, int]) -> None:
    assert errors(random_image(np.uint8, shape), sigma, 0).max() <= 1.5
