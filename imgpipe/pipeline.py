"""Pipeline: one image through all stages. The only file that knows them all.

::

    Source ─▶ Reader ─▶ Tiler ─▶ TaskQueue ─▶ worker ─▶ Stitcher ─▶ Sink
"""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from imgpipe import worker
from imgpipe.buffers import Buffers, Slot
from imgpipe.errors import Cancelled, UsageError
from imgpipe.events import Event, Finished, Observer, Report, Started, TaskDone, WorkerLost, Written
from imgpipe.executors.base import Supervised, Traits, traits_of
from imgpipe.executors.serial import SerialExecutor
from imgpipe.filters.base import Chain
from imgpipe.filters.stages import Stage, resolve
from imgpipe.formats.base import OrderedSink, RandomSource, Sink, Source
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.scratch import Scratch
from imgpipe.geometry import Box
from imgpipe.machine import PeakMemory, usable_processors
from imgpipe.plan import Plan, make_plan
from imgpipe.reader import Reader, copied_to_scratch
from imgpipe.stitcher import Stitcher
from imgpipe.taskqueue import Done, Lost, Ready, Stop, TaskQueue
from imgpipe.tiler import JobRef, Task, Tiler
from imgpipe.worker import Job, Receipt

__all__ = ["ExecutorLike", "Options", "plan_run", "run", "run_between"]

ExecutorLike = Executor | Literal["serial", "threads", "processes"] | None

WORTH_A_POOL = 2_000_000  # pixels; fewer are done before the first worker is ready


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, for those who call `run_between`. The fields are the parameters of `run`."""

    workers: int | None = None
    max_memory: int | None = None
    executor: ExecutorLike = None
    on_event: Observer | None = None
    chunk: int | tuple[int, int] | None = None
    timeout: float | None = None


class Control:
    """How another thread follows a run and stops it."""

    def __init__(self) -> None:
        self.progress = 0.0
        self._stopped = threading.Event()
        self._wake: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Ask the run to end."""
        self._stopped.set()
        self._wake()

    def attach(self, wake: Callable[[], None]) -> None:
        """Tell how to wake the run up."""
        self._wake = wake
        if self._stopped.is_set():
            wake()


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
    **_ignored: Any,
) -> Plan:
    """Return what `run` would do with the same arguments; nothing is read or written."""
    options = Options(workers, max_memory, executor, None, chunk, None)
    with _opened(src, filter, dst, region, max_pixels, compression) as (source, stages, sink):
        count, choice, why = _choose_executor(options, stages, sink)
        return _plan(source, stages, sink, os.fspath(dst), options, count, choice, why)


def run_between(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None = None,
) -> Report:
    """Run `stages` from an open source to an open sink. What `run` does once both are open."""
    began = time.monotonic(), time.process_time()
    count, choice, why = _choose_executor(options, stages, sink)
    plan = _plan(source, stages, sink, destination, options, count, choice, why)
    with _made_executor(choice, plan.workers) as executor:
        run = _Run(plan, source, stages, sink, executor, options, control or Control())
        try:
            return run.go(*began)
        finally:
            run.close()


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
        sink.abort()  # does nothing after a commit


def _plan(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    workers: int,
    choice: Executor | str,
    why: str,
) -> Plan:
    chunk = (options.chunk, options.chunk) if isinstance(options.chunk, int) else options.chunk
    if chunk is not None and min(chunk) < 1:
        raise UsageError(f"chunk must be at least one pixel, not {options.chunk!r}")
    return make_plan(
        source,
        stages,
        sink,
        destination=destination,
        traits=_TRAITS[choice] if isinstance(choice, str) else traits_of(choice),
        workers=workers,
        executor=why,
        max_memory=options.max_memory,
        chunk=chunk,
    )


_TRAITS = {
    "serial": Traits(shares_memory=True, shares_files=True, isolates=False),
    "threads": Traits(shares_memory=True, shares_files=True, isolates=False),
    "processes": Traits(shares_memory=True, shares_files=True, isolates=True),
}


