"""PNG: what goes in comes out, every reader agrees, and nothing damaged gets through."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import pickle
import random
import shutil
import struct
import subprocess
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from imgpipe.errors import (
    CorruptError,
    FormatError,
    ImgpipeError,
    InputError,
    LimitError,
    OutputError,
    UsageError,
)
from imgpipe.formats import png
from imgpipe.formats.formatchoice import HEAD_BYTES, format_of
from imgpipe.formats.opening import open_sink
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.png import rowfilters, writing
from imgpipe.formats.png.chunks import SIGNATURE, chunk
from imgpipe.formats.target import MemoryTarget
from imgpipe.image import ImageInfo, Metadata, Text, guess_colour
from imgpipe.metadata import density_from_dpi
from tests.conftest import natural

Pixels = NDArray[Any]

SIZES = [(1, 1), (1, 97), (101, 1), (13, 17), (61, 59), (2, 70_001), (1201, 701)]
KINDS = list(itertools.product(["uint8", "uint16"], [1, 2, 3, 4]))


# ------------------------------------------------------------------ pictures, files


def picture(height: int, width: int, channels: int, dtype: str = "uint8") -> Pixels:
    """A smooth picture with some noise, in the whole range of its type."""
    rng = np.random.default_rng(height * width + channels)
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = np.sin(y / 19 + c) + np.cos(x / 23 - c) + rng.normal(0, 0.02, (height, width, channels))
    return np.round((waves + 2.5) / 5 * np.iinfo(dtype).max).clip(0).astype(dtype)


def info_of(pixels: Pixels, **changes: Any) -> ImageInfo:
    colour, alpha = guess_colour(pixels.shape[2])
    height, width, channels = pixels.shape
    return replace(ImageInfo(height, width, channels, pixels.dtype, alpha, colour), **changes)


def encoded(path: Path, pixels: Pixels, metadata: Metadata | None = None, **options: Any) -> Path:
    """Write a file, as the engine would."""
    info = info_of(pixels, metadata=metadata or Metadata())
    sink = open_sink(path, info, options)
    for y in range(0, len(pixels), sink.unit[0]):
        unit = pixels[y : y + sink.unit[0]]
        data, facts = sink.encoder.encode(unit, pixels[y - 1 : y] if y else None)
        assert len(data) <= sink.encoder.bound(len(unit))
        sink.append(data, facts)
    assert sink.commit() == path.stat().st_size
    return path


def opened(path: Path, max_pixels: int | None = None) -> Any:
    return png.open_source(FileOrigin(str(path)), max_pixels)


def decoded(path: Path, rows: int = 97) -> Pixels:
    """Read a file, as the engine would."""
    source = opened(path)
    out = np.full(source.info.shape, 77, source.info.dtype)
    if source.access == "whole":
        source.decode_into(out)
        return out
    position = source.rows()
    try:
        for y in range(0, len(out), rows):
            position.read_into(out[y : y + rows])
        position.finish()
    finally:
        position.close()
    return out


def png_file(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    path.write_bytes(SIGNATURE + b"".join(chunk(*one) for one in chunks))
    return path


def header(width: int, height: int, depth: int = 8, colour: int = 0, interlace: int = 0) -> Any:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


END = (b"IEND", b"")
ADAM7_ROWS = (188, 188, 187, 375, 375, 750, 750)  # of 1500


def data_of(raw: bytes) -> tuple[bytes, bytes]:
    return b"IDAT", zlib.compress(raw)


def half_data(part: int) -> tuple[bytes, bytes]:
    """Return one half of the pixel data of 2 x 2 pixels."""
    data = zlib.compress(bytes(6))
    return b"IDAT", (data[:5], data[5:])[part]


def with_chunks(path: Path, *chunks: tuple[bytes, bytes], width: int = 3, height: int = 2) -> Path:
    raw = bytes(height * (1 + width))
    return png_file(path, header(width, height), *chunks, data_of(raw), END)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "picture.png"


# ------------------------------------------------------------------ round trips


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_image_survives_writing_and_reading(
    path: Path, dtype: str, channels: int, size: tuple[int, int]
) -> None:
    pixels = picture(*size, channels, dtype)
    encoded(path, pixels)
    source = opened(path)
    assert source.info == info_of(pixels)
    assert source.name == str(path)
    assert np.array_equal(decoded(path), pixels)


@pytest.mark.parametrize("compression", range(10))
@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("uint16", 4), ("uint8", 1)])
def test_every_compression_keeps_the_pixels(
    path: Path, compression: int, dtype: str, channels: int
) -> None:
    pixels = picture(113, 127, channels, dtype)
    assert np.array_equal(decoded(encoded(path, pixels, compression=compression)), pixels)


@pytest.mark.parametrize("compression", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_noise_stays_within_the_bound(path: Path, compression: int, dtype: str) -> None:
    pixels = np.random.default_rng(5).integers(0, 2**16, (700, 801, 3)).astype(dtype)
    assert np.array_equal(decoded(encoded(path, pixels, compression=compression)), pixels)


@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_picture_becomes_small(path: Path, value: int) -> None:
    pixels = np.full((1000, 1000, 3), value, np.uint8)
    assert encoded(path, pixels).stat().st_size < 12_000
    assert np.array_equal(decoded(path), pixels)


def test_a_drawing_becomes_small(path: Path) -> None:
    drawing = np.zeros((800, 800, 3), np.uint8)
    drawing[::16, :, 1] = 200
    drawing[:, ::24] = (10, 20, 30)
    buffer = io.BytesIO()
    Image.fromarray(drawing).save(buffer, "png")
    assert encoded(path, drawing).stat().st_size < 3 * len(buffer.getvalue())


def test_photographs_are_hardly_larger_than_pillow_s(path: Path) -> None:
    one, other = natural((512, 512, 3), 0), natural((400, 600, 3), 1)
    for photo in (one, other, cv2.GaussianBlur(other, (0, 0), 2)):
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "png")
        assert encoded(path, photo).stat().st_size < 1.07 * len(buffer.getvalue())


def test_more_compression_makes_no_larger_files(path: Path) -> None:
    photo = natural((200, 512, 3))
    sizes = [encoded(path, photo, compression=c).stat().st_size for c in range(10)]
    for less, more in itertools.pairwise(sizes):
        assert more <= less * 1.001


def test_bytes_depend_on_the_unit_alone() -> None:
    pixels = picture(64, 80, 3)
    encoder = png.open_sink(MemoryTarget(io.BytesIO()), info_of(pixels)).encoder
    again = pickle.loads(pickle.dumps(encoder))
    first = encoder.encode(pixels[20:40], pixels[19:20])
    encoder.encode(pixels[:7].copy(), None)
    assert again == encoder
    assert again.encode(pixels[20:40].copy(), pixels[19:20].copy()) == first


@pytest.mark.parametrize("rows", [1, 7, 64, 5000])
def test_rows_are_the_same_however_many_are_read_at_once(path: Path, rows: int) -> None:
    pixels = picture(331, 257, 3)
    assert np.array_equal(decoded(encoded(path, pixels), rows), pixels)


def test_a_source_is_picklable_and_reads_again_and_again(path: Path) -> None:
    pixels = picture(31, 41, 4, "uint16")
    source = pickle.loads(pickle.dumps(opened(encoded(path, pixels))))
    for _ in range(2):
        out = np.empty_like(pixels)
        position = source.rows()
        position.read_into(out)
        position.finish()
        position.close()
        assert np.array_equal(out, pixels)


def test_one_row_of_millions_of_pixels(path: Path) -> None:
    pixels = picture(2, 2_000_003, 3)
    assert np.array_equal(decoded(encoded(path, pixels)), pixels)


# ------------------------------------------------------------------ other programs


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (61, 59), (1201, 701)], ids=str)
def test_other_readers_see_the_same(
    path: Path, dtype: str, channels: int, size: tuple[int, int]
) -> None:
    pixels = picture(*size, channels, dtype)
    encoded(path, pixels)
    by_libpng = imagecodecs.png_decode(path.read_bytes())
    assert np.array_equal(by_libpng.reshape(pixels.shape), pixels)
    by_opencv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(channels)
    if order:
        assert np.array_equal(by_opencv[..., order], pixels)
    with Image.open(path) as image:
        assert image.size == (size[1], size[0])
        if dtype == "uint8":
            assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.skipif(not shutil.which("pngcheck"), reason="pngcheck is not installed")
@pytest.mark.parametrize(("dtype", "channels"), KINDS)
@pytest.mark.parametrize("compression", [0, 1, 2, 6])
def test_pngcheck_finds_nothing(path: Path, dtype: str, channels: int, compression: int) -> None:
    metadata = replace(FULL, cicp=None)  # younger than pngcheck
    encoded(path, picture(301, 203, channels, dtype), metadata, compression=compression)
    ran = subprocess.run(["pngcheck", "-v", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_files_of_pillow_are_read(path: Path, mode: str) -> None:
    photo = Image.fromarray(picture(150, 211, 3))
    image = (
        photo.convert("L").convert("I").convert("I;16") if mode == "I;16" else photo.convert(mode)
    )
    image.save(path)
    shown = {"1": "L", "P": "RGB"}.get(mode, mode)
    expected = np.asarray(image if shown == "I;16" else image.convert(shown))
    assert np.array_equal(decoded(path), expected.reshape(150, 211, -1))


def filtered(raw: Pixels, kinds: list[int], pixel: int) -> bytes:
    """Filter rows of bytes by the letter of the specification."""
    out = bytearray()
    for y, (row, kind) in enumerate(zip(raw, kinds, strict=True)):
        out.append(kind)
        for i, value in enumerate(row):
            a = int(row[i - pixel]) if i >= pixel else 0
            b = int(raw[y - 1][i]) if y else 0
            c = int(raw[y - 1][i - pixel]) if y and i >= pixel else 0
            p = a + b - c
            nearest = min((abs(p - v), n, v) for n, v in enumerate((a, b, c)))[2]
            out.append((int(value) - (0, a, b, (a + b) // 2, nearest)[kind]) & 255)
    return bytes(out)


DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@pytest.mark.parametrize(
    ("colour", "depth"), [(colour, depth) for colour in DEPTHS for depth in DEPTHS[colour]]
)
@pytest.mark.parametrize("interlace", [0, 1])
def test_every_depth_colour_and_filter_is_read_like_libpng(
    path: Path, colour: int, depth: int, interlace: int
) -> None:
    rng = np.random.default_rng(depth + colour)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    width, height = 19, 15
    raw = b""
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                  (0, 1, 2, 2), (1, 0, 2, 1)]  # fmt: skip
    for y, x, dy, dx in passes:
        rows, columns = len(range(y, height, dy)), len(range(x, width, dx))
        size = (columns * samples * depth + 7) // 8
        values = rng.integers(0, 256, (rows, size)).astype(np.uint8)
        raw += filtered(values, list(rng.integers(0, 5, rows)), max(1, samples * depth // 8))
    extra = [(b"PLTE", rng.bytes(3 << min(depth, 8)))] if colour == 3 else []
    if colour in (0, 2, 3):
        extra.append((b"tRNS", rng.bytes(2) if colour == 3 else b"\0\1" * samples))
    png_file(path, header(width, height, depth, colour, interlace), *extra, data_of(raw), END)
    actual = decoded(path)
    expected = imagecodecs.png_decode(path.read_bytes())
    assert actual.dtype == expected.dtype
    assert np.array_equal(actual, expected.reshape(actual.shape))


def test_data_in_many_small_chunks_is_joined(path: Path) -> None:
    pixels = picture(40, 50, 1)[..., 0]
    stream = zlib.compress(np.pad(pixels, ((0, 0), (1, 0))).tobytes())
    parts = [(b"IDAT", stream[i : i + 3]) for i in range(0, len(stream), 3)]
    png_file(path, header(50, 40), (b"IDAT", b""), *parts, (b"IDAT", b""), END)
    assert np.array_equal(decoded(path)[..., 0], pixels)


# ------------------------------------------------------------------ the filters


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(2, 9), st.integers(1, 12).map(lambda n: 12 * n))),
    st.sampled_from([1, 2, 3, 4, 6]),
    st.sampled_from([40, 96, 1 << 17]),
    st.data(),
)
def test_rows_are_filtered_by_the_letter(
    rows: Pixels, pixel: int, tile: int, data: st.DataObject
) -> None:
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=len(rows) - 1, max_size=len(rows) - 1))
    out = np.empty((len(rows) - 1, 1 + rows.shape[1]), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rowfilters, "_TILE_BYTES", tile)
        rowfilters.filter_rows(rows[1:], rows[0], pixel, np.array(kinds, np.uint8), out)
    line = 1 + rows.shape[1]
    assert out.tobytes() == filtered(rows, [0, *kinds], pixel)[line:]


def test_paeth_is_exact_for_all_values() -> None:
    left, above = (v.ravel().astype(np.uint8) for v in np.meshgrid(range(256), range(256)))
    out = np.empty_like(left)
    for value in range(256):
        corner = np.full_like(left, value)
        rowfilters._paeth(left, above, corner, out)
        a, b = left.astype(int), above.astype(int)
        pa, pb, pc = abs(b - value), abs(a - value), abs(a + b - 2 * value)
        expected = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, value))
        assert np.array_equal(out, expected)


# ------------------------------------------------------------------ metadata


def profile(space: bytes) -> bytes:
    return bytes(16) + space + bytes(16) + b"acsp" + bytes(200)


FULL = Metadata(
    exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0",
    xmp=f"<x:xmpmeta>{'Señor' * 200}</x:xmpmeta>".encode(),
    pixels_per_metre=density_from_dpi(72, 72),
    gamma=0.45455,
    srgb_intent=1,
    chromaticities=(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    cicp=(9, 16, 0, 1),
    mastering=(0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329, 1000.0, 0.0001),
    light_levels=(1000.0, 203.5),
    texts=(
        Text("Title", "Señor"),
        Text("Comment", "long " * 1000),
        Text("Author", "日本語", "ja", "著者"),
        Text("Description", "日本語" * 1000),
    ),
)


def test_metadata_comes_back(path: Path) -> None:
    encoded(path, picture(5, 6, 3), FULL)
    assert opened(path).info.metadata == FULL
    aspect = Metadata(pixel_aspect=(2, 3))
    encoded(path, picture(5, 6, 3), aspect)
    assert opened(path).info.metadata == aspect


@pytest.mark.parametrize(("space", "channels"), [(b"RGB ", 3), (b"RGB ", 4), (b"GRAY", 1)])
def test_a_profile_is_kept_where_it_fits(path: Path, space: bytes, channels: int) -> None:
    given = Metadata(icc=profile(space), srgb_intent=0)
    encoded(path, picture(5, 6, channels), given)
    assert opened(path).info.metadata == Metadata(icc=profile(space))
    encoded(path, picture(5, 6, {1: 3}.get(channels, 1)), given)
    assert opened(path).info.metadata == Metadata(srgb_intent=0)


def raw_profile(kind: str, content: bytes) -> Text:
    """Return a text as ImageMagick writes it."""
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return Text(f"Raw profile type {kind}", f"\n{kind}\n{len(content):8}\n{lines}\n")


def test_profiles_that_are_written_as_text_are_read(path: Path) -> None:
    block, packet = FULL.exif or b"", FULL.xmp or b""
    caption = b"\x1c\2\x78\0\5Tower"
    other = raw_profile("8bim", b"8BIM")
    for kind, content, found in [
        ("exif", b"Exif\0\0" + block, Metadata(exif=block)),
        ("APP1", b"Exif\0\0" + block, Metadata(exif=block)),
        ("xmp", packet, Metadata(xmp=packet)),
        ("iptc", caption, Metadata(iptc=caption)),
    ]:
        texts = (raw_profile(kind, content), other)
        encoded(path, picture(5, 6, 3), Metadata(texts=texts))
        assert opened(path).info.metadata == replace(found, texts=(other,))
    encoded(path, picture(5, 6, 3), Metadata(exif=block, texts=(raw_profile("exif", b"?"),)))
    assert opened(path).info.metadata == Metadata(exif=block)


def test_chunks_after_the_pixels_are_read_too(path: Path) -> None:
    png_file(path, header(3, 2), data_of(bytes(8)), (b"tEXt", b"Title\0x"), END)
    assert opened(path).info.metadata.texts == (Text("Title", "x"),)


def test_a_text_that_png_cannot_hold_is_left_out(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoded(path, picture(5, 6, 1), Metadata(texts=(Text("x" * 80, "y"), Text("a", "b"))))
    assert opened(path).info.metadata.texts == (Text("a", "b"),)
    assert "left out" in caplog.text


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"iCCP", b"no end"),
        (b"iCCP", b"icc\0\0" + zlib.compress(b"no profile")),
        (b"iCCP", b"icc\0\0" + zlib.compress(profile(b"RGB "))[:-9]),
        (b"pHYs", b"short"),
        (b"pHYs", bytes(9)),
        (b"gAMA", bytes(4)),
        (b"sRGB", b"\x09"),
        (b"cHRM", bytes(31)),
        (b"cICP", b""),
        (b"mDCV", bytes(23)),
        (b"cLLI", bytes(9)),
        (b"eXIf", b"nonsense"),
        (b"zTXt", b"Title\0\0nonsense"),
        (b"zTXt", b"Title\0\7" + zlib.compress(b"x")),
        (b"iTXt", b"Title\0\0\0\0\0\xff\xff"),
        (b"iTXt", b"Title\0\0\0ja"),
        (b"tEXt", b"Title"),
        (b"tRNS", b"way too long"),
    ],
)
def test_damaged_metadata_costs_a_warning(
    path: Path, kind: bytes, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened(with_chunks(path, (kind, content)))
    assert source.info.metadata == Metadata()
    assert source.info.channels == 1
    assert f"ignored the chunk {kind.decode()}" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    assert not decoded(path).any()


def test_an_ancillary_chunk_with_a_bad_checksum_is_ignored(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with_chunks(path, (b"gAMA", struct.pack(">I", 45455)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"gAMA\0\0", b"gAMA\0\1"))
    assert opened(path).info.metadata.gamma is None
    assert "checksum" in caplog.text


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"])
def test_bombs_in_metadata_do_not_go_off(
    path: Path, kind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head = {b"iCCP": b"a\0\0", b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[kind]
    with_chunks(path, (kind, head + zlib.compress(bytes(200_000_000))))
    tracemalloc.start()
    source = opened(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.info.metadata == Metadata()
    assert "inflates to more than" in caplog.text
    assert peak < 64 << 20


def test_many_texts_are_bounded_together(path: Path) -> None:
    text = (b"zTXt", b"a\0\0" + zlib.compress(bytes([65]) * 3_000_000))
    source = opened(with_chunks(path, *[text] * 10))
    assert sum(len(t.text) for t in source.info.metadata.texts) < 9 << 20


# ------------------------------------------------------------------ damage


def damaged(path: Path, match: str, kind: type[ImgpipeError] = CorruptError) -> None:
    with pytest.raises(kind, match=match) as caught:
        decoded(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "Traceback" not in message
    assert ";" in message, "says what to do"


def test_the_path_is_checked(tmp_path: Path) -> None:
    damaged(tmp_path / "absent.png", "there is no such file", InputError)
    damaged(tmp_path, "is a folder", InputError)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        damaged(tmp_path / "pipe.png", "is a pipe or a device", InputError)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 JFIF", b"GIF89a", b"x"])
def test_other_formats_are_reported(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not a PNG"):
        opened(path)


def test_a_file_that_went_through_text_mode_is_recognised(path: Path) -> None:
    content = with_chunks(path).read_bytes()
    for old, new in ((b"\r\n", b"\n"), (b"\n", b"\r\n")):
        mangled = content.replace(old, new)
        path.write_bytes(mangled)
        assert format_of("a", mangled[:HEAD_BYTES]) is png.FORMAT
        damaged(path, "transferred as text")


@pytest.mark.parametrize(
    ("chunks", "match"),
    [
        ([header(0, 5)], "impossible size of 0 x 5"),
        ([header(5, 0)], "impossible size of 5 x 0"),
        ([header(5, 5, 3)], "colour type 0 with 3 bits"),
        ([header(5, 5, 8, 5)], "colour type 5 with 8 bits"),
        ([header(5, 5, 4, 2)], "colour type 2 with 4 bits"),
        ([header(5, 5, 8, 0, 2)], "interlace method"),
        ([(b"IHDR", b"short")], "does not begin with a header"),
        ([data_of(b"\0\0"), header(1, 1)], "does not begin with a header"),
        ([header(1, 1), header(1, 1)], "two headers"),
        ([header(1, 1)], "holds no pixel data"),
        ([header(1, 1, 8, 3), data_of(b"\0\0")], "lacks its palette"),
        ([header(1, 1, 8, 3), data_of(b"\0\0"), (b"PLTE", b"abc")], "wrong place"),
        ([header(1, 1, 8, 3), (b"PLTE", b"ab"), data_of(b"\0\0")], "palette of 2 bytes"),
        ([header(2, 2), half_data(0), (b"tIME", b""), half_data(1)], "ends after row"),
        ([header(2, 2), data_of(bytes(5))], "ends after row 1 of 2"),
        ([header(2, 2), data_of(b"\0ab\5ab")], "row 1 has a filter that does not exist"),
        ([header(2, 2), (b"IDAT", b"nonsense")], "cannot be decompressed after row 0 of 2"),
        ([header(2, 2), (b"IDAT", zlib.compress(bytes(6))[:-4] + b"abcd")], "checksum of its pix"),
        ([header(2, 2), (b"IDAT", zlib.compress(bytes(6))[:-4])], "no end mark"),
        ([header(9, 9, 8, 0, 1), data_of(bytes(50))], "its pixel data ends after row"),
    ],
)
def test_a_file_that_contradicts_itself_is_corrupt(
    path: Path, chunks: list[tuple[bytes, bytes]], match: str
) -> None:
    damaged(png_file(path, *chunks, END), match)


def test_a_chunk_that_must_be_understood_is_not_skipped(path: Path) -> None:
    damaged(with_chunks(path, (b"ABCD", b"")), "ABCD", FormatError)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_checksums_of_critical_chunks_are_checked(path: Path, kind: bytes) -> None:
    png_file(path, header(1, 1, 8, 3), (b"PLTE", b"abc"), data_of(b"\0\0"), END)
    content = bytearray(path.read_bytes())
    start = content.index(kind)
    length = int.from_bytes(content[start - 4 : start], "big")
    content[start + 4 + length] ^= 1
    path.write_bytes(content)
    damaged(path, "checksum")


def small_files(path: Path) -> list[bytes]:
    """Files of every kind, small enough to be damaged everywhere."""
    files = []
    for dtype, channels in (("uint8", 1), ("uint8", 4), ("uint16", 3)):
        encoded(path, picture(4, 3, channels, dtype), replace(FULL, texts=FULL.texts[:1]))
        files.append(path.read_bytes())
    palette = ((b"PLTE", bytes(range(12))), (b"tRNS", b"\1\2"))
    for interlace, raw in ((0, bytes(18)), (1, bytes(27))):
        png_file(path, header(5, 6, 2, 3, interlace), *palette, data_of(raw), END)
        files.append(path.read_bytes())
    return files


def test_every_truncation_is_found(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for content in small_files(path):
        path.write_bytes(content)
        pixels = decoded(path)
        for length in range(len(content)):
            path.write_bytes(content[:length])
            caplog.clear()
            if length >= len(content) - len(chunk(*END)):  # every pixel is there
                assert np.array_equal(decoded(path), pixels)
                assert "is truncated: it ends at byte" in caplog.text
            else:
                with pytest.raises((CorruptError, FormatError), match=str(path)):
                    decoded(path)


# ------------------------------------------------------------------ damage that touches no pixel


PIXELS = bytes(6)  # of 2 x 2, in two rows
PALETTE_OF_4_BYTES = (b"PLTE", b"abcd")
TIME = (b"tIME", b"")


@pytest.mark.parametrize(
    ("chunks", "warning"),
    [
        ([data_of(PIXELS + b"a"), END], "ignored 1 byte after the last row"),
        ([data_of(PIXELS + b"abc"), END], "ignored 3 bytes after the last row"),
        ([data_of(PIXELS + bytes(600_000)), END], "ignored 600,000 bytes after the last row"),
        ([(b"IDAT", zlib.compress(PIXELS) + b"more"), END], "ignored 4 bytes after the last row"),
        ([data_of(PIXELS), (b"IDAT", b"more"), END], "ignored 4 bytes after the last row"),
        ([data_of(PIXELS)], "is truncated: it ends at byte"),
        ([data_of(PIXELS), (b"I\0ND", b"")], "there is no chunk there"),
        ([data_of(PIXELS), (b"IEND", b"content")], ""),
        ([data_of(PIXELS), TIME, (b"IDAT", b""), END], "ignored the chunk IDAT"),
        ([data_of(PIXELS), TIME, (b"IDAT", b"x"), END], "ignored the chunk IDAT"),
        ([(b"IDAT", b""), TIME, data_of(PIXELS), END], "ignored the chunk IDAT: it is empty"),
        ([data_of(PIXELS), header(1, 1), END], "ignored the chunk IHDR"),
        ([(b"IDAT", b""), data_of(PIXELS), END], ""),
        ([PALETTE_OF_4_BYTES, data_of(PIXELS), END], "no palette has 4 bytes"),
        ([(b"PLTE", b""), data_of(PIXELS), END], "no palette has 0 bytes"),
        ([data_of(PIXELS), (b"tRNS", b"\0\1"), END], "ignored the chunk tRNS"),
        ([(b"gAMA", b"\0\0\1\0"), (b"gAMA", b"\0\0\2\0"), data_of(PIXELS), END], "twice"),
    ],
)
def test_a_file_with_all_its_pixels_is_read_with_a_warning(
    path: Path,
    chunks: list[tuple[bytes, bytes]],
    warning: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    png_file(path, header(2, 2), *chunks)
    assert not decoded(path).any()
    assert len(caplog.records) == bool(warning)
    if warning:
        assert caplog.records[0].getMessage().startswith(f"{path}: ")
        assert warning in caplog.text


def test_surplus_data_of_an_interlaced_file_is_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = bytes(7)  # three passes of 2 x 2 pixels, with a filter byte for each row
    png_file(path, header(2, 2, 8, 0, 1), data_of(raw + b"ab"))
    assert not decoded(path).any()
    assert "ignored 2 bytes after the last row" in caplog.text
    assert "before its end mark" in caplog.text


def test_a_wrong_checksum_of_the_end_mark_is_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = with_chunks(path).read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not decoded(path).any()
    assert "the checksum of its end mark (IEND) is wrong" in caplog.text


def test_a_warning_is_given_once_for_all_passes(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    png_file(path, header(2, 2), data_of(bytes(7)), END)
    source = opened(path)
    for _ in range(3):
        rows = source.rows()
        rows.read_into(np.empty((2, 2, 1), np.uint8))
        rows.finish()
        rows.close()
    assert len(caplog.records) == 1


def test_surplus_rows_do_not_hide_a_wrong_checksum(path: Path) -> None:
    data = zlib.compress(bytes(600))
    png_file(path, header(2, 2), (b"IDAT", data[:-4] + b"abcd"), END)
    damaged(path, "checksum of its pixels")
    png_file(path, header(2, 2), (b"IDAT", data[:-4]), END)
    damaged(path, "no end mark")


def test_the_first_transparent_colour_counts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_chunks(path, (b"tRNS", b"\0\1"), (b"tRNS", b"\0\0"))
    assert (decoded(path)[..., 1] == 255).all()
    assert "it occurs twice, and the first one is used" in caplog.text


def test_an_animation_is_read_at_its_first_frame(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.new("L", (3, 2), value) for value in (7, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert (decoded(path) == 7).all()
    assert not caplog.text


@pytest.mark.parametrize("behind", [False, True])
def test_a_damaged_name_of_a_chunk_matters_before_the_pixels_only(
    path: Path, behind: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = (data_of(PIXELS), TIME) if behind else (TIME, data_of(PIXELS))
    png_file(path, header(2, 2), *chunks, END)
    path.write_bytes(path.read_bytes().replace(b"tIME", b"TIME"))
    if behind:
        assert not decoded(path).any()
        assert "ignored the chunk TIME: its checksum is wrong" in caplog.text
    else:
        damaged(path, "damaged: its PNG chunk TIME is not known")


def test_a_chunk_behind_the_pixels_that_must_be_understood_is_not_skipped(path: Path) -> None:
    png_file(path, header(2, 2), data_of(PIXELS), (b"ABCD", b""), END)
    damaged(path, "ABCD", FormatError)


def test_a_second_palette_behind_the_pixels_is_ignored(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    palette, other = (b"PLTE", b"abc"), (b"PLTE", b"xyz")
    png_file(path, header(2, 2, 8, 3), palette, data_of(PIXELS), other, END)
    assert (decoded(path) == list(b"abc")).all()
    assert "ignored the chunk PLTE" in caplog.text
    png_file(path, header(2, 2, 8, 3), palette, other, data_of(PIXELS), END)
    damaged(path, "twice")


def test_every_flipped_byte_is_reported(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By an error; or by a warning, where every colour is as it was."""
    rng = random.Random(3)
    for content in small_files(path):
        path.write_bytes(content)
        pixels = decoded(path)
        for position in range(len(content)):
            changed = bytearray(content)
            changed[position] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            caplog.clear()
            with contextlib.suppress(InputError):
                opened(path, max_pixels=1 << 20)
                made = decoded(path)
                colours = made.shape[2]  # the damage may be in the transparency
                assert np.array_equal(made, pixels[..., :colours]), f"byte {position}"
                assert caplog.text, f"byte {position}"


