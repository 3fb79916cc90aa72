"""Values: what every type holds comes out as it went in, and what it cannot hold is saturated."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import imgpipe
from imgpipe import filters
from imgpipe.errors import FilterError
from imgpipe.values import from_unsigned, rescaled, to_unsigned, with_one_nan

INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
SIGNED = INTEGERS[4:]
FLOATS = ["float16", "float32", "float64"]


def extremes(dtype: str) -> NDArray[Any]:
    """Values at the ends of a type and around 0, and some between, in one row."""
    if np.dtype(dtype).kind == "f":
        numbers: list[Any] = [0, 1, -1, 0.5, -0.25, 60000, -60000, 1e-4]
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        numbers = [low, low + 1, high, high - 1, high // 2, high // 3, 0, 1, 2, 85, 127]
        numbers += [-1, -2, -85] if low else []
    return np.array(numbers, dtype)[None]


# --- from floats to integers -----------------------------------------------------------


def saturated(value: Any, dtype: str) -> int:
    limits = np.iinfo(dtype)
    exact = Fraction(*value.as_integer_ratio())
    return min(max(round(exact), int(limits.min)), int(limits.max))


@pytest.mark.parametrize("made", ["float16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_floats_are_rounded_half_to_even_and_saturated(dtype: str, made: str) -> None:
    ends = [float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)]
    numbers = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, 126.5, 127.5, 254.5, 255.5]
    numbers += [end * part for end in ends for part in (0.5, 1, 1.01, 3)] + [1e30, -1e30]
    limit = float(np.finfo(made).max)
    values = np.array([n for n in numbers if abs(n) <= limit], made)[None]

    @imgpipe.filter(halo=0)
    def constant(chunk: NDArray[Any]) -> NDArray[Any]:
        return values

    array = np.zeros(values.shape, dtype)
    expected = [saturated(value, dtype) for value in values[0]]
    assert constant()(array)[0].tolist() == expected


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_of_another_type_are_saturated(dtype: str) -> None:
    for other in INTEGERS:
        values = extremes(other)

        @imgpipe.filter(halo=0)
        def constant(chunk: NDArray[Any], values: NDArray[Any] = values) -> NDArray[Any]:
            return values

        made = constant()(np.zeros(values.shape, dtype))
        assert made[0].tolist() == [saturated(int(v), dtype) for v in values[0]]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_booleans_become_black_and_white(dtype: str) -> None:
    @imgpipe.filter(halo=0)
    def positive(chunk: NDArray[Any]) -> NDArray[Any]:
        return chunk > 0

    white = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    assert positive()(np.array([[0, 1, 5]], dtype))[0].tolist() == [0, white, white]


def test_values_too_large_for_float16_become_infinite() -> None:
    @imgpipe.filter(halo=0)
    def larger(chunk: NDArray[Any]) -> NDArray[Any]:
        return chunk.astype(np.float64) * 2

    assert larger()(np.array([[60000.0]], np.float16)) == np.inf


@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_function_that_sees_0_to_1_gives_white_back(dtype: str) -> None:
    @imgpipe.filter(halo=0, dtype="float32")
    def same(chunk: NDArray[Any]) -> NDArray[Any]:
        return chunk.astype(np.float16)

    top = np.iinfo(dtype).max
    assert same()(np.array([[0, top]], dtype))[0].tolist() == [0, top]


def test_nan_is_reported_for_large_integers_too() -> None:
    @imgpipe.filter(halo=0)
    def nothing(chunk: NDArray[Any]) -> NDArray[Any]:
        return chunk * np.nan

    with pytest.raises(
        FilterError, match="the result has NaN or infinity, which uint64 cannot hold"
    ):
        nothing()(np.ones((2, 2), np.uint64))


# --- from one maximum to another -------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("other", INTEGERS)
def test_integers_are_rescaled_exactly(dtype: str, other: str) -> None:
    values = extremes(dtype)
    factor = Fraction(int(np.iinfo(other).max), int(np.iinfo(dtype).max))
    expected = [saturated(Fraction(int(value)) * factor, other) for value in values[0]]
    assert rescaled(values, np.dtype(other))[0].tolist() == expected


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("other", FLOATS)
def test_integers_become_the_nearest_floats(dtype: str, other: str) -> None:
    values, top = extremes(dtype), int(np.iinfo(dtype).max)
    made = rescaled(values, np.dtype(other))
    exact = np.array([int(value) / top for value in values[0]])
    np.testing.assert_allclose(made[0], exact, np.finfo(other).eps, np.finfo(other).tiny)
    assert made[0].tolist()[2] == 1


@pytest.mark.parametrize("dtype", INTEGERS)
def test_small_integers_survive_the_way_through_floats(dtype: str) -> None:
    values = extremes(dtype)
    wide = "float32" if values.itemsize <= 2 else "float64"
    back = rescaled(rescaled(values, np.dtype(wide)), np.dtype(dtype))
    if values.itemsize <= 4:
        assert_array_equal(back, values)
    else:  # within 53 bits
        apart = [abs(int(a) - int(b)) for a, b in zip(back[0], values[0], strict=True)]
        assert max(apart) <= 2**11


@pytest.mark.parametrize("dtype", INTEGERS)
def test_signed_integers_keep_their_order_as_unsigned_ones(dtype: str) -> None:
    values = np.sort(extremes(dtype))
    shifted = to_unsigned(values)
    assert shifted.dtype.kind == "u"
    low = int(np.iinfo(dtype).min)
    assert shifted[0].tolist() == [int(value) - low for value in values[0]]
    back = from_unsigned(shifted, values.dtype)
    assert back.dtype == values.dtype
    assert_array_equal(back, values)


# --- filters ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("radius", [1, 3, 11])
def test_box_is_the_exact_mean_of_any_integers(dtype: str, radius: int) -> None:
    rng, limits = np.random.default_rng(1), np.iinfo(dtype)
    array = rng.integers(limits.min, limits.max, (27, 9), dtype, endpoint=True)
    odd = np.indices((27, 4)).sum(axis=0) % 2
    array[:, :4] = np.array([limits.max, limits.min], dtype)[odd]
    made = filters.box(radius=radius)(array)
    wide = np.pad(array, radius, mode="edge").astype(object)
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side))
    expected = (2 * windows.sum(axis=(2, 3)) + side**2) // (2 * side**2)
    assert made.tolist() == expected.tolist()


def test_box_of_float16_is_summed_in_float32() -> None:
    array = np.full((9, 9), 60000, np.float16)
    assert_array_equal(filters.box(radius=3)(array), array)


@pytest.mark.parametrize("dtype", SIGNED)
@pytest.mark.parametrize("name", ["tophat", "blackhat", "morphological_gradient"])
def test_differences_of_signed_integers_saturate(name: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    array = np.full((9, 9), -1 if name == "tophat" else 1, dtype)
    array[4, 4] = limits.max if name == "tophat" else limits.min
    made = getattr(filters, name)()(array)
    assert made.dtype == dtype
    assert made.min() == 0
    assert made[4, 4] == limits.max


@pytest.mark.parametrize(("dtype", "value"), [("float32", -3.4028235e38), ("float64", 1.7e308)])
def test_the_mean_of_the_largest_floats_is_among_them(dtype: str, value: float) -> None:
    array = np.full((20, 20), value, dtype)
    assert_array_equal(filters.box(radius=3)(array), array)
    array[:, 12:] = 5
    assert_array_equal(filters.box(radius=3)(array)[:, 15:], array[:, 15:])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_nan_becomes_that_of_numpy(dtype: str) -> None:
    values = np.array([0.5, -np.nan, np.nan, -0.0, -np.inf], dtype)[:, None, None]
    values[2:3].view(f"u{values.itemsize}")[...] += 1  # a payload
    made = with_one_nan(values)
    assert made[1:3].tobytes() == 2 * np.array(np.nan, dtype).tobytes()
    assert made[[0, 3, 4]].tobytes() == values[[0, 3, 4]].tobytes()
    assert with_one_nan(values[[0, 3, 4]]).tobytes() == values[[0, 3, 4]].tobytes()
