"""Laplacians and differences of Gaussians, against SciPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Filter
from imgpipe.errors import ParameterError
from imgpipe.filters import difference_of_gaussians, gaussian_laplace
from imgpipe.values import full_scale
from tests.conftest import noise
from tests.test_edges import SCIPY_BORDERS, Pixels, assert_same, by_planes, picture

DTYPES = ["uint8", "uint16", "int16", "int32", "float16", "float32", "float64"]
ERRORS = {"float32": 1e-6, "float64": 1e-10}


def smoothed(array: Pixels, sigma: float, truncate: float, mode: str) -> Pixels:
    if sigma == 0:
        return array.astype(float)
    one = partial(ndimage.gaussian_filter, sigma=sigma, truncate=truncate, mode=mode)
    return by_planes(one, array)


def laplacian(array: Pixels, sigma: float, truncate: float, mode: str) -> Pixels:
    one = partial(ndimage.gaussian_laplace, sigma=sigma, truncate=truncate, mode=mode)
    return by_planes(one, array)


def assert_near(made: Pixels, exact: Pixels, dtype: str) -> None:
    """Equal after rounding to the type, except values next to a rounding edge."""
    if dtype == "float16":
        assert made.dtype == dtype
        np.testing.assert_allclose(made, exact, atol=1e-6, rtol=6e-4)
    elif dtype[0] == "i":
        limits = np.iinfo(dtype)
        assert made.dtype == dtype
        assert np.abs(made - np.clip(exact, limits.min, limits.max)).max() <= 0.501
    else:
        assert_same(made, exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("sigma", "truncate"), [(0.4, 4.0), (1.0, 4.0), (2.3, 3.0), (13.0, 2.5)])
def test_laplacian_of_gaussian_is_that_of_scipy(dtype: str, sigma: float, truncate: float) -> None:
    array = picture((37, 43, 2), dtype)
    for border, mode in SCIPY_BORDERS.items():
        exact = sigma**2 * laplacian(array, sigma, truncate, mode) + 0.4 * full_scale(dtype)
        made = gaussian_laplace(sigma, truncate, gain=sigma**2, offset=0.4, border=border)(array)
        assert_near(made, exact, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.8, None), (2.5, 4.5), (6.0, 11.0)])
def test_difference_of_gaussians_is_that_of_scipy(
    dtype: str, low: float, high: float | None
) -> None:
    array = picture((37, 43, 2), dtype)
    for border, mode in SCIPY_BORDERS.items():
        exact = smoothed(array, low, 4, mode) - smoothed(array, high or 1.6 * low, 4, mode)
        made = difference_of_gaussians(low, high, gain=2, offset=0.4, border=border)(array)
        assert_near(made, 2 * exact + 0.4 * full_scale(dtype), dtype)


@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("truncate", [1.0, 3.0, 4.0, 7.0])
@pytest.mark.parametrize("sigma", [0.7, 5.0, 11.0, 40.0])
def test_floats_are_exact_for_any_sigma(dtype: str, truncate: float, sigma: float) -> None:
    array = (picture((30, 41, 1), dtype) - 0.3).astype(dtype)
    plain = {"truncate": truncate, "offset": 0}
    off = gaussian_laplace(sigma, gain=sigma**2, **plain)(array)
    off = off - sigma**2 * laplacian(array, sigma, truncate, "nearest")
    assert np.abs(off).max() <= ERRORS[dtype]
    off = difference_of_gaussians(sigma, gain=1, **plain)(array)
    off = off - smoothed(array, sigma, truncate, "nearest")
    off += smoothed(array, 1.6 * sigma, truncate, "nearest")
    assert np.abs(off).max() <= ERRORS[dtype]


@pytest.mark.parametrize(
    "one",
    [
        gaussian_laplace(1),
        gaussian_laplace(6),
        difference_of_gaussians(0, 1),
        difference_of_gaussians(1),
        difference_of_gaussians(2, 3),
        difference_of_gaussians(9),
    ],
)
def test_an_edge_from_black_to_white_spans_the_range(one: Filter) -> None:
    for dtype, full in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        step = np.zeros((40, 160), dtype)
        step[:, 80:] = full
        found = one(step)
        np.testing.assert_allclose([found.min(), found.max()], [0, full], atol=0.01 * full)
        np.testing.assert_allclose(found[:, 0], full / 2, atol=0.01 * full)


def test_where_nothing_differs_the_result_is_the_offset() -> None:
    assert_array_equal(difference_of_gaussians(2, 2)(noise((20, 30), "uint8")), 128)


def test_the_high_sigma_is_the_higher() -> None:
    with pytest.raises(ParameterError, match="high_sigma must not be less"):
        difference_of_gaussians(low_sigma=2, high_sigma=1.5)
    with pytest.raises(ParameterError, match="low_sigma must be a number between"):
        difference_of_gaussians(low_sigma=-1)


def test_nan_reaches_its_window_and_no_further() -> None:
    array = np.ones((90, 40, 2), np.float32)
    array[45, 20, 1] = np.nan
    for one, reach in ((gaussian_laplace(1.5), 6), (gaussian_laplace(8, truncate=2), 16)):
        lost = np.zeros(array.shape, bool)
        lost[45 - reach : 46 + reach, 20 - reach : 21 + reach, 1] = True
        assert_array_equal(np.isnan(one(array)), lost)


FILTERS = [gaussian_laplace(1.5), gaussian_laplace(7, truncate=3), difference_of_gaussians(3)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_any_cut_gives_the_same(one: Filter, dtype: str) -> None:
    array = noise((83, 71, 2), dtype)  # floats of twelve decades: the order of a sum would show
    whole = one(array)
    for chunk in (13, (5, 64), 1000):
        out = imgpipe.apply(array, one, chunk=chunk, executor="serial")
        assert_array_equal(out, whole)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_images_smaller_than_the_halo(one: Filter, border: Any) -> None:
    bordered = Filter(one.definition, one.params, border)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2, 4)):
        for dtype in ("uint8", "float32"):
            array = noise(shape, dtype)
            wide = np.pad(array, [(25, 25), (25, 25), *[(0, 0)] * (array.ndim - 2)], border)
            assert_array_equal(bordered(array), one(wide)[25:-25, 25:-25])


@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_channels_do_not_mix(one: Filter) -> None:
    array = noise((19, 23, 3), "uint8")
    for channel in range(3):
        assert_array_equal(one(array)[..., channel], one(array[..., channel].copy()))
