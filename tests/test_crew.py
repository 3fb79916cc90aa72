"""A crew makes any number of images: proved by simulation, with schedules that hypothesis draws."""

from __future__ import annotations

import contextlib
import gc
import itertools
import weakref
from collections.abc import Iterator
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.engine import activeimage, taskqueue, waitinglist
from imgpipe.engine import crew as crew_module
from imgpipe.engine.budget import Budget
from imgpipe.engine.costs import Cost
from imgpipe.engine.order import ORDERS, Order
from imgpipe.engine.waitinglist import Opening
from imgpipe.errors import (
    Cancelled,
    FilterError,
    FilterTimeout,
    InputError,
    MemoryPlanError,
    WorkerError,
)
from tests import tracing
from tests.simulation import (
    FAULT,
    NEVER,
    OUTSIDE,
    STILLBORN,
    TIMEOUT,
    UNKNOWN,
    WANTED,
    SimulatedExecutor,
    SimulatedImage,
    SimulatedPool,
    SimulatedSerial,
    Simulation,
)

SECONDS = st.sampled_from([0.5, 1.0, 1.0, 2.0, 7.0])
PASSES = st.lists(st.lists(SECONDS, min_size=1, max_size=6), min_size=1, max_size=3)
IMAGES = st.lists(
    st.tuples(PASSES, st.sampled_from([None, 0.25, 3.0]), st.integers(1, 4)), max_size=6
)
ANY_ORDER = st.sampled_from(ORDERS).map(lambda name: Order(name, seed=1))
KINDS = [SimulatedExecutor, SimulatedPool, SimulatedSerial]
SOME = settings(max_examples=60)


def add_all(simulation: Simulation, images: list[Any]) -> None:
    for passes, reading, window in images:
        simulation.image(*passes, reading=reading, window=window, pixels=sum(map(len, passes)))


def opening(image: SimulatedImage) -> Opening:
    return lambda: image


def first_submissions(simulation: Simulation) -> list[int]:
    """Return the number of the image of each task, in the order in which tasks were given."""
    image_of = {flow.number: image.number for image in simulation.images for flow in image.made}
    return [image_of[flow] for flow, _ in simulation.executor.submitted]


# --- every task, once, in order -------------------------------------------------------------


@SOME
@given(images=IMAGES, workers=st.integers(1, 4), order=ANY_ORDER, kind=st.sampled_from(KINDS))
def test_every_task_is_done_once_and_given_in_order(
    images: list[Any], workers: int, order: Order, kind: type[SimulatedExecutor]
) -> None:
    """A task lands once, after it was given, and before its flow is closed: flows assert it.

    The executor asserts that no more tasks are out than the window allows.
    """
    simulation = Simulation(workers, order=order, kind=kind)
    add_all(simulation, images)
    assert all(outcome.error is None for outcome in simulation.run())
    for image in simulation.images:
        for flow in image.made:
            given_out = [index for number, index in simulation.executor.submitted
                         if number == flow.number]  # fmt: skip
            assert given_out == list(range(len(flow.seconds)))
            assert sorted(flow.landed) == given_out


@SOME
@given(
    images=IMAGES.filter(bool),
    order=ANY_ORDER,
    deaths=st.lists(
        st.tuples(
            st.floats(0, 20),
            st.integers(0, 2),
            st.sampled_from([OUTSIDE, UNKNOWN, WANTED]),
        ),
        max_size=15,
    ),
)
def test_workers_that_others_end_cost_only_time(
    images: list[Any], order: Order, deaths: list[Any]
) -> None:
    simulation = Simulation(3, order=order)
    add_all(simulation, images)
    for when, number, how in deaths:
        simulation.world.after(when, lambda n=number, how=how: simulation.executor.die(n, how))
    assert all(outcome.error is None for outcome in simulation.run())


