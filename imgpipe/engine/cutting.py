"""Cutting: the shapes of the tasks and chunks of an output.

A task is a stretch of whole rows where rows leave from top to bottom, and where both ends keep
whole rows together. It is about a square where either end has blocks of several columns, where the
chain turns rows into columns, and where a large halo would make a stretch of rows too large. Tiles
that leave in order make tasks that are one row of tiles high, or whole rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from imgpipe.chains.stages import Stage
from imgpipe.engine.tiler import Tiler
from imgpipe.geometry import Box, Halo
from imgpipe.image import ImageInfo

__all__ = [
    "CHUNK_BYTES",
    "TASK_BYTES",
    "WIDE_BYTES",
    "Grid",
    "context_of",
    "cut",
    "pitch",
    "too_low",
    "turns",
]

CHUNK_BYTES = 1_800_000
"""Of a chunk for functions of ours, which cut it further: the larger, the fewer calls of Python."""

TASK_BYTES = 4 << 20
WIDE_BYTES = 8 << 20
"""Of a row of tiles, from which on a task is a part of it."""

_LEAST_BYTES = 128 << 10  # of a task that is no stretch of rows: there would be too many of them
_CHUNK_PIXELS = 200_000  # at least, unless the task has fewer
_CHUNK_ROWS = 192
_REDUCED = (
    2  # times the side of a chunk of an image that becomes smaller: its kernel cuts it further
)
_CUT_BY_KERNELS = 4_000_000  # most pixels of an image that becomes smaller in one chunk
_OWN_SIDE = 384  # of chunks for functions that are not ours, whose copies may well be of float64
_ALONE = 2  # times the bytes of a chunk of an image that one worker makes
_WHOLE_ROWS = 4  # times the bytes of a task that whole rows of tiles may have
_MANY_TASKS = 32  # that leave enough to do for all workers, if each is twice as large
_WIDE = 1.2  # times its side, of such a task: more is read of blocks beside it than above it
_HALOS_PER_CHUNK = 6  # six halos on a side: (1 + 2/6)**2, so 44 % of the pixels are redundant


class Grid(NamedTuple):
    """The blocks of both ends that tasks should not cut.

    Attributes
    ----------
    unit : (int, int)
        Rows and columns that the sink encodes at once, 0 columns for whole rows. No task cuts it.
    grain : (int, int)
        Rows and columns of a natural block of the source, 0 columns for whole rows.
    in_order : bool
        Whether units leave row by row, and from left to right.
    """

    unit: tuple[int, int] = (1, 1)
    grain: tuple[int, int] = (1, 1)
    in_order: bool = False


def cut(
    info: ImageInfo,
    stages: tuple[Stage, ...],
    after: ImageInfo,
    grid: Grid,
    *,
    task_bytes: int = TASK_BYTES,
    chunk_bytes: int = CHUNK_BYTES,
    chunk: tuple[int, int] | None = None,
    context_rows: int = 0,
    whole: bool = False,
) -> Tiler:
    """Return the cut of the output of `stages`.

    Parameters
    ----------
    info, after : ImageInfo
        The source and the output.
    stages : tuple of Stage
        The stages between them.
    grid : Grid
        The blocks of both ends.
    task_bytes : int
        Bytes that the larger end of a task should have.
    chunk_bytes : int
        Bytes that a chunk may have; a small one may have more.
    chunk : (int, int), optional
        Rows and columns of a chunk, if they are given.
    context_rows : int
        Rows of output above a task that its encoder needs.
    whole : bool
        Whether all of it is one task.
    """
    if whole:
        height, width = after.height, after.width
        if chunk is None:
            at_once = task_bytes >= TASK_BYTES and _kernels_cut(stages, height * width)
            chunk = (height, width) if at_once else _rows(stages, height, width, chunk_bytes)
        return Tiler(info, stages, height, width, height, chunk, context_rows)
    blocks = _blocks(info, stages, after, grid.grain)
    rows = _stretch(info, stages, after, grid.unit, blocks[0], task_bytes)
    columns, first = 0, (blocks[0].first if grid.unit[0] == 1 else 0, 0)
    if grid.unit[1] and (grid.in_order or _square(info, stages, after, grid)):
        area = _area(info, stages, after, blocks, task_bytes)
        down, across = (_merged(*pair) for pair in zip(blocks, grid.unit, strict=True))
        if not grid.in_order:
            tiles = min(*grid.unit, *(block.step for block in blocks)) > 1
            large = tiles and task_bytes >= TASK_BYTES
            large = large and after.pixels >= 2 * _MANY_TASKS * area
            area, wide = (2 * area, _WIDE) if large else (area, 1)
            rows, columns = _sides(area, down.step, across.step, (after.height, after.width), wide)
            first = down.first, across.first
        elif rows * _widest(info, stages, after) > WIDE_BYTES // TASK_BYTES * task_bytes:
            rows = grid.unit[0]
            columns = _whole_blocks(area / rows, across.step, after.width)
            columns = 0 if columns >= after.width else columns
            first = 0, across.first if grid.unit[1] == 1 else 0
    rows, columns = min(rows, after.height), min(columns, after.width)
    first = first[0] if rows > 1 else 0, first[1] if columns > 1 else 0
    if chunk is None:
        chunk = _chunk(stages, rows, columns or after.width, chunk_bytes)
        if columns and not grid.in_order:
            chunk = _of_units(chunk, grid.unit)
    return Tiler(info, stages, after.height, after.width, rows, chunk, context_rows, columns, first)


def too_low(
    info: ImageInfo, stages: tuple[Stage, ...], after: ImageInfo, unit: tuple[int, int]
) -> bool:
    """Return whether one row of tiles is much too low for the halo, and two are too large.

    Then most pixels would be computed for two tasks or more.
    """
    rows = _HALOS_PER_CHUNK * context_of(stages)[0]
    large = rows * _widest(info, stages, after) > _WHOLE_ROWS * TASK_BYTES
    return unit[1] > 0 and rows > 2 * unit[0] and large


def turns(stages: tuple[Stage, ...]) -> bool:
    """Return whether a row of the output is made from a column of the source."""
    if not stages:
        return False
    after, whole = stages[-1].after, _whole(stages)
    row = _origins(stages, Box(0, 0, 1, after.width))[0]
    return row.height * whole.width > row.width * whole.height


def _widest(info: ImageInfo, stages: tuple[Stage, ...], after: ImageInfo) -> int:
    """Return the bytes of a row of the output, or of its source rows if they are more."""
    return max(after.row_bytes, pitch(info, stages, after))


def pitch(info: ImageInfo, stages: tuple[Stage, ...], after: ImageInfo) -> int:
    """Return the bytes of source rows for one row of the output."""
    held = _whole(stages) if stages else info.box
    return max(1, held.height * info.row_bytes // after.height)


def context_of(stages: tuple[Stage, ...]) -> Halo:
    """Return the rows and columns of the source around a pixel that it depends on."""
    if not stages:
        return 0, 0
    after, lengths = stages[-1].after, _lengths(stages)
    y, x = after.height // 2, after.width // 2
    origin = _origins(stages, Box(y, x, y + 1, x + 1))[0]
    rows, columns = ((length / lengths[0] - 1) / 2 for length in origin.shape)
    for stage, length in zip(stages, lengths, strict=True):
        halo, grid = stage.context, stage.filter.grid
        rows += (halo[0] + (grid[0] - 1) / 2) / length
        columns += (halo[1] + (grid[1] - 1) / 2) / length
    return max(0, math.ceil(rows)), max(0, math.ceil(columns))


class _Blocks(NamedTuple):
    """The blocks of the source along one side of the output: `first` pixels, then `step` each."""

    step: int
    first: int = 0


def _blocks(
    info: ImageInfo, stages: tuple[Stage, ...], after: ImageInfo, grain: tuple[int, int]
) -> tuple[_Blocks, _Blocks]:
    """Return the blocks of the source along the rows and along the columns of the output.

    This is exact where the chain moves pixels and nothing else, and about right where it resizes.
    """
    sizes = grain[0], grain[1] or 1
    if not stages:
        return _Blocks(sizes[0]), _Blocks(sizes[1])
    whole = _whole(stages)
    top, left = (_origins(stages, part)[0] for part in (
        Box(0, 0, 1, after.width), Box(0, 0, after.height, 1)
    ))  # fmt: skip
    down, across = (
        _along(whole.y0, whole.y1, top.y0, sizes[0], after.height),
        _along(whole.x0, whole.x1, left.x0, sizes[1], after.width),
    )
    if turns(stages):
        down = _along(whole.x0, whole.x1, top.x0, sizes[1], after.height)
        across = _along(whole.y0, whole.y1, left.y0, sizes[0], after.width)
    return down, across


def _along(begin: int, end: int, start: int, size: int, length: int) -> _Blocks:
    """Return the blocks along a side of the output.

    Its `length` pixels come from `begin` to `end` of the source, the first of them from `start`.
    """
    if size == 1:
        return _Blocks(1)
    step = max(1, round(size * length / (end - begin)))
    if end - begin != length:
        return _Blocks(step)
    mirrored = start > begin
    return _Blocks(step, (end if mirrored else -begin) % size)


def _merged(blocks: _Blocks, unit: int) -> _Blocks:
    """Return the blocks that are whole units, and if possible whole blocks of the source too."""
    if unit == 1:
        return blocks
    common = math.lcm(unit, blocks.step)
    aligned = blocks.first == 0 and common <= 4 * max(unit, blocks.step)
    return _Blocks(common if aligned else unit)


def _stretch(
    info: ImageInfo,
    stages: tuple[Stage, ...],
    after: ImageInfo,
    unit: tuple[int, int],
    blocks: _Blocks,
    task_bytes: int,
) -> int:
    """Return the rows of a task of whole rows."""
    widest = _widest(info, stages, after)
    rows = task_bytes // widest
    if not _all_ours(stages):
        rows = max(rows, min(_OWN_SIDE, 4 * task_bytes // widest))
    rows = max(rows, _HALOS_PER_CHUNK * context_of(stages)[0] * task_bytes // TASK_BYTES)
    rows = min(max(rows, 1), after.height)
    step = _merged(blocks, unit[0]).step
    if step * widest > _WHOLE_ROWS * TASK_BYTES:  # the wider the image, the fewer rows
        step = unit[0]
    if step % blocks.step:  # blocks are read by two tasks: so few as the memory allows
        rows = max(rows, min(4 * blocks.step, 4 * task_bytes // widest))
    return max(1, round(rows / step)) * step


def _square(info: ImageInfo, stages: tuple[Stage, ...], after: ImageInfo, grid: Grid) -> bool:
    """Return whether a task had better be a square than a stretch of rows."""
    if grid.grain[1] > 1 or grid.unit[1] > 1 or turns(stages):
        return True
    widest = _widest(info, stages, after)
    return _HALOS_PER_CHUNK * context_of(stages)[0] * widest > TASK_BYTES


def _area(
    info: ImageInfo,
    stages: tuple[Stage, ...],
    after: ImageInfo,
    blocks: tuple[_Blocks, _Blocks],
    task_bytes: int,
) -> int:
    """Return the pixels of a task that is a square."""
    source = (_whole(stages).area if stages else info.pixels) / after.pixels
    pixel = max(after.nbytes / after.pixels, source * info.nbytes / info.pixels)
    area = max(task_bytes, _LEAST_BYTES) / pixel
    if not _all_ours(stages):
        area = max(area, min(_OWN_SIDE**2, 4 * area))
    share = task_bytes / TASK_BYTES
    rows, columns = (_HALOS_PER_CHUNK * halo for halo in context_of(stages))
    if rows or columns:  # blocks around the task are read too: the more of them, the fewer twice
        rows, columns = max(rows, 4 * blocks[0].step), max(columns, 4 * blocks[1].step)
    return max(1, round(max(area, rows * columns * share)))


def _sides(
    area: int, down: int, across: int, size: tuple[int, int], wide: float = 1
) -> tuple[int, int]:
    """Return rows and columns of about a square, of whole blocks of `down` by `across`."""
    side = math.sqrt(area)
    if down > across:
        rows = _whole_blocks(max(side, area / size[1]), down, size[0])
        return rows, _whole_blocks(area / rows, across, size[1])
    columns = _whole_blocks(max(wide * side, area / size[0]), across, size[1])
    return _whole_blocks(area / columns, down, size[0]), columns


def _whole_blocks(length: float, step: int, size: int) -> int:
    return min(max(1, round(length / step)) * step, -(-size // step) * step)


def _chunk(
    stages: tuple[Stage, ...], task_rows: int, task_columns: int, at_most: int
) -> tuple[int, int]:
    """Return rows and columns of a chunk of so many bytes, larger if its halo is large.

    Chunks for functions that are not ours fit the cache.
    """
    rows_halo, columns_halo = context_of(stages)
    side = max([1.0, *_lengths(stages)])
    rows, pixels = _OWN_SIDE, _OWN_SIDE**2
    if _all_ours(stages):
        more = _REDUCED if side > 1 else 1
        wide = max(map(_pixel_bytes, stages), default=1)
        rows, pixels = more * _CHUNK_ROWS, max(more**2 * _CHUNK_PIXELS, at_most // wide)
    rows = _even(task_rows + 1, max(rows / side, _HALOS_PER_CHUNK * rows_halo))
    columns = max(pixels / side**2 / rows, _HALOS_PER_CHUNK * columns_halo, 1)
    if stages and columns > task_columns == stages[-1].after.width and _all_ours(stages):
        rows = _even(task_rows + 1, max(rows, pixels / side**2 / task_columns))
    return rows, _even(task_columns, columns)


def _rows(stages: tuple[Stage, ...], height: int, width: int, chunk_bytes: int) -> tuple[int, int]:
    """Return rows and columns of a chunk of an image that one worker makes alone.

    It has more whole rows than a chunk of a task: no other worker waits, and less of it is halo.
    """
    rows, columns = _chunk(stages, height, width, chunk_bytes)
    reduces = max([1.0, *_lengths(stages)]) > 1
    if columns == width and stages and _all_ours(stages) and not reduces:
        pixels = _ALONE * chunk_bytes // max(map(_pixel_bytes, stages))
        rows = max(rows, min(height, pixels // width))
    return rows, columns


def _pixel_bytes(stage: Stage) -> int:
    """Return the bytes of a pixel in the types that a stage works in."""
    size = max(stage.before.dtype.itemsize, stage.after.dtype.itemsize)
    if stage.filter.definition.dtype == "float32":
        size = max(size, 4)
    if stage.policy == "premultiply":
        size *= 4
    return size * max(stage.before.channels, stage.after.channels)


def _kernels_cut(stages: tuple[Stage, ...], pixels: int) -> bool:
    """Return whether kernels fit the work to the cache: a cut into chunks would only take time."""
    side = max([1.0, *_lengths(stages)])
    return side > 1 and side**2 * pixels <= _CUT_BY_KERNELS and _all_ours(stages)


def _of_units(chunk: tuple[int, int], unit: tuple[int, int]) -> tuple[int, int]:
    """Return a chunk of whole units, which can be placed by itself, unless units are large."""
    rows, columns = (-(-side // step) * step for side, step in zip(chunk, unit, strict=True))
    return (rows, columns) if rows * columns <= 2 * chunk[0] * chunk[1] else chunk


def _all_ours(stages: tuple[Stage, ...]) -> bool:
    return all(stage.filter.definition.ours for stage in stages)


def _even(size: int, wanted: float) -> int:
    """Return the length of the equal pieces, of about `wanted`, that make up `size`."""
    pieces = max(1, round(size / wanted))
    return -(-size // pieces)


def _origins(stages: tuple[Stage, ...], box: Box) -> list[Box]:
    """Return the box before each stage that becomes `box` after all stages, without halos."""
    found: list[Box] = []
    for stage in reversed(stages):
        found.insert(0, stage.origin(found[0] if found else box))
    return found


def _whole(stages: tuple[Stage, ...]) -> Box:
    """Return the part of the source that the whole output is made from, without halos."""
    return _origins(stages, stages[-1].after.box)[0]


def _lengths(stages: tuple[Stage, ...]) -> list[float]:
    """Return the side of a pixel of the output, in pixels before each stage."""
    if not stages:
        return []
    whole = stages[-1].after
    return [math.sqrt(box.area / whole.pixels) for box in _origins(stages, whole.box)]
