"""Conduct of a batch: stops, failures that are nobody's fault, and files that kill."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import signal
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.batches.events import HeaderRead, OutputEnded
from imgpipe.batches.publishing import ledger
from imgpipe.batches.work import smallfiles
from imgpipe.batches.work.answers import failed
from imgpipe.batches.work.heldfiles import HeldFile
from imgpipe.batching import Batch
from imgpipe.errors import Cancelled, FilterTimeout, MemoryPlanError, OutputError, WorkerError
from tests.batches import left_behind, made, tree
from tests.conftest import noise
from tests.faraway import FarAwayExecutor


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty small pictures; each whose number ends in 3 is broken."""
    folder = tmp_path_factory.mktemp("thirty")
    for number in range(30):
        path = folder / f"{number:02}.png"
        imgpipe.write(noise((20, 30, 3), "uint8", seed=number), path)
        if number % 10 == 3:
            path.write_bytes(path.read_bytes()[:90])
    return folder


@pytest.fixture
def photos(thirty: Path, tmp_path: Path) -> Path:
    """Return a folder of a test's own with the thirty pictures."""
    return shutil.copytree(thirty, tmp_path / "in")


def all_ended(batch: Any, outputs: int = 30) -> None:
    report = batch.report
    assert report.done + report.failed + report.skipped + report.left == outputs


# --- stops ----------------------------------------------------------------------------------


def test_fail_fast_ends_the_batch_with_the_first_failure(photos: Path, tmp_path: Path) -> None:
    batch = made(photos, "blur:1", tmp_path / "out", fail_fast=True)
    assert (batch.report.stopped_by, batch.exit) == ("fail_fast", 3)
    assert batch.report.failed == 1
    assert batch.report.left > 0
    all_ended(batch)
    assert not left_behind(tmp_path / "out")


def test_max_failures_bears_some(photos: Path, tmp_path: Path) -> None:
    batch = made(photos, "blur:1", tmp_path / "out", max_failures=2)
    assert (batch.report.stopped_by, batch.exit) == ("max_failures", 3)
    assert batch.report.failed == 2
    all_ended(batch)


def test_resume_makes_the_outputs_that_a_stopped_batch_has_left(
    photos: Path, tmp_path: Path
) -> None:
    whole = made(photos, "blur:1", tmp_path / "whole")
    made(photos, "blur:1", tmp_path / "out", fail_fast=True)
    again = made(photos, "blur:1", tmp_path / "out", resume=True)
    assert again.report.failed == whole.report.failed == 3
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_batch_can_be_stopped_by_whoever_gets_its_results(photos: Path, tmp_path: Path) -> None:
    with Batch(photos, "blur:1", tmp_path / "out", executor="serial", workers=1) as batch:
        for number, _ in enumerate(batch):
            if number == 3:
                batch.stop()
    assert batch.report.stopped_by == "signal"
    assert batch.exit_code == 1
    all_ended(batch)
    assert not left_behind(tmp_path / "out")


_under_way: list[Batch] = []


@imgpipe.filter(halo=0)
def stopping(chunk: Any) -> Any:
    """Stop the batch whose first file this is."""
    _under_way.pop().stop()
    return chunk


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_stop_waits_for_the_file_under_way_only(
    photos: Path, tmp_path: Path, executor: Any
) -> None:
    with Batch(photos, stopping, tmp_path / "out", executor=executor, workers=1) as batch:
        _under_way.append(batch)
        results = list(batch)
    assert len(results) == batch.report.done == 1
    all_ended(batch)
    assert not left_behind(tmp_path / "out")


def test_an_observer_may_end_the_batch(photos: Path, tmp_path: Path) -> None:
    def observer(event: Any) -> None:
        raise Cancelled("enough")

    batch = made(photos, "blur:1", tmp_path / "out", on_event=observer)
    assert batch.report.stopped_by == "signal"
    assert batch.report.left > 0
    assert not left_behind(tmp_path / "out")


