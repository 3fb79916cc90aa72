"""Adaptive thresholds, against scikit-image and OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters as skfilters

from imgpipe import check, filters
from imgpipe.errors import ParameterError, UsageError
from tests.conftest import noise

TOP = {"uint8": 255, "uint16": 65535}
SIZES = [(1, 1), (1, 9), (9, 1), (5, 4), (60, 71)]
SCIPY_BORDERS = {"edge": "nearest", "symmetric": "reflect", "reflect": "mirror", "wrap": "wrap"}


def soft(size: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Something with light and shade, over the whole range."""
    values = ndimage.gaussian_filter(np.random.default_rng(2).random(size), 1.5)
    values = (values - values.min()) / max(np.ptp(values), 1e-9)
    return (values * TOP[dtype]).astype(dtype) if dtype in TOP else values.astype(dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [1, 2, 7, 12])
@pytest.mark.parametrize("offset", [-0.1, 0, 2 / 255, 0.3])
def test_the_mean_is_that_of_opencv(size: tuple[int, int], radius: int, offset: float) -> None:
    cv2 = pytest.importorskip("cv2")
    array = noise(size, "uint8")
    expected = cv2.adaptiveThreshold(
        array,
        255,
        cv2.ADAPTIVE_THRESH_MEAN_C,
        cv2.THRESH_BINARY,
        2 * radius + 1,
        round(offset * 255, 6),
    )
    made = filters.adaptive_threshold(radius=radius, offset=offset)(array)
    assert_array_equal(made, expected)


@pytest.mark.parametrize("dtype", TOP)
@pytest.mark.parametrize("offset", [0, 0.05, -0.2])
def test_the_mean_of_integers_is_rounded(dtype: str, offset: float) -> None:
    array, top = noise((40, 50), dtype), TOP[dtype]
    sums = ndimage.uniform_filter(array.astype(float), 7, mode="nearest")
    wanted = np.where(array > np.rint(sums) - offset * top, top, 0)
    assert_array_equal(filters.adaptive_threshold(radius=3, offset=offset)(array), wanted)


@pytest.mark.parametrize("border", SCIPY_BORDERS)
@pytest.mark.parametrize("method", ["mean", "gaussian"])
@pytest.mark.parametrize("radius", [1, 3, 10])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_compared_as_scikit_image_does(
    dtype: str, radius: int, method: str, border: str
) -> None:
    array = soft((61, 53), dtype)
    local = skfilters.threshold_local(
        array.astype(float), 2 * radius + 1, method, 0.02, SCIPY_BORDERS[border]
    )
    one = filters.adaptive_threshold(radius=radius, offset=0.02, method=method, border=border)
    # A float32 mean is off by a few units in the last place, so values that near may differ.
    clear = np.abs(array - local) > 1e-5
    assert clear.mean() > 0.98
    assert_array_equal(one(array)[clear], (array > local)[clear])
    assert one(array).dtype == dtype


@pytest.mark.parametrize("dtype", TOP)
@pytest.mark.parametrize("radius", [1, 4, 15])
def test_a_gaussian_mean_of_integers_is_as_near_as_the_blur(dtype: str, radius: int) -> None:
    array, top = soft((61, 53, 2), dtype), TOP[dtype]
    made = filters.adaptive_threshold(radius=radius, offset=0, method="gaussian")(array)
    for channel in range(2):
        plane = array[..., channel].astype(float)
        local = skfilters.threshold_local(plane, 2 * radius + 1, "gaussian", mode="nearest")
        clear = np.abs(plane - local) > 2
        assert_array_equal(made[..., channel][clear], np.where(plane > local, top, 0)[clear])


def test_nan_stays_near_where_it_is() -> None:
    array = soft((30, 30), "float32")
    array[15, 15] = np.nan
    for method in ("mean", "gaussian"):
        one = filters.adaptive_threshold(radius=3, offset=0, method=method)
        made, whole = one(array), one(np.nan_to_num(array))
        assert made[15, 15] == 0
        assert_array_equal(made[:, :9], whole[:, :9])


@pytest.mark.parametrize("method", ["mean", "gaussian"])
@pytest.mark.parametrize("radius", [1, 5, 20])
def test_the_halo_is_what_is_needed(method: str, radius: int) -> None:
    one = filters.adaptive_threshold(radius=radius, method=method)
    reach = radius if method == "mean" else round(4 * radius / 3)
    assert one.halo == (reach, reach)
    assert check(one, soft((64, 80, 3), "uint8"))


def test_senseless_parameters_are_refused() -> None:
    for bad in ({"radius": 0}, {"offset": 2}, {"method": "median"}):
        with pytest.raises(ParameterError, match="adaptive_threshold"):
            filters.adaptive_threshold(**bad)
    with pytest.raises(
        UsageError, match=r"adaptive_threshold: cannot compare int64 exactly.* astype:int32"
    ):
        filters.adaptive_threshold()(np.zeros((3, 3), np.int64))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
@pytest.mark.parametrize("offset", [0, 0.05, -0.2])
def test_the_mean_of_any_integers_is_compared_exactly(dtype: str, offset: float) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(4)
    array = rng.integers(limits.min, limits.max, (30, 20), dtype, endpoint=True)
    array[:, 10:] = np.where(np.indices((30, 10)).sum(axis=0) % 2, limits.min, limits.max)
    local = filters.box(radius=2)(array).astype(np.int64)
    wanted = np.where(array > local - offset * int(limits.max), limits.max, 0)
    assert_array_equal(filters.adaptive_threshold(radius=2, offset=offset)(array), wanted)


def page(stroke: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A page under uneven light, with the grain of paper, and where its ink is."""
    rng = np.random.default_rng(3)
    ink = np.zeros((100 * stroke, 120 * stroke), bool)
    for y in range(10, 90, 10):
        for x in range(10, 100, 6):
            top, left, side = y * stroke, x * stroke, 5 * stroke
            ink[top : top + side, left : left + stroke] = rng.random() < 0.8
            ink[top : top + stroke, left : left + side] |= rng.random() < 0.6
    light = 160 + 60 * np.linspace(-1, 1, ink.shape[1])
    seen = ndimage.gaussian_filter(np.where(ink, 0.35 * light, light), 0.7)
    return (seen + rng.normal(0, 3, ink.shape)).astype(np.uint8), ink


@pytest.mark.parametrize("method", ["mean", "gaussian"])
@pytest.mark.parametrize("stroke", [2, 5])
def test_a_scanned_page_comes_out_black_on_white(stroke: int, method: str) -> None:
    image, ink = page(stroke)
    wrong = (filters.adaptive_threshold(method=method)(image) == 0) != ink
    assert wrong.mean() < 0.005
    paper = ~ndimage.binary_dilation(ink, iterations=3)
    assert wrong[paper].mean() < 0.001
    speckled = filters.adaptive_threshold(offset=0, method=method)(image) == 0
    assert speckled[paper].mean() > 0.1
