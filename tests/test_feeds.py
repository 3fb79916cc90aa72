"""However pixels reach the workers, they are those of the image, and memory is bounded."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine import buffers
from imgpipe.engine.feeds.base import Feed
from imgpipe.engine.feeds.choice import feed_for
from imgpipe.engine.feeds.ring import ring_rows
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Input, Shared
from imgpipe.engine.tiler import Tiler
from imgpipe.errors import Cancelled, CorruptError
from imgpipe.formats.arrays import ArrayRows, RandomArray, SequentialArray
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass
from tests.conftest import noise

PIXELS = noise((97, 40, 3), "uint8")
INFO = ImageInfo(97, 40, 3, np.dtype("uint8"))


@dataclass(frozen=True, eq=False)
class WholeArray:
    """An array that is decoded at once."""

    access: ClassVar[str] = "whole"
    info: ImageInfo = INFO
    decode_bytes: int = 0
    decoded: list[int] = field(default_factory=list)

    def decode_into(self, out: Pixels, check: Callable[[], None] = lambda: None) -> None:
        check()
        self.decoded.append(1)
        out[...] = PIXELS


WAYS: dict[str, Callable[[], Any]] = {
    "bands": lambda: SequentialArray(INFO, PIXELS),
    "ring": lambda: SequentialArray(INFO, PIXELS),
    "whole": WholeArray,
    "direct": lambda: RandomArray(INFO, PIXELS),
    "inline": lambda: SequentialArray(INFO, PIXELS),
    "inline random": lambda: RandomArray(INFO, PIXELS),
    "opened": lambda: SequentialArray(INFO, PIXELS),
}
READING = ["bands", "whole", "inline", "inline random"]


def parts_of(chain: str, rows: int, columns: int = 0) -> Parts:
    stages = resolve(chain_from(chain), INFO)
    after = stages[-1].after
    size = after.height, after.width, rows
    return Parts((Tiler(INFO, stages, *size, (16, 16), task_columns=min(columns, after.width)),))


def feed_of(way: str, parts: Parts, window: int, source: Any = None, check: Any = None) -> Feed:
    most = max(box.height for box in parts.bands(INFO.width)) * INFO.row_bytes
    return feed_for(
        way.split(maxsplit=1)[0],  # type: ignore[arg-type]
        source or WAYS[way](),
        parts,
        check or (lambda: None),
        window=window,
        band_bytes=most,
        shared=False,
    )


def must_be_right(image: Input, asked: list[Box]) -> None:
    for box in asked:
        pixels, held = image.hold(box)
        np.testing.assert_array_equal(pixels[box.within(held)], PIXELS[box.slices])
        np.testing.assert_array_equal(image.read(box), PIXELS[box.slices])


@settings(max_examples=40)
@given(
    way=st.sampled_from(list(WAYS)),
    chain=st.sampled_from(["invert", "blur:2", "resize:50%", "crop:3,20,30,60"]),
    rows=st.integers(1, 97),
    window=st.integers(1, 4),
    threaded=st.booleans(),
    seed=st.integers(0, 99),
)
def test_each_task_gets_the_pixels_that_it_needs(
    way: str, chain: str, rows: int, window: int, threaded: bool, seed: int
) -> None:
    """Tasks land in any order, while others under way hold their pixels."""
    parts, draw = parts_of(chain, rows, 17 if way == "ring" else 0), random.Random(seed)
    feed, ready = feed_of(way, parts, window), threading.Semaphore(0)
    threaded = threaded and feed.reads
    feed.start(ready.release if threaded else None)
    out: list[tuple[Input, list[Box]]] = []
    for index in range(len(parts)):
        while len(out) == window or (out and draw.random() < 0.3):
            image, asked = out.pop(draw.randrange(len(out)))
            must_be_right(image, asked)
            feed.give_back(image)
        while (taken := feed.take()) is None:
            if way == "ring" and out:  # the first task under way may hold the rows of many
                feed.give_back(out.pop(0)[0])
                continue
            assert threaded
            assert ready.acquire(timeout=30)
        out.append((taken, parts.reads(index)))
    for image, asked in out:
        must_be_right(image, asked)
        feed.give_back(image)
    while not feed.exhausted:
        if feed.take() is None and threaded:
            assert ready.acquire(timeout=30)
    assert not feed.reads
    feed.close()
    feed.close()


@pytest.mark.parametrize("way", READING)
def test_no_more_is_read_than_may_be_under_way(way: str) -> None:
    parts = parts_of("invert", 10)
    feed = feed_of(way, parts, 3)
    feed.start(None)
    taken = [feed.take() for _ in range(5)]
    if way == "whole":  # all tasks look at the same memory
        assert all(image is taken[0] for image in taken)
    else:
        assert [image is not None for image in taken] == [True] * 3 + [False] * 2
        assert taken[1] is not None
        feed.give_back(taken[1])
        assert feed.take() is not None
        assert feed.take() is None
    feed.close()


def test_bands_lie_in_as_many_slots_as_tasks_may_be_under_way() -> None:
    before = set(buffers._attached)
    feed = feed_of("bands", parts_of("invert", 10), 3)
    assert set(buffers._attached) == before  # none before it starts
    feed.start(None)
    slots = set()
    for _ in range(9):
        image = feed.take()
        assert isinstance(image, Shared)
        slots.add(image.slot.index)
        feed.give_back(image)
    assert len(slots) == 3
    feed.close()
    assert set(buffers._attached) == before


def test_a_whole_image_is_decoded_once() -> None:
    source = WholeArray()
    feed = feed_of("whole", parts_of("invert", 10), 3, source)
    feed.start(None)
    while feed.take() is not None:
        pass
    assert source.decoded == [1]
    assert feed.exhausted
    feed.close()


def test_pieces_that_were_read_are_reported_once() -> None:
    feed = feed_of("bands", parts_of("invert", 50), 3)
    feed.start(None)
    feed.take()
    ((started, ended, box),) = feed.spans()
    assert started <= ended
    assert box == Box(0, 0, 50, 40)
    assert feed.spans() == []
    feed.close()


class Failing(ArrayRows):
    """Rows that are damaged somewhere, or behind the last one."""

    at = 30

    def read_into(self, out: Pixels) -> None:
        if self._next + len(out) > self.at:
            raise CorruptError("in.png: damaged")
        super().read_into(out)

    def finish(self) -> None:
        raise CorruptError("in.png: damaged at the end")


@dataclass(frozen=True, eq=False)
class FailingArray(SequentialArray):
    at: int = 30

    def rows(self, *, ahead: bool = False) -> ArrayRows:
        rows = Failing(self.pixels)
        rows.at = self.at
        return rows


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize(("at", "given_before"), [(30, 3), (97, 10)])
def test_damage_is_reported_after_what_was_read_before_it(
    at: int, given_before: int, threaded: bool
) -> None:
    parts, ready = parts_of("invert", 10), threading.Semaphore(0)
    feed = feed_of("bands", parts, 10, FailingArray(INFO, PIXELS, at=at))
    feed.start(ready.release if threaded else None)
    found: list[Input] = []

    def take_all() -> None:
        while True:
            if (image := feed.take()) is not None:
                found.append(image)
            elif threaded:
                assert ready.acquire(timeout=30)

    with pytest.raises(CorruptError, match="damaged"):
        take_all()
    assert len(found) == given_before
    assert not feed.exhausted
    feed.close()


def test_a_ring_holds_the_rows_of_tasks_side_by_side_once_and_some_of_the_next() -> None:
    parts = parts_of("blur:sigma=1", 16, 10)  # four tasks side by side, and a halo of 4 rows
    assert [ring_rows(parts, INFO, window) for window in (1, 2, 4, 5, 9)] == [40, 40, 40, 56, 72]
    feed = feed_of("ring", parts, 4)
    feed.start(None)
    taken = [feed.take() for _ in range(9)]
    assert [image is not None for image in taken] == [True] * 8 + [False]  # 40 rows are there
    for image in taken[1:8]:
        assert image is not None
        feed.give_back(image)
        assert feed.take() is None  # while the first task needs the first rows
    assert taken[0] is not None
    feed.give_back(taken[0])
    assert feed.take() is not None
    feed.close()


@pytest.mark.parametrize("way", [*READING, "ring"])
def test_a_reader_that_waits_for_a_place_ends_when_it_is_closed(way: str) -> None:
    ready = threading.Semaphore(0)
    feed = feed_of(way, parts_of("invert", 10), 1)
    feed.start(ready.release)
    assert ready.acquire(timeout=30)
    feed.close()  # returns, which is all
    assert not [one for one in threading.enumerate() if one.name == "imgpipe-reader"]


@pytest.mark.parametrize("threaded", [False, True])
def test_a_run_that_is_to_end_stops_the_reader(threaded: bool) -> None:
    def stopped() -> None:
        raise Cancelled("stopped")

    ready = threading.Semaphore(0)
    feed = feed_of("whole", parts_of("invert", 10), 1, check=stopped)
    feed.start(ready.release if threaded else None)
    assert not threaded or ready.acquire(timeout=30)
    with pytest.raises(Cancelled):
        feed.take()
    feed.close()
