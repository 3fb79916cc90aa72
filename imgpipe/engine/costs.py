"""Costs: the memory of a run, in three parts that add up differently.

The shared memory of several runs adds up. A worker does one task at a time, so the largest task
counts. Processes are there once, for any number of runs.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from imgpipe.chains.stage import Stage
from imgpipe.engine.tiler import Tiler
from imgpipe.executors.base import Traits
from imgpipe.formats.base import OrderedSink
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = [
    "Cost",
    "Footing",
    "cost_of_processes",
    "cost_of_readers",
    "cost_of_tasks",
    "encoded_bytes",
    "pixel_bytes",
]

# Memory of processes beside that of the plan. Measured as sums of proportional set
# sizes, libraries included, by runs over small images.
_GROWTH_BYTES = 16 << 20  # of this process: its reader, and its imports for the run
_POOL_BYTES = 8 << 20  # of this process, for having workers
_SERVER_BYTES = 30 << 20  # of the fork server and the resource tracker
_WORKER_BYTES = 10 << 20  # of a worker that has loaded nothing but imgpipe
_WORKER_GROWTH_BYTES = 4 << 20  # of a worker that has loaded more, once it begins

_ACCELERATOR_BYTES = 16 << 20  # of the library of an accelerator, which all processes share
_ACCELERATOR_WORKER_BYTES = 4 << 20  # that each worker writes for itself when it loads it

_READER_BYTES = 24 << 20  # of a process that only decodes, with the library for that

_KERNEL_COPIES = 8  # copies of a chunk that a kernel may hold, in the type of its input
_SAMPLE_BYTES = 12  # that a kernel of ours may hold for a sample of a small type
_HIDDEN_SAMPLE_BYTES = 16  # the same where there is alpha, or pixels are without data
_OWN_SAMPLE_BYTES = 48  # that other functions may hold: six copies of float64
_ORIGIN_COPIES = 4  # copies of its input that a kernel of ours holds which changes the geometry


class Footing(NamedTuple):
    """Memory of the processes before the first task, as far as it was measured.

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
    accelerated : bool
        Whether an accelerator may be loaded.
    """

    held: int = 0
    counted: bool = False
    worker: int = 0
    libraries: int = 0
    accelerated: bool = False


@dataclass(frozen=True)
class Cost:
    """Memory, in bytes.

    Attributes
    ----------
    shared : int
        Memory of the run itself: its slots in shared memory, and its decoder.
    per_worker : int
        Memory of each worker while it does a task.
    processes : int
        Memory of this process and of those that it has started, before any task.
    """

    shared: int = 0
    per_worker: int = 0
    processes: int = 0

    def __add__(self, other: Self) -> Cost:
        """Return the cost of both at once, in the same run."""
        return Cost(
            self.shared + other.shared,
            self.per_worker + other.per_worker,
            self.processes + other.processes,
        )

    def beside(self, other: Self) -> Cost:
        """Return the cost of two runs that the same processes serve at once."""
        return Cost(
            self.shared + other.shared,
            max(self.per_worker, other.per_worker),
            max(self.processes, other.processes),
        )

    def then(self, other: Self) -> Cost:
        """Return the cost of two passes of a run, one after the other."""
        return Cost(
            max(self.shared, other.shared),
            max(self.per_worker, other.per_worker),
            max(self.processes, other.processes),
        )

    def total(self, workers: int) -> int:
        """Return the memory of a run with `workers` workers."""
        return self.shared + workers * self.per_worker + self.processes


def cost_of_processes(traits: Traits, workers: int, footing: Footing) -> Cost:
    """Return the memory of this process and its workers before any task."""
    taken = footing.held + _GROWTH_BYTES
    if footing.accelerated:
        loading = workers if traits.isolates else 1
        taken += _ACCELERATOR_BYTES + loading * _ACCELERATOR_WORKER_BYTES
    if traits.isolates:
        worker = max(_WORKER_BYTES, footing.worker + _WORKER_GROWTH_BYTES)
        taken += _POOL_BYTES + _SERVER_BYTES + workers * worker + footing.libraries
    return Cost(processes=taken)


def cost_of_readers(count: int) -> Cost:
    """Return the memory of processes that only decode, before they do."""
    return Cost(processes=count * _READER_BYTES)


def cost_of_tasks(tiler: Tiler, *, makes: bool) -> Cost:
    """Return the memory of a worker for a task, input excepted; `makes` if it holds the output."""
    info, (rows, columns) = tiler.info, tiler.task
    after = tiler.stages[-1].after if tiler.stages else info
    more = tiler.context_rows + 2 * (tiler.room or (0, 0))[0]
    made = (rows + more) * columns * pixel_bytes(after) if makes else 0
    wide = max(info.channels, after.channels) * max(info.dtype.itemsize, after.dtype.itemsize)
    return Cost(per_worker=made + _worked_on(tiler) + _further(tiler) * wide)


def encoded_bytes(sink: OrderedSink, tiler: Tiler) -> tuple[int, int]:
    """Return the largest size of an encoded task of `tiler`, and of one unit, in bytes."""
    rows, columns = sink.unit
    side_by_side = -(-tiler.width // (columns or tiler.width))
    unit = -(-sink.encoder.bound(rows) // side_by_side)
    down, across = -(-tiler.task_rows // rows), -(-tiler.task[1] // (columns or tiler.width))
    return down * across * unit, unit


def _further(tiler: Tiler) -> int:
    """Return the most pixels that a task holds of further images."""
    if not any(stage.filter.operands for stage in tiler.stages):
        return 0
    tasks = (tiler.reads(box)[1:] for box in tiler.boxes())
    return max(sum(max(box.area for box in asked) for asked in task) for task in tasks)


def _worked_on(tiler: Tiler) -> int:
    """Return the bytes that the kernels hold for a chunk, all their copies counted."""
    rows, columns = tiler.chunk
    y, x = max(0, (tiler.height - rows) // 2), max(0, (tiler.width - columns) // 2)
    box = Box(y, x, y + rows, x + columns).clip(tiler.height, tiler.width)
    held = _ORIGIN_COPIES * box.area * pixel_bytes(tiler.info)
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
    plain = stage.policy == "filter" and not stage.minds_absence
    return max(_SAMPLE_BYTES if plain else _HIDDEN_SAMPLE_BYTES, _KERNEL_COPIES * size)


def pixel_bytes(info: ImageInfo) -> int:
    """Return the bytes of one pixel."""
    return info.channels * info.dtype.itemsize
