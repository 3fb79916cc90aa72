"""Every format when things go wrong: an error in one line, nothing lost, nothing left behind."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import resource
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.cli import execute
from imgpipe.errors import ImgpipeError, InputError, OutputError
from imgpipe.formats import codecs
from imgpipe.formats.formatchoice import loaded
from imgpipe.registry import FORMATS
from imgpipe.testing.files import parts_of
from tests.conftest import noise
from tests.fuzz import Content, content_of, put, samples

READ = list(FORMATS.built_in)
WRITTEN = [name for name in READ if loaded(name).write is not None]
OLD = b"the old file"


def path_in(folder: Path, name: str, stem: str = "in") -> Path:
    return folder / f"{stem}{FORMATS[name].suffixes[0]}"


@pytest.fixture
def source(name: str, tmp_path: Path) -> Path:
    """A small valid file."""
    path = path_in(tmp_path, name)
    put(path, samples(name)[0])
    return path


def old(name: str) -> Content:
    """Return the old content of the output."""
    return {FORMATS[name].marks[0]: OLD} if FORMATS[name].marks else OLD


def cut(content: Content, part: float) -> Iterator[Content]:
    """Yield a file that is cut short; a folder for each of its files that is."""
    if isinstance(content, bytes):
        yield content[: int(part * len(content))]
        return
    for name, data in list(content.items())[-3:]:
        yield {**content, name: data[: int(part * len(data))]}


def names_its(path: Path, text: str) -> bool:
    """Return whether an error begins with a file, or with a file in a folder."""
    return text.startswith((f"{path}: ", f"{path}/"))


def picture(name: str, rows: int = 110, columns: int = 90) -> Any:
    """An image that the format can hold."""
    form = loaded(name)
    channels = (
        1 if form.layouts is None else max(form.layouts, key=lambda one: one.channels < 4).channels
    )
    return noise((rows, columns, channels), (form.dtypes or ("uint8",))[0])


def failure(call: Callable[[], object]) -> str:
    """Return the error of an input that cannot be read; nothing if it can."""
    try:
        call()
    except InputError as error:
        return str(error)
    return ""


def must_fail(path: Path, kind: type[ImgpipeError] = InputError, says: str = "^") -> None:
    """Claim that a file cannot be read or processed, and that the old output stays."""
    out = path.parent / "out" / "out.npy"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(OLD)
    for use in (
        lambda: imgpipe.read(path),
        lambda: imgpipe.run(path, "invert", out, executor="serial", chunk=7),
    ):
        with pytest.raises(kind, match=says) as caught:
            use()
        assert names_its(path, str(caught.value))
        assert "\n" not in str(caught.value)
    assert os.listdir(out.parent) == [out.name]
    assert out.read_bytes() == OLD


@pytest.mark.parametrize("name", READ)
def test_truncated(name: str, source: Path) -> None:
    content = content_of(source)
    for part in (0.1, 0.5, 0.9):
        for each in cut(content, part):
            put(source, each)
            must_fail(source)


@pytest.mark.parametrize("name", READ)
def test_one_line_on_the_terminal(
    name: str, source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(source, next(cut(content_of(source), 2 / 3)))
    assert execute(["invert", str(source), "-o", str(tmp_path / "out.npy"), "-j", "1"]) == 1
    said = capfd.readouterr().err
    assert names_its(source, said.removeprefix("imgpipe: error: "))
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == [source.name]


# --- headers that lie --------------------------------------------------------------------------


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def at(place: int, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + new + data[place + len(new) :]


def in_ihdr(place: int, new: bytes) -> Callable[[bytes], bytes]:
    """Change the header of a PNG file, and its checksum."""

    def change(data: bytes) -> bytes:
        made = at(place, new)(data)
        return at(29, struct.pack(">I", zlib.crc32(made[12:29])))(made)

    return change


def tag(code: int, value: int) -> Callable[[bytes], bytes]:
    """Change the value of a tag of the first directory of a little-endian TIFF file."""

    def change(data: bytes) -> bytes:
        (first,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            if struct.unpack_from("<H", data, entry) == (code,):
                kind = "<H" if data[entry + 2] == 3 else "<I"
                return at(entry + 8, struct.pack(kind, value))(data)
        raise AssertionError(f"there is no tag {code}")

    return change


def after(mark: bytes, skipped: int, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: at(data.index(mark) + len(mark) + skipped, new)(data)


def in_part(name: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], Content]:
    """Change a file of a folder."""
    return lambda content: {**content, name: change(content[name])}


HUGE: dict[
    str, Callable[[Any], Content]
] = {  # rows and columns that the rest of the file does not have; within the limit of pixels
    "png": in_ihdr(16, struct.pack(">II", 60000, 60000)),
    "jpeg": after(b"\xff\xc0", 3, struct.pack(">HH", 60000, 60000)),
    "tiff": lambda data: tag(256, 60000)(tag(257, 60000)(data)),
    "pnm": replaced(b"29 23", b"60000 60000"),
    "bmp": at(18, struct.pack("<ii", 60000, 60000)),
    "tga": at(12, struct.pack("<HH", 60000, 60000)),
    "npy": replaced(b"(23, 29", b"(60000, 60000"),
    "gif": at(6, struct.pack("<HH", 60000, 60000)),
    "qoi": at(4, struct.pack(">II", 60000, 60000)),
    "jpeg2000": after(b"\xff\x51", 4, struct.pack(">II", 60000, 60000)),
    "zarr": in_part("0/zarr.json", lambda data: re.sub(rb"1,\s*16,\s*16", b"1,30000,30000", data)),
    "avif": after(b"ispe", 4, struct.pack(">II", 60000, 60000)),
    "heif": after(b"ispe", 4, struct.pack(">II", 60000, 60000)),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_header_that_lies_about_the_size(name: str, source: Path) -> None:
    """Nothing that the header promises is believed before the file was looked at."""
    put(source, HUGE[name](content_of(source)))
    with pytest.raises(ImgpipeError, match=f"^{source}: "):
        imgpipe.run(
            source, "invert", source.parent / "out.npy", executor="serial", max_memory="400M"
        )
    assert os.listdir(source.parent) == [source.name]


UNKNOWN: dict[str, Callable[[Any], Content]] = {  # unknown compressions
    "png": in_ihdr(26, b"\x07"),
    "jpeg": replaced(b"\xff\xc0", b"\xff\xc3"),
    "tiff": tag(259, 12345),
    "bmp": at(30, b"\x63"),
    "tga": at(2, b"\x20"),
    "webp": replaced(b"VP8", b"VP7"),
    "avif": replaced(b"av01", b"av77"),
    "heif": replaced(b"hvc1", b"hvc7"),
    "jpeg2000": after(b"\xff\x52", 11, b"\x07"),  # of wavelets
    "zarr": in_part("0/zarr.json", replaced(b'"zstd"', b'"zzzz"')),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_compression(name: str, source: Path) -> None:
    put(source, UNKNOWN[name](content_of(source)))
    must_fail(source)


@pytest.mark.parametrize("name", READ)
def test_a_missing_codec_is_named_with_its_remedy(
    name: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    missing = FORMATS[name].needs
    monkeypatch.setattr(codecs, "_has", lambda codec: False)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda one, *more: None if one in missing else find(one, *more)
    )
    told = failure(lambda: imgpipe.read(source))
    assert bool(told) >= bool(missing)
    assert not told or (told.startswith(f"{source}: ") and "pip install" in told)


def test_control_characters_of_a_file_are_not_printed(tmp_path: Path) -> None:
    path = path_in(tmp_path, "npy")
    path.write_bytes(replaced(b"'|u1'", b"'9\xaa\x9a'")(samples("npy")[0]))
    told = failure(lambda: imgpipe.read(path))
    assert told.startswith(f"{path}: the header of the array is damaged")
    assert told.isprintable()
    assert told.endswith("get a fresh copy")


# --- writing -------------------------------------------------------------------------------------


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let files of this process not grow beyond `size` bytes: as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform != "linux", reason="another system, other limits")
@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk(name: str, tmp_path: Path) -> None:
    given, out = tmp_path / "in.npy", path_in(tmp_path, name, "out")
    np.save(given, picture(name))
    put(out, old(name))
    with files_of_at_most(2000), pytest.raises(OutputError) as caught:
        imgpipe.run(given, Chain(()), out, executor="serial", chunk=50)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == sorted([given.name, out.name])
    assert content_of(out) == old(name)


@pytest.mark.parametrize("name", WRITTEN)
def test_two_runs_to_the_same_output_at_once(name: str, tmp_path: Path) -> None:
    """Each writes a file of its own; the last one to end stays."""
    array, out = picture(name), path_in(tmp_path, name, "out")
    np.save(tmp_path / "one.npy", array)
    np.save(tmp_path / "two.npy", array[::-1])
    begun: list[Any] = []

    def meanwhile(event: Any) -> None:
        if not begun:
            begun.append(event)
            imgpipe.run(tmp_path / "two.npy", Chain(()), out, executor="serial")
            begun.append(content_of(out))

    imgpipe.run(tmp_path / "one.npy", Chain(()), out, executor="serial", on_event=meanwhile)
    made = content_of(out)
    assert sorted(os.listdir(tmp_path)) == sorted(["one.npy", "two.npy", out.name])
    for stem, expected in (("one", made), ("two", begun[1])):
        alone = path_in(tmp_path, name, "alone")
        imgpipe.run(tmp_path / f"{stem}.npy", Chain(()), alone, executor="serial")
        assert content_of(alone) == expected


@pytest.mark.parametrize("name", WRITTEN)
def test_the_output_may_be_the_input(name: str, tmp_path: Path) -> None:
    path, other = path_in(tmp_path, name), path_in(tmp_path, name, "out")
    imgpipe.write(picture(name), path)
    imgpipe.run(path, "invert", other, executor="serial", chunk=50)
    imgpipe.run(path, "invert", path, executor="serial", chunk=50)
    assert content_of(path) == content_of(other)
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, other.name])


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITTEN)
def test_an_input_that_shrinks_while_it_is_read(name: str, tmp_path: Path) -> None:
    path, out = path_in(tmp_path, name), tmp_path / "out.npy"
    imgpipe.write(picture(name, 400, 300), path)
    expected, files = imgpipe.read(path), parts_of(path)
    begun: list[Any] = []

    def shrink(event: Any) -> None:
        if not begun:
            begun.append(event)
            for each, data in files.items():
                os.truncate(each, len(data) // 3)

    given: dict[str, Any] = {"executor": "serial", "chunk": 50, "on_event": shrink}
    told = failure(lambda: imgpipe.run(path, Chain(()), out, **given))
    if told:
        assert names_its(path, told)
        assert "\n" not in told
        assert os.listdir(tmp_path) == [path.name]
    else:  # all of it had been read
        assert np.array_equal(np.load(out).reshape(expected.shape), expected)
    with pytest.raises(InputError):
        imgpipe.read(path)
