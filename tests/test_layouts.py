"""Filters that change the meaning of channels."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from imgpipe.chains.stages import resolve
from imgpipe.colours import hexadecimal
from imgpipe.errors import UsageError
from imgpipe.filters import blur, flatten, grayscale, sepia, tint, to_rgb
from imgpipe.image import ImageInfo
from imgpipe.kernels.inks import ink_of, rgb_of_inks
from imgpipe.values import full_scale
from tests.conftest import noise

TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "float16", "float32", "float64")


@pytest.mark.parametrize("dtype", TYPES)
def test_flatten_is_its_formula(dtype: str) -> None:
    array = noise((13, 17, 4), dtype, 1)
    white = full_scale(dtype)
    if array.dtype.kind != "u":
        array[..., 3] = np.abs(array[..., 3]) / array[..., 3].max() * white / 2
    array[0, :, 3], array[1, :, 3] = 0, white if dtype != "uint64" else np.iinfo(dtype).max
    made = flatten("orange")(array, alpha="last")
    assert made.dtype == array.dtype
    assert made.shape == (13, 17, 3)
    assert np.array_equal(made[1], array[1, :, :3])
    top = Fraction(int(np.iinfo(dtype).max)) if array.dtype.kind in "iu" else Fraction(1)
    exact = array.dtype.kind in "iu" and array.dtype.itemsize <= 4
    for y, x in ((0, 0), (2, 5), (7, 16), (12, 1)):
        alpha = Fraction(array[y, x, 3].item()) / top
        for channel, level in enumerate((255, 165, 0)):
            value = Fraction(array[y, x, channel].item())
            behind = round(Fraction(level, 255) * top) if exact else Fraction(level, 255) * top
            right = alpha * value + (1 - alpha) * behind
            found = Fraction(made[y, x, channel].item())
            assert abs(found - right) <= (Fraction(1, 2) if exact else (top + abs(right)) / 1000)


def test_hidden_colours_are_not_seen_and_edges_are_not_dark() -> None:
    array = np.zeros((9, 9, 4), np.float32)
    array[..., :3] = np.nan
    array[:, 4:] = 1
    made = (blur(1.5) | flatten())(array, alpha="last")
    assert np.array_equal(made, np.ones((9, 9, 3), np.float32))


def test_flatten_knows_alpha_by_declaration_alone() -> None:
    array = noise((5, 6, 4), "uint8")
    assert np.array_equal(flatten("red")(array), array)
    info = ImageInfo(5, 6, 5, np.dtype(np.uint8), 4, "cmyk")
    (stage,) = resolve(flatten(), info)
    assert (stage.after.channels, stage.after.alpha, stage.after.colour) == (4, None, "cmyk")
    clear = np.full((5, 6, 5), 9, np.uint8)
    clear[..., 4] = 0
    assert not stage.apply(clear, info.box, info.box).any()  # white is no ink


def test_gray_gets_the_luma_of_the_background() -> None:
    array = np.zeros((1, 2, 2), np.uint8)
    assert flatten("#00ff00")(array, alpha=1).tolist() == [[[150], [150]]]


@pytest.mark.parametrize("dtype", TYPES)
def test_inks_become_what_is_left_of_light(dtype: str) -> None:
    array = noise((11, 7, 4), dtype, 3)
    if array.dtype.kind == "f":
        array /= np.abs(array).max()
    made = rgb_of_inks(array)
    top = full_scale(dtype)
    if array.dtype.kind == "i":
        array = np.maximum(array, 0)
    light = top - array.astype(np.longdouble)
    expected = light[..., :3] * light[..., 3:] / top
    small = array.dtype.kind in "iu" and array.dtype.itemsize <= 4
    assert made.dtype == array.dtype
    near = 0.5 if small else (top + np.abs(expected)) / 1000
    assert (np.abs(made - expected) <= near).all()


def test_to_rgb_takes_gray_rgb_and_inks() -> None:
    rgb = noise((5, 6, 3), "uint16")
    assert np.array_equal(to_rgb()(rgb), rgb)
    gray = noise((5, 6, 2), "uint16")
    made = to_rgb()(gray, alpha=1)
    assert np.array_equal(made, gray[..., [0, 0, 0, 1]])
    with pytest.raises(UsageError, match="needs a gray, RGB or CMYK image, not 4 channels"):
        to_rgb()(noise((5, 6, 4), "uint8"))


def test_inks_of_colours_give_the_colours_back() -> None:
    for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 17), (3, 2, 1), (90, 91, 92)):
        inks = np.array(ink_of(colour), np.uint8)[None, None]
        assert np.abs(rgb_of_inks(inks)[0, 0].astype(int) - colour).max() <= 1


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("white", "#ffffff"),
        (" Red ", "#ff0000"),
        ("#F80", "#ff8800"),
        ("128", "#808080"),
        (7, "#070707"),
        ("255, 128,0", "#ff8000"),
        ((1, 2, 3), "#010203"),
    ],
)
def test_colours_have_many_spellings(given: Any, made: str) -> None:
    assert hexadecimal(given) == made


@pytest.mark.parametrize("given", ["reddish", "#12345", 256, "1,2", (1, 2.5, 3), None, "-1", ""])
def test_other_words_are_no_colours(given: Any) -> None:
    with pytest.raises(ValueError, match="is not a colour; give a name such as white"):
        hexadecimal(given)


def test_filters_of_colours_say_how_to_take_inks() -> None:
    inks = ImageInfo(5, 6, 4, np.dtype(np.uint8), None, "cmyk")
    for one in (grayscale(), sepia(), tint("#f00")):
        with pytest.raises(UsageError, match="not of 4; if they are CMYK, put to_rgb before it"):
            resolve(one, inks)
        assert resolve(to_rgb() | one, inks)[-1].after.channels in (1, 3)
