"""The ledger of tasks that are out: what becomes of each is a message for its flow."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

import pytest

from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.engine.taskqueue import Done, Failed, Lost, Message, Settled, TaskQueue
from imgpipe.engine.tasks import JobRef, Task
from imgpipe.engine.worker import Receipt
from imgpipe.engine.workernotes import NOTE_BYTES, sign
from imgpipe.errors import FilterError, WorkerError
from imgpipe.executors.base import End


class Hand(Executor):
    """An executor whose tasks are done, or not, by hand."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []
        self.refusal: Exception | None = None

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.refusal is not None:
            raise self.refusal
        self.futures.append(Future())
        return self.futures[-1]


class Pool(Hand):
    """One that may be repaired. Its one worker is at the oldest task that is not done."""

    end = End("signal SIGKILL", pid=1)

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[tuple[Future[Any], bool]] = []

    def rebuild(self, lost: Future[Any], *, wanted: bool = False) -> End:
        self.ended.append((lost, wanted))
        for future in self.futures:
            if not future.done():
                future.set_exception(BrokenExecutor("gone"))
        return End("the end", wanted=True) if wanted else self.end

    def label(self, future: Future[Any]) -> str:
        return "worker 7"

    def look_after(self) -> None: ...

    def limit(self, workers: int) -> None: ...

    def kill(self) -> None: ...


class Ledger:
    """A queue, and the messages that come of it."""

    def __init__(self, executor: Hand, window: int = 4) -> None:
        self.arrived: list[Settled] = []
        self.executor = executor
        self.queue = TaskQueue(
            executor, window, self.arrived.append, lambda task: ("in.png", f"task {task.index}")
        )

    def messages(self) -> list[Message]:
        """Settle all that has arrived."""
        found: list[Message] = []
        while self.arrived:
            found += self.queue.settle(self.arrived.pop(0).future)
        return found

    def submit(self, *tasks: Task) -> list[Message]:
        return [message for task in tasks for message in self.queue.submit(task)]


def task(flow: int, index: int, note: Slot | None = None) -> Task:
    return Task("chunks", flow, index, JobRef("", None, 0), note=note)


@pytest.fixture
def note() -> Iterator[Slot]:
    memory = Buffers(1, NOTE_BYTES, shared=False)
    yield memory.slots[0]
    memory.close()


@pytest.mark.parametrize("kind", [Hand, Pool])
def test_a_task_that_is_done_is_reported_with_its_receipt_and_its_worker(kind: type[Hand]) -> None:
    ledger = Ledger(kind())
    assert ledger.submit(task(1, 0), task(1, 1)) == []
    assert len(ledger.queue) == 2
    receipt = Receipt()
    ledger.executor.futures[1].set_result(receipt)
    assert ledger.messages() == [Done(task(1, 1), receipt, "worker 7" if kind is Pool else "")]
    assert len(ledger.queue) == 1


def test_there_is_room_while_fewer_than_the_window_are_out() -> None:
    ledger = Ledger(Hand(), window=2)
    ledger.submit(task(1, 0))
    assert ledger.queue.room
    ledger.submit(task(2, 0))
    assert not ledger.queue.room
    ledger.executor.futures[0].set_result(Receipt())
    ledger.messages()
    assert ledger.queue.room


def test_the_failure_of_a_task_is_a_message_for_its_flow() -> None:
    ledger = Ledger(Hand())
    ledger.submit(task(1, 0), task(2, 0))
    error = FilterError("bad")
    ledger.executor.futures[0].set_exception(error)
    assert ledger.messages() == [Failed(task(1, 0), error)]
    assert [ledger.queue.out(1), ledger.queue.out(2)] == [0, 1]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WorkerError("no process"), "no process"),
        (RuntimeError("shut down"), r"in\.png: the executor takes no more work \(shut down\)"),
        (OSError("unplugged"), r"in\.png: the executor did not take the work \(OSError: unplugged"),
    ],
)
def test_a_task_that_the_executor_refuses_has_failed(error: Exception, words: str) -> None:
    ledger = Ledger(Hand())
    ledger.executor.refusal = error
    (message,) = ledger.submit(task(1, 0))
    assert isinstance(message, Failed)
    with pytest.raises(WorkerError, match=words):
        raise message.error
    assert len(ledger.queue) == 0


def test_tasks_of_a_dead_worker_run_again_in_order_and_beyond_the_window() -> None:
    ledger = Ledger(Pool(), window=2)
    ledger.submit(task(1, 1), task(1, 0))
    ledger.executor.futures[0].set_exception(BrokenExecutor("dead"))
    assert ledger.messages() == [Lost((task(1, 0), task(1, 1)), "signal SIGKILL")]
    assert len(ledger.executor.futures) == 4
    assert len(ledger.queue) == 2
    for future in ledger.executor.futures[2:]:
        future.set_result(Receipt())
    told = [message.task.index for message in ledger.messages() if isinstance(message, Done)]
    assert told == [0, 1]