@SOME
@given(images=IMAGES.filter(bool), order=ANY_ORDER, data=st.data())
def test_a_failure_ends_its_own_image_only(
    images: list[Any], order: Order, data: st.DataObject
) -> None:
    """A step may be a task, a death, or a request to stop."""
    simulation = Simulation(2, order=order)
    add_all(simulation, images)
    number = data.draw(st.integers(0, len(images) - 1))
    victim = simulation.images[number]
    cause = data.draw(st.sampled_from(["task", "death", "stop"]))
    index = data.draw(st.integers(0, len(images[number][0][0]) - 1))
    options = {
        "task": {"failing": {index: FilterError("its own fault")}},
        "death": {"dying": {index: (FAULT, NEVER)}},
        "stop": {},
    }[cause]
    _, reading, window = images[number]
    other = Simulation.image(
        simulation, *images[number][0], reading=reading, window=window, **options
    )
    other.number = victim.number
    simulation.images[number] = other
    simulation.images.pop()
    if cause == "stop":
        simulation.world.after(data.draw(st.floats(0, 10)), other.stop)
    for outcome in simulation.run():
        kind = {"task": FilterError, "death": WorkerError, "stop": Cancelled}[cause]
        if outcome.turn != number:
            assert outcome.error is None
        elif cause != "stop" or outcome.error is not None:  # it may have been done before
            assert isinstance(outcome.error, kind)


# --- whose fault it is ----------------------------------------------------------------------


def test_a_task_that_ends_three_workers_is_given_up_and_named() -> None:
    simulation = Simulation(2)
    simulation.image([1.0] * 4, dying={2: (FAULT, NEVER)})
    simulation.image([1.0] * 8)
    bad, good = simulation.run()
    assert isinstance(bad.error, WorkerError)
    assert "image 1: task 2 ended 3 workers in a row, the last with signal SIGSEGV" in str(
        bad.error
    )
    flow = simulation.images[0].made[0]
    assert simulation.executor.attempts[flow.number, 2] == 3
    assert good.error is None


def test_two_deaths_by_its_own_fault_are_forgiven() -> None:
    simulation = Simulation(2)
    image = simulation.image([1.0] * 4, dying={1: (FAULT, 2), 3: (FAULT, 2)})
    assert simulation.run()[0].error is None
    assert image.lost_tasks >= 4


def test_only_the_task_that_the_worker_was_at_is_blamed() -> None:
    """Task 1 waits behind task 0, and is lost as often, but through no fault of its own."""
    simulation = Simulation(1)
    simulation.image([1.0, 1.0], dying={0: (FAULT, 2)})
    simulation.image([1.0] * 2, dying={0: (FAULT, 2)})
    assert [outcome.error for outcome in simulation.run()] == [None, None]


@pytest.mark.parametrize(
    ("how", "limit", "words"),
    [
        (OUTSIDE, 20, "task 0 lost 20 workers in a row"),
        (STILLBORN, 20, "no worker could start"),
        (UNKNOWN, 50, "no worker could start"),
    ],
)
def test_other_deaths_are_forgiven_up_to_a_limit(how: Any, limit: int, words: str) -> None:
    for deaths in (limit - 1, limit):
        simulation = Simulation(1)
        simulation.image([1.0], dying={0: (how, deaths)})
        (outcome,) = simulation.run()
        assert (outcome.error is None) == (deaths < limit)
    assert words in str(outcome.error)


def test_workers_that_are_ended_on_purpose_are_nobodys_fault() -> None:
    simulation = Simulation(1)
    simulation.image([1.0], dying={0: (WANTED, 100)})
    assert simulation.run()[0].error is None


def test_a_task_that_takes_too_long_is_not_tried_again() -> None:
    simulation = Simulation(2)
    image = simulation.image([1.0] * 4, dying={1: (TIMEOUT, NEVER)})
    simulation.image([1.0] * 4)
    late, other = simulation.run()
    assert isinstance(late.error, FilterTimeout)
    assert "image 1: task 1 did not finish within its timeout of 1 second" in str(late.error)
    assert simulation.executor.attempts[image.made[0].number, 1] == 1
    assert other.error is None


