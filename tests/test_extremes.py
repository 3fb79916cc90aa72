"""Extremes: every filter, on every type, with the largest and the least values that it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from imgpipe.chains.chain import Filter
from imgpipe.errors import UsageError
from imgpipe.registry import FILTERS
from tests.test_conformance import required

INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
LARGEST = {"float16": 60000.0, "float32": 1e30, "float64": 1e300}
SHAPE = (9, 11, 3)

# Filters that refuse a type, with the remedy.
REFUSES = {
    "adaptive_threshold": {"uint64", "int64"},
    "equalize": {"uint32", "uint64", "int32", "int64"},
    "otsu": {"uint32", "uint64", "int32", "int64"},
    "lut": {"uint32", "uint64", "int8", "int16", "int32", "int64", *LARGEST},
}
# Filters with another meaning for integers than for floats from 0 to 1.
OF_THEIR_OWN = {
    *("adaptive_threshold", "astype", "equalize", "invert", "lut", "otsu", "posterize"),
}
SMOOTHING = ("blur", "box", "bilateral", "unsharp", "resize")
RANKS = ("median", "percentile", "minimum", "maximum", "erode", "dilate", "open", "close")
MOVING = ("crop", "flip", "rotate", "grayscale")
DIFFERENCES = ("tophat", "blackhat", "morphological_gradient")
MAGNITUDES = ("sobel", "scharr", "prewitt")


def ends_of(dtype: str) -> tuple[Any, Any]:
    if dtype in LARGEST:
        return -LARGEST[dtype], LARGEST[dtype]
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def flats(dtype: str) -> list[Any]:
    low, high = ends_of(dtype)
    some = [low, high, 0, 1, 30000 if high > 30000 else 100]
    return [*some, -1, -30000 if low < -30000 else -100] if low else some


def patterned(dtype: str) -> dict[str, NDArray[Any]]:
    low, high = ends_of(dtype)
    y, x, _ = np.indices(SHAPE)
    black, white = np.array(low, dtype), np.array(high, dtype)
    rng = np.random.default_rng(0)
    noise = (
        rng.integers(low, high, SHAPE, dtype, endpoint=True)
        if dtype in INTEGERS
        else rng.uniform(-1, 1, SHAPE).astype(dtype)
    )
    return {
        "squares": np.where((y + x) % 2, black, white),
        "step": np.where(x < 5, black, white),
        "spike": np.where((y == 4) & (x == 5), white, np.array(0, dtype)),
        "noise": noise,
    }


def made_for(name: str, array: NDArray[Any]) -> Filter:
    given = required(name, SHAPE, "uint16" if array.dtype == np.uint16 else "uint8")
    if name == "blend":
        given = {"other": array[::-1, ::-1].copy()}
    if name == "astype":
        given = {"dtype": array.dtype}
    return FILTERS.load(name)(**given)


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in OF_THEIR_OWN])
def test_integers_become_what_floats_do(name: str) -> None:
    for dtype in INTEGERS:
        low, top = ends_of(dtype)
        # A value rounded to a level may fall to either side of a half; a double has 53 bits.
        within = (3 if name == "blur" else 1.51) if dtype == "uint8" else 1 + top / 2**50
        for picture, array in patterned(dtype).items():
            made = made_for(name, array)(array)
            assert made.dtype == dtype
            floats = array / float(top)
            exact = np.clip(made_for(name, floats)(floats) * float(top), low, top)
            off = np.abs(made.astype(float) - exact).max()
            assert off <= within, (dtype, picture, off)


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_takes_every_type_or_says_what_to_do(name: str) -> None:
    for dtype in (*INTEGERS, *LARGEST):
        for array in patterned(dtype).values():
            if dtype in REFUSES.get(name, ()):
                with pytest.raises(UsageError, match=rf"(?s){name}.*astype:"):
                    made_for(name, array)(array)
                continue
            made = made_for(name, array)(array)  # without a warning of NumPy's
            assert made.dtype == dtype
            assert not np.isnan(made).any()
            if name in MAGNITUDES + DIFFERENCES:
                assert made.min() >= 0


@pytest.mark.parametrize("name", SMOOTHING + RANKS + MOVING)
def test_a_flat_image_keeps_its_value(name: str) -> None:
    for dtype in (*INTEGERS, *LARGEST):
        for value in flats(dtype):
            array = np.full(SHAPE, value, dtype)
            made = made_for(name, array)(array)
            off = np.abs(made.astype(float) - float(array[0, 0, 0])).max()
            if name in RANKS or (np.dtype(dtype).kind in "iu" and array.itemsize <= 4):
                assert off == 0, (dtype, value)
            else:  # weights of a sum of 1 are floats
                digits = 2.0**-53 if dtype in INTEGERS else float(np.finfo(dtype).eps)
                assert off <= 8 * digits * abs(float(value)), (dtype, value)


@pytest.mark.parametrize("name", SMOOTHING)
def test_a_flat_image_keeps_its_value_under_alpha(name: str) -> None:
    for dtype in ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32"):
        top = ends_of(dtype)[1] if dtype in INTEGERS else 1
        for value in flats(dtype):
            array = np.full((*SHAPE[:2], 4), value, dtype)
            array[..., 3] = top
            array[3:5, 3:6, 3] = np.array(top / 2, dtype)
            made = made_for(name, array)(array, alpha=3)
            off = np.abs(made[..., :3].astype(float) - float(array[0, 0, 0])).max()
            allowed = 0 if dtype in INTEGERS else 32 * np.finfo(dtype).eps * abs(float(value))
            assert off <= allowed, (dtype, value)


@pytest.mark.parametrize("name", ["laplace", *MAGNITUDES, *DIFFERENCES])
def test_a_flat_image_has_no_edges(name: str) -> None:
    for dtype in (*INTEGERS, *LARGEST):
        for value in flats(dtype):
            array = np.full(SHAPE, value, dtype)
            given = {"offset": 0} if name == "laplace" else {}
            assert not FILTERS.load(name)(**given)(array).any(), (dtype, value)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_differences_of_neighbours_are_exact(dtype: str) -> None:
    top = ends_of(dtype)[1]
    for array in patterned(dtype).values():
        padded = np.pad(array.astype(object), ((1, 1), (1, 1), (0, 0)), "edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
        exact = np.minimum(windows.max(axis=(3, 4)) - windows.min(axis=(3, 4)), top)
        made = FILTERS.load("morphological_gradient")()(array)
        assert_array_equal(made.astype(object), exact)
        double = np.minimum(2 * exact, top).astype(float)
        gained = FILTERS.load("morphological_gradient")(gain=2)(array)
        np.testing.assert_allclose(gained.astype(float), double, rtol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_infinity_and_nan_are_no_reason_for_warnings_of_numpy(name: str) -> None:
    if name == "lut":
        return
    for dtype in LARGEST:
        array = np.zeros(SHAPE, dtype)
        array[2, 2], array[4, 8], array[6, 1] = np.inf, -np.inf, np.nan
        array[8, 5:] = np.finfo(dtype).max
        assert made_for(name, array)(array).dtype == dtype
