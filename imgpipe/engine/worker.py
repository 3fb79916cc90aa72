"""Worker: the function that does every task, for every executor.

``run_task`` reads, runs the chain chunk by chunk, encodes or places, and returns a receipt. It
keeps its workspace from task to task: fresh memory costs more than most filters.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any, NamedTuple

import numpy as np

from imgpipe.acceleration import NONE, get_ready, remarks, using
from imgpipe.chains.faintimages import watching
from imgpipe.chains.stages import (
    Entering,
    Read,
    Stage,
    compute,
    filter_at_fault,
    measure,
    merged,
    naming,
    with_operands,
)
from imgpipe.engine.buffers import Slot, let_go
from imgpipe.engine.callcontext import CallContext, Stopwatch, timeout
from imgpipe.engine.jobs import Branch, CallJob, Job, job_of
from imgpipe.engine.taskpixels import TaskPixels
from imgpipe.engine.tasks import Input, JobRef, Part, Task
from imgpipe.engine.workernotes import at_chunk, chunk_at, reading, sign
from imgpipe.errors import DeclarationError, FilterError, ImgpipeError
from imgpipe.formats.base import Facts
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.machine import private_memory
from imgpipe.records import dataclass
from imgpipe.tracebacks import (
    in_worker,
    of_changing_the_input,
    of_the_function,
    user_traceback,
)
from imgpipe.workspace import Workspace

__all__ = ["Encoded", "Receipt", "encoded", "run_task", "warm_up", "weigh", "worked"]


class Encoded(NamedTuple):
    """The result of one part of a task.

    Attributes
    ----------
    units : tuple of (int, Facts)
        Length in bytes of each encoded unit, and the facts about it; none where pixels were placed.
    data : bytes
        The units themselves, where no memory is shared.
    """

    units: tuple[tuple[int, Facts], ...] = ()
    data: bytes = b""


@dataclass(frozen=True)
class Receipt:
    """The result of a task.

    Attributes
    ----------
    encoded : tuple of Encoded
        The bytes of each part of the task.
    measured : object
        The measurement of a task that measures.
    answers : tuple
        The answers of a call.
    seen : tuple of int
        Observations about each filter, for `chains.faintimages`.
    remarks : tuple of str
        Remarks about accelerators.
    worker, thread : int
        Ids of the process and of the thread.
    started, ended, cpu : float
        Start and end of the task, and the processor time of the process at its end.
    spans : tuple of (str, float)
        Seconds in each step.
    """

    encoded: tuple[Encoded, ...] = ()
    measured: Any = None
    answers: tuple[Any, ...] = ()
    seen: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    worker: int = field(default_factory=os.getpid)
    thread: int = field(default_factory=threading.get_ident)
    started: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0
    spans: tuple[tuple[str, float], ...] = ()


_space = Workspace()


Make = Callable[[Pixels | None], Pixels]
"""Makes the pixels of a chunk, in the given place if the filter can: see `TaskPixels.put`."""


@contextmanager
def _strip(box: Box, branch: Branch) -> Iterator[TaskPixels]:
    """Lend a strip in memory that this thread keeps from task to task."""
    room, dtype = branch.tiler.room, branch.after.dtype
    shape = TaskPixels.shape(box, room, branch.after.channels)
    with _space.lent("strip", np.uint8, math.prod(shape) * dtype.itemsize) as held:
        yield TaskPixels(box, room, held.view(dtype).reshape(shape))


def run_task(task: Task) -> Receipt:
    """Do `task`.

    Raises
    ------
    FilterError
        If the function of a filter fails; the message names filter, file and chunk.
    """
    watch = Stopwatch()
    let_go()
    sign(task.note)
    job, seen = job_of(task.job), tuple[int, ...]()
    # A fault shows in the result.
    with (
        np.errstate(all="ignore"),
        remarks() as remarked,
        using(NONE if isinstance(job, CallJob) else job.accelerator),
        watching() as sight,
    ):
        if isinstance(job, CallJob):
            result = _called(task, job, watch)
        else:
            result = _KINDS[task.kind](task, job, watch)
            seen = sight.of(stage.filter for stage in job.all_stages)
    return Receipt(
        **result,
        seen=seen,
        remarks=tuple(remarked),
        started=watch.started,
        ended=time.monotonic(),
        cpu=time.process_time(),
        spans=tuple(watch.spans.items()),
    )


def weigh(functions: bytes) -> tuple[int, int]:
    """Return the `machine.private_memory` of this process with `functions` loaded."""
    pickle.loads(functions)  # noqa: S301 - the parent of this very run wrote it
    return private_memory()


def warm_up(ref: JobRef) -> None:
    """Do a small task of no use: kernels are designed, libraries loaded, memory touched.

    A worker has nothing else to do until the first rows are read. Only imgpipe's own functions are
    called: others may have side effects.
    """
    job = job_of(ref)
    if isinstance(job, CallJob) or not all(
        stage.filter.definition.ours for stage in job.all_stages
    ):
        return
    get_ready(job.accelerator)
    for branch in job.branches:
        # Any error shows, and is reported, in a task.
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            _warm_up(branch)


def _warm_up(branch: Branch) -> None:
    tiler, after = branch.tiler, branch.after
    part = Box.of(min(after.height, 2), min(after.width, 2))
    blank = np.ones((1, 1, tiler.info.channels), tiler.info.dtype)  # of pixels not hidden
    compute(
        tiler.stages, part, lambda box: np.broadcast_to(blank, (*box.shape, tiler.info.channels))
    )
    rows, columns = tiler.task
    rows = rows + tiler.context_rows if tiler.stages and not branch.places_chunks else 1
    with _strip(Box.of(rows, columns), branch) as strip:
        strip.array[...] = 0
        if branch.encoder is not None:
            branch.encoder.encode(strip.pixels[:1, : branch.unit[1] or None], None)


def _make_chunks(task: Task, job: Job, watch: Stopwatch) -> dict[str, Any]:
    """Make the pixels of a task, then encode them or put them in their place."""
    return {"encoded": tuple(_made(task, part, job, watch) for part in task.parts)}


def _made(task: Task, part: Part, job: Job, watch: Stopwatch) -> Encoded:
    branch = job.branches[part.branch]
    if branch.places_chunks:
        assert branch.placer is not None
        for box, make in _chunks(task, part, job, watch):
            pixels = make(None)
            with watch.span("write"):
                branch.placer.place(box, pixels)
        return Encoded()
    held = branch.tiler.with_context(part.box)
    above = part.box.y0 - held.y0
    with contextlib.ExitStack() as lent:
        given = branch.placer.rows(held) if branch.placer is not None else None
        if given is None and not branch.tiler.stages:
            strip = _read(task, held, job, watch)  # nothing is computed, so no copy is needed
        else:
            if given is None:
                making = lent.enter_context(_strip(held, branch))
            else:
                # Memory of the output: nothing beside it is ours.
                making = TaskPixels(held, None, given)
            for box, make in _chunks(task, part, job, watch, apart=job.accelerator != NONE):
                making.put(box, make)
            strip = making.pixels
        if branch.placer is not None:
            with watch.span("write"):
                branch.placer.place(part.box, strip[above:])
            return Encoded()
        if branch.aside is not None:
            with watch.span("write"):
                branch.aside.place(part.box, strip[above:])
        with watch.span("encode"):
            return encoded(strip, above, branch, part.output)


def _read(task: Task, box: Box, job: Job, watch: Stopwatch) -> Pixels:
    assert task.image is not None
    with watch.span("read"), timeout(job.timeout), reading(task.note):
        pixels, held = task.image.hold(box)
        return pixels[box.within(held)]


def _measure(task: Task, job: Job, watch: Stopwatch) -> dict[str, Any]:
    """Measure the pixels of a task, chunk by chunk, folded in order."""
    stage, number = job.measured_stage, len(job.all_stages) - 1
    assert stage is not None
    found: list[Any] = []
    for box, make in _chunks(task, task.parts[0], job, watch):
        pixels = make(None)
        with watch.span("measure"), _watched(task, job, box) as entering:
            entering(number)
            one = measure(stage, pixels)
        with watch.span("merge"), at_chunk(task.note, box) as entering:
            entering(number + 1)
            found = [_folded(job, stage, (*found, one))]
    with _explained(
        _place(job, task.box), f"the measurement of {stage.filter!r} cannot be sent back"
    ):
        _must_be_sendable(stage, found[0])
    return {"measured": found[0]}


def _merge(task: Task, job: Job, watch: Stopwatch) -> dict[str, Any]:
    """Make one of several measurements."""
    stage = job.measured_stage
    assert stage is not None
    with watch.span("merge"):
        found = _folded(job, stage, task.values)
    with _explained(job.name, f"the merged measurement of {stage.filter!r} cannot be sent back"):
        _must_be_sendable(stage, found)
    return {"measured": found}


def _folded(job: Job, stage: Stage, values: tuple[Any, ...]) -> Any:
    """Return `values` merged in order."""
    found, *others = values
    for more in others:
        with timeout(job.timeout), _explained(
            job.name,
            f"the merge function of {stage.filter!r} failed; it must take any two results of "
            "measure, and of itself",
        ):  # fmt: skip
            found = merged(stage.filter, found, more)
    return found


def _must_be_sendable(stage: Stage, found: Any) -> None:
    if in_worker() and not stage.filter.definition.ours:
        pickle.dumps(found)


def _called(task: Task, job: CallJob, watch: Stopwatch) -> dict[str, Any]:
    """Call a function of imgpipe with the items of a task."""
    check = job.check or (lambda: None)
    call = CallContext(task.note, job.timeout, watch, job.stopped, check, job.accelerator)
    return {"answers": tuple(job.function(job.common, task.values, call))}


def worked(task: Task, job: Job) -> tuple[dict[str, Any], dict[str, float]]:
    """Do `task` within a call; return the fields of its receipt, and the seconds by step."""
    watch = Stopwatch()
    return _KINDS[task.kind](task, job, watch), watch.spans


def _seal(task: Task, job: Job, watch: Stopwatch) -> dict[str, Any]:
    """Finish the files whose boxes are all in place."""
    with watch.span("seal"):
        for branch in job.branches:
            if branch.placer is not None:
                branch.placer.seal()
    return {}


def _decode(task: Task, job: Job, watch: Stopwatch) -> dict[str, Any]:
    """Decode tiles into shared memory, for the tasks that need them."""
    assert task.decoding is not None
    source, tiles, ring = task.decoding
    with watch.span("read"):
        for (row, column), box in tiles:
            with timeout(job.timeout), reading(task.note):
                source.tile_into(row, column, ring.pixels(box))
    return {}


_KINDS: dict[str, Callable[[Task, Job, Stopwatch], dict[str, Any]]] = {
    "chunks": _make_chunks,
    "measure": _measure,
    "merge": _merge,
    "decode": _decode,
    "seal": _seal,
}


def _chunks(
    task: Task, part: Part, job: Job, watch: Stopwatch, *, apart: bool = False
) -> Iterator[tuple[Box, Make]]:
    """Yield the box of each chunk, and the function that makes its pixels."""
    tiler, first = job.branches[part.branch].tiler, job.first_stage(part.branch)
    assert task.image is not None
    with watch.span("read"), timeout(job.timeout), reading(task.note):
        asked = tiler.reads(part.box)
        read, *others = map(_reader, (task.image, *part.operands), asked)
    stages = with_operands(tiler.stages, others)
    for box in tiler.chunks(part.box, apart=apart):

        def make(into: Pixels | None, box: Box = box) -> Pixels:
            with watch.span("filter"), _watched(task, job, box) as entering:
                return compute(stages, box, read, lambda stage: entering(first + stage), into)

        yield box, make


def _reader(source: Input, asked: list[Box]) -> Read:
    """Return a reader that holds the largest box of a task, and fetches all other boxes."""
    pixels, held = source.hold(max(asked, key=lambda box: box.area))

    def read(box: Box) -> Pixels:
        return pixels[box.within(held)] if held.contains(box) else source.read(box)

    return read


def encoded(strip: Pixels, above: int, branch: Branch, output: Slot | None) -> Encoded:
    """Encode a strip unit by unit, into `output` where there is one."""
    encoder = branch.encoder
    assert encoder is not None
    target = output.bytes() if output is not None else None
    units, parts, used = [], [], 0
    rows, columns = branch.unit[0], branch.unit[1] or strip.shape[1]
    for y in range(above, len(strip), rows):
        context = strip[y - encoder.context_rows : y] if y >= encoder.context_rows > 0 else None
        for x in range(0, strip.shape[1], columns):
            unit = np.ascontiguousarray(strip[y : y + rows, x : x + columns])
            upper = None if context is None else context[:, x : x + columns]
            data, facts = encoder.encode(unit, upper)
            size = len(data)
            units.append((size, facts))
            if target is None:
                parts.append(bytes(data))
            else:
                target[used : used + size] = data
                used += size
    return Encoded(tuple(units), b"".join(parts))


@contextmanager
def _watched(task: Task, job: Job, box: Box) -> Iterator[Entering]:
    """Report the failure of a chunk: an exception, a timeout, or the death of the worker."""
    with (
        timeout(job.timeout),
        naming(job.name),
        _explained(_place(job, box)),
        at_chunk(task.note, box) as entering,
    ):
        yield entering


def _place(job: Job, box: Box) -> str:
    return f"{job.name}: {chunk_at(box)}"


@contextmanager
def _explained(place: str, fault: str = "") -> Iterator[None]:
    """Add the place and the filter to the exceptions of a filter's function."""
    try:
        yield
    except (FilterError, DeclarationError) as error:
        raise type(error)(f"{place}: {error}") from None
    except ImgpipeError:
        raise
    except BaseException as error:
        if not of_the_function(error):
            raise
        fault = fault or f"the filter {filter_at_fault(error)} failed"
        raise FilterError(f"{place}: {fault}\n{user_traceback(error)}{_hint(error)}") from None


def _hint(error: BaseException) -> str:
    """Return advice on a common error."""
    if of_changing_the_input(error):
        return "\nThe input of a filter may not be changed; work on a copy: chunk = chunk.copy()"
    return ""
