"""Filters that mix channels, against NumPy in double precision, Pillow and OpenCV."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image

import imgpipe
from imgpipe import filters
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.errors import ParameterError, UsageError
from tests.conftest import noise

TOP = {"uint8": 255, "uint16": 65535}
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
LUMA = np.array([0.299, 0.587, 0.114])
SIZES = [(1, 1), (1, 50), (50, 1), (33, 41), (130, 170)]


def picture(size: tuple[int, ...], dtype: str) -> NDArray[Any]:
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(1).random(size).astype(dtype)
    return noise(size, dtype)


def exact(array: NDArray[Any], matrix: NDArray[Any]) -> NDArray[Any]:
    return np.einsum("yxc,rc->yxr", array.astype(np.float64), matrix)


def assert_near(made: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Check integers for the rounding of an exact sum, floats for the rounding of their type."""
    if made.dtype.kind == "u":
        assert np.abs(made - wanted.clip(0, TOP[made.dtype.name])).max() <= 0.53
    else:
        assert_allclose(made, wanted, atol=4e-7 if made.dtype == np.float32 else 1e-15)


# --- grayscale --------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [*TOP, "float32", "float64"])
def test_gray_is_the_luma(size: tuple[int, int], dtype: str) -> None:
    array = picture((*size, 3), dtype)
    made = filters.grayscale()(array)
    assert made.dtype == dtype
    if dtype in TOP:  # whole numbers, halves rounded up
        weights, bits = (
            ((9798, 19235, 3735), 15) if dtype == "uint8" else ((19595, 38470, 7471), 16)
        )
        wanted = (array.astype(np.int64) @ np.array(weights) + 2 ** (bits - 1)) >> bits
        assert_array_equal(made, wanted.reshape(made.shape))
    else:
        assert_allclose(made.reshape(size), exact(array, LUMA[None])[..., 0], atol=1e-5)


def test_gray_is_that_of_pillow_but_for_its_rounding() -> None:
    array = noise((211, 307, 3), "uint8")
    made = filters.grayscale()(array)
    theirs = np.asarray(Image.fromarray(array).convert("L"))
    assert_allclose(made[..., 0], theirs, atol=1)
    assert np.mean(made[..., 0] != theirs) < 0.01


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 0.51), ("uint16", 0.9)])
def test_the_error_of_gray(dtype: str, most: float) -> None:
    ends = np.array(list(itertools.product((0, TOP[dtype]), repeat=3)))
    colours = np.vstack([ends, noise((5000, 3), dtype)]).astype(dtype)
    made = filters.grayscale()(colours[None])[0, :, 0]
    assert np.abs(made - colours @ np.array(LUMA)).max() <= most
    assert_array_equal(filters.grayscale()(made[None, :, None])[0, :, 0], made)


def test_gray_images_stay_unchanged() -> None:
    made = noise((5, 6, 1), "uint8")
    assert_array_equal(filters.grayscale()(made), made)


def test_gray_under_alpha() -> None:
    array = noise((20, 30, 4), "uint8")
    made = filters.grayscale()(array, alpha=3)
    assert_array_equal(made[..., 1], array[..., 3])
    assert_array_equal(made[..., 0], filters.grayscale()(array[..., :3])[..., 0])


# --- matrices ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [*TOP, "float32", "float64"])
def test_channels_are_mixed_by_any_matrix(
    size: tuple[int, int], rows: int, channels: int, dtype: str
) -> None:
    array = picture((*size, channels), dtype)
    matrix = np.random.default_rng(rows).normal(size=(rows, channels)) * 0.7
    made = filters.mix_channels(matrix)(array)
    assert made.dtype == dtype
    assert_near(made.reshape(*size, rows), exact(array, matrix))


@pytest.mark.parametrize("dtype", TOP)
def test_large_weights_are_as_exact(dtype: str) -> None:
    array = noise((60, 70, 3), dtype)
    matrix = [[900.123, -900.0, 0.7], [-3.3, 2.2, 4.1], [0.001, 0, 0]]
    assert_near(filters.mix_channels(matrix)(array), exact(array, np.array(matrix)))


