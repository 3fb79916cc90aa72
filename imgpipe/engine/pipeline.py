"""Pipeline: one image from an open source to an open sink.

::

    Source ─▶ Feed ─▶ Flow ─▶ TaskQueue ─▶ worker ─▶ Stitcher ─▶ Sink
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from imgpipe import arguments
from imgpipe.chains.faintimages import warnings_of
from imgpipe.chains.stages import Stage
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.budget import Budget
from imgpipe.engine.control import Control
from imgpipe.engine.crew import Crew
from imgpipe.engine.eventtally import Tally
from imgpipe.engine.frames import Frames, FramesRun, PlannedFrames, planned_frames
from imgpipe.engine.outputs import outputs_of
from imgpipe.engine.plan import Plan
from imgpipe.engine.planning import Planned, planned_run
from imgpipe.engine.run import Run
from imgpipe.engine.waitinglist import Image
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import UsageError
from imgpipe.events import Finished, Report
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.choice import started
from imgpipe.formats.arrays import Nowhere
from imgpipe.formats.base import Sink, Source
from imgpipe.machine import is_dedicated
from imgpipe.options import Options

__all__ = [
    "measure_between",
    "plan_between",
    "plan_frames",
    "plan_to_all",
    "run_between",
    "run_frames",
    "run_to_all",
]

_log = logging.getLogger("imgpipe")


def run_between(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None = None,
    *,
    watched: bool = True,
) -> Report:
    """Make one output of an image: a crew with a single image.

    Its memory is sampled only if it is `watched`; otherwise the report says 0.
    """
    goals = (WantedOutput(stages, sink, destination),)
    _, (report,) = _made(source, goals, options, control, watched=watched)
    return report


def run_to_all(
    source: Source,
    goals: tuple[WantedOutput, ...],
    options: Options,
    control: Control | None = None,
) -> list[Report]:
    """Make several outputs of an image, which is read once for all of them."""
    _, reports = _made(source, goals, options, control)
    return reports


def measure_between(source: Source, stages: tuple[Stage, ...], options: Options) -> Any:
    """Return the measurement of the last of `stages`; no image is made."""
    goals = (WantedOutput(stages, Nowhere(stages[-1].after), "nowhere"),)
    found, _ = _made(source, goals, options, None, watched=False)
    return found


def plan_between(
    source: Source, stages: tuple[Stage, ...], sink: Sink, destination: str, options: Options
) -> Plan:
    """Return the plan of `run_between` with the same arguments."""
    return plan_to_all(source, (WantedOutput(stages, sink, destination),), options)[0]


def plan_to_all(
    source: Source, goals: tuple[WantedOutput, ...], options: Options
) -> tuple[Plan, ...]:
    """Return the plans of `run_to_all`; the first has the memory of all of them."""
    with planned_run(source, goals, options, Control()) as planned:
        return planned.plans


def run_frames(frames: Frames, options: Options, control: Control | None = None) -> Report:
    """Make one output of all frames of a file, which are the images of one crew."""
    control = _checked(control)
    with CleanupStack() as held:
        planned, all_frames = held.enter_context(_planned_frames(frames, options, control))
        planned = planned._replace(plans=(all_frames.plan,))
        staff = held.enter_context(_staffed(planned, options, control, watched=True))
        run = FramesRun(frames, all_frames, staff.given, control, staff.tally)
        held.callback(run.close)
        _make_all(staff.crew_of(run.budget), run)
        largest = replace(all_frames.plan, after=planned.goals[0].sink.info)
        report = staff.tally.report(largest, run.commit())
        report = replace(
            report, frames=frames.count, pixels=frames.pixels, missing=run.missing / frames.count
        )
        staff.tally(Finished(time=time.monotonic(), run=run.number, report=report))
        for warning in run.warnings:
            _log.warning("%s: %s", planned.source.name, warning)
    return report


def plan_frames(frames: Frames, options: Options) -> Plan:
    """Return the plan of all frames: that of the kind which takes the most memory."""
    with _planned_frames(frames, options, Control()) as (_, all_frames):
        return all_frames.plan


@contextlib.contextmanager
def _planned_frames(
    frames: Frames, options: Options, control: Control
) -> Iterator[tuple[Planned, PlannedFrames]]:
    kinds = frames.kinds()
    source, goals = kinds[0].source, (kinds[0].goal,)
    with planned_run(source, goals, options, control, pixels=frames.pixels) as planned:
        found = planned_frames(frames, kinds, planned, options)
        frames.abort()  # of the outputs that were opened for the plans
        yield planned, found


def _make_all(crew: Crew, run: FramesRun) -> None:
    """Make all frames, or raise the first failure."""
    with contextlib.closing(crew.make(run.openings())) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                try:
                    raise outcome.error
                finally:
                    del outcome  # or the error would keep itself, and the executor, in memory


def _made(
    source: Source,
    goals: tuple[WantedOutput, ...],
    options: Options,
    control: Control | None,
    *,
    watched: bool = True,
) -> tuple[Any, list[Report]]:
    """Return the result of the flows of an image, and the report of each output."""
    control = _checked(control)
    with CleanupStack() as held:
        planned = held.enter_context(planned_run(source, goals, options, control))
        plans = planned.plans
        staff = held.enter_context(_staffed(planned, options, control, watched=watched))
        outputs = outputs_of(plans, planned.goals)
        run = Run(
            planned.source, outputs, on_event=staff.tally, dismiss=staff.dismiss, **staff.given
        )
        found = _only(staff.crew_of(), run)
        sizes = found if all(output.makes for output in run.outputs) else [0]
        reports = [
            replace(staff.tally.report(plan, size), missing=run.missing)
            for plan, size in zip(plans, sizes, strict=True)
        ]
        staff.tally(Finished(time=time.monotonic(), run=run.number, report=reports[0]))
        for warning in warnings_of(run.filters, run.seen):
            _log.warning("%s: %s", source.name, warning)
    return found, reports


def _checked(control: Control | None) -> Control:
    control = Control() if control is None else control
    if not isinstance(control, Control):
        raise UsageError(f"control must be a Control, not {arguments.shown(control)}")
    return control


class _Staff(NamedTuple):
    """Means of a planned run.

    Attributes
    ----------
    crew_of : callable
        Returns the crew that makes images, for some memory if that is limited.
    tally : Tally
        Takes the events.
    given : dict
        Executor, timeout and control of its images.
    dismiss : callable
        Lets the workers end, without waiting, if they are for this run alone.
    """

    crew_of: Callable[..., Crew]
    tally: Tally
    given: dict[str, Any]
    dismiss: Callable[[], None]


@contextlib.contextmanager
def _staffed(
    planned: Planned, options: Options, control: Control, *, watched: bool
) -> Iterator[_Staff]:
    """Lend the crew of a planned run."""
    choice, executor, workers = planned.choice, planned.executor, planned.plans[0].workers
    for plan in planned.plans:
        _log.info("plan\n%s", plan)
    with CleanupStack() as held:
        with uninterrupted():  # everything started is held
            executor = executor or held.enter_context(started(choice, workers))
            observer = held.enter_context(options.observed())
            watched = watched or bool(options.on_event) or options.progress
            watched = watched and control.samples_memory
            tally = held.enter_context(Tally(executor, control, observer, watched=watched))
        given = {
            "traits": traits_of(executor),
            "supervised": isinstance(executor, Supervised),
            "timeout": options.timeout,
            "accelerator": planned.accelerator.name,
            "control": control,
        }
        lasting = executor is choice.executor

        def crew_of(budget: Budget | None = None) -> Crew:
            return Crew(executor, workers, budget=budget, lasting=lasting)

        def dismiss() -> None:
            if is_dedicated() and not lasting and hasattr(executor, "dismiss"):
                tally.sample_last()  # while they hold memory
                executor.dismiss()

        yield _Staff(crew_of, tally, given, dismiss)


def _only(crew: Crew, run: Image) -> Any:
    """Return the result of the only image of a crew, or raise its failure."""
    (outcome,) = crew.make([lambda: run])
    try:
        if outcome.error is not None:
            raise outcome.error
        return outcome.result
    finally:
        del outcome  # or the error would keep itself, and the executor, in memory
