"""A crew in simulated time: workers, images and flows that are nothing but numbers.

A `World` keeps the time and what is to happen. The inbox of the crew lets time pass while the crew
waits. Nothing here sleeps, and the same schedule always gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import queue
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from imgpipe.engine import worker, workernotes
from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.engine.calls import CallFlow, Calls
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost
from imgpipe.engine.crew import Crew
from imgpipe.engine.flow import Worker, next_number
from imgpipe.engine.jobs import CallJob
from imgpipe.engine.tasks import JobRef, Task
from imgpipe.engine.waitinglist import Opening, Outcome
from imgpipe.engine.worker import Receipt
from imgpipe.executors.base import End, Traits

NEVER = float("inf")
_PATIENCE = 1000.0  # simulated seconds without an event, after which a crew is stuck

FAULT = End("signal SIGSEGV")
TIMEOUT = End("timeout of 1 second")
OUTSIDE = End("signal SIGKILL", outside=True)
STILLBORN = End("exit code 1", stillborn=True)
UNKNOWN = End("the end of the fork server")
NOTHING = Cost()
WANTED = End("the end of another run", wanted=True)


class World:
    """The time, and the things to come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._last = 0.0
        self._messages: deque[Any] = deque()
        self.interrupt_at = NEVER  # a message that the crew does not get
        self.received = 0

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something happen `seconds` from now."""
        if seconds < NEVER:
            heapq.heappush(self._events, (self.now + seconds, next(self._order), do))

    def clock(self) -> float:
        return self.now

    def put(self, message: Any) -> None:
        """Serve as the inbox of a crew."""
        self._messages.append(message)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next message; let time pass until there is one."""
        self.received += 1
        if self.received == self.interrupt_at:
            raise KeyboardInterrupt
        until = NEVER if timeout is None else self.now + timeout
        while not self._messages:
            if not self._events or self._events[0][0] > until:
                self.now = until
                assert self.now < self._last + _PATIENCE, "the crew is stuck"
                raise queue.Empty
            self.now, _, do = heapq.heappop(self._events)
            self._last = self.now
            do()
        return self._messages.popleft()


@dataclass
class _SimulatedWorker:
    """A worker: it does its tasks one after the other, until it dies."""

    pid: int
    label: str
    given: deque[tuple[Future[Receipt], Task]] = field(default_factory=deque)
    end: End | None = None


