"""IPTC records: as Photoshop, TIFF and other programs keep them, and without pictures."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, IptcImagePlugin

import imgpipe
from imgpipe.exif import Exif, Field, parse, without_previews
from imgpipe.filters import invert
from imgpipe.iptc import checked, of_photoshop, to_photoshop
from imgpipe.iptc import without_previews as without_pictures


def dataset(number: int, content: bytes, record: int = 2) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(content)) + content


CAPTION = dataset(120, b"The tower, seen from the north") + dataset(80, b"Somebody")
LONG = struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, 40_000) + bytes(40_000)


def resource(number: int, content: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    named += bytes(len(named) % 2)
    size = struct.pack(">I", len(content))
    return b"8BIM" + struct.pack(">H", number) + named + size + content + bytes(len(content) % 2)


def test_records_are_found_among_the_resources_of_photoshop() -> None:
    around = resource(0x03ED, b"odd", b"name"), resource(0x040C, bytes(99))
    block = around[0] + resource(0x0404, CAPTION, b"it") + around[1]
    assert of_photoshop(block) == CAPTION
    assert of_photoshop(to_photoshop(CAPTION)) == CAPTION
    for other in (b"", b"8BIM", b"8BIM\4\4", b"junk", b"".join(around), block[:9]):
        assert of_photoshop(other) is None


def test_previews_are_left_out() -> None:
    pictures = dataset(202, bytes(99)) + dataset(200, b"\0\1") + dataset(10, b"x", record=8)
    assert without_pictures(pictures + CAPTION + LONG) == CAPTION + LONG
    assert without_pictures(pictures) is None


def test_damage_is_noticed() -> None:
    assert checked(CAPTION + LONG + b"\0\0\0") == CAPTION + LONG
    for broken in (b"", b"\0" + CAPTION, CAPTION[:-1], CAPTION + b"\x1c\2", LONG[:-1]):
        with pytest.raises(ValueError, match="record"):
            checked(broken)


def jpeg(path: Path, resources: bytes) -> None:
    """Write a JPEG with resources of Photoshop."""
    Image.new("RGB", (20, 20), "red").save(path)
    content, data = b"Photoshop 3.0\0" + resources, path.read_bytes()
    mark = b"\xff\xed" + struct.pack(">H", len(content) + 2)
    path.write_bytes(data[:2] + mark + content + data[2:])


def test_photographs_keep_their_captions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From JPEG with other resources to JPEG and TIFF, where Pillow and tifffile find them."""
    path, out, scan = tmp_path / "in.jpg", tmp_path / "out.jpg", tmp_path / "out.tif"
    jpeg(path, resource(0x040C, b"\xff\xd8face") + resource(0x0404, CAPTION))
    imgpipe.run(path, invert(), out, executor="serial")
    with Image.open(out) as image:
        found = IptcImagePlugin.getiptcinfo(image)
    assert found == {(2, 120): b"The tower, seen from the north", (2, 80): b"Somebody"}
    assert b"face" not in out.read_bytes()
    imgpipe.run(path, invert(), scan, executor="serial")
    with tifffile.TiffFile(scan) as file:
        tag = file.pages[0].tags[33723]  # type: ignore[union-attr]
        assert (tag.dtype, tag.count) == (7, len(CAPTION))
    assert imgpipe.info(scan).metadata.iptc == CAPTION
    imgpipe.convert(path, out, strip=True)
    assert imgpipe.info(out).metadata.iptc is None
    assert not caplog.messages
    imgpipe.run(path, invert(), tmp_path / "out.webp", executor="serial")
    assert caplog.messages[-1].endswith("left out metadata that WebP cannot hold: IPTC")


def test_damaged_records_are_left_out_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "in.jpg"
    jpeg(path, resource(0x0404, CAPTION[:-1]))
    assert imgpipe.info(path).metadata.iptc is None
    assert caplog.messages == [f"{path}: ignored the IPTC: a record is cut off"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_may_call_them_numbers(order: str, tmp_path: Path) -> None:
    """Photoshop and libtiff do, and the latter swaps them."""
    block, path = CAPTION + bytes(-len(CAPTION) % 4), tmp_path / "in.tif"
    for stored in (block, np.frombuffer(block, ">u4").astype("<u4").tobytes()):
        values = np.frombuffer(stored, f"{order}u4").tolist()
        tags = [(33723, 4, len(values), values, True)]
        tifffile.imwrite(
            path,
            np.zeros((9, 9), np.uint8),
            byteorder=order,  # type: ignore[arg-type]
            extratags=tags,
            metadata=None,
        )
        assert imgpipe.info(path).metadata.iptc == CAPTION


def test_thumbnails_of_photoshop_in_exif_are_removed() -> None:
    raw = Field.of(7, resource(0x0409, bytes(range(200)) * 4), "<")
    block = Exif("<", {0x010F: Field.of(2, "Maker", "<"), 0x8649: raw}).block()
    made = without_previews(block)
    assert list(parse(made).main) == [0x010F]
    assert bytes(range(99)) not in made
