"""Conversion: every type into every other, exact where integers meet."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import imgpipe
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.cli import execute
from imgpipe.errors import FilterError, ParameterError
from imgpipe.filters import astype, blur
from tests.conftest import noise

INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
FLOATS = ["float16", "float32", "float64"]
TYPES = [*INTEGERS, *FLOATS]


def white(dtype: str) -> int:
    return int(np.iinfo(dtype).max) if dtype in INTEGERS else 1


def values_of(dtype: str) -> NDArray[Any]:
    """The ends of a type, values near them and near 0, and values between."""
    if dtype in FLOATS:
        return np.array([[0, 1, 0.5, 0.25, 2 / 3, -0.5, 1.5, 1000, -1000]], dtype)
    low, top = int(np.iinfo(dtype).min), white(dtype)
    numbers = [0, 1, 2, 3, 100, 127, top // 3, top // 2, top // 2 + 1, top - 1, top]
    return np.array(numbers + ([low, low + 1, -1, -2, -100] if low else []), dtype)[None]


def assert_is(made: NDArray[Any], exact: list[Fraction], dtype: str, *, by_floats: bool) -> None:
    """Assert that values are as near to the exact ones as the type of the result allows."""
    assert made.dtype == dtype
    for value, wanted in zip(made[0], exact, strict=True):
        found = Fraction(*value.item().as_integer_ratio())
        if dtype in FLOATS:
            off = max(abs(wanted) * Fraction(float(np.finfo(dtype).eps)), Fraction(1, 2**24))
            assert abs(found - wanted) <= off
            continue
        limits = np.iinfo(dtype)
        rounded = min(max(round(wanted), int(limits.min)), int(limits.max))
        # A double has 53 bits.
        assert abs(found - rounded) <= (abs(rounded) >> 51 if by_floats else 0)


def exactly(array: NDArray[Any], scaled: Callable[[Fraction], Fraction]) -> list[Fraction]:
    return [scaled(Fraction(*value.item().as_integer_ratio())) for value in array[0]]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("given", TYPES)
def test_every_type_becomes_every_other(given: str, dtype: str) -> None:
    array, top = values_of(given), white(dtype)
    floats = given in FLOATS
    full = exactly(array, lambda value: value * Fraction(top, white(given)))
    assert_is(astype(dtype)(array), full, dtype, by_floats=floats)
    small = array[abs(array.astype(float)) < 60000][None]  # the range of float16
    assert_is(astype(dtype, "keep")(small), exactly(small, Fraction), dtype, by_floats=floats)
    low, high = array.min().item(), array.max().item()
    first, last = (Fraction(*end.as_integer_ratio()) for end in (low, high))
    stretched = exactly(array, lambda value: (value - first) * top / (last - first))
    assert_is(astype(dtype, "measured")(array), stretched, dtype, by_floats=floats)
    assert astype(dtype, (low, high))(array).tolist() == astype(dtype, "measured")(array).tolist()


@pytest.mark.parametrize("dtype", ["int16", "uint32", "int64"])
def test_halves_are_rounded_to_even(dtype: str) -> None:
    array = np.array([[1, 3, 5, 7, 510, 600]], dtype)
    assert astype("uint8", (0, 510))(array)[0].tolist() == [0, 2, 2, 4, 255, 255]
    assert astype("int16", (0, 2 * 32767))(-array)[0].tolist() == (
        [0, -2, -2, -4, -255, -300] if dtype != "uint32" else [32767] * 6
    )
    floats = array / 2.0
    assert astype("uint8", "keep")(floats)[0].tolist() == [0, 2, 2, 4, 255, 255]
    assert astype("uint8", (0.0, 255))(floats)[0].tolist() == [0, 2, 2, 4, 255, 255]


def test_ct_values_become_8_bits() -> None:
    array = np.array([[-2000, -1024, 0, 1023, 3071, 4000]], np.int16)
    made = astype("uint8", "-1024..3071")(array)
    assert made[0].tolist() == [0, 0, 64, 127, 255, 255]
    there = astype("float32", (-1024, 3071))(array)
    assert there[0, [1, 4]].tolist() == [0, 1]
    assert there[0, 5] > 1  # floats are not clipped


def test_timestamps_and_other_large_numbers_keep_their_distances() -> None:
    array = np.array([[2**62, 2**62 + 5, 2**62 + 10]], np.int64)
    assert astype("uint8", "measured")(array)[0].tolist() == [0, 128, 255]
    assert astype("float64", "measured")(array)[0].tolist() == [0, 0.5, 1]


def test_the_largest_doubles_are_no_trouble() -> None:
    array = np.array([[-1.7e308, 0, 1.7e308]])
    assert astype("uint8", "measured")(array)[0].tolist() == [0, 128, 255]
    assert astype("float32", "measured")(array)[0].tolist() == [0, 0.5, 1]
    assert np.isinf(astype("float16", "keep")(array)[0, 2])


@pytest.mark.parametrize("given", ["uint16", "int32", "float32"])
def test_an_image_of_one_value_becomes_black(given: str) -> None:
    array = np.full((3, 4), 7, given)
    assert not astype("uint8", "measured")(array).any()
    assert not astype("float32", "measured")(array).any()


# --- NaN -------------------------------------------------------------------------------

HOLED = np.array([[0.0, np.nan, 0.5, np.inf, 1.0, -np.inf]])


def test_nan_and_infinity_stay_in_floats_and_are_left_aside_in_measuring() -> None:
    assert_array_equal(astype("float32")(HOLED), HOLED.astype(np.float32))
    made = astype("float32", "measured")(4 * HOLED)
    assert_array_equal(made, HOLED.astype(np.float32))
    assert_array_equal(astype("float32", nan=0.25)(HOLED), [[0, 0.25, 0.5, 0.25, 1, 0.25]])
    nothing = np.full((2, 2), np.nan)
    assert np.isnan(astype("float32", "measured")(nothing)).all()


@pytest.mark.parametrize("extent", ["full", "measured", "keep", (0, 1)])
def test_nan_in_an_integer_is_an_error_unless_it_is_replaced(extent: Any) -> None:
    with pytest.raises(
        FilterError, match=r"astype: the result has NaN or infinity, .* astype:uint16,nan=0"
    ):
        astype("uint16", extent)(HOLED)
    made = astype("uint16", extent, nan=1)(HOLED)
    assert made[0, [1, 3, 5]].tolist() == [65535] * 3


def test_nan_that_nobody_sees_is_no_error() -> None:
    array = np.ones((5, 5, 4))
    array[2, 2] = np.nan, np.inf, 0.5, 0
    for extent in ("full", "measured"):
        made = astype("uint8", extent)(array, alpha=3)
        assert made[2, 2, 3] == 0
        assert (made[0, 0] == 255).all() or extent == "measured"


def test_the_error_names_the_chunk(tmp_path: Path) -> None:
    array = np.zeros((50, 40), np.float32)
    array[45, 3] = np.nan
    np.save(tmp_path / "in.npy", array)
    with pytest.raises(FilterError, match=r"(?s)rows 40-50, .*astype:uint8,nan=0"):
        imgpipe.run(tmp_path / "in.npy", astype("uint8"), tmp_path / "o.png", chunk=10)


# --- in chains, files and commands -----------------------------------------------------


@pytest.mark.parametrize("given", ["uint16", "int16", "float32", "int64"])
def test_measuring_does_not_depend_on_the_cut(given: str, tmp_path: Path) -> None:
    array = noise((37, 29, 3), given)
    array[0, 0] = array[30, 20] = -0.0 if given == "float32" else 0
    np.save(tmp_path / "in.npy", array)
    for dtype in ("uint8", "float64"):
        chain = blur(sigma=1) | astype(dtype, "measured")
        expected = chain(array)
        for chunk in (1, 5, (17, 64)):
            imgpipe.run(tmp_path / "in.npy", chain, tmp_path / "o.npy", chunk=chunk)
            made = np.load(tmp_path / "o.npy")
            assert_array_equal(made.view(np.uint8), expected.view(np.uint8))


def test_colours_are_measured_together_and_alpha_is_not() -> None:
    array = np.zeros((4, 4, 4), np.uint16)
    array[..., :3], array[..., 3] = (100, 200, 300), 65535
    array[0, 0, :3] = 100
    array[1, 1, 3] = 257
    made = astype("uint8", "measured")(array, alpha=3)
    assert made[2, 2].tolist() == [0, 128, 255, 255]
    assert made[1, 1, 3] == 1


def test_only_a_measured_range_costs_a_pass(tmp_path: Path) -> None:
    assert astype("uint8", "measured").measures
    assert not astype("uint8", "full").measures
    np.save(tmp_path / "in.npy", noise((9, 9), "uint16"))
    for extent in ("full", "measured"):
        report = imgpipe.run(tmp_path / "in.npy", astype("uint8", extent), tmp_path / "o.png")
        assert report.passes == (2 if extent == "measured" else 1)


def test_the_command_makes_a_png_of_floats(tmp_path: Path) -> None:
    array = noise((30, 20), "float64")
    np.save(tmp_path / "in.npy", array)
    source, out = str(tmp_path / "in.npy"), tmp_path / "out.png"
    options = ["--dtype", "uint8", "--range", "measured"]
    assert execute(["astype", source, "-o", str(out), *options]) == 0
    assert_array_equal(imgpipe.read(out)[..., 0], astype("uint8", "measured")(array))
    assert execute(["run", "astype:uint16,-5..5", source, "-o", str(out)]) == 0
    assert_array_equal(imgpipe.read(out)[..., 0], astype("uint16", (-5, 5))(array))


def test_an_error_about_an_image_that_png_cannot_hold_names_the_conversion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "in.npy", noise((9, 9), "float32"))
    assert execute(["blur", str(tmp_path / "in.npy"), "-o", str(tmp_path / "o.png")]) == 2
    assert "astype:uint16,range=0..1 in the chain" in capsys.readouterr().err


# --- parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("0..4095", "0..4095"),
        ("-1024 3071", "-1024..3071"),
        ("0, 0.5", "0..0.5"),
        ("1e3..1.5e4", "1000..15000"),
        ((np.int16(-5), np.float32(0.5)), "-5..0.5"),
        ([0, 2**64 - 1], "0..18446744073709551615"),
        ("keep", "keep"),
    ],
)
def test_a_range_is_written_in_one_way(given: Any, text: str) -> None:
    one = astype("uint8", given)
    assert one.keywords["range"] == text
    assert parse_chain(format_chain(one)) == one == astype("uint8", text)


def test_types_of_numpy_are_names() -> None:
    assert astype(np.uint8) == astype("u1") == astype(np.dtype("uint8")) == astype("uint8")
    assert astype(">u2").keywords["dtype"] == "uint16"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dtype": "byte8"}, "'byte8' is not a NumPy type"),
        ({"dtype": "complex64"}, "dtype must be one of uint8"),
        ({"dtype": "uint8", "range": "all"}, "'all' is not a range; give full, measured"),
        ({"dtype": "uint8", "range": (1, 2, 3)}, "is not a range"),
        ({"dtype": "uint8", "range": (0, float("inf"))}, "is not a range"),
        ({"dtype": "uint8", "range": "9..3"}, "the first number must be less"),
        ({"dtype": "uint8", "nan": 255}, "255 of 255 is 1"),
    ],
)
def test_an_impossible_conversion_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=f"astype: .*{said}"):
        astype(**given)
