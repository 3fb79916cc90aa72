"""Tasks and chunks cover the output once, on the blocks of both ends."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.chains.chain import Chain
from imgpipe.chains.stages import Stage, resolve
from imgpipe.engine.cutting import CHUNK_BYTES, TASK_BYTES, Grid, cut, turns
from imgpipe.engine.tiler import Tiler
from imgpipe.filters import blur, crop, flip, invert, resize, rotate
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels

CHAINS = {
    "nothing": Chain(()),
    "invert": Chain((invert(),)),
    "blur": Chain((blur(sigma=2),)),
    "rotate": Chain((rotate(),)),
    "turned twice": rotate(angle=270) | blur(sigma=1) | rotate(),
    "half a turn": Chain((rotate(angle=180),)),
    "mirrored": flip() | flip(direction="horizontal") | rotate(),
    "smaller": Chain((resize(size="30%"),)),
    "larger": resize(size="170%") | rotate(angle=270),
}
MOVING = ["nothing", "invert", "rotate", "half a turn", "mirrored"]


def image(height: int, width: int, channels: int = 3, dtype: str = "uint8") -> ImageInfo:
    return ImageInfo(height, width, channels, np.dtype(dtype))


def cut_of(chain: str, info: ImageInfo, grid: Grid, task_bytes: int) -> Tiler:
    stages = resolve(CHAINS[chain], info)
    return cut(info, stages, stages[-1].after if stages else info, grid, task_bytes=task_bytes)


sizes = st.tuples(st.integers(1, 400), st.integers(1, 400))
units = st.tuples(st.integers(1, 60), st.sampled_from([0, 1, 16, 50]))
grains = st.tuples(st.integers(1, 60), st.sampled_from([0, 1, 16, 50]))


@settings(max_examples=150)
@given(st.sampled_from(list(CHAINS)), sizes, units, grains, st.sampled_from([1, 10_000, 300_000]))
def test_every_pixel_is_in_one_task_and_no_task_cuts_a_unit(
    chain: str, size: tuple[int, int], unit: tuple[int, int], grain: tuple[int, int], bytes_: int
) -> None:
    tiler = cut_of(chain, image(*size), Grid(unit, grain), bytes_)
    seen = np.zeros((tiler.height, tiler.width), int)
    boxes = list(tiler.boxes())
    assert len(boxes) == len(tiler)
    for box in boxes:
        seen[box.slices] += 1
        assert box.height <= tiler.task[0]
        assert box.width <= tiler.task[1]
        assert unit[0] == 1 or box.y0 % unit[0] == 0
        assert box.x0 % (unit[1] or tiler.width) == 0 or unit[1] == 1
        inside = np.zeros(seen.shape, int)
        for chunk in tiler.chunks(box):
            inside[chunk.slices] += 1
        assert (inside == 1).sum() == inside.sum() == box.area
    assert (seen == 1).all()


@settings(max_examples=80)
@given(
    st.sampled_from(list(CHAINS)),
    sizes,
    st.tuples(st.integers(1, 60), st.sampled_from([1, 16, 50])),
    grains,
    st.sampled_from([1, 10_000, 300_000]),
)
def test_tiles_that_leave_in_order_are_in_order_in_every_cut(
    chain: str, size: tuple[int, int], unit: tuple[int, int], grain: tuple[int, int], bytes_: int
) -> None:
    tiler = cut_of(chain, image(*size), Grid(unit, grain, in_order=True), bytes_)
    found = [part for box in tiler.boxes() for part in box.cut(*unit)]
    assert found == list(Box.of(tiler.height, tiler.width).cut(*unit))


def test_tiles_of_a_large_image_make_larger_tasks_unless_memory_is_low() -> None:
    tiles = Grid((256, 256), (256, 256))
    assert cut(image(10_000, 10_000), (), image(10_000, 10_000), tiles).task == (1280, 2048)
    assert cut(image(4000, 4000), (), image(4000, 4000), tiles).task == (1024, 1280)
    low = cut(image(10_000, 10_000), (), image(10_000, 10_000), tiles, task_bytes=1 << 20)
    assert math.prod(low.task) < 1 << 20


def test_wide_rows_of_tiles_that_leave_in_order_are_several_tasks() -> None:
    tiles = Grid((256, 256), in_order=True)
    info = image(10_000, 100_000)
    tiler = cut(info, (), info, tiles)
    assert tiler.task_rows == 256
    assert tiler.task_columns * 256 * 3 == pytest.approx(4 << 20, rel=0.1)
    info = image(10_000, 10_000)
    assert cut(info, (), info, tiles).task_columns == 0
    small = cut(info, (), info, tiles, task_bytes=1 << 20)
    assert (small.task_rows, small.task_columns % 256) == (256, 0)


def test_the_wider_the_image_the_fewer_rows_has_a_task_of_it() -> None:
    grid = Grid((32, 0), (256, 256))
    narrow, wide = (cut_of("blur", image(10_000, width), grid, 4 << 20) for width in (5000, 40_000))
    assert narrow.task_rows == 256
    assert wide.task_rows % 32 == 0
    assert wide.task_rows * 40_000 * 3 <= 16 << 20


def test_a_smaller_task_is_of_whole_units_too() -> None:
    info = image(3000, 5000)
    for task_bytes in (1, 1 << 20, 4 << 20, 64 << 20):
        rows = cut(info, (), info, Grid((139, 0)), task_bytes=task_bytes).task_rows
        assert rows % 139 == 0 or rows == info.height


class Tiles:
    """A source in tiles that are decoded whole; it counts the decodings of each."""

    grain = 64, 96

    def __init__(self, info: ImageInfo) -> None:
        self.info = info
        self.decoded: Counter[Box] = Counter()

    def read(self, box: Box) -> Pixels:
        self.decoded.update(box.snap(*self.grain).cut(*self.grain))
        return np.zeros((*box.shape, self.info.channels), self.info.dtype)


def read_by_tasks(source: Tiles, tiler: Tiler) -> None:
    for box in tiler.boxes():
        source.read(tiler.needs(box))


@pytest.mark.parametrize("chain", MOVING)
@pytest.mark.parametrize("unit", [(1, 1), (64, 96), (96, 64)])
@pytest.mark.parametrize("size", [(640, 960), (1000, 1517), (5000, 90), (70, 4000)])
def test_every_tile_is_decoded_once(
    chain: str, unit: tuple[int, int], size: tuple[int, int]
) -> None:
    source = Tiles(image(*size))
    tiler = cut_of(chain, source.info, Grid(unit, source.grain), 200_000)
    read_by_tasks(source, tiler)
    if unit == (1, 1) or (unit == (64, 96) and chain in ("nothing", "invert")):
        assert set(source.decoded.values()) == {1}
    assert len(source.decoded) == -(-size[0] // 64) * -(-size[1] // 96)


def test_where_a_halo_or_a_unit_has_tiles_decoded_twice_these_are_few() -> None:
    info = image(6000, 6000)
    for chain, unit in (("blur", (1, 1)), ("nothing", (99, 0))):
        source = Tiles(info)
        read_by_tasks(source, cut_of(chain, info, Grid(unit, source.grain), 4 << 20))
        assert source.decoded.total() < 1.6 * len(source.decoded)


@pytest.mark.parametrize("chain", CHAINS)
def test_rows_become_columns_in_a_quarter_turn(chain: str) -> None:
    stages = resolve(CHAINS[chain], image(300, 700))
    assert turns(stages) == (chain in ("rotate", "mirrored", "larger"))


def shape_of(tiler: Tiler) -> float:
    rows, columns = tiler.task
    return columns / rows


def test_a_task_is_a_stretch_of_rows_unless_a_square_is_better() -> None:
    info = image(10_000, 10_000)
    assert shape_of(cut_of("blur", info, Grid(), 4 << 20)) > 50
    assert shape_of(cut_of("rotate", info, Grid((8, 0)), 4 << 20)) > 50
    assert 0.9 < shape_of(cut_of("rotate", info, Grid(), 4 << 20)) < 1.1
    assert 0.8 < shape_of(cut_of("nothing", info, Grid((1, 1), (256, 256)), 4 << 20)) < 1.3
    wide: tuple[Stage, ...] = resolve(Chain((blur(sigma=60),)), info)
    assert 0.9 < shape_of(cut(info, wide, info, Grid())) < 1.1


def test_a_quarter_turn_of_100_megapixels_reads_and_writes_few_rows() -> None:
    tiler = cut_of("rotate", image(10_000, 10_000), Grid(), 4 << 20)
    read = sum(tiler.needs(box).height for box in tiler.boxes())
    written = sum(box.height for box in tiler.boxes())
    assert read <= 100_000
    assert written <= 100_000


def test_a_part_of_a_tiled_image_is_cut_on_its_tiles() -> None:
    source = Tiles(image(1000, 1000))
    stages = resolve(Chain((crop(x=31, y=17, width=700, height=600),)), source.info)
    tiler = cut(source.info, stages, stages[-1].after, Grid((1, 1), source.grain), task_bytes=1)
    read_by_tasks(source, tiler)
    assert set(source.decoded.values()) == {1}
    assert dataclasses.replace(tiler, first=(0, 0)) != tiler


def test_chunks_that_are_placed_are_made_of_tiles_unless_these_are_large() -> None:
    small, large, whole = (
        cut_of("blur", image(10_000, 10_000), Grid((side, side)), 4 << 20).chunk
        for side in (256, 2048, 1)
    )
    assert small == (256, 1280)
    assert large[0] < 2048
    assert whole[0] % 256


@pytest.mark.parametrize(
    ("dtype", "channels", "chunk_bytes", "width"),
    [
        ("uint8", 3, CHUNK_BYTES, 4000),  # whole rows
        ("uint8", 3, 0, 1000),  # there is little memory
        ("uint16", 3, CHUNK_BYTES, 1334),
        ("float32", 3, CHUNK_BYTES, 1000),  # its arrays are as large with fewer pixels
        ("uint8", 4, CHUNK_BYTES, 1000),  # colour times alpha is of four bytes
    ],
)
def test_a_chunk_has_so_many_bytes_in_the_type_that_its_filter_works_in(
    dtype: str, channels: int, chunk_bytes: int, width: int
) -> None:
    info = ImageInfo(190, 4000, channels, np.dtype(dtype), 3 if channels == 4 else None)
    stages = resolve(CHAINS["blur"], info)
    tiler = cut(info, stages, info, Grid(), task_bytes=info.nbytes, chunk_bytes=chunk_bytes)
    assert tiler.chunk == (191, width)


@pytest.mark.parametrize(
    ("chain", "size", "task_bytes", "chunks"),
    [
        ("smaller", (1500, 2000), TASK_BYTES, 1),
        ("smaller", (1500, 2000), TASK_BYTES // 4, 4),  # there is little memory
        ("smaller", (3000, 4000), TASK_BYTES, 16),
        ("blur", (1500, 2000), TASK_BYTES, 3),  # its kernel leaves the cut to chunks
    ],
)
def test_one_worker_makes_a_small_image_smaller_in_one_chunk(
    chain: str, size: tuple[int, int], task_bytes: int, chunks: int
) -> None:
    info = image(*size)
    stages = resolve(CHAINS[chain], info)
    tiler = cut(info, stages, stages[-1].after, Grid(), task_bytes=task_bytes, whole=True)
    assert len(tiler) == 1
    assert len(list(tiler.chunks(tiler.box(0)))) == chunks


def test_a_chunk_of_an_image_that_one_worker_makes_has_more_rows() -> None:
    def chunk(dtype: str = "uint8", **given: Any) -> tuple[int, int]:
        info = image(3000, 2000, dtype=dtype)
        return cut(info, resolve(CHAINS["blur"], info), info, Grid((32, 0)), **given).chunk

    alone, of_a_task = chunk(whole=True), chunk(task_bytes=12 << 20)
    assert alone[1] == of_a_task[1] == 2000
    assert of_a_task[0] <= CHUNK_BYTES // 6000 + 2
    assert 3 * of_a_task[0] < 2 * alone[0] <= 4 * CHUNK_BYTES // 6000
    assert chunk(whole=True, chunk_bytes=0)[1] < 2000  # where memory is scarce
    assert chunk("float32", whole=True)[1] < 2000  # to fit the cache
    assert chunk(whole=True, chunk=(7, 9)) == (7, 9)
