"""The metadata matrix: every kind of metadata, from every format to every other."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import ExifTags, Image

import imgpipe
from imgpipe import exif
from imgpipe.chains.chain import Chain
from imgpipe.chains.stages import resolve
from imgpipe.engine.batch import Request
from imgpipe.engine.plan import WantedOutput
from imgpipe.exif import Exif, Field
from imgpipe.filters import blur, crop, grayscale, invert, resize, rotate
from imgpipe.formats.base import Source
from imgpipe.formats.formatchoice import loaded
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.png.chunks import SIGNATURE, chunk
from imgpipe.image import ImageInfo, Metadata, Text
from imgpipe.metadata import density_from_dpi
from imgpipe.options import Options
from imgpipe.registry import FORMATS
from imgpipe.testing.files import put_in
from tests.batches import make_images

HEIGHT, WIDTH = 48, 40  # as the file stores them


class Holds(NamedTuple):
    """Metadata that files of a format can hold, or lose on the way there."""

    suffix: str
    exif: bool = True
    icc: bool = True
    xmp: bool = True
    large: bool = True  # EXIF and XMP above 64 kB
    texts: bool = True
    iptc: bool = False
    dpi: bool = True


TABLE = {
    "png": Holds(".png", iptc=True),
    "jpeg": Holds(".jpg", large=False, iptc=True),
    "tiff": Holds(".tif", texts=False, iptc=True),
    "webp": Holds(".webp", texts=False),
    "avif": Holds(".avif", texts=False),
    "jpegxl": Holds(".jxl", texts=False),
    "jpeg2000": Holds(".jp2", texts=False),
    "zarr": Holds(".zarr", iptc=True),
}
NO_PILLOW = {
    "jpegxl": "reads no JPEG XL",
    "jpeg2000": "reads no metadata of JPEG 2000",
    "zarr": "reads no Zarr",
}


def usable(name: str) -> bool:
    """Return whether a format can be read and written here."""
    if name not in FORMATS:
        return False
    one = loaded(name)
    return one.read is not None and one.write is not None


NAMES = [name for name in TABLE if usable(name)]


# ---------------------------------------------------------------- carried metadata


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


PREVIEW, HIDDEN = picture(2), picture(3)
FACE = slice(-99, -9)  # of these, pixels


def profile(size: int) -> bytes:
    return (
        struct.pack(">I", size) + bytes(12) + b"RGB XYZ " + bytes(12) + b"acsp" + bytes(size - 40)
    )


def block(*, large: bool = False) -> bytes:
    """Return EXIF as cameras write it: orientation, place, notes and two previews."""

    def field(type_: int, values: Any) -> Field:
        return Field.of(type_, values, "<")

    note = b"Maker\0" + HIDDEN + b"notes" + bytes(70_000 * large)
    main = {
        0x010F: field(2, "Maker"),
        0x0112: field(3, 6),
        0x011A: field(5, 300),
        0x011B: field(5, 300),
        0x0128: field(3, 2),
    }
    detail = {
        0x9003: field(2, "2024:05:06 07:08:09"),
        0x9214: field(3, (10, 20, 5)),
        0x927C: field(7, note),
        0xA002: field(4, WIDTH),
        0xA003: field(4, HEIGHT),
    }
    gps = {1: field(2, "N"), 2: field(5, (48, 8, 30))}
    made = bytearray(Exif("<", main, detail, gps).block())
    (rows,) = struct.unpack_from("<H", made, 8)
    struct.pack_into("<I", made, 10 + 12 * rows, len(made))
    start = len(made) + 2 + 2 * 12 + 4
    made += struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, start, 0x0202, 4, 1, len(PREVIEW), 0)
    return bytes(made) + PREVIEW


def packet(*, large: bool = False) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'tiff:Orientation="6" tiff:ImageWidth="{WIDTH}" tiff:ImageLength="{HEIGHT}">'
        f"<xmp:Thumbnails>thumbnail</xmp:Thumbnails><xmp:Label>{'Señor' * (15_000 * large)}"
        "</xmp:Label></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def records(*, preview: bool = True) -> bytes:
    """Return IPTC: a caption, a name, and a preview."""
    made = [(120, "Am Fluß".encode()), (80, b"Somebody"), (202, PREVIEW)]
    return b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(content)) + content
        for number, content in made[: 3 if preview else 2]
    )


def original(folder: Path, *, large: bool = False) -> Path:
    """Return a PNG with everything, put together by hand."""
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)),
        (b"iCCP", b"icc\0\0" + zlib.compress(profile(200_000 if large else 400))),
        (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
        (b"eXIf", block(large=large)),
        (b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + packet(large=large)),
        (b"tEXt", b"Title\0Portrait"),
        (b"tEXt", b"Raw profile type iptc\0\niptc\n 99\n" + records().hex().encode()),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    path = folder / "original.png"
    path.write_bytes(SIGNATURE + b"".join(chunk(*part) for part in parts))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a file of every format with all that it can hold, previews included."""
    folder = tmp_path_factory.mktemp("matrix")
    source, made = original(folder), {}
    for name in NAMES:
        made[name] = folder / f"in{TABLE[name].suffix}"
        imgpipe.run(source, Chain(()), made[name], autorotate=False, executor="serial")
    return made


