"""Progress in lines: few of them however long a batch is, and failures at once."""

from __future__ import annotations

import io

import pytest

from imgpipe.batches.events import BatchPlanned, BatchScanning, OutputEnded, Tick
from imgpipe.batches.progress.progresslines import ProgressLines
from imgpipe.batches.results import Result
from tests.batchresults import Clock, done, ended, failed, odd_names, planned, skipped, started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(file: io.StringIO, clock: Clock) -> ProgressLines:
    return ProgressLines(file, clock)


def test_a_batch_from_start_to_end(lines: ProgressLines, file: io.StringIO, clock: Clock) -> None:
    results = [done(f"{number}.jpg") for number in range(20)]
    passed = {"not_image": 290, "link_outside": 2, "hidden": 20}
    lines(started())
    lines(BatchPlanned(20, passed, 1, {".jpg .jpg": 20}, {".jpg .jpg": 60_000_000}))
    lines(OutputEnded(skipped()))
    for each in results:
        clock.now += 1
        lines(OutputEnded(each, 3_000_000))
    lines(ended([*results, skipped()], resume="imgpipe blur photos -o web --resume"))
    first, *others = file.getvalue().splitlines()
    assert first == (
        "20 images to make (60.0 MP); 1 skipped; "
        "312 passed over: 290 not images, 20 hidden, 2 links outside"
    )
    assert others == [
        "11 of 21 files, 30.0 of 60.0 MP, 3.0 MP/s, 10 s left",
        "20 done, 1 skipped (up to date), 60.0 MP in 2.0 s (30.0 MP/s)",
        "to go on: imgpipe blur photos -o web --resume",
    ]


def test_intervals_grow_up_to_a_minute(
    lines: ProgressLines, file: io.StringIO, clock: Clock
) -> None:
    lines(planned([done()]))
    times = []
    for second in range(600):
        before = file.tell()
        lines(Tick())
        if file.tell() > before:
            times.append(second)
        clock.now += 1
    assert times == [10, 25, 48, 82, 133, 193, 253, 313, 373, 433, 493, 553]


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1, 10, 50])
def test_ten_thousand_files_give_a_hundred_lines(
    lines: ProgressLines, file: io.StringIO, clock: Clock, seconds: float
) -> None:
    results = [done(f"{number}", warnings=(f"tag {number}",)) for number in range(9_990)]
    results += [failed(f"{number}") for number in range(10)]
    lines(started())
    lines(planned(results))
    for each in results:
        clock.now += seconds
        lines(OutputEnded(each, 1_000_000))
    lines(ended(results, exit=3))
    told = file.getvalue()
    assert len(told.splitlines()) <= 100 + 10
    assert "\r" not in told
    assert "\x1b" not in told


def test_a_failure_is_reported_at_once_in_one_line(lines: ProgressLines, file: io.StringIO) -> None:
    lines(planned([]))
    before = file.tell()
    lines(OutputEnded(failed("b/z.png", "chunk IDAT: crc differs\nThe file is damaged.")))
    assert file.getvalue()[before:] == (
        "failed (read): b/z.png: chunk IDAT: crc differs. The file is damaged.\n"
    )


@pytest.mark.parametrize("name", odd_names())
def test_no_name_breaks_a_line(lines: ProgressLines, file: io.StringIO, name: str) -> None:
    lines(planned([]))
    before = file.tell()
    lines(OutputEnded(failed(name)))
    told = file.getvalue()[before:]
    assert told.endswith("is damaged\n")
    assert told[:-1].isprintable()


def report(lines: ProgressLines, results: list[Result]) -> None:
    """Report a batch that ends with these results."""
    lines(planned(results))
    for each in results:
        lines(OutputEnded(each))
    lines(ended(results))


def test_equal_warnings_are_counted(lines: ProgressLines, file: io.StringIO) -> None:
    results = [
        done(f"{number}.tif", warnings=(f"{number}.tif: tag 700 is damaged", "odd"))
        for number in range(3)
    ]
    report(lines, results)
    warnings = [line for line in file.getvalue().splitlines() if "warning" in line]
    assert warnings == [
        "warning: 0.tif: tag 700 is damaged",
        "warning: 0.tif: odd",
        "warning in 3 outputs: tag 700 is damaged",
        "warning in 3 outputs: odd",
    ]


def test_warnings_that_name_the_output_are_equal_too(
    lines: ProgressLines, file: io.StringIO
) -> None:
    results = [
        Result(
            f"in/{n}.jpg", f"out/{n}.png", "done",
            warnings=(f"out/{n}.png: is small", f"in/{n}.jpg: is a PNG file, made as out/{n}.png"),
        )
        for n in range(3)
    ]  # fmt: skip
    report(lines, results)
    warnings = [line for line in file.getvalue().splitlines() if "warning" in line]
    assert warnings == [
        "warning: in/0.jpg: is small",
        "warning: in/0.jpg: is a PNG file, made as out/0.png",
        "warning in 3 outputs: is small",
        "warning in 3 outputs, such as in/0.jpg: is a PNG file, made as out/0.png",
    ]


def test_a_part_of_a_word_is_no_name(lines: ProgressLines, file: io.StringIO) -> None:
    results = [done(name, warnings=("tags are damaged",)) for name in ("tag", "x.jpg")]
    for each in results:
        lines(OutputEnded(each))
    lines(ended(results))
    assert "warning in 2 outputs: tags are damaged" in file.getvalue()


def test_of_many_different_warnings_some_are_reported(
    lines: ProgressLines, file: io.StringIO
) -> None:
    results = [done(warnings=(f"tag {number}",)) for number in range(5000)]
    report(lines, results)
    told = file.getvalue().splitlines()
    assert sum("warning: " in line for line in told) == 8
    assert "4,992 other warnings; --report lists them" in told


def test_a_walk_is_reported_after_a_second(
    lines: ProgressLines, file: io.StringIO, clock: Clock
) -> None:
    lines(BatchScanning(100))
    assert not file.getvalue()
    clock.now += 1
    lines(BatchScanning(48_210))
    lines(BatchScanning(48_211))
    assert file.getvalue() == "scanning: 48,210 files\n"


def test_quiet_lines_are_failures_and_the_summary(file: io.StringIO, clock: Clock) -> None:
    lines = ProgressLines(file, clock, quiet=True)
    clock.now += 100
    lines(BatchScanning(9))
    lines(planned([done(), failed()]))
    clock.now += 100
    lines(OutputEnded(done()))
    lines(OutputEnded(failed()))
    lines(ended([done(), failed()]))
    first, second = file.getvalue().splitlines()
    assert first.startswith("failed (read)")
    assert second.startswith("1 done, 1 failed")


def test_the_summary_names_the_cause_of_the_stop(lines: ProgressLines, file: io.StringIO) -> None:
    lines(ended([done()], stopped_by="no_space"))
    assert file.getvalue().startswith("stopped, because the disk is full; 1 done")


def test_nobody_has_to_listen(clock: Clock) -> None:
    file = io.StringIO()
    lines = ProgressLines(file, clock)
    file.close()
    lines(planned([]))
    lines(ended([]))
