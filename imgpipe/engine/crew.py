"""Crew: all that images share, and the loop that makes them.

::

    images ─▶ admit while memory fits ─▶ flows ─▶ TaskQueue ─▶ workers ─▶ land in their flow

One loop asks the flows for tasks while fewer than the window are out, takes one message, and hands
it to its flow. When a flow is done, its image gives the next. Cancelling, lost workers, tasks that
do not end, and the budget are dealt with here, for one image as for thousands.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, Executor
from functools import partial
from typing import Any, NamedTuple, Protocol

from imgpipe.cleanup import uninterrupted
from imgpipe.engine import worker
from imgpipe.engine.activeimage import ActiveImage
from imgpipe.engine.budget import Budget
from imgpipe.engine.calls import CallFlow
from imgpipe.engine.flow import Flow, Worker
from imgpipe.engine.gate import Gate
from imgpipe.engine.order import Order
from imgpipe.engine.taskqueue import Done, Ended, Failed, Lost, Message, Settled, TaskQueue
from imgpipe.engine.tasks import Task
from imgpipe.engine.waitinglist import Image, Opening, Outcome, WaitingList
from imgpipe.engine.workerlabels import WorkerLabels
from imgpipe.errors import Cancelled
from imgpipe.executors.base import Supervised, traits_of, warms_up, works_at_once

__all__ = ["Crew", "Inbox"]

_PER_WORKER = 2  # tasks out at once: one under way, and one that waits for its worker
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 0.5
_MOST_AT_ONCE = 32  # images, each of which has a few files open


class Inbox(Protocol):
    """The queue of messages for the loop, from any thread."""

    def put(self, message: Any) -> None:
        """Add a message."""

    def get(self, block: bool = ..., timeout: float | None = ...) -> Any:  # noqa: FBT001
        """Return the next one; raise `queue.Empty` if none arrives in time."""


class _Woken:
    """A flow may have a new task, or be done."""


class _Stop(NamedTuple):
    """A request to end an image."""

    number: int


class Crew:
    """Makes images with one executor.

    Parameters
    ----------
    executor : Executor
        Carries the tasks.
    workers : int
        Its number of workers.
    order : Order
        Order of the images.
    budget : Budget, optional
        Memory for all images together; without one, every image is admitted.
    lasting : bool
        Whether others use the executor as well, or will after the crew.
    inbox : Inbox, optional
        Takes the messages for the loop.
    clock : callable
        The time, in seconds.

    Attributes
    ----------
    wake : callable
        To be called, from any thread, when an iterator of images that has yielded None has more.
    """

    def __init__(
        self,
        executor: Executor,
        workers: int,
        *,
        order: Order | None = None,
        budget: Budget | None = None,
        lasting: bool = False,
        inbox: Inbox | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor, self._workers = executor, workers
        self._order, self._lasting = order or Order("fifo"), lasting
        self._gate = Gate(budget, workers)
        self._inbox: Inbox = inbox or queue.SimpleQueue()
        self._clock = clock
        self._at_once = works_at_once(executor)
        self._active: dict[int, ActiveImage] = {}
        by_flow = self._by_flow = dict[int, ActiveImage]()
        # None of these refers to the crew: the executor has to go as soon as the crew has.
        inbox = self._inbox
        self.wake: Callable[[], None] = lambda: inbox.put(_Woken())
        self._waiting = WaitingList((), self._order, partial(_attach, inbox))
        window = 1 if self._at_once else _PER_WORKER * workers
        self._queue = TaskQueue(
            executor, window, inbox.put, lambda task: _description_of(task, by_flow)
        )
        self._outcomes: deque[Outcome] = deque()
        self._labels = WorkerLabels()
        self._looks_at = 0.0

    def make(self, images: Iterable[Opening | None]) -> Generator[Outcome, None, None]:
        """Make images; yield the outcome of each as soon as it is known: see `turns`."""
        with contextlib.closing(self.turns(images)) as turns:
            for outcome in turns:
                if outcome is not None:
                    yield outcome

    def turns(
        self, images: Iterable[Opening | None], beat: float = _LOOK_SECONDS
    ) -> Generator[Outcome | None, None, None]:
        """Make images; yield the outcome of each, and None whenever the loop is about to wait.

        Parameters
        ----------
        images : iterable of (Opening or None)
            Opens the images, each when it can begin. It yields None if there is no image yet;
            then its owner calls `wake` later.
        beat : float
            The most seconds between two values.

        Raises
        ------
        BaseException
            An error that stops the loop itself, such as `KeyboardInterrupt`; all images end.
        """
        attach = partial(_attach, self._inbox)
        self._waiting = WaitingList(images, self._order, attach, self._workers)
        self._looks_at = self._clock() + _LOOK_SECONDS
        try:
            while True:
                self._admit()
                worked = self._fill()
                if self._outcomes:
                    while self._outcomes:
                        yield self._outcomes.popleft()
                elif worked:
                    yield None
                elif self._active or not self._waiting.exhausted:
                    yield None
                    self._receive(beat)
                else:
                    return
        finally:
            self._close()

    # --- images -------------------------------------------------------------------------

    def _admit(self) -> None:
        """Begin the images whose memory fits beside that of the images under way."""
        self._gate.look(self._active.values())
        while len(self._active) < _MOST_AT_ONCE and (image := self._waiting.first()):
            known = len(self._active) + len(self._waiting)
            image.prepare(crowded=known >= max(2, self._workers))
            if error := self._gate.refusal(image):
                self._drop(image, error)
            elif not self._gate.admits(image, self._active.values()):
                break
            else:
                self._begin(image)
        while self._waiting.failed:
            self._outcomes.append(self._waiting.failed.popleft())

    def _begin(self, image: Image) -> None:
        self._gate.let_in(image)
        with uninterrupted():
            active = self._active[image.number] = ActiveImage(self._waiting.take(image), image)
        self._next_flow(active)

    def _drop(self, image: Image, error: Exception) -> None:
        """End an image that has not begun."""
        self._gate.let_in(image)
        with uninterrupted():
            turn = self._waiting.take(image)
            image.close()
            self._outcomes.append(Outcome(turn, error=error))

    def _next_flow(self, active: ActiveImage) -> None:
        """Have an image begin its next flow, or end."""
        try:
            flow = active.advance()
        except Exception as error:  # noqa: BLE001 - it is the outcome
            active.error = error
            flow = None
        if flow is None:
            self._finish(active)
        else:
            self._by_flow[flow.number] = active

    def _start(self, active: ActiveImage) -> bool:
        """Start the flow of an image, unless as many flows read as there is room for."""
        flow = active.flow
        assert flow is not None
        reading = sum(one.started and one.flow is not None and one.flow.reads
                      for one in self._active.values())  # fmt: skip
        if flow.reads and reading >= max(1, self._workers // 2):
            return False
        active.started = True
        apart = flow.reads or (flow.aside and not self._alone)
        flow.start(self.wake if apart and not self._at_once else None)
        if flow.reads and not self._at_once:
            self._warm_up(flow)  # while the first rows are read, which all workers wait for
        return True

    @property
    def _alone(self) -> bool:
        """Return whether there is but one image, and none will come."""
        return len(self._active) == 1 and self._waiting.exhausted

    def _warm_up(self, flow: Flow) -> None:
        """Have our own workers start, and get ready, while the first rows are read."""
        ref = flow.job_to_warm_up()
        if warms_up(self._executor) and ref is not None and not len(self._queue):
            with contextlib.suppress(BrokenExecutor, RuntimeError):  # the queue deals with that
                for _ in range(self._workers):
                    self._executor.submit(worker.warm_up, ref)

    def _fail(self, active: ActiveImage, error: Exception) -> None:
        """End an image; its workers may need a moment to come back."""
        if active.error is not None:
            return
        active.error = error
        assert active.flow is not None
        self._queue.abandon(active.flow.number)
        active.deadline = self._clock() + _GRACE_SECONDS
        if (self._alone and not self._lasting) or not self._queue.out(active.flow.number):
            self._finish(active)

    def _end_flow(self, active: ActiveImage) -> None:
        if active.flow is not None:
            self._by_flow.pop(active.flow.number, None)
        active.end_flow()

    def _finish(self, active: ActiveImage) -> None:
        """End an image, and add its outcome."""
        with uninterrupted():
            if active.flow is not None:
                self._by_flow.pop(active.flow.number, None)
            try:
                active.close()
            except Exception as error:  # noqa: BLE001 - it is the outcome, if there is no other
                active.error = active.error or error
            self._active.pop(active.number, None)
        self._outcomes.append(active.outcome())

    # --- tasks --------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Have tasks done while fewer than the window are out; return whether one is done here."""
        while self._queue.room:
            for active in self._order.arranged(list(self._active.values())):
                if self._at_once and self._outcomes:  # they are told before more is done here
                    return False
                task = self._ask(active)
                if task is not None:
                    self._order.served(active)
                    self._deliver(self._queue.submit(task))
                    if self._at_once:
                        return True
                    break
            else:
                break
        return False

    def _ask(self, active: ActiveImage) -> Task | None:
        """Return the next task of an image; go on to its next flow where one is done."""
        while active.error is None and active.flow is not None:
            try:
                if not active.started and not self._start(active):
                    return None
                task = active.flow.next_task()
                if task is not None or not active.flow.done:
                    return task
                self._end_flow(active)
            except Exception as error:  # noqa: BLE001 - it is the outcome
                self._fail(active, error)
                return None
            self._next_flow(active)
        return None

    def _receive(self, most: float) -> None:
        """Wait for one message, but not for long, and act on it."""
        failed = [one.deadline for one in self._active.values() if one.error is not None]
        with contextlib.suppress(queue.Empty):
            until = min([self._looks_at, self._clock() + most, *failed])
            message = self._inbox.get(timeout=max(0.0, until - self._clock()))
            if isinstance(message, Settled):
                self._deliver(self._queue.settle(message.future))
            elif isinstance(message, _Stop):
                self._stop(message.number)
        now = self._clock()
        if now >= self._looks_at:
            self._looks_at = now + _LOOK_SECONDS
            if isinstance(self._executor, Supervised):
                self._executor.look_after()
        self._finish_failed(now)

    def _deliver(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, Lost):
                self._report_loss(message)
                continue
            active = self._by_flow.get(message.task.flow)
            if active is None or active.error is not None:
                continue
            if isinstance(message, Failed):
                if not isinstance(message.error, Exception):
                    raise message.error
                self._fail(active, message.error)
                continue
            try:
                if isinstance(message, Ended):
                    assert isinstance(active.flow, CallFlow)
                    active.flow.ended(message)
                    continue
                assert active.flow is not None
                active.flow.land(message.task, message.receipt, self._worker_of(message))
            except Exception as error:  # noqa: BLE001 - it is the outcome
                self._fail(active, error)

    def _report_loss(self, lost: Lost) -> None:
        for active in list(self._active.values()):
            tasks = sum(self._by_flow.get(task.flow) is active for task in lost.tasks)
            try:
                if tasks:
                    active.image.lost(lost.reason, tasks)
            except Exception as error:  # noqa: BLE001 - it is the outcome
                self._fail(active, error)

    def _worker_of(self, done: Done) -> Worker:
        label = done.worker or self._labels.of(done.receipt)
        near = traits_of(self._executor).same_host
        return Worker(label, done.receipt.worker if near else 0)

    # --- the end ------------------------------------------------------------------------

    def _stop(self, number: int) -> None:
        """End an image on request."""
        if active := self._active.get(number):
            self._fail(active, Cancelled(f"{active.image.name}: stopped before it was complete"))
        elif image := self._waiting.get(number):
            self._drop(image, Cancelled(f"{image.name}: stopped before it was begun"))

    def _finish_failed(self, now: float) -> None:
        """Finish the images that have failed, and have no task out or have had their time."""
        for active in list(self._active.values()):
            if active.error is None or active.flow is None:
                continue
            if active.deadline <= now:
                self._deliver(self._queue.end(active.flow.number))
            if not self._queue.out(active.flow.number):
                self._finish(active)

    def _let_come_back(self, seconds: float) -> None:
        """Wait for the tasks that are out, but not for long."""
        until = self._clock() + seconds
        with contextlib.suppress(queue.Empty):
            while len(self._queue) and (left := until - self._clock()) > 0:
                message = self._inbox.get(timeout=left)
                if isinstance(message, Settled):
                    self._deliver(self._queue.settle(message.future))

    def _close(self) -> None:
        """Close all images that are not done, and take their tasks from workers that others use."""
        with uninterrupted():
            flows = [one.flow.number for one in self._active.values() if one.flow is not None]
            for number in flows:
                self._queue.abandon(number)
            if self._lasting:
                self._let_come_back(_GRACE_SECONDS)
            for number in flows:
                self._deliver(self._queue.end(number))
            for active in list(self._active.values()):
                self._finish(active)
            self._waiting.close()
            self._queue.close()
            self._outcomes.clear()


def _description_of(task: Task, by_flow: dict[int, ActiveImage]) -> tuple[str, str]:
    """Return the name of the image of `task`, and a description of its work."""
    active = by_flow.get(task.flow)
    if active is None or active.flow is None:
        return "", ""
    return active.image.name, active.flow.describe(task)


def _attach(inbox: Inbox, image: Image) -> None:
    """Have the control of an image wake the loop."""
    image.attach(partial(inbox.put, _Stop(image.number)))
