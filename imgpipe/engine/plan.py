"""Plan: what a run will do and how much memory it will take, decided before it takes any.

A smaller budget makes a shorter window, smaller tasks and fewer workers. It never makes other
bytes, because what is encoded at once depends on the image, the chain and the format alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from imgpipe.chains.element import Element
from imgpipe.chains.formatting import described
from imgpipe.chains.stages import Stage
from imgpipe.engine.tiler import Tiler
from imgpipe.errors import MemoryPlanError
from imgpipe.executors.base import Traits
from imgpipe.formats.base import Sink, Source
from imgpipe.geometry import Box, Halo
from imgpipe.image import ImageInfo
from imgpipe.machine import available_memory, usable_processors

__all__ = ["Feed", "Footing", "Plan", "default_budget", "make_plan", "usable_processors"]

Feed = Literal["bands", "direct", "whole", "inline"]

# What processes take beside what the plan makes them hold. Measured as sums of proportional set
# sizes, libraries included, by runs over small images.
_GROWTH_BYTES = 16 << 20  # of this process: its reader, and what it imports for the run
_POOL_BYTES = 8 << 20  # of this process, for having workers
_SERVER_BYTES = 30 << 20  # of the fork server and the resource tracker
_WORKER_BYTES = 10 << 20  # of a worker that has loaded nothing but imgpipe
_WORKER_GROWTH_BYTES = 4 << 20  # of one that has loaded more, once it begins

_TASK_BYTES = 4 << 20
_UNIT_INPUT_BYTES = 8 << 20  # of rows of input that may go into what is encoded at once
_CHUNK_PIXELS = 200_000
_CHUNK_ROWS = 192
_OWN_SIDE = 384  # of chunks for functions that are not ours, whose copies may well be of float64
_HALOS_PER_CHUNK = 6  # six halos on a side: (1 + 2/6)**2, so 44 % of the pixels are redundant
_KERNEL_COPIES = 8  # copies of a chunk that a kernel may hold, in the type of its input
_SAMPLE_BYTES = 16  # that a kernel of ours may hold for a sample of a small type
_OWN_SAMPLE_BYTES = 48  # that other functions may hold: six copies of float64
_ORIGIN_COPIES = 4  # copies of its input that a kernel of ours holds which changes the geometry


@dataclass(frozen=True)
class Footing:
    """What processes take before a pixel is worked on, as far as it was measured.

    Attributes
    ----------
    held : int
        Bytes that this process holds already: its libraries, and arrays of the caller's.
    counted : bool
        Whether these count towards the limit.
    worker : int
        Bytes that every worker takes for itself once it has loaded the functions.
    libraries : int
        Bytes of libraries that workers share, and this process has not loaded.
    """

    held: int = 0
    counted: bool = False
    worker: int = 0
    libraries: int = 0


@dataclass(frozen=True, repr=False)
class Plan:
    """How one image goes through a chain.

    Attributes
    ----------
    source, destination : str
        Names of the two ends.
    before, after : ImageInfo
        The input and the output.
    chain : tuple of Element
        The filters.
    halo : (int, int)
        Rows and columns of context of the whole chain, in pixels of the output.
    feed : str
        How pixels reach the workers: ``bands`` of rows in shared memory, ``direct`` reading by
        the workers, a ``whole`` image in memory, or ``inline`` with the task.
    tiler : Tiler
        How the last pass is cut.
    unit : (int, int)
        Rows and columns that are encoded at once; 0 columns for whole rows.
    measuring : dict of int to Tiler
        The stages that need a pass of measuring first, and how that is cut.
    window : int
        Tasks under way at once.
    band_bytes, payload_bytes : int
        Size of a slot for input and for output; 0 where there is none.
    workers : int
        Processes or threads.
    executor : str
        Which executor, and why.
    scratch_bytes : int
        Size of the scratch file on disk, if the plan needs one.
    memory, budget : int
        The bound on the memory of all processes together, and what was granted.
    """

    source: str
    destination: str
    before: ImageInfo
    after: ImageInfo
    chain: tuple[Element, ...]
    halo: Halo
    feed: Feed
    tiler: Tiler
    unit: tuple[int, int]
    measuring: dict[int, Tiler]
    window: int
    band_bytes: int
    payload_bytes: int
    workers: int
    executor: str
    scratch_bytes: int
    memory: int
    budget: int

    @property
    def passes(self) -> int:
        """How often the pixels of the input are gone through."""
        return 1 + len(self.measuring) + bool(self.scratch_bytes)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        rows, columns = self.tiler.chunk
        feeds = {
            "bands": "bands of rows in shared memory",
            "direct": "workers read it themselves",
            "whole": "whole, in memory",
            "inline": "sent along with each task",
        }
        scratch = f"{self.scratch_bytes / 1e6:,.0f} MB on disk" if self.scratch_bytes else "none"
        lines = {
            "input": f"{self.source}: {_described(self.before)}",
            "output": f"{self.destination}: {_described(self.after)}",
            "chain": described(self.chain) or "(none)",
            "read as": feeds[self.feed],
            "tasks": f"{len(self.tiler)} of {self.tiler.task_rows} rows",
            "chunks": f"{columns} x {rows} pixels",
            "halo": f"{self.halo[1]} columns, {self.halo[0]} rows",
            "window": f"{self.window} tasks under way at once",
            "workers": f"{self.workers} ({self.executor})",
            "memory": f"at most {self.memory / 1e6:,.0f} MB of {self.budget / 1e6:,.0f} MB",
            "passes": str(self.passes),
            "scratch": scratch,
        }
        return "\n".join(f"{name + ':':9}{text}" for name, text in lines.items())


def default_budget() -> int:
    """Return the memory that a run may use: half of what is available, at most 2 GB."""
    return min(available_memory() // 2, 2_000_000_000)


def make_plan(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    *,
    destination: str,
    traits: Traits,
    workers: int,
    executor: str,
    max_memory: int | None,
    chunk: tuple[int, int] | None,
    footing: Footing,
) -> Plan:
    """Return the plan for one image.

    Raises
    ------
    MemoryPlanError
        If no plan fits `max_memory` bytes.
    """
    beside = 0 if footing.counted else footing.held
    budget = beside + (default_budget() if max_memory is None else max_memory)
    feed, scratch = _feed(source, stages, traits)
    unit_rows = _unit_rows(source.info, stages, sink)
    context_rows = sink.encoder.context_rows if sink.kind == "ordered" else 0
    smallest = 0
    for count, window, limit in _candidates(workers):
        cut = partial(_tile, source.info, chunk=chunk, task_bytes=limit)
        tiler = cut(stages, sink.info, unit_rows=unit_rows, context_rows=context_rows)
        plan = _with_sizes(
            Plan(
                source=source.name,
                destination=destination,
                before=source.info,
                after=sink.info,
                chain=tuple(stage.filter for stage in stages),
                halo=_context(stages),
                feed=feed,
                tiler=tiler,
                unit=(unit_rows, sink.unit[1]),
                measuring={
                    at: cut(stages[:at], stage.before)
                    for at, stage in enumerate(stages)
                    if stage.filter.measures
                },
                window=min(window, len(tiler)),
                band_bytes=0,
                payload_bytes=0,
                workers=count,
                executor=executor,
                scratch_bytes=source.info.nbytes if scratch else 0,
                memory=0,
                budget=budget,
            ),
            source,
            sink,
            traits,
            footing,
        )
        if plan.memory <= budget:
            return plan
        smallest = plan.memory
    raise MemoryPlanError(
        f"{source.name}: needs {_megabytes(smallest)} MB even with one worker and the smallest "
        f"tasks, of which this process already holds {_megabytes(footing.held)} MB; the limit is "
        f"{_megabytes(budget)} MB; raise it (--max-memory {_megabytes(smallest)}M, or "
        f"max_memory='{_megabytes(smallest - beside)}M' in Python)"
    )


def _megabytes(size: int) -> str:
    return str(-(-size // 10**6))


def _candidates(workers: int) -> Iterator[tuple[int, int, int]]:
    """Yield workers, window and the bytes of a task, from the fastest plan to the smallest."""
    for count in range(workers, 0, -1):
        for per_worker in (2, 1) if count > 1 or workers > 1 else (1,):
            for divisor in (1, 4):
                extra = 0 if workers == 1 else per_worker
                yield count, per_worker * count + extra, _TASK_BYTES // divisor
    yield 1, 1, 1


def _feed(source: Source, stages: tuple[Stage, ...], traits: Traits) -> tuple[Feed, bool]:
    """Return how workers get pixels, and whether a scratch file has to be made first."""
    if not traits.shares_files:
        in_order = all(stage.in_order for stage in stages)
        streams = source.access == "sequential" and in_order
        return "inline", not streams and source.access != "random"
    if source.access == "random":
        return "direct", False
    if not traits.shares_memory:
        return "direct", True
    if source.access == "whole":
        return "whole", False
    in_order = all(stage.in_order for stage in stages)
    return ("bands", False) if in_order else ("direct", True)


def _unit_rows(info: ImageInfo, stages: tuple[Stage, ...], sink: Sink) -> int:
    """Return how many rows are encoded at once: fewer than usual where each needs much input."""
    return max(1, min(sink.unit[0], _UNIT_INPUT_BYTES // _pitch(info, stages, sink.info)))


def _tile(
    info: ImageInfo,
    stages: tuple[Stage, ...],
    after: ImageInfo,
    *,
    chunk: tuple[int, int] | None,
    task_bytes: int,
    unit_rows: int = 1,
    context_rows: int = 0,
) -> Tiler:
    widest = max(after.row_bytes, _pitch(info, stages, after))
    rows = task_bytes // widest
    if not _all_ours(stages):
        rows = max(rows, min(_OWN_SIDE, 4 * task_bytes // widest))
    if task_bytes > 1:
        rows = max(rows, _HALOS_PER_CHUNK * _context(stages)[0] * task_bytes // _TASK_BYTES)
    rows = min(max(rows, 1), after.height)
    task_rows = max(1, round(rows / unit_rows)) * unit_rows
    chunk = chunk or _chunk(stages, after, task_rows)
    return Tiler(info, stages, after.height, after.width, task_rows, chunk, context_rows)


def _chunk(stages: tuple[Stage, ...], after: ImageInfo, task_rows: int) -> tuple[int, int]:
    """Return rows and columns of a chunk that fits the cache, unless its halo is large."""
    rows_halo, columns_halo = _context(stages)
    side = max([1.0, *_sides(stages)])
    rows, pixels = (_CHUNK_ROWS, _CHUNK_PIXELS) if _all_ours(stages) else (_OWN_SIDE, _OWN_SIDE**2)
    rows = _even(task_rows + 1, max(rows / side, _HALOS_PER_CHUNK * rows_halo))
    columns = max(pixels / side**2 / rows, _HALOS_PER_CHUNK * columns_halo, 1)
    return rows, _even(after.width, columns)


def _all_ours(stages: tuple[Stage, ...]) -> bool:
    return all(stage.filter.definition.ours for stage in stages)


def _even(size: int, wanted: float) -> int:
    """Return the length of the equal pieces, of about `wanted`, that make up `size`."""
    pieces = max(1, round(size / wanted))
    return -(-size // pieces)


def _origins(stages: tuple[Stage, ...], box: Box) -> list[Box]:
    """Return where the pixels of `box` after all stages were before each, without halos."""
    found: list[Box] = []
    for stage in reversed(stages):
        found.insert(0, stage.origin(found[0] if found else box))
    return found


def _sides(stages: tuple[Stage, ...]) -> list[float]:
    """Return how long the side of a pixel of the output is before each stage."""
    if not stages:
        return []
    whole = stages[-1].after
    return [math.sqrt(box.area / whole.pixels) for box in _origins(stages, whole.box)]


def _pitch(info: ImageInfo, stages: tuple[Stage, ...], after: ImageInfo) -> int:
    """Return how many bytes of rows of the input a row of the output stands for."""
    held = _origins(stages, after.box)[0] if stages else info.box
    return max(1, held.height * info.row_bytes // after.height)


def _context(stages: tuple[Stage, ...]) -> Halo:
    """Return rows and columns around a pixel of the output that it is made from."""
    if not stages:
        return 0, 0
    after, sides = stages[-1].after, _sides(stages)
    y, x = after.height // 2, after.width // 2
    origin = _origins(stages, Box(y, x, y + 1, x + 1))[0]
    rows, columns = ((length / sides[0] - 1) / 2 for length in origin.shape)
    for stage, side in zip(stages, sides, strict=True):
        halo, grid = stage.context, stage.filter.grid
        rows += (halo[0] + (grid[0] - 1) / 2) / side
        columns += (halo[1] + (grid[1] - 1) / 2) / side
    return max(0, math.ceil(rows)), max(0, math.ceil(columns))


def _needed(tiler: Tiler) -> tuple[int, int]:
    """Return the most rows and the most pixels of the input that a task needs."""
    boxes = [tiler.needs(box) for box in tiler.boxes()]
    return max(box.height for box in boxes), max(box.area for box in boxes)


def _further(tiler: Tiler) -> int:
    """Return the most pixels that a task holds of further images."""
    tasks = (tiler.reads(box)[1:] for box in tiler.boxes())
    return max(sum(max(box.area for box in asked) for asked in task) for task in tasks)


def _worked_on(tiler: Tiler) -> int:
    """Return the bytes that the kernels hold for a chunk, all their copies counted."""
    rows, columns = tiler.chunk
    y, x = max(0, (tiler.height - rows) // 2), max(0, (tiler.width - columns) // 2)
    box = Box(y, x, y + rows, x + columns).clip(tiler.height, tiler.width)
    held = _ORIGIN_COPIES * box.area * tiler.info.channels * tiler.info.dtype.itemsize
    for stage in reversed(tiler.stages):
        wanted = stage.input_box(box)
        area = wanted.area if stage.filter.definition.region else max(wanted.area, box.area)
        channels = max(stage.before.channels, stage.after.channels)
        held = max(held, area * channels * _sample_bytes(stage))
        box = wanted.clip(stage.before.height, stage.before.width)
    return held


def _sample_bytes(stage: Stage) -> int:
    """Return the bytes that the kernel of a stage may hold for each sample of its chunk."""
    definition = stage.filter.definition
    size = max(stage.before.dtype.itemsize, stage.after.dtype.itemsize)
    if not definition.ours:
        return max(_OWN_SAMPLE_BYTES, _KERNEL_COPIES * size)
    if definition.region is not None:
        return _ORIGIN_COPIES * size
    return max(_SAMPLE_BYTES, _KERNEL_COPIES * size)


def _with_sizes(plan: Plan, source: Source, sink: Sink, traits: Traits, footing: Footing) -> Plan:
    """Return `plan` with the memory it takes worked out."""
    tiler, info = plan.tiler, source.info
    tilers = [tiler, *plan.measuring.values()]
    rows_needed, pixels_needed = map(max, zip(*map(_needed, tilers), strict=True))
    needs, held = rows_needed * info.row_bytes, pixels_needed * (info.row_bytes // info.width)
    units = -(-tiler.task_rows // plan.unit[0])
    payload = units * sink.encoder.bound(plan.unit[0]) if sink.kind == "ordered" else 0
    strip = (tiler.task_rows + tiler.context_rows) * plan.after.row_bytes
    wide = max(info.channels, plan.after.channels) * max(
        info.dtype.itemsize, plan.after.dtype.itemsize
    )
    own = strip + payload // units + max(map(_worked_on, tilers))
    own += max(map(_further, tilers)) * wide
    own += needs if plan.feed == "inline" else held if plan.feed == "direct" else 0
    band = needs if plan.feed == "bands" else info.nbytes if plan.feed == "whole" else 0
    shared = plan.window * payload + (plan.window * band if plan.feed == "bands" else band)
    processes = footing.held + _GROWTH_BYTES
    if traits.isolates:
        worker = max(_WORKER_BYTES, footing.worker + _WORKER_GROWTH_BYTES)
        processes += _POOL_BYTES + _SERVER_BYTES + plan.workers * worker + footing.libraries
    if source.access == "whole":
        processes += source.decode_bytes
        processes += info.nbytes if plan.feed != "whole" else 0
    return replace(
        plan,
        band_bytes=band,
        payload_bytes=payload,
        memory=processes + shared + plan.workers * own,
    )


def _described(info: ImageInfo) -> str:
    megapixels = info.pixels / 1e6
    size = f"{info.width} x {info.height} x {info.channels} {info.dtype}"
    return f"{size} ({megapixels:,.1f} megapixels)"
