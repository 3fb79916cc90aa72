"""The unsharp mask, against scikit-image and Pillow, and what it makes of alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage import filters as sk

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Filter
from imgpipe.errors import ParameterError
from imgpipe.filters import unsharp
from imgpipe.values import full_scale
from tests.conftest import noise

Pixels = NDArray[Any]

DTYPES = ["uint8", "uint16", "float32", "float64"]


def picture(shape: tuple[int, ...], dtype: str, seed: int = 3) -> Pixels:
    """Noise over the whole range; for floats from 0 to 1."""
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(seed).random(shape).astype(dtype)
    return noise(shape, dtype, seed)


def sharpened(array: Pixels, radius: float, amount: float, threshold: float = 0) -> Pixels:
    """The formula, in double precision and neither rounded nor saturated."""
    values = array.astype(float)
    detail = values - ndimage.gaussian_filter(values, (radius, radius, 0), mode="nearest")
    detail[np.abs(detail) <= threshold * full_scale(array.dtype)] = 0
    return np.asarray(values + amount * detail)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("radius", [0.6, 1.0, 3.0])
@pytest.mark.parametrize("amount", [-0.5, 0.5, 3.0])
def test_is_that_of_scikit_image(dtype: str, radius: float, amount: float) -> None:
    array = picture((45, 37, 3), dtype)
    exact = sk.unsharp_mask(
        array.astype(float), radius, amount, preserve_range=True, channel_axis=2
    )
    made = unsharp(radius, amount, border="symmetric")(array)
    assert made.dtype == dtype
    top = full_scale(dtype)
    if made.dtype.kind == "u":
        assert np.abs(made - exact.clip(0, top)).max() <= 0.5 + 1e-6 * top
    else:
        assert_allclose(made, exact, atol=5e-6)


@pytest.mark.parametrize(("radius", "error"), [(3.5, 1.3), (8.0, 1.3), (30.0, 2.0)])
def test_of_large_radius_is_close(photo: Pixels, radius: float, error: float) -> None:
    for amount in (0.5, 1.0):
        exact = sharpened(photo, radius, amount)
        made = unsharp(radius, amount)(photo)
        assert np.abs(made - exact.clip(0, 255)).max() <= amount * error + 0.5
    wide = photo.astype(np.uint16) * np.uint16(257)
    exact = sharpened(wide, radius, 1)
    assert np.abs(unsharp(radius)(wide) - exact.clip(0, 65535)).max() <= 0.6


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("radius", [3.5, 12.0])
def test_of_large_amount_is_exact(dtype: str, radius: float) -> None:
    array = picture((60, 50, 2), dtype)
    exact, made = sharpened(array, radius, 20), unsharp(radius, 20)(array)
    if made.dtype.kind == "f":
        assert np.abs(made - exact).max() <= 21 * (1e-6 if dtype == "float32" else 1e-10)
    else:
        limits = np.iinfo(dtype)
        off = np.abs(made - exact.clip(limits.min, limits.max)).max()
        assert off <= 0.5 + 21e-6 * limits.max


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_detail_is_left_alone(dtype: str) -> None:
    array = picture((45, 37, 3), dtype)
    threshold = 0.123
    made = unsharp(1.5, 2, threshold)(array)
    exact = sharpened(array, 1.5, 2, threshold)
    if made.dtype.kind == "u":
        exact = exact.clip(0, full_scale(dtype))
    off = np.abs(made - exact) > (0.55 if made.dtype.kind == "u" else 1e-5)
    assert off.mean() < 1e-3  # detail as large as the threshold may fall either way
    assert 0.1 < np.mean(made == array) < 0.5


def test_is_about_that_of_pillow(photo: Pixels) -> None:
    theirs = Image.fromarray(photo).filter(ImageFilter.UnsharpMask(2, 80, 0))
    inside = np.s_[8:-8, 8:-8]
    error = np.abs(unsharp(2, 0.8)(photo)[inside].astype(int) - np.asarray(theirs)[inside])
    assert error.mean() < 1.0


def test_a_flat_image_stays_as_it_is() -> None:
    for dtype in DTYPES:
        for radius in (1.0, 5.0):
            flat = np.full((30, 31, 3), 0.25 if dtype[0] == "f" else 77, dtype)
            assert_allclose(unsharp(radius, 5)(flat), flat, rtol=1e-5)


class TestAlpha:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("threshold", [0.0, 0.1])
    def test_opaque_is_as_without(self, dtype: str, threshold: float) -> None:
        array = picture((33, 35, 3), dtype)
        opaque = np.full((33, 35, 1), full_scale(dtype)).astype(dtype)
        both = np.concatenate([array, opaque], axis=2)
        one = unsharp(1.2, 1.5, threshold)
        made, plain = one(both, alpha=3), one(array)
        tolerance = 1 if made.dtype.kind == "u" else 1e-5
        off = np.abs(made[..., :3].astype(float) - plain) > tolerance
        if made.dtype.kind == "f":  # colours beyond the range are kept, there and here
            assert not off.any()
        assert off.mean() < 1e-3  # detail as large as the threshold may fall either way
        assert_array_equal(made[..., 3:], opaque)

    def test_hidden_colours_do_not_show(self) -> None:
        array = picture((40, 40, 4), "uint8")
        array[:, :20, 3] = 0
        other = array.copy()
        other[:, :20, :3] = 255 - other[:, :20, :3]
        one = unsharp(2, 2)
        assert_array_equal(one(array, alpha=3), one(other, alpha=3))

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_alpha_stays_and_so_does_one_colour_whatever_its_alpha(self, dtype: str) -> None:
        array = picture((40, 40, 4), dtype)
        array[..., :3] = array[0, 0, :3] * (array[..., 3:] != 0)
        for one in (unsharp(1.5, 2), unsharp(4, 0.5, 0.1)):
            assert_allclose(one(array, alpha=3), array, rtol=1e-6)


FILTERS = [unsharp(1.1, 2), unsharp(3.5, 1.5, 0.05)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
@pytest.mark.parametrize("channels", [3, 4])
def test_any_cut_gives_the_same(one: Filter, dtype: str, channels: int) -> None:
    array = picture((83, 71, channels), dtype)
    alpha = 3 if channels == 4 else None
    whole = one(array, alpha=alpha)
    for chunk in (7, (5, 64), 1000):
        out = imgpipe.apply(array, one, alpha=alpha, chunk=chunk, executor="serial")
        assert_array_equal(out, whole)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_images_smaller_than_the_halo(one: Filter, border: Any) -> None:
    bordered = Filter(one.definition, one.params, border)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (1, 1, 3)):
        for dtype in DTYPES:
            array = picture(shape, dtype)
            wide = np.pad(array, [(14, 14), (14, 14), *[(0, 0)] * (array.ndim - 2)], border)
            assert_array_equal(bordered(array), one(wide)[14:-14, 14:-14])


@pytest.mark.parametrize("bad", [{"radius": 0}, {"amount": -2}, {"threshold": 5}, {"white": 1}])
def test_bad_parameters_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="unsharp"):
        unsharp(**bad)
