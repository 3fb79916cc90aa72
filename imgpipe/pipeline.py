"""Pipeline: one image through all stages. The only file that knows them all.

::

    Source ─▶ Reader ─▶ Tiler ─▶ TaskQueue ─▶ worker ─▶ Stitcher ─▶ Sink
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Self, cast

from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.errors import UsageError
from imgpipe.events import Event, Finished, Observer, Report, Started, TaskDone, WorkerLost, Written
from imgpipe.executors.choice import Choice, ExecutorLike, choose, started
from imgpipe.filters.base import Chain
from imgpipe.filters.stages import Stage, resolve
from imgpipe.formats.base import OrderedSink, RandomSource, Sink, Source
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.geometry import Box
from imgpipe.machine import PeakMemory
from imgpipe.passes import Control, Pass, Passes
from imgpipe.plan import Plan, make_plan
from imgpipe.reader import copied_to_scratch
from imgpipe.tiler import Task
from imgpipe.worker import Job, Receipt

__all__ = ["Options", "plan_run", "run", "run_between"]


_log = logging.getLogger("imgpipe")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, for those who call `run_between`. The fields are the parameters of `run`."""

    workers: int | None = None
    max_memory: int | None = None
    executor: ExecutorLike = None
    on_event: Observer | None = None
    chunk: int | tuple[int, int] | None = None
    timeout: float | None = None


def run(
    src: str | os.PathLike[str],
    filter: Chain,
    dst: str | os.PathLike[str],
    *,
    workers: int | None = None,
    max_memory: int | None = None,
    executor: ExecutorLike = None,
    region: Box | None = None,
    on_event: Observer | None = None,
    max_pixels: int | None = None,
    compression: int | None = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    control: Control | None = None,
) -> Report:
    """Run a filter or a chain over an image file, in one pass.

    The output is the same to the byte for any number of workers, any executor, any chunk size and
    any memory. It appears at `dst` when it is complete, and not before.

    Parameters
    ----------
    src : path
        The input: PNG or ``.npy``.
    filter : Filter or Chain
        What to do.
    dst : path
        The output; its suffix names the format. A file that is there is replaced, and it may be
        `src`.
    workers : int, optional
        Worker processes; by default as many as this process may use processors. 1 runs in this
        process, unless a filter is not imgpipe's own: that runs in a process that may die.
    max_memory : int, optional
        Bound on the memory of all processes together, in bytes. By default half of what is
        available, at most 2 GB.
    executor : Executor or {"serial", "threads", "processes"}, optional
        What carries the work, chosen by imgpipe if not given. One that is passed is not shut down.
    region : Box, optional
        Make only this part of the output.
    on_event : callable, optional
        Called with every event of the run, in this thread.
    max_pixels : int, optional
        Refuse larger images; 4 gigapixels by default.
    compression : int, optional
        0 to 9, for formats that compress.
    chunk : int or (int, int), optional
        Rows and columns of a chunk, instead of what the plan finds best.
    timeout : float, optional
        Seconds that a chunk may take in a worker process before it is given up.
    control : Control, optional
        Follows the run and stops it from another thread; see `imgpipe.submit`.

    Returns
    -------
    Report
        What the run was like.

    Raises
    ------
    InputError, OutputError, FilterError, UsageError
        See `imgpipe.errors` for the whole tree.
    """
    options = Options(workers, max_memory, executor, on_event, chunk, timeout)
    with _opened(src, filter, dst, region, max_pixels, compression) as (source, stages, sink):
        return run_between(source, stages, sink, os.fspath(dst), options, control)


def plan_run(
    src: str | os.PathLike[str],
    filter: Chain,
    dst: str | os.PathLike[str],
    *,
    workers: int | None = None,
    max_memory: int | None = None,
    executor: ExecutorLike = None,
    region: Box | None = None,
    max_pixels: int | None = None,
    compression: int | None = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
) -> Plan:
    """Return what `run` would do with the same arguments; nothing is read or written."""
    options = Options(workers, max_memory, executor, None, chunk, timeout)
    with _opened(src, filter, dst, region, max_pixels, compression) as (source, stages, sink):
        choice = _choice(options, stages, sink)
        return _plan(source, stages, sink, os.fspath(dst), options, choice)


