"""Batch: many images, one crew.

Each image is opened when its turn comes, and planned from its header. If as many images wait as
there are workers, an image that fits is one task of one worker; otherwise it is cut into tasks. Its
bytes are the same either way.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

from imgpipe.acceleration import expect
from imgpipe.accelerators.choice import Accelerating, possible
from imgpipe.chains.definition import digest_of
from imgpipe.chains.serialization import by_value
from imgpipe.chains.stages import without_arrays
from imgpipe.cleanup import CleanupStack
from imgpipe.engine.batchsizing import (
    accelerator_for,
    choice_for,
    footing_of,
    limit_of,
    readers_for,
    remedy_for,
    workers_that_fit,
)
from imgpipe.engine.budget import Budget, granted
from imgpipe.engine.calls import Calls
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost, Footing, cost_of_processes, cost_of_readers
from imgpipe.engine.crew import Crew
from imgpipe.engine.feeds.isolated import isolated_source
from imgpipe.engine.feeds.opened import can_be_opened
from imgpipe.engine.filerun import FileRun, aborted
from imgpipe.engine.frames import Frames, Kind, PlannedFrames, planned_frames
from imgpipe.engine.frameseries import FrameSeries
from imgpipe.engine.jobs import must_travel
from imgpipe.engine.order import Order
from imgpipe.engine.outputs import Output, outputs_of
from imgpipe.engine.plan import Plan, WantedOutput, make_plans
from imgpipe.engine.planning import Planned, weighed, within_reach
from imgpipe.engine.requests import CallsRequest, Request
from imgpipe.engine.run import Run
from imgpipe.engine.waitinglist import Image, Opening, Outcome
from imgpipe.errors import MemoryPlanError
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.choice import Choice, choose, started
from imgpipe.formats.arrays import ArraySink
from imgpipe.formats.base import Source, is_ours
from imgpipe.machine import PeakMemory
from imgpipe.options import Options

__all__ = ["CallsRequest", "Request", "image_turns"]

_LARGE = 1 << 62  # pixels: more than could be made without workers
_Taken = Callable[[int], Cost]  # by so many workers


def image_turns(
    requests: Iterable[Request | CallsRequest | None],
    options: Options,
    *,
    order: Order | None = None,
    decode_apart: bool = True,
    attach: Callable[[Callable[[], None]], None] | None = None,
    beat: float = 1.0,
    memory: PeakMemory | None = None,
) -> Generator[Outcome | None, None, None]:
    """Make images; yield the outcome of each, and None whenever the loop is about to wait.

    Parameters
    ----------
    requests : iterable of (Request, CallsRequest or None)
        The images, and calls; None where there is none just now, but may be later.
    options : Options
        Options of the runs. The limit on memory is for all images together.
    order : Order, optional
        Order of the images; ``fifo`` by default.
    decode_apart : bool
        Whether processes of their own decode the images that are no random sources and whose
        decoder is not imgpipe's own: its crash is then the failure of its image alone.
    attach : callable, optional
        Gets the function that wakes the loop, from any thread.
    beat : float
        The most seconds between two values.
    memory : PeakMemory, optional
        Samples the memory of all processes.
    """
    choice, limit = choice_for(options), limit_of(options)
    footing = footing_of(options)
    fitting = partial(workers_that_fit, choice, footing)
    workers = fitting(granted(limit, footing)[0])
    expect(possible(options.accelerator).name)
    with CleanupStack() as held:
        executor = held.enter_context(started(choice, workers))
        isolates = decode_apart and choice.traits.shares_memory
        readers = _Readers(readers_for(workers) if isolates else 0, held)
        openings = _Openings(
            executor, workers, choice.reason, readers, options, limit, footing, fitting
        )
        crew = Crew(
            executor,
            workers,
            order=order,
            budget=openings.budget,
            lasting=True,  # a worker that does not come back is ended, and the others are kept
        )
        if attach is not None:
            attach(crew.wake)
        held.callback(openings.close)
        with contextlib.closing(crew.turns(openings.of(requests), beat)) as turns:
            for outcome in turns:
                if memory is not None:
                    for one in (executor, readers.started):
                        memory.pids |= getattr(one, "pids", set())
                yield None if outcome is None else openings.outcome_of_request(outcome)


class _Readers:
    """Processes that only decode, started for the first image that needs them."""

    def __init__(self, count: int, held: CleanupStack) -> None:
        self.count, self._held = count, held
        self.started: Executor | None = None

    def get(self) -> Executor:
        """Return their executor."""
        if self.started is None:
            choice = choose("processes", self.count, trusted=False, pixels=_LARGE)
            self.started = self._held.enter_context(started(choice, self.count))
        return self.started


class _Openings:
    """Opens and plans images for one executor."""

    def __init__(
        self,
        executor: Executor,
        workers: int,
        reason: str,
        readers: _Readers,
        options: Options,
        limit: int,
        footing: Footing,
        fitting: Callable[[int], int],
    ) -> None:
        self._fitting = fitting
        self._executor, self._readers, self._options = executor, readers, options
        self._traits = traits_of(executor)
        self._weights: dict[str, tuple[int, int]] = {}
        self._footing, self._limit = footing, limit
        self._of_calls = 0  # bytes that calls take
        self._series: list[FrameSeries] = []
        self._turns: dict[int, int | FrameSeries] = {}  # of images: the request that they belong to
        self._given: dict[str, Any] = {
            "traits": self._traits,
            "workers": workers,
            "executor": reason,
            "chunk": options.chunk,
            "fewer": False,
        }
        total, beside = granted(limit, self._footing)
        self.budget = Budget(total, workers, beside)

    def of(self, requests: Iterable[Request | CallsRequest | None]) -> Iterator[Opening | None]:
        """Yield functions that open images, or begin calls; None if there is none just now."""
        waiting: Iterator[Request | CallsRequest | None] | None = iter(requests)
        turn = begun = 0
        while waiting is not None or self._series:
            found: tuple[Opening, int | FrameSeries] | None = self._next_frame()
            if found is None and waiting is not None:
                try:
                    request = next(waiting)
                except StopIteration:
                    waiting = None
                    continue
                if request is not None:
                    found, turn = self._found(request, turn), turn + 1
            if found is not None:
                self._turns[begun] = found[1]
                begun += 1
            yield found and found[0]

    def outcome_of_request(self, outcome: Outcome) -> Outcome | None:
        """Return the outcome of a request, given that of an image; None if there is none yet."""
        owner = self._turns.pop(outcome.turn)
        if isinstance(owner, int):
            return outcome._replace(turn=owner)
        owner.take(outcome)
        if not owner.ended:
            return None
        self._series.remove(owner)
        return owner.close()

    def close(self) -> None:
        """Leave nothing of files of which not all frames are made."""
        for series in self._series:
            series.close()

    def _next_frame(self) -> tuple[Opening, FrameSeries] | None:
        """Return the opening of a frame of a file that was begun; None if all have to wait."""
        for series in self._series:
            if (opening := series.next()) is not None:
                return opening, series
        return None

    def _found(
        self, request: Request | CallsRequest, turn: int
    ) -> tuple[Opening, int | FrameSeries] | None:
        """Return the opening of the first image of a request, and the owner of its outcome."""
        if isinstance(request, CallsRequest):
            return partial(self._calls, request), turn
        try:
            with self._options.scratch_beside(), request.within():
                frames = request.frames()
                if frames is None:
                    return partial(self._opened, request), turn
                self._series.append(self._series_of(request, turn, frames))
        except Exception as error:  # noqa: BLE001 - it is the outcome of this file alone
            return partial(_raised, error), turn
        return self._next_frame()

    def _series_of(self, request: Request, turn: int, frames: Frames) -> FrameSeries:
        """Return the frames of a file, planned."""
        try:
            kinds = frames.kinds()
            source, goals = kinds[0].source, (kinds[0].goal,)
            footing = self._footing_of(goals, request.control)
            workers, reason = self._given["workers"], self._given["executor"]
            choice = Choice(self._executor, workers, reason, self._traits)
            plans = self._planned(source, within_reach(goals, self._traits), footing)
            planned = Planned(plans, source, goals, choice, self._executor, footing, Accelerating())
            found = self._frames_planned(frames, kinds, planned)
        finally:
            frames.abort()  # of the outputs that were opened for the plans
        return FrameSeries(request, turn, frames, found, self._of_runs(request, goals), self._apart)

    def _frames_planned(self, frames: Frames, kinds: list[Kind], planned: Planned) -> PlannedFrames:
        """Return plans of frames that fit beside calls, or at least without them."""
        limit = planned.plans[0].budget - self.budget.beside
        make = partial(planned_frames, frames, kinds, planned, fewer=False)
        if limit < self._limit:
            with contextlib.suppress(MemoryPlanError):
                return make(replace(self._options, max_memory=limit))
        return make(replace(self._options, max_memory=self._limit))

    def _calls(self, request: CallsRequest) -> Calls:
        supervised, workers = isinstance(self._executor, Supervised), self._given["workers"]
        job = request.job(request.allowance)
        sent = b"" if job.ours else by_value(job.common, "a filter")
        footing = self._heavier(sent, request.control)
        processes = cost_of_processes(self._traits, workers, footing)
        free = max(0, self.budget.granted - processes.processes)
        allowance = min(request.allowance, free // (2 * workers))
        self._of_calls = workers * allowance
        return Calls(
            replace(
                request.job(allowance),
                timeout=self._options.timeout if supervised else None,
                accelerator=self._options.accelerator or "none",
            ),
            request.dispatcher,
            Cost(per_worker=allowance) + processes,
            workers,
            self._traits,
            request.control,
            request.on_event,
        )

    def _opened(self, request: Request) -> Run:
        with self._options.scratch_beside(), request.within():
            source = request.source()
            goals = request.goals(source)
            following: Sequence[tuple[Source, tuple[WantedOutput, ...]]] = ()
            try:
                following = request.then()
                return self._opened_here(request, source, goals, following)
            except BaseException:
                for _, each in ((source, goals), *following):
                    aborted([goal.sink for goal in each])
                raise

    def _opened_here(
        self,
        request: Request,
        source: Source,
        goals: tuple[WantedOutput, ...],
        following: Sequence[tuple[Source, tuple[WantedOutput, ...]]],
    ) -> Run:
        """Plan an image, and its successors."""
        goals = within_reach(goals, self._traits)
        footing = self._footing_of(goals, request.control)
        every = itertools.chain(goals, *(each for _, each in following))
        sinks = [goal.sink for goal in every if isinstance(goal.sink, ArraySink)]
        arrays = Cost(shared=sum(sink.info.nbytes for sink in sinks))
        read = self._apart(source)

        def taken(workers: int) -> Cost:
            readers = cost_of_readers(readers_for(workers)) if read is not source else Cost()
            return arrays + readers

        plans = self._planned(source, goals, footing, taken)
        alone = self._alone(source, goals, footing, taken)
        given = self._of_runs(request, goals)
        then: list[Run] = []
        for image, wanted in following:
            each = within_reach(wanted, self._traits)
            outputs = outputs_of(self._planned(image, each, footing, taken), each)
            then.append(Run(image, outputs, **given))
        cost = taken(self._given["workers"])
        return FileRun(request, then, cost, read, outputs_of(plans, goals), alone, **given)

    def _of_runs(self, request: Request, goals: Iterable[WantedOutput]) -> dict[str, Any]:
        """Return the arguments of all runs of a request."""
        stages = itertools.chain.from_iterable(goal.stages for goal in goals)
        return {
            "traits": self._traits,
            "supervised": isinstance(self._executor, Supervised),
            "timeout": self._options.timeout,
            "accelerator": accelerator_for(self._options.accelerator, stages).name,
            "control": request.control,
            "on_event": request.on_event,
        }

    def _apart(self, source: Source) -> Source:
        """Return a source that another process decodes, if its decoder may crash."""
        if not self._readers.count or source.access == "random" or not can_be_opened(source):
            return source
        return source if is_ours(source) else isolated_source(source, self._readers.get())

    def _footing_of(self, goals: tuple[WantedOutput, ...], control: Control) -> Footing:
        """Return the footing with the functions of these outputs."""
        stages = itertools.chain.from_iterable(goal.stages for goal in goals)
        sent = must_travel(tuple(map(without_arrays, stages))) if self._traits.isolates else b""
        return self._heavier(sent, control)

    def _alone(
        self, source: Source, goals: tuple[WantedOutput, ...], footing: Footing, taken: _Taken
    ) -> tuple[Output, ...]:
        """Return the outputs as one worker makes them all; none if the image does not fit."""
        near = self._traits.shares_files and can_be_opened(source)
        if not near or any(stage.filter.operands for goal in goals for stage in goal.stages):
            return ()
        try:
            plans = self._planned(source, goals, footing, taken, opened=True)
        except MemoryPlanError:
            return ()
        return outputs_of(plans, goals)

    def _planned(
        self,
        source: Source,
        goals: tuple[WantedOutput, ...],
        footing: Footing,
        taken: _Taken = lambda _: Cost(),
        **settings: Any,
    ) -> tuple[Plan, ...]:
        """Return plans that fit beside calls, or at least without them; `taken` is taken anyway."""
        workers = self._given["workers"]

        def make(
            max_memory: int, workers: int = workers, calls: int = 0, **more: Any
        ) -> tuple[Plan, ...]:
            given = self._given | settings | {"workers": workers, "max_memory": max_memory} | more
            beside = taken(workers).total(workers) + calls
            return make_plans(source, goals, footing=footing, taken=beside, **given)

        def needed(workers: int) -> int:
            try:
                make(0, workers)
            except MemoryPlanError as error:
                return error.needed
            raise AssertionError(workers)  # a process takes more than nothing

        def remedy() -> tuple[str, str]:
            budget = self.budget
            return remedy_for(needed, self._fitting, workers, budget.granted, budget.beside)

        if self._of_calls:
            with contextlib.suppress(MemoryPlanError):
                return make(self._limit, calls=self._of_calls)
        # With `settings` this is one way of several, and no last word.
        return make(self._limit, remedy=None if settings else remedy)

    def _heavier(self, functions: bytes, control: Control) -> Footing:
        """Return the footing with these functions loaded by the workers; measured once."""
        if not functions or not self._traits.isolates or not self._traits.shares_memory:
            return self._footing
        key = digest_of(functions)
        if key not in self._weights:
            self._weights[key] = weighed(functions, self._executor, control)
        worker, libraries = self._weights[key]
        return self._footing._replace(worker=worker, libraries=libraries)


def _raised(error: Exception) -> Image:
    """Raise the error of an image that could not be opened."""
    raise error
