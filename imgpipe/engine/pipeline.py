"""Pipeline: one image from an open source to an open sink.

::

    Source ─▶ Feed ─▶ Flow ─▶ TaskQueue ─▶ worker ─▶ Stitcher ─▶ Sink
"""

from __future__ import annotations

import logging
import time
from typing import Any

from imgpipe import arguments
from imgpipe.chains.faint import told
from imgpipe.chains.stages import Stage
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.control import Control
from imgpipe.engine.crew import Crew
from imgpipe.engine.goals import Goal
from imgpipe.engine.plan import Plan
from imgpipe.engine.planning import planned_run
from imgpipe.engine.run import Run, outputs_of
from imgpipe.engine.tally import Tally
from imgpipe.errors import UsageError
from imgpipe.events import Finished, Report
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.choice import started
from imgpipe.formats.arrays import Nowhere
from imgpipe.formats.base import Sink, Source
from imgpipe.options import Options

__all__ = ["measure_between", "plan_between", "run_between", "run_to_all"]

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

    Unless it is `watched`, nobody wants to know the memory that it takes, and the report says 0.
    """
    goals = (Goal(stages, sink, destination),)
    _, (report,) = _made(source, goals, options, control, watched=watched)
    return report


def run_to_all(
    source: Source, goals: tuple[Goal, ...], options: Options, control: Control | None = None
) -> list[Report]:
    """Make several outputs of an image, which is read once for all of them."""
    _, reports = _made(source, goals, options, control)
    return reports


def measure_between(source: Source, stages: tuple[Stage, ...], options: Options) -> Any:
    """Return the measurement of the last of `stages`; no image is made."""
    goals = (Goal(stages, Nowhere(stages[-1].after), "nowhere"),)
    found, _ = _made(source, goals, options, None, watched=False)
    return found


def plan_between(
    source: Source, stages: tuple[Stage, ...], sink: Sink, destination: str, options: Options
) -> Plan:
    """Return the plan of `run_between` with the same arguments."""
    goals = (Goal(stages, sink, destination),)
    with planned_run(source, goals, options, Control()) as (plans, *_):
        return plans[0]


def _made(
    source: Source,
    goals: tuple[Goal, ...],
    options: Options,
    control: Control | None,
    *,
    watched: bool = True,
) -> tuple[Any, list[Report]]:
    """Return the result of the flows of an image, and the report of each output."""
    control = Control() if control is None else control
    if not isinstance(control, Control):
        raise UsageError(f"control must be a Control, not {arguments.shown(control)}")
    with CleanupStack() as held:
        planned = planned_run(source, goals, options, control)
        plans, source, goals, choice, executor = held.enter_context(planned)
        for plan in plans:
            _log.info("plan\n%s", plan)
        with uninterrupted():  # whatever has been started is held
            executor = executor or held.enter_context(started(choice, plans[0].workers))
            observer = held.enter_context(options.observed())
            watched = watched or bool(options.on_event) or options.progress
            tally = held.enter_context(Tally(executor, control, observer, watched=watched))
        run = Run(
            source,
            outputs_of(plans, goals),
            traits=traits_of(executor),
            supervised=isinstance(executor, Supervised),
            timeout=options.timeout,
            control=control,
            tell=tally,
        )
        crew = Crew(executor, plans[0].workers, lasting=executor is choice.executor)
        found = _only(crew, run)
        sizes = found if all(output.makes for output in run.outputs) else [0]
        reports = [tally.report(plan, size) for plan, size in zip(plans, sizes, strict=True)]
        tally(Finished(time=time.monotonic(), run=run.number, report=reports[0]))
        for warning in told(run.filters, run.seen):
            _log.warning("%s: %s", source.name, warning)
    return found, reports


def _only(crew: Crew, run: Run) -> Any:
    """Return the result of the only image of a crew, or raise its failure."""
    (outcome,) = crew.make([lambda: run])
    try:
        if outcome.error is not None:
            raise outcome.error
        return outcome.result
    finally:
        del outcome  # or the error would keep itself, and the executor, in memory
