"""The numeric cores of the Gaussian blur and of the box mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from imgpipe.kernels.boxes import box_mean
from imgpipe.kernels.gaussian import gaussian
from tests.conftest import natural

Pixels = NDArray[Any]

DTYPES = [np.uint8, np.uint16, np.float32, np.float64]
# Along lines, and by one level and more of a pyramid, with and without smoothing.
SIGMAS = [0.3, 0.5, 1.0, 1.3, 1.55, 1.99, 2.0, 2.1, 3.0, 4.3, 7.0, 10.0]
LARGE_SIGMAS = [14.0, 30.0, 50.0]
SHAPE = (97, 131, 3)


def radius_of(sigma: float, truncate: float = 4.0) -> int:
    return int(truncate * sigma + 0.5)


def padded(image: Pixels, radius: int) -> Pixels:
    chunk = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), "symmetric")
    chunk.flags.writeable = False
    return chunk


def exact(chunk: Pixels, sigma: float, truncate: float = 4.0) -> Pixels:
    """The Gaussian in float64, without its halo and not rounded."""
    r = radius_of(sigma, truncate)
    whole: Pixels = ndimage.gaussian_filter(
        chunk.astype(float), (sigma, sigma, 0), truncate=truncate
    )
    return whole[r : chunk.shape[0] - r, r : chunk.shape[1] - r]


def random_image(dtype: Any, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Pixels:
    """Noise over the whole range; for floats over twelve decades."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "u":
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return (rng.standard_normal(shape) * 10 ** rng.uniform(-6, 6, shape)).astype(dtype)


PHOTOGRAPHS = {seed: natural((320, 320, 3), seed) for seed in range(4)}


