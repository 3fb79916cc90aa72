"""Planning: the executor of a run, and its plan.

The memory of imgpipe itself is known. The memory of the libraries of a user's functions is measured
in the first worker, after it has loaded them and before its first task.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import replace
from typing import NamedTuple, cast

from imgpipe.acceleration import NONE, expect, expected
from imgpipe.accelerators.choice import AUTO, Accelerating, is_loaded, threads_will_do
from imgpipe.chains.definition import digest_of
from imgpipe.chains.stages import Stage, input_box, without_arrays
from imgpipe.cleanup import CleanupStack
from imgpipe.engine import worker
from imgpipe.engine.batchsizing import accelerator_for
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Footing
from imgpipe.engine.cutting import context_of
from imgpipe.engine.jobs import must_travel
from imgpipe.engine.plan import Plan, make_plans
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import MemoryPlanError
from imgpipe.executors.base import Supervised, Traits, in_our_worker
from imgpipe.executors.choice import Choice, choose, is_kept, started
from imgpipe.formats.arrays import Nowhere
from imgpipe.formats.base import Divisible, Sink, Source, aside_of, outside_python
from imgpipe.machine import held_memory, is_dedicated, is_own_process
from imgpipe.options import Options

__all__ = ["Planned", "chosen", "planned_run", "weighed", "within_reach"]

_LOOK_SECONDS = 1.0
_MANY_WORKERS = 4  # one decoder keeps fewer workers busy
_FEW_ROWS = 16
_LIMITED = "; the memory limit allows no more"
_known: weakref.WeakKeyDictionary[Executor, set[str]] = weakref.WeakKeyDictionary()
"""Digests of the functions that the workers of an executor have loaded."""

Fitted = tuple[Choice, tuple[Plan, ...]]


class Planned(NamedTuple):
    """A planned run.

    Attributes
    ----------
    plans : tuple of Plan
        The plan of each output.
    source : Source
        The image.
    goals : tuple of WantedOutput
        The outputs.
    choice : Choice
        The choice of the executor.
    executor : Executor or None
        The executor, if it was needed for the planning.
    footing : Footing
        Memory of the processes before the first task.
    accelerator : Accelerating
        The choice of the accelerator.
    """

    plans: tuple[Plan, ...]
    source: Source
    goals: tuple[WantedOutput, ...]
    choice: Choice
    executor: Executor | None
    footing: Footing
    accelerator: Accelerating


def chosen(
    options: Options, stages: tuple[Stage, ...], pixels: int, *, outside_python: str = ""
) -> Choice:
    """Return the executor for these options and filters, and an output of `pixels` pixels."""
    definitions = [stage.filter.definition for stage in stages]
    timed = options.timeout is not None
    return choose(
        options.executor,
        options.workers,
        trusted=not timed and (in_our_worker() or all(one.ours for one in definitions)),
        pixels=pixels,
        threads=not timed and {one.executor for one in definitions} == {"threads"},
        outside_python=outside_python,
    )


@contextlib.contextmanager
def planned_run(
    source: Source,
    goals: tuple[WantedOutput, ...],
    options: Options,
    control: Control,
    *,
    pixels: int = 0,
) -> Iterator[Planned]:
    """Plan a run; `pixels` are those of all frames, where the image is one of several."""
    stages = sum((goal.stages for goal in goals), ())
    size = max(pixels, _pixels(source, goals))
    outside = _outside_python(source, goals, options)
    choice = chosen(options, stages, size, outside_python=outside)
    ready = choice.traits.isolates and bool(expected())  # new workers have it loaded
    sure = ready or (outside and choice.executor == "threads")
    accelerator = accelerator_for(options.accelerator, stages, math.inf if sure else size)
    accelerated = ready or (accelerator.name != NONE and not _is_held(accelerator, choice))
    expect(accelerator.name)
    source = _divided(source, stages, choice)
    goals = within_reach(goals, choice.traits)
    bare = tuple(map(without_arrays, stages))
    functions = must_travel(bare) if choice.traits.isolates else b""
    with CleanupStack() as held:
        executor: Executor | None = None
        if choice.traits.shares_memory and (functions or is_kept(choice)):
            executor = held.enter_context(started(choice, choice.workers))

        def fitted(weight: tuple[int, int]) -> Fitted:
            nonlocal accelerator, accelerated
            try:
                found, plans = _fitted(source, goals, options, choice, footing(weight))
            except MemoryPlanError:
                if ready or not accelerated or options.accelerator != AUTO:
                    raise
                accelerator, accelerated = Accelerating(), False  # NumPy needs less memory
                expect(NONE)
                found, plans = _fitted(source, goals, options, choice, footing(weight))
            return found, tuple(replace(plan, accelerator=str(accelerator)) for plan in plans)

        def footing(weight: tuple[int, int]) -> Footing:
            return Footing(held_memory(), is_dedicated(), *weight, accelerated)

        weight = weighed(functions, executor, control)
        if executor is not None and _is_too_heavy(executor, weight, fitted):
            cast(Supervised, executor).kill()  # new workers hold less, and more of them fit
            weight = weighed(functions, executor, control)
        choice, plans = fitted(weight)
        if executor not in (None, choice.executor) and isinstance(executor, Supervised):
            executor.limit(plans[0].workers)
        yield Planned(plans, source, goals, choice, executor, footing(weight), accelerator)


def _outside_python(source: Source, goals: tuple[WantedOutput, ...], options: Options) -> str:
    """Return the libraries that do all work outside Python, such as codecs; "" if none do."""
    read_here = source.access in ("sequential", "whole")  # by one thread
    if not (read_here or getattr(source, "outside_python", False)):
        return ""
    stages = sum((goal.stages for goal in goals), ())
    if not all(outside_python(goal.sink) for goal in goals):
        return ""
    if not stages:
        return "codecs" if read_here else ""
    names = {stage.filter.name for stage in stages}
    # In a program of the user, the library has threads of its own.
    if not is_own_process() or not threads_will_do(options.accelerator, names, options.workers):
        return ""
    found = accelerator_for(options.accelerator, stages)  # the types of the images count too
    return f"codecs and {found.name}" if names == {*found.filters} else ""


def _is_held(accelerator: Accelerating, choice: Choice) -> bool:
    """Return whether this process has loaded the library, and no other process needs it."""
    return not choice.traits.isolates and is_loaded(accelerator.name)


def _divided(source: Source, stages: tuple[Stage, ...], choice: Choice) -> Source:
    """Return an image in parts that the workers decode, if there are enough of them.

    Rows around a task are decoded for two tasks. The fewer the workers, the more that costs.
    """
    if not (isinstance(source, Divisible) and all(stage.in_order for stage in stages)):
        return source
    least = 2 if context_of(stages)[0] <= _FEW_ROWS else _MANY_WORKERS
    if choice.workers < least or not choice.traits.shares_files:
        return source
    return source.in_groups() or source


def _pixels(source: Source, goals: tuple[WantedOutput, ...]) -> int:
    """Return the pixels to be worked on: those of the larger end."""
    after = [goal.sink.info for goal in goals]
    read = (
        input_box(goal.stages, info.box, source.info).area
        for goal, info in zip(goals, after, strict=True)
    )
    return max(sum(info.pixels for info in after), *read)


def _fitted(
    source: Source,
    goals: tuple[WantedOutput, ...],
    options: Options,
    choice: Choice,
    footing: Footing,
) -> Fitted:
    """Return the executor and the plans. One worker may do without processes."""

    def plan_for(choice: Choice) -> tuple[Plan, ...]:
        return make_plans(
            source,
            goals,
            traits=choice.traits,
            workers=choice.workers,
            executor=choice.reason,
            max_memory=cast("int | None", options.max_memory),
            chunk=cast("tuple[int, int] | None", options.chunk),
            footing=footing,
        )

    def fewer(plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
        """Add that the limit is why there are fewer workers than could be, where it is."""
        if plans[0].workers == choice.workers:
            return plans
        return tuple(replace(plan, executor=f"{plan.executor}{_LIMITED}") for plan in plans)

    with contextlib.suppress(MemoryPlanError):
        plans = plan_for(choice)
        if plans[0].workers > 1 or choice.workers == 1:
            return choice, fewer(plans)
    stages = sum((goal.stages for goal in goals), ())
    alone = chosen(replace(options, workers=1), stages, _pixels(source, goals))
    return alone, fewer(plan_for(alone))


def weighed(functions: bytes, executor: Executor | None, control: Control) -> tuple[int, int]:
    """Return the memory of a worker, with its functions and all that is left of earlier runs."""
    if executor is None:
        return 0, 0
    held = getattr(executor, "held", (0, 0))
    if not functions:
        return held
    known, digest = _known.setdefault(executor, set()), digest_of(functions)
    if any(held) and digest in known:  # they are loaded
        return held
    known.add(digest)
    one, other = zip(held, _measured(functions, executor, control), strict=True)
    return max(one), max(other)


def _is_too_heavy(
    executor: Executor, weight: tuple[int, int], fitted: Callable[[tuple[int, int]], Fitted]
) -> bool:
    """Return whether more workers would fit if new ones replaced those of earlier runs."""
    if not any(getattr(executor, "held", (0, 0))):
        return False

    def workers(weight: tuple[int, int]) -> int:
        with contextlib.suppress(MemoryPlanError):
            return fitted(weight)[1][0].workers
        return 0

    return workers(weight) < workers((0, 0))


def _measured(functions: bytes, executor: Executor, control: Control) -> tuple[int, int]:
    """Return the memory of a worker with `functions` loaded, as `worker.weigh` measures it.

    Raises
    ------
    Cancelled
        If the run is to end.
    """
    arrived = threading.Event()
    control.attach(arrived.set)
    with contextlib.suppress(BrokenExecutor, RuntimeError):  # a task will meet it too, and tell
        future = executor.submit(worker.weigh, functions)
        future.add_done_callback(lambda _: arrived.set())
        while not arrived.wait(_LOOK_SECONDS):
            if isinstance(executor, Supervised):
                executor.look_after()
        control.check()
        with contextlib.suppress(Exception):
            return future.result()
    return 0, 0


def within_reach(goals: tuple[WantedOutput, ...], traits: Traits) -> tuple[WantedOutput, ...]:
    """Return the same outputs with sinks that all workers can serve."""
    return tuple(goal._replace(sink=_reachable(goal.sink, traits)) for goal in goals)


def _reachable(sink: Sink, traits: Traits) -> Sink:
    """Return a sink that all workers can serve: if they see no files, rows come back."""
    far = traits.isolates and not traits.shares_files
    placed = sink.kind == "placed" and not isinstance(sink, Nowhere)
    if far and (placed or aside_of(sink) is not None):
        from imgpipe.formats.reroutedsinks import Rerouted  # noqa: PLC0415 - only for this

        return Rerouted(sink)
    return sink
