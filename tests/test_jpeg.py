"""JPEG files: what is read from them, and what is written to them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import imgpipe
from imgpipe.errors import CorruptError, FormatError, UsageError
from imgpipe.exif import oriented
from imgpipe.filters.smoothing import blur
from imgpipe.formats.jpeg import open_sink, reading, scanlines
from imgpipe.formats.jpeg.mappedrows import MappedSource
from imgpipe.formats.jpeg.splicing import _coded, respliced
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.encoding import Recipe
from imgpipe.formats.jpegs.markers import APP1, APP2, segment
from imgpipe.formats.opening import open_source
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.target import FileTarget
from imgpipe.geometry import Box
from imgpipe.image import Colour, Metadata, Text
from imgpipe.metadata import density_from_dpi
from imgpipe.running import plan_run
from imgpipe.testing import FormatSuite
from imgpipe.testing.files import put_in, taken_out
from imgpipe.testing.pictures import noise

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
EXIF = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6)
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
SAVED: dict[str, tuple[int, dict[str, Any]]] = {
    "gray": (1, {}),
    "4:4:4": (3, {"subsampling": 0}),
    "4:2:2": (3, {"subsampling": 1}),
    "4:2:0": (3, {"subsampling": 2}),
    "restart markers": (3, {"subsampling": 2, "restart_marker_rows": 1}),
    "progressive": (3, {"progressive": True}),
    "optimized": (3, {"optimize": True, "subsampling": 2}),
    "CMYK": (4, {}),
    "CMYK with restart markers": (4, {"restart_marker_rows": 1}),
}


class TestConformance(FormatSuite):
    format = "jpeg"


class TestConformanceOfProgressive(FormatSuite):
    format = "jpeg"
    save = MappingProxyType({"progressive": True})


@pytest.fixture
def as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every file read as large ones are."""
    monkeypatch.setattr(reading, "_SMALL", 0)


