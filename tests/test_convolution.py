"""Convolution with any kernel, against SciPy, Pillow and OpenCV; and how kernels are given."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Filter
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.errors import ChainError, ParameterError
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import convolve
from imgpipe.values import full_scale
from tests.conftest import noise

Pixels = NDArray[Any]

DTYPES = ["uint8", "uint16", "float32", "float64"]
SCIPY_BORDERS = {"edge": "nearest", "symmetric": "reflect", "reflect": "mirror", "wrap": "wrap"}
SIDE = "0 1 0; 1 -4 1; 0 1 0"
RNG = np.random.default_rng(5)
KERNELS = {
    "one": np.array([[3.0]]),
    "nothing": np.zeros((3, 3)),
    "whole": np.array([[1, -2, 3], [0, 5, -1], [4, 0, 2]]),
    "whole and large": RNG.integers(-90, 90, (5, 7)),
    "product of whole numbers": np.outer([1, 6, 15, 20, 15, 6, 1], [2, 4, -6, 4, 2]),
    "row": np.array([[0.1, -0.7, 0.3, 2.5, 0.01]]),
    "column": np.array([[-1], [0], [1]]),
    "any": RNG.normal(size=(5, 3)),
    "wide": RNG.normal(size=(9, 11)),
    "product": np.outer(RNG.normal(size=7), RNG.normal(size=5)),
}


def picture(shape: tuple[int, ...], dtype: str, seed: int = 3) -> Pixels:
    """Noise over the whole range; for floats from 0 to 1."""
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(seed).random(shape).astype(dtype)
    return noise(shape, dtype, seed)


def exact(array: Pixels, kernel: Pixels, mode: str = "nearest") -> Pixels:
    weights = np.asarray(kernel, float)[..., None]
    return np.asarray(ndimage.convolve(array.astype(float), weights, mode=mode))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNELS)
def test_is_that_of_scipy(name: str, dtype: str) -> None:
    array, kernel = picture((33, 41, 3), dtype), KERNELS[name]
    scale = max(1.0, float(np.abs(kernel).sum()) / 3)
    for border, mode in SCIPY_BORDERS.items():
        made = convolve(kernel, scale, 0.3, border=border)(array)
        wanted = exact(array, kernel, mode) / scale + 0.3 * full_scale(dtype)
        assert made.dtype == dtype
        if made.dtype.kind == "f":
            assert_allclose(made, wanted, atol=5e-6 if dtype == "float32" else 1e-13)
        else:
            top = full_scale(dtype)
            assert np.abs(made - wanted.clip(0, top)).max() <= 0.5 + 1e-6 * top


@pytest.mark.parametrize("name", ["whole", "whole and large", "product of whole numbers"])
@pytest.mark.parametrize("scale", [1.0, 6.0, 64.0, -3.0, 1000.0])
def test_of_8_bits_and_whole_numbers_is_exact(name: str, scale: float) -> None:
    array, kernel = noise((33, 41, 3), "uint8"), KERNELS[name]
    wanted = np.rint(exact(array, kernel) / scale + 51).clip(0, 255)
    assert_array_equal(convolve(kernel, scale, 0.2)(array), wanted)


def test_of_pillow_and_of_opencv_turned() -> None:
    array = noise((40, 50, 3), "uint8")
    kernel = RNG.integers(-3, 4, (5, 5))
    made = convolve(kernel, 3, 0.4)(array)[2:-2, 2:-2]
    # Pillow takes rows from the bottom up and adds a half to round; OpenCV correlates.
    turned = ImageFilter.Kernel((5, 5), kernel[:, ::-1].ravel().tolist(), 3, 102)
    theirs = np.asarray(Image.fromarray(array).filter(turned))[2:-2, 2:-2]
    assert np.abs(made.astype(int) - theirs).max() <= 1
    cv2 = pytest.importorskip("cv2")
    theirs = cv2.filter2D(array, cv2.CV_32F, kernel[::-1, ::-1].astype(np.float32))[2:-2, 2:-2]
    assert_array_equal(made, np.rint(theirs / 3 + 102).clip(0, 255))


class TestKernels:
    @pytest.mark.parametrize(
        "given",
        [
            SIDE,
            "0,1,0;1,-4,1;0,1,0",
            "0 1 0\n1 -4 1\n0 1 0\n",
            " 0, 1.0, 0 ;\n 1 -4e0 1;0 1 0;",
            [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
            np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.int8),
        ],
        ids=str,
    )
    def test_are_the_same_however_given(self, given: Any) -> None:
        assert convolve(given) == convolve(kernel=SIDE)
        assert convolve(given).keywords["kernel"] == SIDE

    def test_are_read_from_files(self, tmp_path: Path) -> None:
        array = KERNELS["any"]
        np.save(tmp_path / "k.npy", array)
        np.savetxt(tmp_path / "k.txt", array, fmt="%.17g")
        (tmp_path / "k.csv").write_text("\n".join(",".join(map(repr, r)) for r in array.tolist()))
        for name in ("k.npy", "k.txt", "k.csv"):
            assert convolve(tmp_path / name) == convolve(str(tmp_path / name)) == convolve(array)

    def test_travel_with_the_filter(self, tmp_path: Path, pool: ProcessExecutor) -> None:
        path = tmp_path / "k.npy"
        np.save(path, KERNELS["any"])
        one = convolve(path, 2, 0.5)
        path.unlink()
        array = noise((50, 60, 3), "uint8")
        np.save(tmp_path / "in.npy", array)
        imgpipe.run(tmp_path / "in.npy", one, tmp_path / "out.npy", executor=pool)
        assert_array_equal(np.load(tmp_path / "out.npy"), one(array))
        assert pickle.loads(pickle.dumps(one)) == one

    def test_can_be_written_in_a_chain(self) -> None:
        one = parse_chain(f'convolve:"{SIDE}",scale=2')
        assert one == convolve(SIDE, 2)
        assert parse_chain(format_chain(one)) == one
        fractions = convolve(KERNELS["any"])
        assert parse_chain(format_chain(fractions)) == fractions

    def test_decide_the_halo(self) -> None:
        assert convolve("1 2 1").halo == (0, 1)
        assert convolve(np.ones((5, 9))).halo == (2, 4)

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            ("1 2; 3 4", "odd number of rows"),
            ("1 2 3; 4 5", "neither rows of numbers"),
            ("", "neither rows of numbers"),
            ("none.npy", "neither rows of numbers"),
            ("1 nan 1", "finite"),
            ("1 inf 1", "finite"),
            (np.ones(3), "rows and columns"),
            (np.ones((1, 257)), "at most 255"),
            (3, "rows and columns"),
            ([["a"]], "not an array of numbers"),
            (np.zeros((0, 3)), "rows and columns"),
        ],
        ids=str,
    )
    def test_that_make_no_sense_are_refused(self, bad: Any, why: str) -> None:
        with pytest.raises(ParameterError, match=f"convolve: kernel: .*{why}"):
            convolve(bad)

    @pytest.mark.parametrize("content", [b"", b"1 2\n3", b"\x93NUMPY", b"abc", b"\xff\xfe"])
    @pytest.mark.parametrize("name", ["k.txt", "k.npy"])
    def test_files_that_hold_none_are_refused(
        self, content: bytes, name: str, tmp_path: Path
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ParameterError, match=f"{name}: cannot be read as a matrix of weights"):
            convolve(tmp_path / name)

    def test_a_scale_of_nothing_is_refused(self) -> None:
        with pytest.raises(ParameterError, match="scale must not be 0"):
            convolve(SIDE, 0)
        with pytest.raises(ChainError):
            parse_chain("convolve")


FILTERS = [
    convolve(KERNELS["whole"], 3),
    convolve(KERNELS["any"], offset=0.5),
    convolve(KERNELS["product"]),
    convolve(KERNELS["product of whole numbers"], 1000, 0.1),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("one", FILTERS, ids=range(len(FILTERS)))
def test_any_cut_gives_the_same(one: Filter, dtype: str) -> None:
    array = noise((83, 71, 3), dtype)  # floats of twelve decades
    whole = one(array)
    for chunk in (7, (5, 64), 1000):
        out = imgpipe.apply(array, one, chunk=chunk, executor="serial")
        assert_array_equal(out, whole)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("one", FILTERS, ids=range(len(FILTERS)))
def test_images_smaller_than_the_halo(one: Filter, border: Any) -> None:
    bordered = Filter(one.definition, one.params, border)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (1, 1, 3)):
        for dtype in DTYPES:
            array = picture(shape, dtype)
            wide = np.pad(array, [(6, 6), (6, 6), *[(0, 0)] * (array.ndim - 2)], border)
            assert_array_equal(bordered(array), one(wide)[6:-6, 6:-6])


def test_alpha_is_not_filtered() -> None:
    array = noise((19, 23, 4), "uint8")
    array[..., 3] |= 1  # nothing is hidden
    out = convolve(SIDE, offset=0.5)(array, alpha=3)
    assert_array_equal(out[..., 3], array[..., 3])
    assert_array_equal(out[..., :3], convolve(SIDE, offset=0.5)(array[..., :3].copy()))
