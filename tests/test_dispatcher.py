"""The dispatcher of a batch: groups of small files, looks ahead, and large files in their turn."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.batches.agenda import Due
from imgpipe.batches.choices import ORDERS
from imgpipe.batches.inputs.files import Folder, Found
from imgpipe.batches.journal.filestatus import Status
from imgpipe.batches.stopping import BatchControl
from imgpipe.batches.work.answers import Failed, File, Made, Output, TooLarge
from imgpipe.batches.work.dispatcher import FileDispatcher
from imgpipe.batches.work.feed import AgendaFeed
from imgpipe.batches.work.headers import HeaderAnswer, HeaderItem
from imgpipe.batches.work.job import Job
from imgpipe.engine.flow import Worker
from imgpipe.errors import CorruptError, WorkerError

SOMEBODY = Worker("worker 1", 0)
MEGA = 1_000_000


class Book:
    """A ledger that only takes notes."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fell: dict[str, Failed] = {}
        self.sizes: dict[str, int] = {}

    def begin(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            path = f"out/{job.due.found.name}"
            job.file = File(job.path, (Output(path, f"{path}.part"),))

    def measured(self, job: Job) -> None:
        self.sizes[job.path] = job.pixels

    def made(self, job: Job, made: Made) -> None:
        self.done.append(job.path)

    def failed(self, job: Job, failure: Failed) -> None:
        self.fell[job.path] = failure


def due(folder: Path, sizes: Iterable[int], suffix: str = "jpg") -> list[Due]:
    """Return files of so many bytes, which take no room."""
    here, found = Folder(str(folder), ""), []
    for number, size in enumerate(sizes):
        name = f"{number:03}.{suffix}"
        with open(folder / name, "wb") as file:
            file.truncate(size)
        found.append(Due(Found(here, name), (name,), "new"))
    return found


def desk_of(files: list[Due], workers: int = 2, **given: Any) -> tuple[FileDispatcher, Book]:
    book = Book()
    feed = AgendaFeed(files, given.pop("order", "round-robin"), given.pop("seed", None))
    dispatcher = FileDispatcher(feed, book, given.pop("control", BatchControl()), workers, **given)  # type: ignore[arg-type]
    return dispatcher, book


def finish(dispatcher: FileDispatcher, items: Iterable[Any], pixels: int = MEGA) -> None:
    """Answer for items, as workers do."""
    for item in items:
        answer: Any = Made(item.name, Status(1, 0, 0, 0), "", pixels, (), (), ())
        if isinstance(item, HeaderItem):
            answer = HeaderAnswer(item.name, pixels, large=pixels > 16 * MEGA)
        dispatcher.land(item, answer, SOMEBODY)


def names(items: Iterable[Any]) -> list[int]:
    return [int(Path(item.name).stem) for item in items]


def taken(dispatcher: FileDispatcher, pixels: int = MEGA) -> list[list[int]]:
    """Take all groups, and return the numbers of their files."""
    groups = []
    while items := dispatcher.take():
        if not isinstance(items[0], HeaderItem):
            groups.append(names(items))
        finish(dispatcher, items, pixels)
    return groups


def flat(groups: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(groups))


def test_groups_become_smaller_towards_the_end(tmp_path: Path) -> None:
    dispatcher, book = desk_of(due(tmp_path, [100] * 700))
    sizes = list(map(len, taken(dispatcher, pixels=400)))
    assert sizes[:2] == [64, 64]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-8:] == [1] * 8
    assert len(book.done) == 700
    assert dispatcher.done


def test_a_group_is_about_eight_megapixels(tmp_path: Path) -> None:
    dispatcher, _ = desk_of(due(tmp_path, [500_000] * 200))
    groups = taken(dispatcher)
    assert len(groups[0]) == 4  # a byte of a JPEG is taken for four pixels
    assert len(groups[1]) == 8  # until some are known