class SimulatedExecutor(Executor):
    """An executor whose workers cannot be replaced.

    Parameters
    ----------
    world : World
        Keeps the time.
    workers : int
        How many.
    """

    traits = Traits(shares_memory=True, shares_files=True, isolates=True)

    def __init__(self, world: World, workers: int) -> None:
        self.world, self.count = world, workers
        self.flows: dict[int, SimulatedFlow | SimulatedDispatcher] = {}
        self.values: list[int] = []  # items of each call, as they were handed over
        self.begun: list[tuple[float, int, int]] = []  # when, flow, index
        self.attempts: Counter[tuple[int, int]] = Counter()
        self.submitted: list[tuple[int, int]] = []  # flow, index; first attempts only
        self.looked_after = 0
        self._pids, self._order = itertools.count(1000), itertools.count()
        self._turns: dict[int, int] = {}
        self._workers: dict[int, _SimulatedWorker] = {}
        self._given: dict[Future[Receipt], _SimulatedWorker] = {}
        self.refuses: Callable[[Task], Exception | None] = lambda task: None

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if fn is not worker.run_task:
            future.set_result(None)
            return future
        (task,) = args
        if error := self.refuses(task):
            raise error
        assert not self.flows[task.flow].closed, "a task of a flow that is closed is handed over"
        key = task.flow, task.index
        if key not in self.submitted:
            self.values += [len(task.values)] if task.kind == "call" else []
            assert self.wanted < 2 * self.count, "more tasks are out than the window allows"
            self.submitted.append(key)
        chosen = min(range(self.count), key=self._load)
        given_to = self._workers.setdefault(chosen, self._new(chosen))
        self._given[future], self._turns[chosen] = given_to, next(self._order)
        if given_to.end is not None:
            future.set_exception(BrokenExecutor("its worker has died"))
            return future
        given_to.given.append((future, task))
        if len(given_to.given) == 1:
            self._begin(given_to)
        return future

    @property
    def wanted(self) -> int:
        """Number of tasks under way whose flow is not closed."""
        given = itertools.chain(*(one.given for one in self._workers.values()))
        return sum(not self.flows[task.flow].closed for future, task in given if not future.done())

    @property
    def at_work(self) -> list[Task]:
        """The tasks that workers are at."""
        return [one.given[0][1] for one in self._workers.values() if one.given]

    def die(self, number: int, how: End) -> None:
        """End a worker, if there is one, with all that it was given."""
        dying = self._workers.get(number)
        if dying is not None and dying.end is None:
            self._end(dying, how)

    def _load(self, number: int) -> tuple[int, int]:
        """Return the rank of a worker, as our own pool does."""
        given = self._workers[number].given if number in self._workers else ()
        unfinished = sum(not future.done() for future, _ in given)
        return unfinished, self._turns[number] if unfinished else number

    def _new(self, number: int) -> _SimulatedWorker:
        return _SimulatedWorker(next(self._pids), f"worker {number + 1}")

    def _begin(self, one: _SimulatedWorker) -> None:
        while one.given and one.given[0][0].cancelled():
            one.given.popleft()
        if not one.given:
            return
        future, task = one.given[0]
        future.set_running_or_notify_cancel()
        flow = self.flows[task.flow]
        if flow.closed:  # there is nothing to be done
            one.given.popleft()
            future.set_exception(RuntimeError("the memory of this task is gone"))
            self._begin(one)
            return
        self.attempts[task.flow, task.index] += 1
        how = flow.death_of(task, self.attempts[task.flow, task.index])
        if how is None or not how.stillborn:
            self.begun.append((self.world.now, task.flow, task.index))
            _sign(task.note, one.pid)
        seconds = flow.seconds_of(task)
        if how is not None:
            self.world.after(seconds / 2, lambda: self._end(one, how))
        else:
            self.world.after(seconds, lambda: self._finish(one, future, task))

    def _finish(self, one: _SimulatedWorker, future: Future[Receipt], task: Task) -> None:
        if one.end is not None or future.done():
            return
        one.given.popleft()
        flow = self.flows[task.flow]
        if error := flow.failure_of(task):
            future.set_exception(error)
        else:
            future.set_result(flow.receipt_of(task, one.pid))
        self._begin(one)

    def _end(self, one: _SimulatedWorker, how: End) -> None:
        if one.end is None:
            told = not how.wanted and how is not UNKNOWN
            one.end = End(
                how.reason, one.pid if told else None, how.stillborn, how.wanted, how.outside
            )
            lost, one.given = one.given, deque()
            for future, _ in lost:
                if not future.cancelled():
                    future.set_exception(BrokenExecutor("its worker has died"))


class SimulatedPool(SimulatedExecutor):
    """An executor whose workers are replaced one by one, as ours are."""

    def rebuild(self, lost: Future[Any], *, wanted: bool = False) -> End:
        ended = self._given[lost]
        self._end(ended, WANTED if wanted else UNKNOWN)
        self._workers = {n: one for n, one in self._workers.items() if one is not ended}
        assert ended.end is not None
        return ended.end

    def label(self, future: Future[Any]) -> str:
        return self._given[future].label

    def look_after(self) -> None:
        self.looked_after += 1

    def limit(self, workers: int) -> None:
        self.count = workers

    def kill(self) -> None:
        for one in self._workers.values():
            self._end(one, WANTED)


