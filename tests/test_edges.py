"""Edge filters, against scikit-image, SciPy and Pillow where they have the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
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
from imgpipe.filters import (
    emboss,
    laplace,
    prewitt,
    scharr,
    sobel,
)
from imgpipe.values import full_scale
from tests.conftest import noise

Pixels = NDArray[Any]

DTYPES = ["uint8", "uint16", "float32", "float64"]
SCIPY_BORDERS = {"edge": "nearest", "symmetric": "reflect", "reflect": "mirror", "wrap": "wrap"}
GRADIENTS = [(sobel, sk.sobel), (scharr, sk.scharr), (prewitt, sk.prewitt)]


def picture(shape: tuple[int, ...], dtype: str) -> Pixels:
    """Noise over the whole range; for floats from 0 to 1."""
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(3).random(shape).astype(dtype)
    return noise(shape, dtype)


def by_planes(function: Callable[[Pixels], Pixels], array: Pixels) -> Pixels:
    """A function of one channel, of each in double precision."""
    return np.stack([function(plane) for plane in np.moveaxis(array.astype(float), 2, 0)], axis=2)


def assert_same(made: Pixels, exact: Pixels, dtype: str) -> None:
    """The same, except the last bits of floats, and their effect on a rounded half."""
    assert made.dtype == dtype
    if made.dtype.kind == "f":
        assert_allclose(made, exact, atol=1e-5 if dtype == "float32" else 1e-13)
        return
    top = full_scale(dtype)
    assert np.abs(made - exact.clip(0, top)).max() <= 0.5 + top * 5e-7
    assert np.mean(made != np.rint(exact).clip(0, top)) < 0.02


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("ours", "theirs"), GRADIENTS)
@pytest.mark.parametrize(("axis", "number"), [("magnitude", (0, 1)), ("x", 1), ("y", 0)])
def test_gradients_are_those_of_scikit_image(
    ours: Any, theirs: Any, axis: str, number: Any, dtype: str
) -> None:
    array = picture((41, 53, 3), dtype)
    offset = 0.0 if axis == "magnitude" else 0.25
    for border in ("edge", "symmetric", "reflect", "wrap"):
        made = ours(axis=axis, offset=offset, border=border)(array)
        exact = by_planes(partial(theirs, axis=number, mode=SCIPY_BORDERS[border]), array)
        exact += offset * full_scale(dtype)
        assert_same(made, exact, dtype)


@pytest.mark.parametrize("factory", [sobel, scharr, prewitt])
def test_a_step_from_black_to_white_is_the_full_range(factory: Any) -> None:
    for dtype, full in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        step = np.zeros((9, 10), dtype)
        step[:, 5:] = full
        dx = factory(axis="x", offset=0)(step)
        assert_allclose(dx[:, 4:6], full, rtol=1e-6)
        assert not dx[:, :4].any()
        assert not dx[:, 6:].any()
        rising = factory(axis="x")(step // 2 if full > 1 else step / 2)
        falling = factory(axis="x")(step[:, ::-1].copy())
        assert_allclose(rising[0, 4], full, atol=0.01 * full)
        assert_allclose(falling[0, 4], 0 if full > 1 else -0.5, atol=1e-6)
        assert_array_equal(factory(axis="y", offset=0)(step), np.zeros_like(step))
        assert_array_equal(factory(axis="y", offset=0)(step.T.copy()), dx.T)


@pytest.mark.parametrize(
    ("dtype", "sizes"),
    [("float32", (1e-44, 1e-30, 1e-18, 1, 1e19, 1e36)), ("float64", (1e-310, 1e-155, 1, 1e160))],
)
def test_magnitudes_of_any_size_have_all_their_digits(dtype: str, sizes: Any) -> None:
    parts = [np.zeros((20, 30))] + [np.random.default_rng(9).random((20, 30)) * s for s in sizes]
    array = np.concatenate(parts, axis=1).astype(dtype)
    dx, dy = (sobel(axis=axis, offset=0)(array) for axis in "xy")
    made = sobel()(array)
    exact = np.hypot(dx.astype(np.longdouble), dy) * np.sqrt(np.longdouble(0.5))
    tiny = np.finfo(dtype).smallest_subnormal
    assert_allclose(made, exact, rtol=4 * np.finfo(dtype).eps, atol=2 * float(tiny))
    assert not made[:, 1:29].any()
    for chunk in (7, 64):
        cut = imgpipe.apply(array, sobel(), chunk=chunk, workers=1)
        assert_array_equal(cut, made, strict=True)


def test_the_largest_gradients_fit() -> None:
    corner = np.zeros((6, 6), np.uint8)
    corner[:3, :3] = corner[3:, 3:] = 255
    for factory, reference in GRADIENTS:
        for array in (corner, corner * np.uint16(257)):
            exact = reference(array.astype(float), mode="nearest")
            assert_allclose(factory()(array), exact, atol=0.52)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_laplace_is_that_of_scipy(dtype: str, offset: float) -> None:
    array = picture((37, 43, 3), dtype)
    for border, mode in SCIPY_BORDERS.items():
        exact = by_planes(partial(ndimage.laplace, mode=mode), array)
        exact += offset * full_scale(dtype)
        assert_same(laplace(offset=offset, border=border)(array), exact, dtype)


def test_laplace_of_a_plane_is_the_offset() -> None:
    plane = np.add.outer(np.arange(20), 3 * np.arange(30)).astype(np.uint8)
    assert_array_equal(laplace(offset=0.2)(plane)[1:-1, 1:-1], np.full((18, 28), 51))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strength", [1.0, -1.0, 0.3, 12.0])
def test_emboss_is_its_kernel(dtype: str, strength: float) -> None:
    array = picture((31, 29, 3), dtype)
    kernel = strength * np.array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]])
    exact = ndimage.correlate(array.astype(float), kernel[..., None], mode="nearest")
    assert_same(emboss(strength=strength)(array), exact + full_scale(dtype) / 2, dtype)


@pytest.mark.parametrize(
    ("ours", "kernel"),
    [
        (laplace(offset=0.2), [0, 1, 0, 1, -4, 1, 0, 1, 0]),
        (emboss(offset=0.2), [0, 1, 1, -1, 0, 1, -1, -1, 0]),  # from the bottom row up
    ],
)
def test_of_8_bits_is_that_of_pillow(ours: Filter, kernel: list[int]) -> None:
    array = noise((40, 50, 3), "uint8")
    theirs = Image.fromarray(array).filter(ImageFilter.Kernel((3, 3), kernel, 1, 51))
    inside = np.s_[1:-1, 1:-1]  # Pillow leaves the border as it is
    assert_array_equal(ours(array)[inside], np.asarray(theirs)[inside])


FILTERS = [
    sobel(),
    sobel(axis="x"),
    scharr(axis="y", offset=0.1),
    prewitt(),
    laplace(gain=0.5),
    emboss(strength=0.7),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_any_cut_gives_the_same(one: Filter, dtype: str) -> None:
    array = noise((83, 71, 3), dtype)  # floats of twelve decades: the order of a sum would show
    whole = one(array)
    for chunk in (7, (5, 64), 1000):
        out = imgpipe.apply(array, one, chunk=chunk, executor="serial")
        assert_array_equal(out, whole)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_images_smaller_than_the_halo(one: Filter, border: str) -> None:
    bordered = Filter(one.definition, one.params, border)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (1, 1, 4)):
        for dtype in DTYPES:
            array = noise(shape, dtype)
            out = bordered(array)
            assert out.shape == array.shape
            wide = np.pad(array, [(9, 9), (9, 9), *[(0, 0)] * (array.ndim - 2)], border)
            assert_array_equal(out, one(wide)[9:-9, 9:-9])


@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_alpha_passes_through_and_channels_do_not_mix(one: Filter) -> None:
    array = noise((19, 23, 4), "uint8")
    array[..., 3] |= 1  # nothing is hidden
    out = one(array, alpha=3)
    assert_array_equal(out[..., 3], array[..., 3])
    for channel in range(3):
        assert_array_equal(out[..., channel], one(array[..., channel].copy()))


def test_nan_spreads_to_its_neighbours_only() -> None:
    array = np.ones((40, 40, 3), np.float32)
    array[20, 10, 1] = np.nan
    lost = np.isnan(sobel()(array))
    assert lost[19:22, 9:12, 1].sum() == lost.sum() == 8  # the centre itself has no weight


@pytest.mark.parametrize(
    "bad", [{"axis": "z"}, {"offset": 2}, {"offset": float("nan")}, {"offset": "0"}]
)
def test_bad_parameters_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="sobel"):
        sobel(**bad)


def test_from_file_to_file(tmp_path: Path) -> None:
    array = noise((60, 70, 3), "uint8")
    Image.fromarray(array).save(tmp_path / "in.png")
    imgpipe.run(tmp_path / "in.png", sobel() | laplace(), tmp_path / "out.png", workers=1)
    assert_array_equal(imgpipe.read(tmp_path / "out.png"), laplace()(sobel()(array)))