def test_only_the_task_that_the_worker_had_signed_is_blamed(note: Slot) -> None:
    ledger = Ledger(Pool())
    ledger.executor.end = End("signal SIGSEGV", pid=os.getpid())  # type: ignore[attr-defined]
    ledger.submit(task(1, 0, note), task(2, 0))
    for attempt in range(3):
        sign(note)
        ledger.executor.futures[2 * attempt].set_exception(BrokenExecutor("dead"))
        messages = ledger.messages()
    assert messages[0] == Lost((task(2, 0),), "signal SIGSEGV")
    assert isinstance(messages[1], Failed)
    assert messages[1].task.flow == 1
    assert "in.png: task 0 ended 3 workers in a row" in str(messages[1].error)
    assert [ledger.queue.out(1), ledger.queue.out(2)] == [0, 1]


def test_the_signature_of_one_worker_does_not_count_against_the_next(note: Slot) -> None:
    ledger = Ledger(Pool())
    ledger.executor.end = End("signal SIGSEGV", pid=os.getpid())  # type: ignore[attr-defined]
    ledger.submit(task(1, 0, note))
    sign(note)
    for _ in range(3):
        ledger.executor.futures[-1].set_exception(BrokenExecutor("dead"))
        assert [type(message) for message in ledger.messages()] == [Lost]


def test_nothing_is_told_of_a_flow_that_is_abandoned() -> None:
    for settle in (
        lambda future: future.set_result(Receipt()),
        lambda future: future.set_exception(FilterError("bad")),
        lambda future: future.set_exception(BrokenExecutor("dead")),
    ):
        ledger = Ledger(Pool())
        ledger.submit(task(1, 0), task(1, 1))
        ledger.executor.futures[0].set_running_or_notify_cancel()
        ledger.queue.abandon(1)
        assert ledger.executor.futures[1].cancelled()
        assert ledger.queue.out(1) == 1
        settle(ledger.executor.futures[0])
        assert ledger.messages() == []
        assert ledger.queue.out(1) == 0


def test_a_flow_that_is_abandoned_in_the_middle_of_a_recovery_takes_its_lost_tasks_along() -> None:
    ledger = Ledger(Pool())
    ledger.submit(task(1, 0), task(2, 0), task(1, 1))
    ledger.executor.futures[0].set_exception(BrokenExecutor("dead"))
    (settled, *_) = ledger.arrived
    for message in ledger.queue.settle(settled.future):
        assert isinstance(message, Lost)
        assert ledger.queue.out(1) == 2  # they are in the ledger, though not yet out again
        ledger.queue.abandon(1)
    assert len(ledger.executor.futures) == 4
    assert [ledger.queue.out(1), ledger.queue.out(2)] == [0, 1]


def test_the_worker_of_an_abandoned_task_is_ended_if_it_has_begun(note: Slot) -> None:
    ledger = Ledger(Pool())
    ledger.submit(task(1, 0, note), task(2, 0))
    sign(note)
    ledger.executor.futures[0].set_running_or_notify_cancel()
    ledger.queue.abandon(1)
    messages = list(ledger.queue.end(1))
    assert [wanted for _, wanted in ledger.executor.ended][:1] == [True]  # type: ignore[attr-defined]
    assert [message.tasks for message in messages if isinstance(message, Lost)] == [(task(2, 0),)]
    assert [ledger.queue.out(1), ledger.queue.out(2)] == [0, 1]


def test_and_left_alone_if_it_has_not(note: Slot) -> None:
    ledger = Ledger(Pool())
    ledger.submit(task(1, 0, note))
    ledger.executor.futures[0].set_running_or_notify_cancel()
    ledger.queue.abandon(1)
    assert list(ledger.queue.end(1)) == []
    assert ledger.executor.ended == []  # type: ignore[attr-defined]
    assert ledger.queue.out(1) == 0
    ledger.executor.futures[0].set_result(Receipt())
    assert ledger.messages() == []


def test_a_passed_executor_that_breaks_or_cancels_is_the_end_of_the_flow() -> None:
    ledger = Ledger(Hand())
    ledger.submit(task(1, 0), task(2, 0))
    ledger.executor.futures[0].set_exception(BrokenExecutor("dead"))
    ledger.executor.futures[1].cancel()
    broken, cancelled = ledger.messages()
    assert isinstance(broken, Failed)
    assert isinstance(cancelled, Failed)
    assert "in.png: the executor that was passed has lost its workers (dead)" in str(broken.error)
    assert "in.png: the executor that was passed has cancelled the work" in str(cancelled.error)


def test_a_future_keeps_no_executor_in_memory() -> None:
    gc.collect()
    gc.disable()
    try:
        ledger = Ledger(Hand())
        ledger.submit(task(1, 0))
        future, executor = ledger.executor.futures.pop(), weakref.ref(ledger.executor)
        ledger.queue.close()
        del ledger
        assert executor() is None
        future.set_result(Receipt())
    finally:
        gc.enable()