def synthetic() -> dict[str, Pixels]:
    y, x = np.mgrid[:240, :240]
    half = 120
    masks = {
        "horizontal edge": y >= half,
        "vertical edge": x >= half,
        "diagonal edge": x > y,
        "corner": (y >= half) & (x >= half),
        "inner corner": (y >= half) | (x >= half),
        "impulses": (y % 37 == 0) & (x % 41 == 0),
        **{f"checkerboard {n}": (y // n + x // n) % 2 == 0 for n in (1, 2, 3, 5, 8, 12, 32, 60)},
    }
    images = {name: (255 * mask[..., None]).astype(np.uint8) for name, mask in masks.items()}
    return images | {"noise": random_image(np.uint8, (240, 240, 1))}


# Largest errors, of the largest value within the window, before values are rounded to their type;
# and what rounding may do.
EXACT = dict.fromkeys(["uint16", "float16", "float32"], 1e-6)
EXACT |= dict.fromkeys(["int8", "int16", "int32", "uint32", "int64", "uint64", "float64"], 1e-10)
ROUNDED = {dtype: 0.5 for dtype in EXACT if "int" in dtype} | {"float16": 2**-12}


def sized(dtype: str, shape: tuple[int, ...]) -> Pixels:
    """Noise over the whole range of integers; floats from -0.3 to 0.7."""
    rng = np.random.default_rng(6)
    if "int" in dtype:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return (rng.random(shape) - 0.3).astype(dtype)


class TestAccuracy:
    @pytest.mark.parametrize("sigma", [*SIGMAS, *LARGE_SIGMAS])
    def test_of_photographs(self, sigma: float) -> None:
        worst, mean = (1.9, 0.34) if sigma <= 10 else (2.4, 0.45)
        for name, image in PHOTOGRAPHS.items():
            chunk = padded(image, radius_of(sigma))
            error = np.abs(gaussian(chunk, sigma=sigma) - exact(chunk, sigma))
            assert error.max() <= worst, name
            assert error.mean() <= mean, name

    @pytest.mark.parametrize("sigma", [*SIGMAS, *LARGE_SIGMAS[:2]])
    def test_of_edges_boards_impulses_and_noise(self, sigma: float) -> None:
        for name, image in synthetic().items():
            chunk = padded(image, radius_of(sigma))
            error = np.abs(gaussian(chunk, sigma=sigma) - exact(chunk, sigma))
            assert error.max() <= 2.5, name

    @pytest.mark.parametrize("sigma", [0.5, 1.0, 1.55, 1.99, 2.0, 2.1, 2.3, 2.5, 3.0, 7.0, 10.0])
    def test_of_rows_and_columns_that_alternate(self, sigma: float) -> None:
        r = radius_of(sigma)
        for period in (2, 3, 3.25, 4, 5, 6, 7, 8):
            bright = np.sin(2 * np.pi * np.arange(120) / period) > 0
            rows = np.repeat((255 * bright).astype(np.uint8)[:, None, None], 24, axis=1)
            for chunk in (padded(rows, r), padded(rows.transpose(1, 0, 2), r)):
                made = gaussian(chunk, sigma=sigma, origin=(1, 2))
                assert np.abs(made - exact(chunk, sigma)).max() <= 3.1, period

    @pytest.mark.parametrize("dtype", EXACT)
    @pytest.mark.parametrize(
        ("sigma", "truncate"),
        [(0.3, 4), (1, 1), (3, 4), (5, 6), (7, 4), (10, 1), (14, 4), (20, 8), (33, 2.5), (70, 3)],
    )
    def test_of_other_types_is_that_of_scipy(
        self, dtype: str, sigma: float, truncate: float
    ) -> None:
        radius = radius_of(sigma, truncate)
        chunk = sized(dtype, (7 + 2 * radius, 9 + 2 * radius, 1))
        off = gaussian(chunk, sigma=sigma, truncate=truncate) - exact(chunk, sigma, truncate)
        largest = np.abs(chunk.astype(float)).max()
        assert np.abs(off).max() <= EXACT[dtype] * largest + ROUNDED.get(dtype, 0)

    @pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
    def test_of_wide_ones_at_edges_and_impulses(self, dtype: str) -> None:
        for name, mask in synthetic().items():
            image = mask[:150, :150].astype(dtype) * np.dtype(dtype).type(
                -1 if dtype[0] == "i" else 1
            )
            chunk = padded(image, radius_of(21))
            off = gaussian(chunk, sigma=21) - exact(chunk, 21)
            assert np.abs(off).max() <= 255 * EXACT[dtype] + ROUNDED.get(dtype, 0), name

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("sigma", [2.0, 12.0, 50.0])
    def test_values_that_are_not_negative_stay_so(self, dtype: str, sigma: float) -> None:
        chunk = np.zeros((5 + 2 * radius_of(sigma), 9 + 2 * radius_of(sigma), 1), dtype)
        chunk[-9:, ::17] = 1
        blurred = gaussian(chunk, sigma=sigma)
        assert (blurred >= 0).all()
        np.testing.assert_allclose(blurred, exact(chunk, sigma), rtol=0.02)

    @pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0, 8.0])
    @pytest.mark.parametrize("truncate", [1.0, 2.5, 3.0, 6.0])
    def test_of_other_truncations(self, sigma: float, truncate: float) -> None:
        chunk = padded(PHOTOGRAPHS[3], radius_of(sigma, truncate))
        error = np.abs(
            gaussian(chunk, sigma=sigma, truncate=truncate) - exact(chunk, sigma, truncate)
        )
        assert error.max() <= (1.9 if truncate >= 3.5 or sigma < 2 else 0.5 + 1e-3)

    @pytest.mark.parametrize("sigma", [*SIGMAS, *LARGE_SIGMAS])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_a_flat_image_stays_as_it_is(self, sigma: float, dtype: Any) -> None:
        top = np.iinfo(dtype).max
        side = 2 * radius_of(sigma) + 3
        for level in (0, 1, 100, top - 1, top):
            chunk = np.full((side, side, 1), level, dtype)
            assert (gaussian(chunk, sigma=sigma) == level).all()


