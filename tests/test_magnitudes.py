"""Sums of floats next to overflow and underflow, and with NaN and infinity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage

import imgpipe
from imgpipe.filters import blur, difference_of_gaussians, gaussian_laplace, unsharp

Pixels = NDArray[Any]

SIGMAS = [1.0, 11.0]  # a plain sum, and a cascade


def field(dtype: str, size: float) -> Pixels:
    """Values of one magnitude beside zero, and far away from them ordinary ones."""
    array = np.zeros((150, 40, 1), dtype)
    array[:20] = np.random.default_rng(5).random((20, 40, 1)) * 0.9
    array[130:, 5:30] = np.dtype(dtype).type(size)
    return array


def smoothed(array: Pixels, sigma: float) -> Pixels:
    with np.errstate(invalid="ignore"):
        return np.asarray(ndimage.gaussian_filter(array, (sigma, sigma, 0), mode="nearest"))


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("size", [3.4e38, 1e38, 1e25, 1e-30, 1e-38, 1e-42])
def test_float32_of_any_magnitude(size: float, sigma: float) -> None:
    array = field("float32", size)
    exact = smoothed(array.astype(float), sigma)[100:]
    # Half of the last bit of numbers that have few.
    assert_allclose(blur(sigma)(array)[100:], exact, rtol=0, atol=1e-6 * size + 1e-45)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("size", [1.7e308, 1e300, 1e-290, 1e-310])
def test_float64_of_any_magnitude(size: float, sigma: float) -> None:
    array, scale = field("float64", size), 2.0**-900 if size > 1 else 2.0**900
    with np.errstate(over="ignore"):
        exact = smoothed(array * scale, sigma)[100:]
    made = blur(sigma)(array)[100:] * scale
    assert_allclose(made, exact, rtol=0, atol=1e-10 * size * scale + 5e-324 * scale)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_and_infinity_reach_their_windows_as_in_scipy(dtype: str, sigma: float) -> None:
    array = np.random.default_rng(1).random((160, 150, 2)).astype(dtype)
    for value, y, x in ((np.nan, 40, 30), (np.inf, 5, 110), (-np.inf, 120, 100), (np.inf, 90, 120)):
        array[y, x, 1] = value
    made, exact = blur(sigma)(array), smoothed(array.astype(float), sigma)
    for has in (np.isnan, np.isposinf, np.isneginf):
        assert_array_equal(has(made), has(exact))
    finite = np.isfinite(exact)
    assert_allclose(made[finite], exact[finite], atol=6e-4 if dtype == "float16" else 1e-6)


def test_filters_made_of_gaussians_stand_them_too() -> None:
    array = field("float32", 1e38)
    array[60, 20] = np.nan
    for one in (unsharp(2, 0.5), difference_of_gaussians(2, gain=1), gaussian_laplace(2, gain=1)):
        made = one(array)
        assert np.isfinite(made[:45]).all()
        assert np.isfinite(made[75:]).all()
        assert np.isnan(made[60, 20])


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_any_cut_gives_the_same(dtype: str, sigma: float) -> None:
    limits, rng = np.finfo(dtype), np.random.default_rng(2)
    array = rng.random((120, 90, 1)).astype(dtype)
    array[20, 30], array[100, 10], array[60:70, 70:80] = limits.max, np.nan, limits.tiny
    array[80:, 50:] = limits.smallest_subnormal * rng.integers(0, 9, (40, 40, 1))
    array[0, 60] = -np.inf
    for one in (blur(sigma), gaussian_laplace(sigma, gain=1)):
        whole = one(array)
        for chunk in (17, (90, 31)):
            out = imgpipe.apply(array, one, chunk=chunk, executor="serial")
            assert_array_equal(out, whole)