def test_an_observer_that_fails_is_switched_off(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    def observer(event: Any) -> None:
        seen.append(event)
        raise ValueError("of its own")

    with Batch(photos, "blur:1", tmp_path / "out", on_event=observer, on_batch_event=observer,
               executor="serial", workers=1) as batch:  # fmt: skip
        assert len(list(batch)) == 30
    assert len(seen) == 2
    assert caplog.text.count("switched off: ValueError: of its own") == 2


def test_an_interrupt_ends_the_batch_and_comes_through(photos: Path, tmp_path: Path) -> None:
    events: list[Any] = []

    def observer(event: Any) -> None:
        events.append(event)
        if isinstance(event, OutputEnded):
            raise KeyboardInterrupt

    batch = Batch(photos, "blur:1", tmp_path / "out", on_batch_event=observer, executor="serial",
                  workers=1)  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        list(batch)
    assert (events[-1].exit, events[-1].interrupted) == (130, "SIGINT")
    all_ended(batch)
    assert not left_behind(tmp_path / "out")
    again = made(photos, "blur:1", tmp_path / "out", resume=True)
    assert again.report.done + again.report.skipped == 27


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_file_that_is_copied_in_this_process_ends_with_the_batch(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it is: the next piece after the time that small files have is the last."""
    monkeypatch.setattr("imgpipe.batches.stopping.GRACE_SECONDS", 0)
    monkeypatch.setattr("imgpipe.formats.origin._PIECE_BYTES", 1000)
    (tmp_path / "in").mkdir()
    imgpipe.write(noise((200, 100, 3), "uint8"), tmp_path / "in" / "a.png")
    write, pieces = HeldFile.write, list[int]()

    def stopping(target: HeldFile, data: Any) -> None:
        pieces.append(len(data))
        if len(pieces) == 5:
            batch.stop()
        write(target, data)

    monkeypatch.setattr(HeldFile, "write", stopping)
    with Batch(tmp_path / "in", None, tmp_path / "out", executor=executor, workers=1) as batch:
        assert list(batch) == []
    assert (len(pieces), batch.report.left, batch.report.stopped_by) == (5, 1, "signal")
    assert not tree(tmp_path / "out")
    assert made(tmp_path / "in", None, tmp_path / "out", resume=True).report.done == 1
    assert len(pieces) > 30


# --- failures that are no fault of a file ---------------------------------------------------


def breaking(number: int, after: int) -> Any:
    """Return an attempt to make a file that fails by a number of the system from some file on."""
    attempts = 0
    attempt = smallfiles._Maker.make

    def make(self: Any, file: Any, *rest: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts <= after:
            return attempt(self, file, *rest)
        error = OutputError(f"{file.outputs[0].path}: cannot write")
        error.__cause__ = OSError(number, os.strerror(number))
        return failed(file.name, "write", error, 0)

    return make


@pytest.mark.parametrize(
    ("number", "why"), [(errno.ENOSPC, "no_space"), (errno.EROFS, "output_lost")]
)
def test_a_full_disk_stops_the_batch_and_is_the_failure_of_no_file(
    number: int, why: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smallfiles._Maker, "make", breaking(number, 6))
    batch = made(photos, "blur:1", tmp_path / "out")
    assert (batch.report.stopped_by, batch.exit) == (why, 1)
    assert str(tmp_path / "out") in batch.report.stopped_because
    assert (batch.report.done, batch.report.failed, batch.report.left) == (5, 1, 24)
    assert not left_behind(tmp_path / "out")
    monkeypatch.undo()
    again = made(photos, "blur:1", tmp_path / "out", resume=True)
    assert (again.report.done, again.report.skipped) == (22, 5)


@pytest.mark.parametrize("which", ["in", "out"])
def test_a_folder_that_goes_away_stops_the_batch(
    which: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = smallfiles._Maker.make

    def make(self: Any, file: Any, *rest: Any) -> Any:
        if file.name.endswith("10.png"):
            shutil.move(tmp_path / which, tmp_path / "elsewhere")
        return attempt(self, file, *rest)

    monkeypatch.setattr(smallfiles._Maker, "make", make)
    with Batch(photos, "blur:1", tmp_path / "out", executor="serial", workers=1) as batch:
        list(batch)
    assert (batch.report.stopped_by, batch.exit_code) == ("output_lost", 1)
    assert batch.report.failed <= 1
    assert batch.report.left >= 18
    assert str(tmp_path / which) in batch.report.stopped_because


def test_an_output_folder_that_goes_away_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even between two groups, when nothing is being written."""
    monkeypatch.setattr(ledger, "_GROUP", 1)
    for number in range(8):
        folder = tmp_path / "in" / str(number)
        folder.mkdir(parents=True)
        imgpipe.write(noise((20, 30, 3), "uint8", seed=number), folder / "a.png")

    def tell(event: Any) -> None:
        if isinstance(event, OutputEnded) and (tmp_path / "out").exists():
            shutil.rmtree(tmp_path / "out")

    batch = Batch(
        tmp_path / "in", "blur:1", tmp_path / "out", executor="serial", workers=1,
        on_batch_event=tell,
    )  # fmt: skip
    with batch:
        list(batch)
    assert batch.report.stopped_by == "output_lost"
    assert (batch.report.done, batch.report.failed, batch.report.left) == (2, 0, 6)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("group", [1, 64])
@pytest.mark.parametrize("next_folder", ["b", "a/deep"])
def test_a_folder_of_outputs_that_goes_away_stops_the_batch_and_a_resume_makes_it_again(
    group: int, next_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are lost, so the number of finished outputs would not be true any more."""
    monkeypatch.setattr(ledger, "_GROUP", group)
    for number, folder in enumerate(["a"] * 12 + [next_folder] * 4):
        (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
        path = tmp_path / "in" / folder / f"{number:02}.png"
        imgpipe.write(noise((20, 30, 3), "uint8", seed=number), path)
    attempt = smallfiles._Maker.make

    def make(self: Any, file: Any, *rest: Any) -> Any:
        if file.name.endswith("11.png"):
            shutil.rmtree(tmp_path / "out" / "a")
        return attempt(self, file, *rest)

    monkeypatch.setattr(smallfiles._Maker, "make", make)
    with Batch(tmp_path / "in", "blur:1", tmp_path / "out", executor="serial", workers=1) as batch:
        list(batch)
    assert (batch.report.stopped_by, batch.exit_code) == ("output_lost", 1)
    assert batch.report.stopped_because == f"the folder {tmp_path}/out/a is gone, with its files"
    assert batch.report.failed == 0
    monkeypatch.undo()
    made(tmp_path / "in", "blur:1", tmp_path / "out", resume=True)
    assert tree(tmp_path / "out").keys() == tree(tmp_path / "in").keys()


class Pixels:
    """Something large that a filter holds."""


_held: list[weakref.ref[Any]] = []


def holding(chunk: Any) -> Any:
    """A filter that fails, and an error that holds pixels as well."""
    mine, others = Pixels(), Pixels()
    _held.extend([weakref.ref(mine), weakref.ref(others)])
    raise ValueError("no thanks", others)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_failure_keeps_its_text_and_no_pixels(
    executor: str, large: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(smallfiles, "MOST_PIXELS", 1)
    _held.clear()
    batch = made(photos, holding, tmp_path / "out", executor=executor, halo=0)
    assert batch.report.failed == len(batch.report.failures) == 30
    assert sum("no thanks" in text for text in batch.failures.values()) == 27
    gc.collect()
    assert len(_held) == 2 * 27
    assert not [ref for ref in _held if ref() is not None]
    assert not [each for each in batch.report.failures if each.error and each.error.__traceback__]


# --- files that kill ------------------------------------------------------------------------


def dangerous(chunk: Any) -> Any:
    """A filter that dies of one picture, hangs at another and fails at a third."""
    match int(chunk[0, 0, 0]):
        case 200:
            os.kill(os.getpid(), signal.SIGSEGV)
        case 201:
            signal.pause()
        case 202:
            raise ValueError("of its own")
    return chunk


def test_a_file_that_kills_hangs_or_raises_fails_alone(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number, value in enumerate([1, 200, 2, 201, 3, 202, 4, 5]):
        imgpipe.write(np.full((8, 9, 3), value, "uint8"), source / f"{number}.png")
    batch = made(source, dangerous, tmp_path / "out", halo=0, workers=2, executor=None, timeout=1)
    assert sorted(batch.failures) == ["1.png", "3.png", "5.png"]
    kinds = {os.path.basename(each.path): type(each.error) for each in batch.report.failures}
    assert (kinds["1.png"], kinds["3.png"]) == (WorkerError, FilterTimeout)
    assert "of its own" in batch.failures["5.png"]
    assert "dangerous() ended 3 workers in a row" in batch.failures["1.png"]
    assert "dangerous() did not finish within its timeout" in batch.failures["3.png"]
    attempts = {os.path.basename(each.path): each.attempts for each in batch.report.failures}
    assert (attempts["1.png"], attempts["3.png"], attempts["5.png"]) == (3, 1, 1)
    assert {each.stage for each in batch.report.failures} == {"filter"}
    assert batch.report.done == 5
    assert not left_behind(tmp_path / "out")


# --- facts known ahead ----------------------------------------------------------------------


def test_headers_of_files_of_some_size_are_read_ahead(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(4):
        np.save(source / f"{number}.npy", noise((700, 500, 3), "uint8"))
    batch = made(source, "invert", tmp_path / "out")
    measured = [each for each in batch.events if isinstance(each, HeaderRead)]
    assert sorted(each.pixels for each in measured) == [350_000] * 4
    assert {each.output for each in measured} == {each.output for each in batch.results}


def test_utilisation_and_bottleneck_are_reported(photos: Path, tmp_path: Path) -> None:
    with imgpipe.Timeline(tmp_path / "run.html") as timeline:
        batch = made(photos, "median:3", tmp_path / "out", on_event=timeline)
    assert batch.ended.utilisation is not None
    assert 0 < batch.ended.utilisation <= 1
    assert batch.ended.bottleneck in ("read", "filter", "encode", "write", "other", "wait")
    assert timeline.verdict.bottleneck != "none"
    assert (tmp_path / "run.html").stat().st_size > 1000
    assert batch.report.peak_memory > 10_000_000


def test_a_file_that_can_never_fit_fails_alone_and_says_what_would_do(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(4):
        imgpipe.write(noise((40, 30, 3), "uint8"), source / f"{number}.png")
    np.save(source / "x.npy", np.zeros((1, 30_000_000, 3), "uint8"))
    batch = made(
        source, "invert", tmp_path / "out", format="png", workers=1, executor="processes",
        max_memory="120M",
    )  # fmt: skip
    assert (batch.report.done, batch.exit) == (4, 3)
    (failure,) = batch.report.failures
    assert isinstance(failure.error, MemoryPlanError)
    assert "raise the limit (max_memory='" in str(failure.error)
    assert failure.attempts == 1


def test_too_little_memory_for_any_file_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(imgpipe.errors.MemoryPlanError, match=r"raise the limit \(max_memory='"):
        imgpipe.batch(photos, "blur:1", tmp_path / "out", workers=1, max_memory="1M")
    assert not (tmp_path / "out").exists()


def test_an_executor_that_sees_no_files_gets_pixels(photos: Path, tmp_path: Path) -> None:
    with FarAwayExecutor(hidden=tmp_path) as executor:
        batch = made(photos, "blur:1", tmp_path / "out", executor=executor, workers=1)
    assert (batch.report.done, batch.report.failed) == (27, 3)
    imgpipe.batch(photos, "blur:1", tmp_path / "alone", executor="serial", workers=1)
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")


def test_threads_make_small_files_too(photos: Path, tmp_path: Path) -> None:
    batch = made(photos, "blur:1", tmp_path / "out", executor="threads", workers=2)
    assert (batch.report.done, batch.report.failed) == (27, 3)