def test_workers_that_cannot_be_replaced_are_the_end_of_the_images_that_lose_tasks() -> None:
    simulation = Simulation(2, kind=SimulatedExecutor)
    simulation.image([1.0] * 4, dying={0: (FAULT, NEVER)})
    (outcome,) = simulation.run()
    assert "the executor that was passed has lost its workers" in str(outcome.error)


def test_only_images_that_lost_tasks_are_told_of_a_death() -> None:
    simulation = Simulation(2)
    first = simulation.image([1.0] * 2, dying={0: (FAULT, 1)}, window=1)
    other = simulation.image([5.0] * 2, window=1)
    assert [outcome.error for outcome in simulation.run()] == [None, None]
    assert (first.lost_tasks, other.lost_tasks) == (1, 0)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (WorkerError("no process"), "no process"),
        (RuntimeError("shut down"), r"image 1: the executor takes no more work \(shut down\)"),
        (TypeError("no way"), r"image 1: the executor did not take the work \(TypeError: no way\)"),
    ],
)
def test_an_executor_that_refuses_a_task_ends_its_image(refusal: Exception, words: str) -> None:
    simulation = Simulation(2)
    image = simulation.image([1.0] * 4)
    simulation.image([1.0] * 4)
    simulation.executor.refuses = lambda task: (
        refusal if (task.flow, task.index) == (image.made[0].number, 2) else None
    )
    bad, good = simulation.run()
    with pytest.raises(WorkerError, match=words):
        raise bad.error or AssertionError
    assert good.error is None


def test_an_image_that_ends_while_its_lost_tasks_run_again_takes_none_of_them_along() -> None:
    """Both are lost with one worker. The first is refused, which ends the image of both."""
    simulation = Simulation(1)
    image = simulation.image([1.0] * 2)
    other = simulation.image([1.0] * 2)
    again = iter([None, None, WorkerError("no process")])
    simulation.executor.refuses = lambda task: (
        next(again, None) if task.flow == image.made[0].number else None
    )
    simulation.world.after(0.5, lambda: simulation.executor.die(0, OUTSIDE))
    bad, good = simulation.run()
    assert str(bad.error) == "no process"
    assert good.error is None
    assert other.made[0].done


# --- the order of images --------------------------------------------------------------------


def test_fifo_serves_the_first_image_first() -> None:
    simulation = Simulation(2, order=Order("fifo"))
    for _ in range(4):
        simulation.image([1.0] * 5)
    simulation.run()
    assert first_submissions(simulation) == sorted(first_submissions(simulation))


def test_round_robin_serves_one_after_the_other() -> None:
    simulation = Simulation(2, order=Order("round-robin"))
    for _ in range(3):
        simulation.image([1.0] * 5)
    simulation.run()
    assert first_submissions(simulation) == [1, 2, 3] * 5


@given(counts=st.lists(st.integers(1, 9), min_size=2, max_size=6), workers=st.integers(1, 3))
@SOME
def test_round_robin_is_fair(counts: list[int], workers: int) -> None:
    simulation = Simulation(workers, order=Order("round-robin"))
    for count in counts:
        simulation.image([1.0] * count)
    simulation.run()
    served = [0] * len(counts)
    for number in first_submissions(simulation):
        served[number - 1] += 1
        going_on = [n for n, count in zip(served, counts, strict=True) if n < count]
        assert not going_on or max(served) <= min(going_on) + 1


def test_largest_first_serves_the_largest_first() -> None:
    simulation = Simulation(2, order=Order("largest-first"))
    for pixels in (3, 9, 1, 5):
        simulation.image([1.0] * 5, pixels=pixels)
    simulation.run()
    assert list(dict.fromkeys(first_submissions(simulation))) == [2, 4, 1, 3]


