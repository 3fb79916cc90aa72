"""Damaged and hostile TIFF files: errors in one line, in time and within memory."""

from __future__ import annotations

import contextlib
import io
import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.errors import CorruptError, FormatError, InputError, LimitError
from imgpipe.formats.origin import FileOrigin, MemoryOrigin
from imgpipe.formats.tiff import contents, lzw, open_source, reading, streams
from imgpipe.formats.tiff.reading import TiffSource
from imgpipe.testing.files import must_report_damage
from tests.conftest import noise

ARRAY = noise((64, 96, 3), "uint8")
OPTIONS: dict[str, Any] = {"photometric": "rgb", "metadata": None}


def written(**options: Any) -> bytearray:
    out = io.BytesIO()
    tifffile.imwrite(out, ARRAY, **OPTIONS, **options)
    return bytearray(out.getvalue())


def tag_at(data: bytes, code: int) -> int:
    """Return where the tag stands in the first directory of a little-endian classic file."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    return next(
        place
        for place in range(at + 2, at + 2 + 12 * count, 12)
        if struct.unpack_from("<H", data, place) == (code,)
    )


def patched(data: bytearray, code: int, value: int, count: int | None = None) -> bytes:
    """Return a file with another value of a tag, or another count of values."""
    made, at = bytearray(data), tag_at(data, code)
    kind = struct.unpack_from("<H", made, at + 2)[0]
    if count is not None:
        struct.pack_into("<I", made, at + 4, count)
    struct.pack_into("<H" if kind == 3 else "<I", made, at + 8, value)
    return bytes(made)


def read(data: bytes | bytearray) -> None:
    file = io.BytesIO(bytes(data))
    file.name = "a.tif"
    imgpipe.read(file)


def pixels_of(data: bytes) -> Any:
    return imgpipe.read(io.BytesIO(data))


@pytest.mark.parametrize(
    "compression",
    ["none", "deflate", "zstd", "lzw", "packbits", "lzma", "jpeg", "jpegxl", "jpeg2000", "webp"],
)
def test_truncated_and_flipped(tmp_path: Path, compression: str) -> None:
    kind = None if compression == "none" else compression
    for layout in ({"tile": (32, 48)}, {"rowsperstrip": 16}):
        data = written(compression=kind, **layout)
        path = tmp_path / "a.tif"
        path.write_bytes(data)
        rng = np.random.default_rng(1)
        cuts = [0, 4, 8, 100, *rng.integers(0, len(data), 8).tolist()]
        flips = [*range(0, 300, 7), *rng.integers(0, len(data), 8).tolist()]
        must_report_damage(path, cuts, flips)


@pytest.mark.parametrize("compression", ["deflate", "lzma"])
def test_a_changed_byte_is_noticed_by_the_checksum(compression: str) -> None:
    data = written(compression=compression, rowsperstrip=64)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        offset, count = file.pages.first.dataoffsets[0], file.pages.first.databytecounts[0]
    rng = np.random.default_rng(0)
    for at in rng.integers(offset, offset + count, 40):
        damaged = bytearray(data)
        damaged[at] ^= int(rng.integers(1, 256))
        with pytest.raises(CorruptError, match="cannot be decoded"):
            read(damaged)


def test_a_changed_byte_of_a_large_strip_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inflater may have read the checksum already when the last row is given."""
    for module in (reading, streams):
        monkeypatch.setattr(module, "LARGE_BYTES", 1000)
    out, rng = io.BytesIO(), np.random.default_rng(0)
    ramp = np.add.outer(np.arange(300) * 3, np.arange(200) * 2)[..., None] // 2 % 200
    array = (ramp + rng.integers(0, 20, (300, 200, 3))).astype(np.uint8)
    tifffile.imwrite(out, array, photometric="rgb", compression="deflate", rowsperstrip=100)
    with tifffile.TiffFile(io.BytesIO(out.getvalue())) as file:
        offsets, counts = file.pages.first.dataoffsets, file.pages.first.databytecounts
    for number in range(150):
        data = bytearray(out.getvalue())
        at = offsets[number % 3] + int(rng.integers(counts[number % 3]))
        data[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptError):
            imgpipe.read(io.BytesIO(data))


def test_a_strip_may_hold_more_than_its_pixels() -> None:
    """Some programs fill up the last strip; the checksum is of all that it holds."""
    data = written(compression="deflate", rowsperstrip=48)
    full = patched(data, 257, 50)
    assert np.array_equal(pixels_of(full), ARRAY[:50])
    damaged = bytearray(full)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        damaged[page.dataoffsets[1] + page.databytecounts[1] - 1] ^= 1
    with pytest.raises(CorruptError, match="cannot be decoded"):
        read(damaged)