def run_between(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None = None,
) -> Report:
    """Run `stages` from an open source to an open sink. What `run` does once both are open."""
    choice = _choice(options, stages, sink)
    plan = _plan(source, stages, sink, destination, options, choice)
    control = control or Control()
    _log.info("plan\n%s", plan)
    with CleanupStack() as held:
        executor = held.enter_context(started(choice, plan.workers))
        tally = held.enter_context(_Tally(plan, executor, control, options.on_event))
        passes = Passes(plan, executor, control, tally)
        run = _Run(plan, source, stages, sink, passes, options, held)
        tally(run.started())
        run.open(control, tally)
        run.measure()
        run.make(tally)
        report = tally.report(sink.commit())
        tally(Finished(time.monotonic(), report))
    return report


@contextlib.contextmanager
def _opened(
    src: str | os.PathLike[str],
    chain: Chain,
    dst: str | os.PathLike[str],
    region: Box | None,
    max_pixels: int | None,
    compression: int | None,
) -> Iterator[tuple[Source, tuple[Stage, ...], Sink]]:
    """Open both ends; leave nothing of the output unless it was committed."""
    source = open_source(src, max_pixels)
    if region is not None:
        from imgpipe.filters.shape import crop  # noqa: PLC0415 - rarely needed

        chain = chain | crop(x=region.x0, y=region.y0, width=region.width, height=region.height)
    stages = resolve(chain, source.info)
    sink = open_sink(dst, stages[-1].after if stages else source.info, compression=compression)
    try:
        yield source, stages, sink
    finally:
        with uninterrupted():
            sink.abort()  # does nothing after a commit


def _choice(options: Options, stages: tuple[Stage, ...], sink: Sink) -> Choice:
    return choose(
        options.executor,
        options.workers,
        trusted=options.timeout is None and all(stage.filter.definition.ours for stage in stages),
        pixels=sink.info.pixels,
    )


def _plan(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    choice: Choice,
) -> Plan:
    chunk = (options.chunk, options.chunk) if isinstance(options.chunk, int) else options.chunk
    if chunk is not None and min(chunk) < 1:
        raise UsageError(f"chunk must be at least one pixel, not {options.chunk!r}")
    return make_plan(
        source,
        stages,
        sink,
        destination=destination,
        traits=choice.traits,
        workers=choice.workers,
        executor=choice.reason,
        max_memory=options.max_memory,
        chunk=chunk,
    )


class _Run:
    """The passes of one run, one after the other."""

    def __init__(
        self,
        plan: Plan,
        source: Source,
        stages: tuple[Stage, ...],
        sink: Sink,
        passes: Passes,
        options: Options,
        held: CleanupStack,
    ) -> None:
        self._plan, self._stages, self._sink, self._passes = plan, stages, sink, passes
        self._held = held
        self._timeout = options.timeout if passes.supervised else None
        self._source = source
        self._operands: tuple[RandomSource, ...] = ()

    def started(self) -> Started:
        """Return the event that tells of the start."""
        plan, sink = self._plan, self._sink
        tasks = len(plan.tiler) + (sink.kind == "placed")
        tasks += sum(len(self._measuring_tiler(at)) for at in plan.measuring)
        return Started(
            time.monotonic(),
            plan.source,
            plan.destination,
            plan.after.pixels,
            tasks,
            plan.passes,
            plan.workers,
        )

    def open(self, control: Control, tell: Callable[[Event], None]) -> None:
        """Copy to scratch files what cannot be read as it is."""

        def copied(box: Box) -> None:
            control.check()
            now = time.monotonic()
            tell(TaskDone(now, "copy", 0, 0, box, os.getpid(), now, now))

        if self._plan.scratch_bytes:
            self._source = self._scratched(self._source, copied)
        self._operands = tuple(self._opened_operands(copied))

    def measure(self) -> None:
        """Take every measurement, each in a pass of its own."""
        for turn, at in enumerate(self._plan.measuring):
            stage = self._stages[at]
            merge = cast(Callable[[Any, Any], Any], stage.filter.definition.merge)
            tiler = self._measuring_tiler(at)
            job = Job(self._plan.source, tiler, measured_stage=stage, timeout=self._timeout)
            found: list[Any] = []

            def fold(
                _: Task, receipt: Receipt, found: list[Any] = found, merge: Any = merge
            ) -> None:
                value = receipt.measured
                found[:] = [merge(found[0], value) if found else value]

            self._passes.run(Pass(turn, "measure", job), self._source, self._operands, fold)
            measured = replace(stage, measured=found[0])
            self._stages = (*self._stages[:at], measured, *self._stages[at + 1 :])

    def make(self, tell: Callable[[Event], None]) -> None:
        """Make the output, in the last pass."""
        sink, plan = self._sink, self._plan
        tiler = replace(plan.tiler, stages=self._stages)
        job = Job(plan.source, tiler, sink.unit_rows, timeout=self._timeout)
        deliver = _Delivery(sink, tell)
        if sink.kind == "ordered":
            job = replace(job, encoder=sink.encoder)
            this = Pass(len(plan.measuring), "chunks", job, plan.payload_bytes)
            self._passes.run(this, self._source, self._operands, deliver.encoded)
        else:
            this = Pass(len(plan.measuring), "chunks", replace(job, placer=sink.placer))
            self._passes.run(this, self._source, self._operands, deliver.placed)
            self._passes.seal(this)

    def _measuring_tiler(self, at: int) -> Any:
        before = self._stages[at].before
        return replace(
            self._plan.tiler,
            stages=self._stages[:at],
            height=before.height,
            width=before.width,
            context_rows=0,
        )

    def _scratched(self, source: Source, tell: Callable[[Box], None]) -> Source:
        scratch = copied_to_scratch(source, tell)
        self._held.callback(scratch.abort)
        return scratch.source

    def _opened_operands(self, tell: Callable[[Box], None]) -> Iterator[RandomSource]:
        """Open the further images of the filters, as random sources."""
        for stage in self._stages:
            keywords = stage.filter.keywords
            for name in stage.filter.definition.operands:
                source = _opened_operand(keywords[name], stage)
                if source.access != "random":
                    source = self._scratched(source, tell)
                yield cast(RandomSource, source)