def test_a_random_order_can_be_had_again() -> None:
    def served(seed: int) -> list[int]:
        simulation = Simulation(2, order=Order("random", seed))
        for _ in range(4):
            simulation.image([1.0] * 5)
        simulation.run()
        return first_submissions(simulation)

    assert served(1) == served(1)
    assert served(1) != served(2)


# --- time -----------------------------------------------------------------------------------


@SOME
@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    workers=st.integers(1, 4),
    order=ANY_ORDER,
)
def test_with_equal_tasks_no_worker_is_idle_before_the_last_ones(
    counts: list[int], workers: int, order: Order
) -> None:
    simulation = Simulation(workers, order=order)
    for count in counts:
        simulation.image([1.0] * count)
    simulation.run()
    assert max(simulation.ended.values()) == ceil(sum(counts) / workers)


@SOME
@given(
    images=st.lists(st.lists(SECONDS, min_size=1, max_size=8), min_size=1, max_size=6),
    workers=st.integers(1, 4),
    order=ANY_ORDER,
)
def test_with_unequal_tasks_workers_end_within_two_tasks_of_each_other(
    images: list[list[float]], workers: int, order: Order
) -> None:
    simulation = Simulation(workers, order=order)
    for seconds in images:
        simulation.image(seconds)
    simulation.run()
    each = list(itertools.chain(*images))
    assert max(simulation.ended.values()) <= sum(each) / workers + 2 * max(each)


def test_tasks_of_other_images_fill_the_gap_between_two_passes() -> None:
    simulation = Simulation(2)
    simulation.image([1.0] * 3, [1.0] * 3)  # alone it would have two gaps, and take 4 seconds
    simulation.image([1.0] * 10)
    simulation.run()
    assert max(simulation.ended.values()) == 8


def test_the_next_image_is_read_as_soon_as_one_is_read_to_its_end() -> None:
    """While the last tasks of the first are done; with two workers one image is read at a time."""
    simulation = Simulation(2)
    simulation.image([0.5] * 2, reading=1.0)
    simulation.image([0.5] * 2, reading=1.0)
    simulation.run()
    begun = [when for when, _, _ in simulation.executor.begun]
    assert begun == [1, 2, 3, 4]


@pytest.mark.parametrize("workers", [2, 3])
def test_with_equal_tasks_that_come_in_time_workers_end_within_one_task_of_each_other(
    workers: int,
) -> None:
    """Each task is ready before a worker asks for it, but for the first one of each worker."""
    for counts in itertools.product(range(1, 7), repeat=2):
        for seconds in (1.5 * workers, 4.0 * workers):
            simulation = Simulation(workers)
            for count in counts:
                simulation.image([seconds] * count, reading=1.0)
            simulation.run()
            busy = workers + sum(counts) * seconds / workers
            assert max(simulation.ended.values()) <= busy + seconds * (1 - 1 / workers)


def test_as_many_images_are_read_at_once_as_there_are_pairs_of_workers() -> None:
    simulation = Simulation(4)
    for _ in range(4):
        simulation.image([0.5], reading=1.0)
    simulation.run()
    assert [when for when, _, _ in simulation.executor.begun] == [1, 1, 2, 2]


# --- memory ---------------------------------------------------------------------------------


@SOME
@given(
    costs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), min_size=1, max_size=10),
    order=ANY_ORDER,
    data=st.data(),
)
def test_images_are_admitted_while_their_memory_fits(
    costs: list[tuple[int, int]], order: Order, data: st.DataObject
) -> None:
    budget = Budget(granted=100, workers=2)
    simulation = Simulation(2, order=order, budget=budget)
    fits = []
    for shared, per_worker in costs:
        cost = Cost(shared, per_worker, processes=10)
        fits.append(shared + 2 * per_worker + 10 <= 100)
        simulation.image(
            data.draw(st.lists(SECONDS, min_size=1, max_size=3)), cost=cost, pixels=shared + 1
        )
    held: set[int] = set()
    for image in simulation.images:
        watch(image, held, simulation, budget)
    for outcome, image, fitting in zip(simulation.run(), simulation.images, fits, strict=True):
        assert (outcome.error is None) == fitting
        if not fitting:
            assert isinstance(outcome.error, MemoryPlanError)
            assert not image.begun


