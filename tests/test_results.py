"""Results of a batch: every output ends once, and failures can be raised."""

from __future__ import annotations

import pytest

from imgpipe.batches.results import BatchReport, Result
from imgpipe.errors import BatchError, CorruptError


def done(**facts: int) -> Result:
    return Result("a.jpg", "out/a.png", "done", **facts)  # type: ignore[arg-type]


def failed(name: str = "b") -> Result:
    error = CorruptError(f"{name}.png: is damaged")
    return Result(f"{name}.png", f"out/{name}.png", "failed", stage="read", error=error)


def test_every_output_is_counted_once() -> None:
    report = BatchReport(left=4)
    report.add(done(pixels=10, bytes_in=5, bytes_out=3))
    report.add(failed())
    report.add(Result("c.png", "out/c.png", "skipped", reason="current"))
    report.add(Result("d.png", "out/d.png", "skipped", reason="exists"))
    assert (report.done, report.failed, report.skipped, report.outputs) == (1, 1, 2, 8)
    assert (report.pixels, report.bytes_in, report.bytes_out) == (10, 5, 3)
    assert report.reasons == {"current": 1, "exists": 1}


def test_no_failure_raises_nothing() -> None:
    report = BatchReport()
    report.add(done())
    report.raise_for_failures()


def test_failures_are_raised_with_the_first_of_them() -> None:
    report = BatchReport()
    for number in range(7):
        report.add(failed(str(number)))
    with pytest.raises(BatchError) as caught:
        report.raise_for_failures()
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 of 7 outputs failed"
    assert lines[1] == "  0.png: is damaged"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == 7


def test_a_batch_that_was_stopped_raises_too() -> None:
    report = BatchReport(stopped_by="no_space", left=3)
    with pytest.raises(BatchError, match=r"stopped \(no_space\), 3 left"):
        report.raise_for_failures()


def test_the_summary_is_one_line() -> None:
    report = BatchReport(seconds=2.0, left=1)
    report.add(done(pixels=4_000_000))
    report.add(failed())
    report.add(Result("c.png", "out/c.png", "skipped", reason="source_older"))
    assert str(report) == (
        "1 done, 1 skipped (source older), 1 failed, 1 left, 4.0 MP in 2.0 s (2.0 MP/s)"
    )
    for name in "de":
        report.add(Result(f"{name}.png", f"out/{name}.png", "skipped", reason="exists"))
    assert ", 3 skipped (1 source older, 2 already there), " in str(report)


def test_the_summary_of_a_watch_has_no_speed() -> None:
    """Its seconds are mostly those of waiting for files."""
    report = BatchReport(seconds=3600.0, waited=True)
    report.add(done(pixels=4_000_000))
    assert str(report) == "1 done, 4.0 MP in 3600.0 s"


def test_a_report_has_no_speed_while_the_batch_goes_on() -> None:
    report = BatchReport()
    report.add(done(pixels=4_000_000))
    assert str(report) == "1 done, 4.0 MP"
