"""Streams as input and output: standard ones, and whatever reads or writes bytes."""

from __future__ import annotations

import gc
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import InputError, OutputError, UsageError
from imgpipe.filters import blur, flip, invert
from imgpipe.formats.binarystreams import SpooledOrigin, StreamTarget
from imgpipe.formats.origin import head_of
from tests.conftest import noise

PHOTO = noise((61, 53, 3), "uint8")


def png_of(array: Any) -> bytes:
    memory = io.BytesIO()
    imgpipe.write(array, memory)
    return memory.getvalue()


class Pipe:
    """A stream of a few bytes at a time, which cannot be sought."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def read(self, size: int) -> bytes:
        piece, self.content = self.content[: min(size, 1000)], self.content[min(size, 1000) :]
        return piece

    def write(self, data: Any) -> int:
        self.content += bytes(data[:1000])
        return len(data[:1000])


@pytest.mark.parametrize("options", [{"executor": "serial"}, {"workers": 2, "chunk": 16}])
@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_a_stream_is_read_like_a_file(suffix: str, options: dict[str, Any], tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / f"in.{suffix}")
    content = (tmp_path / f"in.{suffix}").read_bytes()
    np.testing.assert_array_equal(imgpipe.read(Pipe(content)), PHOTO)  # type: ignore[arg-type]
    for chain in (blur(2), flip("vertical")):
        imgpipe.run(Pipe(content), chain, tmp_path / "out.npy", **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), chain(PHOTO))


def test_a_stream_gets_the_bytes_that_a_file_gets(tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "out.png")
    pipe = Pipe()
    report = imgpipe.run(Pipe(png_of(255 - PHOTO)), invert(), pipe)  # type: ignore[arg-type]
    assert pipe.content == (tmp_path / "out.png").read_bytes()
    assert (report.source, report.destination) == ("stream", "stream")
    assert report.size == len(pipe.content)
    with open(tmp_path / "open", "wb") as file:
        imgpipe.write(PHOTO, file, save={"compression": 0})
        assert file.tell() == (tmp_path / "open").stat().st_size
    handle = imgpipe.submit(Pipe(png_of(PHOTO)), invert(), pipe)  # type: ignore[arg-type]
    assert handle.result().destination == "stream"


def test_the_name_of_a_stream_selects_its_format(tmp_path: Path) -> None:
    memory = io.BytesIO()
    memory.name = "a.npy"  # type: ignore[misc]
    imgpipe.write(PHOTO, memory)
    assert memory.getvalue().startswith(b"\x93NUMPY")
    with open(tmp_path / "b.npy", "wb") as file:
        imgpipe.write(PHOTO, file)
    assert (tmp_path / "b.npy").read_bytes() == memory.getvalue()
    with (
        open(tmp_path / "b.xyz", "wb") as file,
        pytest.raises(UsageError, match=r"b\.xyz: no format has the suffix"),
    ):
        imgpipe.write(PHOTO, file)
    with (
        open(tmp_path / "b.png", "w") as text,
        pytest.raises(OutputError, match=r"b\.png: takes no bytes; give a binary file"),
    ):
        imgpipe.write(PHOTO, text)  # type: ignore[arg-type]


def test_a_spooled_stream_is_read_by_others_and_leaves_nothing(tmp_path: Path) -> None:
    origin = SpooledOrigin(Pipe(bytes(range(256)) * 100))
    there = pickle.loads(pickle.dumps(origin.reference))
    assert head_of(there, 3) == b"\0\1\2"
    assert head_of(origin, 1 << 20) == bytes(range(256)) * 100
    del origin
    gc.collect()
    with pytest.raises(InputError, match="there is no such file"):
        head_of(there, 3)


def test_an_error_names_a_value_that_is_no_stream_of_bytes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stream: gives text; give a stream of bytes"):
        imgpipe.read(io.StringIO("hello"))  # type: ignore[arg-type]
    closed = open(tmp_path / "a.png", "wb")  # noqa: SIM115
    closed.close()
    with pytest.raises(OutputError, match=r"a\.png: cannot write: write to closed file"):
        imgpipe.write(PHOTO, closed)
    with pytest.raises(InputError, match=r"a\.png: cannot be read"):
        imgpipe.read(closed)
    memory = io.BytesIO()
    memory.close()
    with pytest.raises(OutputError, match="memory: is closed"):
        imgpipe.write(PHOTO, memory)
    with pytest.raises(InputError, match="memory: is closed"):
        imgpipe.read(memory)
    assert StreamTarget(Pipe()).place(10) is None


def command(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "imgpipe", *words]
    return subprocess.run(command, input=given, capture_output=True, check=False)


def test_commands_are_joined_by_pipes() -> None:
    done = command("invert", "-", "-o", "-", "-q", given=png_of(PHOTO))
    assert (done.returncode, done.stderr) == (0, b"")
    np.testing.assert_array_equal(imgpipe.read(io.BytesIO(done.stdout)), 255 - PHOTO)
    done = command("run", "invert", "-", "-o", "-", "-O", "compression=0", given=done.stdout)
    assert done.stderr.startswith(b"standard output: 53 x 61 x 3 uint8")
    np.testing.assert_array_equal(imgpipe.read(io.BytesIO(done.stdout)), PHOTO)
    done = command("invert", "-", "-o", "-", given=b"hello")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"imgpipe: error: standard input: is not an image that imgpipe")