def watch(image: SimulatedImage, held: set[int], simulation: Simulation, budget: Budget) -> None:
    """Assert, whenever an image begins, that it fits beside the images under way."""
    flows, close = image.flows, image.close

    def begin() -> Iterator[Any]:
        held.add(image.number)
        assert budget.allows([simulation.images[number - 1].cost for number in held])
        return (yield from flows())

    def end() -> None:
        held.discard(image.number)
        close()

    image.flows, image.close = begin, end  # type: ignore[method-assign, assignment]


def test_an_image_that_can_never_fit_fails_alone_with_the_limit_that_would_do() -> None:
    million = 10**6
    budget = Budget(granted=100 * million, workers=2, beside=20 * million)
    simulation = Simulation(2, budget=budget)
    simulation.image([1.0], cost=Cost(shared=10 * million))
    simulation.image([1.0], cost=Cost(shared=60 * million, per_worker=25 * million))
    simulation.image([1.0], cost=Cost(shared=90 * million))
    small, large, other = simulation.run()
    assert small.error is None
    assert other.error is None
    assert "image 2: the memory limit is 80 MB, but 92 MB are needed" in str(large.error)
    assert "raise the limit (max_memory='92M')" in str(large.error)
    enough = Budget(granted=110 * million, workers=2)
    assert enough.allows([simulation.images[1].cost])


def test_a_large_image_is_not_overtaken_for_ever_by_small_ones() -> None:
    simulation = Simulation(2, budget=Budget(granted=100, workers=2))
    simulation.image([1.0], cost=Cost(50))
    simulation.image([1.0], cost=Cost(100))
    for _ in range(5):
        simulation.image([1.0], cost=Cost(10))
    simulation.run()
    assert list(simulation.ended)[:2] == [0, 1]


# --- images that come ------------------------------------------------------------------------


def test_an_image_that_cannot_be_opened_is_an_outcome() -> None:
    simulation = Simulation(2)
    image = simulation.image([1.0])

    def missing() -> SimulatedImage:
        raise InputError("no such file")

    outcomes = list(simulation.outcomes([missing, lambda: image, missing]))
    assert {outcome.turn: str(outcome.error) for outcome in outcomes} == {
        0: "no such file",
        1: "None",
        2: "no such file",
    }


def test_failures_of_endlessly_many_images_are_reported_as_they_come() -> None:
    def missing() -> SimulatedImage:
        raise InputError("no such file")

    for name in ORDERS:
        outcomes = Simulation(2, order=Order(name)).outcomes(itertools.repeat(missing))
        assert [next(outcomes).turn for _ in range(100)] == list(range(100))
        outcomes.close()  # type: ignore[attr-defined]


def test_images_are_opened_only_when_they_can_begin() -> None:
    """As many further images as workers are opened, to know their memory."""
    simulation = Simulation(2, budget=Budget(granted=30, workers=2))

    def openings() -> Iterator[Opening]:
        while True:
            begun = sum(image.begun and not image.closed for image in simulation.images)
            unclosed = sum(not image.closed for image in simulation.images)
            assert unclosed < begun + 2 <= 5
            image = simulation.image([1.0], cost=Cost(10))
            yield opening(image)

    outcomes = simulation.outcomes(openings())
    assert len({next(outcomes).turn for _ in range(50)}) == 50
    outcomes.close()  # type: ignore[attr-defined]
    simulation.must_be_over()
    assert all(image.closed for image in simulation.images)