class _Delivery:
    """What becomes of the receipts of the last pass."""

    def __init__(self, sink: Sink, tell: Callable[[Event], None]) -> None:
        self._sink, self._tell = sink, tell
        self._pixels = self._size = 0

    def encoded(self, task: Task, receipt: Receipt) -> None:
        """Append what was encoded."""
        sink = cast(OrderedSink, self._sink)
        data = task.output.bytes() if task.output else memoryview(receipt.data)
        used = 0
        for size, facts in receipt.units:
            sink.append(data[used : used + size], facts)
            used += size
        self._written(task, used)

    def placed(self, task: Task, _receipt: Receipt) -> None:
        """Count what is in its place already."""
        info = self._sink.info
        self._written(task, task.box.area * info.channels * info.dtype.itemsize)

    def _written(self, task: Task, size: int) -> None:
        self._pixels += task.box.area
        self._size += size
        self._tell(Written(time.monotonic(), self._pixels, self._size))


class _Tally:
    """Counts what happens, passes it on to the caller's observer, and reports at the end."""

    def __init__(
        self, plan: Plan, executor: Executor, control: Control, observer: Observer | None
    ) -> None:
        self._plan, self._executor, self._control = plan, executor, control
        self._observer = observer
        self._began = time.monotonic(), time.process_time()
        self._cpu: dict[int, float] = {}
        self._done = self._lost = self._tasks = 0

    def __enter__(self) -> Self:
        self._peak = PeakMemory()
        return self

    def __exit__(self, *_: object) -> None:
        self._peak.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._tasks = event.tasks
        elif isinstance(event, TaskDone) and event.kind != "copy":
            self._done += 1
            self._control.progress = self._done / self._tasks
            self._cpu[event.worker] = event.cpu
            self._peak.pids |= {event.worker, *getattr(self._executor, "pids", ())}
        elif isinstance(event, WorkerLost):
            self._lost += 1
        if self._observer is not None:
            self._observer(event)

    def report(self, size: int) -> Report:
        """Return what the run was like."""
        plan, (began, cpu_began) = self._plan, self._began
        theirs = sum(cpu for pid, cpu in self._cpu.items() if pid != os.getpid())
        return Report(
            source=plan.source,
            destination=plan.destination,
            height=plan.after.height,
            width=plan.after.width,
            channels=plan.after.channels,
            dtype=str(plan.after.dtype),
            size=size,
            seconds=time.monotonic() - began,
            cpu_seconds=time.process_time() - cpu_began + theirs,
            workers=plan.workers,
            executor=plan.executor,
            peak_memory=self._peak.stop(),
            planned_memory=plan.memory,
            passes=plan.passes,
            tasks=self._done,
            lost=self._lost,
        )


def _opened_operand(given: Any, stage: Stage) -> Source:
    name = stage.filter.name
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(f"{name}: give the second image as the path of a file")
    source = open_source(given)
    info, before = source.info, stage.before
    if (info.height, info.width) != (before.height, before.width):
        raise UsageError(
            f"{name}: {source.name} is {info.width} x {info.height}, the image at this point "
            f"{before.width} x {before.height}; they must be the same"
        )
    return source
