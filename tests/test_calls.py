"""Calls: many small items as few tasks, of which none harms another."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine import workernotes
from imgpipe.engine.budget import Budget
from imgpipe.engine.buffers import Buffers
from imgpipe.engine.callcontext import CallContext
from imgpipe.engine.calls import Calls
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost
from imgpipe.engine.crew import Crew
from imgpipe.engine.flow import Worker
from imgpipe.engine.jobs import CallJob
from imgpipe.engine.order import ORDERS, Order
from imgpipe.errors import Cancelled, FilterTimeout, ImgpipeError, WorkerError
from imgpipe.executors.base import traits_of
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.executors.serial import SerialExecutor
from imgpipe.geometry import Box
from tests.simulation import (
    FAULT,
    NEVER,
    OUTSIDE,
    STILLBORN,
    TIMEOUT,
    SimulatedDispatcher,
    SimulatedExecutor,
    SimulatedPool,
    SimulatedSerial,
    Simulation,
)

GROUPS = st.lists(st.integers(1, 5), min_size=1, max_size=6)
CHUNKED = st.lists(
    st.lists(st.lists(st.sampled_from([0.5, 1.0, 7.0]), min_size=1, max_size=4), min_size=1,
             max_size=2), max_size=3
)  # fmt: skip


def calls(simulation: Simulation, *groups: int, **given: Any) -> SimulatedDispatcher:
    """Add an image of calls, each of so many items, to a simulation; return its dispatcher."""
    return simulation.add_calls(groups, **given)


# --- every item, once -----------------------------------------------------------------------


@given(
    batches=st.lists(GROUPS, min_size=1, max_size=3),
    images=CHUNKED,
    name=st.sampled_from(ORDERS),
    kind=st.sampled_from([SimulatedExecutor, SimulatedPool, SimulatedSerial]),
    workers=st.integers(1, 4),
)
def test_every_item_of_every_call_has_one_answer_beside_images_in_chunks(
    batches: list[list[int]],
    images: list[Any],
    name: Any,
    kind: type[SimulatedExecutor],
    workers: int,
) -> None:
    simulation = Simulation(workers, order=Order(name, seed=1), kind=kind)
    dispatchers = [calls(simulation, *groups) for groups in batches]
    for passes in images:
        simulation.image(*passes)
    assert all(outcome.error is None for outcome in simulation.run_any())
    for dispatcher, groups in zip(dispatchers, batches, strict=True):
        assert sorted(dispatcher.answered) == list(range(sum(groups)))
        assert not dispatcher.given_up


def test_items_that_a_call_gives_back_are_called_again() -> None:
    simulation = Simulation(2)
    dispatcher = calls(simulation, 5, 3, most=2)  # answers of two items at once
    simulation.run_any()
    assert sorted(dispatcher.answered) == list(range(8))
    assert sorted(simulation.executor.values) == [1, 1, 2, 3, 5]


def test_an_image_of_many_tasks_does_not_hold_calls_up() -> None:
    simulation = Simulation(2, order=Order("round-robin"))
    calls(simulation, *[2] * 10)
    simulation.image([1.0] * 100)
    simulation.run_any()
    both, alone = 10 * (2.0 + 1.0) / 2, 10 * 2.0 / 2
    assert alone < simulation.ended[0] <= both + 2.0
    assert simulation.ended[1] == (10 * 2.0 + 100) / 2


# --- deaths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "attempts", "error"), [(FAULT, 3, WorkerError), (TIMEOUT, 1, FilterTimeout)]
)
def test_an_item_that_ends_its_workers_is_given_up_and_no_other(
    how: Any, attempts: int, error: type[ImgpipeError]
) -> None:
    simulation = Simulation(2)
    dispatcher = calls(simulation, 6, 6, dying={3: (how, NEVER)})
    simulation.image([1.0] * 4)
    assert all(outcome.error is None for outcome in simulation.run_any())
    assert list(dispatcher.given_up) == [3]
    assert isinstance(dispatcher.given_up[3], error)
    assert "item 3" in str(dispatcher.given_up[3])
    assert dispatcher.attempts[3] == attempts
    assert sorted(dispatcher.answered) == [number for number in range(12) if number != 3]


def test_two_deaths_by_its_own_fault_are_forgiven() -> None:
    simulation = Simulation(2)
    dispatcher = calls(simulation, 4, dying={1: (FAULT, 2), 2: (FAULT, 2)})
    simulation.run_any()
    assert sorted(dispatcher.answered) == [0, 1, 2, 3]


def test_items_that_a_death_took_along_are_tried_one_by_one() -> None:
    simulation = Simulation(1)
    calls(simulation, 4, 2, dying={1: (FAULT, 1)})
    simulation.run_any()
    assert sorted(simulation.executor.values) == [1, 1, 1, 1, 2, 4]


def test_a_call_that_waits_behind_the_one_that_died_keeps_its_items_together() -> None:
    simulation = Simulation(1)
    dispatcher = calls(simulation, 1, 5, dying={0: (FAULT, NEVER)})
    simulation.run_any()
    assert list(dispatcher.given_up) == [0]
    assert 5 in simulation.executor.values
    assert simulation.executor.values.count(1) == 3


@pytest.mark.parametrize(("deaths", "lost"), [(19, []), (20, [2])])
def test_deaths_from_outside_are_forgiven_up_to_a_limit(deaths: int, lost: list[int]) -> None:
    simulation = Simulation(1)
    dispatcher = calls(simulation, 4, dying={2: (OUTSIDE, deaths)})
    simulation.run_any()
    assert list(dispatcher.given_up) == lost


def test_if_no_worker_can_start_the_calls_end() -> None:
    simulation = Simulation(1)
    calls(simulation, 4, dying={0: (STILLBORN, NEVER)})
    (outcome,) = simulation.run_any()
    assert isinstance(outcome.error, WorkerError)
    assert "no worker could start" in str(outcome.error)


def test_a_call_that_raises_costs_only_the_item_that_does() -> None:
    simulation = Simulation(2)
    dispatcher = calls(simulation, 5, failing={2: ValueError("its own fault")})
    simulation.run_any()
    assert sorted(dispatcher.answered) == [0, 1, 3, 4]
    assert str(dispatcher.given_up[2]) == "its own fault"


# --- memory ---------------------------------------------------------------------------------


CALLS = Cost(per_worker=20)  # twice, with two workers
LARGE = Cost(shared=80)


def test_calls_make_way_for_an_image_that_needs_their_memory() -> None:
    """The image begins when the present items have ended, and the calls go on after it."""
    simulation = Simulation(2, budget=Budget(granted=100, workers=2))
    dispatcher = calls(simulation, *[1] * 20, cost=CALLS)
    image = simulation.image([1.0] * 4, cost=LARGE)
    simulation.run_any()
    first = next(when for when, flow, _ in simulation.executor.begun
                 if simulation.executor.flows[flow] in image.made)  # fmt: skip
    assert first <= 1.0  # of the two items at once
    beside = [
        when
        for when, flow, _ in simulation.executor.begun
        if simulation.executor.flows[flow] is dispatcher and first <= when < simulation.ended[1]
    ]
    assert not beside
    assert len(dispatcher.answered) == 20


def test_between_two_such_images_calls_have_their_turn() -> None:
    simulation = Simulation(2, budget=Budget(granted=100, workers=2))
    dispatcher = calls(simulation, *[1] * 40, cost=CALLS)
    images = [simulation.image([1.0] * 6, cost=LARGE) for _ in range(3)]
    simulation.run_any()
    begun = [simulation.executor.flows[flow] for _, flow, _ in simulation.executor.begun]
    turns = [name for name, _ in itertools.groupby(
        "calls" if flow is dispatcher else "image" for flow in begun
    )]  # fmt: skip
    assert turns == ["image", "calls"] * 3
    assert all(image.made for image in images)
    assert len(dispatcher.answered) == 40


@given(
    groups=st.lists(st.integers(1, 3), min_size=1, max_size=20),
    images=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 100)), max_size=5),
    name=st.sampled_from(ORDERS),
)
def test_calls_and_images_of_any_size_all_come_to_their_end(
    groups: list[int], images: list[tuple[int, int]], name: Any
) -> None:
    budget = Budget(granted=100, workers=2)
    simulation = Simulation(2, budget=budget, order=Order(name, seed=1))
    dispatcher = calls(simulation, *groups, cost=CALLS)
    for tasks, size in images:
        simulation.image([1.0] * tasks, cost=Cost(shared=size))
    assert all(outcome.error is None for outcome in simulation.run_any())
    assert len(dispatcher.answered) == sum(groups)


# --- the end --------------------------------------------------------------------------------


def test_a_desk_that_is_stopped_gets_the_answers_of_what_is_out_and_no_more() -> None:
    simulation = Simulation(1)
    dispatcher = calls(simulation, 2, 2, 2, 2, most=1)

    def stop() -> None:
        dispatcher.stopped = True

    simulation.world.after(0.5, stop)
    (outcome,) = simulation.run_any()
    assert outcome.error is None
    assert len(dispatcher.answered) == 2  # of the call under way, and of the one that was waiting


def test_an_error_of_the_desk_ends_the_calls() -> None:
    simulation = Simulation(2)
    dispatcher = calls(simulation, 2, 2, 2)
    dispatcher.refuses = OSError("the disk is full")
    (outcome,) = simulation.run_any()
    assert outcome.error is dispatcher.refuses


def test_calls_that_are_called_back_give_back_what_has_not_begun() -> None:
    simulation = Simulation(1)
    dispatcher = calls(simulation, 3, 3, 3)

    def stop() -> None:
        dispatcher.stopped = True
        dispatcher.control.call_back()

    simulation.world.after(0.5, stop)
    (outcome,) = simulation.run_any()
    assert outcome.error is None
    assert len(dispatcher.answered) == 3  # of the call under way
    assert not dispatcher.given_up


def test_calls_can_be_stopped() -> None:
    simulation = Simulation(1)
    dispatcher = calls(simulation, 2, 2, 2)
    simulation.world.after(1.0, dispatcher.control.stop)
    (outcome,) = simulation.run_any()
    assert isinstance(outcome.error, Cancelled)


# --- real processes -------------------------------------------------------------------------


class Work(NamedTuple):
    name: str
    kind: str = "fine"


def work(common: int, items: tuple[Work, ...], call: CallContext) -> list[int]:
    """Answer with a number for each item; some items are of a bad kind."""
    answers = []
    for number, item in enumerate(items):
        with call.at(number):
            match item.kind:
                case "kills":
                    os.kill(os.getpid(), signal.SIGSEGV)
                case "hangs":
                    time.sleep(600)
                case "raises":
                    raise ValueError(item.name)
        answers.append(common + int(item.name))
    return answers


class Pile:
    """A dispatcher with all its groups ready."""

    exhausted = stopped = False

    def __init__(self, groups: Sequence[tuple[Any, ...]]) -> None:
        self.groups = list(groups)
        self.answers: dict[str, Any] = {}
        self.given_up: dict[str, Exception] = {}

    def take(self) -> tuple[Any, ...]:
        group = self.groups.pop(0)
        self.exhausted = not self.groups
        return group

    def land(self, item: Any, answer: Any, worker: Worker) -> None:
        assert worker.label
        self.answers[item.name] = answer

    def give_up(self, item: Any, error: Exception, attempts: int) -> None:
        self.given_up[item.name] = error


def made(executor: Any, workers: int, pile: Pile, timeout: float | None = None) -> None:
    supervised = isinstance(executor, ProcessExecutor)
    job = CallJob("numbers", work, 100, timeout=timeout if supervised else None)
    image = Calls(job, pile, Cost(), workers, traits_of(executor), Control())
    (outcome,) = Crew(executor, workers).make([lambda: image])
    assert outcome.error is None


def test_in_this_process_each_item_has_its_answer() -> None:
    pile = Pile([(Work("1"), Work("2")), (Work("3", "raises"), Work("4"))])
    made(SerialExecutor(), 1, pile)
    assert pile.answers == {"1": 101, "2": 102, "4": 104}
    assert list(pile.given_up) == ["3"]


def test_in_processes_kills_and_hangs_cost_only_the_items_that_do_it() -> None:
    pile = Pile([
        (Work("1"), Work("2", "kills"), Work("3")),
        (Work("4"), Work("5", "raises"), Work("6", "hangs"), Work("7")),
    ])  # fmt: skip
    with ProcessExecutor(2) as executor:
        made(executor, 2, pile, timeout=1.0)
    assert pile.answers == {"1": 101, "3": 103, "4": 104, "7": 107}
    kinds = {name: type(error) for name, error in pile.given_up.items()}
    assert kinds == {"2": WorkerError, "5": ValueError, "6": FilterTimeout}
    assert "2: making it ended 3 workers in a row" in str(pile.given_up["2"])


def test_a_note_names_the_filter_that_an_item_is_at() -> None:
    buffers = Buffers(1, workernotes.NOTE_BYTES, shared=False)
    (slot,) = buffers.slots
    workernotes.forget(slot)
    workernotes.note_filters(slot, ["blur(sigma=2)", "mine('é\n')", "x" * 300])
    assert workernotes.filter_noted(slot) == ""
    for stage, name in enumerate(["blur(sigma=2)", "mine('é ')", "", ""]):
        with workernotes.at_chunk(slot, Box(0, 0, 1, 1)) as entering:
            entering(stage)
            assert workernotes.filter_noted(slot) == name
    assert workernotes.filter_noted(slot) == ""


def test_a_note_names_the_item_and_is_forgotten_with_the_task() -> None:
    buffers = Buffers(1, workernotes.NOTE_BYTES, shared=False)
    (slot,) = buffers.slots
    workernotes.forget(slot)
    assert workernotes.item_noted(slot) is None
    with CallContext(slot, None).at(3):
        assert workernotes.item_noted(slot) == 3
    assert workernotes.item_noted(slot) is None
    buffers.close()
