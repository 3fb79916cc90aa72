"""Median and percentile: by networks, by counting, and as other libraries have them."""

from __future__ import annotations

import functools
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image, ImageFilter
from scipy import ndimage

import imgpipe
from imgpipe import filters
from imgpipe.borders import BORDERS
from imgpipe.errors import ParameterError
from imgpipe.kernels import lanes
from imgpipe.kernels.counting import rank_by_counting
from imgpipe.kernels.lanes import rank_by_lanes
from imgpipe.kernels.networks import rank_by_network
from tests.conftest import noise

DTYPES = ["uint8", "uint16", "float32", "float64"]
METHODS = [rank_by_network, rank_by_counting]
METHODS_AND_DTYPES = [*product(METHODS, DTYPES), (rank_by_lanes, "uint8")]
SCIPY_BORDERS = {
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "wrap",
    "constant": "constant",
}


def padded(array: np.ndarray[Any, Any], radius: int) -> np.ndarray[Any, Any]:
    chunk = np.pad(array, ((radius, radius), (radius, radius), (0, 0)), "edge")
    chunk.flags.writeable = False
    return chunk


def image(shape: tuple[int, ...], dtype: str, levels: int | None = None) -> np.ndarray[Any, Any]:
    """Noise, or a few levels that are each there many times."""
    if levels is None:
        return noise(shape, dtype)
    return np.random.default_rng(1).integers(0, levels, shape).astype(dtype)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize(("method", "dtype"), METHODS_AND_DTYPES)
def test_every_method_finds_every_rank(method: Any, dtype: str, levels: int | None) -> None:
    for radius in (1, 2):
        array = image((9, 11, 2), dtype, levels)
        side = 2 * radius + 1
        for rank in range(side * side):
            expected = ndimage.rank_filter(array, rank, size=(side, side, 1), mode="nearest")
            assert_array_equal(method(padded(array, radius), radius, rank), expected, f"{rank}")