@pytest.mark.parametrize("dtype", [*TOP, "float32", "int16", "uint32"])
def test_channels_change_places(dtype: str) -> None:
    array = np.abs(noise((9, 13, 3), "uint16").astype(np.int64) // 2).astype(dtype)
    made = filters.mix_channels("0 1 0; 1 0 0; 0 0 1; 0 0 0")(array)
    wanted = np.dstack([array[..., [1, 0, 2]], np.zeros_like(array[..., 0])])
    assert_array_equal(made, wanted)


def test_a_channel_without_weight_is_left_out() -> None:
    array = np.array([[[np.nan, 2.0, np.inf]]])
    made = filters.mix_channels("0 1 0; 1 1 0; 0 0 -1")(array)
    assert_array_equal(made, [[[2, np.nan, -np.inf]]])
    for one in (filters.sepia(), filters.tint("#f00"), filters.grayscale()):
        assert np.isnan(one(array)).all() or one.name == "tint"


def test_a_matrix_is_text_a_file_or_an_array(tmp_path: Path) -> None:
    matrix = np.array([[0.5, -1, 2], [1e-3, 0, 1 / 3]])
    np.save(tmp_path / "m.npy", matrix)
    (tmp_path / "m.txt").write_text("0.5, -1, 2\n0.001 0 0.3333333333333333\n")
    given = [
        matrix,
        matrix.tolist(),
        "0.5 -1 2; 0.001 0 0.3333333333333333",
        str(tmp_path / "m.npy"),
        tmp_path / "m.txt",
    ]
    made = [filters.mix_channels(one) for one in given]
    assert all(one == made[0] for one in made)
    assert parse_chain(format_chain(made[0])) == made[0]


@pytest.mark.parametrize(
    "bad", ["", "1 2; 3", "a b", "nowhere.npy", [], [1, 2], [[1001.0]], [["x"]], [[np.nan]]]
)
def test_a_wrong_matrix_is_refused_when_the_filter_is_made(bad: object) -> None:
    with pytest.raises(ParameterError, match="mix_channels: matrix"):
        filters.mix_channels(bad)(np.zeros((2, 2, 3)))


def test_a_matrix_must_fit_the_image() -> None:
    with pytest.raises(UsageError, match="2 columns for an image of 3 channels"):
        filters.mix_channels("1 2; 3 4")(noise((3, 3, 3), "uint8"))
    made = filters.mix_channels("1 0 0; 0 1 0")(noise((3, 3, 4), "uint8"), alpha=3)
    assert made.shape == (3, 3, 3)


def test_mixing_is_that_of_opencv(photo: NDArray[np.uint8]) -> None:
    cv2 = pytest.importorskip("cv2")
    expected = cv2.transform(photo, SEPIA).astype(int)
    assert np.abs(filters.mix_channels(SEPIA)(photo) - expected).max() <= 1


def test_mixing_is_that_of_pillow(photo: NDArray[np.uint8]) -> None:
    twelve = np.hstack([SEPIA, np.zeros((3, 1))]).ravel().tolist()
    expected = np.asarray(Image.fromarray(photo).convert("RGB", tuple(twelve))).astype(int)
    assert np.abs(filters.sepia()(photo) - expected).max() <= 1


# --- sepia and tint ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*TOP, "float32", "float64"])
def test_sepia_and_tint_are_their_formulas(dtype: str) -> None:
    array = picture((33, 41, 3), dtype)
    colour = np.array([0xFF, 0x80, 0x10]) / 255
    for strength in (0, 0.25, 1):
        kept = (1 - strength) * np.eye(3)
        made = filters.sepia(strength=strength)(array)
        assert_near(made, exact(array, kept + strength * SEPIA))
        made = filters.tint(colour="#ff8010", strength=strength)(array)
        wanted = exact(array, kept + strength * np.outer(colour, LUMA))
        assert np.abs(made - wanted).max() <= 1e-5 * wanted.max() + 0.53 * (dtype in TOP)


@pytest.mark.parametrize("dtype", [*TOP, "float32"])
@pytest.mark.parametrize("one", [filters.sepia(), filters.tint("#123456", 0.7)], ids=["s", "t"])
def test_gray_becomes_colour(one: imgpipe.Filter, dtype: str) -> None:
    gray = picture((20, 30, 1), dtype)
    same = one(np.repeat(gray, 3, axis=2))
    made = one(gray)
    assert made.shape == same.shape
    assert_allclose(made.astype(float), same, atol=1 if dtype in TOP else 1e-6)
    assert_array_equal(one(gray[..., 0]), made)
    for channels in (2, 5):
        says = f"{one.name}: needs an image of 1 or 3 colours.*by mix_channels"
        with pytest.raises(UsageError, match=says):
            one(picture((3, 3, channels), dtype))


def test_a_colour_is_hexadecimal() -> None:
    assert filters.tint("#F80") == filters.tint("#ff8800")
    white = np.full((1, 1, 3), 255, np.uint8)
    assert_array_equal(filters.tint("#1a2b3c", 1)(white), [[[0x1A, 0x2B, 0x3C]]])
    for bad in ("red", "#12", "#12345g", "ff8800", "#ff88001", "", 7):
        with pytest.raises(ParameterError, match="tint: colour"):
            filters.tint(bad)(white)


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_every_result_can_be_written(suffix: str, tmp_path: Path) -> None:
    array = noise((40, 30, 3), "uint8")
    np.save(tmp_path / "in.npy", array)
    for one in (
        filters.mix_channels("0 1 0; 1 0 0; 0 0 1"),
        filters.mix_channels("0.2 0.3 0.5"),
        filters.grayscale() | filters.sepia(),
        filters.tint("#0080ff"),
    ):
        out = tmp_path / f"out.{suffix}"
        imgpipe.run(tmp_path / "in.npy", one, out, chunk=7)
        assert_array_equal(imgpipe.read(out), one(array))


def test_a_number_of_channels_may_depend_on_parameters() -> None:
    @imgpipe.filter(halo=0, channels=lambda channels, copies: channels * copies)
    def repeated(chunk, *, channels: int = 9, copies: int = 2):
        return np.tile(chunk, copies)

    array = noise((3, 4, 3), "uint8")
    assert_array_equal(repeated(copies=3)(array), np.tile(array, 3))
