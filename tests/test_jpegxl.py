"""JPEG XL: exact without loss; header, colours and metadata, which imagecodecs leaves to us."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import ImageCms

import imgpipe
from imgpipe import exif
from imgpipe.errors import (
    CorruptError,
    FormatError,
    LimitError,
    OutputError,
    ParameterError,
    UsageError,
)
from imgpipe.formats.boxes import box
from imgpipe.formats.jpegxl import open_sink, open_source
from imgpipe.formats.jpegxl.bits import BitReader
from imgpipe.formats.jpegxl.entropy import Numbers
from imgpipe.formats.jpegxl.header import LINEAR, Colouring, read_header, with_header
from imgpipe.formats.origin import FileOrigin, MemoryOrigin
from imgpipe.formats.target import MemoryTarget
from imgpipe.image import ImageInfo, guess_colour
from imgpipe.metadata import Metadata, density_from_dpi
from imgpipe.testing.files import put_in, taken_out
from tests.conftest import natural, noise

SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def written(array: Any, known: Metadata | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    colour, alpha = guess_colour(array.shape[2])
    info = ImageInfo(*array.shape, array.dtype, alpha, colour, known or Metadata())
    sink = open_sink(MemoryTarget(out), info, **options)
    put_in(sink, array)
    sink.commit()
    return out.getvalue()


def source_of(content: bytes) -> Any:
    return open_source(MemoryOrigin(content))


def read_back(content: bytes) -> Any:
    return taken_out(source_of(content), "x")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("effort", [None, 3])
def test_without_a_quality_every_value_is_kept(dtype: str, channels: int, effort: Any) -> None:
    array = noise((33, 47, channels), dtype)
    content = written(array, effort=effort)
    np.testing.assert_array_equal(read_back(content), array)
    theirs = imagecodecs.jpegxl_decode(content)
    np.testing.assert_array_equal(theirs.reshape(array.shape), array)
    np.testing.assert_array_equal(read_back(written(array, quality=50, lossless=True)), array)


def test_floats_that_libjxl_refuses_are_kept_at_another_effort(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As libjxl 0.12 does with floats of both signs, and 0.11 does not."""
    array, tried = both_signs((33, 47, 1)), refused_below(8, monkeypatch)
    np.testing.assert_array_equal(read_back(written(array)), array)
    assert tried == [1, 8]
    with pytest.raises(OutputError, match="choose another format"):
        written(array.astype(np.uint16))
    assert tried == [1, 8, 1]


def test_floats_that_libjxl_refuses_at_every_effort_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = refused_below(10, monkeypatch)
    with pytest.raises(OutputError, match="does not keep floats of both signs"):
        written(both_signs((2, 2, 1)), effort=3)
    assert tried == [3, 8, 9]


@pytest.mark.parametrize(
    ("array", "options", "function", "code"),
    [
        ("both signs", {}, "JxlEncoderAddImageFrame", 1),
        ("both signs", {}, "JxlEncoderProcessOutput", 2),
        ("both signs", {"quality": 90}, "JxlEncoderProcessOutput", 1),
        ("one sign", {}, "JxlEncoderProcessOutput", 1),
    ],
)
def test_other_errors_of_libjxl_are_reported_at_once(
    monkeypatch: pytest.MonkeyPatch, array: str, options: Any, function: str, code: int
) -> None:
    tried = refused_below(8, monkeypatch, function, code)
    pixels = both_signs((4, 4, 1)) if array == "both signs" else np.ones((4, 4, 1), np.float32)
    with pytest.raises(OutputError, match=str(imagecodecs.JpegxlError(function, code))):
        written(pixels, **options)
    assert len(tried) == 1


def both_signs(shape: tuple[int, int, int]) -> Any:
    return noise(shape, "float32") - np.float32(0.5)


def refused_below(
    least: int,
    monkeypatch: pytest.MonkeyPatch,
    function: str = "JxlEncoderProcessOutput",
    code: int = 1,
) -> list[int]:
    """Have the encoder fail below an effort; return a list, which gets every effort tried."""
    tried, encode = list[int](), imagecodecs.jpegxl_encode

    def encode_or_fail(*args: Any, effort: int, **options: Any) -> Any:
        tried.append(effort)
        if effort < least:
            raise imagecodecs.JpegxlError(function, code)
        return encode(*args, effort=effort, **options)

    monkeypatch.setattr(imagecodecs, "jpegxl_encode", encode_or_fail)
    return tried


