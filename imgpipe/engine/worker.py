"""Worker: one function does every task, whichever executor carries it.

``run_task`` reads, runs the chain chunk by chunk, encodes or places, and returns a receipt. It
keeps its scratch memory from task to task: fresh memory costs more than most filters.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgpipe.chains.definition import digest_of
from imgpipe.chains.faint import watching
from imgpipe.chains.stages import (
    Entering,
    Read,
    Stage,
    compute,
    filter_at_fault,
    measure,
    merged,
    with_operands,
)
from imgpipe.engine.buffers import Slot
from imgpipe.engine.tiler import Input, JobRef, Task, Tiler
from imgpipe.engine.whereabouts import at_chunk, chunk_at, sign
from imgpipe.errors import DeclarationError, FilterError, ImgpipeError, WorkerError
from imgpipe.formats.base import Encoder, Facts, Placer
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.machine import private_memory
from imgpipe.tracebacks import (
    in_worker,
    of_changing_the_input,
    of_the_function,
    user_traceback,
)

__all__ = ["Job", "Receipt", "adopt", "carried", "disown", "run_task", "stored", "warm_up", "weigh"]

_JOBS_KEPT = 4


@dataclass(frozen=True)
class Job:
    """What all tasks of a pass have in common.

    Attributes
    ----------
    name : str
        The input file, for messages.
    tiler : Tiler
        How tasks are cut into chunks, and the stages that chunks go through.
    unit_rows : int
        Rows that the encoder takes at once.
    encoder, placer : Encoder, Placer or None
        What becomes of the pixels; neither in a pass of measuring.
    measured_stage : Stage or None
        The stage whose measurement is taken of what the stages of `tiler` make.
    timeout : float or None
        Seconds that a chunk may take, in a process that may be ended.
    """

    name: str
    tiler: Tiler
    unit_rows: int = 1
    encoder: Encoder | None = None
    placer: Placer | None = None
    measured_stage: Stage | None = None
    timeout: float | None = None

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages whose functions the workers call."""
        measured = () if self.measured_stage is None else (self.measured_stage,)
        return self.tiler.stages + measured


@dataclass(frozen=True)
class Receipt:
    """What came of a task.

    Attributes
    ----------
    units : tuple of (int, Facts)
        Length in bytes of each encoded unit, and what is known of it.
    data : bytes
        The units themselves, where no memory is shared.
    measured : object
        The measurement of a task that measures.
    seen : tuple of int
        What was seen of each filter, for `filters.faint`.
    worker, thread : int
        Ids of the process and of the thread.
    started, ended, cpu : float
        When the task was taken up and put down, and the processor time of the process by then.
    spans : tuple of (str, float)
        Seconds in each step.
    """

    units: tuple[tuple[int, Facts], ...] = ()
    data: bytes = b""
    measured: Any = None
    seen: tuple[int, ...] = ()
    worker: int = field(default_factory=os.getpid)
    thread: int = field(default_factory=threading.get_ident)
    started: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0
    spans: tuple[tuple[str, float], ...] = ()