def saved(path: Path, height: int, width: int, channels: int = 3, **options: Any) -> Path:
    """Write a picture with Pillow; return its path."""
    pixels = smooth(height, width, channels).squeeze()
    Image.fromarray(pixels, MODES[channels]).save(path, "JPEG", **options)
    return path


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    """Return a picture of squares."""
    squares = noise((-(-height // 5), -(-width // 5), channels), "uint8")
    pixels = np.repeat(np.repeat(squares, 5, 0), 5, 1)[:height, :width]
    return np.ascontiguousarray(pixels)


def by_pillow(path: Path) -> np.ndarray:
    """Return the pixels of a file; of CMYK, the ink."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


@pytest.mark.parametrize("kind", SAVED)
def test_large_files_have_the_pixels_that_small_ones_have(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels, options = SAVED[kind]
    path = saved(tmp_path / "a.jpg", 301, 173, channels, **options)
    expected = taken_out(open_source(path), kind)
    assert np.array_equal(expected, by_pillow(path))
    monkeypatch.setattr(reading, "_SMALL", 0)
    large = open_source(path)
    assert large.access == {"CMYK": "whole", "CMYK with restart markers": "random"}.get(
        kind, "sequential"
    )
    assert np.array_equal(taken_out(large, kind), expected)


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("kind", ["restart markers", "gray", "4:2:0"])
def test_files_in_memory_are_read_like_others(kind: str, tmp_path: Path) -> None:
    channels, options = SAVED[kind]
    path = saved(tmp_path / "a.jpg", 301, 173, channels, **options)
    source = open_source(io.BytesIO(path.read_bytes()))
    assert source.access == "sequential"
    assert np.array_equal(taken_out(source, kind), by_pillow(path))


COLOURS: dict[int, Colour] = {1: "gray", 3: "rgb", 4: "cmyk"}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pillow_reads_the_pixels_that_imgpipe_reads(channels: int, tmp_path: Path) -> None:
    pixels = noise((83, 61, channels), "uint8")
    colour = COLOURS[channels]
    save = {"quality": 100, "subsampling": "4:4:4"}
    imgpipe.write(pixels, tmp_path / "a.jpg", colour=colour, save=save)
    made = open_source(tmp_path / "a.jpg")
    assert made.info.colour == colour
    assert np.array_equal(taken_out(made, "a.jpg"), by_pillow(tmp_path / "a.jpg"))
    assert np.abs(taken_out(made, "a.jpg").astype(int) - pixels).mean() < 3


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize(
    "mark",
    [
        segment(APP2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)),
        segment(APP1, b"http://ns.adobe.com/xap/1.0/\0 http://ns.adobe.com/hdr-gain-map/1.0/"),
    ],
)
def test_the_decoder_does_not_see_a_gain_map(mark: bytes, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", 60, 40)
    content = path.read_bytes()
    path.write_bytes(content[:20] + mark + content[20:])
    source = open_source(path)
    assert source.bare  # type: ignore[union-attr]
    assert np.array_equal(taken_out(source, "a.jpg"), by_pillow(path))


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("kind", ["gray", "4:2:0", "progressive"])
def test_large_files_are_read_without_openimageio_too(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "is_there", lambda: False)
    channels, options = SAVED[kind]
    path = saved(tmp_path / "a.jpg", 301, 173, channels, **options)
    source = open_source(path)
    assert isinstance(source, MappedSource)
    assert np.array_equal(taken_out(source, kind), by_pillow(path))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(CorruptError, match=r"a\.jpg: the file is damaged: .*too early"):
        source.rows()


# --- groups of rows in the workers -----------------------------------------------------


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize(("sigma", "least"), [(2, 2), (6, 4)])
def test_several_workers_decode_groups_of_rows(sigma: float, least: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", 700, 99, subsampling=2, restart_marker_rows=2)
    feeds, chain = {}, blur(sigma=sigma)  # which has a halo of 8 or 24 rows
    for workers in (1, 2, 4):
        given: dict[str, Any] = {"executor": "threads", "workers": workers}
        feeds[workers] = plan_run(path, chain, tmp_path / "b.png", **given).feed
        imgpipe.run(path, chain, tmp_path / f"{workers}.png", **given)
    assert feeds == {count: "direct" if count >= least else "bands" for count in (1, 2, 4)}
    assert len({(tmp_path / f"{workers}.png").read_bytes() for workers in (1, 2, 4)}) == 1


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 64, "subsampling": 2}])
def test_rows_are_not_decoded_apart_where_no_marker_is_near(
    options: dict[str, Any], tmp_path: Path
) -> None:
    source = open_source(saved(tmp_path / "a.jpg", 700, 1100, **options))
    assert source.in_groups() is None  # type: ignore[union-attr]


@pytest.mark.usefixtures("as_large")
def test_damage_in_a_group_is_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", 700, 99, subsampling=2, restart_marker_rows=2)
    groups = open_source(path).in_groups()  # type: ignore[union-attr]
    begin, end = groups.index.places[5:7]
    content = bytearray(path.read_bytes())
    content[begin + 20 : end - 2] = bytes(end - begin - 22)
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"a\.jpg: the file is damaged in rows 160 to 192"):
        groups.read(Box(160, 0, 192, 99))
    assert groups.read(Box(300, 0, 310, 99)).shape == (10, 99, 3)


# --- damage -----------------------------------------------------------------------------


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("kind", ["gray", "4:2:0", "restart markers", "progressive"])
def test_truncated_large_files_are_reported(kind: str, tmp_path: Path) -> None:
    channels, options = SAVED[kind]
    path = saved(tmp_path / "a.jpg", 301, 173, channels, **options)
    content = path.read_bytes()
    for size in (len(content) // 2, len(content) - 20, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(CorruptError, match=r"a\.jpg: the file is damaged: .*too early"):
            read(path)


@pytest.mark.parametrize("small", [0, 1_000_000])
def test_a_file_of_very_many_scans_is_refused(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_SMALL", small)
    path = saved(tmp_path / "a.jpg", 30, 20, progressive=True)
    content = path.read_bytes()
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:-2] + content[last:-2] * 500 + content[-2:])
    with pytest.raises(CorruptError, match=r"a\.jpg: the file is damaged: .* more than 500 scans"):
        read(path)


@pytest.mark.usefixtures("as_large")
def test_corrupt_large_files_are_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", 301, 173)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + noise((half,), "uint8").tobytes() + b"\xff\xd9")
    with pytest.raises(CorruptError, match=r"a\.jpg: the file is damaged: .* after row \d+ of 301"):
        read(path)


@pytest.mark.usefixtures("as_large")
def test_a_file_that_shrinks_or_changes_while_it_is_read_is_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", 3000, 500)
    source = open_source(path)
    rows = source.rows()  # type: ignore[union-attr]
    rows.read_into(np.empty((10, 500, 3), np.uint8))
    with path.open("r+b") as file:
        file.truncate(20_000)

    def read_on() -> None:
        rows.read_into(np.empty((2990, 500, 3), np.uint8))
        rows.finish()

    with pytest.raises(CorruptError, match="too early"):
        read_on()
    rows.close()
    saved(path, 20, 30)
    with pytest.raises(CorruptError, match="not what its header declares"):
        source.rows()  # type: ignore[union-attr]


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("room", [True, False])
def test_a_large_file_with_bytes_left_over_is_damaged(
    room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanlines, "lies_in_memory", lambda _: not room)  # then there is no copy
    data = Recipe(3, 90).encode(noise((160, 160, 3), "uint8"))
    at = strict.decode_header(data).sof.position + 5
    fewer = [data[:at] + struct.pack(">H", rows) + data[at + 2 :] for rows in (144, 80)]
    for size, content in enumerate((data, data[:-2] + b"\0\0" + data[-2:], data + 3 * data)):
        path = tmp_path / f"{size}.jpg"
        path.write_bytes(content)
        assert read(path).shape == (160, 160, 3)  # padding, or another image behind the first one
    for content in fewer if room else fewer[1:]:  # of the file itself only much is noticed
        path.write_bytes(content)
        with pytest.raises(CorruptError, match="bytes are left over after row"):
            read(path)


@pytest.mark.usefixtures("as_large")
@pytest.mark.parametrize("room", [True, False])
def test_the_plan_counts_the_copy_that_openimageio_reads(
    room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanlines, "lies_in_memory", lambda _: not room)
    path = saved(tmp_path / "a.jpg", 160, 160)
    content = path.read_bytes()
    for src, copied, salvage in ((path, room, room), (io.BytesIO(content), True, False)):
        plan = plan_run(src, blur(), tmp_path / "b.png", workers=1, salvage=salvage)
        assert (plan.feed, plan.disk.size) == ("bands", copied * len(content))
        source = open_source(src)
        rows = source.rows()  # type: ignore[union-attr]
        spool = rows._spool
        assert copied == (spool is not None)
        if spool is not None:
            size = os.fstat(spool.fd).st_size
            assert abs(size - len(content)) < 5000  # a segment more, or metadata less
        rows.read_into(np.empty((160, 160, 3), np.uint8))
        rows.close()


def read(path: Path) -> np.ndarray:
    return taken_out(open_source(path), path.name)


def test_a_file_without_its_height_is_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", 20, 30)
    content = bytearray(path.read_bytes())
    at = strict.decode_header(content).sof.position
    content[at + 5 : at + 7] = b"\0\0"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.jpg: it declares its height .*DNL"):
        open_source(path)


def test_12_bits_are_read(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    ramp = np.linspace(0, 4095, 40 * 50).reshape(40, 50).astype(np.uint16)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(ramp, 98, bitspersample=12))
    source = open_source(tmp_path / "a.jpg")
    assert source.info.dtype == np.uint16
    assert np.abs(taken_out(source, "a")[..., 0].astype(int) - ramp).max() < 40


def test_the_decoder_is_silent_when_the_command_ends(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", 20, 30)
    code = (
        "import sys\n"
        "from imgpipe.formats.jpeg import open_sink, reading\n"
        "reading._SMALL = 0\n"
        "from imgpipe.cli import main\n"
        "sys.argv[1:] = ['blur', 'a.jpg', '-o', 'b.jpg', '-q']\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")


# --- writing ----------------------------------------------------------------------------


def test_an_image_larger_than_jpeg_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"at most 65,500 x 65,500 pixels.*\.tif or \.png"):
        imgpipe.write(np.zeros((1, 65_501), np.uint8), tmp_path / "a.jpg")


def test_four_channels_with_alpha_are_not_taken_for_inks(tmp_path: Path) -> None:
    imgpipe.write(noise((4, 4, 4), "uint8"), tmp_path / "a.png", alpha=3)
    imgpipe.run(tmp_path / "a.png", blur(), tmp_path / "a.jpg")
    assert imgpipe.info(tmp_path / "a.jpg").colour == "rgb"
    with pytest.raises(
        UsageError, match=r"a\.jpg: JPEG supports gray, RGB and CMYK, not 4 channels"
    ):
        imgpipe.write(noise((4, 4, 4), "uint8"), tmp_path / "a.jpg")


@pytest.mark.parametrize(("subsampling", "ratio"), [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)])
def test_options_are_those_of_the_file(subsampling: str, ratio: int, tmp_path: Path) -> None:
    pixels = noise((83, 61, 3), "uint8")
    options = {"quality": 70, "subsampling": subsampling}
    imgpipe.write(pixels, tmp_path / "a.jpg", save=options)
    Image.fromarray(pixels).save(tmp_path / "b.jpg", quality=70, subsampling=ratio)
    assert np.array_equal(by_pillow(tmp_path / "a.jpg"), by_pillow(tmp_path / "b.jpg"))


def test_progressive_is_smaller_and_has_the_same_pixels(tmp_path: Path) -> None:
    for channels, options in ((1, {}), (3, {}), (4, {"subsampling": "4:4:4"})):
        given = smooth(200, 300, channels)
        paths = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
        for path, progressive in zip(paths, (False, True), strict=True):
            save = {**options, "progressive": progressive}
            imgpipe.write(given, path, colour=COLOURS[channels], save=save)
        baseline, progressive = (taken_out(open_source(path), path.name) for path in paths)
        if channels < 4:  # of CMYK, the baseline file is YCCK
            assert np.array_equal(baseline, progressive)
            assert paths[1].stat().st_size < paths[0].stat().st_size
        assert np.abs(progressive.astype(int) - given).mean() < 20  # not inverted
        assert strict.decode_header(paths[1].read_bytes()).progressive


# --- other metadata for the same pixels --------------------------------------------------


@pytest.mark.parametrize("kind", ["4:2:0", "gray", "CMYK", "RGB"])
def test_metadata_is_replaced_and_pixels_stay(kind: str, tmp_path: Path) -> None:
    channels, options = SAVED.get(kind, (3, {"keep_rgb": True}))
    path = saved(tmp_path / "a.jpg", 50, 40, channels, comment=b"old", exif=EXIF, **options)
    content = path.read_bytes()
    other = b"\xff\xe5\0\x12Maker's segment\0"
    path.write_bytes(content[:2] + other + content[2:])
    metadata = replace(open_source(path).info.metadata, exif=None, texts=(Text("Comment", "new"),))
    for others in (True, False):
        made = b"".join(respliced(FileOrigin(str(path)), metadata, others=others))
        assert (other in made) == others
        (tmp_path / "b.jpg").write_bytes(made)
        assert open_source(tmp_path / "b.jpg").info.metadata == metadata
        assert np.array_equal(by_pillow(tmp_path / "b.jpg"), by_pillow(path))
        start, end = (strict.decode_header(each).start for each in (made, path.read_bytes()))
        assert made[start:] == path.read_bytes()[end:]


def test_further_pictures_are_left_out_of_a_stripped_copy(tmp_path: Path) -> None:
    """Such pictures follow the image, and have metadata of their own."""
    path, preview = tmp_path / "a.jpg", tmp_path / "preview.jpg"
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 1}):
        first = saved(path, 50, 40, 3, **options).read_bytes()
        path.write_bytes(first + saved(preview, 9, 9, 3, comment=b"a face").read_bytes())
        imgpipe.convert(path, tmp_path / "b.jpg", strip=True)
        made = (tmp_path / "b.jpg").read_bytes()
        assert b"a face" not in made
        assert (made.count(b"\xff\xd8\xff"), made[-2:]) == (1, b"\xff\xd9")
        assert np.array_equal(by_pillow(tmp_path / "b.jpg"), by_pillow(path))


def test_an_end_within_a_segment_is_none() -> None:
    table = b"\xff\xc4\0\x06\xff\xd9\xff\xd9"
    coded = b"ab\xff\0c\xff\xd0d" + table + b"e\xff\xff\xd9"
    for size in (1 << 20, 9, 10, 11, 12):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("imgpipe.formats.jpeg.splicing._PIECE_BYTES", size)
            found = b"".join(_coded(io.BytesIO(b"__" + coded + b"more"), 2))
            assert found == coded
    for cut in range(len(coded)):
        assert b"".join(_coded(io.BytesIO(coded[:cut]), 0)) == coded[:cut]


# --- metadata ---------------------------------------------------------------------------


def test_metadata_is_carried(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(200_000)
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 3
    given = {
        "exif": exif.tobytes(),
        "icc_profile": icc,
        "xmp": XMP,
        "dpi": (300, 150),
        "comment": "caf\u00e9".encode(),
    }
    saved(tmp_path / "a.jpg", 20, 30, **given)
    about = imgpipe.info(tmp_path / "a.jpg", autorotate=False).metadata
    assert (about.icc, about.xmp) == (icc, XMP)
    assert about.exif == given["exif"][6:]
    assert (about.dpi, about.orientation) == ((300, 150), 3)
    assert [(each.keyword, each.text) for each in about.texts] == [("Comment", "caf\u00e9")]
    imgpipe.run(tmp_path / "a.jpg", blur(), tmp_path / "b.jpg", executor="serial")
    with Image.open(tmp_path / "b.jpg") as made:
        by = made.info
        assert made.getexif()[0x010E] == "a picture"
    assert by["icc_profile"] == icc
    assert by["xmp"] == XMP
    assert by["dpi"] == (300, 150)
    assert by["comment"].decode() == "caf\u00e9"


def test_the_resolution_of_cmyk_is_in_exif(tmp_path: Path) -> None:
    given = open_source(saved(tmp_path / "a.jpg", 20, 30, 4)).info
    given = replace(given, metadata=Metadata(pixels_per_metre=density_from_dpi(300, 150)))
    sink = open_sink(FileTarget(str(tmp_path / "b.jpg")), given)
    put_in(sink, noise(given.shape, "uint8"))
    sink.commit()
    assert imgpipe.info(tmp_path / "b.jpg").metadata.dpi == (300, 150)


def test_an_entry_that_is_too_large_is_left_out_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0" + bytes(70_000))
    imgpipe.run(tmp_path / "a.png", blur(), tmp_path / "a.jpg", executor="serial")
    assert "a.jpg: left out the EXIF: a JPEG holds at most 64 kB of it" in caplog.text
    assert imgpipe.info(tmp_path / "a.jpg").metadata.exif is None


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_orientation_and_resolution_stay_though_the_exif_is_too_large(
    tmp_path: Path, channels: int
) -> None:
    given = open_source(saved(tmp_path / "a.jpg", 20, 30, channels)).info
    density, block = density_from_dpi(300, 150), oriented(None, 6)
    assert block is not None
    known = Metadata(exif=block + bytes(70_000), orientation=6, pixels_per_metre=density)
    sink = open_sink(FileTarget(str(tmp_path / "b.jpg")), replace(given, metadata=known))
    put_in(sink, noise(given.shape, "uint8"))
    sink.commit()
    with Image.open(tmp_path / "b.jpg") as made:
        assert made.getexif()[0x0112] == 6
    assert imgpipe.info(tmp_path / "b.jpg").metadata.dpi == (150, 300)  # of the upright image