class SimulatedSerial(SimulatedExecutor):
    """An executor that does each task while it is handed over."""

    at_once = True

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        (task,) = args
        flow, future = self.flows[task.flow], Future[Any]()
        assert not flow.closed
        self.submitted.append((task.flow, task.index))
        self.world.now += flow.seconds_of(task)
        if error := flow.failure_of(task):
            future.set_exception(error)
        else:
            future.set_result(flow.receipt_of(task, 0))
        return future


def _sign(note: Slot | None, pid: int) -> None:
    if note is not None:
        note.array((1,), workernotes._FIELDS)["worker"] = pid


class SimulatedFlow:
    """A pass of some tasks.

    Parameters
    ----------
    executor : SimulatedExecutor
        Does the tasks.
    seconds : sequence of float
        How long each takes.
    window : int
        How many of them may be under way.
    reading : float or None
        Seconds after which one task more is ready, of a flow that reads.
    failing : dict of int to Exception
        The tasks that fail.
    dying : dict of int to (End, int)
        The tasks whose worker dies, how, and at how many of the first attempts.
    """

    aside = False

    def __init__(
        self,
        executor: SimulatedExecutor,
        seconds: Sequence[float],
        *,
        window: int = 100,
        reading: float | None = None,
        failing: dict[int, Exception] | None = None,
        dying: dict[int, tuple[End, float]] | None = None,
    ) -> None:
        self.number = next_number()
        self.seconds, self.failing = seconds, failing or {}
        self.landed: list[int] = []
        self.closed = self.started = False
        self._executor, self._window = executor, window
        self._reading, self._dying = reading, dying or {}
        self._ready = len(seconds) if reading is None else 0
        self._made = 0
        self._out: set[int] = set()
        self._notes = Buffers(1, workernotes.NOTE_BYTES * len(seconds), shared=False)
        executor.flows[self.number] = self

    @property
    def reads(self) -> bool:
        return self._reading is not None and self._ready < len(self.seconds)

    @property
    def done(self) -> bool:
        return len(self.landed) == len(self.seconds)

    def death_of(self, task: Task, attempt: int) -> End | None:
        how, attempts = self._dying.get(task.index, (None, 0))
        return how if attempt <= attempts else None

    def seconds_of(self, task: Task) -> float:
        return self.seconds[task.index]

    def failure_of(self, task: Task) -> Exception | None:
        return self.failing.get(task.index)

    def receipt_of(self, task: Task, pid: int) -> Receipt:
        return Receipt(worker=pid)

    def start(self, wake: Callable[[], None] | None) -> None:
        assert not self.started
        self.started = True
        if wake is None:
            self._ready = len(self.seconds)
        elif self._reading is not None:
            self._read_on(wake)

    def next_task(self) -> Task | None:
        assert self.started
        assert not self.closed
        if self._made == self._ready or len(self._out) == self._window:
            return None
        index, self._made = self._made, self._made + 1
        self._out.add(index)
        slot = self._notes.slots[0]
        size = workernotes.NOTE_BYTES
        note = Slot(slot.token, slot.path, slot.file, index, index * size, size)
        return Task("chunks", self.number, index, JobRef("", None, 0), note=note)

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        assert not self.closed
        self._out.remove(task.index)  # fails if it has landed before
        self.landed.append(task.index)

    def describe(self, task: Task) -> str:
        return f"task {task.index}"

    def job_to_warm_up(self) -> JobRef | None:
        return None

    def close(self) -> None:
        self.closed = True
        self._notes.close()

    def _read_on(self, wake: Callable[[], None]) -> None:
        def read() -> None:
            self._ready += 1
            if not self.closed:
                wake()
                if self.reads:
                    self._read_on(wake)

        assert self._reading is not None
        self._executor.world.after(self._reading, read)


Pass = Callable[[], SimulatedFlow]


