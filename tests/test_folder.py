"""Folders as origins and targets: a format whose image is many files, written by every worker."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import FilterError, InputError, OutputError, UsageError
from imgpipe.filters import blur, invert
from imgpipe.formats import folder, formatchoice
from imgpipe.formats.declaration import Format
from imgpipe.formats.folder import FolderOrigin, FolderPlace, FolderTarget
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.registry import FORMATS, Member, Registry
from tests.conftest import noise

ROWS = 16
PHOTO = noise((61, 53, 3), "uint8")


@dataclass(frozen=True)
class Source:
    access: ClassVar[Literal["random"]] = "random"
    grain: ClassVar[tuple[int, int]] = (ROWS, 0)
    decode_bytes: ClassVar[int] = 0
    info: ImageInfo
    origin: FolderOrigin

    @property
    def name(self) -> str:
        return self.origin.name

    def read(self, box: Box) -> Pixels:
        shape = -1, self.info.width, self.info.channels
        parts = []
        for y in range(box.y0 // ROWS * ROWS, box.y1, ROWS):
            with self.origin.part(f"rows/{y}").open() as file:
                parts.append(np.frombuffer(file.read(), np.uint8).reshape(shape))
        start = box.y0 // ROWS * ROWS
        return np.concatenate(parts)[box.y0 - start : box.y1 - start, box.x0 : box.x1]


@dataclass(frozen=True)
class Placer:
    where: FolderPlace
    shape: tuple[int, int, int]

    def rows(self, box: Box) -> None:
        return None

    def place(self, box: Box, pixels: Pixels) -> None:
        for y in range(box.y0, box.y1, ROWS):
            part = np.ascontiguousarray(pixels[y - box.y0 : y - box.y0 + ROWS])
            self.where.write(f"rows/{y}", part.data)

    def seal(self) -> None:
        self.where.write("toy.json", json.dumps(self.shape).encode())


class Sink:
    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (ROWS, 0)
    seal_bytes: ClassVar[int] = 0

    def __init__(self, target: FolderTarget, info: ImageInfo) -> None:
        self.info, self.placer = info, Placer(target.place(), info.shape)
        self.commit, self.abort = target.commit, target.abort


def open_source(origin: FolderOrigin, max_pixels: int | None = None) -> Any:
    with origin.part("toy.json").open() as file:
        shape = json.loads(file.read())
    return Source(ImageInfo(*shape, np.dtype(np.uint8), colour="rgb"), origin)


def open_sink(target: FolderTarget, info: ImageInfo) -> Any:
    return Sink(target, info)


MARKS = ("toy.json",)
FORMAT = Format("Toy", (".toy",), read=open_source, write=open_sink, dtypes=("uint8",), marks=MARKS)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the format of this file in the table."""
    line = Member(__name__, "Toy.", name="Toy", suffixes=(".toy",), marks=MARKS)
    monkeypatch.setattr(
        formatchoice, "FORMATS", Registry("format", {**FORMATS.built_in, "toy": line})
    )


@pytest.mark.parametrize("options", [{"executor": "serial"}, {"workers": 2, "chunk": 16}])
def test_an_image_can_be_a_folder(options: dict[str, Any], tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "in.png")
    for _ in range(2):  # there is none, then one that is replaced
        report = imgpipe.run(tmp_path / "in.png", blur(2), tmp_path / "a.toy", **options)
        assert sorted(os.listdir(tmp_path)) == ["a.toy", "in.png"]
        files = [path for path in (tmp_path / "a.toy").rglob("*") if path.is_file()]
        assert len(files) == 5
        assert report.size == sum(path.stat().st_size for path in files)
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "a.toy"), blur(2)(PHOTO))
    imgpipe.run(tmp_path / "a.toy", invert(), tmp_path / "b.png", **options)
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "b.png"), 255 - blur(2)(PHOTO))


def fail(chunk: Pixels) -> Pixels:
    raise ValueError("no luck")


def test_a_run_that_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "a.toy")
    with pytest.raises(FilterError):
        imgpipe.run(tmp_path / "a.toy", fail, tmp_path / "a.toy", halo=0, executor="serial")
    assert os.listdir(tmp_path) == ["a.toy"]
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "a.toy"), PHOTO)


def test_a_folder_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.toy").mkdir()
    (tmp_path / "mine.toy" / "thesis.txt").write_text("years of work")
    (tmp_path / "file.toy").write_text("a file")
    for name in ("mine.toy", "file.toy"):
        with pytest.raises(OutputError, match=f"{name}: exists and is no folder of this format"):
            imgpipe.write(PHOTO, tmp_path / name)
    assert (tmp_path / "mine.toy" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(InputError, match=r"mine\.toy: is a folder; give the path of an image"):
        imgpipe.read(tmp_path / "mine.toy")
    with pytest.raises(OutputError, match=r"there is no folder .*absent; create it first"):
        imgpipe.write(PHOTO, tmp_path / "absent" / "a.toy")
    with pytest.raises(UsageError, match="Toy supports uint8, not int16"):
        imgpipe.write(PHOTO.astype(np.int16), tmp_path / "b.toy")
    stream = io.BytesIO()
    stream.name = "b.toy"  # type: ignore[misc]
    with pytest.raises(UsageError, match=r"b\.toy: Toy is a folder of files; give its path"):
        imgpipe.write(PHOTO, stream)
    assert sorted(os.listdir(tmp_path)) == ["file.toy", "mine.toy"]


def test_folders_change_places_where_the_system_cannot_do_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder.ctypes, "CDLL", lambda *args, **options: object())
    for value in (1, 2):
        target = FolderTarget(str(tmp_path / "a.toy"), MARKS)
        place = pickle.loads(pickle.dumps(target.place()))
        place.write("toy.json", b"%d" % value)
        place.write("toy.json", b"%d" % value, b"0")
        assert target.commit() == 2
        target.abort()
        assert os.listdir(tmp_path) == ["a.toy"]
        assert (tmp_path / "a.toy" / "toy.json").read_text() == f"{value}0"


def test_a_folder_that_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from imgpipe.formats.folder import FolderTarget\n"
        "FolderTarget(sys.argv[1], ()).place().write('c/0', b'0')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.toy"], check=False)
    assert len(os.listdir(tmp_path)) == 1
    mine = FolderTarget(str(tmp_path / "b.toy"), MARKS)
    assert len(os.listdir(tmp_path)) == 1
    assert Path(mine.place().path).parent == tmp_path
    mine.abort()
    assert not os.listdir(tmp_path)