def test_two_floats_of_both_signs_are_kept_by_libjxl_0_11() -> None:
    """A newer one keeps them, or says that it does not."""
    array = np.array([[[-1e-6], [0.25]]], np.float32)
    older = "libjxl 0.11" in imagecodecs.jpegxl_version()
    refused = pytest.raises(OutputError, match="floats of both signs")
    with contextlib.nullcontext() if older or _keeps(array) else refused:
        np.testing.assert_array_equal(read_back(written(array)), array)


def _keeps(array: Any) -> bool:
    try:
        imagecodecs.jpegxl_encode(array[..., 0], lossless=True, effort=1)
    except imagecodecs.JpegxlError:
        return False
    return True


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_lower_quality_makes_a_smaller_file(dtype: str) -> None:
    photo = natural((120, 160, 3)).astype(dtype) * (257 if dtype == "uint16" else 1)
    sizes = {}
    for quality in (40, 95):
        content = written(photo, quality=quality)
        sizes[quality] = len(content)
        error = np.abs(read_back(content).astype(float) - photo).mean() / np.iinfo(dtype).max
        assert error < 0.08
    assert sizes[40] < sizes[95] < len(written(photo))


def test_16_bits_with_loss_mean_srgb_like_8_bits() -> None:
    photo = natural((120, 160, 3))
    eight, sixteen = (written(p, quality=90) for p in (photo, photo.astype(np.uint16) * 257))
    assert source_of(sixteen).info.metadata == source_of(eight).info.metadata
    difference = read_back(sixteen) / 257 - read_back(eight)
    assert np.abs(difference).mean() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (8, 256), (300, 400), (64, 1), (1, 9000)])
def test_sizes_are_read_in_every_spelling(size: tuple[int, int]) -> None:
    for shape in (size, size[::-1]):
        info = source_of(imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8))).info
        assert (info.height, info.width) == shape


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
def test_few_bits_are_scaled_to_eight(bits: int) -> None:
    levels = np.arange(1 << bits, dtype=np.uint8).reshape(1, -1)
    content = imagecodecs.jpegxl_encode(levels, lossless=True, bitspersample=bits)
    expected = levels.astype(int) * 255 // ((1 << bits) - 1)
    np.testing.assert_array_equal(read_back(content)[..., 0], expected)


def test_ten_bits_stay_as_they_are() -> None:
    array = noise((20, 30, 3), "uint16") >> 6
    content = imagecodecs.jpegxl_encode(array, lossless=True, bitspersample=10)
    np.testing.assert_array_equal(read_back(content), array)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_the_header(orientation: int) -> None:
    array = noise((9, 14, 3), "uint8")
    content = written(array, Metadata(orientation=orientation))
    assert source_of(content).info.metadata.orientation == orientation
    np.testing.assert_array_equal(read_back(content), array)
    turned = imagecodecs.jpegxl_decode(content).shape
    assert turned == ((9, 14, 3) if orientation < 5 else (14, 9, 3))


def test_metadata_survives() -> None:
    block = exif.with_density(None, density_from_dpi(300, 300))
    known = Metadata(exif=block, xmp=XMP, pixels_per_metre=density_from_dpi(300, 300))
    for options in ({}, {"quality": 90}):
        content = written(noise((9, 14, 3), "uint8"), known, **options)
        found = source_of(content).info.metadata
        assert (found.exif, found.xmp) == (block, XMP)
        assert found.pixels_per_metre == known.pixels_per_metre


def test_boxes_after_the_pixels_and_compressed_ones_are_read() -> None:
    block = exif.with_density(None, density_from_dpi(72, 72))
    codestream = written(noise((9, 14, 3), "uint8"))
    squeezed = imagecodecs.brotli_encode(bytes(4) + block)
    content = b"".join([
        box(b"JXL ", b"\r\n\x87\n"), box(b"ftyp", b"jxl \0\0\0\0jxl "),
        box(b"jxlp", bytes(4) + codestream[:40]), box(b"jxlp", b"\x80\0\0\1" + codestream[40:]),
        box(b"brob", b"Exif" + squeezed), box(b"xml ", XMP),
    ])  # fmt: skip
    found = source_of(content).info.metadata
    assert (found.exif, found.xmp) == (block, XMP)
    np.testing.assert_array_equal(read_back(content), noise((9, 14, 3), "uint8"))


def test_damaged_metadata_costs_a_line_and_not_the_image(caplog: pytest.LogCaptureFixture) -> None:
    content = b"".join([
        box(b"JXL ", b"\r\n\x87\n"), box(b"ftyp", b"jxl \0\0\0\0jxl "),
        box(b"brob", b"Exif" + b"no brotli"), box(b"jxlc", written(noise((9, 14, 3), "uint8"))),
    ])  # fmt: skip
    assert source_of(content).info.metadata.exif is None
    assert "ignored some metadata" in caplog.text


