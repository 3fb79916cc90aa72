"""Encoded files: workers fill a scratch file, and the last task encodes the whole image."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import CorruptError, ImgpipeError, OutputError, WorkerError
from imgpipe.filters import invert
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import GRAY, RGB, Format
from imgpipe.formats.origin import FileOrigin, Origin, size_of
from imgpipe.formats.target import FileTarget, MemoryTarget, Target
from imgpipe.formats.wholedecoding import DecodedSource
from imgpipe.formats.wholeencoding import EncodedSink
from imgpipe.image import ImageInfo, Pixels, check_pixels
from imgpipe.registry import FORMATS
from imgpipe.testing import FormatSuite
from imgpipe.testing.files import put_in
from tests.conftest import noise
from tests.test_binarystreams import Pipe

PHOTO = noise((61, 53, 3), "uint8")
HEAD = struct.Struct(">4s3I")


@dataclass(frozen=True)
class Codec:
    """A codec of whole images: zlib, with all that can go wrong."""

    accident: str = ""
    work_bytes: int = 1000

    def encode(self, pixels: Pixels) -> bytes:
        if self.accident == "crash":
            os._exit(3)
        if self.accident:
            raise RuntimeError(self.accident)
        return HEAD.pack(b"ALL1", *pixels.shape) + zlib.compress(pixels)

    def decode_into(self, data: bytes, out: Pixels) -> None:
        try:
            content = zlib.decompress(data[HEAD.size :])
        except zlib.error as error:
            raise RuntimeError(error) from None
        out[...] = np.frombuffer(content, np.uint8).reshape(out.shape)


def open_source(origin: Origin, max_pixels: int | None = None) -> Source:
    with origin.open() as file:
        size, head = size_of(file), file.read(HEAD.size)
    if len(head) < HEAD.size:
        raise CorruptError(f"{origin.name}: is cut short")
    _, height, width, channels = HEAD.unpack(head)
    check_pixels(height, width, origin.name, max_pixels)
    if channels not in (1, 3):
        raise CorruptError(f"{origin.name}: has {channels} channels")
    info = ImageInfo(
        height, width, channels, np.dtype(np.uint8), colour="gray" if channels == 1 else "rgb"
    )
    return DecodedSource(info, origin, Codec(), size)


def open_sink(
    target: Target, info: ImageInfo, *, accident: Annotated[str, "What goes wrong."] = ""
) -> Sink:
    return EncodedSink(target, info, Codec(accident))


FORMAT = Format(
    "All", (".all",), (b"ALL1",), open_source, open_sink, dtypes=("uint8",), layouts=(RGB, GRAY)
)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with FORMATS.with_member("All", FORMAT):
        yield


class TestFormat(FormatSuite):
    """Its encoder and decoder take the whole image."""

    format = FORMAT

    @pytest.fixture(autouse=True)
    def _pool(self, pool: Executor) -> None:
        self.executor = pool


def content_of(pixels: Any) -> bytes:
    return Codec().encode(pixels)


@pytest.mark.parametrize("options", [{"executor": "serial"}, {"workers": 2, "chunk": 16}])
def test_the_last_task_encodes_the_image(tmp_path: Path, options: dict[str, Any]) -> None:
    np.save(tmp_path / "in.npy", PHOTO)
    report = imgpipe.run(tmp_path / "in.npy", invert(), tmp_path / "out.all", **options)
    assert (tmp_path / "out.all").read_bytes() == content_of(255 - PHOTO)
    assert report.size == (tmp_path / "out.all").stat().st_size
    assert sorted(os.listdir(tmp_path)) == ["in.npy", "out.all"]
    imgpipe.run(tmp_path / "out.all", invert(), tmp_path / "back.npy", **options)
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), PHOTO)


def test_memory_and_pipes_get_the_same_bytes() -> None:
    pipe, memory = Pipe(), io.BytesIO()
    pipe.name = memory.name = "x.all"  # type: ignore[attr-defined]
    imgpipe.write(PHOTO, memory)
    report = imgpipe.run(PHOTO_FILE(), invert(), pipe)  # type: ignore[arg-type]
    assert memory.getvalue() == content_of(PHOTO)
    assert pipe.content == content_of(255 - PHOTO)
    assert report.size == len(pipe.content)


def PHOTO_FILE() -> io.BytesIO:  # noqa: N802 - a new one each time
    memory = io.BytesIO()
    np.save(memory, PHOTO)
    memory.seek(0)
    return memory


def test_sealing_once_more_leaves_nothing_of_the_first_time(tmp_path: Path) -> None:
    path = tmp_path / "out.all"
    sink = EncodedSink(FileTarget(str(path)), info_of(PHOTO), Codec())
    put_in(sink, PHOTO)  # noise: a long file
    assert sink.placer.scratch.where.path != sink.placer.out.path
    put_in(sink, np.zeros_like(PHOTO))  # as a lost worker might have been about to
    assert sink.commit() == len(content_of(np.zeros_like(PHOTO)))
    assert path.read_bytes() == content_of(np.zeros_like(PHOTO))


def test_memory_of_the_seal_is_that_of_pixels_and_codec() -> None:
    sink = EncodedSink(MemoryTarget(io.BytesIO()), info_of(PHOTO), Codec(work_bytes=12345))
    assert sink.seal_bytes == PHOTO.nbytes + 12345
    sink.abort()


@pytest.mark.parametrize("old", [None, b"old"])
def test_an_encoder_that_fails_leaves_nothing(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "out.all"
    if old:
        path.write_bytes(old)
    with pytest.raises(OutputError, match=r"out\.all: cannot be encoded \(too pretty\)"):
        imgpipe.write(PHOTO, path, save={"accident": "too pretty"})
    assert os.listdir(tmp_path) == (["out.all"] if old else [])


def test_an_encoder_that_crashes_fails_its_image_only(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", PHOTO)
    with pytest.raises(WorkerError):
        imgpipe.run(
            tmp_path / "in.npy", invert(), tmp_path / "out.all",
            workers=2, executor="processes", chunk=16, save={"accident": "crash"},
        )  # fmt: skip
    assert os.listdir(tmp_path) == ["in.npy"]


def test_a_damaged_file_is_reported_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.all"
    path.write_bytes(content_of(PHOTO)[:-9])
    with pytest.raises(CorruptError, match=r"a\.all: the file is damaged .*incomplete"):
        imgpipe.read(path)


def test_the_decoder_is_paid_for_the_file_and_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.all"
    path.write_bytes(content_of(PHOTO))
    source = open_source(FileOrigin(str(path)))
    assert source.access == "whole"
    assert source.decode_bytes == path.stat().st_size + 1000


def info_of(array: Any) -> ImageInfo:
    return ImageInfo(*array.shape, array.dtype, None, "rgb")


def test_reading_stops_when_it_is_told_to() -> None:
    memory = io.BytesIO()
    memory.name = "x.all"  # type: ignore[misc]
    imgpipe.write(PHOTO, memory)

    def stop() -> None:
        raise ImgpipeError("stop")

    from imgpipe.formats.origin import MemoryOrigin

    source = open_source(MemoryOrigin(memory.getvalue()))
    assert source.access == "whole"
    with pytest.raises(ImgpipeError, match="stop"):
        source.decode_into(np.empty_like(PHOTO), stop)