CUTS = [
    (0, 0, 1, 1),
    (96, 130, 1, 1),
    (0, 7, 97, 1),
    (5, 0, 1, 131),
    (11, 13, 37, 53),
    (48, 64, 49, 67),
]


class TestTiledEqualsWhole:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("sigma", [0.3, 1.0, 1.55, 2.0, 4.3, 7.0, 20.0])
    def test_gaussian(self, dtype: Any, sigma: float) -> None:
        r = radius_of(sigma)
        chunk = padded(random_image(dtype), r)
        whole = gaussian(chunk, sigma=sigma)
        for y, x, rows, columns in CUTS:
            part = chunk[y : y + rows + 2 * r, x : x + columns + 2 * r]
            expected = whole[y : y + rows, x : x + columns]
            made = gaussian(part, sigma=sigma, origin=(y, x))
            np.testing.assert_array_equal(made, expected)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("radius", [0, 1, 6, 12, 40, 64])
    def test_box_mean(self, dtype: Any, radius: int) -> None:
        chunk = padded(random_image(dtype), radius)
        whole = box_mean(chunk, radius=radius)
        for y, x, rows, columns in CUTS:
            part = chunk[y : y + rows + 2 * radius, x : x + columns + 2 * radius]
            expected = whole[y : y + rows, x : x + columns]
            np.testing.assert_array_equal(box_mean(part, radius=radius), expected)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_of_an_image_that_takes_many_blocks(self, dtype: Any) -> None:
        chunk = padded(random_image(dtype, (500, 700, 3)), 8)
        whole = gaussian(chunk, sigma=2)
        part = gaussian(chunk[100:317, 200:519], sigma=2)
        np.testing.assert_array_equal(part, whole[100:301, 200:503])


class TestChunks:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_keep_shape_and_type_and_mix_no_channels(self, dtype: Any, channels: int) -> None:
        chunk = padded(random_image(dtype, (19, 23, channels)), 8)
        blurred = gaussian(chunk, sigma=2)
        assert blurred.dtype == dtype
        assert blurred.shape == (19, 23, channels)
        for c in range(channels):
            alone = gaussian(chunk[..., c : c + 1], sigma=2)
            np.testing.assert_array_equal(blurred[..., c : c + 1], alone)

    def test_nan_spreads_no_further_than_the_radius(self) -> None:
        chunk = np.ones((60, 60, 3), np.float32)
        chunk[30, 40, 1] = np.nan
        blurred = gaussian(chunk, sigma=2)
        lost = np.zeros((44, 44, 3), bool)
        lost[14:31, 24:41, 1] = True
        np.testing.assert_array_equal(np.isnan(blurred), lost)


class TestBoxMean:
    @pytest.mark.parametrize("radius", [0, 1, 2, 7, 8, 50, 130])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_is_the_mean_of_the_window(self, radius: int, dtype: Any) -> None:
        side = 2 * radius + 1
        rng = np.random.default_rng(1)
        top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
        chunk = (top * rng.random((8 + side, 10 + side, 2))).astype(dtype)
        windows = np.lib.stride_tricks.sliding_window_view(chunk, (side, side), (0, 1))
        mean = windows.mean(axis=(-2, -1), dtype=float)
        if np.dtype(dtype).kind == "u":
            np.testing.assert_array_equal(box_mean(chunk, radius=radius), np.rint(mean))
        else:
            np.testing.assert_allclose(box_mean(chunk, radius=radius), mean, atol=1e-6)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_of_the_brightest_image_does_not_overflow(self, dtype: Any) -> None:
        for radius in (7, 8, 63, 64, 128, 129, 300):
            chunk = np.full((2 * radius + 2, 2 * radius + 2, 1), np.iinfo(dtype).max, dtype)
            assert (box_mean(chunk, radius=radius) == np.iinfo(dtype).max).all()
