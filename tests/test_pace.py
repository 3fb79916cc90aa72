"""Pace of a batch: the remaining time comes from the work that is left, not from counts."""

from __future__ import annotations

import pytest

from imgpipe.batches.events import (
    BatchPlanned,
    HeaderRead,
    OutputAdvanced,
    OutputEnded,
    SourceStarted,
    Tick,
)
from imgpipe.batches.progress.pace import Pace
from tests.batchresults import Clock, done, failed, skipped

MP = 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def plan(jpegs: int, avifs: int = 0, current: int = 0, pixels: dict[str, int] | None = None):  # type: ignore[no-untyped-def]
    to_do = {".jpg .jpg": jpegs} | ({".jpg .avif": avifs} if avifs else {})
    return BatchPlanned(jpegs + avifs + current, {}, current, to_do, pixels)


def jpeg(number: int, seconds: float = 1.0) -> OutputEnded:
    return OutputEnded(
        done(f"{number}.jpg", f"{number}.jpg", seconds={"read": seconds, "wait": 99}), MP
    )


def test_nothing_is_said_in_the_first_five_seconds(pace: Pace, clock: Clock) -> None:
    clock.now += 1000  # of scanning
    pace(plan(10))
    clock.now += 4.9
    pace(jpeg(0))
    assert pace.remaining is None
    clock.now += 0.2
    assert pace.remaining == pytest.approx(9 * 5.1)


def test_skipped_and_failed_outputs_count_as_ended_but_not_as_speed(
    pace: Pace, clock: Clock
) -> None:
    pace(plan(20, current=1000))
    for _ in range(1000):
        pace(OutputEnded(skipped()))
    assert (pace.ended, pace.files) == (1000, 1020)
    for number in range(10):
        clock.now += 1
        pace(jpeg(number))
    before = pace.remaining
    assert before == pytest.approx(10)
    for number in range(5):
        pace(OutputEnded(failed(f"{number}.jpg"), MP))
    assert pace.remaining == pytest.approx(5)
    pace(SourceStarted("5.jpg"))
    pace(OutputEnded(skipped("5.jpg", "not_smaller"), MP))
    assert pace.remaining == pytest.approx(4)
    assert (pace.done, pace.failed, pace.skipped) == (10, 5, 1001)


def test_a_few_large_files_at_the_end_count_by_their_pixels(pace: Pace, clock: Clock) -> None:
    pace(plan(11, pixels={".jpg .jpg": 110 * MP}))
    for number in range(10):
        clock.now += 1
        pace(jpeg(number))
    assert pace.megapixels == 110
    assert pace.remaining == pytest.approx(100)


def test_an_expensive_kind_counts_by_its_cost(pace: Pace, clock: Clock) -> None:
    pace(plan(11, avifs=11))
    clock.now += 9
    pace(OutputEnded(done("0.jpg", "0.avif", seconds={"encode": 9.0}), MP))
    for number in range(10):
        clock.now += 1
        pace(jpeg(number))
    assert pace.remaining == pytest.approx(10 * 9 + 1, rel=0.01)


def test_the_window_forgets_what_was_long_ago(pace: Pace, clock: Clock) -> None:
    pace(plan(1000))
    for number in range(100):  # slow
        clock.now += 10
        pace(jpeg(number))
    for number in range(100, 200):  # fast
        clock.now += 0.5
        pace(jpeg(number))
    assert pace.rate == pytest.approx(2)
    assert pace.remaining == pytest.approx(400)


def test_a_sample_stands_for_headers_that_are_not_known(pace: Pace, clock: Clock) -> None:
    pace(plan(100))
    assert pace.megapixels is None
    assert pace.sampled
    pace(HeaderRead("0.jpg", "0.jpg", 3 * MP))
    pace(HeaderRead("1.jpg", "1.jpg", 5 * MP))
    assert pace.megapixels == 400
    clock.now += 6
    pace(OutputEnded(done("0.jpg", "0.jpg"), 3 * MP))
    assert pace.megapixels == 400
    assert pace.remaining == pytest.approx(397 * 2)


def test_a_large_image_counts_while_it_goes_on(pace: Pace, clock: Clock) -> None:
    pace(plan(1, pixels={".jpg .jpg": 100 * MP}))
    pace(SourceStarted("big.jpg"))
    for part in range(1, 11):
        clock.now += 1
        pace(OutputAdvanced("big.jpg", "big.jpg", part * 5 * MP))
    assert pace.megapixels_done == 50
    assert pace.remaining == pytest.approx(10)
    pace(OutputEnded(done("big.jpg", "big.jpg"), 100 * MP))
    assert (pace.megapixels_done, pace.remaining) == (100, 0)
    assert pace.rate == 10


def test_a_large_image_of_a_sample_is_not_counted_twice(pace: Pace, clock: Clock) -> None:
    pace(plan(2))
    pace(HeaderRead("big.jpg", "big.jpg", 100 * MP))
    clock.now += 10
    pace(OutputAdvanced("big.jpg", "big.jpg", 50 * MP))
    assert (pace.megapixels_done, pace.megapixels) == (50, 200)
    assert pace.remaining == pytest.approx(30)


def test_running_sources_end_with_their_last_output(pace: Pace) -> None:
    pace(plan(2))
    pace(SourceStarted("a.jpg", outputs=2))
    pace(OutputEnded(done("a.jpg", "a-1.jpg")))
    assert list(pace.running) == ["a.jpg"]
    pace(OutputEnded(done("a.jpg", "a-2.jpg")))
    assert not pace.running


def test_no_work_for_a_while_is_no_end_of_the_estimate(pace: Pace, clock: Clock) -> None:
    pace(plan(2))
    clock.now += 10
    pace(jpeg(0))
    for _ in range(100):
        clock.now += 1
        pace(Tick())
    assert pace.remaining == pytest.approx(110)


def test_icons_tell_nothing_of_a_mosaic(pace: Pace, clock: Clock) -> None:
    pace(plan(3, pixels={".jpg .jpg": 100 * MP}))
    pace(OutputEnded(done("icon.jpg", "icon.jpg", seconds={"read": 1.0}), 1_000))
    clock.now += 6
    assert pace.remaining is None
    pace(jpeg(0))
    assert pace.remaining == pytest.approx(6 * 99, rel=0.01)
