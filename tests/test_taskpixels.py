"""A strip holds the pixels of its chunks, also if filters write over their halos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.acceleration import NONE
from imgpipe.chains.chain import Filter
from imgpipe.chains.definition import Kernel
from imgpipe.chains.stages import resolve
from imgpipe.engine.cutting import Grid, cut
from imgpipe.engine.taskpixels import TaskPixels
from imgpipe.engine.tiler import Tiler
from imgpipe.filters import blur, box, convolve, erode, flip, median, sobel
from imgpipe.geometry import Box, Halo
from imgpipe.image import ImageInfo, Pixels
from imgpipe.registry import ACCELERATORS
from tests.conftest import noise

sizes = st.integers(1, 90)


def tiler_of(
    height: int, width: int, radius: int | Halo, chunk: tuple[int, int], rows: int
) -> Tiler:
    info = ImageInfo(height, width, 2, np.dtype("uint8"), None, "other")
    if isinstance(radius, int):
        chain: Filter = erode(radius=radius)
    else:
        chain = convolve(np.ones([2 * each + 1 for each in radius]))
    stages = resolve(chain, info)
    tiler = cut(info, stages, stages[-1].after, Grid(), chunk=chunk)
    return replace(tiler, task_rows=rows)


@settings(max_examples=40)
@given(
    sizes,
    st.integers(1, 300),
    st.sampled_from([(1, 0), (2, 0), (0, 1), (1, 1), (3, 4)]),
    st.tuples(sizes, sizes),
    sizes,
    st.booleans(),
)
def test_a_filter_may_write_over_the_halo_of_its_chunk(
    height, width, halo, chunk, rows, apart
) -> None:
    tiler = tiler_of(height, width, halo, chunk, rows)
    y, x = halo
    image = noise((height, width, 2), "uint8")
    for task in tiler.boxes():
        memory = np.full((TaskPixels.shape(task, tiler.room, 2)), 7, np.uint8)
        strip = TaskPixels(task, tiler.room, memory)
        for number, part in enumerate(tiler.chunks(task, apart=apart)):

            def make(room: Pixels | None, part: Box = part, number: int = number) -> Pixels:
                if room is None or number % 3 == 2:  # this one writes elsewhere
                    return image[part.slices]
                assert room.shape[:2] == part.grow(halo).shape
                room[...] = 99
                inside = room[y : y + part.height, x : x + part.width]
                inside[...] = image[part.slices]
                return inside

            strip.put(part, make)
        assert np.array_equal(strip.pixels, image[task.slices])


@settings(max_examples=50)
@given(sizes, st.integers(1, 700), st.integers(0, 4), sizes)
def test_only_chunks_at_the_sides_need_pixels_beyond_the_image(height, width, radius, rows) -> None:
    tiler = tiler_of(height, width, radius, (height, width), rows)
    for task in tiler.boxes():
        chunks = sorted(tiler.chunks(task, apart=True), key=lambda part: part.area)
        *others, inner = chunks
        needs = inner.grow((radius, radius))
        if task.width >= 64 * radius:
            assert needs.x0 >= 0
            assert needs.x1 <= width
        if task.height >= 8 * radius:
            assert needs.y0 >= 0
            assert needs.y1 <= height
        assert all(part.width <= radius or part.height <= radius for part in others)


def test_chunks_of_filters_that_move_pixels_are_whole() -> None:
    info = ImageInfo(100, 900, 3, np.dtype("uint8"))
    tiler = cut(info, resolve(blur() | flip(), info), info, Grid(), chunk=(100, 900))
    assert list(tiler.chunks(info.box, apart=True)) == [info.box]
    assert tiler.room is None


@pytest.mark.parametrize(
    "chain",
    [
        erode(border="reflect"),
        median(),
        box(border="constant"),
        blur(border="wrap"),
        blur(sigma=1, border="symmetric"),
        erode() | blur(),
        convolve("1; 2; 1", scale=4),
        convolve("1 2 1", scale=4),
        sobel() | convolve("1; 2; 1", scale=4),
    ],
)
def test_results_are_written_in_place_with_the_same_bits(chain: Filter, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    picture = noise((150, 700, 3), "uint8")
    imgpipe.write(picture, tmp_path / "in.png")
    kernels = dict(ACCELERATORS.load("opencv").KERNELS)
    rooms: list[Pixels] = []

    def spied(function: Kernel) -> Kernel:
        def spy(chunk: Pixels, *args: Any, into: Pixels | None = None, **keywords: Any) -> Any:
            if into is not None:
                rooms.append(into)
                assert not np.shares_memory(into, chunk)
            return function(chunk, *args, into=into, **keywords)

        return spy

    names = "extreme", "ranked", "box_mean", "pyramid", "lines", "weighted_sum"
    spies = {name: spied(kernels[name]) for name in names}
    with patch.dict(ACCELERATORS.load("opencv").KERNELS, spies):
        for accelerator in ("opencv", NONE):
            out = tmp_path / f"{accelerator}.png"
            how: dict[str, Any] = {"workers": 1, "executor": "serial", "accelerator": accelerator}
            imgpipe.run(tmp_path / "in.png", chain, out, **how)
            assert np.array_equal(imgpipe.read(out), chain(picture))
    assert rooms