@pytest.mark.parametrize(
    ("known", "colouring"),
    [
        (Metadata(), Colouring()),
        (Metadata(srgb_intent=0), Colouring(intent=0)),
        (Metadata(gamma=1.0), Colouring(transfer=LINEAR)),
        (Metadata(gamma=0.45455), Colouring(gamma=0.45455)),
        (Metadata(cicp=(9, 16, 0, 1)), Colouring(primaries=9, transfer=16)),
        (Metadata(cicp=(12, 13, 0, 1)), Colouring(primaries=11)),
        (
            Metadata(gamma=0.45455, chromaticities=ADOBE),
            Colouring(white=2, primaries=2, gamma=0.45455, places=ADOBE),
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_meaning_of_colours_survives(known: Metadata, colouring: Any, dtype: str) -> None:
    content = written(noise((9, 14, 3), dtype), known)
    start = content.index(b"\xff\n")
    assert read_header(content[start:]).colouring == colouring
    found = source_of(content).info.metadata
    if known.cicp or (known.gamma and known.gamma < 1):
        assert (found.cicp, found.gamma) == (known.cicp, known.gamma)
        assert found.chromaticities == known.chromaticities
    np.testing.assert_array_equal(read_back(content), noise((9, 14, 3), dtype))


@pytest.mark.parametrize("more", [0, 1, 127, 20_000])
def test_a_profile_is_written_into_the_codestream(more: int, tmp_path: Path) -> None:
    """OpenImageIO, whose decoder is libjxl, gets it back to the byte."""
    oiio = pytest.importorskip("OpenImageIO")
    size = len(SRGB_PROFILE) + more
    profile = size.to_bytes(4, "big") + SRGB_PROFILE[4:] + noise((more,), "uint8").tobytes()
    array = noise((40, 50, 3), "uint16")
    path = tmp_path / "a.jxl"
    path.write_bytes(written(array, Metadata(icc=profile)))
    assert source_of(path.read_bytes()).info.metadata.icc == profile
    image = oiio.ImageInput.open(str(path))
    assert bytes(np.asarray(image.spec().getattribute("ICCProfile"))) == profile
    np.testing.assert_array_equal(image.read_image("uint16"), array)
    image.close()


def with_tags(tags: list[tuple[bytes, bytes]]) -> bytes:
    """Return a profile of these tags."""
    table, body, start = len(tags).to_bytes(4, "big"), b"", 132 + 12 * len(tags)
    for name, data in tags:
        table += name + (start + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data + bytes(-len(data) % 4)
    return (len(table + body) + 128).to_bytes(4, "big") + SRGB_PROFILE[4:128] + table + body


def colour(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + np.array([v * 65536 for v in values]).round().astype(">i4").tobytes()


CURVE = b"curv\0\0\0\0\0\0\4\0" + np.linspace(0, 65535, 1024).astype(">u2").tobytes()
GAMMA = b"curv\0\0\0\0\0\0\0\1\2\x33"
NAME = b"text\0\0\0\0Copyright 1999 Somebody Systems Incorporated\0"
COLOURS = [
    (b"wtpt", colour(0.9505, 1, 1.0891)),
    (b"rXYZ", colour(0.6097, 0.3111, 0.0195)),
    (b"gXYZ", colour(0.2053, 0.6257, 0.0609)),
    (b"bXYZ", colour(0.1492, 0.0632, 0.7446)),
]


@pytest.mark.parametrize(
    "tags",
    [
        [(b"cprt", NAME), *COLOURS, *((name, GAMMA) for name in (b"rTRC", b"gTRC", b"bTRC"))],
        [(b"cprt", NAME), *COLOURS, *((name, CURVE) for name in (b"rTRC", b"gTRC", b"bTRC"))],
        [*COLOURS, *((name, GAMMA) for name in (b"rTRC", b"gTRC", b"bTRC")),
         (b"abcd", noise((3000,), "uint8").tobytes())],
        [*COLOURS, *((name, GAMMA) for name in (b"rTRC", b"gTRC", b"bTRC")),
         (b"abcd", np.cumsum(np.arange(500)).astype(">u4").tobytes())],
    ],
)  # fmt: skip
def test_a_profile_that_libjxl_wrote_is_read(tags: Any, tmp_path: Path) -> None:
    oiio, array = pytest.importorskip("OpenImageIO"), noise((40, 50, 3), "uint8")
    profile, path = with_tags(tags), tmp_path / "a.jxl"
    spec = oiio.ImageSpec(50, 40, 3, "uint8")
    spec.attribute("compression", "jpegxl:100")
    spec.attribute("jpegxl:distance", 0.0)
    kind = oiio.TypeDesc(f"uint8[{len(profile)}]")
    spec.attribute("ICCProfile", kind, np.frombuffer(profile, np.uint8))
    image = oiio.ImageOutput.create(str(path))
    assert image.open(str(path), spec)
    assert image.write_image(array)
    image.close()
    content = path.read_bytes()
    assert source_of(content).info.metadata.icc == profile
    np.testing.assert_array_equal(imgpipe.read(path), array)


def test_a_damaged_profile_costs_a_line(caplog: pytest.LogCaptureFixture) -> None:
    content = written(noise((9, 14, 3), "uint8"), Metadata(icc=SRGB_PROFILE))
    damaged = bytearray(content)
    damaged[12] ^= 0xFF
    assert source_of(bytes(damaged)).info.metadata.icc is None
    assert "left out the ICC profile" in caplog.text


@pytest.mark.parametrize("effort", [3, 7])
def test_numbers_of_asymmetric_numeral_systems_are_read(effort: int) -> None:
    """The decision tree of a file is such numbers, in six contexts; it is found by its checksum."""
    content = imagecodecs.jpegxl_encode(natural((64, 64, 3)), lossless=True, effort=effort)
    found = (_nodes(content, position) for position in range(64, 200))
    assert max(nodes for nodes in found) > 10


def _nodes(content: bytes, position: int) -> int:
    """Return the nodes of the tree at a position; 0 if there is none."""
    try:
        numbers, left, nodes = Numbers(BitReader(content, position), 6), 1, 0
        while left and nodes < 1000:
            nodes += 1
            is_leaf = not numbers.next(1)
            for context in (2, 3, 4, 5) if is_leaf else (0,):
                numbers.next(context)
            left += -1 if is_leaf else 1
        numbers.finish()
    except (ValueError, IndexError):
        return 0
    return nodes


def test_a_profile_and_a_quality_do_not_go_together(caplog: pytest.LogCaptureFixture) -> None:
    other = SRGB_PROFILE.replace(b"s\0R\0G\0B", b"o\0t\0h\0e").replace(b"sRGB", b"othe")
    written(noise((9, 14, 3), "uint8"), Metadata(icc=other), quality=90)
    assert "left out the ICC profile" in caplog.text


def test_a_new_header_leaves_the_pixels_alone() -> None:
    for dtype in ("uint8", "uint16", "float32"):
        array = noise((30, 41, 4), dtype)
        content = written(array)
        start = content.index(b"\xff\n")
        header = read_header(content[start:])
        made = b"".join(with_header(content[start:], 6, header.colouring))
        assert replace(read_header(made), orientation=1, places={}) == replace(header, places={})
        again = b"".join(with_header(made, 1, header.colouring))
        np.testing.assert_array_equal(imagecodecs.jpegxl_decode(again), array)


def test_every_cut_is_noticed_and_above_effort_1_most_flipped_bytes(tmp_path: Path) -> None:
    photo = natural((60, 80, 3))
    content, path = written(photo), tmp_path / "a.jxl"
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises((CorruptError, FormatError)):
            imgpipe.read(path)
    with pytest.raises(CorruptError, match=r"a\.jxl: the file is damaged \(its pixels end too"):
        imgpipe.read(path)
    content, noticed = written(photo, effort=2), 0
    flips = range(40, len(content), 211)
    for at in flips:
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        with contextlib.suppress(CorruptError):
            imgpipe.read(path)
            continue
        noticed += 1
    assert noticed > len(flips) / 2


def test_declarations_are_checked_before_decoding() -> None:
    small = imagecodecs.jpegxl_encode(np.zeros((1000, 2000), np.uint8), effort=1)
    assert len(small) < 50_000
    with pytest.raises(LimitError, match=r"2\.0 megapixels"):
        open_source(MemoryOrigin(small), 1_000_000)


def test_a_build_without_jpeg_xl_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a.jxl"
    path.write_bytes(written(noise((9, 14, 3), "uint8")))
    monkeypatch.setattr(imagecodecs.JPEGXL, "available", False)
    with pytest.raises(FormatError, match="pip install -U imagecodecs"):
        open_source(FileOrigin(str(path)))
    with pytest.raises(UsageError, match="pip install -U imagecodecs"):
        imgpipe.write(noise((9, 14, 3), "uint8"), path)


def test_options_are_checked() -> None:
    with pytest.raises(ParameterError, match="quality must be a whole number between 1 and 100"):
        imgpipe.write(np.zeros((3, 3)), "never.jxl", save={"quality": 101})