def test_damage_inside_a_large_file_is_found(path: Path) -> None:
    encoded(path, picture(900, 800, 3))
    content = bytearray(path.read_bytes())
    for where in (1 / 3, 1 / 2, 0.9):
        changed = content.copy()
        changed[int(len(content) * where)] ^= 8
        path.write_bytes(changed)
        damaged(path, "damaged")


# ------------------------------------------------------------------ hostile files


def test_a_huge_declaration_is_refused_before_anything_is_allocated(path: Path) -> None:
    png_file(path, header(2**31 - 1, 2**31 - 1, 16, 6), data_of(bytes(4000)), END)
    damaged(path, "limit", LimitError)


def test_the_limit_is_the_caller_s(path: Path) -> None:
    encoded(path, picture(10, 11, 1))
    with pytest.raises(LimitError, match="max-pixels 110"):
        opened(path, max_pixels=109)
    assert opened(path, max_pixels=110).info.pixels == 110


@pytest.mark.parametrize("interlace", [0, 1])
def test_a_declaration_that_the_data_cannot_fill_is_refused(path: Path, interlace: int) -> None:
    png_file(path, header(60_000, 60_000, 8, 2, interlace), data_of(bytes(4000)), END)
    damaged(path, "can never hold as much")


def test_lengths_beyond_the_file_are_truncations(path: Path) -> None:
    path.write_bytes(SIGNATURE + chunk(*header(1, 1)) + struct.pack(">I4s", 2**31 - 1, b"IDAT"))
    damaged(path, "truncated")
    path.write_bytes(SIGNATURE + chunk(*header(1, 1)) + struct.pack(">I4s", 2**31, b"IDAT"))
    damaged(path, "no chunk there")


