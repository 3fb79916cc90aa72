"""Filters that measure the whole image first: equalize, autocontrast, otsu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage import color, data, exposure
from skimage import filters as skfilters

import imgpipe
from imgpipe import filters
from imgpipe.errors import UsageError
from imgpipe.filters.histogram import _counted
from tests.conftest import noise

TOP = {"uint8": 255, "uint16": 65535}
SIZES = [(1, 1, 1), (1, 7, 3), (7, 1, 2), (33, 21, 3), (16, 16, 4)]


def channels_of(array: NDArray[Any]) -> list[NDArray[Any]]:
    return [array[..., channel] for channel in range(array.shape[2])]


def each_channel(function, array: NDArray[Any]) -> NDArray[Any]:
    return np.stack([function(plane) for plane in channels_of(array)], axis=2)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", TOP)
def test_integers_are_counted_level_by_level(size: tuple[int, ...], dtype: str) -> None:
    array = noise(size, dtype) // 3
    for view in (array, array[..., :1], array[::-1]):
        counts = _counted(view).counts
        assert counts.shape == (view.shape[2], TOP[dtype] + 1)
        for plane, counted in zip(channels_of(view), counts, strict=True):
            expected = np.zeros(TOP[dtype] + 1, int)
            np.add.at(expected, plane.ravel(), 1)
            assert_array_equal(counted, expected)


def test_floats_are_counted_in_levels_from_0_to_1() -> None:
    array = np.array([-7, 0, 1, 3, np.nan, np.inf, -np.inf, 0.5], np.float32).reshape(2, 4, 1)
    (counts,) = _counted(array).counts
    assert {int(level): int(counts[level]) for level in np.flatnonzero(counts)} == {
        0: 3,
        32768: 1,
        65535: 3,
    }


@pytest.mark.parametrize(
    "one", [filters.equalize(), filters.otsu(), filters.autocontrast(cutoff=1)]
)
def test_levels_that_are_too_many_are_refused(one: imgpipe.Filter) -> None:
    with pytest.raises(
        UsageError, match="convert the image first, for example by astype:uint16,measured"
    ):
        one(np.ones((3, 3), np.uint32))


@pytest.mark.parametrize("dtype", [*TOP, "float32", "float64"])
@pytest.mark.parametrize("name", ["equalize", "otsu", "autocontrast"])
def test_measurements_do_not_depend_on_the_chunks(name: str, dtype: str, tmp_path: Path) -> None:
    array = noise((61, 53, 3), dtype)
    array[3, 5] = array[50, 1] = -0.0 if dtype.startswith("f") else 0
    np.save(tmp_path / "in.npy", array)
    for one in (getattr(filters, name)(), filters.blur() | getattr(filters, name)()):
        expected = one(array)
        for chunk in (5, (17, 64)):
            imgpipe.run(tmp_path / "in.npy", one, tmp_path / "out.npy", chunk=chunk)
            assert_array_equal(np.load(tmp_path / "out.npy"), expected)


@pytest.mark.parametrize(
    "one", [filters.equalize(), filters.otsu(), filters.autocontrast(), filters.autocontrast(2)]
)
def test_pieces_are_as_good_as_the_whole(one: imgpipe.Filter) -> None:
    assert imgpipe.check(one)


# --- equalize ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", TOP)
def test_equalize_is_that_of_scikit_image(size: tuple[int, ...], dtype: str) -> None:
    array = noise(size, dtype) // 5 + 30
    expected = each_channel(exposure.equalize_hist, array) * TOP[dtype]
    assert_array_equal(filters.equalize()(array), np.rint(expected))


def test_equalize_of_floats_is_that_of_scikit_image_within_a_bin(photo: NDArray[np.uint8]) -> None:
    values = photo / np.float32(255)
    expected = each_channel(exposure.equalize_hist, photo)
    assert_allclose(filters.equalize()(values), expected, atol=1e-6)
    assert filters.equalize()(values).dtype == np.float32


def test_equalize_lets_nan_be() -> None:
    made = filters.equalize()(np.array([[np.nan, 0.25, 0.5, 0.5, 7]]))
    assert_array_equal(made, [[np.nan, 0.25, 0.75, 0.75, 1]])
    assert_array_equal(filters.equalize()(np.full((2, 2), np.nan)), np.full((2, 2), np.nan))


# --- autocontrast -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*TOP, "float32", "float64", "uint32"])
def test_autocontrast_stretches_each_channel(dtype: str) -> None:
    top = np.iinfo(dtype).max if dtype[0] == "u" else 1
    parts = np.random.default_rng(0).uniform(0.2, 0.6, (33, 21, 3)) * [0.5, 1, 1.5]
    array = (parts * top).astype(dtype)
    low, high = array.min((0, 1)).astype(float), array.max((0, 1)).astype(float)
    exact = (array - low) * top / (high - low)
    made = filters.autocontrast()(array)
    assert made.dtype == dtype
    if dtype in TOP:
        exact = np.rint(exact)
    assert_allclose(made / float(top), exact / top, atol=1e-6)
    assert_array_equal(made.min((0, 1)), [0] * 3)
    assert_array_equal(made.max((0, 1)), [top] * 3)


@pytest.mark.parametrize("cutoff", [0, 1, 10, 30])
def test_autocontrast_is_that_of_pillow_but_rounded(
    cutoff: float, photo: NDArray[np.uint8]
) -> None:
    array = photo // 2 + 40
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(array), cutoff)).astype(int)
    made = filters.autocontrast(cutoff=cutoff)(array)
    assert set(np.unique(made - expected)) <= {0, 1}  # Pillow cuts off the fraction


def test_a_cutoff_means_the_same_for_every_type(photo: NDArray[np.uint8]) -> None:
    array = photo // 2 + 40
    made = filters.autocontrast(cutoff=5)(array) / 255
    wide = filters.autocontrast(cutoff=5)(array * np.uint16(257)) / 65535
    real = filters.autocontrast(cutoff=5)(array / np.float32(255))
    assert_allclose(wide, made, atol=1 / 500)
    assert_allclose(real, made, atol=1 / 500)


@pytest.mark.parametrize("value", [0.3, 0, -4, 17, np.nan])
def test_a_channel_of_one_value_stays(value: float) -> None:
    array = np.stack([np.full((3, 4), value), np.arange(12.0).reshape(3, 4)], axis=2)
    made = filters.autocontrast()(array)
    assert_array_equal(made[..., 0], array[..., 0])
    assert_allclose(made[..., 1], array[..., 1] / 11)
    flat = np.full((3, 3, 2), 77, np.uint8)
    assert_array_equal(filters.autocontrast()(flat), flat)
    assert_array_equal(filters.autocontrast(cutoff=10)(flat), flat)


def test_nan_is_no_extreme() -> None:
    made = filters.autocontrast()(np.array([[np.nan, 2.0, 3.0, 4.0]]))
    assert_array_equal(made, [[np.nan, 0, 0.5, 1]])


def test_alpha_is_not_measured(photo: NDArray[np.uint8]) -> None:
    array = np.dstack([photo, noise(photo.shape[:2], "uint8") | 1])
    for one in (filters.autocontrast(), filters.equalize(), filters.otsu()):
        made = one(array, alpha=3)
        assert_array_equal(made[..., :3], one(photo))
        assert_array_equal(made[..., 3], array[..., 3])


# --- otsu -------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", ["camera", "coins", "page", "moon", "text", "clock"])
def test_otsu_is_that_of_scikit_image(picture: str) -> None:
    array = getattr(data, picture)() if picture != "clock" else noise((64, 64), "uint8")
    expected = array > skfilters.threshold_otsu(array)
    assert_array_equal(filters.otsu()(array), np.where(expected, 255, 0))
    wide = array.astype(np.uint16) * 251 + 70
    expected = wide > skfilters.threshold_otsu(wide)
    assert_array_equal(filters.otsu()(wide), np.where(expected, 65535, 0))
    real = filters.otsu()(array / np.float32(255))
    assert_array_equal(real, filters.otsu()(array) / np.float32(255))


def test_otsu_of_each_channel(photo: NDArray[np.uint8]) -> None:
    expected = each_channel(lambda plane: plane > skfilters.threshold_otsu(plane), photo)
    assert_array_equal(filters.otsu()(photo), np.where(expected, 255, 0))
    gray = (filters.grayscale() | filters.otsu())(photo)
    luma = np.rint(color.rgb2gray(photo) * 255)
    assert np.mean((gray[..., 0] > 0) == (luma > skfilters.threshold_otsu(luma))) > 0.9


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_otsu_of_few_values(dtype: str) -> None:
    array = np.full((4, 4), 0.3 if dtype == "float32" else 30, dtype)
    assert_array_equal(filters.otsu()(array), 0)
    array[2:] = array[0] * 2  # between two values every threshold is as good: the lowest is taken
    white = 1 if dtype == "float32" else TOP[dtype]
    assert_array_equal(filters.otsu()(array), np.where(array > array[0], white, 0))
    assert_array_equal(filters.otsu()(np.full((2, 2), np.nan)), 0)


# --- signed and wide integers ----------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_signed_levels_are_counted_from_the_least(dtype: str) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(5)
    array = np.rint(rng.normal(0, 0.2, (61, 53, 2)) * limits.max).astype(dtype)
    array[0, 0], array[1, 1] = limits.min, limits.max
    unsigned = (array.astype(int) - limits.min).astype(f"u{array.itemsize}")
    # Black is 0: the result has half as many levels as that of unsigned integers.
    half = np.rint(filters.equalize()(unsigned) / np.iinfo(unsigned.dtype).max * limits.max)
    apart = np.abs(filters.equalize()(array) - half)
    assert apart.max() <= 1
    assert_array_equal(filters.otsu()(array) > 0, filters.otsu()(unsigned) > 0)
    for cutoff in (0, 2):
        made = filters.autocontrast(cutoff=cutoff)(array)
        exact = filters.autocontrast(cutoff=cutoff)(unsigned.astype(float) / unsigned.max())
        assert (made.min(), made.max()) == (0, limits.max)
        if not cutoff:
            assert_array_equal(made, np.rint(exact * limits.max))


def test_otsu_of_elevations_divides_land_from_sea() -> None:
    array = np.array([[-3000, -2990, -3010, 400, 410, 390]], np.int16)
    assert_array_equal(filters.otsu()(array), [[0, 0, 0, 32767, 32767, 32767]])


@pytest.mark.parametrize("dtype", ["uint32", "int32", "uint64", "int64"])
def test_wide_integers_are_stretched_by_exact_distances(dtype: str) -> None:
    limits = np.iinfo(dtype)
    top = int(limits.max)
    for low, high in ((limits.min, top), (top - 4, top), (limits.min, limits.min + 4)):
        array = np.array([[low, (low + high) // 2, high]], dtype)
        made = filters.autocontrast()(array)
        part = (int(array[0, 1]) - low) / (high - low)
        assert made[0, [0, 2]].tolist() == [0, top]
        assert abs(int(made[0, 1]) - part * top) <= 0.5 + 1e-15 * top
        flat = np.full((3, 3), low, dtype)
        assert_array_equal(filters.autocontrast()(flat), flat)


def test_floats_whose_range_their_type_cannot_hold_are_stretched() -> None:
    for dtype, largest in (("float16", 60000), ("float32", 3e38), ("float64", 1.7e308)):
        array = np.array([[-largest, 0, largest]], dtype)
        assert_array_equal(filters.autocontrast()(array), [[0, 0.5, 1]])


def test_infinity_is_no_extreme() -> None:
    array = np.array([[-np.inf, 0, 1, 4, np.inf, np.nan]])
    made = filters.autocontrast()(array)
    assert_array_equal(made, [[0, 0, 0.25, 1, 1, np.nan]])
    nothing = np.full((2, 2), np.inf)
    assert_array_equal(filters.autocontrast()(nothing), nothing)


def test_floats_of_another_range_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    array = np.random.default_rng(4).normal(100, 20, (20, 30))
    bright = array / 100  # half of it is above white: as of some photographs
    np.save(tmp_path / "in.npy", array)
    for one in (filters.otsu(), filters.equalize(), filters.autocontrast(1)):
        for run in (
            lambda one=one: one(array),
            lambda one=one: imgpipe.run(tmp_path / "in.npy", one, tmp_path / "o.npy", workers=1),
        ):
            caplog.clear()
            run()
            assert caplog.text.count("astype:float32,measured") == 1
        caplog.clear()
        (filters.astype("float32", "measured") | one)(array)
        one(np.clip(bright, 0, 1.1) - 0.05)
        assert not caplog.text
