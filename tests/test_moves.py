"""Files that leave the folder that is watched."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from imgpipe.batches.watch.moves import move
from imgpipe.errors import OutputError


@pytest.fixture(params=["links", "no links"])
def links(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems with hard links, and without them."""
    if request.param == "no links":

        def link(*_: Any, **__: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)


def moved(home: Path, below: str, content: str = "new") -> str:
    path = home / "in" / below
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    place = move(str(path), below, str(home / "done"))
    assert not path.exists()
    return os.path.relpath(place, home / "done")


@pytest.mark.usefixtures("links")
def test_a_file_keeps_its_path_below_the_folder(tmp_path: Path) -> None:
    assert moved(tmp_path, "a/b/c.png") == "a/b/c.png"
    assert (tmp_path / "done/a/b/c.png").read_text() == "new"


@pytest.mark.usefixtures("links")
def test_nothing_is_replaced(tmp_path: Path) -> None:
    names = [moved(tmp_path, "c.png", f"{number}") for number in range(3)]
    assert names == ["c.png", "c-2.png", "c-3.png"]
    assert [(tmp_path / "done" / name).read_text() for name in names] == ["0", "1", "2"]


def test_a_move_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "done").mkdir()
    path = tmp_path / "in" / "a.png"
    path.write_text("new")
    os.link(path, tmp_path / "done" / "a.png")
    assert move(str(path), "a.png", str(tmp_path / "done")) == str(tmp_path / "done" / "a.png")
    assert os.listdir(tmp_path / "done") == ["a.png"]
    assert not path.exists()


def test_an_image_that_is_a_folder_is_moved_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "in" / "a.zarr" / "c").mkdir(parents=True)
    place = move(str(tmp_path / "in" / "a.zarr"), "a.zarr", str(tmp_path / "done"))
    assert os.path.isdir(os.path.join(place, "c"))


def test_another_file_system_is_no_place_for_a_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.png"
    path.write_text("new")
    with pytest.raises(OutputError, match="another file system"):
        move(str(path), "a.png", str(tmp_path / "done"))
    assert path.read_text() == "new"
