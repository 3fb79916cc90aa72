"""Origins and targets: files and memory are the same to every format."""

from __future__ import annotations

import io
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import CorruptError, FormatError, InputError, OutputError, UsageError
from imgpipe.filters import blur, flip, invert
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.origin import FileOrigin, MemoryOrigin, head_of, size_of
from imgpipe.formats.target import FileTarget, MemoryTarget
from tests.conftest import noise

PHOTO = noise((61, 53, 3), "uint8")


@pytest.fixture(params=["file", "memory"])
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> FileOrigin | MemoryOrigin:
    (tmp_path / "a").write_bytes(b"0123456789")
    return (
        FileOrigin(str(tmp_path / "a")) if request.param == "file" else MemoryOrigin(b"0123456789")
    )


def test_an_origin_is_read_from_the_beginning_as_often_as_asked(origin: FileOrigin) -> None:
    for _ in range(2):
        with origin.open() as file:
            assert size_of(file) == 10
            assert file.read(3) == b"012"
            assert file.seek(8) == 8
            assert file.read() == b"89"
    assert head_of(origin, 4) == b"0123"
    assert head_of(origin, 64) == b"0123456789"


def test_a_file_can_be_opened_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(FileOrigin("a").reference)
    monkeypatch.chdir("/")
    there = pickle.loads(sent)
    assert there.name == "a"
    assert head_of(there, 3) == b"012"


def test_an_error_names_a_path_that_is_no_file(tmp_path: Path) -> None:
    for name, says in (("absent", "there is no such file"), (".", "is a folder")):
        with pytest.raises(InputError, match=f"{name}: {says}"):
            FileOrigin(os.path.join(tmp_path, name)).open()


@pytest.mark.parametrize("suffix", ["png", "npy"])
@pytest.mark.parametrize("options", [{"executor": "serial"}, {"workers": 2, "chunk": 16}])
def test_bytes_in_memory_are_read_like_a_file(
    suffix: str, options: dict[str, Any], tmp_path: Path
) -> None:
    imgpipe.write(PHOTO, tmp_path / f"in.{suffix}")
    memory = io.BytesIO((tmp_path / f"in.{suffix}").read_bytes())
    assert imgpipe.info(memory) == imgpipe.info(tmp_path / f"in.{suffix}")
    np.testing.assert_array_equal(imgpipe.read(memory), PHOTO)
    np.testing.assert_array_equal(imgpipe.read(memory, (5, 3, 20, 30)), PHOTO[5:20, 3:30])
    for chain in (blur(2), flip("vertical")):
        imgpipe.run(memory, chain, tmp_path / "out.npy", **options)
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), chain(PHOTO))


def test_memory_gets_the_bytes_that_a_file_gets(tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "in.npy")
    imgpipe.run(tmp_path / "in.npy", invert(), tmp_path / "out.png")
    for given in ({}, {"workers": 2, "chunk": 16}):
        memory = io.BytesIO(b"before")
        memory.seek(6)
        report = imgpipe.run(tmp_path / "in.npy", invert(), memory, **given)
        assert memory.getvalue() == b"before" + (tmp_path / "out.png").read_bytes()
        assert (report.destination, report.size) == ("memory", len(memory.getvalue()) - 6)
    memory = io.BytesIO()
    assert imgpipe.write(PHOTO, memory, compression=0) == len(memory.getvalue())


def test_memory_gets_nothing_of_a_run_that_fails(tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "in.png")
    cut = (tmp_path / "in.png").read_bytes()[:-200]
    memory = io.BytesIO()
    with pytest.raises(CorruptError, match="memory: the file is truncated"):
        imgpipe.run(io.BytesIO(cut), invert(), memory)
    with pytest.raises(FormatError, match="memory: is not an image"):
        imgpipe.read(io.BytesIO(b"hello"))
    with pytest.raises(UsageError, match="memory: PNG has no option 'quality'"):
        imgpipe.write(PHOTO, memory, save={"quality": 3})
    target = MemoryTarget(memory)
    target.write(b"some")
    target.abort()
    assert memory.getvalue() == b""


def test_rows_are_appended_where_no_worker_can_place_them(tmp_path: Path) -> None:
    path = tmp_path / "pipe.npy"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    imgpipe.write(PHOTO, path)
    reader.join()
    np.testing.assert_array_equal(imgpipe.read(io.BytesIO(read[0])), PHOTO)
    assert open_sink(tmp_path / "a.npy", open_source(io.BytesIO(read[0])).info).kind == "placed"


def test_a_place_can_be_written_to_in_any_order_and_process(tmp_path: Path) -> None:
    target = FileTarget(tmp_path / "a")
    place = pickle.loads(pickle.dumps(target.place(6)))
    place.write([(4, b"45"), (0, b"01")])
    place.write([(2, memoryview(b"23"))])
    assert target.commit() == 6
    assert (tmp_path / "a").read_bytes() == b"012345"
    with pytest.raises(OutputError, match="a: cannot write"):
        place.write([(0, b"0")])  # it has been published


def test_a_writer_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgpipe.formats.png import writing

    monkeypatch.setattr(writing, "PngEncoder", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        imgpipe.write(PHOTO, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
