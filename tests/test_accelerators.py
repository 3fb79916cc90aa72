"""Accelerators compute the same bits as NumPy, whatever the shape, the type and the layout."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.acceleration import NONE, using
from imgpipe.image import Pixels
from imgpipe.items import moved
from imgpipe.registry import ACCELERATORS

pytest.importorskip("cv2")

TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


@st.composite
def chunks(draw: st.DrawFn, *dtypes: str, halo: int = 0, most: int = 40) -> Pixels:
    """Return a chunk with its halo: noise, extremes or close values, with strides of any kind."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rows, columns = (draw(st.integers(1, most)) + 2 * halo for _ in range(2))
    shape = rows, columns, draw(st.integers(1, 5))
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


def compare(compute: Callable[[], Pixels]) -> None:
    """Hold every accelerator against NumPy, without a trial that would hide a difference."""
    with using(NONE):
        expected = compute()
    for name in ACCELERATORS:
        with using(name), patch("imgpipe.acceleration.is_equal", return_value=True):
            found = compute()
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


def is_covered(name: str, *call: Any) -> bool:
    """Whether OpenCV computes a kernel for these arguments."""
    return ACCELERATORS.load("opencv").KERNELS[name](*call) is not None


class TestMoves:
    @given(chunks(*TYPES, "int64", "float16", ">u2"), st.tuples(*[st.booleans()] * 3))
    def test_pixels_in_any_order(self, chunk: Pixels, order: tuple[bool, bool, bool]) -> None:
        compare(lambda: moved(chunk, order))

    @pytest.mark.parametrize("order", list(itertools.product((False, True), repeat=3)))
    @pytest.mark.parametrize(("bits", "channels"), [("u1", 3), ("u1", 4), ("u2", 3), ("u8", 1)])
    def test_covered(self, order: tuple[bool, bool, bool], bits: str, channels: int) -> None:
        assert is_covered("moved_bits", np.zeros((5, 4, channels), bits), order)
