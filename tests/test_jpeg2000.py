"""JPEG 2000 and HTJ2K: tiles joined and cut, alike for every decoder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.errors import CorruptError, FormatError, ParameterError, UsageError
from imgpipe.filters import blur
from imgpipe.formats.opening import open_source
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.image import Metadata
from imgpipe.testing.files import taken_out
from tests.codestreams import YCC, indexed, subsampled
from tests.conftest import noise


def photo(height: int, width: int, channels: int, dtype: str = "uint8") -> np.ndarray:
    ramp = np.add.outer(np.arange(height) // 4, np.arange(width) // 8)[..., None]
    scale = 200 if dtype == "uint16" else 1
    return (ramp * scale + noise((height, width, channels), "uint8") // 8).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("save", [{}, {"ht": True}, {"quality": 45}], ids=str)
def test_the_joined_file_has_the_pixels_of_its_tiles(
    save: dict[str, Any], dtype: str, tmp_path: Path
) -> None:
    pixels, path = photo(259, 513, 3, dtype), tmp_path / "o.jp2"
    imgpipe.write(pixels, path, save={"tile": 256, **save})
    made = imagecodecs.jpeg2k_decode(path.read_bytes())
    np.testing.assert_array_equal(taken_out(open_source(path), "o"), made)
    tiles = np.empty_like(pixels)
    for y in range(0, 259, 256):
        for x in range(0, 513, 256):
            tile = np.ascontiguousarray(pixels[y : y + 256, x : x + 256])
            if save.get("quality"):
                coded = imagecodecs.jpeg2k_encode(tile, 45, codecformat="j2k", reversible=False)
                tile = imagecodecs.jpeg2k_decode(coded)
            tiles[y : y + 256, x : x + 256] = tile
    np.testing.assert_array_equal(made, tiles)


@pytest.mark.parametrize("save", [{}, {"ht": True}], ids=str)
def test_pillow_and_opencv_read_the_same_pixels(save: dict[str, Any], tmp_path: Path) -> None:
    pixels, path = photo(270, 300, 3), tmp_path / "o.jp2"
    imgpipe.write(pixels, path, save={"tile": 256, **save})
    np.testing.assert_array_equal(cv2.imread(str(path), -1)[..., ::-1], pixels)
    with Image.open(path) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("tile", [(64, 64), (90, 70)])
@pytest.mark.parametrize("more", [{}, {"plt": True}, {"irreversible": True}, {"mct": 0}], ids=str)
def test_tiles_of_other_writers_are_cut(
    tile: tuple[int, int], more: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "in.jp2"
    Image.fromarray(photo(203, 301, 3)).save(path, tile_size=tile, num_resolutions=4, **more)
    source: Any = open_source(path)
    assert source.access == "random"
    assert source.grain == tile[::-1]
    whole = imagecodecs.jpeg2k_decode(path.read_bytes())
    np.testing.assert_array_equal(taken_out(source, "in"), whole)
    out = np.empty((203 - tile[1], tile[0], 3), "uint8")[: tile[1]]
    source.tile_into(1, 1, out)
    np.testing.assert_array_equal(out, whole[tile[1] : 2 * tile[1], tile[0] : 2 * tile[0]])


def test_an_image_of_one_tile_is_read_whole(tmp_path: Path) -> None:
    pixels = photo(99, 131, 1)[..., 0]
    Image.fromarray(pixels).save(tmp_path / "in.jp2")
    source = open_source(tmp_path / "in.jp2")
    assert (source.access, source.info.colour) == ("whole", "gray")
    np.testing.assert_array_equal(taken_out(source, "in")[..., 0], pixels)


def test_a_bare_codestream_is_written_by_its_suffix(tmp_path: Path) -> None:
    pixels = photo(40, 50, 3)
    imgpipe.write(pixels, tmp_path / "o.j2k")
    data = (tmp_path / "o.j2k").read_bytes()
    assert data[:4] == b"\xff\x4f\xff\x51"
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(data), pixels)
    made = open_source(MemoryOrigin(data))
    assert (made.access, made.info.colour) == ("whole", "rgb")


def test_a_filter_goes_from_tile_to_tile(tmp_path: Path) -> None:
    pixels = photo(300, 520, 3)
    imgpipe.write(pixels, tmp_path / "in.jp2", save={"tile": 256})
    imgpipe.run(tmp_path / "in.jp2", blur(2), tmp_path / "o.jph", save={"ht": True}, workers=2)
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "o.jph"), blur(2)(pixels))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("tile", [None, (64, 32)])
def test_palettes_are_expanded(dtype: str, tile: tuple[int, int] | None, tmp_path: Path) -> None:
    colours = noise((200, 3, 1), dtype)[..., 0]
    indices = photo(99, 131, 1)[..., 0] % 200
    (tmp_path / "in.jp2").write_bytes(indexed(indices, colours, tile=tile))
    source = open_source(tmp_path / "in.jp2")
    assert (source.access, source.info.colour) == ("random" if tile else "whole", "rgb")
    np.testing.assert_array_equal(taken_out(source, "in"), colours[indices])
    imgpipe.run(tmp_path / "in.jp2", blur(1), tmp_path / "o.npy", chunk=40, executor="serial")
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), blur(1)(colours[indices]))


@pytest.mark.parametrize("steps", [(2, 2), (2, 1), (1, 1)])
def test_luma_and_chroma_become_rgb(steps: tuple[int, int], tmp_path: Path) -> None:
    """Chroma of fewer values is repeated, as OpenJPEG does it."""
    luma, path = 60 + photo(64, 80, 1)[..., 0], tmp_path / "in.jp2"
    x, y = steps
    blue, red = np.full_like(luma, 110)[::y, ::x], 120 + luma[::y, ::x] // 8
    path.write_bytes(subsampled([luma, blue, red], [(1, 1), steps, steps], YCC))
    found = imgpipe.read(path)
    full = [luma, *(np.kron(plane, np.ones((y, x), "uint8")) for plane in (blue, red))]
    expected = cv2.cvtColor(np.stack([full[0], full[2], full[1]], axis=-1), cv2.COLOR_YCrCb2RGB)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert imgpipe.info(path).colour == "rgb"


def test_channels_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    pixels, path = photo(40, 50, 4), tmp_path / "o.jp2"
    imgpipe.write(pixels, path, alpha="last")
    data = path.read_bytes()
    kept = bytes.fromhex("000000000001000100000002000200000003000300010000")
    turned = bytes.fromhex("000000000003000100000002000200000001000300010000")
    assert data.count(kept) == 1
    path.write_bytes(data.replace(kept, turned))
    np.testing.assert_array_equal(imgpipe.read(path), pixels[..., [2, 1, 0, 3]])


def test_an_error_names_an_unsupported_feature_and_a_remedy(tmp_path: Path) -> None:
    luma = photo(64, 80, 1)[..., 0]
    planes = [luma, luma[::4, ::4], luma[::4, ::4]]
    (tmp_path / "in.jp2").write_bytes(subsampled(planes, [(1, 1), (4, 4), (4, 4)], YCC))
    match = r"in\.jp2: has components of different sizes, other than .* by opj_decompress"
    with pytest.raises(FormatError, match=match):
        imgpipe.read(tmp_path / "in.jp2")


def test_damage_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "o.jp2"
    imgpipe.write(photo(300, 300, 3), path, save={"tile": 256})
    content = path.read_bytes()
    for cut in (60, 100, 200, 2000, len(content) // 2, len(content) - 3000):
        path.write_bytes(content[:cut])
        with pytest.raises(CorruptError, match=r"o\.jp2"):
            imgpipe.read(path)


def test_metadata_are_in_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = io.BytesIO()
    Image.fromarray(photo(30, 40, 3)).save(out, "PNG", dpi=(300, 300))
    (tmp_path / "in.png").write_bytes(out.getvalue())
    imgpipe.convert(tmp_path / "in.png", tmp_path / "o.jp2")
    known: Metadata = open_source(tmp_path / "o.jp2").info.metadata
    assert known.dpi == (300, 300)
    assert not caplog.records
    imgpipe.convert(tmp_path / "in.png", tmp_path / "o.j2k")
    (told,) = caplog.messages
    assert (
        "o.j2k: left out metadata that a bare codestream cannot hold: the resolution; write a"
        in told
    )


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    pixels = photo(20, 20, 3)
    for save in ({"tile": 300}, {"tile": "big"}, {"quality": 10}):
        with pytest.raises(ParameterError, match="must be"):
            imgpipe.write(pixels, tmp_path / "o.jp2", save=save)
    with pytest.raises(UsageError, match="HTJ2K is written without loss; leave out --quality"):
        imgpipe.write(pixels, tmp_path / "o.jp2", save={"ht": True, "quality": 50})