class _Stopwatch:
    """Seconds spent in each step of a task."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.spans: dict[str, float] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.spans[name] = self.spans.get(name, 0.0) + time.perf_counter() - begin


class _Local(threading.local):
    """What a thread keeps from task to task."""

    def __init__(self) -> None:
        self.strip = np.empty(0, np.uint8)

    @contextmanager
    def rows(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Iterator[Pixels]:
        """Lend a strip. A function that makes images itself, meanwhile, gets another one."""
        size = shape[0] * shape[1] * shape[2] * dtype.itemsize
        strip, self.strip = self.strip, np.empty(0, np.uint8)
        if strip.size < size:
            strip = np.empty(size, np.uint8)
        try:
            yield strip[:size].view(dtype).reshape(shape)
        finally:
            self.strip = strip


_local = _Local()
_jobs: dict[str, Job] = {}
_jobs_lock = threading.Lock()  # several threads of a worker may work on several runs
_adopted = itertools.count()


def run_task(task: Task) -> Receipt:
    """Do `task`.

    Raises
    ------
    FilterError
        If the function of a filter fails; the message names filter, file and chunk.
    """
    watch = _Stopwatch()
    sign(task.note)
    job = _job(task.job)
    with np.errstate(all="ignore"), watching() as sight:  # what is wrong shows in the result
        result = _KINDS[task.kind](task, job, watch)
    return Receipt(
        **result,
        seen=sight.of(stage.filter for stage in job.tiler.stages),
        started=watch.started,
        ended=time.monotonic(),
        cpu=time.process_time(),
        spans=tuple(watch.spans.items()),
    )


def weigh(functions: bytes) -> tuple[int, int]:
    """Return what this process takes with `functions` loaded, as `machine.private_memory` does."""
    pickle.loads(functions)  # noqa: S301 - the parent of this very run wrote it
    return private_memory()


def warm_up(ref: JobRef) -> None:
    """Do once, on nothing, what tasks will do: kernels are designed, codecs loaded, memory touched.

    A worker has nothing else to do until the reader has its first rows ready. Functions that are
    not imgpipe's own are left alone: they may mind being called on nothing.
    """
    job = _job(ref)
    stages, info = job.tiler.stages, job.tiler.info
    if not all(stage.filter.definition.ours for stage in stages):
        return
    with contextlib.suppress(Exception):  # whatever is wrong shows, and is told, in a task
        after = stages[-1].after if stages else info
        part = Box.of(min(after.height, 2), min(after.width, 2))
        blank = np.ones((1, 1, info.channels), info.dtype)  # of pixels that are not hidden
        compute(stages, part, lambda box: np.broadcast_to(blank, (*box.shape, info.channels)))
        rows = job.tiler.task_rows + job.tiler.context_rows
        with _local.rows((rows, after.width, after.channels), after.dtype) as strip:
            strip[...] = 0
            if job.encoder is not None:
                job.encoder.encode(strip[:1], None)


def _make_chunks(task: Task, job: Job, watch: _Stopwatch) -> dict[str, Any]:
    """Make the pixels of a task, then encode them or put them in their place."""
    held = job.tiler.with_context(task.box)
    after = job.tiler.stages[-1].after if job.tiler.stages else job.tiler.info
    above = task.box.y0 - held.y0
    with contextlib.ExitStack() as lent:
        strip = job.placer.rows(held) if job.placer is not None else None
        if strip is None:
            shape = (*held.shape, after.channels)
            strip = lent.enter_context(_local.rows(shape, after.dtype))
        for box, pixels in _chunks(task, job, watch):
            strip[box.within(held)] = pixels
        if job.placer is not None:
            with watch.span("write"):
                job.placer.place(task.box, strip[above:])
            return {}
        with watch.span("encode"):
            return _encode(strip, above, job, task.output)


def _measure(task: Task, job: Job, watch: _Stopwatch) -> dict[str, Any]:
    """Measure the pixels of a task, chunk by chunk, folded in order."""
    stage, number = job.measured_stage, len(job.tiler.stages)
    assert stage is not None
    found: list[Any] = []
    for box, pixels in _chunks(task, job, watch):
        with watch.span("measure"), _watched(task, job, box) as entering:
            entering(number)
            one = measure(stage, pixels)
        with watch.span("merge"), at_chunk(task.note, box) as entering:
            entering(number + 1)
            found = [_folded(job, stage, (*found, one))]
    with _explained(_place(job, task.box), f"what {stage.filter!r} measures cannot be sent back"):
        _must_be_sendable(stage, found[0])
    return {"measured": found[0]}


def _merge(task: Task, job: Job, watch: _Stopwatch) -> dict[str, Any]:
    """Make one of several measurements."""
    stage = job.measured_stage
    assert stage is not None
    with watch.span("merge"):
        found = _folded(job, stage, task.values)
    with _explained(job.name, f"what {stage.filter!r} merges cannot be sent back"):
        _must_be_sendable(stage, found)
    return {"measured": found}


def _folded(job: Job, stage: Stage, values: tuple[Any, ...]) -> Any:
    """Return the one that `values` become, merged in order."""
    found, *others = values
    for more in others:
        with _timeout(job.timeout), _explained(
            job.name,
            f"the merge function of {stage.filter!r} failed; it must take any two results of "
            "measure, and of itself",
        ):  # fmt: skip
            found = merged(stage.filter, found, more)
    return found


def _must_be_sendable(stage: Stage, found: Any) -> None:
    if in_worker() and not stage.filter.definition.ours:
        pickle.dumps(found)


def _seal(task: Task, job: Job, watch: _Stopwatch) -> dict[str, Any]:
    """Finish a file whose boxes are all in place."""
    assert job.placer is not None
    with watch.span("seal"):
        job.placer.seal()
    return {}


_KINDS: dict[str, Callable[[Task, Job, _Stopwatch], dict[str, Any]]] = {
    "chunks": _make_chunks,
    "measure": _measure,
    "merge": _merge,
    "seal": _seal,
}


def _chunks(task: Task, job: Job, watch: _Stopwatch) -> Iterator[tuple[Box, Pixels]]:
    with watch.span("read"):
        asked = job.tiler.reads(task.box)
        read, *others = map(_reader, task.inputs, asked)
    stages = with_operands(job.tiler.stages, others)
    for chunk in job.tiler.chunks(task.box):
        with watch.span("filter"), _watched(task, job, chunk.box) as entering:
            pixels = compute(stages, chunk.box, read, entering)
        yield chunk.box, pixels


def _reader(source: Input, asked: list[Box]) -> Read:
    """Return a reader that holds the largest box of a task, and fetches what lies elsewhere."""
    pixels, held = source.window(max(asked, key=lambda box: box.area))

    def read(box: Box) -> Pixels:
        return pixels[box.within(held)] if held.contains(box) else source.read(box)

    return read


def _encode(strip: Pixels, above: int, job: Job, output: Slot | None) -> dict[str, Any]:
    encoder = job.encoder
    assert encoder is not None
    target = output.bytes() if output is not None else None
    units, parts, used = [], [], 0
    for y in range(above, len(strip), job.unit_rows):
        context = strip[y - encoder.context_rows : y] if y >= encoder.context_rows > 0 else None
        data, facts = encoder.encode(strip[y : y + job.unit_rows], context)
        size = len(data)
        units.append((size, facts))
        if target is None:
            parts.append(bytes(data))
        else:
            target[used : used + size] = data
            used += size
    return {"units": tuple(units), "data": b"".join(parts)}


def _job(ref: JobRef) -> Job:
    job = _jobs.get(ref.digest)
    if job is None:
        data = ref.slot.bytes()[: ref.size] if ref.slot is not None else ref.data
        if digest_of(bytes(data)) != ref.digest:  # the run is over, and its memory another's
            raise WorkerError("the job of this task is gone")
        job = pickle.loads(data)  # noqa: S301 - the parent of this very run wrote it
        with _jobs_lock:
            for old in [key for key in _jobs if not key.startswith("here-")][:-_JOBS_KEPT]:
                del _jobs[old]
            job = _jobs.setdefault(ref.digest, job)
    return job


def adopt(job: Job) -> JobRef:
    """Let the workers of this process have `job` as it is, unpickled."""
    ref = JobRef(f"here-{next(_adopted)}", None, 0)
    with _jobs_lock:
        _jobs[ref.digest] = job
    return ref


def carried(data: bytes) -> JobRef:
    """Return a reference that carries a pickled job along."""
    return JobRef(digest_of(data), None, len(data), data)


def stored(data: bytes, slot: Slot) -> JobRef:
    """Return a reference to a pickled job in shared memory."""
    return JobRef(digest_of(data), slot, len(data))


def disown(ref: JobRef) -> None:
    """Forget an adopted job."""
    with _jobs_lock:
        _jobs.pop(ref.digest, None)


@contextmanager
def _timeout(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)  # the log of the pool
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _watched(task: Task, job: Job, box: Box) -> Iterator[Entering]:
    """Have whatever becomes of a chunk told: what is raised, what takes too long, what dies."""
    with _timeout(job.timeout), _explained(_place(job, box)), at_chunk(task.note, box) as entering:
        yield entering


def _place(job: Job, box: Box) -> str:
    return f"{job.name}: {chunk_at(box)}"


@contextmanager
def _explained(where: str, what: str = "") -> Iterator[None]:
    """Say where, and of which filter, in whatever a filter's function raises."""
    try:
        yield
    except (FilterError, DeclarationError) as error:
        raise type(error)(f"{where}: {error}") from None
    except ImgpipeError:
        raise
    except BaseException as error:
        if not of_the_function(error):
            raise
        what = what or f"the filter {filter_at_fault(error)} failed"
        raise FilterError(f"{where}: {what}\n{user_traceback(error)}{_hint(error)}") from None


def _hint(error: BaseException) -> str:
    """Return what to do about a common error."""
    if of_changing_the_input(error):
        return "\nThe input of a filter may not be changed; work on a copy: chunk = chunk.copy()"
    return ""