def test_a_damaged_jpeg_tile_is_noticed() -> None:
    data = written(compression="jpeg", tile=(32, 48))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        offset, count = (
            getattr(file.pages.first, f"data{what}")[1] for what in ("offsets", "bytecounts")
        )
    damaged = bytearray(data)
    damaged[offset + count // 2 : offset + count // 2 + 40] = bytes(40)
    with pytest.raises(CorruptError, match=r"the tile at .* cannot be decoded .*fresh copy"):
        read(damaged)


def test_a_jpeg_tile_of_another_size_is_refused_before_it_is_decoded() -> None:
    data = written(compression="jpeg", tile=(32, 48))
    at = data.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", data, at, 65500, 65500)
    with pytest.raises(CorruptError, match="65500 x 65500"):
        read(data)


def test_a_list_of_pages_may_not_run_in_a_circle() -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        for _ in range(3):
            file.write(ARRAY, **OPTIONS)
    data = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        places = [page.offset for page in file.pages]
    (count,) = struct.unpack_from("<H", data, places[2])
    struct.pack_into("<I", data, places[2] + 2 + 12 * count, places[1])
    for use in (contents, open_source):
        with pytest.raises(CorruptError, match="runs in a circle"):
            use(MemoryOrigin(bytes(data), "a.tif"))


@pytest.mark.parametrize(
    ("code", "value", "error", "says"),
    [
        (259, 12345, FormatError, r"the compression 12345 is not supported"),
        (259, 32809, FormatError, r"the compression THUNDERSCAN \(32809\) is not supported"),
        (317, 77, FormatError, "the predictor 77 is not supported"),
        (322, 0, CorruptError, "tiles of no size|cannot be used|damaged"),
        (322, 60000, CorruptError, "damaged"),
        (256, 0, CorruptError, "declares 0 x 64 pixels"),
        (257, 4_000_000, CorruptError, "tiles or strips where"),
        (258, 77, FormatError, "samples of 77 bits"),
        (277, 60000, FormatError, "60000 samples a pixel"),
    ],
)
def test_tags_that_lie(code: int, value: int, error: type[InputError], says: str) -> None:
    data = written(compression="deflate", predictor=True, tile=(32, 48))
    if code == 258:
        data = bytearray(patched(data, 258, 77, count=1))
    with pytest.raises(error, match=rf"a\.tif: .*({says})"):
        read(patched(data, code, value, count=1 if code == 258 else None))


def test_offsets_beyond_the_end() -> None:
    data = written(compression="deflate", rowsperstrip=64)
    with pytest.raises(CorruptError, match=r"a\.tif: the file is truncated: 1 of 1 .* fresh copy"):
        read(patched(data, 273, len(data) - 100))
    with pytest.raises(CorruptError, match="is truncated"):
        read(patched(data, 279, 2**31))
    many = written(compression="deflate", rowsperstrip=1)
    with pytest.raises(CorruptError, match=r"a\.tif"):
        read(patched(many, 273, tag_at(many, 273), count=2**30))


def test_a_segment_is_not_larger_than_its_pixels_can_be() -> None:
    data = written(compression="deflate", rowsperstrip=64) + bytes(4 << 20)
    with pytest.raises(CorruptError, match="a tile or strip of"):
        read(patched(data, 279, 3 << 20))


def test_tiles_far_larger_than_the_image_are_refused() -> None:
    data = written(compression="deflate", tile=(32, 48))
    for code in (322, 323):
        data = bytearray(patched(data, code, 65520))
    with pytest.raises((LimitError, CorruptError), match="65520 x 65520"):
        read(data)


def test_large_segments_of_lzw_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lzw, "_MOST_PIXELS", 100)
    with pytest.raises(FormatError, match=r"a\.tif: tiles or strips of LZW of 0 MB .* smaller"):
        read(written(compression="lzw"))


def test_damaged_lzw_harms_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """A code after a reset that is in no table has made other decoders write anywhere."""
    data = written(compression="lzw", rowsperstrip=64)
    at = data.index(b"\x80", 8)
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[at + 1 : at + 4] = rng.integers(0, 256, 3, np.uint8).tobytes()
        damaged[int(rng.integers(at, len(data)))] ^= 0xFF
        with contextlib.suppress(CorruptError):
            read(damaged)
    assert capfd.readouterr() == ("", "")


def test_the_log_of_the_library_is_not_the_users(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = written(compression="deflate", rowsperstrip=16)
    with caplog.at_level(logging.DEBUG), pytest.raises(CorruptError):
        read(patched(data, 273, 5, count=2))
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    logging.getLogger("tifffile").warning("from elsewhere")
    assert [record.message for record in caplog.records] == ["from elsewhere"]


def test_the_library_does_not_warn_the_user() -> None:
    """Warnings are errors in tests, so that the reason would be one."""
    bits = struct.pack("<3H", 8, 8, 8)
    data = written()
    data = patched(data, 258, data.index(bits), count=1027)  # so many become an array of NumPy
    with pytest.raises(InputError) as caught:
        read(data.replace(bits, struct.pack("<3H", 9, 8, 8), 1))
    assert "overflow" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"compression": "deflate", "tile": (16, 16)}])
def test_a_file_may_shrink_while_it_is_read(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(written(**options))
    source = open_source(FileOrigin(str(path)))
    assert isinstance(source, TiffSource)
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(CorruptError, match=r"a\.tif: ended before"):
        source.read(source.info.box)


@pytest.mark.parametrize("head", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II*\0\x08\0\0\0"])
def test_heads_alone(head: bytes) -> None:
    for rest in (b"", bytes(8), b"\xff" * 40):
        with pytest.raises(InputError, match=r"a\.tif"):
            open_source(MemoryOrigin(head + rest, "a.tif"))
