"""Descriptions of files: facts for people, and the same for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import imgpipe
from imgpipe.cli import execute
from imgpipe.describing import describe

PIXELS = np.zeros((300, 400, 3), np.uint8)


def test_it_says_the_size_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300))
    found = describe(tmp_path / "a.jpg")
    assert (found.info.height, found.info.width) == (400, 300)
    text = str(found)
    assert "300 x 400 (0.1 megapixels)" in text
    assert "resolution 300 dpi" in text
    assert "6, turned upright" in text
    assert "because it is small" in text


def test_it_says_tiles_and_compression(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "a.tif")
    found = describe(tmp_path / "a.tif")
    assert found.blocks == "tiles of 256 x 256 pixels"
    assert found.access == "random"
    assert "deflate" in found.details["compression"]


def test_it_says_the_files_of_a_folder_and_chunks_as_they_are_stored(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "a.zarr", save={"tile": 256})
    found = describe(tmp_path / "a.zarr")
    assert found.blocks == "tiles of 256 x 256 pixels"
    files = [each.stat().st_size for each in (tmp_path / "a.zarr").rglob("*") if each.is_file()]
    assert (found.size, found.files) == (sum(files), len(files)) == (sum(files), 2 + 2 * 2 * 3)
    assert f"Zarr, {sum(files):,} bytes in 14 files" in str(found)
    imgpipe.write(PIXELS, tmp_path / "b.zarr")
    assert describe(tmp_path / "b.zarr").blocks == "tiles of 512 x 512 pixels"


def test_programs_get_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imgpipe.write(PIXELS, tmp_path / "a.png")
    imgpipe.write(PIXELS[..., 0].astype(np.uint16), tmp_path / "b.png")
    names = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert execute(["info", "--json", *names]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["name"] == names[0]
    assert (first["width"], first["height"], first["channels"]) == (400, 300, 3)
    assert first["bytes"] == (tmp_path / "a.png").stat().st_size
    assert (second["dtype"], second["colour"]) == ("uint16", "gray")


@pytest.mark.parametrize(
    ("loop", "words"), [(0, "shown for ever"), (1, "shown once"), (3, "shown 3 times")]
)
def test_it_says_how_often_an_animation_is_shown(tmp_path: Path, loop: int, words: str) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS + 9)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], loop=loop)
    assert words in str(describe(tmp_path / "a.webp"))


def test_one_file_that_fails_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imgpipe.write(PIXELS, tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    names = [str(tmp_path / name) for name in ("absent.png", "b.png", "a.png")]
    assert execute(["info", *names]) == 1
    told = capsys.readouterr()
    assert "400 x 300" in told.out
    assert len(told.err.splitlines()) == 2


def test_a_pattern_that_the_shell_did_not_expand_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imgpipe.write(PIXELS, tmp_path / "a[1].png")
    assert execute(["info", str(tmp_path / "*.png"), str(tmp_path / "a[1].png")]) == 1
    told = capsys.readouterr()
    assert told.err.endswith("leave out the quotes, so that the shell expands it\n")
    assert "400 x 300" in told.out


def test_it_says_size_and_type_of_pages_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as out:
        for page in (PIXELS, PIXELS, np.zeros((20, 30), np.uint16)):
            out.write(page, compression="deflate")
    found = describe(path)
    kinds = "0 to 1: 400 x 300, 3 x uint8; 2: 30 x 20, 1 x uint16"
    assert f"frames:      3 ({kinds})" in str(found)
    pages = found.as_dict()["pages"]
    assert pages[1] == {"width": 400, "height": 300, "channels": 3, "dtype": "uint8"}
    assert [page["dtype"] for page in pages] == ["uint8", "uint8", "uint16"]
