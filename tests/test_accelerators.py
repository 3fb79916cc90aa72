"""Accelerators compute the same bits as NumPy, whatever the shape, the type and the layout."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.acceleration import NONE, remarks, using
from imgpipe.chains.transparency import colour_of, with_alpha
from imgpipe.cli import execute
from imgpipe.image import Pixels
from imgpipe.items import moved
from imgpipe.kernels.boxes import box_mean
from imgpipe.kernels.extremes import extreme
from imgpipe.kernels.gaussian import gaussian, gaussian_radius
from imgpipe.kernels.gradients import derivative, magnitude
from imgpipe.kernels.lines import lines
from imgpipe.kernels.lookup import looked_up
from imgpipe.kernels.mixing import luma, mix
from imgpipe.kernels.neighbourhood import Weights, weighted_sum
from imgpipe.kernels.pyramid import pyramid
from imgpipe.kernels.ranks import ranked
from imgpipe.registry import ACCELERATORS
from tests.conftest import noise

cv2 = pytest.importorskip("cv2")

HAS_LONG_TABLES = int(cv2.__version__.partition(".")[0]) >= 5

ORDERED = ("uint8", "uint16", "int16")
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


LAPLACE = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
RELIEF = ((-1, -1, 0), (-1, 0, 1), (0, 1, 1))


@st.composite
def chunks(draw: st.DrawFn, *dtypes: str, halo: int = 0, channels: int = 0) -> Pixels:
    """Return a chunk with its halo: noise, extremes or close values, with strides of any kind."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rows, columns = (draw(st.integers(1, 40)) + 2 * halo for _ in range(2))
    shape = rows, columns, channels or draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "f":
        values = random.normal(size=shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        low, high = draw(
            st.sampled_from([(limits.min, limits.max), (limits.max - 3, limits.max), (0, 2)])
        )
        values = random.integers(low, high, shape, dtype.newbyteorder("="), endpoint=True)
        if draw(st.booleans()):
            values = np.where(values > (low // 2 + high // 2), dtype.type(high), dtype.type(low))
    layout = draw(st.sampled_from(["whole", "part of a row", "beside alpha", "turned around"]))
    if layout == "turned around":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    further = {"whole": (0, 0), "part of a row": (3, 0), "beside alpha": (0, 1)}[layout]
    around = np.zeros((rows, columns + further[0], shape[2] + further[1]), dtype)
    view = around[:, :columns, : shape[2]]
    view[...] = values
    return view


@contextmanager
def trusting(name: str) -> Iterator[None]:
    """Use an accelerator without trials; it must not fail."""
    trial = patch("imgpipe.trials.is_equal", return_value=(True, False))
    with using(name), trial, remarks() as faults:
        yield
    assert not faults


def compare(compute: Callable[[], Pixels]) -> None:
    """Hold every accelerator against NumPy, without a trial that would hide a difference."""
    with using(NONE):
        expected = compute()
    for name in ACCELERATORS:
        with trusting(name):
            found = compute()
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


def is_covered(name: str, *call: Any, **keywords: Any) -> bool:
    """Return whether OpenCV computes a kernel for these arguments."""
    return ACCELERATORS.load("opencv").KERNELS[name](*call, **keywords) is not None


PLACED: dict[str, tuple[int, Callable[..., Pixels]]] = {
    "erode": (2, lambda c, into: extreme(c, np.minimum, 2, "disk", into=into)),
    "median": (1, lambda c, into: ranked(c, 1, 4, into=into)),
    "box": (2, lambda c, into: box_mean(c, radius=2, into=into)),
    "wide box": (90, lambda c, into: box_mean(c, radius=90, into=into)),
    "narrow blur": (4, lambda c, into: gaussian(c, sigma=1, into=into)),
    "blur": (8, lambda c, into: gaussian(c, sigma=2, origin=(-7, 3), into=into)),
    "sobel x": (1, lambda c, into: derivative(c, 1, 2, "x", add=127.5, into=into)),
    "prewitt y": (1, lambda c, into: derivative(c, 1, 1, "y", add=0.0, into=into)),
    "sobel": (1, lambda c, into: magnitude(c, 1, 2, add=0.0, into=into)),
    "laplace": (1, lambda c, into: weighted_sum(c, LAPLACE, add=127.5, into=into)),
    "luma": (0, lambda c, into: luma(c, into=into)),
}


@pytest.mark.parametrize("name", PLACED)
@settings(max_examples=12)
@given(st.data())
def test_a_result_in_a_place_has_the_same_bits(name: str, data: st.DataObject) -> None:
    halo, kernel = PLACED[name]
    channels = 3 if name == "luma" else 0
    chunk = data.draw(chunks("uint8", "uint16", halo=halo, channels=channels))
    if name == "luma":
        chunk = chunk.astype(np.uint8)
    before, made = chunk.copy(), 1 if name == "luma" else chunk.shape[2]
    with using(NONE):
        expected = kernel(chunk, None)
    for accelerator in (NONE, *ACCELERATORS):
        around = np.full((chunk.shape[0] + 2, chunk.shape[1] + 3, made), 77, chunk.dtype)
        place = around[1:-1, 2:-1]
        with trusting(accelerator):
            found = kernel(chunk, place)
        assert np.array_equal(found, expected)
        assert np.array_equal(chunk, before)
        place[...] = 77
        assert (around == 77).all()


def test_opencv_writes_in_place() -> None:
    chunk = noise((50, 60, 3), "uint8")
    for name, (halo, kernel) in PLACED.items():
        if halo < 20:
            place = np.zeros((50, 60, 1 if name == "luma" else 3), np.uint8)
            with trusting("opencv"):
                assert np.shares_memory(kernel(chunk, place), place), name


COLOURS = ("colours.png", (50, 61, 4), "uint8")
GRAY = ("gray.tif", (61, 50, 1), "uint16")


def same_files(
    command: str, kernel: str, folder: Path, pictures: tuple[Any, ...] = (COLOURS, GRAY)
) -> None:
    """Run a command over colours with alpha and over gray, with OpenCV and without."""
    kernels = ACCELERATORS.load("opencv").KERNELS
    for name, shape, dtype in pictures:
        picture = noise(shape, dtype)
        picture[:, 20:, 3:] = 255  # partly opaque
        imgpipe.write(picture, folder / name)
        made = []
        for accelerator in (NONE, "opencv"):
            out = folder / f"{accelerator}-{name}"
            line = [*shlex.split(command), str(folder / name), "-o", str(out), "--chunk", "32"]
            spy = Mock(wraps=kernels[kernel])
            with patch.dict(kernels, {kernel: spy}):
                assert execute([*line, "--executor", "serial", "--accelerator", accelerator]) == 0
            assert spy.called == (accelerator != NONE)
            made.append(out.read_bytes())
        assert made[0] == made[1]


class TestMoves:
    @given(chunks(*TYPES, "int64", "float16", ">u2"), st.tuples(*[st.booleans()] * 3))
    def test_pixels_in_any_order(self, chunk: Pixels, order: tuple[bool, bool, bool]) -> None:
        compare(lambda: moved(chunk, order))

    @pytest.mark.parametrize("order", list(itertools.product((False, True), repeat=3))[1:])
    @pytest.mark.parametrize(("bits", "channels"), [("u1", 1), ("u1", 3)])
    def test_covered(self, order: tuple[bool, bool, bool], bits: str, channels: int) -> None:
        assert is_covered("moved_bits", np.zeros((5, 4, channels), bits), order)


class TestAlpha:
    @given(chunks(*TYPES, "float16", ">u2") | chunks("uint8", "uint16", channels=4))
    def test_colours_without_alpha(self, chunk: Pixels) -> None:
        compare(lambda: colour_of(chunk))

    @given(chunks(*TYPES, "float16", ">u2") | chunks("uint8", "uint16", channels=3))
    def test_colours_with_alpha(self, chunk: Pixels) -> None:
        compare(lambda: with_alpha(chunk, chunk[..., :1]))
        compare(lambda: with_alpha(chunk, np.full_like(chunk[..., :1], chunk.max())))

    def test_covered(self) -> None:
        for dtype in ("uint8", "uint16"):
            assert is_covered("colour_of", np.zeros((2, 3, 4), dtype))
            assert is_covered("with_white", np.zeros((2, 3, 3), dtype))


@pytest.mark.lowest
class TestTone:
    @given(st.data(), st.sampled_from(["uint8", "uint16"]))
    def test_tables(self, data: st.DataObject, dtype: str) -> None:
        chunk = data.draw(chunks(dtype))
        random = np.random.default_rng(chunk.size)
        count = data.draw(st.sampled_from([1, chunk.shape[2]]))
        levels = np.iinfo(dtype).max + 1
        tables = random.integers(0, levels, (count, levels), dtype)
        compare(lambda: looked_up(chunk, tables))

    @given(chunks("uint8", channels=3))
    def test_luma(self, chunk: Pixels) -> None:
        compare(lambda: luma(chunk))

    def test_luma_of_every_colour_of_a_grid(self) -> None:
        levels = np.arange(0, 256, 3, dtype=np.uint8)
        colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        compare(lambda: luma(colours))

    @given(
        chunks("uint8", "uint16", channels=3) | chunks("uint8"),
        st.sampled_from([(0, 0.4), (-1, 1.3), (-9, 9)]),
        st.sampled_from([3, 3, 1, 4]),
    )
    def test_matrices(self, chunk: Pixels, weights: tuple[float, float], rows: int) -> None:
        random = np.random.default_rng(chunk.size)
        matrix = random.uniform(*weights, (rows, chunk.shape[2]))
        compare(lambda: mix(chunk, tuple(map(tuple, matrix.tolist()))))

    def test_covered(self) -> None:
        assert is_covered("luma", np.zeros((2, 3, 3), np.uint8))
        tables = np.zeros((3, 65536), "u2")
        assert is_covered("looked_up", np.zeros((2, 3, 3), "u2"), tables) is HAS_LONG_TABLES
        assert is_covered("mixed", np.zeros((2, 3, 3), np.uint8), np.eye(3, dtype="f4"), True)


class TestEdges:
    GAINS = st.sampled_from([1.0, -1.0, 0.5, 2.25, 16.0, 40.0, 1e6, 0.7, -3.3, 1e-3, 1 / 3])
    ADDED = st.sampled_from([0.0, 127.5, -127.5, 255.0, 20 / 255 * 255, 0.123 * 255, -31.365])

    @given(chunks("uint8", "uint16", halo=1), st.sampled_from([(1, 2), (3, 10), (1, 1)]), ADDED)
    def test_derivatives(self, chunk: Pixels, weights: tuple[int, int], add: float) -> None:
        compare(lambda: derivative(chunk, *weights, "x", add=add))
        compare(lambda: derivative(chunk, *weights, "y", add=add))
        compare(lambda: magnitude(chunk, *weights, add=add))

    @given(chunks("uint8", "int16", halo=1), GAINS, ADDED, st.sampled_from([LAPLACE, RELIEF]))
    def test_details(self, chunk: Pixels, gain: float, add: float, weights: Weights) -> None:
        compare(lambda: weighted_sum(chunk, weights, gain=gain, add=add))

    @given(
        chunks("uint8", halo=2),
        st.lists(st.lists(st.integers(-9, 9), min_size=5, max_size=5), min_size=1, max_size=5),
        st.sampled_from([1.0, 16.0, 9.0, -7.3, 256.0, 1e-9]),
        ADDED,
    )
    def test_convolutions(
        self, chunk: Pixels, rows: list[list[int]], divisor: float, add: float
    ) -> None:
        odd = (len(rows) + 1) // 2 * 2 - 1
        weights = tuple(tuple(map(float, row)) for row in rows[:odd])
        compare(lambda: weighted_sum(chunk, weights, divisor=divisor, add=add))

    @pytest.mark.parametrize("gain", [1.0, 1 / 7])
    @pytest.mark.parametrize("divisor", [1 / 7, 1 / 49, 2.0**-80])
    def test_of_a_gain_or_divisor_that_single_precision_rounds(
        self, gain: float, divisor: float
    ) -> None:
        """Their quotient may be a whole number; the sum is still rounded twice."""
        chunk = noise((40, 400, 1), "uint8")
        box = ((1.0,) * 3,) * 3
        compare(lambda: weighted_sum(chunk, box, gain=gain, divisor=divisor, add=0.5))
        compare(lambda: weighted_sum(chunk, ((1.0,),), gain=gain, divisor=divisor, add=-0.5))

    @pytest.mark.parametrize("add", [127.5, 0.3])
    def test_covered(self, add: float) -> None:
        chunk = np.zeros((5, 6, 3), np.uint8)
        kernels = ACCELERATORS.load("opencv").KERNELS
        for weights in ((1, 2), (3, 10), (1, 1)):
            if HAS_LONG_TABLES:
                assert kernels["derivative"](chunk, *weights, "x", add=add) is not None
            assert kernels["magnitude"](chunk, *weights, add=add) is not None
        assert kernels["weighted_sum"](chunk, LAPLACE, gain=2.5, add=127.5) is not None
        if HAS_LONG_TABLES:
            assert kernels["weighted_sum"](chunk, LAPLACE, gain=0.7, add=add) is not None
            assert kernels["weighted_sum"](chunk, RELIEF, divisor=9.0, add=add) is not None


class TestOrder:
    @given(
        st.data(),
        st.sampled_from([np.minimum, np.maximum]),
        st.sampled_from([("square", 13), ("cross", 13), ("disk", 5)]),
    )
    def test_extremes(self, data: st.DataObject, better: Any, shape: tuple[Any, int]) -> None:
        name, widest = shape
        radius = data.draw(st.integers(1, widest))
        chunk = data.draw(chunks(*ORDERED, halo=radius))
        compare(lambda: extreme(chunk, better, radius, name))

    @given(st.data(), st.sampled_from([1, 1, 2, 2, 3, 8, 9]), st.sampled_from(ORDERED))
    @settings(max_examples=40)
    def test_medians_and_their_ends(self, data: st.DataObject, radius: int, dtype: str) -> None:
        chunk = data.draw(chunks(dtype, halo=radius))
        area = (2 * radius + 1) ** 2
        rank = data.draw(st.sampled_from([area // 2] * 4 + [area // 2 - 1, 0, area - 1]))
        compare(lambda: ranked(chunk, radius, rank))

    @pytest.mark.parametrize(
        ("dtype", "shape", "widest"),
        [
            *(("uint8", "square", 10), ("uint16", "square", 12), ("int16", "cross", 10)),
            *(("uint8", "disk", 4), ("uint16", "disk", 4)),
        ],
    )
    def test_extremes_that_opencv_computes(self, dtype: str, shape: str, widest: int) -> None:
        for channels in (1, 3, 128):
            chunk = np.zeros((30, 30, channels), dtype)
            assert is_covered("extreme", chunk, np.minimum, widest, shape)
            assert not is_covered("extreme", chunk, np.minimum, widest + 1, shape)
        assert not is_covered("extreme", np.zeros((9, 9, 129), dtype), np.minimum, 1, shape)
        assert not is_covered("extreme", np.zeros((9, 9, 1), np.int32), np.minimum, 1, shape)

    @pytest.mark.parametrize(
        ("dtype", "radii"),
        [("uint8", {1, 2, 8, 9, 100}), ("uint16", {1, 2}), ("int16", {1, 2}), ("int8", set())],
    )
    def test_medians_that_opencv_computes(self, dtype: str, radii: set[int]) -> None:
        for radius in (1, 2, 3, 7, 8, 9, 100):
            chunk, middle = np.zeros((205, 205, 1), dtype), (2 * radius + 1) ** 2 // 2
            assert is_covered("ranked", chunk, radius, middle) == (radius in radii)
            assert not is_covered("ranked", chunk, radius, middle + 1)


class TestSums:
    @given(st.data(), st.sampled_from((*ORDERED, "int8")), st.sampled_from([1, 2, 3, 4, 5, 7, 8]))
    def test_means_over_squares(self, data: st.DataObject, dtype: str, radius: int) -> None:
        chunk = data.draw(chunks(dtype, halo=radius))
        compare(lambda: box_mean(chunk, radius=radius))

    @given(st.data(), st.sampled_from([("uint8", 81, 82), ("uint16", 90, 91), ("int16", 127, 128)]))
    @settings(max_examples=10)
    def test_means_over_large_squares(
        self, data: st.DataObject, large: tuple[str, int, int]
    ) -> None:
        radius = data.draw(st.sampled_from(large[1:]))
        chunk = data.draw(chunks(large[0], halo=radius))
        compare(lambda: box_mean(chunk, radius=radius))

    @pytest.mark.parametrize("radius", [1, 4, 5, 7, 8, 81, 82, 90, 127, 300])
    @pytest.mark.parametrize("dtype", ORDERED)
    def test_means_next_to_a_half(self, dtype: str, radius: int) -> None:
        limits, side = np.iinfo(dtype), 2 * radius + 1
        above = np.arange(side * side).reshape(side, side)
        for extra in (side * side // 2, side * side // 2 + 1):
            # Every square of a pattern that repeats after its side has the same sum.
            pattern = np.tile((above < extra).astype(dtype), (2, 2 + 40 // side))
            for value in (limits.min, limits.max // 3, limits.max - 2, limits.max - 1):
                chunk = (pattern + np.array(value, dtype))[: side + 1, : side + 39, None]
                whole = int(chunk[:side, :side].sum(dtype=np.int64))
                mean = (2 * whole + side * side) // (2 * side * side)
                with trusting("opencv"):
                    found = box_mean(chunk, radius=radius)
                assert np.unique(found).tolist() == [mean]

    @pytest.mark.parametrize(("dtype", "widest"), [("uint8", 300), ("uint16", 90), ("int16", 127)])
    def test_means_that_opencv_computes(self, dtype: str, widest: int) -> None:
        chunk = np.zeros((2 * widest + 3, 2 * widest + 3, 1), dtype)
        assert is_covered("box_mean", chunk, radius=1)
        assert is_covered("box_mean", chunk, radius=widest)
        assert not is_covered("box_mean", chunk, radius=widest + 1)


@pytest.mark.lowest
class TestFiles:
    """Files have the same bytes, whoever computes."""

    @pytest.mark.parametrize(
        ("command", "kernel"),
        [
            *(("median", "ranked"), ("box --radius 3", "box_mean"), ("erode", "extreme")),
            *(("open --shape disk", "extreme"), ("adaptive_threshold", "box_mean")),
        ],
    )
    def test_order_and_sums(self, command: str, kernel: str, tmp_path: Path) -> None:
        same_files(command, kernel, tmp_path)

    @pytest.mark.parametrize(
        ("command", "kernel"),
        [
            *(("flip --direction horizontal", "moved_bits"), ("rotate --angle 90", "moved_bits")),
            *(("grayscale", "luma"), ("sepia", "mixed")),
            *(("sobel", "magnitude"), ("sobel --axis x", "derivative")),
            *(("laplace --gain 0.7", "weighted_sum"), ("emboss", "weighted_sum")),
            ("convolve --kernel '1 2 1; 2 4 2; 1 2 1' --scale 16", "weighted_sum"),
        ],
    )
    def test_tone_and_edges(self, command: str, kernel: str, tmp_path: Path) -> None:
        same_files(command, kernel, tmp_path, (COLOURS,))

    def test_tables_and_turns_of_gray(self, tmp_path: Path) -> None:
        if HAS_LONG_TABLES:
            same_files("gamma --gamma 0.45", "looked_up", tmp_path, (GRAY,))
        same_files("rotate --angle 270", "moved_bits", tmp_path, (GRAY,))


@pytest.mark.lowest
class TestGaussians:
    SIGMAS = (0.3, 0.7, 1.3, 1.99, 2.0, 2.1, 2.5, 5.0, 9.0)

    @given(st.data(), st.sampled_from(SIGMAS), st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
    def test_of_bytes(self, data: st.DataObject, sigma: float, origin: tuple[int, int]) -> None:
        chunk = data.draw(chunks("uint8", halo=gaussian_radius(sigma, 4.0)))
        compare(lambda: gaussian(chunk, sigma=sigma, origin=origin))

    def test_of_many_rows(self) -> None:
        chunk = np.random.default_rng(0).integers(0, 256, (317, 218, 3), np.uint8)
        compare(lambda: lines(chunk, 6, 13, 2.0))
        compare(lambda: pyramid(chunk, 30, (1, 2), 2, 7, 1.2))

    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
    def test_covered(self, channels: int) -> None:
        chunk = np.zeros((20, 21, channels), np.uint8)
        assert is_covered("lines", chunk, 4, 9, 1.5)
        assert is_covered("pyramid", chunk, 8, (0, 1), 1, 3, 0.63)

    @pytest.mark.parametrize(
        ("command", "kernel"),
        [
            *(("blur", "pyramid"), ("blur --sigma 1", "lines"), ("blur --sigma 9", "pyramid")),
            ("adaptive_threshold --method gaussian", "pyramid"),
        ],
    )
    def test_files(self, command: str, kernel: str, tmp_path: Path) -> None:
        same_files(command, kernel, tmp_path, (COLOURS,))