class SimulatedImage:
    """An image of some passes.

    Parameters
    ----------
    number : int
        Its turn.
    passes : iterable of callable
        Each makes a flow, once the one before is done.
    pixels : int
        Its size.
    cost : Cost
        The memory that it takes.
    """

    def __init__(
        self, number: int, passes: Iterable[Pass], *, pixels: int = 1, cost: Cost = NOTHING
    ) -> None:
        self.number, self.name = number, f"image {number}"
        self.pixels, self.cost = pixels, cost
        self._stop: Callable[[], None] = lambda: None
        self.made: list[SimulatedFlow] = []
        self.lost_tasks = 0
        self.begun = self.closed = self.crowded = False
        self._passes = passes

    def flows(self) -> Generator[Any, None, Any]:
        assert not self.begun
        self.begun = True
        for make in self._passes:
            flow = make()
            self.made.append(flow)
            yield flow
            assert flow.done
            assert flow.closed
        return self.number

    def prepare(self, *, crowded: bool) -> None:
        assert not self.begun
        self.crowded = crowded

    def attach(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def stop(self) -> None:
        """End it, as another thread would."""
        self._stop()

    def lost(self, reason: str, tasks: int) -> None:
        self.lost_tasks += tasks

    def close(self) -> None:
        assert all(flow.closed for flow in self.made)
        self.closed = True


class Thing(NamedTuple):
    """An item of a call."""

    number: int

    @property
    def name(self) -> str:
        return f"item {self.number}"


class SimulatedDispatcher:
    """Groups of items that take a second each.

    Parameters
    ----------
    groups : sequence of int
        The number of items of each call.
    most : int or None
        How many items a call answers at once.
    failing : dict of int to Exception
        The items at which a call raises.
    dying : dict of int to (End, int)
        The items at which the worker dies, how, and at how many of the first attempts.
    """

    def __init__(
        self,
        groups: Sequence[int],
        *,
        most: int | None = None,
        failing: dict[int, Exception] | None = None,
        dying: dict[int, tuple[End, float]] | None = None,
    ) -> None:
        numbers = itertools.count()
        self._groups = deque(tuple(Thing(next(numbers)) for _ in range(count)) for count in groups)
        self._most, self._failing, self._dying = most, failing or {}, dying or {}
        self.stopped = self.closed = False
        self.control = Control()
        self.answered: list[int] = []
        self.given_up: dict[int, Exception] = {}
        self.attempts: Counter[int] = Counter()
        self._took: dict[int, int] = {}
        self.refuses: Exception | None = None

    @property
    def exhausted(self) -> bool:
        return not self._groups

    def take(self) -> tuple[Thing, ...]:
        return self._groups.popleft()

    def land(self, item: Thing, answer: int, worker: Worker) -> None:
        assert answer == item.number
        if self.refuses is not None:
            raise self.refuses
        self.answered.append(answer)

    def give_up(self, item: Thing, error: Exception, attempts: int) -> None:
        self.given_up[item.number] = error

    def seconds_of(self, task: Task) -> float:
        """Return the seconds of a call; 0 if it is asked back before."""
        self._took[task.index] = 0 if workernotes.asked_back(task.note) else len(task.values)
        return float(self._took[task.index])

    def death_of(self, task: Task, attempt: int) -> End | None:
        for at, item in enumerate(task.values):
            self.attempts[item.number] += 1
            how, attempts = self._dying.get(item.number, (None, 0))
            if how is not None and self.attempts[item.number] <= attempts:
                if task.note is not None and not how.stillborn:
                    task.note.array((1,), workernotes._FIELDS)["item"] = at
                return how
        return None

    def failure_of(self, task: Task) -> Exception | None:
        return next(
            (self._failing[one.number] for one in task.values if one.number in self._failing), None
        )

    def receipt_of(self, task: Task, pid: int) -> Receipt:
        back = self._took.pop(task.index, 1) == 0
        answers = () if back else tuple(item.number for item in task.values[: self._most])
        return Receipt(worker=pid, answers=answers)


def _never_called(common: Any, items: tuple[Any, ...], call: Any) -> list[Any]:
    raise NotImplementedError


class SimulatedCalls(Calls):
    """Calls whose tasks a simulated executor does as its dispatcher says."""

    executor: SimulatedExecutor

    def flows(self) -> Generator[CallFlow, None, None]:
        assert isinstance(self.dispatcher, SimulatedDispatcher)
        for flow in super().flows():
            self.executor.flows[flow.number] = self.dispatcher
            try:
                yield flow
            finally:
                self.dispatcher.closed = True


def _itself(image: Any) -> Any:
    return image


class Simulation:
    """A crew, its executor, and images.

    Parameters
    ----------
    workers : int
        How many.
    kind : type
        What carries the tasks.
    **options
        For the crew.
    """

    def __init__(
        self, workers: int = 2, *, kind: type[SimulatedExecutor] = SimulatedPool, **options: Any
    ) -> None:
        self.world = World()
        self.executor = kind(self.world, workers)
        options = {"lasting": True} | options
        self.crew = Crew(
            self.executor, workers, inbox=self.world, clock=self.world.clock, **options
        )
        self.images: list[SimulatedImage] = []
        self.calls: list[SimulatedCalls] = []
        self.ended: dict[int, float] = {}  # when the outcome of an image was known

    def image(
        self, *passes: Sequence[float], pixels: int = 1, cost: Cost = NOTHING, **options: Any
    ) -> SimulatedImage:
        """Add an image whose passes have tasks of so many seconds; `options` are of its flows."""

        def making(seconds: Sequence[float]) -> Pass:
            return lambda: SimulatedFlow(self.executor, seconds, **options)

        made = SimulatedImage(len(self.images) + 1, map(making, passes), pixels=pixels, cost=cost)
        self.images.append(made)
        return made

    def add_calls(
        self, groups: Sequence[int], *, cost: Cost = NOTHING, **options: Any
    ) -> SimulatedDispatcher:
        """Add an image of calls, each of so many items; `options` are of its dispatcher."""
        dispatcher, executor = SimulatedDispatcher(groups, **options), self.executor
        made = SimulatedCalls(
            CallJob("calls", _never_called, None), dispatcher, cost,
            executor.count, executor.traits, dispatcher.control,
        )  # fmt: skip
        made.executor = executor
        made.number = -1 - len(self.calls)  # that of no image; calls are begun first
        self.calls.append(made)
        return dispatcher

    def run_any(self) -> list[Outcome]:
        """Make all images and calls; return their outcomes in any order."""
        both: list[Any] = [*self.calls, *self.images]
        outcomes = list(self.outcomes([partial(_itself, image) for image in both]))
        assert len(outcomes) == len(both)
        self.must_be_over()
        return outcomes

    def outcomes(self, openings: Iterable[Opening | None] | None = None) -> Iterator[Outcome]:
        """Yield the outcomes of all images, or of others."""
        if openings is None:
            openings = [lambda image=image: image for image in self.images]
        for outcome in self.crew.make(openings):
            self.ended[outcome.turn] = self.world.now
            yield outcome

    def run(self) -> list[Outcome]:
        """Make all images; return their outcomes in the order of the images."""
        outcomes = sorted(self.outcomes(), key=lambda outcome: outcome.turn)
        assert [outcome.turn for outcome in outcomes] == list(range(len(self.images)))
        self.must_be_over()
        for outcome, image in zip(outcomes, self.images, strict=True):
            if outcome.error is None:
                assert outcome.result == image.number
                assert all(flow.done for flow in image.made)
        return outcomes

    def must_be_over(self) -> None:
        """Assert that nothing goes on, and nothing is held."""
        for image in self.images:
            assert image.closed or not image.begun
            assert all(flow.closed for flow in image.made)
        if isinstance(self.executor, SimulatedPool):
            assert not self.executor.at_work
        assert not self.crew._active
        assert not self.crew._by_flow
        assert not len(self.crew._queue)

    def forget(self) -> None:
        """Undo the circles of simulated objects, which refer to their executor."""
        self.images.clear()
        self.world._events.clear()
        for held in (self.executor._workers, self.executor._given, self.executor.flows):
            held.clear()
