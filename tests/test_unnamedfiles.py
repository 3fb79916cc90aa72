"""Scratch files: in the folder that the caller wants, beside the output, and on a disk."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.engine import disk
from imgpipe.engine.route import Route
from imgpipe.errors import MemoryPlanError, OutputError, UsageError
from imgpipe.filters import flip, rotate
from imgpipe.formats import unnamedfiles
from imgpipe.formats.scratch import Scratch
from imgpipe.formats.unnamedfiles import NamelessFile, scratch_folder, scratch_in
from imgpipe.image import ImageInfo
from imgpipe.running import plan_run
from tests.conftest import noise

INFO = ImageInfo(60, 50, 3, np.dtype("uint8"))


@pytest.fixture
def made_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the scratch files that are made."""
    folders: list[str] = []
    make = tempfile.mkstemp

    def noted(**given: Any) -> tuple[int, str]:
        if given["prefix"] == "imgpipe-scratch-":
            folders.append(given["dir"])
        return make(**given)

    monkeypatch.setattr(tempfile, "mkstemp", noted)
    return folders


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PNG that is too large to be held in memory, or so the plan thinks."""
    monkeypatch.setattr(Route, "whole_if_possible", lambda self: self)
    imgpipe.write(noise((60, 50, 3), "uint8"), tmp_path / "in.png")
    return tmp_path / "in.png"


def test_the_folder_is_that_of_the_output(tmp_path: Path) -> None:
    for output in (tmp_path / "new.png", str(tmp_path / "new.png")):
        with scratch_in(None, output):
            assert scratch_folder() == str(tmp_path)
        with scratch_in("/wanted", output):
            assert scratch_folder() == "/wanted"
    for output in (None, io.BytesIO(), "/dev/null", tmp_path / "missing" / "new.png"):
        with scratch_in(None, output):
            assert scratch_folder() == tempfile.gettempdir()


def test_a_folder_in_memory_is_the_last_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = {str(tmp_path)}
    monkeypatch.setattr(unnamedfiles, "lies_in_memory", in_memory.__contains__)
    with scratch_in(None, tmp_path / "new.png"):
        assert scratch_folder() == tempfile.gettempdir()
        in_memory |= {tempfile.gettempdir()}
        assert scratch_folder() == "/var/tmp" or not os.access("/var/tmp", os.W_OK)
        in_memory |= {"/var/tmp"}
        assert scratch_folder() == tempfile.gettempdir()
    with scratch_in(str(tmp_path)):
        assert scratch_folder() == str(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("chain", [rotate(), flip()])
def test_runs_use_the_folder_that_they_are_given(
    chain: Any, workers: int, photo: Path, made_in: list[str], tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    given: dict[str, Any] = {"workers": workers, "scratch": tmp_path / "scratch"}
    imgpipe.run(photo, chain, tmp_path / "out.png", **given)
    assert set(made_in) == {str(tmp_path / "scratch")}
    made_in.clear()
    imgpipe.run(photo, chain, tmp_path / "out.png", workers=workers)
    assert set(made_in) == {str(tmp_path)}
    made_in.clear()
    with photo.open("rb") as stream:
        imgpipe.run(stream, chain, io.BytesIO(), **given)
    assert set(made_in) == {str(tmp_path / "scratch")}
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.parametrize("held", [60 * 10**6, 2 * 10**9])
def test_the_plan_tells_the_folder_and_counts_what_is_in_memory(
    held: int, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this process held before does not hide that the scratch files take the most."""
    monkeypatch.setattr("imgpipe.engine.planning.held_memory", lambda: held)

    def planned(**options: Any) -> Any:
        return plan_run(photo, rotate(), tmp_path / "o.npy", scratch=tmp_path, **options)

    on_disk = planned()
    assert f"0 MB on disk, in {tmp_path}" in str(on_disk)
    assert on_disk.disk.size == INFO.nbytes
    monkeypatch.setattr(disk, "lies_in_memory", lambda folder: folder == str(tmp_path))
    in_memory = planned()
    assert f"0 MB in memory, in {tmp_path}" in str(in_memory)
    assert in_memory.cost.shared == on_disk.cost.shared + INFO.nbytes
    large = disk.Disk(10**9, str(tmp_path), in_memory=True)
    monkeypatch.setattr("imgpipe.engine.plan.disk_for", lambda *sizes: large)
    with pytest.raises(MemoryPlanError, match=r"in memory, take 1000 MB; .*or give a folder on a"):
        planned(max_memory="300M")


def test_a_refusal_says_that_scratch_on_a_disk_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line also says that the whole image in memory, not the scratch files, needs least."""
    path = tmp_path / "in.png"
    imgpipe.write(np.zeros((4000, 8000, 3), np.uint8), path)

    def planned(limit: str) -> Any:
        return plan_run(
            path, rotate(), tmp_path / "o.png", scratch=tmp_path, max_memory=limit, workers=1
        )

    assert planned("60M").disk.size
    monkeypatch.setattr(disk, "lies_in_memory", lambda folder: folder == str(tmp_path))
    with pytest.raises(
        MemoryPlanError, match=r"raise the limit \(max_memory='\d+M'\), or give a folder on a disk"
    ) as caught:
        planned("60M")
    told = str(caught.value)
    assert "which is in memory" not in told
    limit = told.partition("max_memory='")[2].partition("'")[0]
    assert planned(limit).feed == "whole"
    with pytest.raises(MemoryPlanError):
        planned(f"{int(limit[:-1]) - 6}M")


def test_a_full_disk_is_reported_with_the_folder_and_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    told = (
        rf"^{tmp_path}: no room for .* \(no space left on device\); free some, or give another "
        r"folder \(--scratch, or scratch= in Python\)$"
    )
    with scratch_in(str(tmp_path)):
        file, scratch = NamelessFile(), Scratch(INFO)
        monkeypatch.setattr("imgpipe.formats.scratch.reserved", full)
        with pytest.raises(OutputError, match=told):
            Scratch(INFO)
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match=told):
            file.append(b"x", "out.tif")
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OutputError, match=rf"scratch file in {tmp_path} \(--scratch\): cannot"):
            scratch.placer.place(INFO.box, np.zeros(INFO.shape, np.uint8))
        file.close()
        scratch.abort()


def test_a_folder_that_cannot_be_used_is_refused_before_the_run(
    photo: Path, tmp_path: Path
) -> None:
    for given in (tmp_path / "missing", photo):
        with pytest.raises(UsageError, match=r"^scratch: .* is no folder"):
            imgpipe.run(photo, rotate(), tmp_path / "out.png", scratch=given)