@pytest.mark.parametrize("levels", [None, 5])
@pytest.mark.parametrize(("method", "dtype"), METHODS_AND_DTYPES)
def test_every_method_at_every_radius(method: Any, dtype: str, levels: int | None) -> None:
    array = image((14, 23, 1), dtype, levels)
    for radius in range(1, 11):
        side = 2 * radius + 1
        for rank in (side * side // 2, side, side * side - 7):
            expected = ndimage.rank_filter(array, rank, size=(side, side, 1), mode="nearest")
            assert_array_equal(method(padded(array, radius), radius, rank), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_counting_in_several_blocks_and_in_windows_larger_than_a_byte_counts(dtype: str) -> None:
    for shape, radius in product([(131, 9, 2), (10, 137, 1)], (4, 21)):
        array, side = image(shape, dtype), 2 * radius + 1
        for rank in (side * side // 2, side * 3):
            expected = ndimage.rank_filter(array, rank, size=(side, side, 1), mode="nearest")
            assert_array_equal(rank_by_counting(padded(array, radius), radius, rank), expected)
    small, radius = image((9, 7, 1), dtype), 100
    expected = ndimage.median_filter(small, (201, 201, 1), mode="nearest")
    assert_array_equal(filters.median(radius)(small), expected)


def pictures() -> dict[str, np.ndarray[Any, Any]]:
    """Noise over the whole range, and features that differ by tile: steps, slopes, flat parts."""
    y, x = np.mgrid[:83, :71].astype(np.uint8)
    steps = image((12, 9, 2), "uint8").repeat(7, axis=0).repeat(8, axis=1)[:83, :71]
    slope = np.stack([3 * x + 5 * y, 7 * x], axis=-1)
    specks = np.where(image(slope.shape, "uint8") > 200, 255, 0).astype(np.uint8)
    slope[20:60, 30:] = specks[20:60, 30:]
    return {
        "noise": image(slope.shape, "uint8"),
        "steps": steps,
        "slope": slope,
        "specks": specks,
        "ends": np.where(steps > 127, 255, 0).astype(np.uint8),
        "flat": np.full(slope.shape, 255, np.uint8),
    }


@functools.cache
def ranked(name: str, radius: int, rank: int) -> np.ndarray[Any, Any]:
    """Return a rank of one of the pictures as SciPy finds it."""
    side = 2 * radius + 1
    return ndimage.rank_filter(pictures()[name], rank, size=(side, side, 1), mode="nearest")


@pytest.mark.parametrize("group", [1, 20_000, lanes._BYTES])
@pytest.mark.parametrize("name", pictures())
def test_lanes_in_one_group_and_in_many(
    name: str, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_BYTES", group)
    array = pictures()[name]
    for radius in (7, 8, 13):
        side = 2 * radius + 1
        for rank in (0, side * 3, side * side // 2, side * side - 1):
            made = rank_by_lanes(padded(array, radius), radius, rank)
            assert_array_equal(made, ranked(name, radius, rank), f"{radius}, {rank}")


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 90, 3), (67, 2, 1), (40, 41, 4)])
@pytest.mark.parametrize("radius", [1, 10, 100, 127])
def test_lanes_of_any_shape_in_windows_of_any_size(radius: int, shape: tuple[int, ...]) -> None:
    chunk = padded(image(shape, "uint8"), radius)
    count = (2 * radius + 1) ** 2
    for rank in (count // 7, count // 2):
        expected = rank_by_counting(chunk, radius, rank)
        assert_array_equal(rank_by_lanes(chunk, radius, rank), expected)


@pytest.mark.parametrize("radius", [10, 25, 26])
def test_large_images_of_bytes_and_any_cut_of_them(
    radius: int, photo: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def spy(*arguments: Any) -> Any:
        calls.append(arguments)
        return rank_by_lanes(*arguments)

    monkeypatch.setattr("imgpipe.kernels.ranks.rank_by_lanes", spy)
    side = 2 * radius + 1
    for one, percent in (
        (filters.median(radius), 50),
        (filters.percentile(radius=radius, percentile=80), 80),
    ):
        made = one(photo)
        rank = int(side * side * percent / 100)
        expected = rank_by_counting(padded(photo, radius), radius, rank)
        assert_array_equal(made, expected)
        corner = ndimage.rank_filter(
            photo[: 40 + radius, : 40 + radius], rank, size=(side, side, 1), mode="nearest"
        )
        assert_array_equal(made[:40, :40], corner[:40, :40])
        for chunk in (64, (200, 290)):
            assert_array_equal(imgpipe.apply(photo, one, executor="serial", chunk=chunk), made)
    assert bool(calls) == (radius <= 25)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("border", BORDERS)
def test_the_same_as_scipy(border: str, dtype: str) -> None:
    array = noise((17, 22, 3), dtype)
    mode = SCIPY_BORDERS[border]
    for radius in (0, 1, 2, 3, 9):
        size = (2 * radius + 1, 2 * radius + 1, 1)
        expected = ndimage.median_filter(array, size, mode=mode)
        assert_array_equal(filters.median(radius=radius, border=border)(array), expected)
        for percent in (0, 3, 28.5, 50, 90, 99.9, 100):
            expected = ndimage.percentile_filter(array, percent, size, mode=mode)
            one = filters.percentile(radius=radius, percentile=percent, border=border)
            assert_array_equal(one(array), expected, f"{radius}, {percent}")


@pytest.mark.parametrize("radius", [1, 2, 3, 6])
def test_the_same_as_opencv_and_pillow(radius: int) -> None:
    cv2 = pytest.importorskip("cv2")
    array = noise((61, 57, 3), "uint8")
    made = filters.median(radius=radius)(array)
    assert_array_equal(made, cv2.medianBlur(array, 2 * radius + 1))
    pillow = Image.fromarray(array).filter(ImageFilter.MedianFilter(2 * radius + 1))
    assert_array_equal(made, pillow)


def test_the_same_as_scikit_image(photo: np.ndarray[Any, Any]) -> None:
    from skimage.filters import rank

    for radius in (2, 12):
        made = filters.median(radius=radius, border="symmetric")(photo[..., 1])
        chunk = np.pad(photo[..., 1], radius, "symmetric")
        expected = rank.median(chunk, np.ones((2 * radius + 1, 2 * radius + 1)))
        assert_array_equal(made, expected[radius:-radius, radius:-radius])


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_cut_and_images_smaller_than_the_halo(dtype: str) -> None:
    for size in ((1, 1, 1), (1, 13, 3), (14, 2, 3), (19, 23, 2)):
        array = noise(size, dtype)
        if dtype.startswith("float"):
            array.ravel()[::3] = -0.0
            array.ravel()[1::5] = 0.0
        for radius, border in ((1, "edge"), (2, "symmetric"), (4, "wrap"), (9, "reflect")):
            for one in (
                filters.median(radius=radius, border=border),
                filters.percentile(radius=radius, percentile=80, border=border),
            ):
                expected = one(array)
                for chunk in (5, (3, 64), (64, 5)):
                    made = imgpipe.apply(array, one, executor="serial", chunk=chunk)
                    assert made.tobytes() == expected.tobytes()


@settings(max_examples=40)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    chunk=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    radius=st.integers(0, 10),
    percent=st.floats(0, 100),
    border=st.sampled_from(BORDERS),
    dtype=st.sampled_from(DTYPES),
)
def test_any_percentile_of_any_image(rows, columns, chunk, radius, percent, border, dtype) -> None:
    one = filters.percentile(radius=radius, percentile=percent, border=border)
    array = noise((rows, columns, 2), dtype)
    expected = ndimage.percentile_filter(
        array, percent, (2 * radius + 1, 2 * radius + 1, 1), mode=SCIPY_BORDERS[border]
    )
    assert_array_equal(one(array), expected)
    made = imgpipe.apply(array, one, executor="serial", chunk=chunk)
    assert made.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("radius", [1, 3, 9])
def test_nan_spreads_over_the_square(radius: int, dtype: str) -> None:
    array = noise((43, 39, 1), dtype)
    array[20, 12], array[41, 38] = np.nan, -np.nan
    holes = ndimage.maximum_filter(np.isnan(array), (2 * radius + 1, 2 * radius + 1, 1))
    for percent in (0, 20, 50, 100):
        one = filters.percentile(radius=radius, percentile=percent)
        expected = one(np.nan_to_num(array))
        expected[holes] = np.nan
        assert_array_equal(one(array), expected)
        made = imgpipe.apply(array, one, executor="serial", chunk=11)
        assert made.tobytes() == one(array).tobytes()
    assert np.isnan(filters.median(radius)(np.full((9, 9), np.nan, dtype))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_flat_areas_stay_and_a_speck_goes(dtype: str) -> None:
    flat = np.full((31, 45), 7, dtype)
    specks = flat.copy()
    specks[::4, ::4] = 200
    for radius in (1, 2, 5, 8, 9, 14):
        assert_array_equal(filters.median(radius)(specks), flat)


def test_alpha_is_kept() -> None:
    array = noise((19, 26, 4), "uint8")
    array[..., 3] |= 1  # nothing is hidden
    made = filters.median(2)(array, alpha=3)
    assert_array_equal(made[..., 3], array[..., 3])
    assert_array_equal(made[..., :3], filters.median(2)(array[..., :3]))


@pytest.mark.parametrize("name", ["median", "percentile"])
def test_senseless_parameters_are_refused(name: str) -> None:
    for wrong in ({"radius": -1}, {"radius": 1.5}, {"radius": 101}):
        with pytest.raises(ParameterError, match=name):
            getattr(filters, name)(**wrong)
    for percent in (-1, 101, float("nan"), "half"):
        with pytest.raises(ParameterError, match="percentile must be a number between 0 and 100"):
            filters.percentile(percentile=percent)
