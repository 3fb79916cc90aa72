"""Frames: the images of one file, as images of one crew.

::

    frame 0 ─┐
    frame 1 ─┼▶ Crew ─▶ Lineup ─▶ frame 0, frame 1, frame 2, … ─▶ publish
    frame 2 ─┘

Each frame is opened when its turn comes. A large one is cut into tasks, and is made alone. Several
small ones are made at once, each by one worker. The bytes do not depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial, reduce
from typing import Any, NamedTuple, Protocol, cast

from imgpipe.chains.faintimages import warnings_of
from imgpipe.engine.budget import Budget, granted
from imgpipe.engine.chore import Chore
from imgpipe.engine.contextruns import run_in_context
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.opened import can_be_opened
from imgpipe.engine.feeds.whole import Decoded
from imgpipe.engine.flow import Flow
from imgpipe.engine.outputs import earlier_of, outputs_of, tasks_of
from imgpipe.engine.plan import Plan, WantedOutput, make_plans
from imgpipe.engine.planning import Planned, within_reach
from imgpipe.engine.run import Run, numbers
from imgpipe.engine.waitinglist import Opening
from imgpipe.errors import MemoryPlanError
from imgpipe.events import Event, Observer, Started, Written
from imgpipe.formats.base import Source
from imgpipe.formats.framequeue import Lineup
from imgpipe.formats.losses import nothing_left
from imgpipe.formats.rows import decode
from imgpipe.options import Options
from imgpipe.records import dataclass

__all__ = ["Frames", "FramesRun", "Kind", "PlannedFrames", "planned_frames"]

_SMALL_BYTES = 16 << 20  # of a frame that is the work of one worker
_PER_WORKER = 2  # small frames at once: one is made while another is opened or written

Key = Any


class Kind(NamedTuple):
    """Frames that are planned alike.

    Attributes
    ----------
    key : object
        Tells kinds apart.
    source : Source
        One of them.
    goal : WantedOutput
        Its output.
    frames : int
        The number of them.
    """

    key: Key
    source: Source
    goal: WantedOutput
    frames: int

    @property
    def small(self) -> bool:
        """Return whether one worker makes such a frame."""
        after = self.goal.sink.info
        return max(self.source.info.nbytes, after.nbytes) <= _SMALL_BYTES


class Frames(Protocol):
    """The frames of a file, and the file that is made of them."""

    @property
    def count(self) -> int:
        """The number of frames."""

    @property
    def pixels(self) -> int:
        """Pixels of all frames that are made."""

    def kinds(self) -> list[Kind]:
        """Return all kinds of frames, the largest first, for their plan; `abort` ends that."""

    def key(self, number: int) -> Key:
        """Return the kind of a frame."""

    def opened(self, number: int) -> tuple[Source, WantedOutput, Key]:
        """Open a frame, in the order of their numbers from 0; return its kind too."""

    def commit(self) -> int:
        """Publish the file of all frames; return its size in bytes."""

    def abort(self) -> None:
        """Leave nothing behind."""


@dataclass(frozen=True)
class PlannedFrames:
    """The plans of all frames.

    Attributes
    ----------
    plan : Plan
        The plan of the kind that takes the most memory, with all frames that are in memory at once.
    plans : dict
        The plan of each kind.
    small : frozenset
        The kinds of which several are made at once.
    pixels, tasks, earlier, passes : int
        Pixels, tasks, pixels of passes before the last one, and passes of all frames.
    """

    plan: Plan
    plans: dict[Key, Plan]
    small: frozenset[Key]
    pixels: int
    tasks: int
    earlier: int
    passes: int


def planned_frames(
    frames: Frames, kinds: list[Kind], planned: Planned, options: Options, *, fewer: bool = True
) -> PlannedFrames:
    """Return the plans of all kinds of frames, for as many workers as there is memory for.

    Unless there may be `fewer` of them, these are all workers.

    Raises
    ------
    MemoryPlanError
        If one of them does not fit.
    """
    first = planned.plans[0]
    for workers in range(first.workers, 0, -1):
        try:
            return _planned(frames, kinds, planned, options, workers)
        except MemoryPlanError:
            if workers == 1 or not fewer:
                raise
    raise AssertionError(first.workers)


def _planned(
    frames: Frames, kinds: list[Kind], planned: Planned, options: Options, workers: int
) -> PlannedFrames:
    traits, footing = planned.choice.traits, planned.footing
    together = workers > 1 and (traits.shares_memory or not traits.isolates)
    limit, _ = granted(cast("int | None", options.max_memory), footing)
    given: dict[str, Any] = {
        "traits": traits,
        "workers": workers,
        "executor": planned.plans[0].executor,
        "max_memory": options.max_memory,
        "chunk": options.chunk,
        "footing": footing,
        "fewer": False,
    }
    plans, largest, tasks, earlier = dict[Key, Plan](), None, 0, 0
    for kind in kinds:
        goals = within_reach((kind.goal,), traits)
        plan, at_once = _plan_of(kind, goals, given), 1
        if together and kind.small:
            at_once = _at_once(plan.cost, workers, limit)
        plans[kind.key] = plan
        (output,) = outputs_of((plan,), goals)
        tasks += kind.frames * tasks_of(output)
        earlier += kind.frames * earlier_of(output)
        full = replace(plan, cost=_many(plan.cost, at_once), frames=frames.count, at_once=at_once)
        if largest is None or full.memory > largest.memory:
            largest = full
    assert largest is not None
    return PlannedFrames(
        plan=largest,
        plans=plans,
        small=frozenset(kind.key for kind in kinds if together and kind.small),
        pixels=frames.pixels,
        tasks=tasks,
        earlier=earlier,
        passes=max(plan.passes for plan in plans.values()),
    )


def _plan_of(kind: Kind, goals: tuple[WantedOutput, ...], given: dict[str, Any]) -> Plan:
    """Return the plan of a kind. One worker opens a small frame that depends on no other."""
    source = kind.source
    alone = kind.small and source.access != "whole" and can_be_opened(source)
    further = any(stage.filter.operands for stage in kind.goal.stages)
    if alone and given["traits"].shares_files and given["workers"] > 1 and not further:
        try:
            return make_plans(source, goals, **given, opened=True)[0]
        except MemoryPlanError:
            pass
    return make_plans(source, goals, **given)[0]


def _at_once(cost: Cost, workers: int, limit: int) -> int:
    """Return the number of frames of this cost that are made at once."""
    most = _PER_WORKER * workers
    return next((n for n in range(most, 1, -1) if _many(cost, n).total(workers) <= limit), 1)


def _many(cost: Cost, count: int) -> Cost:
    return reduce(Cost.beside, [cost] * count)


class FramesRun:
    """The frames of a file on their way.

    Parameters
    ----------
    frames : Frames
        The frames.
    planned : PlannedFrames
        Their plans.
    given : dict
        Executor, timeout and control of the runs.
    control : Control
        Stops them.
    on_event : callable
        Gets the events.
    within : callable
        Returns the context in which pixels are passed on.
    ending : callable or None
        The work at the end of the last frame, when the file can be published.
    apart : callable
        Returns the source of a frame as it is to be decoded.

    Attributes
    ----------
    number : int
        The number of the run.
    missing : float
        The frames, and parts of frames, that could not be read.
    warnings : list of str
        Findings about the filters, each once.
    budget : Budget
        The memory of all frames that are made at once.
    """

    def __init__(
        self,
        frames: Frames,
        planned: PlannedFrames,
        given: dict[str, Any],
        control: Control,
        on_event: Observer,
        *,
        within: Callable[[], AbstractContextManager[Any]] = nullcontext,
        ending: Callable[[], None] | None = None,
        apart: Callable[[Source], Source] = lambda source: source,
    ) -> None:
        self.number, self.warnings = next(numbers), list[str]()
        self.missing = 0.0
        self.budget = Budget(planned.plan.memory, planned.plan.workers)
        self.within, self._apart = within, apart
        self._frames, self._planned, self._given = frames, planned, given
        self._control, self._on_event, self._ending = control, on_event, ending
        self._line = Lineup()
        self._open: dict[int, bool] = {}  # runs of frames under way, and whether these are small
        self._left = frames.count
        self._stops: dict[int, Callable[[], None]] = {}
        self._written: dict[int, tuple[int, int]] = {}  # pixels and bytes of each frame
        self._sums = 0, 0
        self._started = False

    def openings(self) -> Iterator[Opening | None]:
        """Yield the opening of each frame; None while the next one has to wait for those before."""
        for number in range(self._frames.count):
            small = self._frames.key(number) in self._planned.small
            while self._open and not (small and all(self._open.values())):
                yield None
            yield partial(self._opened, number, small=small)

    def commit(self) -> int:
        """Publish the file; return its size in bytes.

        Raises
        ------
        CorruptError
            If nothing of any frame could be read.
        """
        self._control.check()
        if self.missing == self._frames.count:
            raise nothing_left(self._planned.plan.source)
        return self._frames.commit()

    def close(self) -> None:
        """Leave nothing of frames that are not complete."""
        self._line.close()

    def attach(self, number: int, stop: Callable[[], None]) -> None:
        """Have `stop` called for a frame when the run is to end."""
        self._stops[number] = stop
        self._control.attach(self.stop)

    def stop(self) -> None:
        """End all frames."""
        for stop in list(self._stops.values()):
            stop()

    def ended(self, run: Run) -> Chore | None:
        """Take note of the end of a frame; return the work that is left after the last one."""
        self.missing += run.missing
        new = warnings_of(run.filters, run.seen)
        self.warnings.extend(each for each in new if each not in self.warnings)
        self._left -= 1
        ending = self._ending
        if self._left or ending is None:
            return None
        return Chore(lambda _on_event, _check: ending(), self._on_event, self._control.check)

    def left(self, run: Run) -> None:
        """Take note that a frame is no longer under way."""
        self._stops.pop(run.number, None)
        self._open.pop(run.number, None)

    def _opened(self, number: int, *, small: bool) -> Run:
        """Open a frame, with the plan of its kind."""
        self._control.check()
        source, goal, key = self._frames.opened(number)
        plan = self._planned.plans[key]
        goal = goal._replace(sink=self._line.join(goal.sink, waits=small))
        goals = within_reach((goal,), self._given["traits"])
        plan = replace(plan, source=source.name, before=source.info, after=goal.sink.info)
        run = _FrameRun(
            self._apart(source),
            outputs_of((plan,), goals),
            on_event=partial(self._on_event_of_frame, number),
            **self._given,
        )
        run.frames, run.small = self, small
        self._open[run.number] = small
        return run

    def _on_event_of_frame(self, number: int, event: Event) -> None:
        """Report an event of a frame as one of the whole run."""
        planned = self._planned
        if isinstance(event, Started):
            if self._started:
                return
            self._started = True
            event = replace(
                event,
                pixels=planned.pixels,
                tasks=planned.tasks,
                earlier=planned.earlier,
                passes=planned.passes,
            )
        elif isinstance(event, Written):
            before = self._written.get(number, (0, 0))
            now = self._written[number] = event.pixels, event.size
            pixels, size = self._sums
            self._sums = pixels + now[0] - before[0], size + now[1] - before[1]
            event = replace(event, pixels=self._sums[0], size=self._sums[1])
        self._on_event(replace(event, run=self.number))


class _FrameRun(Run):
    """A frame on its way."""

    frames: FramesRun
    small = False
    publishes = False  # all frames are published together

    def attach(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the run is to end."""
        self.frames.attach(self.number, stop)

    def flows(self) -> Generator[Flow, None, Any]:
        """Yield the flows, and after the last frame the flows that publish the file."""
        return (yield from run_in_context(self.frames.within, self._flows()))

    def _flows(self) -> Generator[Flow, None, Any]:
        """Yield the flows. Frames that depend on others are decoded in their order, here."""
        if self.small and self._source.access == "whole" and self.outputs[0].plan.feed == "whole":
            self._decode(cast(Decoded, self._source))
        result = yield from super().flows()
        if (chore := self.frames.ended(self)) is not None:
            yield chore
        return result

    def close(self) -> None:
        """Make way for the next frame."""
        self.frames.left(self)

    def _decode(self, source: Decoded) -> None:
        info = source.info
        near = self._traits.isolates and self._traits.shares_memory
        out = self._held_image.slot(info.nbytes, shared=near).array(info.shape, info.dtype)
        decode(source, out, self._control.check)
        self._held_image.complete = True