def test_reading_takes_little_memory(path: Path) -> None:
    encoded(path, np.zeros((6000, 2000, 3), np.uint8))
    source = opened(path)
    out = np.empty((100, 2000, 3), np.uint8)
    tracemalloc.start()
    rows = source.rows()
    for _ in range(60):
        rows.read_into(out)
    rows.finish()
    rows.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20


def test_interlaced_files_say_what_they_need(path: Path) -> None:
    image = header(1500, 1500, 8, 0, 1)
    png_file(path, image, data_of(bytes(1500 * 1500 + sum(ADAM7_ROWS))), END)
    source = opened(path)
    assert source.access == "whole"
    out = np.empty(source.info.shape, np.uint8)
    tracemalloc.start()
    source.decode_into(out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < source.decode_bytes


# ------------------------------------------------------------------ the sink


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dtype": np.dtype(np.float32)}, "not float32; say"),
        ({"dtype": np.dtype(bool)}, "not bool; say"),
        ({"channels": 5}, "not 5; select"),
        ({"height": 2**31}, "cannot hold"),
        ({"width": 0}, "cannot hold"),
    ],
)
def test_an_image_that_png_cannot_hold_is_refused(
    path: Path, changes: dict[str, Any], match: str
) -> None:
    info = replace(info_of(picture(4, 5, 3)), **changes)
    with pytest.raises(UsageError, match=match):
        open_sink(path, info)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("compression", [-1, 10])