def content(path: Path) -> bytes:
    """Return the bytes of a file or a folder, with the content of base 64 in its JSON."""
    if path.is_file():
        return path.read_bytes()
    parts = b"".join(each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file())
    blocks = re.findall(rb'"((?:[\w+/]{4}){9,}[\w+/]{0,3}={0,2})"', parts)
    return parts + b"".join(map(base64.b64decode, blocks))


PAIRS = [(one, other) for one in NAMES for other in NAMES]


def checked(path: Path, source: str, target: str, size: tuple[int, int]) -> None:
    """Check the metadata after a filter against `original`, upright and without previews."""
    first, last = TABLE[source], TABLE[target]
    stored = imgpipe.info(path, autorotate=False)
    found = stored.metadata
    assert found.orientation == 1
    assert (stored.height, stored.width) == size
    data = content(path)
    assert PREVIEW[FACE] not in data
    assert HIDDEN[FACE] not in data
    if first.exif and last.exif:
        assert found.exif is not None
        fields = exif.parse(found.exif)
        one = {tag: f.values(fields.order) for tag, f in {**fields.main, **fields.detail}.items()}
        assert bytes(one[0x010F]) == b"Maker\0"
        assert one.get(0x0112, (1,)) == (1,)
        assert one[0x927C][-5:] == tuple(b"notes")
        assert 0x9214 not in one
        assert (one[0xA003], one[0xA002]) == ((size[0],), (size[1],))
        if "tiff" not in (source, target):
            assert bytes(one[0x927C]) == b"Maker\0" + bytes(len(HIDDEN)) + b"notes"
            assert found.exif.index(b"notes") == block().index(b"notes")
        assert fields.gps[2].values(fields.order) == (48, 8, 30)
    if first.icc and last.icc:
        assert found.icc == profile(400)
    if first.xmp and last.xmp:
        assert found.xmp is not None
        assert b'tiff:Orientation="1"' in found.xmp
        assert f'tiff:ImageWidth="{size[1]}" tiff:ImageLength="{size[0]}"'.encode() in found.xmp
        assert b"thumbnail" not in found.xmp
    if first.iptc and last.iptc:
        assert found.iptc == records(preview=False)
    if first.dpi and last.dpi:
        assert found.dpi == (300, 300)
    if first.texts and last.texts:
        assert found.texts == (Text("Title", "Portrait"),)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_filter_leaves_what_is_true(
    source: str, target: str, files: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / f"out{TABLE[target].suffix}"
    imgpipe.run(files[source], invert(), path, executor="serial")
    checked(path, source, target, (WIDTH, HEIGHT))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_filter_all_is_left(name: str, files: dict[str, Path]) -> None:
    found = imgpipe.info(files[name], autorotate=False).metadata
    assert found.orientation == 6
    if TABLE[name].xmp:
        assert found.xmp == packet()
    assert found.iptc == (records() if TABLE[name].iptc else None)
    if TABLE[name].exif and name not in ("tiff", "avif"):  # which write it anew
        assert found.exif is not None
        known = exif.parse(found.exif)
        main = {tag: field for tag, field in known.main.items() if tag != 0x010D}  # a text
        assert replace(known, main=main) == exif.parse(block())
        assert PREVIEW in found.exif


@pytest.mark.parametrize("name", NAMES)
def test_other_readers_find_it(name: str, files: dict[str, Path], tmp_path: Path) -> None:
    holds, path = TABLE[name], tmp_path / f"out{TABLE[name].suffix}"
    imgpipe.run(files["png"], blur(1), path, executor="serial")
    if name in NO_PILLOW:
        pytest.skip(f"Pillow {NO_PILLOW[name]}")
    with Image.open(path) as image:
        image.load()
        tags = image.getexif()
        assert image.size == (HEIGHT, WIDTH)
        if holds.icc:
            assert image.info["icc_profile"] == profile(400)
        if holds.exif:
            assert tags[0x010F] == "Maker"
            assert tags.get(0x0112, 1) == 1
            assert tags.get_ifd(ExifTags.IFD.GPSInfo)[2] == (48, 8, 30)
            assert tags.get_ifd(ExifTags.IFD.Exif)[0xA002] == HEIGHT
            assert not tags.get_ifd(ExifTags.IFD.IFD1)
            if name in ("png", "jpeg", "tiff"):
                assert image.info["dpi"] == pytest.approx((300, 300), abs=1e-3)
            assert name in ("png", "jpeg") or tags[0x010D] == "Portrait"
            assert (tags[0x011A], tags[0x011B], tags[0x0128]) == (300, 300, 2)


@pytest.mark.parametrize("name", NAMES)
def test_large_entries(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A profile of any size is kept, or left out with a line if the format cannot hold it."""
    holds, path = TABLE[name], tmp_path / f"out{TABLE[name].suffix}"
    imgpipe.run(original(tmp_path, large=True), invert(), path, executor="serial")
    found = imgpipe.info(path).metadata
    assert (found.icc == profile(200_000)) == holds.icc
    assert (found.xmp is not None and len(found.xmp) > 90_000) == holds.large
    assert (found.exif is not None and len(found.exif) > 70_000) == holds.large
    assert ("EXIF" in caplog.text and "XMP" in caplog.text) == (not holds.large)


@pytest.mark.parametrize("name", [*NAMES, "bmp"])
def test_an_extreme_resolution_is_kept_or_left_out(name: str, tmp_path: Path) -> None:
    path, pixels = tmp_path / f"out{FORMATS[name].suffixes[0]}", np.zeros((9, 9, 3), np.uint8)
    for dpi in (10**-6, 10**9):
        known = Metadata(pixels_per_metre=density_from_dpi(dpi, dpi))
        about = ImageInfo(9, 9, 3, pixels.dtype, None, "rgb", known)
        sink = open_sink(path, about)
        put_in(sink, pixels)
        sink.commit()
        assert imgpipe.info(path).metadata.dpi in (None, pytest.approx((dpi, dpi), rel=0.1))


WITHOUT = {  # formats that hold next to no metadata, and whether they hold the resolution
    **dict.fromkeys((".ppm", ".qoi", ".tga", ".npy", ".gif"), False),
    ".bmp": True,
}


@pytest.mark.parametrize("suffix", WITHOUT)
def test_a_line_tells_what_a_format_cannot_hold(
    suffix: str, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"out{suffix}"
    imgpipe.run(files["png"], invert(), path, executor="serial")
    (line,) = [one for one in caplog.messages if "left out" in one]
    what = "EXIF, the ICC profile, XMP, IPTC, the text 'Title'" + ", the resolution" * (
        not WITHOUT[suffix]
    )
    assert line.startswith(f"{path}: left out metadata that ")
    assert line.endswith(f" cannot hold: {what}")
    dpi = pytest.approx((300, 300), abs=1e-3) if WITHOUT[suffix] else None
    found = imgpipe.info(path).metadata
    assert found.dpi == dpi
    assert (found.exif, found.icc, found.xmp, found.texts) == (None, None, None, ())
    caplog.clear()
    imgpipe.run(files["png"], invert(), path, strip=True, executor="serial")
    (line,) = [one for one in caplog.messages if "left out" in one]
    assert line.endswith(" cannot hold: the ICC profile")


def test_a_text_without_a_tag_is_told_of(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    imgpipe.run(files["png"], invert(), tmp_path / "out.tif", executor="serial")
    assert not caplog.messages  # TIFF has a tag for the title
    Image.new("RGB", (9, 9)).save(tmp_path / "in.jpg", comment=b"seen from the tower")
    imgpipe.convert(tmp_path / "in.jpg", tmp_path / "out.webp", executor="serial")
    (line,) = caplog.messages
    assert line.endswith("left out metadata that WebP cannot hold: the text 'Comment'")


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_profile_can_be_left_out(
    name: str, files: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / f"out{TABLE[name].suffix}"
    imgpipe.run(files[name], invert(), path, strip=True, executor="serial")
    found = imgpipe.info(path).metadata
    icc = profile(400) if TABLE[name].icc else None
    assert found == Metadata(icc=icc, srgb_intent=found.srgb_intent)
    data = content(path)
    assert not any(word in data for word in (b"Maker", b"Label", b"Portrait", b"2024:05:06"))


# ------------------------------------------------------------------ every way to run


@pytest.mark.parametrize(
    ("name", "executor"), [*((name, "threads") for name in NAMES), ("png", "processes")]
)
def test_the_way_of_the_pixels_changes_nothing(
    name: str, executor: str, files: dict[str, Path], tmp_path: Path
) -> None:
    made = []
    for number, how in enumerate(({"executor": "serial"}, {"executor": executor, "chunk": 16})):
        path = tmp_path / f"{number}.png"
        imgpipe.run(files[name], blur(1), path, workers=2, **how)  # type: ignore[arg-type]
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_many_images_at_once_are_each_as_alone(files: dict[str, Path], tmp_path: Path) -> None:
    def request(name: str) -> Request:
        path = tmp_path / f"{name}.png"

        def goals(source: Source) -> tuple[WantedOutput, ...]:
            stages = resolve(blur(1), source.info)
            return (WantedOutput(stages, open_sink(path, stages[-1].after), str(path)),)

        return Request(lambda: open_source(files[name]), goals)

    outcomes = list(make_images(map(request, NAMES), Options(workers=1, executor="threads")))
    assert [one.error for one in outcomes] == [None] * len(NAMES)
    for name in NAMES:
        alone = tmp_path / "alone.png"
        imgpipe.run(files[name], blur(1), alone, executor="serial")
        assert (tmp_path / f"{name}.png").read_bytes() == alone.read_bytes()


@pytest.mark.parametrize(
    ("chain", "size", "dpi", "entries"),
    [
        (crop(x=3, y=2, width=20, height=10), (10, 20), 300, {"icc"}),
        (rotate(angle=90), (HEIGHT, WIDTH), 300, {"icc"}),
        (resize(size="50%"), (WIDTH // 2, HEIGHT // 2), 150, {"icc"}),
        (grayscale(), (WIDTH, HEIGHT), 300, set()),
    ],
    ids=["crop", "rotate", "resize", "grayscale"],
)
def test_filters_update_what_depends_on_them(
    chain: Chain,
    size: tuple[int, int],
    dpi: int,
    entries: set[str],
    files: dict[str, Path],
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.png"
    imgpipe.run(files["png"], chain, path, executor="serial")
    found = imgpipe.info(path).metadata
    assert found.dpi == (dpi, dpi)
    assert ("icc" in entries) == (found.icc is not None)
    assert found.exif is not None
    assert exif.density(found.exif) == found.pixels_per_metre
    detail = exif.parse(found.exif).detail
    assert detail[0xA003].values("<") == (size[0],)
    assert detail[0xA002].values("<") == (size[1],)
