"""A flow gives its tasks in order, takes receipts in any, and knows when it is done."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.cleanup import CleanupStack
from imgpipe.engine.chore import Chore
from imgpipe.engine.flow import PassFlow, Worker
from imgpipe.engine.fold import Fold
from imgpipe.engine.jobs import Branch, Job
from imgpipe.engine.lease import Lease
from imgpipe.engine.outlets import MeasuredOutlet
from imgpipe.engine.parts import Parts
from imgpipe.engine.sealing import SealFlow
from imgpipe.engine.tasks import Inline, JobRef, Part, Task
from imgpipe.engine.tiler import Tiler
from imgpipe.engine.worker import Receipt
from imgpipe.errors import Cancelled, InputError, OutputError
from imgpipe.events import Event, TaskDone
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

REF = JobRef("job", None, 0)
SOMEBODY = Worker("worker 1", 1)


def tiler(rows: int) -> Tiler:
    info = ImageInfo(60, 5, 1, np.dtype("uint8"))
    return Tiler(info, (), 60, 5, rows, (60, 5))


class Given:
    """A feed that gives one input after the other, as they become ready."""

    def __init__(self, count: int) -> None:
        self.ready, self.left = count, count
        self.lent: list[Any] = []
        self.reads = True
        self.closed = 0

    @property
    def exhausted(self) -> bool:
        return self.left <= 0

    def start(self, wake: object) -> None: ...

    def take(self) -> Inline | None:
        if self.left == 0:  # the bytes after the last row
            self.left = -1
        if not self.ready:
            return None
        self.ready, self.left = self.ready - 1, self.left - 1
        self.lent.append(Inline(()))
        return self.lent[-1]

    def spans(self) -> list[tuple[float, float, Box]]:
        return []

    def give_back(self, given: Any) -> None:
        self.lent.remove(given)

    def close(self) -> None:
        self.closed += 1


class Gathered:
    """An outlet that serves parts in order."""

    def __init__(self) -> None:
        self.waiting: dict[int, Part] = {}
        self.served: list[int] = []

    def land(self, part: Part, receipt: Receipt, at: int) -> Iterator[Part]:
        if receipt.measured == "bad":
            raise OutputError("the disk is full")
        self.waiting[part.turn] = part
        while (turn := len(self.served)) in self.waiting:
            self.served.append(turn)
            yield self.waiting.pop(turn)


class Made:
    """A flow of one or more branches, and its surroundings."""

    def __init__(
        self, *rows: int, window: int = 3, ready: int | None = None, fold: Fold | None = None
    ) -> None:
        tilers = tuple(map(tiler, rows))
        self.parts = Parts(tilers)
        self.feed = Given(len(self.parts))
        self.feed.ready = len(self.parts) if ready is None else ready
        self.outlets: tuple[Any, ...] = tuple(Gathered() for _ in rows)
        self.events: list[Event] = []
        self.held = CleanupStack()
        self.freed: list[str] = []
        self.held.callback(self.freed.append, "memory")
        self.flow = PassFlow(
            pass_index=2,
            kind="chunks",
            job=Job("in.png", tuple(map(Branch, tilers))),
            ref=REF,
            feed=self.feed,
            parts=self.parts,
            outlets=self.outlets if fold is None else (MeasuredOutlet(fold, window),),
            operands=((),) * len(rows),
            inline=False,
            lease=Lease(window, (0,) * len(rows), notes=False, held=self.held),
            fold=fold,
            on_event=self.events.append,
            held=self.held,
        )
        self.flow.start(None)

    def land(self, task: Task, **receipt: Any) -> None:
        self.flow.land(task, Receipt(**receipt), SOMEBODY)


def test_tasks_are_given_in_order_while_there_is_a_place_for_them() -> None:
    made = Made(10)
    tasks = [made.flow.next_task() for _ in range(3)]
    assert [task and task.index for task in tasks] == [0, 1, 2]
    assert made.flow.next_task() is None
    assert tasks[1] is not None
    made.land(tasks[1])  # waits for the first
    assert made.flow.next_task() is None
    assert tasks[0] is not None
    made.land(tasks[0])
    found = [made.flow.next_task() for _ in range(3)]
    assert [task and task.index for task in found] == [3, 4, None]


@given(
    rows=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    window=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_whatever_the_order_of_receipts_all_is_served_once(
    rows: list[int], window: int, seed: int
) -> None:
    made, out, draw = Made(*rows, window=window), list[Task](), random.Random(seed)
    given_out = 0
    while not made.flow.done:
        while (task := made.flow.next_task()) is not None:
            assert task.index == given_out
            assert len(out) < window
            given_out += 1
            out.append(task)
        if out:
            made.land(out.pop(draw.randrange(len(out))))
    assert given_out == len(made.parts)
    for branch, outlet in enumerate(made.outlets):
        assert outlet.served == list(range(len(tiler(rows[branch]))))
    assert not made.feed.lent


def test_a_place_is_free_once_all_branches_are_served() -> None:
    made = Made(30, 60, window=1)  # the second branch is made by the second task
    first = made.flow.next_task()
    assert first is not None
    assert [part.branch for part in first.parts] == [0]
    made.land(first)
    second = made.flow.next_task()
    assert second is not None
    assert [part.branch for part in second.parts] == [0, 1]
    made.land(second)
    assert [made.flow.next_task(), made.flow.done] == [None, True]


def test_there_is_no_task_before_the_feed_has_its_image() -> None:
    made = Made(30, ready=0)
    assert made.flow.next_task() is None
    made.feed.ready = 1
    assert made.flow.next_task() is not None
    assert made.flow.next_task() is None


def test_it_is_not_done_before_the_image_is_read_to_its_end() -> None:
    """The bytes after the last row may be damaged."""
    made = Made(60)
    task = made.flow.next_task()
    assert task is not None
    made.feed.left = 1
    made.land(task)
    assert not made.flow.done
    made.feed.left = 0
    assert made.flow.next_task() is None  # which lets the feed look
    assert made.flow.done


def test_an_image_that_cannot_be_read_is_an_error_of_its_flow() -> None:
    made = Made(30)

    def damaged() -> Inline | None:
        raise InputError("damaged")

    made.feed.take = damaged  # type: ignore[method-assign]
    with pytest.raises(InputError, match="damaged"):
        made.flow.next_task()


def test_an_output_that_cannot_be_written_is_an_error_of_its_flow() -> None:
    made = Made(30)
    task = made.flow.next_task()
    assert task is not None
    with pytest.raises(OutputError, match="full"):
        made.land(task, measured="bad")


def test_each_task_that_lands_is_reported() -> None:
    made = Made(60)
    task = made.flow.next_task()
    assert task is not None
    made.land(task, started=1.0, ended=2.0, cpu=3.0)
    (event,) = made.events
    assert isinstance(event, TaskDone)
    assert (event.kind, event.pass_index, event.index, event.box) == ("chunks", 2, 0, task.box)
    assert (event.worker, event.pid, event.started, event.ended) == ("worker 1", 1, 1.0, 2.0)
    assert event.made <= event.time


def test_findings_of_filters_are_merged() -> None:
    made = Made(30)
    tasks = [made.flow.next_task(), made.flow.next_task()]
    for task, seen in zip(tasks, [(1, 4), (2, 4)], strict=True):
        assert task is not None
        made.land(task, seen=seen)
    assert made.flow.seen == (3, 4)


def test_measurements_are_merged_before_other_tasks_one_merge_at_a_time() -> None:
    fold = Fold(20)
    made = Made(3, window=20, fold=fold)
    tasks = [made.flow.next_task() for _ in range(20)]
    for number, task in enumerate(tasks[:8]):
        assert task is not None
        made.land(task, measured=[number])
    merge = made.flow.next_task()
    assert merge is not None
    assert (merge.kind, merge.index) == ("merge", 20)
    assert merge.values == tuple([number] for number in range(8))
    for number, task in enumerate(tasks[8:], 8):
        assert task is not None
        made.land(task, measured=[number])
    assert made.flow.next_task() is None
    made.land(merge, measured=list(range(8)))
    last = made.flow.next_task()
    assert last is not None
    assert not made.flow.done
    made.land(last, measured=list(range(20)))
    assert made.flow.done
    assert fold.result == list(range(20))


def test_it_can_be_closed_at_any_time_and_twice() -> None:
    made = Made(30)
    made.flow.next_task()
    made.flow.close()
    made.flow.close()
    assert made.freed == ["memory"]
    assert made.feed.closed == 2


def test_sealing_is_one_task() -> None:
    events: list[Event] = []
    with CleanupStack() as held:
        flow = SealFlow(
            pass_index=1,
            index=9,
            job=Job("in.png", ()),
            ref=REF,
            lease=Lease(0, (), notes=True, held=held),
            on_event=events.append,
            held=held.pop_all(),
        )
    task = flow.next_task()
    assert task is not None
    assert (task.kind, task.index) == ("seal", 9)
    assert task.note is not None
    assert [flow.next_task(), flow.done] == [None, False]
    flow.land(task, Receipt(), SOMEBODY)
    assert flow.done
    assert [type(event) for event in events] == [TaskDone]
    flow.close()


# --- chores ---------------------------------------------------------------------------------


def test_a_chore_is_done_at_once_where_there_is_nothing_else_to_do() -> None:
    events: list[Any] = []
    chore = Chore(lambda tell, check: [tell("event"), 5][1], events.append, lambda: None)
    chore.start(None)
    assert [chore.done, chore.result, events] == [True, 5, ["event"]]
    assert chore.next_task() is None


def test_a_chore_beside_others_is_done_by_a_thread_and_tells_in_that_of_the_crew() -> None:
    told, ended = list[int](), threading.Event()
    chore = Chore(
        lambda tell, check: tell("event"),  # type: ignore[arg-type]
        lambda event: told.append(threading.get_ident()),
        lambda: None,
    )
    chore.start(ended.set)
    assert ended.wait(30)
    assert not chore.done  # before the event is told
    assert chore.next_task() is None
    assert chore.done
    assert told == [threading.get_ident()]
    chore.close()


def test_a_chore_that_fails_raises_where_it_is_asked() -> None:
    def failing(tell: Any, check: Any) -> None:
        raise OutputError("the disk is full")

    here = Chore(failing, lambda _: None, lambda: None)
    with pytest.raises(OutputError, match="full"):
        here.start(None)
    ended = threading.Event()
    apart = Chore(failing, lambda _: None, lambda: None)
    apart.start(ended.set)
    assert ended.wait(30)
    with pytest.raises(OutputError, match="full"):
        apart.next_task()
    for chore in (here, apart):
        assert not chore.done
        chore.close()


def test_a_chore_that_is_closed_ends_at_its_next_look() -> None:
    begun, ended = threading.Event(), list[type]()

    def endless(tell: Any, check: Any) -> None:
        begun.set()
        try:
            while True:
                check()
        except Cancelled as error:
            ended.append(type(error))
            raise

    chore = Chore(endless, lambda _: None, lambda: None)
    chore.start(lambda: None)
    assert begun.wait(30)
    chore.close()
    assert ended == [Cancelled]
