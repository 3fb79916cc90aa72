"""Other files of a tree are copied, and outputs have the times and modes of their sources."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import UsageError
from tests.batches import Made, made, tree

OLD = 10**18


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    imgpipe.write(np.zeros((4, 5, 3), np.uint8), folder / "b/a.png")
    (folder / "b/notes.txt").write_bytes(b"notes")
    (folder / "b/.hidden").write_bytes(b"hidden")
    for path in (folder / "b/a.png", folder / "b/notes.txt"):
        path.chmod(0o640)
        os.utime(path, ns=(OLD, OLD))
    os.utime(folder / "b", ns=(OLD, OLD))
    return folder


def batch(photos: Path, **given: Any) -> Made:
    return made(str(photos), None, str(photos.parent / "out"), **given)


def test_other_files_are_copied(photos: Path) -> None:
    out = photos.parent / "out"
    assert batch(photos, copy_others=True).report.done == 2
    assert sorted(tree(out)) == ["b/a.png", "b/notes.txt"]
    assert (out / "b/notes.txt").read_bytes() == b"notes"
    again = batch(photos, copy_others=True, resume=True)
    assert (again.report.done, again.report.skipped) == (0, 2)
    (photos / "b/notes.txt").write_bytes(b"more notes")
    assert batch(photos, copy_others=True, resume=True).report.done == 1
    assert (out / "b/notes.txt").read_bytes() == b"more notes"


def test_other_files_are_passed_over_by_default(photos: Path) -> None:
    assert batch(photos).report.passed_over == {"not_image": 1, "hidden": 1}


def test_other_files_do_not_replace_what_is_there(photos: Path) -> None:
    (photos.parent / "out/b").mkdir(parents=True)
    (photos.parent / "out/b/notes.txt").write_bytes(b"mine")
    with pytest.raises(UsageError, match="1 of 2 outputs exists: "):
        batch(photos, copy_others=True)
    report = batch(photos, copy_others=True, skip_existing=True).report
    assert (report.done, report.skipped) == (1, 1)


def test_a_file_that_cannot_be_copied_fails_alone(photos: Path) -> None:
    os.rename(photos / "b/notes.txt", photos / "b/gone.txt")
    os.symlink(photos / "nothing", photos / "b/dangling.txt")

    def vanish(event: Any) -> None:
        if type(event).__name__ == "BatchPlanned":
            (photos / "b/gone.txt").unlink()

    from imgpipe.batching import Batch

    with Batch(str(photos), None, str(photos.parent / "out"), copy_others=True,
               executor="serial", on_batch_event=vanish) as run:  # fmt: skip
        results = {os.path.basename(each.path): each for each in run}
    assert results["gone.txt"].status == "failed"
    assert "cannot be read" in str(results["gone.txt"].error)
    assert results["a.png"].status == "done"


@pytest.mark.parametrize("preserve", [False, True])
def test_times_and_modes_are_those_of_the_sources_if_wanted(
    photos: Path,
    preserve: bool,
) -> None:
    out, old = photos.parent / "out", os.umask(0o027)
    try:
        batch(photos, copy_others=True, preserve=preserve)
    finally:
        os.umask(old)
    for path in (out / "b/a.png", out / "b/notes.txt"):
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o640
        assert (found.st_mtime_ns == OLD) == preserve
    assert ((out / "b").stat().st_mtime_ns == OLD) == preserve
    again = batch(photos, copy_others=True, preserve=preserve, resume=True)
    assert again.report.skipped == 2


def test_extended_attributes_are_kept_where_they_can_be(photos: Path) -> None:
    try:
        os.setxattr(photos / "b/a.png", "user.note", b"seen")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    batch(photos, preserve=True)
    assert os.getxattr(photos.parent / "out/b/a.png", "user.note") == b"seen"


def test_folders_that_were_there_keep_their_times(photos: Path) -> None:
    (photos.parent / "out").mkdir()
    os.utime(photos, ns=(OLD, OLD))
    batch(photos, preserve=True)
    assert (photos.parent / "out").stat().st_mtime_ns != OLD
    assert (photos.parent / "out/b").stat().st_mtime_ns == OLD


def test_a_copy_appears_after_its_line_is_on_the_disk(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = photos.parent / "out/.imgpipe/journal.jsonl"
    (photos / "b/a.png").unlink()
    synced, replaced = list[int](), list[bool]()
    fsync, replace = os.fsync, os.replace

    def noted(fd: int) -> None:
        fsync(fd)
        if os.path.samestat(os.fstat(fd), journal.stat()):
            synced.append(os.fstat(fd).st_size)

    def after(source: str, target: str) -> None:
        lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
        begun = [each["temporary"] for each in lines if each["event"] == "begin"]
        assert begun == [os.path.basename(source)]
        replaced.append(synced[-1:] == [journal.stat().st_size])
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", after)
    assert batch(photos, copy_others=True, allow_empty=True).report.done == 1
    assert replaced == [True]
