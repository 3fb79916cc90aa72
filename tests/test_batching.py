"""Batches from Python: many files, one report."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.batches.events import SourceStarted
from imgpipe.errors import BatchError, CorruptError, UsageError
from tests.batches import left_behind, made, tree
from tests.conftest import noise


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of seven small pictures in three folders."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(["1.png", "2.png", "a/3.png", "a/4.tif", "a/b/5.png", "a/b/6.qoi",
                                   "c/7.png"]):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        imgpipe.write(noise((20 + number, 30, 3), "uint8", seed=number), path)
    return folder


def alone(folder: Path, out: Path, chain: Any) -> dict[str, bytes]:
    """Return the outputs of each file as a run of its own makes them."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        target = out / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        imgpipe.run(path, chain, target, executor="serial", workers=1)
    return tree(out)


@pytest.mark.parametrize("order", ["round-robin", "fifo", "largest-first", "random"])
def test_every_file_is_what_it_is_alone_in_every_order(
    order: Any, photos: Path, tmp_path: Path
) -> None:
    batch = made(photos, "blur:1", tmp_path / "out", order=order)
    assert (batch.report.done, batch.exit) == (7, 0)
    assert tree(tmp_path / "out") == alone(photos, tmp_path / "alone", "blur:1")


def test_small_and_large_files_share_the_workers(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is too large for one worker is cut into tasks."""
    source = tmp_path / "in"
    source.mkdir()
    for number in range(6):
        imgpipe.write(noise((40, 30, 3), "uint8"), source / f"{number}.png")
    np.save(source / "x.npy", np.zeros((4100, 4000, 1), "uint8"))
    batch = made(source, "invert", tmp_path / "out", workers=2, executor=None)
    assert batch.report.done == 7
    assert tree(tmp_path / "out") == alone(source, tmp_path / "alone", "invert")


def test_a_file_that_fails_stops_no_other(photos: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(5):
        imgpipe.write(noise((20, 30, 3), "uint8"), source / f"{number}.png")
    data = (source / "2.png").read_bytes()
    (source / "2.png").write_bytes(data[:200])
    batch = made(source, "blur:1", tmp_path / "out")
    assert (batch.report.done, batch.report.failed, batch.exit) == (4, 1, 3)
    (failure,) = batch.report.failures
    assert failure.path == str(source / "2.png")
    assert failure.stage in ("open", "read")
    assert isinstance(failure.error, CorruptError)
    assert not left_behind(tmp_path / "out")
    with pytest.raises(BatchError, match=r"1 of 5 outputs failed.*\n.*2.png"):
        batch.report.raise_for_failures()


def test_several_outputs_come_from_one_decoding(photos: Path, tmp_path: Path) -> None:
    tails = {"{stem}-s.jpg": "resize:8x", "{stem}-b.png": "blur:1", "{stem}-c.webp": None}
    batch = made(photos / "a", tails, tmp_path / "out")
    assert batch.report.done == 12
    names = {"3-s.jpg", "3-b.png", "3-c.webp"}
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}


def test_the_journal_says_begin_before_done_for_every_output(photos: Path, tmp_path: Path) -> None:
    made(photos, "blur:1", tmp_path)
    lines = (tmp_path / ".imgpipe" / "journal.jsonl").read_text().splitlines()
    events: dict[str, list[str]] = {}
    for line in map(json.loads, lines):
        events.setdefault(line.get("output", ""), []).append(line["event"])
    assert events.pop("") == ["versions"]
    assert len(events) == 7
    assert set(map(tuple, events.values())) == {("begin", "done")}


def test_resume_makes_what_is_missing(photos: Path, tmp_path: Path) -> None:
    first = made(photos, "blur:1", tmp_path)
    (tmp_path / "2.png").unlink()
    with pytest.raises(UsageError, match="resume"):
        made(photos, "blur:1", tmp_path)
    again = made(photos, "blur:1", tmp_path, resume=True)
    assert (again.report.done, again.report.skipped) == (1, 6)
    assert again.report.reasons == {"current": 6}
    assert first.report.done == 7


def test_checksums_of_outputs_are_recorded_and_compared(photos: Path, tmp_path: Path) -> None:
    others = {"copy_others": True, "checksum": True}
    (tmp_path / "in").mkdir()
    for name, data in ("1.png", (photos / "1.png").read_bytes()), ("notes.txt", b"notes"):
        (tmp_path / "in" / name).write_bytes(data)
    out = tmp_path / "out"
    assert made(tmp_path / "in", "blur:1", out, **others).report.done == 2
    for each in out.glob("*.*"):
        os.utime(each, ns=(1, 1))
    again = made(tmp_path / "in", "blur:1", out, resume=True, **others)
    assert again.report.reasons == {"current": 2}


@pytest.mark.parametrize("in_place", [False, True])
def test_an_output_that_is_not_smaller_is_not_tried_again(in_place: bool, tmp_path: Path) -> None:
    source, options = tmp_path / "in", dict[str, Any](if_smaller=True)
    options |= {"in_place": True} if in_place else {"format": "npy"}
    source.mkdir()
    imgpipe.write(np.zeros((20, 30, 1), "uint8"), source / "zeros.png")
    out = None if in_place else tmp_path / "out"
    assert made(source, None, out, **options).report.reasons == {"not_smaller": 1}
    again = made(source, None, out, resume=True, **options)
    assert again.report.reasons == {"not_smaller": 1}
    assert not any(isinstance(each, SourceStarted) for each in again.events)
    imgpipe.write(noise((20, 30, 1), "uint8"), source / "zeros.png")
    changed = made(source, None, out, resume=True, **options)
    assert any(isinstance(each, SourceStarted) for each in changed.events)


def test_leaving_the_loop_ends_the_batch(photos: Path, tmp_path: Path) -> None:
    with imgpipe.Batch(photos, "blur:1", tmp_path, executor="serial", workers=1) as batch:
        for result in batch:
            assert result.status == "done"
            break
    report = batch.report
    assert report.stopped_by == "signal"
    assert report.done + report.left == 7
    assert not left_behind(tmp_path)
    again = made(photos, "blur:1", tmp_path, resume=True)
    assert again.report.done + again.report.skipped == 7
    assert tree(tmp_path) == alone(photos, tmp_path / "alone", "blur:1")


def test_convert_writes_another_format(photos: Path, tmp_path: Path) -> None:
    report = imgpipe.batch([photos / "a", photos / "c" / "7.png"], None, tmp_path, format="webp",
                           executor="serial", workers=1)  # fmt: skip
    assert report.done == 5
    assert sorted(tree(tmp_path)) == ["3.webp", "4.webp", "7.webp", "b/5.webp", "b/6.webp"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sources": None}, "sources must be a path, or a list of paths, not None"),
        ({"sources": [1]}, "sources must be the path of a file, not int"),
        ({"sources": np.zeros((2, 2, 3))}, "imgpipe.apply takes images in memory"),
        ({"filter": 3}, "filter"),
        ({"filter": {}}, "filter has no filters; give None to convert files"),
        ({"filter": {1: "blur"}}, "a key of filter must be text, not 1"),
        ({"destination": 3}, "destination must be the path of a file, not int"),
        ({"name": 3}, "name must be text, not 3"),
        ({"format": 3}, "format must be text, or a list of texts, not 3"),
        ({"files_from": "list.txt"}, "files_from must be a list of names, not 'list.txt'"),
        ({"files_from": 3}, "files_from must be a list of names, not 3"),
        ({"max_depth": "deep"}, "max_depth must be a whole number, at least 0"),
        ({"include": None}, "include must be text, or a list of texts, not None"),
        ({"suffixes": [1]}, "suffixes must be text, not 1"),
        ({"resume": "yes"}, "resume must be True or False"),
        ({"on_batch_event": 3}, "on_batch_event must be a function"),
    ],
)
def test_an_argument_of_another_type_is_refused_before_the_work(
    given: dict[str, Any], told: str, photos: Path, tmp_path: Path
) -> None:
    given = {"sources": photos, "filter": "blur", "destination": tmp_path / "out"} | given
    with pytest.raises(UsageError, match=re.escape(told)):
        imgpipe.Batch(**given)
    assert not (tmp_path / "out").exists()


def test_names_in_a_list_are_looked_at_before_the_work(photos: Path, tmp_path: Path) -> None:
    batch = imgpipe.Batch([], "blur", tmp_path / "out", files_from=[str(photos), 3], base=photos)
    with pytest.raises(
        UsageError, match="a name in files_from must be the path of a file, not int"
    ):
        next(iter(batch))
    assert not (tmp_path / "out").exists()


def test_suffixes_have_no_case(photos: Path, tmp_path: Path) -> None:
    assert made(photos, "blur:1", tmp_path / "out", suffixes="TIF").report.done == 1


def test_the_results_of_a_batch_are_public(photos: Path, tmp_path: Path) -> None:
    batch = made(photos, "blur:1", tmp_path / "out", suffixes="tif")
    assert [type(each) for each in batch.results] == [imgpipe.Result]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "add resume=True or update=True (make those missing or out of date)"),
        ({"format": "png"}, 'name="{name}.{ext}" gives every source an output of its own'),
        ({"seed": 3}, 'add order="random"'),
        ({"backup": "old"}, "backup is for sources that are replaced; add in_place=True"),
        ({"include": "*.gif"}, "to allow this, add allow_empty=True"),
    ],
)
def test_a_refusal_names_arguments_and_no_options_of_the_command(
    options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    folder = tmp_path / "in --resume"
    folder.mkdir()
    for name in ("a.png", "a.jpg"):
        imgpipe.write(np.zeros((4, 4, 3), np.uint8), folder / name)
    imgpipe.batch(folder, "invert", tmp_path / "out")
    with pytest.raises(UsageError) as caught:
        imgpipe.batch(folder, "invert", tmp_path / "out", **options)
    assert says in str(caught.value)
    assert "--" not in str(caught.value).replace(str(folder), "")
