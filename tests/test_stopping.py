"""Stopping: what ends a batch before its end, and what does not."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from imgpipe.batches.stopping import BatchControl, Tolerance, fault_of
from tests.batchresults import Clock


@pytest.mark.parametrize(
    ("tolerance", "failed", "ended", "why"),
    [
        (Tolerance(), 1000, 1000, None),
        (Tolerance(fail_fast=True), 0, 10, None),
        (Tolerance(fail_fast=True), 1, 1, "fail_fast"),
        (Tolerance(most=3), 2, 2, None),
        (Tolerance(most=3), 3, 1000, "max_failures"),
        (Tolerance(most="2"), 2, 2, "max_failures"),
        (Tolerance(most=0), 0, 5, None),
        (Tolerance(most=0), 1, 5, "max_failures"),
        (Tolerance(most="10%"), 19, 19, None),
        (Tolerance(most="10%"), 1, 20, None),
        (Tolerance(most="10%"), 2, 20, "max_failures"),
        (Tolerance(most="10%"), 9, 100, None),
        (Tolerance(most="0%"), 1, 20, "max_failures"),
        (Tolerance(fail_fast=True, most=5), 1, 9, "fail_fast"),
    ],
)
def test_failures_are_borne_up_to_a_number_or_a_share_of_twenty_files_and_more(
    tolerance: Tolerance, failed: int, ended: int, why: str | None
) -> None:
    assert tolerance.verdict(failed, ended) == why


@pytest.mark.parametrize(
    ("stage", "number", "why"),
    [
        ("write", errno.ENOSPC, "no_space"),
        ("encode", errno.EDQUOT, "no_space"),
        ("write", errno.EROFS, "output_lost"),
        ("write", errno.EIO, "output_lost"),
        ("read", errno.EIO, None),  # a bad sector under one file
        ("open", errno.EMFILE, "output_lost"),
        ("write", errno.EACCES, None),
        ("open", errno.ENOENT, None),
        ("filter", 0, None),
    ],
)
def test_some_errors_of_the_system_are_no_fault_of_a_file(
    stage: str, number: int, why: str | None, tmp_path: Path
) -> None:
    found = fault_of(stage, number, str(tmp_path), str(tmp_path))
    assert (found and found[0]) == why
    if found and why == "no_space":
        assert found[1] == f"there is no space left in {tmp_path}; free some"


def test_a_folder_that_is_gone_is_no_fault_of_a_file(tmp_path: Path) -> None:
    gone, here = str(tmp_path / "gone"), str(tmp_path)
    for folders in ((gone, here), (here, gone)):
        found = fault_of("open", errno.ENOENT, *folders)
        assert found is not None
        assert found[0] == "output_lost"
        assert gone in found[1]


def test_the_first_reason_to_stop_counts_but_a_signal_is_more_urgent_than_failures() -> None:
    clock = Clock()
    control = BatchControl(clock)
    woken: list[Any] = []
    assert not control.stopped
    control.attach(lambda: woken.append(None))
    control.halt("max_failures")
    assert (control.stopped, control.hurries) == (True, False)
    clock.now += 5
    control.stop("SIGINT")
    assert (control.stopped_by, control.signal, control.hurries) == ("signal", "SIGINT", True)
    assert control.seconds_left == 2.0
    control.halt("no_space")
    control.stop("SIGTERM")
    assert (control.stopped_by, control.signal) == ("signal", "SIGINT")
    assert len(woken) == 2


def test_a_full_disk_stays_the_reason_when_a_signal_follows() -> None:
    control = BatchControl()
    control.halt("no_space", "there is no space left")
    control.stop("SIGINT")
    assert (control.stopped_by, control.reason) == ("no_space", "there is no space left")
    assert control.signal == "SIGINT"
