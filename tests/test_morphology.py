"""Minimum and maximum, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage import morphology

import imgpipe
from imgpipe import filters
from imgpipe.borders import BORDERS
from imgpipe.errors import ParameterError
from tests.conftest import noise

DTYPES = ["uint8", "uint16", "float32", "float64"]
SHAPES = ["square", "cross", "disk"]
SCIPY_BORDERS = {
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "wrap",
    "constant": "constant",
}
PEERS = {
    "minimum": ndimage.minimum_filter,
    "maximum": ndimage.maximum_filter,
    "erode": ndimage.grey_erosion,
    "dilate": ndimage.grey_dilation,
    "open": ndimage.grey_opening,
    "close": ndimage.grey_closing,
    "tophat": ndimage.white_tophat,
    "blackhat": ndimage.black_tophat,
    "morphological_gradient": ndimage.morphological_gradient,
}
TWO_STEPS = ["open", "close", "tophat", "blackhat"]


def neighbourhood(shape: str, radius: int) -> np.ndarray[Any, Any]:
    """The pixels that count, one channel deep."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = {
        "square": np.full(x.shape, True),
        "cross": x * y == 0,
        "disk": x * x + y * y <= radius * radius,
    }
    return inside[shape][:, :, None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PEERS)
def test_the_same_as_scipy(name: str, shape: str, dtype: str) -> None:
    array = noise((13, 19, 2), dtype)
    for border in BORDERS:
        if name in TWO_STEPS and border in ("edge", "constant"):
            continue  # see test_the_border_is_extended_once_for_both_steps
        for radius in (0, 1, 2, 6):
            expected = PEERS[name](
                array, footprint=neighbourhood(shape, radius), mode=SCIPY_BORDERS[border]
            )
            made = getattr(filters, name)(radius=radius, shape=shape, border=border)(array)
            assert_array_equal(made, expected, f"{border}, {radius}")


@pytest.mark.parametrize("radius", [0, 1, 4, 20, 33])
def test_a_disk_is_that_of_scikit_image(radius: int) -> None:
    array = noise((71, 83), "uint8")
    disk = morphology.disk(radius)
    padded = np.pad(array, radius, "edge")
    inner = np.s_[radius : radius + 71, radius : radius + 83]
    for name, peer in {"erode": morphology.erosion, "dilate": morphology.dilation}.items():
        made = getattr(filters, name)(radius=radius, shape="disk")(array)
        assert_array_equal(made, peer(padded, disk)[inner])


@pytest.mark.parametrize("radius", [1, 2, 15, 40])
def test_the_same_as_opencv(radius: int) -> None:
    cv2 = pytest.importorskip("cv2")
    array = noise((61, 57, 3), "uint8")
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    for name, border in (("erode", cv2.BORDER_REPLICATE), ("dilate", cv2.BORDER_REPLICATE)):
        made = getattr(filters, name)(radius=radius)(array)
        assert_array_equal(made, getattr(cv2, name)(array, square, borderType=border))


def test_the_same_as_pillow() -> None:
    array = noise((61, 57, 3), "uint8")
    image = Image.fromarray(array)
    for radius in (1, 2, 5):
        side = 2 * radius + 1
        assert_array_equal(
            filters.minimum(radius)(array), image.filter(ImageFilter.MinFilter(side))
        )
        assert_array_equal(
            filters.maximum(radius)(array), image.filter(ImageFilter.MaxFilter(side))
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", TWO_STEPS)
def test_the_border_is_extended_once_for_both_steps(
    name: str, border: str, shape: str, dtype: str
) -> None:
    array = noise((17, 22, 2), dtype)
    for radius in (1, 3):
        halo = 2 * radius
        padded = np.pad(array, ((halo, halo), (halo, halo), (0, 0)), border)
        expected = PEERS[name](padded, footprint=neighbourhood(shape, radius))
        made = getattr(filters, name)(radius=radius, shape=shape, border=border)(array)
        assert_array_equal(made, expected[halo : halo + 17, halo : halo + 22])


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_opening_is_never_above_the_image_and_closing_never_below(shape: str, border: str) -> None:
    array = noise((19, 26, 3), "uint8")
    for radius in (1, 2, 6, 14):
        opened = filters.open(radius=radius, shape=shape, border=border)(array)
        closed = filters.close(radius=radius, shape=shape, border=border)(array)
        assert (opened <= array).all()
        assert (array <= closed).all()
        tophat = filters.tophat(radius=radius, shape=shape, border=border)(array)
        blackhat = filters.blackhat(radius=radius, shape=shape, border=border)(array)
        assert_array_equal(opened + tophat, array)
        assert_array_equal(closed - blackhat, array)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", ["open", "close"])
def test_to_open_or_close_by_squares_twice_changes_nothing(name: str, border: str) -> None:
    array = noise((19, 26, 3), "uint8")
    for radius in (1, 2, 5):
        one = getattr(filters, name)(radius=radius, border=border)
        assert_array_equal(one(one(array)), one(array))


@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap"])
def test_two_steps_in_one_filter_or_in_two(border: str) -> None:
    array = noise((19, 26, 3), "uint16")
    erode, dilate = (f(radius=2, border=border) for f in (filters.erode, filters.dilate))
    assert_array_equal((erode | dilate)(array), filters.open(radius=2, border=border)(array))
    assert_array_equal((dilate | erode)(array), filters.close(radius=2, border=border)(array))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PEERS)
def test_any_cut_and_images_smaller_than_the_halo(name: str, shape: str, dtype: str) -> None:
    for size in ((1, 1, 1), (1, 13, 3), (14, 2, 3), (25, 37, 2)):
        array = noise(size, dtype)
        if dtype.startswith("float"):
            array -= 0.5
        for radius, border in ((1, "edge"), (3, "wrap"), (9, "constant"), (6, "reflect")):
            one = getattr(filters, name)(radius=radius, shape=shape, border=border)
            expected = one(array)
            for chunk in (6, (3, 64)):
                made = imgpipe.apply(array, one, executor="serial", chunk=chunk)
                assert made.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_nan_spreads_over_the_neighbourhood(shape: str) -> None:
    array = noise((31, 31), "float32")
    array[15, 12] = np.nan
    for name in ("minimum", "maximum"):
        made = getattr(filters, name)(radius=4, shape=shape)(array)
        expected = np.zeros((31, 31), bool)
        expected[11:20, 8:17] = neighbourhood(shape, 4)[..., 0]
        assert_array_equal(np.isnan(made), expected)


def test_alpha_is_kept() -> None:
    array = noise((19, 26, 4), "uint8")
    array[..., 3] |= 1  # all can be seen
    made = filters.dilate()(array, alpha=3)
    assert_array_equal(made[..., 3], array[..., 3])
    assert_array_equal(made[..., :3], filters.dilate()(array[..., :3]))


@pytest.mark.parametrize("name", PEERS)
def test_senseless_parameters_are_refused(name: str) -> None:
    for wrong in ({"radius": -1}, {"radius": 1.5}, {"radius": 1001}, {"shape": "ring"}):
        with pytest.raises(ParameterError, match=name):
            getattr(filters, name)(**wrong)
