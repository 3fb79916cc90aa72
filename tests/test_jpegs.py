"""JPEG coding: strict decoding, and rows of MCUs that are joined to one file."""

from __future__ import annotations

import io
from itertools import product
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image

from imgpipe.formats.jpegs import encoding, markers, restarts, strict
from imgpipe.formats.jpegs.encoding import Recipe
from imgpipe.formats.jpegs.markers import JpegError
from imgpipe.formats.jpegs.scanlines import Scanlines
from imgpipe.formats.unnamedfiles import NamelessFile
from imgpipe.testing.pictures import noise

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
RECIPES = [
    *(Recipe(3, 90, each) for each in SUBSAMPLINGS),
    *(Recipe(4, 90, each) for each in SUBSAMPLINGS),
    Recipe(1, 75),
]


def joined(recipe: Recipe, pixels: np.ndarray, rows: int = encoding.UNIT_ROWS) -> bytes:
    """Return pixels as a file of units that were coded one by one."""
    height, width = pixels.shape[:2]
    high, wide = recipe.mcu
    parts = [recipe.head(height, width, interval=rows // high * -(-width // wide))]
    for number, y in enumerate(range(0, height, rows)):
        parts += [encoding.restart(number - 1)] if number else []
        parts.append(recipe.coded(pixels[y : y + rows]))
    return b"".join([*parts, encoding.END])


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_joined_units_decode_to_the_pixels_of_a_serial_encoder(recipe: Recipe) -> None:
    pixels = noise((317, 75, recipe.channels), "uint8")
    serial, parallel = recipe.encode(pixels), joined(recipe, pixels)
    assert np.array_equal(strict.decode(parallel), strict.decode(serial))
    for decode in (by_pillow, by_opencv, by_openimageio, by_vips):
        assert np.array_equal(decode(parallel), decode(serial)), decode


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def by_opencv(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def by_openimageio(data: bytes) -> np.ndarray:
    header, spool = strict.decode_header(data), NamelessFile()
    spool.write(data)
    channels = min(3, len(header.components))  # it makes RGB of CMYK
    out = np.empty((header.height, header.width, channels), np.uint8)
    lines = Scanlines(spool.path, out.shape)
    lines.read_into(out)
    lines.close()
    spool.close()
    return out


def by_vips(data: bytes) -> np.ndarray:
    try:
        import pyvips
    except (ImportError, OSError):  # it is for benchmarks
        return np.empty(0)
    return pyvips.Image.new_from_buffer(data, "").numpy()


@pytest.mark.parametrize(("quality", "channels"), list(product((1, 75, 90, 95, 100), (1, 3, 4))))
def test_no_pixels_become_more_bytes_than_the_bound(quality: int, channels: int) -> None:
    black_or_white = 255 * (noise((64, 96, channels), "uint8") > 127).astype(np.uint8)
    for subsampling in SUBSAMPLINGS:
        recipe = Recipe(channels, quality, subsampling)
        assert len(recipe.coded(black_or_white)) < recipe.bound(64, 96)


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_tables_may_come_apart_from_the_data(recipe: Recipe) -> None:
    data = recipe.encode(noise((19, 23, recipe.channels), "uint8"))
    tables, abbreviated = encoding.split(data)
    assert np.array_equal(strict.decode(abbreviated, tables), strict.decode(data))
    with pytest.raises(JpegError):
        strict.decode(abbreviated)


@pytest.mark.parametrize("before", [b"\xff", markers.segment(markers.COM, b"\xff\xda\0\2")])
def test_tiles_of_one_header_are_decoded_each_with_its_own_pixels(before: bytes) -> None:
    recipe, pictures = Recipe(3, 90), [noise((32, 48, 3), "uint8", seed) for seed in range(3)]
    for pixels in pictures:  # a fill byte, or a comment that looks like the beginning of the pixels
        data = recipe.encode(pixels)
        assert np.array_equal(strict.decode(data[:2] + before + data[2:]), strict.decode(data))
        tables, kept = encoding.split(data)
        assert np.array_equal(strict.decode(kept, tables), strict.decode(data))
    assert len({strict.decode(recipe.encode(pixels)).tobytes() for pixels in pictures}) == 3


def test_the_colours_are_those_that_the_caller_says() -> None:
    stored = np.zeros((8, 8, 3), np.uint8)
    stored[:] = 120, 128, 128
    data = Recipe(3, 100, "4:4:4").encode(np.full((8, 8, 3), 120, np.uint8))
    assert np.array_equal(strict.decode(data, transform=True), np.full((8, 8, 3), 120))
    assert np.array_equal(strict.decode(data, transform=False), stored)


def test_a_rare_subsampling_is_decoded_and_its_damage_is_an_error() -> None:
    pixels = noise((40, 50, 4), "uint8")
    out = io.BytesIO()
    Image.fromarray(pixels, "CMYK").save(out, "JPEG", subsampling=2)  # of all inks but the first
    data = out.getvalue()
    assert np.array_equal(strict.decode(data), 255 - by_pillow(data))
    with pytest.raises(JpegError, match="too early"):
        strict.decode(data[: len(data) // 2])


@pytest.mark.parametrize("markers_at", [{"rows": 1}, {"rows": 3}, {"blocks": 3}, {"blocks": 1}])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_rows_between_restart_markers_are_those_of_the_whole(
    channels: int, markers_at: dict[str, int]
) -> None:
    options = {f"restart_marker_{key}": value for key, value in markers_at.items()}
    rng = np.random.default_rng(0)
    for ratio in (0, 1, 2) if channels == 3 else (0,):
        pixels = np.repeat(noise((120, 97, channels), "uint8"), 4, 0).squeeze()[:477]
        out = io.BytesIO()
        mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
        Image.fromarray(pixels, mode).save(out, "JPEG", subsampling=ratio, **options)
        whole, index = strict.decode(out.getvalue()), restarts.index_of(io.BytesIO(out.getvalue()))
        assert index is not None
        for _ in range(8):
            y0, y1 = sorted(rng.choice(478, 2, replace=False).tolist())
            assert np.array_equal(index.read(io.BytesIO(out.getvalue()), y0, y1), whole[y0:y1])


@pytest.mark.parametrize("change", [b"", b"\xff\xd0", b"\xff\xd5", b"\xff\xc0"])
def test_a_missing_or_wrong_restart_marker_leaves_no_index(change: bytes) -> None:
    recipe = Recipe(3, 90)
    data = joined(recipe, noise((200, 50, 3), "uint8"))
    assert restarts.index_of(io.BytesIO(data)) is not None
    at = data.index(b"\xff\xd2")
    assert restarts.index_of(io.BytesIO(data[:at] + change + data[at + 2 :])) is None
    assert restarts.index_of(io.BytesIO(data[:-2])) is None


@pytest.mark.parametrize(("y0", "y1"), [(0, 64), (64, 128), (96, 200), (20, 40), (192, 200)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_damage_since_the_index_was_made_is_an_error(
    subsampling: Literal["4:4:4", "4:2:0"], y0: int, y1: int
) -> None:
    """Zeros are codes: they become pixels until a restart marker is missing."""
    data = joined(Recipe(3, 90, subsampling), noise((200, 50, 3), "uint8"))
    index = restarts.index_of(io.BytesIO(data))
    assert index is not None
    whole = index.read(io.BytesIO(data), y0, y1)
    assert np.array_equal(whole, strict.decode(data)[y0:y1])
    for place in index.places[: -(-y1 // index.stretch)]:
        changed = data[:place] + bytes(len(data) - place)
        with pytest.raises(JpegError):
            index.read(io.BytesIO(changed), y0, y1)


def test_damage_is_an_error() -> None:
    data = Recipe(3, 90).encode(noise((200, 200, 3), "uint8"))
    for size in range(0, len(data), 997):
        with pytest.raises(JpegError):
            strict.decode(data[:size])
    half = len(data) // 2
    with pytest.raises(JpegError):
        strict.decode(data[:half] + b"\xff\xff\xd9\0" * 50 + data[half + 200 :])


def test_12_bits_are_decoded_and_their_damage_is_an_error() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = np.linspace(0, 4095, 64 * 80 * 3).reshape(64, 80, 3).astype(np.uint16)
    data = imagecodecs.jpeg8_encode(pixels, 98, bitspersample=12)
    made = strict.decode(data)
    assert made.dtype == np.uint16
    assert np.abs(made.astype(int) - pixels).mean() < 20
    with pytest.raises(JpegError):
        strict.decode(data[: len(data) // 2] + b"\xff\xd9")


def test_bytes_before_the_end_mark_change_no_pixel() -> None:
    data = Recipe(3, 90).encode(noise((20, 20, 3), "uint8"))
    assert np.array_equal(strict.decode(data[:-2] + b"\0\0\xff\xd9"), strict.decode(data))


def test_an_image_larger_than_the_limit_is_refused_before_it_is_decoded() -> None:
    data = bytearray(Recipe(3, 90).encode(noise((20, 20, 3), "uint8")))
    at = strict.decode_header(data).sof.position
    data[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
    with pytest.raises(JpegError, match="65500 x 65500"):
        strict.decode(data, limit=(20, 20))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"\0" + data, "begin"),
        (lambda data: data[:2] + b"\0\0" + data[2:], "no marker at byte 2"),
        (lambda data: data[:2] + b"\xff\xe0\0\1" + data[2:], "length"),
        (lambda data: data.replace(b"\xff\xc0", b"\xff\xc5"), "hierarchical"),
        (lambda data: data.replace(b"\x08\0\x14\0\x14", b"\x08\0\0\0\x14"), "DNL"),
        (lambda data: data.replace(b"\x08\0\x14\0\x14", b"\x09\0\x14\0\x14"), "9 bits"),
        (lambda data: data[:2] + b"\xff\xd9", "no pixels"),
        (lambda data: data.replace(b"\x08\0\x14\0\x14", b"\x08\0\x14\xff\xff"), "65,500"),
    ],
)
def test_a_bad_header_is_an_error_with_its_reason(change, reason: str) -> None:
    with pytest.raises(JpegError, match=reason):
        strict.decode(change(Recipe(3, 90).encode(noise((20, 20, 3), "uint8"))))


def test_the_header_tells_what_is_known_before_a_pixel_is_decoded() -> None:
    data = Recipe(3, 90).head(1000, 750, interval=94)
    header = markers.read_header(io.BytesIO(data))
    assert (header.height, header.width, header.interval) == (1000, 750, 94)
    assert (header.mcu, header.mcus) == ((16, 16), (63, 47))
    assert header.at_once
    assert not header.progressive
    assert header.coefficient_bytes == 63 * 47 * 6 * 64 * 2
    assert header.start == len(data)
