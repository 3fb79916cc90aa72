"""Calls: many small items as few tasks, each a call of a function of imgpipe's.

A `Calls` is an image for the crew, with one flow. Its tasks are groups of items, and a `Dispatcher`
gets the answer of each item. If a call ends its worker, only the item under way loses one of its
attempts: all items of the group without an answer are tried one by one.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator
from typing import Any, Protocol

from imgpipe.acceleration import remark
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.base import Wake
from imgpipe.engine.flow import Worker, next_number, task_done
from imgpipe.engine.jobs import CallJob, published
from imgpipe.engine.lease import Lease, TaskSlots
from imgpipe.engine.run import numbers
from imgpipe.engine.taskqueue import Ended, blamed
from imgpipe.engine.tasks import JobRef, Task
from imgpipe.engine.worker import Receipt
from imgpipe.engine.workernotes import asked_back, call_back
from imgpipe.errors import ImgpipeError, WorkerError
from imgpipe.events import Observer, WorkerLost
from imgpipe.executors.base import Traits
from imgpipe.records import dataclass

__all__ = ["CallFlow", "Calls", "Dispatcher", "Item"]

_PER_WORKER = 2  # calls at once: one under way, and one that waits for its worker


class Item(Protocol):
    """One of the items of a call. Picklable."""

    @property
    def name(self) -> str:
        """The item, for messages."""


class Dispatcher(Protocol):
    """The place where items come from and answers go. The loop of the crew calls it.

    An exception of it ends all calls.
    """

    @property
    def exhausted(self) -> bool:
        """Return whether `take` has no more items, now and later."""

    @property
    def stopped(self) -> bool:
        """Return whether nothing may begin any more: items without an answer get none."""

    def take(self) -> tuple[Any, ...]:
        """Return the items of the next call, none if there are none just now."""

    def land(self, item: Any, answer: Any, worker: Worker) -> None:
        """Take the answer for an item."""

    def give_up(self, item: Any, error: Exception, attempts: int) -> None:
        """Note that an item gets no answer, after so many attempts."""


class CallFlow:
    """The calls.

    Parameters
    ----------
    job : CallJob
        Their common part.
    ref : JobRef
        Its way to the workers.
    dispatcher : Dispatcher
        Gives the items.
    lease : Lease
        Memory for the notes of calls under way.
    on_event : callable
        Gets the events.
    held : CleanupStack
        Frees the memory.

    Attributes
    ----------
    waits : bool
        Whether no call is made just now, because an image needs the memory.
    landed : float
        Calls that have come back since they had to wait; infinite if they never had to.
    """

    reads = aside = False

    def __init__(
        self,
        *,
        job: CallJob,
        ref: JobRef,
        dispatcher: Dispatcher,
        lease: Lease,
        on_event: Observer,
        held: CleanupStack,
    ) -> None:
        self.number = next_number()
        self._job, self._ref, self._dispatcher = job, ref, dispatcher
        self._lease, self._on_event, self._held = lease, on_event, held
        self._indices = itertools.count()
        self._again: deque[tuple[Any, ...]] = deque()
        self._out: dict[int, TaskSlots] = {}
        self._losses: defaultdict[int, Counter[str]] = defaultdict(Counter)  # by id of the item
        self.waits, self.landed = False, math.inf

    @property
    def done(self) -> bool:
        """Return whether every item has its answer."""
        if self._dispatcher.stopped:
            return not self._out
        return self._dispatcher.exhausted and not self._out and not self._again

    @property
    def rests(self) -> bool:
        """Return whether no call takes memory, because an image needs it."""
        return self.waits and not self._out

    def make_way(self) -> None:
        """Make no more calls until `go_on`."""
        self.waits = True
        self.call_back()

    def go_on(self) -> None:
        """Make calls again."""
        self.waits, self.landed = False, 0

    def call_back(self) -> None:
        """Have the calls under way end after their present items."""
        for slots in self._out.values():
            call_back(slots.note)

    def start(self, wake: Wake | None) -> None:
        """Do nothing: calls need no preparation."""

    def job_to_warm_up(self) -> None:
        """Return nothing: the first call warms up as well."""

    def next_task(self) -> Task | None:
        """Return the next call, None if there is none just now."""
        if not self._lease or self._dispatcher.stopped or self.waits:
            return None
        items = self._again.popleft() if self._again else ()
        if not items and not self._dispatcher.exhausted:
            items = self._dispatcher.take()
        if not items:
            return None
        index, slots = next(self._indices), self._lease.take()
        self._out[index] = slots
        return Task(
            kind="call",
            flow=self.number,
            index=index,
            job=self._ref,
            note=slots.note,
            values=items,
            made=time.monotonic(),
        )

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        """Hand on the answers of a call; items without one are tried again."""
        self._on_event(task_done(0, task, receipt, worker))
        for text in receipt.remarks:
            remark(text)
        called_back = asked_back(self._out[task.index].note) or self._dispatcher.stopped
        self._give_back(task)
        self.landed += 1
        done = len(receipt.answers)
        if not done and not called_back and not self._dispatcher.stopped:
            self._give_up(task.values, WorkerError("a call has come back without an answer"))
            return
        # As many at once as the worker got through.
        rest, size = task.values[done:], done or len(task.values)
        self._again.extend(rest[at : at + size] for at in range(0, len(rest), size))
        for item, answer in zip(task.values, receipt.answers, strict=False):
            self._losses.pop(id(item), None)
            self._dispatcher.land(item, answer, worker)

    def ended(self, message: Ended) -> None:
        """Try the items of a lost call one by one, except one that is given up."""
        items, error = message.task.values, message.error
        self._give_back(message.task)
        if error is not None:
            if len(items) == 1:
                self._give_up(items, error)
                return
            suspects: tuple[Any, ...] = ()
        else:
            suspects = items if message.item is None else (items[message.item],)
        left: list[Any] = []
        for item in items:
            fault = self._fault(item, message) if any(item is one for one in suspects) else None
            if fault is None:
                left.append(item)
            else:
                self._give_up((item,), fault)
        self._again.extend((item,) for item in left)

    def describe(self, task: Task) -> str:
        """Return a description of the work of a call."""
        return f"the work on {', '.join(item.name for item in task.values[:3])}"

    def close(self) -> None:
        """Give back all memory."""
        self._held.close()

    def _fault(self, item: Any, message: Ended) -> ImgpipeError | None:
        """Count the loss of a worker by an item; return an error if it is to be given up."""
        assert message.end is not None
        at = f"the filter {message.filter}" if message.filter else "making it"
        work = f"{item.name}: {'reading it' if message.reads else at}"
        return blamed(work, self._losses[id(item)], message.end, reads=message.reads)

    def _give_up(self, items: tuple[Any, ...], error: Exception) -> None:
        for item in items:
            losses = self._losses.pop(id(item), None)
            self._dispatcher.give_up(item, error, losses.total() if losses else 1)

    def _give_back(self, task: Task) -> None:
        self._lease.give_back(self._out.pop(task.index))


@dataclass
class Calls:
    """All calls of a batch, as an image for the crew.

    Attributes
    ----------
    job : CallJob
        The function, and what is common to all calls.
    dispatcher : Dispatcher
        Gives the items and takes the answers.
    cost : Cost
        The memory of the calls: that of the largest for each worker.
    workers : int
        The number of workers.
    traits : Traits
        Facts about the executor.
    control : Control
        Stops the calls.
    on_event : callable
        Gets the events.
    pixels : int
        The size, for the order of images.
    """

    job: CallJob
    dispatcher: Dispatcher
    cost: Cost
    workers: int
    traits: Traits
    control: Control
    on_event: Observer = lambda _: None
    pixels: int = 0

    def __post_init__(self) -> None:
        self.number = next(numbers)

    @property
    def name(self) -> str:
        """The work, for messages."""
        return self.job.name

    def flows(self) -> Generator[CallFlow, None, None]:
        """Yield the only flow."""
        with CleanupStack() as held:
            with uninterrupted(), CleanupStack() as opened:
                ref = published(self.job, self.traits, opened)
                lease = Lease(
                    _PER_WORKER * self.workers, (), notes=self.traits.shares_memory, held=opened
                )
                flow = CallFlow(
                    job=self.job,
                    ref=ref,
                    dispatcher=self.dispatcher,
                    lease=lease,
                    on_event=self.on_event,
                    held=opened.pop_all(),
                )
                held.callback(flow.close)
            self.control.call_back = flow.call_back
            yield flow

    def prepare(self, *, crowded: bool) -> None:
        """Nothing is chosen."""

    def attach(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the calls are to end."""
        self.control.attach(stop)

    def lost(self, reason: str, tasks: int) -> None:
        """Report the death of a worker that had some of the calls."""
        self.on_event(
            WorkerLost(time=time.monotonic(), run=self.number, reason=reason, tasks=tasks)
        )

    def close(self) -> None:
        """Release nothing: all goes with the flow."""
