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
from imgpipe.cleanup import CleanupStack
from imgpipe.engine.control import Control
from imgpipe.engine.crew import Crew
from imgpipe.engine.plan import Plan
from imgpipe.engine.planning import planned_run
from imgpipe.engine.run import Run, Tail
from imgpipe.engine.tally import Tally
from imgpipe.errors import UsageError
from imgpipe.events import Finished, Report
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.choice import started
from imgpipe.formats.arrays import Nowhere
from imgpipe.formats.base import Sink, Source
from imgpipe.options import Options

__all__ = ["measure_between", "plan_between", "run_between"]

_log = logging.getLogger("imgpipe")


def run_between(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None = None,
) -> Report:
    """Make one image: a crew with a single one."""
    _, report = _made(source, stages, sink, destination, options, control)
    return report


def measure_between(source: Source, stages: tuple[Stage, ...], options: Options) -> Any:
    """Return what the last of `stages` measures; no image is made."""
    found, _ = _made(source, stages, Nowhere(stages[-1].after), "nowhere", options, None)
    return found


def plan_between(
    source: Source, stages: tuple[Stage, ...], sink: Sink, destination: str, options: Options
) -> Plan:
    """Return the plan of `run_between` with the same arguments."""
    with planned_run(source, stages, sink, destination, options, Control()) as (plan, *_):
        return plan


def _made(
    source: Source,
    stages: tuple[Stage, ...],
    sink: Sink,
    destination: str,
    options: Options,
    control: Control | None,
) -> tuple[Any, Report]:
    """Return what the flows of an image result in, and the report."""
    control = Control() if control is None else control
    if not isinstance(control, Control):
        raise UsageError(f"control must be a Control, not {arguments.shown(control)}")
    with CleanupStack() as held:
        planned = planned_run(source, stages, sink, destination, options, control)
        plan, sink, choice, executor = held.enter_context(planned)
        _log.info("plan\n%s", plan)
        executor = executor or held.enter_context(started(choice, plan.workers))
        observer = held.enter_context(options.observed())
        tally = held.enter_context(Tally(plan, executor, control, observer))
        run = Run(
            source,
            (Tail(plan, stages, sink),),
            traits=traits_of(executor),
            supervised=isinstance(executor, Supervised),
            timeout=options.timeout,
            control=control,
            tell=tally,
        )
        crew = Crew(executor, plan.workers, lasting=executor is choice.executor)
        (outcome,) = crew.make([lambda: run])
        try:
            if outcome.error is not None:
                raise outcome.error
            found = outcome.result
        finally:
            del outcome  # or the error would keep itself, and the executor, in memory
        size = 0 if isinstance(sink, Nowhere) else found[0]
        report = tally.report(size)
        tally(Finished(time=time.monotonic(), report=report))
        for warning in told((stage.filter for stage in stages), run.seen):
            _log.warning("%s: %s", plan.source, warning)
    return found, report