def _choose_executor(
    options: Options, stages: tuple[Stage, ...], sink: Sink
) -> tuple[int, Executor | str, str]:
    """Return the number of workers, the executor or its name, and the reason."""
    if options.workers is not None and options.workers < 1:
        raise UsageError(f"workers must be at least 1, not {options.workers}")
    workers = options.workers or usable_processors()
    if isinstance(options.executor, str):
        if options.executor not in _TRAITS:
            raise UsageError(f"executor must be one of {', '.join(_TRAITS)}, or an Executor")
        workers = 1 if options.executor == "serial" else workers
        return workers, options.executor, f"{options.executor}, as asked"
    if options.executor is not None:
        known = getattr(options.executor, "_max_workers", workers)
        name = type(options.executor).__name__
        return options.workers or int(known), options.executor, f"{name}, as passed"
    if not all(stage.filter.definition.ours for stage in stages):
        return workers, "processes", "processes, to survive a filter that is not imgpipe's own"
    if workers == 1:
        return 1, "serial", "serial, for one worker"
    if sink.info.pixels < WORTH_A_POOL:
        return 1, "serial", "serial, for an image too small to share out"
    return workers, "processes", "processes"


@contextlib.contextmanager
def _made_executor(choice: Executor | str, workers: int) -> Iterator[Executor]:
    if isinstance(choice, Executor):
        yield choice
        return
    executor: Executor
    if choice == "serial":
        executor = SerialExecutor()
    elif choice == "threads":
        executor = ThreadPoolExecutor(workers, thread_name_prefix="imgpipe")
    else:
        from imgpipe.executors.processes import ProcessExecutor  # noqa: PLC0415 - slow

        executor = ProcessExecutor(workers)
    try:
        yield executor
    except BaseException:
        if isinstance(executor, Supervised):
            executor.kill()  # a worker may be in the middle of anything
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Run:
    """One run: what is open and must be let go of, and what has been counted."""

    def __init__(
        self,
        plan: Plan,
        source: Source,
        stages: tuple[Stage, ...],
        sink: Sink,
        executor: Executor,
        options: Options,
        control: Control,
    ) -> None:
        self._plan, self._source, self._stages, self._sink = plan, source, stages, sink
        self._executor, self._options, self._control = executor, options, control
        self._traits = traits_of(executor)
        self._open = contextlib.ExitStack()
        self._cpu: dict[int, tuple[float, float]] = {}
        self._done = self._lost = self._pixels = 0
        self._tasks = 0
        self._peak: PeakMemory | None = None

    def go(self, began: float, cpu_began: float) -> Report:
        """Do all passes, commit, and tell what it was like."""
        plan, sink = self._plan, self._sink
        self._peak = PeakMemory()
        self._open.callback(self._peak.stop)
        self._tasks = len(plan.tiler) * (1 + len(plan.measuring)) + (sink.kind == "placed")
        self._tell(
            Started(
                time.monotonic(),
                plan.source,
                plan.destination,
                plan.after.pixels,
                self._tasks,
                plan.passes,
                plan.workers,
            )
        )
        if plan.scratch_bytes:
            self._source = self._scratched(self._source)
        operands = self._operands()
        for turn, at in enumerate(plan.measuring):
            self._measure(turn, at, operands)
        self._make(len(plan.measuring), operands)
        size = sink.commit()
        report = self._report(size, began, cpu_began)
        self._tell(Finished(time.monotonic(), report))
        return report

    def close(self) -> None:
        """Let go of scratch files and memory."""
        self._open.close()

    def _scratched(self, source: Source) -> Source:
        scratch: Scratch = copied_to_scratch(source)
        self._open.callback(scratch.abort)
        return scratch.source

    def _operands(self) -> tuple[RandomSource, ...]:
        """Open the further images of the filters, as random sources."""
        found = []
        for stage in self._stages:
            keywords = stage.filter.keywords
            for name in stage.filter.definition.operands:
                source = _opened_operand(keywords[name], stage)
                if source.access != "random":
                    source = self._scratched(source)
                found.append(cast(RandomSource, source))
        return tuple(found)

    def _measure(self, turn: int, at: int, operands: tuple[RandomSource, ...]) -> None:
        """Take the measurement of stage `at` in a pass of its own."""
        stage = self._stages[at]
        before = stage.before
        tiler = replace(
            self._plan.tiler,
            stages=self._stages[:at],
            height=before.height,
            width=before.width,
            context_rows=0,
        )
        merge = cast(Callable[[Any, Any], Any], stage.filter.definition.merge)
        job = Job(self._plan.source, tiler, measured_stage=stage, timeout=self._timeout)
        found: list[Any] = []

        def fold(task: Task, receipt: Receipt) -> None:
            value = receipt.measured
            found[:] = [merge(found[0], value) if found else value]

        self._pass(turn, "measure", job, operands, fold, payload_bytes=0)
        measured = replace(stage, measured=found[0])
        self._stages = (*self._stages[:at], measured, *self._stages[at + 1 :])

    def _make(self, turn: int, operands: tuple[RandomSource, ...]) -> None:
        """Make the output in the last pass."""
        sink, plan = self._sink, self._plan
        tiler = replace(plan.tiler, stages=self._stages)
        job = Job(plan.source, tiler, sink.unit_rows, timeout=self._timeout)
        if sink.kind == "ordered":
            ordered: OrderedSink = sink
            job = replace(job, encoder=sink.encoder)

            def append(task: Task, receipt: Receipt) -> None:
                data = task.output.bytes() if task.output else memoryview(receipt.data)
                used = 0
                for size, facts in receipt.units:
                    ordered.append(data[used : used + size], facts)
                    used += size
                self._written(task, used)

            self._pass(turn, "chunks", job, operands, append, plan.payload_bytes)
            return
        job = replace(job, placer=sink.placer)

        def count(task: Task, receipt: Receipt) -> None:
            self._written(task, task.box.area * sink.info.row_bytes // sink.info.width)

        self._pass(turn, "chunks", job, operands, count, payload_bytes=0)
        self._seal(turn, job)

    def _pass(
        self,
        turn: int,
        kind: str,
        job: Job,
        operands: tuple[RandomSource, ...],
        deliver: Callable[[Task, Receipt], None],
        payload_bytes: int,
    ) -> None:
        """Have every task of a pass done; deliver the receipts in order."""
        plan, shared = self._plan, self._traits.isolates and self._traits.shares_memory
        with contextlib.ExitStack() as held:
            ref = self._job_ref(job, held)
            reader = Reader(self._source, operands, plan, job.tiler, kind, ref, shared)
            held.callback(reader.close)
            outputs: deque[Slot | None] = deque([None] * plan.window)
            if payload_bytes and shared:
                buffers = Buffers(plan.window, payload_bytes, shared=True)
                held.callback(buffers.close)
                outputs = deque(buffers.slots)
            queue = self._queue()
            threaded = reader.streams and not isinstance(self._executor, SerialExecutor)
            if threaded:
                held.enter_context(_reading(reader, queue))
            source = None if threaded else reader.tasks()
            self._flow(turn, queue, reader, source, outputs, len(job.tiler), deliver)

    def _flow(
        self,
        turn: int,
        queue: TaskQueue,
        reader: Reader,
        inline: Iterator[Task] | None,
        outputs: deque[Slot | None],
        total: int,
        deliver: Callable[[Task, Receipt], None],
    ) -> None:
        """Move tasks from the reader to the queue, and receipts from the queue to `deliver`."""
        stitcher: Stitcher[tuple[Task, Receipt]] = Stitcher(len(outputs))
        waiting: deque[Task] = deque()
        delivered = 0
        while delivered < total:
            while inline is not None and len(waiting) < len(outputs):
                task = next(inline, None)
                if task is None:
                    inline = None
                    break
                waiting.append(task)
            while waiting and outputs:
                queue.submit(replace(waiting.popleft(), output=outputs.popleft()))
            message = queue.next()
            if isinstance(message, Ready):
                if message.error is not None:
                    raise message.error
                if message.task is not None:
                    waiting.append(message.task)
            elif isinstance(message, Lost):
                self._lost += 1
                self._tell(WorkerLost(time.monotonic(), message.reason, message.tasks))
            else:
                reader.release(message.task)
                self._count(turn, message)
                stitcher.land(message.task.index, (message.task, message.receipt))
                for task, receipt in stitcher.pop():
                    deliver(task, receipt)
                    outputs.append(task.output)
                    delivered += 1
        if inline is not None:
            next(inline, None)  # lets the reader look at what follows the last row

    def _seal(self, turn: int, job: Job) -> None:
        with contextlib.ExitStack() as held:
            ref = self._job_ref(job, held)
            queue = self._queue()
            queue.submit(Task("seal", len(job.tiler), Box(0, 0, 0, 0), (), None, ref))
            while not isinstance(message := queue.next(), Done):
                pass
            self._count(turn, message)

    def _queue(self) -> TaskQueue:
        queue = TaskQueue(self._executor, self._plan.source, self._describe)
        self._control.attach(lambda: queue.inbox.put(Stop()))
        return queue

    def _job_ref(self, job: Job, held: contextlib.ExitStack) -> JobRef:
        """Return what tells workers of `job`: pickled once, or as it is inside this process."""
        if not self._traits.isolates:
            ref = worker.adopt(job)
            held.callback(worker.disown, ref)
            return ref
        data = _pickled(job)
        if not self._traits.shares_memory:
            return worker.carried(data)
        buffers = Buffers(1, len(data), shared=True)
        held.callback(buffers.close)
        buffers.slots[0].bytes()[: len(data)] = data
        return worker.stored(data, buffers.slots[0])

    @property
    def _timeout(self) -> float | None:
        return self._options.timeout if isinstance(self._executor, Supervised) else None

    def _describe(self, task: Task) -> str:
        box = task.box
        chain = " | ".join(repr(stage.filter) for stage in self._stages)
        return f"the chunks at rows {box.y0}-{box.y1} of {chain}"

    def _count(self, turn: int, message: Done) -> None:
        task, receipt = message.task, message.receipt
        self._done += 1
        self._control.progress = self._done / max(self._tasks, 1)
        first = self._cpu.setdefault(receipt.worker, (receipt.cpu, receipt.cpu))[0]
        self._cpu[receipt.worker] = first, receipt.cpu
        if self._peak is not None:
            self._peak.pids |= {receipt.worker, *getattr(self._executor, "pids", ())}
        self._tell(
            TaskDone(
                time.monotonic(),
                task.kind,
                turn,
                task.index,
                task.box,
                receipt.worker,
                receipt.started,
                receipt.ended,
                receipt.spans,
            )
        )

    def _written(self, task: Task, size: int) -> None:
        self._pixels += task.box.area
        self._tell(Written(time.monotonic(), self._pixels, size))

    def _tell(self, event: Event) -> None:
        if self._options.on_event is not None:
            self._options.on_event(event)

    def _report(self, size: int, began: float, cpu_began: float) -> Report:
        plan = self._plan
        here = os.getpid()
        theirs = sum(last for pid, (_, last) in self._cpu.items() if pid != here)
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
            peak_memory=self._peak.stop() if self._peak is not None else 0,
            planned_memory=plan.memory,
            passes=plan.passes,
            tasks=self._done,
            lost=self._lost,
        )


@contextlib.contextmanager
def _reading(reader: Reader, queue: TaskQueue) -> Iterator[None]:
    """Read in a thread of its own, which ends with this context."""

    def work() -> None:
        try:
            for task in reader.tasks():
                queue.inbox.put(Ready(task))
            queue.inbox.put(Ready(None))
        except Cancelled:
            pass
        except BaseException as error:  # raised again in the thread of the run
            queue.inbox.put(Ready(None, error))

    thread = threading.Thread(target=work, name="imgpipe-reader", daemon=True)
    thread.start()
    try:
        yield
    finally:
        reader.stop()
        thread.join()


def _pickled(job: Job) -> bytes:
    """Return `job` as bytes that a worker can load, whatever module its functions are from."""
    if all(stage.filter.definition.ours for stage in job.tiler.stages):
        return pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
    import cloudpickle  # noqa: PLC0415 - only functions that are not ours need it

    try:
        return cast(bytes, cloudpickle.dumps(job))
    except Exception as error:
        raise UsageError(
            f"a filter cannot be sent to the workers: {error}; make what it refers to at its "
            "first call, or pass it as a parameter"
        ) from error


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
