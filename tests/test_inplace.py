"""In place: sources are replaced once, whenever a run is killed, and kept if that is wanted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.batches.publishing import placement
from imgpipe.batches.publishing.inplace import keep
from imgpipe.errors import OutputError, UsageError
from tests.batches import Made, left_behind, made, tree
from tests.conftest import noise

FILTER = "invert"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for at, name in enumerate(("a.png", "b/c.bmp", "b/d.jpg")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        imgpipe.write(np.full((4, 5, 3), 20 * at, np.uint8), path)
        os.utime(path, ns=(10**18, 10**18 + at))
    return folder


def in_place(photos: Path, filter: str = FILTER, **given: Any) -> Made:
    return made(str(photos), filter, in_place=True, **given)


def test_sources_are_replaced_once(photos: Path) -> None:
    before = tree(photos)
    assert in_place(photos).report.done == 3
    once = tree(photos)
    assert [name for name in before if once[name] == before[name]] == []
    for again in ({}, {"resume": True}):
        second = in_place(photos, **again)
        assert (second.report.done, second.report.skipped) == (0, 3)
    assert tree(photos) == once
    assert in_place(photos, overwrite=True).report.done == 3
    assert left_behind(photos) == []


def test_another_filter_is_another_piece_of_work(photos: Path) -> None:
    in_place(photos)
    assert in_place(photos, "flip").report.done == 3


def test_sources_are_kept_in_another_folder(photos: Path, tmp_path: Path) -> None:
    before = tree(photos)
    linked = os.stat(photos / "a.png").st_ino
    assert in_place(photos, backup=tmp_path / "kept").report.done == 3
    assert tree(tmp_path / "kept") == before
    assert os.stat(tmp_path / "kept/a.png").st_ino == linked
    with pytest.raises(UsageError, match=r"has 3 files of these names from another run"):
        in_place(photos, "flip", backup=tmp_path / "kept")


@pytest.mark.parametrize("linked", [True, False])
def test_images_that_are_folders_are_replaced_and_kept(
    linked: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files are kept by hard links, or copied where that cannot be."""
    pixels = noise((30, 20, 3), "uint8")
    imgpipe.write(pixels, photos / "b" / "e.zarr")
    before = tree(photos)
    given: dict[str, Any] = {"backup": tmp_path / "kept", "preserve": linked}
    if not linked:
        monkeypatch.setattr(os, "link", lambda *_: os.stat("/nowhere"))
    assert in_place(photos, **given).report.done == 4
    assert tree(tmp_path / "kept") == before
    assert (imgpipe.read(photos / "b" / "e.zarr") == 255 - pixels).all()
    assert in_place(photos, resume=True, **given).report.skipped == 4
    assert not left_behind(photos)
    assert in_place(photos, "flip").report.done == 4
    with pytest.raises(UsageError, match="from another run"):
        in_place(photos, "invert", **given)
    assert tree(tmp_path / "kept") == before


def test_a_folder_that_changes_while_it_is_made_is_not_replaced(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, place = photos / "e.zarr", placement.publish
    imgpipe.write(np.zeros((5, 5, 1), "uint8"), image)

    def publish(*given: Any) -> Any:
        (image / "note").write_text("mine")
        return place(*given)

    monkeypatch.setattr(placement, "publish", publish)
    batch = in_place(photos, backup=tmp_path / "kept")
    assert "changed while it was made" in batch.failures["e.zarr"]
    assert (image / "note").read_text() == "mine"
    assert not (tmp_path / "kept" / "e.zarr").exists()


def test_a_folder_of_kept_sources_is_no_source(photos: Path) -> None:
    kept = photos / "kept"
    in_place(photos, backup=kept)
    assert in_place(photos, backup=kept).report.skipped == 3
    with pytest.raises(UsageError, match="keep them in another one"):
        in_place(photos, backup=photos)


@pytest.mark.parametrize("preserve", [False, True])
@pytest.mark.parametrize("call", ["keep", "publish"])
def test_a_crash_around_the_rename_makes_nothing_twice(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    preserve: bool,
) -> None:
    """With the same size and time as its source, an output is known by its bytes."""
    whole = tmp_path / "whole"
    for name, data in tree(photos).items():
        (whole / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).write_bytes(data)
    in_place(whole)
    actual = getattr(placement, call)

    def crash_after_one(files: Any, *rest: Any) -> Any:
        if call == "publish":
            actual(files[:1], *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(placement, call, crash_after_one)
    with pytest.raises(KeyboardInterrupt):
        in_place(photos, backup=tmp_path / "kept", preserve=preserve)
    monkeypatch.undo()
    again = in_place(photos, backup=tmp_path / "kept", preserve=preserve)
    assert (again.report.done, again.report.skipped) == ((2, 1) if call == "publish" else (3, 0))
    assert tree(photos) == tree(whole)


def test_a_source_that_changes_before_it_is_replaced_is_left(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = placement.Placement.described

    def change(self: Any, source: str, finished: Any) -> Any:
        if source.endswith("a.png"):
            Path(source).write_bytes(b"edited meanwhile")
        return described(self, source, finished)

    monkeypatch.setattr(placement.Placement, "described", change)
    batch = in_place(photos)
    assert "changed while it was made" in batch.failures["a.png"]
    assert (photos / "a.png").read_bytes() == b"edited meanwhile"


@pytest.mark.parametrize("linked", [False, True])
def test_a_source_that_changes_while_the_disk_is_busy_is_left_and_not_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    actual = placement.keep

    def change(source: str, kept: str) -> bool:
        found = actual(source, kept)
        if source.endswith("a.png"):
            if not linked:
                os.unlink(source)
            Path(source).write_bytes(b"edited meanwhile")
        return found

    monkeypatch.setattr(placement, "keep", change)
    batch = in_place(photos, backup=tmp_path / "kept")
    assert "changed while it was made" in batch.failures["a.png"]
    assert (photos / "a.png").read_bytes() == b"edited meanwhile"
    assert sorted(tree(tmp_path / "kept")) == ["b/c.bmp", "b/d.jpg"]


def test_trees_that_begin_in_several_folders_need_a_base(photos: Path) -> None:
    sources = [str(photos / "a.png"), str(photos / "b")]
    with pytest.raises(UsageError, match="begin in 2 folders"):
        made(sources, FILTER, in_place=True)
    assert made(sources, FILTER, in_place=True, base=photos).report.done == 3


def test_a_name_without_its_format_cannot_be_replaced(photos: Path) -> None:
    os.rename(photos / "a.png", photos / "scan.dat")
    with pytest.raises(UsageError, match="its name does not say its format"):
        made(str(photos / "scan.dat"), FILTER, in_place=True)


def test_a_file_in_the_way_of_a_kept_source_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"source")
    (tmp_path / "b").write_bytes(b"others")
    with pytest.raises(OutputError, match="another file is in the way"):
        keep(str(tmp_path / "a"), str(tmp_path / "b"))
    keep(str(tmp_path / "a"), str(tmp_path / "c/d"))
    keep(str(tmp_path / "a"), str(tmp_path / "c/d"))
    assert (tmp_path / "c/d").read_bytes() == b"source"


def test_a_source_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"source")
    os.utime(tmp_path / "a", (5, 5))
    keep(str(tmp_path / "a"), str(tmp_path / "kept"))
    assert (tmp_path / "kept").read_bytes() == b"source"
    assert (tmp_path / "kept").stat().st_mtime == 5
    assert sorted(os.listdir(tmp_path)) == ["a", "kept"]
