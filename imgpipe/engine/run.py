"""Run: one image through one chain into its sinks, as flows that follow one another.

Each pass of measuring is a flow, and so are the making and the sealing. In between, this process
copies to scratch files and publishes the outputs.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from imgpipe.admission import admitted
from imgpipe.chains.element import Element
from imgpipe.chains.faint import both
from imgpipe.chains.stages import Stage, concern, must_match, without_arrays
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.chore import Chore
from imgpipe.engine.control import Control
from imgpipe.engine.copying import copied_to_scratch
from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.choice import feed_for
from imgpipe.engine.flow import Flow, PassFlow
from imgpipe.engine.fold import Fold
from imgpipe.engine.jobs import Branch, Job, published
from imgpipe.engine.lease import Lease
from imgpipe.engine.outlets import Measured, Ordered, Outlet, Placed, Staged
from imgpipe.engine.parts import Parts
from imgpipe.engine.plan import Plan
from imgpipe.engine.route import Goal
from imgpipe.engine.sealing import SealFlow
from imgpipe.errors import UsageError
from imgpipe.events import Event, Started, TaskDone, WorkerLost
from imgpipe.executors.base import Traits
from imgpipe.formats.arrays import Nowhere, RandomArray, SequentialArray
from imgpipe.formats.base import RandomSource, Sink, Source
from imgpipe.formats.opening import open_source
from imgpipe.geometry import Box

if TYPE_CHECKING:
    from imgpipe.formats.scratch import Scratch

__all__ = ["Run", "Tail", "tails_of"]

Tell = Callable[[Event], None]

_log = logging.getLogger("imgpipe")
_numbers = itertools.count(1)


@dataclass
class Tail:
    """One way from the source to a sink.

    Attributes
    ----------
    plan : Plan
        How it is cut, and the memory of its tasks.
    stages : tuple of Stage
        The filters, completed as passes of measuring are done.
    sink : Sink
        Where the pixels go.
    staged : Scratch or None
        Where they go first, if the plan says so.
    """

    plan: Plan
    stages: tuple[Stage, ...]
    sink: Sink
    staged: Scratch | None = None

    @property
    def makes(self) -> bool:
        """Whether pixels are made; not if the image is only measured."""
        return not isinstance(self.sink, Nowhere)


def tails_of(plans: tuple[Plan, ...], goals: tuple[Goal, ...]) -> tuple[Tail, ...]:
    """Return the tails of a run for its outputs and the plans of these."""
    pairs = zip(plans, goals, strict=True)
    return tuple(Tail(plan, goal.stages, goal.sink) for plan, goal in pairs)


class Run:
    """One image on its way.

    Parameters
    ----------
    source : Source
        Where it comes from.
    tails : tuple of Tail
        Where it goes.
    alone : tuple of Tail
        The same, as one worker makes it that opens the image; none if it does not fit.
    traits : Traits
        The executor, as far as it is known.
    supervised : bool
        Whether its workers may be ended, and note their whereabouts.
    timeout : float or None
        Seconds that a chunk may take.
    control : Control
        Stops it.
    tell : callable
        Gets the events.
    """

    def __init__(
        self,
        source: Source,
        tails: tuple[Tail, ...],
        alone: tuple[Tail, ...] = (),
        *,
        traits: Traits,
        supervised: bool,
        timeout: float | None,
        control: Control,
        tell: Tell,
    ) -> None:
        self.number = next(_numbers)
        self.name = source.name
        self.seen: tuple[int, ...] = ()  # of the filters, by all tasks; see `chains.faint`
        self._source, self.tails, self._alone = source, tails, alone
        self._given = [tail.stages for tail in tails]
        self._traits, self._supervised = traits, supervised
        self._timeout = timeout if supervised else None
        self._control = control
        self._tell: Tell = lambda event: tell(replace(event, run=self.number))
        self._operands: list[tuple[RandomSource, ...]] = []
        self._turn = 0

    @property
    def filters(self) -> list[Element]:
        """The filters of all outputs, as `seen` counts them."""
        return [stage.filter for tail in self.tails for stage in tail.stages]

    @property
    def pixels(self) -> int:
        """The pixels of all outputs."""
        return sum(tail.plan.after.pixels for tail in self.tails)

    @property
    def cost(self) -> Cost:
        """The memory that it takes beside the processes."""
        costs = [tail.plan.cost for tail in self.tails]
        return functools.reduce(Cost.beside, costs)

    def prepare(self, *, crowded: bool) -> None:
        """Choose the plan: one task for one worker, if as many images wait as there are workers."""
        if crowded and self._alone:
            self.tails = self._alone

    def attach(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the run is to end."""
        self._control.attach(stop)

    def lost(self, reason: str, tasks: int) -> None:
        """Tell that a worker died that had some of its tasks."""
        self._tell(WorkerLost(time=time.monotonic(), reason=reason, tasks=tasks))

    def close(self) -> None:
        """Let go of nothing: what it was given is the caller's, the rest goes with the flows."""

    def flows(self) -> Generator[Flow, None, Any]:
        """Yield the flows; return the sizes of the outputs in bytes, or what was measured."""
        self._tell(self._started())
        with CleanupStack() as held:
            self._held = held
            for tail in self.tails:
                tail.stages = tuple(map(without_arrays, tail.stages))
            if any(tail.plan.scratch_bytes for tail in self.tails):
                tile = self.tails[0].plan.scratch_tile
                self._source = yield from self._scratched(self._source, held, tile)
            for stages in self._given:
                self._operands.append((yield from self._opened_operands(stages, held)))
            found = None
            for number, tail in enumerate(self.tails):
                found = yield from self._measuring(number, tail)
            if not all(tail.makes for tail in self.tails):
                return found
            yield from self._making(held)
            yield from self._encoding()
            publishing = Chore(self._published, self._tell, self._control.check)
            yield publishing
            return publishing.result

    def _started(self) -> Started:
        tasks = 0
        for tail in self.tails:
            made = len(tail.plan.tiler) + len(tail.plan.encoding or ())
            tasks += tail.makes * (made + (tail.sink.kind == "placed"))
            tasks += sum(map(len, tail.plan.measuring.values()))
        first = self.tails[0].plan
        return Started(
            time=time.monotonic(),
            source=first.source,
            destination=", ".join(tail.plan.destination for tail in self.tails),
            pixels=self.pixels,
            tasks=tasks,
            passes=max(tail.plan.passes for tail in self.tails),
            workers=first.workers,
        )

    # --- the flows ----------------------------------------------------------------------

    def _measuring(self, number: int, tail: Tail) -> Generator[Flow, None, Any]:
        """Take every measurement of a tail, each in a pass of its own; return the last one."""
        for at, cut in tail.plan.measuring.items():
            stage = tail.stages[at]
            branch = Branch(replace(cut, stages=tail.stages[:at]))
            job = Job(self.name, (branch,), measured_stage=stage, timeout=self._timeout)
            fold = Fold(len(cut))
            flow = self._flow("measure", job, [tail], [number], fold)
            yield flow
            before = sum(len(one.stages) for one in self.tails[:number])
            self.seen = both(self.seen, (0,) * before + flow.seen)
            found = fold.result
            if warning := concern(stage.filter, found):
                _log.warning("%s: %s", self.name, warning)
            measured = replace(stage, measured=found)
            tail.stages = (*tail.stages[:at], measured, *tail.stages[at + 1 :])
        return tail.stages[-1].measured if tail.stages else None

    def _making(self, held: CleanupStack) -> Generator[Flow, None, None]:
        """Make the pixels of all outputs; finish the files that workers write."""
        for tail in self.tails:
            if tail.plan.encoding is not None:
                from imgpipe.formats.scratch import Scratch  # noqa: PLC0415 - only for this

                tail.staged = Scratch(tail.plan.after)
                held.callback(tail.staged.abort)
        job = Job(self.name, tuple(map(_branch, self.tails)), timeout=self._timeout)
        flow = self._flow("chunks", job, list(self.tails), list(range(len(self.tails))), None)
        yield flow
        self.seen = both(self.seen, flow.seen)
        if any(tail.sink.kind == "placed" for tail in self.tails):
            yield self._sealing(job)

    def _sealing(self, job: Job) -> SealFlow:
        with uninterrupted(), CleanupStack() as opened:
            ref = published(job, self._traits, opened)
            lease = Lease(0, (), notes=self._supervised, held=opened)
            flow = SealFlow(
                turn=self._turn - 1,
                index=max(len(tail.plan.tiler) for tail in self.tails),
                job=job,
                ref=ref,
                lease=lease,
                tell=self._tell,
                held=opened.pop_all(),
            )
            self._held.callback(flow.close)
        return flow

    def _encoding(self) -> Generator[Flow, None, None]:
        """Encode the pixels that were staged."""
        for tail in self.tails:
            if tail.staged is None or tail.plan.encoding is None:
                continue
            plan = replace(tail.plan, tiler=tail.plan.encoding, feed="direct", encoding=None)
            last = Tail(plan, (), tail.sink)
            job = Job(self.name, (_branch(last),), timeout=self._timeout)
            yield self._flow("chunks", job, [last], [], None, tail.staged)

    def _flow(
        self,
        kind: str,
        job: Job,
        tails: list[Tail],
        numbers: list[int],
        fold: Fold | None,
        staged: Scratch | None = None,
    ) -> PassFlow:
        """Return a pass over the image, or over a scratch file that was made of it."""
        parts = Parts(tuple(branch.tiler for branch in job.branches))
        plan = tails[0].plan
        window = min(tail.plan.window for tail in tails)
        near = self._traits.isolates and self._traits.shares_memory
        encodes = near and fold is None
        sizes = [tail.plan.payload_bytes * (encodes and not tail.staged) for tail in tails]
        source = self._source if staged is None else staged.source
        self._turn += 1
        with (
            uninterrupted(),
            CleanupStack() as opened,
        ):  # or memory could be lost
            ref = published(job, self._traits, opened)
            lease = Lease(window, tuple(sizes), notes=self._supervised, held=opened)
            feed = feed_for(
                plan.feed, source, parts, self._control.check,
                window=window, band_bytes=max(tail.plan.band_bytes for tail in tails), shared=near,
            )  # fmt: skip
            flow = PassFlow(
                turn=self._turn - 1,
                kind=kind,
                job=job,
                ref=ref,
                feed=feed,
                parts=parts,
                outlets=tuple(self._outlet(tail, fold, window) for tail in tails),
                operands=tuple(self._operands[number] for number in numbers) or ((),),
                inline=plan.feed == "inline",
                lease=lease,
                fold=fold,
                tell=self._tell,
                held=opened.pop_all(),
            )
            self._held.callback(flow.close)
        return flow

    def _outlet(self, tail: Tail, fold: Fold | None, window: int) -> Outlet:
        if fold is not None:
            return Measured(fold, window)
        if tail.staged is not None:
            return Staged()
        if tail.sink.kind == "ordered":
            return Ordered(tail.sink, window, self._tell, self._output(tail))
        return Placed(tail.sink, self._tell, self._output(tail))

    def _output(self, tail: Tail) -> int:
        return next(at for at, one in enumerate(self.tails) if one.sink is tail.sink)

    # --- chores -------------------------------------------------------------------------

    def _published(self, tell: Tell, check: Callable[[], None]) -> list[int]:
        """Publish all outputs; return their sizes."""
        return [tail.sink.commit() for tail in self.tails]

    def _scratched(
        self, source: Source, held: CleanupStack, tile: tuple[int, int] = (0, 0)
    ) -> Generator[Flow, None, Source]:
        """Copy an image that cannot be read as it is to a scratch file."""

        def copy(tell: Tell, check: Callable[[], None]) -> Any:
            def copied(box: Box) -> None:
                check()
                now = time.monotonic()
                tell(
                    TaskDone(
                        time=now, kind="copy", pass_index=0, index=0, box=box, worker="parent",
                        pid=os.getpid(), made=now, started=now, ended=now,
                    )
                )  # fmt: skip

            return copied_to_scratch(source, copied, check, tile)

        chore = Chore(copy, self._tell, self._control.check)
        yield chore
        held.callback(chore.result.abort)
        return cast(Source, chore.result.source)

    def _opened_operands(
        self, stages: tuple[Stage, ...], held: CleanupStack
    ) -> Generator[Flow, None, tuple[RandomSource, ...]]:
        """Open the further images of the filters, as random sources."""
        found: list[RandomSource] = []
        for stage, given in _operands(stages):
            source = _opened_operand(given, stage, isolated=self._traits.isolates)
            if source.access != "random":
                source = yield from self._scratched(source, held)
            found.append(cast(RandomSource, source))
        return tuple(found)


def _branch(tail: Tail) -> Branch:
    tiler = replace(tail.plan.tiler, stages=tail.stages)
    if tail.staged is not None:
        return Branch(tiler, placer=tail.staged.placer)
    if tail.sink.kind == "ordered":
        return Branch(tiler, tail.plan.unit, encoder=tail.sink.encoder)
    return Branch(tiler, tail.plan.unit, placer=tail.sink.placer)


def _operands(stages: tuple[Stage, ...]) -> Iterator[tuple[Stage, Any]]:
    for stage in stages:
        keywords = stage.filter.keywords
        for name in stage.filter.operands:
            yield stage, keywords[name]


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