@given(
    sizes=st.lists(st.sampled_from([10, 900_000, 3_000_000]), max_size=40),
    order=st.sampled_from(ORDERS),
    workers=st.integers(1, 4),
)
def test_every_file_is_given_out_once(sizes: list[int], order: Any, workers: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        dispatcher, book = desk_of(due(Path(folder), sizes), workers, order=order)
        groups = taken(dispatcher)
        assert sorted(number for group in groups for number in group) == list(range(len(sizes)))
        assert len(book.done) == len(sizes)
        assert dispatcher.done


def test_a_large_file_that_was_given_out_is_no_longer_left(tmp_path: Path) -> None:
    dispatcher, _ = desk_of(due(tmp_path, [100, MEGA, 100]))
    guessed = 2 * 100 * 50  # the small ones are like the one that is known
    finish(dispatcher, dispatcher.take(), pixels=50 * MEGA)  # the header of the large one
    assert dispatcher.left == 50 * MEGA + guessed
    assert dispatcher.next_large() is not None
    assert dispatcher.left == guessed


def test_orders(tmp_path: Path) -> None:
    files = due(tmp_path, [10, 30, 20, 40])
    found = {order: flat(taken(desk_of(files, order=order, seed=3)[0])) for order in ORDERS}
    assert found["round-robin"] == found["fifo"] == [0, 1, 2, 3]
    assert found["largest-first"] == [3, 1, 2, 0]
    again = flat(taken(desk_of(files, order="random", seed=3)[0]))
    assert sorted(found["random"]) == [0, 1, 2, 3]
    assert found["random"] == again


# --- looks ----------------------------------------------------------------------------------


def test_files_of_some_size_are_looked_at_before_they_are_made(tmp_path: Path) -> None:
    dispatcher, book = desk_of(due(tmp_path, [2_000_000] * 10 + [10]))
    first = dispatcher.take()
    assert isinstance(first[0], HeaderItem)
    while isinstance(items := dispatcher.take(), tuple) and isinstance(items[0], HeaderItem):
        finish(dispatcher, items, 3 * MEGA)
    finish(dispatcher, first, 3 * MEGA)
    assert list(book.sizes.values()) == [3 * MEGA] * 10


def test_a_large_file_is_known_before_its_turn(tmp_path: Path) -> None:
    dispatcher, _ = desk_of(due(tmp_path, [10] * 20 + [2_000_000]))
    looks = dispatcher.take()
    assert names(looks) == [20]
    assert dispatcher.next_large() is None
    finish(dispatcher, looks, 100 * MEGA)
    large = dispatcher.next_large()
    assert large is not None
    assert (large.number, large.pixels) == (20, 100 * MEGA)
    assert sorted(flat(taken(dispatcher))) == list(range(20))
    assert dispatcher.done


def test_in_order_it_waits_for_its_turn(tmp_path: Path) -> None:
    dispatcher, _ = desk_of(due(tmp_path, [10, 10, 2_000_000, 10, 10]), 1, in_order=True)
    finish(dispatcher, dispatcher.take(), 100 * MEGA)  # the look
    seen = []
    while items := dispatcher.take():
        seen.append((names(items), dispatcher.next_large() is not None))
    assert seen == [([0], False), ([1], True), ([3], False), ([4], False)]


def test_a_file_that_turns_out_to_be_large_is_given_back(tmp_path: Path) -> None:
    dispatcher, book = desk_of(due(tmp_path, [10, 10]), 1)
    (item,) = dispatcher.take()
    dispatcher.land(item, TooLarge(item.name, 50 * MEGA, "has many pixels"), SOMEBODY)
    assert book.sizes == {item.name: 50 * MEGA}
    large = dispatcher.next_large()
    assert large is not None
    assert large.path == item.name
    assert not dispatcher.done


def test_workers_that_see_no_files_get_none(tmp_path: Path) -> None:
    dispatcher, _ = desk_of(due(tmp_path, [10, 10]), calls=False)
    assert dispatcher.take() == ()
    assert [dispatcher.next_large() is not None for _ in range(3)] == [True, True, False]
    assert dispatcher.done


# --- files that have no answer --------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "stage"), [(CorruptError("damaged"), "read"), (WorkerError("died"), "filter")]
)
def test_a_file_that_ended_its_workers_has_failed(error: Any, stage: str, tmp_path: Path) -> None:
    dispatcher, book = desk_of(due(tmp_path, [10] * 40))
    one, *others = dispatcher.take()
    dispatcher.give_up(one, error, 3)
    finish(dispatcher, others)
    assert {path: failure.stage for path, failure in book.fell.items()} == {one.name: stage}
    assert len(book.done) == len(others)


def test_one_that_cannot_even_be_looked_at_is_not_tried_again(tmp_path: Path) -> None:
    dispatcher, book = desk_of(due(tmp_path, [2_000_000] * 4), 1)
    one, *others = dispatcher.take()
    dispatcher.give_up(one, CorruptError("damaged"), 3)
    finish(dispatcher, others)
    assert list(book.fell) == [one.name]
    assert names([one])[0] not in flat(taken(dispatcher))
    assert dispatcher.done


def test_nothing_is_given_out_once_the_batch_is_stopped(tmp_path: Path) -> None:
    control = BatchControl()
    dispatcher, _ = desk_of(due(tmp_path, [10] * 9), control=control)
    files = dispatcher.take()
    control.stop()
    assert dispatcher.stopped
    assert dispatcher.next_large() is None
    assert [job.path for job in dispatcher.under_way()] == [file.name for file in files]
