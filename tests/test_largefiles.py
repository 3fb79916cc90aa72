"""Large files of a batch: by the crew, to the byte as by themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.batches.events import OutputAdvanced
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.work.answers import Failed, Made, Recipe
from imgpipe.batches.work.heldfiles import publish
from imgpipe.batches.work.largefiles import LargeWork, request_of
from imgpipe.batches.work.smallfiles import make_files
from imgpipe.errors import Cancelled, CorruptError, InputError
from imgpipe.events import Event, TaskDone, Written
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.options import Options
from tests.batches import make_images
from tests.conftest import noise
from tests.test_smallfiles import HERE, file, nothing_left, recipe

SERIAL = Options(workers=1, executor="serial")


def asked(recipe: Recipe, one: Any, options: Options = SERIAL, **given: Any) -> LargeWork:
    return request_of(one, recipe, options, given.pop("on_batch_event", lambda _: None), **given)


def answered(work: LargeWork, options: Options = SERIAL) -> Made | Failed | LargeWork:
    (outcome,) = make_images([work.request], options)
    return work.answer(outcome.error)


def test_the_digest_of_a_file_ends_when_its_work_is_stopped(tmp_path: Path) -> None:
    """The digest is taken last, when the output is there already."""
    source, out = tmp_path / "source.png", tmp_path / "out.tif"
    imgpipe.write(noise((30, 20, 3), "uint8"), source)

    def stop(event: Event) -> None:
        if isinstance(event, Written):
            work.request.control.stop()

    work = asked(recipe("blur:1"), file(source, out), watch=stop)
    (outcome,) = make_images([work.request], SERIAL)
    assert isinstance(outcome.error, Cancelled)
    work.abort()
    nothing_left(tmp_path)
    with pytest.raises(Cancelled):
        work._read_again()


def test_an_answer_is_that_of_a_small_file_with_its_advance(tmp_path: Path) -> None:
    source, out = tmp_path / "source.png", tmp_path / "out.tif"
    imgpipe.write(noise((300, 200, 3), "uint8"), source)
    told: list[Any] = []
    events: list[Any] = []
    work = asked(
        recipe("blur:1"), file(source, out), on_batch_event=told.append, watch=events.append
    )
    answer = answered(work)
    assert isinstance(answer, Made)
    found = source.stat()
    assert answer.status == (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    assert (answer.digest, answer.pixels) == (file_digest(str(source)), 60_000)
    assert {name for name, _ in answer.seconds} >= {"read", "filter", "write"}
    assert told[-1] == OutputAdvanced(str(source), str(out), 60_000)
    assert any(isinstance(event, TaskDone) for event in events)
    assert not out.exists()
    assert not publish(answer.finished)
    (finished,) = answer.finished
    assert (finished.size, finished.mtime_ns) == (out.stat().st_size, out.stat().st_mtime_ns)
    imgpipe.run(source, "blur:1", tmp_path / "alone.tif")
    assert out.read_bytes() == (tmp_path / "alone.tif").read_bytes()


def test_a_folder_appears_as_a_whole_in_the_place_of_another(tmp_path: Path) -> None:
    source, out = tmp_path / "source.png", tmp_path / "out.zarr"
    imgpipe.write(noise((40, 50, 3), "uint8"), source)
    for chain in ("invert", "blur:1"):
        answer = answered(asked(recipe(chain), file(source, out)))
        assert isinstance(answer, Made)
        assert answer.finished[0].replaces == out.exists()
        assert not publish(answer.finished)
    imgpipe.run(source, "blur:1", tmp_path / "alone.zarr")
    assert file_digest(str(out)) == file_digest(str(tmp_path / "alone.zarr"))
    assert sorted(os.listdir(tmp_path)) == ["alone.zarr", "out.zarr", "source.png"]


def test_a_failure_says_its_stage_and_leaves_nothing(tmp_path: Path) -> None:
    good, torn, missing = (tmp_path / name for name in ("good.png", "torn.png", "missing.png"))
    imgpipe.write(noise((40, 50, 3), "uint8"), good)
    data = bytearray(good.read_bytes())
    data[-200] ^= 255
    torn.write_bytes(data)
    found = [answered(asked(recipe("invert"), file(one, tmp_path / "o.png")))
             for one in (torn, missing)]  # fmt: skip
    assert [isinstance(one, Failed) and (one.stage, type(one.error)) for one in found] == [
        ("read", CorruptError),
        ("open", InputError),
    ]
    nothing_left(tmp_path)


@pytest.mark.parametrize("times", [1, 2])
def test_a_source_that_changes_is_tried_once_more(times: int, tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((40, 50, 3), "uint8"), source)
    left = times

    def touch(event: Any) -> None:
        nonlocal left
        if isinstance(event, TaskDone) and left:
            left -= 1
            os.utime(source, ns=(left, left))

    again = answered(asked(recipe("invert"), file(source, tmp_path / "o.png"), watch=touch))
    assert isinstance(again, LargeWork)
    answer = answered(again)
    assert isinstance(answer, Made) == (times == 1)
    if isinstance(answer, Failed):
        assert "changed while it was read" in str(answer.error)
        nothing_left(tmp_path)


@pytest.mark.parametrize("small", [False, True])
def test_each_output_that_is_not_smaller_is_left_out(small: bool, tmp_path: Path) -> None:
    """By itself: one may appear without the other."""
    source, outputs = tmp_path / "source.png", [tmp_path / "a.bmp", tmp_path / "b.jpg"]
    imgpipe.write(noise((60, 50, 3), "uint8"), source)
    common = recipe("invert", "invert", if_smaller=True)
    if small:
        (answer,) = make_files(common, (file(source, *outputs),), HERE)
    else:
        answer = answered(asked(common, file(source, *outputs)))  # type: ignore[assignment]
    assert isinstance(answer, Made)
    assert answer.not_smaller == (str(outputs[0]),)
    assert not publish(answer.finished)
    assert sorted(os.listdir(tmp_path)) == ["b.jpg", "source.png"]


def test_frames_are_made_at_once_and_a_damaged_one_costs_its_file_only(
    tmp_path: Path, pool: ProcessExecutor
) -> None:
    """In one crew with others; nothing is left of a file that failed."""
    good, torn, other = (tmp_path / name for name in ("good.tif", "torn.tif", "other.png"))
    frames = [noise((64, 48, 3), "uint8", seed=seed) for seed in range(5)]
    tifffile.imwrite(good, np.stack(frames), photometric="rgb", compression="zlib")
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 255
    torn.write_bytes(data)
    imgpipe.write(frames[0], other)
    out = tmp_path / "out"
    out.mkdir()
    options = Options(workers=2, executor=pool)
    works = [asked(recipe("invert"), file(one, out / one.name)) for one in (torn, good, other)]
    found: dict[int, Any] = {}
    for outcome in make_images([work.request for work in works], options):
        found[outcome.turn] = works[outcome.turn].answer(outcome.error)
    assert [type(found[turn]) for turn in range(3)] == [Failed, Made, Made]
    assert isinstance(found[0].error, CorruptError)
    assert not publish([one for each in (found[1], found[2]) for one in each.finished])
    assert sorted(os.listdir(out)) == ["good.tif", "other.png"]
    assert np.array_equal(tifffile.imread(out / "good.tif"), 255 - np.stack(frames))
