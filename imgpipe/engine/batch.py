"""Batch: many images, one crew.

Each image is opened when its turn comes, and planned from its header. If as many images wait as
there are workers, an image that fits is one task of one worker; otherwise it is cut into tasks. Its
bytes are the same either way.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import field, replace
from functools import partial
from typing import Any

from imgpipe.chains.definition import digest_of
from imgpipe.chains.sending import by_value
from imgpipe.chains.stages import without_arrays
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.budget import Budget, default_budget, granted
from imgpipe.engine.calls import Calls, Desk
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost, Footing, cost_of_processes
from imgpipe.engine.crew import Crew
from imgpipe.engine.feeds.apart import apart
from imgpipe.engine.feeds.opened import can_be_opened
from imgpipe.engine.jobs import CallJob, must_travel
from imgpipe.engine.order import Order
from imgpipe.engine.outputs import Output, outputs_of
from imgpipe.engine.plan import Goal, Plan, make_plans
from imgpipe.engine.planning import weighed, within_reach
from imgpipe.engine.run import Run
from imgpipe.engine.waitinglist import Image, Outcome
from imgpipe.errors import MemoryPlanError
from imgpipe.events import Event
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.choice import Choice, choose, started
from imgpipe.formats.base import Sink, Source, is_ours
from imgpipe.machine import PeakMemory, held_memory, is_dedicated
from imgpipe.options import Options
from imgpipe.records import dataclass

__all__ = ["CallsRequest", "Request", "image_turns", "make_images"]

_LARGE = 1 << 62  # pixels: more than could be made without workers
_LEAST_BYTES = 16 << 20  # of memory for each worker


@dataclass(frozen=True)
class Request:
    """An image that is to be made.

    Attributes
    ----------
    source : callable
        Opens the image.
    goals : callable
        Opens the outputs of an open image; they are aborted if the image fails.
    control : Control
        Stops the image.
    tell : callable
        Gets its events.
    may_be_alone : callable or None
        Whether one worker may make it while the others have enough else to do. By default that is
        so if as many images are known as there are workers.
    """

    source: Callable[[], Source]
    goals: Callable[[Source], tuple[Goal, ...]]
    control: Control = field(default_factory=Control)
    tell: Callable[[Event], None] = lambda _: None
    may_be_alone: Callable[[], bool] | None = None


@dataclass(frozen=True)
class CallsRequest:
    """Many small items that are to be made beside the images, by calls.

    Attributes
    ----------
    job : callable
        Returns the function, and what is common to all calls, for the bytes of memory that a call
        may take. The options of the batch have the timeout.
    desk : Desk
        Gives the items and takes the answers.
    allowance : int
        The most memory that a call can use, in bytes. It gets no more than its share of half of
        the memory.
    control : Control
        Stops the calls.
    tell : callable
        Gets their events.
    """

    job: Callable[[int], CallJob]
    desk: Desk
    allowance: int
    control: Control = field(default_factory=Control)
    tell: Callable[[Event], None] = lambda _: None


def make_images(
    requests: Iterable[Request | CallsRequest | None], options: Options, **given: Any
) -> Iterator[Outcome]:
    """Make images; yield the outcome of each as soon as it is known: see `image_turns`."""
    with contextlib.closing(image_turns(requests, options, **given)) as turns:
        for outcome in turns:
            if outcome is not None:
                yield outcome


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
    choice = choose(options.executor, options.workers, trusted=False, pixels=_LARGE)
    footing, limit = Footing(held_memory(), is_dedicated()), _limit(options)
    workers = _that_fit(choice, granted(limit, footing)[0], footing)
    with CleanupStack() as held:
        executor = held.enter_context(started(choice, workers))
        reader = None
        if decode_apart and choice.traits.shares_memory:
            readers = max(1, workers // 2)
            wanted = choose("processes", readers, trusted=False, pixels=_LARGE)
            reader = held.enter_context(started(wanted, readers))
        openings = _Openings(executor, workers, choice.reason, reader, options, limit, footing)
        crew = Crew(
            executor,
            workers,
            order=order,
            budget=openings.budget,
            lasting=executor is choice.executor,
        )
        if attach is not None:
            attach(crew.wake)
        images = (None if one is None else openings.of(one) for one in requests)
        with contextlib.closing(crew.turns(images, beat)) as turns:
            for outcome in turns:
                if memory is not None:
                    for one in (executor, reader):
                        memory.pids |= getattr(one, "pids", set())
                yield outcome


def _limit(options: Options) -> int:
    """Return the bytes that a batch may use."""
    assert not isinstance(options.max_memory, str)
    return default_budget() if options.max_memory is None else options.max_memory


def _that_fit(choice: Choice, total: int, footing: Footing) -> int:
    """Return the number of workers of which each has a little memory to work with."""
    count = choice.workers
    while count > 1 and not isinstance(choice.executor, Executor):
        taken = cost_of_processes(choice.traits, count, footing).processes
        if taken + count * _LEAST_BYTES <= total:
            break
        count -= 1
    return count


class _Openings:
    """Opens and plans images for one executor."""

    def __init__(
        self,
        executor: Executor,
        workers: int,
        reason: str,
        reader: Executor | None,
        options: Options,
        limit: int,
        footing: Footing,
    ) -> None:
        self._executor, self._reader, self._options = executor, reader, options
        self._traits = traits_of(executor)
        self._weights: dict[str, tuple[int, int]] = {}
        self._footing, self._limit = footing, limit
        self._of_calls = 0  # bytes that calls take
        self._given: dict[str, Any] = {
            "traits": self._traits,
            "workers": workers,
            "executor": reason,
            "chunk": options.chunk,
            "fewer": False,
        }
        total, beside = granted(limit, self._footing)
        self.budget = Budget(total, workers, beside)

    def of(self, request: Request | CallsRequest) -> Callable[[], Image]:
        """Return a function that opens an image, or begins calls."""
        if isinstance(request, CallsRequest):
            return lambda: self._calls(request)
        return lambda: self._opened(request)

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
            replace(request.job(allowance), timeout=self._options.timeout if supervised else None),
            request.desk,
            Cost(per_worker=allowance) + processes,
            workers,
            self._traits,
            supervised,
            request.control,
            request.tell,
        )

    def _opened(self, request: Request) -> Run:
        with self._options.scratch_beside():
            return self._opened_here(request)

    def _opened_here(self, request: Request) -> Run:
        source = request.source()
        goals = request.goals(source)
        try:
            goals = within_reach(goals, self._traits)
            stages = itertools.chain.from_iterable(goal.stages for goal in goals)
            sent = must_travel(tuple(map(without_arrays, stages))) if self._traits.isolates else b""
            footing = self._heavier(sent, request.control)
            plans = self._planned(source, goals, footing)
            alone = self._alone(source, goals, footing)
        except BaseException:
            _abort([goal.sink for goal in goals])
            raise
        if self._reader is not None and source.access != "random" and can_be_opened(source):
            source = source if is_ours(source) else apart(source, self._reader)
        return _Owned(
            source,
            outputs_of(plans, goals),
            alone,
            request.may_be_alone,
            traits=self._traits,
            supervised=isinstance(self._executor, Supervised),
            timeout=self._options.timeout,
            control=request.control,
            tell=request.tell,
        )

    def _alone(
        self, source: Source, goals: tuple[Goal, ...], footing: Footing
    ) -> tuple[Output, ...]:
        """Return the outputs as one worker makes them all; none if the image does not fit."""
        near = self._traits.shares_files and can_be_opened(source)
        if not near or any(stage.filter.operands for goal in goals for stage in goal.stages):
            return ()
        try:
            plans = self._planned(source, goals, footing, opened=True)
        except MemoryPlanError:
            return ()
        return outputs_of(plans, goals)

    def _planned(
        self, source: Source, goals: tuple[Goal, ...], footing: Footing, **how: Any
    ) -> tuple[Plan, ...]:
        """Return plans that fit beside calls, or at least without them."""
        make = partial(make_plans, source, goals, footing=footing, **self._given, **how)
        if self._of_calls:
            with contextlib.suppress(MemoryPlanError):
                return make(max_memory=self._limit - self._of_calls)
        return make(max_memory=self._limit)

    def _heavier(self, functions: bytes, control: Control) -> Footing:
        """Return the footing with these functions loaded by the workers; measured once."""
        if not functions or not self._traits.isolates or not self._traits.shares_memory:
            return self._footing
        key = digest_of(functions)
        if key not in self._weights:
            self._weights[key] = weighed(functions, self._executor, control)
        worker, libraries = self._weights[key]
        return self._footing._replace(worker=worker, libraries=libraries)


class _Owned(Run):
    """A run whose outputs are nobody else's."""

    def __init__(
        self,
        source: Source,
        outputs: tuple[Output, ...],
        alone: tuple[Output, ...],
        may_be_alone: Callable[[], bool] | None,
        **given: Any,
    ) -> None:
        super().__init__(source, outputs, alone, **given)
        self._may_be_alone = may_be_alone

    def prepare(self, *, crowded: bool) -> None:
        """Choose the plan: one task for one worker if the others have enough to do."""
        super().prepare(crowded=crowded if self._may_be_alone is None else self._may_be_alone())

    def close(self) -> None:
        """Leave nothing of the outputs unless they were published."""
        _abort([output.sink for output in self.outputs])


def _abort(sinks: list[Sink]) -> None:
    with uninterrupted():
        for sink in sinks:
            sink.abort()
