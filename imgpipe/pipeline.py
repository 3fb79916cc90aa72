"""Pipeline: one image through all stages. The only file that knows them all.

::

    Source ─▶ Reader ─▶ Tiler ─▶ TaskQueue ─▶ worker ─▶ Stitcher ─▶ Sink
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from imgpipe import arguments
from imgpipe.admission import Alpha, admitted
from imgpipe.chains.chain import Chain
from imgpipe.chains.definition import Works
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.chains.faint import told
from imgpipe.chains.stages import Stage, concern, must_match, resolve, without_arrays
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.passes import Control, Pass, Passes
from imgpipe.engine.plan import Plan
from imgpipe.engine.planning import chosen, planned_run
from imgpipe.engine.reader import copied_to_scratch
from imgpipe.engine.tally import Delivery, Tally
from imgpipe.engine.worker import Job
from imgpipe.errors import UsageError
from imgpipe.events import Event, Finished, Observing, Report, Started, TaskDone
from imgpipe.executors.choice import ExecutorLike, started
from imgpipe.formats.arrays import Nowhere, RandomArray, SequentialArray
from imgpipe.formats.base import Check, RandomSource, Sink, Source
from imgpipe.formats.opening import (
    SourceLike,
    TargetLike,
    must_take,
    name_of,
    open_sink,
    open_source,
    saved,
)
from imgpipe.geometry import Box, Halo
from imgpipe.observers import observed
from imgpipe.options import Options

__all__ = ["Options", "chosen", "measure_between", "plan_run", "run", "run_between"]

Region = Box | tuple[int, int, int, int]

_log = logging.getLogger("imgpipe")
_ALPHA_UNSAID = (
    "%s: alpha is not declared, so filters change all %d channels like colours, but the output "
    'stores channel %d as alpha; give --alpha last (alpha="last" in Python) if it is alpha, or '
    "--alpha none if it is not"
)


def run(
    src: SourceLike,
    filter: FilterLike,
    dst: TargetLike,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    alpha: Alpha = None,
    workers: int | None = None,
    max_memory: int | str | None = None,
    executor: ExecutorLike = None,
    region: Region | None = None,
    on_event: Observing | None = None,
    max_pixels: int | str | None = None,
    compression: int | None = None,
    save: Mapping[str, Any] | None = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
    progress: bool = False,
    control: Control | None = None,
) -> Report:
    """Run a filter or a chain over an image file, in one pass.

    The output has the same bytes for any number of workers, any executor, any chunk size and any
    memory limit. The file `dst` is written only when the output is complete.

    Parameters
    ----------
    src : path or io.BytesIO
        The input: the path of a file, or its bytes in memory. ``imgpipe formats`` lists the
        formats.
    filter : Filter, Chain, str or callable
        A filter or a chain: ``blur(2) | grayscale()``, the same as text,
        ``"blur:2 | grayscale"``, or a function of an array together with its `halo`.
    dst : path or io.BytesIO
        The output; its suffix selects the format. An existing file is replaced. It may be `src`.
        Memory gets the bytes of a PNG.
    halo : int or (int, int), optional
        For bare functions (without `imgpipe.filter`): the pixels that the function needs on each
        side of a pixel, 0 for none.
    dtype : {"keep", "float32"}, optional
        For bare functions: the type that the function gets. ``keep`` is the type of the image;
        ``float32`` is values from 0 to 1, whatever the type of the image.
    alpha : int, "last" or "none", optional
        The alpha channel, the last one or none, of a file that does not declare alpha itself, such
        as ``.npy``. By default such a file has no alpha.
    workers : int, optional
        Worker processes; by default one for each usable processor. With 1, imgpipe's own filters
        run in this process; your own functions still run in a worker process, so that a crash
        does no harm.
    max_memory : int or str, optional
        Limit on the memory of all processes together, without what this process holds already,
        in bytes or as text such as ``"512M"``. By default half of the available memory, at most
        2 GB. It includes the libraries of your functions, as measured in a worker.
    executor : Executor or {"serial", "threads", "processes"}, optional
        Runs the tasks: an executor, or the name of one, of imgpipe or of a package that adds one.
        imgpipe chooses one by default. An executor that you pass is not shut down.
    region : Box or (y0, x0, y1, x1), optional
        Make only this part of the output.
    on_event : callable or list of callables, optional
        Observers: functions that get every event of the run, in this thread (`imgpipe.events`).
        One that raises an exception is switched off, with a warning; one that raises
        `imgpipe.errors.Cancelled` ends the run.
    max_pixels : int or str, optional
        Larger images are errors; 4 gigapixels by default.
    compression : int, optional
        0 to 9, for formats that compress; the same as ``save={"compression": ...}``.
    save : dict, optional
        Options of the output format by name, such as ``{"compression": 3}``; ``imgpipe formats``
        lists them.
    chunk : int or (int, int), optional
        Rows and columns of a chunk; by default the plan chooses them.
    timeout : float, optional
        The run fails if a chunk takes longer in a worker process, in seconds.
    progress : bool, default False
        Show a progress bar, also in a notebook.
    control : Control, optional
        Follows the run and stops it from another thread; see `imgpipe.submit`.

    Returns
    -------
    Report
        Sizes, time, speed, workers and memory of the run.

    Raises
    ------
    InputError, OutputError, FilterError, UsageError
        See `imgpipe.errors` for the whole tree.
    """
    options = Options(workers, max_memory, executor, on_event, chunk, timeout, progress)
    chain = chain_from(filter, halo, dtype)
    ends = _opened(src, chain, dst, region, max_pixels, saved(save, compression), alpha)
    with ends as (source, stages, sink):
        return run_between(source, stages, sink, name_of(dst), options, control)


def plan_run(
    src: SourceLike,
    filter: FilterLike,
    dst: TargetLike,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    alpha: Alpha = None,
    workers: int | None = None,
    max_memory: int | str | None = None,
    executor: ExecutorLike = None,
    region: Region | None = None,
    max_pixels: int | str | None = None,
    compression: int | None = None,
    save: Mapping[str, Any] | None = None,
    chunk: int | tuple[int, int] | None = None,
    timeout: float | None = None,
) -> Plan:
    """Return what `run` would do with the same arguments; nothing is read or written.

    A worker is started to measure what it takes with functions that are not imgpipe's own.
    """
    options = Options(workers, max_memory, executor, None, chunk, timeout)
    chain = chain_from(filter, halo, dtype)
    ends = _opened(src, chain, dst, region, max_pixels, saved(save, compression), alpha)
    with ends as (source, stages, sink):
        planned = planned_run(source, stages, sink, name_of(dst), options, Control())
        with planned as (plan, *_):
            return plan


def run_between(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None = None,
) -> Report:
    """Run `stages` from an open source to an open sink. What `run` does once both are open."""
    with _begun(source, stages, sink, destination, options, control) as (run, tally):
        run.measure()
        report = tally.report(run.make(tally))
        tally(Finished(time=time.monotonic(), report=report))
    return report


def measure_between(source: Source, stages: tuple[Stage, ...], options: Options) -> Any:
    """Return what the last of `stages` measures; no image is made."""
    sink = Nowhere(stages[-1].after)
    with _begun(source, stages, sink, "nowhere", options) as (run, tally):
        found = run.measure()
        tally(Finished(time=time.monotonic(), report=tally.report(0)))
    return found


@contextlib.contextmanager
def _begun(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None = None,
) -> Iterator[tuple[_Run, Tally]]:
    """Plan a run, start what carries it, and open its inputs; end all that in the end."""
    control = Control() if control is None else control
    if not isinstance(control, Control):
        raise UsageError(f"control must be a Control, not {arguments.shown(control)}")
    with CleanupStack() as held:
        planned = planned_run(source, stages, sink, destination, options, control)
        plan, sink, choice, executor = held.enter_context(planned)
        _log.info("plan\n%s", plan)
        executor = executor or held.enter_context(started(choice, plan.workers))
        observer = held.enter_context(observed(options.on_event, progress=options.progress))
        tally = held.enter_context(Tally(plan, executor, control, observer))
        lasting = executor is choice.executor
        passes = Passes(plan, executor, control, tally, lasting=lasting)
        run = _Run(plan, source, stages, sink, passes, options, held)
        tally(run.started())
        run.open(control, tally)
        yield run, tally
        for warning in told((stage.filter for stage in stages), passes.seen):
            _log.warning("%s: %s", plan.source, warning)


@contextlib.contextmanager
def _opened(
    src: SourceLike,
    chain: Chain,
    dst: TargetLike,
    region: Region | None,
    max_pixels: int | str | None,
    save: Mapping[str, Any],
    alpha: Alpha,
) -> Iterator[tuple[Source, tuple[Stage, ...], Sink]]:
    """Open both ends; leave nothing of the output unless it was committed."""
    must_take(dst, save)
    source = open_source(src, max_pixels, alpha)
    if region is not None:
        from imgpipe.filters.shape import crop  # noqa: PLC0415 - rarely needed

        part = arguments.box(region, "region")
        chain = chain | crop(x=part.x0, y=part.y0, width=part.width, height=part.height)
    stages = resolve(chain, source.info)
    after = stages[-1].after if stages else source.info
    sink = open_sink(dst, after, save)
    if alpha is None and sink.info.alpha != after.alpha and _change_alpha(stages):
        _log.warning(_ALPHA_UNSAID, source.name, source.info.channels, sink.info.alpha)
    try:
        yield source, stages, sink
    finally:
        with uninterrupted():
            sink.abort()  # does nothing after a commit


def _change_alpha(stages: tuple[Stage, ...]) -> bool:
    """Whether a filter would have left alone, or weighted with, a channel that was alpha."""
    return any(stage.filter.definition.alpha != "filter" for stage in stages)


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
        self._plan, self._sink, self._passes, self._held = plan, sink, passes, held
        self._given, self._stages = stages, tuple(map(without_arrays, stages))
        self._timeout = options.timeout if passes.supervised else None
        self._source = source
        self._operands: tuple[RandomSource, ...] = ()

    def started(self) -> Started:
        """Return the event that tells of the start."""
        plan, sink = self._plan, self._sink
        making = not isinstance(sink, Nowhere)
        tasks = making * (len(plan.tiler) + (sink.kind == "placed"))
        tasks += sum(map(len, plan.measuring.values()))
        return Started(
            time=time.monotonic(),
            source=plan.source,
            destination=plan.destination,
            pixels=plan.after.pixels,
            tasks=tasks,
            passes=plan.passes,
            workers=plan.workers,
        )

    def open(self, control: Control, tell: Callable[[Event], None]) -> None:
        """Copy to scratch files what cannot be read as it is."""
        since = time.monotonic()

        def copied(box: Box) -> None:
            nonlocal since
            control.check()
            began, since = since, time.monotonic()
            tell(
                TaskDone(
                    time=since, kind="copy", pass_index=0, index=0, box=box,
                    worker="reader", pid=os.getpid(), made=began, started=began, ended=since,
                )
            )  # fmt: skip

        if self._plan.scratch_bytes:
            self._source = self._scratched(self._source, copied, control.check)
        self._operands = tuple(self._opened_operands(copied, control.check))

    def measure(self) -> Any:
        """Take every measurement, each in a pass of its own; return the last one."""
        for turn, (at, cut) in enumerate(self._plan.measuring.items()):
            stage = self._stages[at]
            tiler = replace(cut, stages=self._stages[:at])
            job = Job(self._plan.source, tiler, measured_stage=stage, timeout=self._timeout)
            this = Pass(turn, "measure", job)
            found = self._passes.measure(this, self._source, self._operands)
            if warning := concern(stage.filter, found):
                _log.warning("%s: %s", self._plan.source, warning)
            measured = replace(stage, measured=found)
            self._stages = (*self._stages[:at], measured, *self._stages[at + 1 :])
        return self._stages[-1].measured if self._stages else None

    def make(self, tell: Callable[[Event], None]) -> int:
        """Make the output, in the last pass; publish it and return its size in bytes."""
        sink, plan = self._sink, self._plan
        tiler = replace(plan.tiler, stages=self._stages)
        job = Job(plan.source, tiler, plan.unit[0], timeout=self._timeout)
        deliver = Delivery(sink, tell)
        if sink.kind == "ordered":
            job = replace(job, encoder=sink.encoder)
            this = Pass(len(plan.measuring), "chunks", job, plan.payload_bytes)
            self._passes.run(this, self._source, self._operands, deliver.encoded)
        else:
            this = Pass(len(plan.measuring), "chunks", replace(job, placer=sink.placer))
            self._passes.run(this, self._source, self._operands, deliver.placed)
            self._passes.seal(this)
        return sink.commit()

    def _scratched(self, source: Source, tell: Callable[[Box], None], check: Check) -> Source:
        scratch = copied_to_scratch(source, tell, check)
        self._held.callback(scratch.abort)
        return scratch.source

    def _opened_operands(self, tell: Callable[[Box], None], check: Check) -> Iterator[RandomSource]:
        """Open the further images of the filters, as random sources."""
        for stage in self._given:
            keywords = stage.filter.keywords
            for name in stage.filter.operands:
                source = _opened_operand(keywords[name], stage, isolated=self._passes.isolated)
                if source.access != "random":
                    source = self._scratched(source, tell, check)
                yield cast(RandomSource, source)


def _opened_operand(given: Any, stage: Stage, *, isolated: bool) -> Source:
    source: Source
    if isinstance(given, np.ndarray):
        image = admitted(given)
        source = (SequentialArray if isolated else RandomArray)(image.info, image.pixels)
    elif isinstance(given, (str, os.PathLike)):
        source = open_source(given)
    else:
        name = stage.filter.name
        raise UsageError(f"{name}: give the second image as the path of a file, or as an array")
    must_match(stage, source.info, source.name)
    return source