def test_compression_is_checked(path: Path, compression: int) -> None:
    with pytest.raises(UsageError, match="deflate, not"):
        open_sink(path, info_of(picture(4, 5, 3)), {"compression": compression})


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="create it first"):
        open_sink(tmp_path / "absent" / "a.png", info_of(picture(4, 5, 3)))


def test_an_incomplete_file_is_never_published(path: Path) -> None:
    path.write_bytes(b"old")
    pixels = picture(3000, 300, 3)
    sink = open_sink(path, info_of(pixels))
    assert sink.unit[0] < 3000
    sink.append(*sink.encoder.encode(pixels[: sink.unit[0]], None))
    with pytest.raises(RuntimeError):
        sink.commit()
    sink.abort()
    sink.abort()
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_units_are_a_function_of_the_image(path: Path) -> None:
    rows = {}
    for width in (1, 100, 10_000, 10_000_000):
        sink = open_sink(path, replace(info_of(picture(4, 5, 3)), width=width))
        rows[width] = sink.unit[0]
        sink.abort()
    assert rows[10_000_000] == 1
    assert all(width * 3 * count <= 2 << 20 for width, count in rows.items() if count > 1)
    assert list(rows.values()) == sorted(rows.values(), reverse=True)


def test_a_unit_larger_than_a_chunk_is_split(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_CHUNK", 1000)
    pixels = picture(90, 80, 3)
    assert np.array_equal(decoded(encoded(path, pixels)), pixels)


def test_documented_names_exist() -> None:
    assert png.FORMAT.suffixes[0] == ".png"
    assert png.DEFAULT_COMPRESSION.effort in range(10)