def test_images_may_come_from_outside_at_any_time() -> None:
    """As from a watched folder: while there is none, the iterator yields None."""
    simulation = Simulation(2)
    arrived: list[SimulatedImage] = []
    over = []

    def openings() -> Iterator[Opening | None]:
        while arrived or not over:
            yield opening(arrived.pop(0)) if arrived else None

    def arrive(*passes: list[float]) -> None:
        arrived.append(simulation.image(*passes))
        simulation.crew.wake()

    simulation.world.after(0.25, lambda: arrive([10.0] * 2))
    simulation.world.after(3.75, lambda: arrive([1.0] * 4))  # is begun beside the first
    simulation.world.after(30.25, lambda: arrive([1.0]))
    simulation.world.after(40.0, lambda: over.append(True))
    outcomes = list(simulation.outcomes(openings()))
    assert [outcome.turn for outcome in outcomes] == [0, 1, 2]
    assert simulation.ended == {0: 10.25, 1: 12.25, 2: 31.25}


def test_an_iterator_that_fails_ends_all() -> None:
    simulation = Simulation(2)
    image = simulation.image([1.0] * 4)

    def openings() -> Iterator[Opening]:
        yield lambda: image
        raise OSError("the folder is gone")

    with pytest.raises(OSError, match="the folder is gone"):
        list(simulation.outcomes(openings()))
    simulation.must_be_over()


def test_serially_one_image_is_made_after_the_other() -> None:
    simulation = Simulation(1, kind=SimulatedSerial, order=Order("fifo"))
    simulation.image([1.0] * 3, [1.0] * 2, reading=1.0)
    simulation.image([1.0], failing={0: FilterError("bad")})
    simulation.image([1.0] * 2)
    assert [outcome.error is None for outcome in simulation.run()] == [True, False, True]
    assert first_submissions(simulation) == [1] * 5 + [2] + [3] * 2
    assert simulation.ended == {0: 5.0, 1: 6.0, 2: 8.0}


# --- the end --------------------------------------------------------------------------------


@SOME
@given(images=IMAGES.filter(bool), order=ANY_ORDER, count=st.integers(0, 5), lasting=st.booleans())
def test_whoever_wants_no_more_outcomes_may_leave(
    images: list[Any], order: Order, count: int, lasting: bool
) -> None:
    simulation = Simulation(2, order=order, lasting=lasting)
    add_all(simulation, images)
    for _ in zip(range(count), simulation.outcomes(), strict=False):
        pass
    simulation.must_be_over()


def test_an_image_is_stopped_while_it_waits() -> None:
    simulation = Simulation(2, budget=Budget(granted=10, workers=2))
    simulation.image([9.0], cost=Cost(10))
    waiting = simulation.image([1.0], cost=Cost(10))
    simulation.world.after(2.0, waiting.stop)
    first, stopped = simulation.run()
    assert first.error is None
    assert isinstance(stopped.error, Cancelled)
    assert simulation.ended == {0: 9.0, 1: 2.0}
    assert not waiting.begun
    assert waiting.closed


@pytest.mark.parametrize("busy", [False, True])
def test_a_worker_that_does_not_come_back_from_a_stopped_image_is_ended(busy: bool) -> None:
    """After a moment of grace, however busy the others are meanwhile. Only that one is."""
    simulation = Simulation(2)
    hanging = simulation.image([NEVER], window=1)
    other = simulation.image([0.01] * 1000 if busy else [3.0] * 3)
    simulation.world.after(1.0, hanging.stop)
    stopped, done = simulation.run()
    assert isinstance(stopped.error, Cancelled)
    assert 1.5 <= simulation.ended[0] < 1.6
    assert done.error is None
    attempts = simulation.executor.attempts
    repeated = [key for key, count in attempts.items() if count > 1]
    assert len(repeated) <= 1
    assert other.lost_tasks <= 2


def test_a_task_of_a_stopped_image_that_has_not_begun_ends_no_worker() -> None:
    simulation = Simulation(1)
    long = simulation.image([5.0], window=1)
    stopped = simulation.image([1.0], window=1)
    simulation.world.after(1.0, stopped.stop)
    first, second = simulation.run()
    assert first.error is None
    assert isinstance(second.error, Cancelled)
    assert simulation.executor.attempts == {(long.made[0].number, 0): 1}


