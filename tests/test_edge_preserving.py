"""The bilateral filter, against its formula and OpenCV.

scikit-image 0.26 computes something else: its table of spatial weights has a row and a column more
than it is read with, and for colours it divides distances by the number of channels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Filter
from imgpipe.errors import ParameterError
from imgpipe.filters import bilateral
from imgpipe.values import full_scale
from tests.conftest import noise

Pixels = NDArray[Any]

DTYPES = ["uint8", "uint16", "float32", "float64"]


def picture(shape: tuple[int, ...], dtype: str, seed: int = 3) -> Pixels:
    """Noise over the whole range; for floats from 0 to 1."""
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(seed).random(shape).astype(dtype)
    return noise(shape, dtype, seed)


def formula(
    array: Pixels, sigma_color: float, sigma_spatial: float, border: Any = "edge"
) -> Pixels:
    """The weighted mean, tap by tap in double precision."""
    radius = max(2, math.ceil(3 * sigma_spatial))
    values = array.astype(float)
    height, width, _ = array.shape
    padded = np.pad(values, ((radius, radius), (radius, radius), (0, 0)), border)
    sigma = sigma_color * full_scale(array.dtype)
    total, weights = np.zeros_like(values), np.zeros((height, width, 1))
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            other = padded[radius + y :][:height, radius + x :][:, :width]
            unlike = ((other - values) ** 2).sum(axis=2, keepdims=True) / sigma**2
            weight = np.exp(-0.5 * (unlike + (x**2 + y**2) / sigma_spatial**2))
            total += weight * other
            weights += weight
    return np.asarray(total / weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("color", "spatial"), [(0.1, 1.0), (0.5, 0.4), (0.03, 2.2), (5.0, 1.5)])
def test_is_its_formula(dtype: str, channels: int, color: float, spatial: float) -> None:
    array = picture((29, 33, channels), dtype)
    for border in ("edge", "reflect"):
        made = bilateral(color, spatial, border=border)(array)
        wanted = formula(array, color, spatial, border)
        assert made.dtype == dtype
        if made.dtype.kind == "f":
            assert_allclose(made, wanted, atol=2e-5 if dtype == "float32" else 1e-12)
        else:
            assert np.abs(made - wanted).max() <= 0.5 + 2e-6 * full_scale(dtype)


def test_of_a_large_image_is_its_formula() -> None:
    array = picture((250, 411, 3), "uint8")
    assert np.abs(bilateral(0.2, 1)(array) - formula(array, 0.2, 1)).max() <= 0.501


def test_of_gray_is_about_that_of_opencv(photo: Pixels) -> None:
    cv2 = pytest.importorskip("cv2")
    gray = photo[..., 1] / np.float32(255)
    theirs = cv2.bilateralFilter(gray, 9, 0.2, 1.0, borderType=cv2.BORDER_REPLICATE)
    # Its neighbourhood is a disk, which leaves out weights of less than 1 / 3000.
    assert_allclose(bilateral(0.2, 1.0)(gray), theirs, atol=4e-3)


def test_edges_stay_and_noise_goes() -> None:
    rng = np.random.default_rng(0)
    clean = np.where(np.arange(60) < 30, 60, 190)[None].repeat(40, axis=0)
    noisy = (clean + rng.normal(0, 5, clean.shape)).round().astype(np.uint8)
    error = bilateral(0.15, 2)(noisy).astype(float) - clean
    assert np.abs(error).max() < 6
    assert error.std() < 1.5
    assert np.abs(error[:, 28:32].mean(axis=0)).max() < 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_flat_image_stays_as_it_is(dtype: str) -> None:
    flat = np.full((30, 31, 3), 0.3 if dtype[0] == "f" else 77, dtype)
    assert_array_equal(bilateral(0.001, 1)(flat), flat)


class TestAlpha:
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_opaque_is_as_without(self, dtype: str) -> None:
        array = picture((33, 35, 3), dtype)
        opaque = np.full((33, 35, 1), full_scale(dtype)).astype(dtype)
        made = bilateral()(np.concatenate([array, opaque], axis=2), alpha=3)
        assert_allclose(made[..., :3], bilateral()(array), atol=1e-5 if dtype[0] == "f" else 1)
        assert_array_equal(made[..., 3:], opaque)

    def test_hidden_colours_do_not_show(self) -> None:
        array = picture((40, 40, 4), "uint8")
        array[:, :20, 3] = 0
        other = array.copy()
        other[:, :20, :3] = 255 - other[:, :20, :3]
        one = bilateral(2.0)
        assert_array_equal(one(array, alpha=3), one(other, alpha=3))


FILTERS = [bilateral(), bilateral(0.4, 1.7)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_cut_gives_the_same(one: Filter, dtype: str, channels: int) -> None:
    array = noise((83, 71, channels), dtype)  # floats of twelve decades
    alpha = 3 if channels == 4 else None
    if alpha and array.dtype.kind == "f":
        array[..., 3] = picture((83, 71), dtype)
    whole = one(array, alpha=alpha)
    for chunk in (13, (5, 64), 1000):
        out = imgpipe.apply(array, one, alpha=alpha, chunk=chunk, executor="serial")
        assert_array_equal(out, whole)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_any_cut_of_a_large_image_gives_the_same(dtype: str) -> None:
    array = picture((230, 500, 3), dtype)
    out = imgpipe.apply(array, bilateral(), chunk=(101, 207), executor="serial")
    assert_array_equal(out, bilateral()(array))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("one", FILTERS, ids=repr)
def test_images_smaller_than_the_halo(one: Filter, border: Any) -> None:
    bordered = Filter(one.definition, one.params, border)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (1, 1, 3)):
        for dtype in DTYPES:
            array = picture(shape, dtype)
            wide = np.pad(array, [(7, 7), (7, 7), *[(0, 0)] * (array.ndim - 2)], border)
            assert_array_equal(bordered(array), one(wide)[7:-7, 7:-7])


@pytest.mark.parametrize("missing", [3e30, -3.4028235e38, 3e38, np.inf, -np.inf])
def test_an_infinitely_different_value_has_no_weight(missing: float) -> None:
    array = np.random.default_rng(8).random((30, 30)).astype(np.float32)
    array[10, 5:20] = missing
    shifted = np.where(array == np.float32(missing), np.float32(1e9), array)
    made, exact = bilateral()(array), bilateral()(shifted)
    here = shifted == 1e9
    assert_array_equal(made[~here], exact[~here])
    assert_array_equal(made[here], array[here])


@pytest.mark.parametrize(
    "bad", [{"sigma_color": 0}, {"sigma_spatial": 11}, {"sigma_spatial": "1"}, {"white": 1}]
)
def test_bad_parameters_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="bilateral"):
        bilateral(**bad)
