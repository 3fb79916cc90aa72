"""Plan: what a run will do and how much memory it will take, decided before it takes any.

A smaller budget makes a shorter window, smaller tasks and fewer workers. It never makes other
bytes, because what is encoded at once depends on the image and its format alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from imgpipe.errors import MemoryPlanError
from imgpipe.executors.base import Traits
from imgpipe.filters.stages import Stage
from imgpipe.formats.base import Sink, Source
from imgpipe.geometry import Halo
from imgpipe.image import ImageInfo
from imgpipe.machine import available_memory, usable_processors
from imgpipe.tiler import Tiler

__all__ = ["Feed", "Plan", "default_budget", "make_plan", "usable_processors"]

Feed = Literal["bands", "direct", "whole", "inline"]

# What a process takes before it has done anything, measured as proportional set sizes.
_PARENT_BYTES = 60 << 20
_SERVER_BYTES = 15 << 20
_WORKER_BYTES = 22 << 20
_READER_BYTES = 8 << 20

_TASK_BYTES = 4 << 20
_CHUNK_PIXELS = 200_000
_CHUNK_ROWS = 192
_HALOS_PER_CHUNK = 6  # six halos on a side: (1 + 2/6)**2, so 44 % of the pixels are redundant
_KERNEL_COPIES = 12  # copies of a chunk that a kernel may hold, in units of its input


@dataclass(frozen=True, slots=True)
class Plan:
    """How one image goes through a chain.

    Attributes
    ----------
    source, destination : str
        Names of the two ends.
    before, after : ImageInfo
        The input and the output.
    chain : str
        The filters.
    halo : (int, int)
        Rows and columns of context of the whole chain.
    feed : str
        How pixels reach the workers: ``bands`` of rows in shared memory, ``direct`` reading by
        the workers, a ``whole`` image in memory, or ``inline`` with the task.
    tiler : Tiler
        How the last pass is cut.
    measuring : tuple of int
        The stages that need a pass of measuring first.
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
    chain: str
    halo: Halo
    feed: Feed
    tiler: Tiler
    measuring: tuple[int, ...]
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
            "chain": self.chain or "(none)",
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
) -> Plan:
    """Return the plan for one image.

    Raises
    ------
    MemoryPlanError
        If no plan fits `max_memory` bytes.
    """
    budget = default_budget() if max_memory is None else max_memory
    feed, scratch = _feed(source, stages, traits)
    smallest = 0
    for count, window, limit in _candidates(workers):
        tiler = _tile(source.info, stages, sink, chunk, limit)
        plan = _with_sizes(
            Plan(
                source=source.name,
                destination=destination,
                before=source.info,
                after=sink.info,
                chain=" | ".join(repr(stage.filter) for stage in stages),
                halo=_total_halo(stages),
                feed=feed,
                tiler=tiler,
                measuring=_measuring(stages),
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
        )
        if plan.memory <= budget:
            return plan
        smallest = plan.memory
    raise MemoryPlanError(
        f"{source.name}: needs {smallest / 1e6:,.0f} MB even with one worker and the smallest "
        f"tasks, and may use {budget / 1e6:,.0f} MB; raise the limit "
        f"(--max-memory {-(-smallest // 10**6)}M, or max_memory= in Python)"
    )


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


def _tile(
    info: ImageInfo,
    stages: tuple[Stage, ...],
    sink: Sink,
    chunk: tuple[int, int] | None,
    task_bytes: int,
) -> Tiler:
    rows_halo, columns_halo = _total_halo(stages)
    after = sink.info
    widest = max(after.row_bytes, info.row_bytes)
    rows = task_bytes // widest
    if task_bytes > 1:
        rows = max(rows, _HALOS_PER_CHUNK * rows_halo * task_bytes // _TASK_BYTES)
    rows = min(max(rows, 1), after.height)
    task_rows = max(1, round(rows / sink.unit_rows)) * sink.unit_rows
    return Tiler(
        info,
        stages,
        after.height,
        after.width,
        task_rows,
        chunk or _chunk(after, task_rows, rows_halo, columns_halo),
        sink.encoder.context_rows if sink.kind == "ordered" else 0,
    )


def _chunk(after: ImageInfo, task_rows: int, rows_halo: int, columns_halo: int) -> tuple[int, int]:
    """Return rows and columns of a chunk that fits the cache, unless its halo is large."""
    rows = _even(task_rows + 1, max(_CHUNK_ROWS, _HALOS_PER_CHUNK * rows_halo))
    columns = max(_CHUNK_PIXELS // rows, _HALOS_PER_CHUNK * columns_halo, 1)
    return rows, _even(after.width, columns)


def _even(size: int, wanted: int) -> int:
    """Return the length of the equal pieces, of about `wanted`, that make up `size`."""
    pieces = max(1, round(size / wanted))
    return -(-size // pieces)


def _total_halo(stages: tuple[Stage, ...]) -> Halo:
    halos = [stage.filter.halo for stage in stages]
    return sum(rows for rows, _ in halos), sum(columns for _, columns in halos)


def _measuring(stages: tuple[Stage, ...]) -> tuple[int, ...]:
    return tuple(
        at for at, stage in enumerate(stages) if stage.filter.definition.measure is not None
    )


def _with_sizes(plan: Plan, source: Source, sink: Sink, traits: Traits) -> Plan:
    """Return `plan` with the memory it takes worked out."""
    tiler, info = plan.tiler, source.info
    needs = max(tiler.needs(box).height for box in tiler.boxes()) * info.row_bytes
    units = -(-tiler.task_rows // sink.unit_rows)
    payload = units * sink.encoder.bound(sink.unit_rows) if sink.kind == "ordered" else 0
    strip = (tiler.task_rows + tiler.context_rows) * plan.after.row_bytes
    wide = max(info.channels, plan.after.channels) * max(
        info.dtype.itemsize, plan.after.dtype.itemsize
    )
    rows, columns = tiler.chunk
    padded = (rows + 2 * plan.halo[0]) * (columns + 2 * plan.halo[1])
    own = strip + payload // units + padded * wide * _KERNEL_COPIES
    own += needs if plan.feed in ("direct", "inline") else 0
    band = needs if plan.feed == "bands" else info.nbytes if plan.feed == "whole" else 0
    shared = plan.window * payload + (plan.window * band if plan.feed == "bands" else band)
    processes = _PARENT_BYTES + _READER_BYTES
    if traits.isolates:
        processes += _SERVER_BYTES + plan.workers * _WORKER_BYTES
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