def test_an_observer_that_stops_its_run_when_it_hears_of_a_death_stops_no_other() -> None:
    simulation = Simulation(1)
    image = simulation.image([1.0] * 2)
    simulation.image([1.0] * 2)

    def stop(reason: str, tasks: int) -> None:
        raise Cancelled("enough")

    image.lost = stop  # type: ignore[method-assign]
    simulation.world.after(0.5, lambda: simulation.executor.die(0, OUTSIDE))
    stopped, other = simulation.run()
    assert str(stopped.error) == "enough"
    assert other.error is None


def test_deaths_that_nobody_noticed_are_looked_for_however_busy_the_crew_is() -> None:
    simulation = Simulation(2)
    simulation.image([0.1] * 200)
    simulation.run()
    assert simulation.executor.looked_after >= 9  # in ten seconds


def test_flows_that_cannot_begin_or_end_are_failures_of_their_image() -> None:
    simulation = Simulation(2)
    bad = simulation.image([1.0])
    simulation.image([1.0])
    worse = simulation.image([1.0], [1.0])

    def failing() -> Any:
        raise MemoryPlanError("no memory")

    bad._passes = [failing]
    worse._passes = [*itertools.islice(worse._passes, 1), failing]
    first, second, third = simulation.run()
    assert str(first.error) == "no memory"
    assert second.error is None
    assert str(third.error) == "no memory"


@SOME
@given(images=IMAGES.filter(bool), moment=st.integers(1, 40), lasting=st.booleans())
def test_an_interrupt_while_it_waits_ends_all(
    images: list[Any], moment: int, lasting: bool
) -> None:
    simulation = Simulation(2, lasting=lasting)
    add_all(simulation, images)
    simulation.world.interrupt_at = moment
    with contextlib.suppress(KeyboardInterrupt):
        list(simulation.outcomes())
    simulation.must_be_over()


def test_an_interrupt_at_any_line_ends_all() -> None:
    """Ctrl-C comes at whichever line of the crew is carried out just then.

    Each line is tried, at the first time that it is carried out.
    """
    seen: list[tuple[str, int]] = []
    assert not interrupted(seen, at=0)
    first = {line: at for at, line in reversed([*enumerate(seen, 1)])}
    assert len(first) > 150
    for moment in sorted(first.values()):
        assert interrupted([], at=moment)


def interrupted(seen: list[tuple[str, int]], at: int) -> bool:
    """Make some images, and note the lines; return whether the line number `at` ended that."""
    ours = {module.__file__ for module in (crew_module, taskqueue, activeimage, waitinglist)}
    simulation = Simulation(2, budget=Budget(granted=25, workers=2))
    simulation.image([1.0, 2.0], [1.0], cost=Cost(10), dying={0: (FAULT, 1)})
    simulation.image([1.0, 1.0], cost=Cost(10), failing={1: FilterError("bad")})
    simulation.image([1.0], cost=Cost(50))
    simulation.image([NEVER], cost=Cost(20))
    simulation.world.after(5.0, simulation.images[3].stop)

    try:
        make = lambda: list(simulation.outcomes())  # noqa: E731 - it is the work
        return tracing.interrupted(make, ours.__contains__, seen, at)
    finally:
        simulation.must_be_over()


def test_an_executor_goes_with_the_last_who_uses_it() -> None:
    """No circle keeps it, after a failure either: the semaphores of its workers would be left."""
    gc.collect()
    gc.disable()
    try:
        for end in ("done", "failed", "left"):
            simulation = Simulation(2, lasting=False)
            simulation.image([1.0] * 4, failing={2: FilterError("bad")} if end == "failed" else {})
            simulation.image([1.0] * 40)
            outcomes = simulation.outcomes()
            next(outcomes)
            if end != "left":
                list(outcomes)
            del outcomes
            executor = weakref.ref(simulation.crew._executor)
            simulation.forget()
            del simulation
            assert executor() is None, end
    finally:
        gc.enable()
