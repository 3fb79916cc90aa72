"""Orientation: every way in sees the upright image, and the tag is reset."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps

import imgpipe
from imgpipe import exif
from imgpipe.chains.stages import resolve
from imgpipe.filters import blend, blur, flip, invert
from imgpipe.formats.opening import open_source
from imgpipe.running import plan_run
from tests.conftest import PicklingExecutor

ORIENTATIONS = range(1, 9)
SHAPE = (23, 37, 3)


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture(params=ORIENTATIONS)
def orientation(request: Any) -> int:
    return int(request.param)


@pytest.fixture
def path(tmp_path: Path, stored: np.ndarray, orientation: int) -> Path:
    """Return a file whose first row and column are where EXIF says."""
    return turned_file(tmp_path / "in.png", stored, orientation)


def turned_file(path: Path, pixels: np.ndarray, orientation: int) -> Path:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x011A], tags[0x011B] = 200, 100
    tags.get_ifd(0x8769).update({0xA002: pixels.shape[1], 0xA003: pixels.shape[0]})
    Image.fromarray(pixels).save(path, exif=tags)
    return path


@pytest.fixture
def upright(path: Path) -> np.ndarray:
    """Return the upright image, as another library turns it."""
    with Image.open(path) as image:
        return np.array(ImageOps.exif_transpose(image))


def test_read(path: Path, upright: np.ndarray, stored: np.ndarray) -> None:
    assert_array_equal(imgpipe.read(path), upright)
    assert_array_equal(imgpipe.read(path, (2, 3, 12, 20)), upright[2:12, 3:20])
    assert_array_equal(imgpipe.read(path, autorotate=False), stored)


def test_info(path: Path, upright: np.ndarray, orientation: int) -> None:
    info = imgpipe.info(path)
    assert info.shape == upright.shape
    assert info.metadata.orientation == 1
    assert info.metadata.dpi == ((200, 100) if orientation < 5 else (100, 200))
    assert imgpipe.info(path, autorotate=False).metadata.orientation == orientation


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_run(path: Path, upright: np.ndarray, executor: str, tmp_path: Path) -> None:
    if executor == "processes" and imgpipe.info(path, autorotate=False).metadata.orientation != 6:
        return
    target = tmp_path / "out.png"
    imgpipe.run(path, blur(1), target, executor=executor, workers=2, chunk=(7, 9))
    assert_array_equal(imgpipe.read(target), blur(1)(upright))
    with Image.open(target) as made:
        tags = made.getexif()
        assert tags[0x0112] == 1
        detail = tags.get_ifd(0x8769)
        assert (detail[0xA003], detail[0xA002]) == upright.shape[:2]
        assert (tags[0x011A] == 200) == (upright.shape == SHAPE)


def test_a_part_is_that_of_the_upright_image(
    path: Path, upright: np.ndarray, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    imgpipe.run(path, invert(), target, region=(2, 3, 12, 20), executor="serial")
    assert_array_equal(imgpipe.read(target), 255 - upright[2:12, 3:20])


def test_an_image_may_stay_as_it_is_stored(
    path: Path, stored: np.ndarray, orientation: int, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    imgpipe.run(path, invert(), target, autorotate=False, executor="serial")
    assert_array_equal(imgpipe.read(target, autorotate=False), 255 - stored)
    assert imgpipe.info(target, autorotate=False).metadata.orientation == orientation


@pytest.mark.parametrize("border", ["edge", "wrap"])
def test_iteration(path: Path, upright: np.ndarray, border: Any) -> None:
    wide = np.pad(upright, ((2, 2), (2, 2), (0, 0)), border)
    for box, pixels in imgpipe.iter_chunks(path, (10, 8), halo=2, border=border):
        assert_array_equal(pixels, wide[box.y0 : box.y1 + 4, box.x0 : box.x1 + 4])
    whole = [pixels for _, pixels in imgpipe.iter_chunks(path, 99, autorotate=False)]
    assert whole[0].shape == SHAPE


def test_measure(path: Path, upright: np.ndarray) -> None:
    def shape(chunk: np.ndarray) -> tuple[int, int]:
        return chunk.shape[:2]

    def first(one: Any, _other: Any) -> Any:
        return one

    found = imgpipe.measure(path, shape, first, executor="serial", chunk=99)
    assert found == upright.shape[:2]
    assert imgpipe.measure(path, shape, first, executor="serial", autorotate=False) == SHAPE[:2]


def test_a_further_image(path: Path, upright: np.ndarray, tmp_path: Path) -> None:
    imgpipe.write(255 - upright, tmp_path / "first.png")
    target = tmp_path / "out.png"
    chain = blend(other=str(path), amount=1.0)
    imgpipe.run(tmp_path / "first.png", chain, target, executor="serial")
    assert_array_equal(imgpipe.read(target), upright)


def test_a_mirrored_image_is_a_stream(stored: np.ndarray, tmp_path: Path) -> None:
    source = open_source(turned_file(tmp_path / "in.png", stored, 2))
    assert all(stage.in_order for stage in resolve((), source.info))
    assert flip(direction="horizontal").keeps_rows
    assert not flip().keeps_rows


def test_a_stream_is_turned_too(stored: np.ndarray) -> None:
    file, made = io.BytesIO(), io.BytesIO()
    tags = Image.Exif()
    tags[0x0112] = 8
    Image.fromarray(stored).save(file, "PNG", exif=tags)
    imgpipe.run(file, invert(), made, executor="serial")
    assert_array_equal(imgpipe.read(made), np.rot90(255 - stored))


def test_all_metadata_but_the_profile_can_be_left_out(stored: np.ndarray, tmp_path: Path) -> None:
    source, target = turned_file(tmp_path / "in.png", stored, 6), tmp_path / "out.png"
    imgpipe.run(source, invert(), target, strip=True, executor="serial")
    assert imgpipe.info(target).metadata == imgpipe.image.Metadata()
    imgpipe.run(source, invert(), target, strip=True, autorotate=False, executor="serial")
    kept = imgpipe.info(target, autorotate=False).metadata
    assert kept.orientation == 6
    assert kept.exif == exif.oriented(None, 6)


def test_a_stream_is_turned_in_memory_or_through_a_scratch_file(
    stored: np.ndarray, tmp_path: Path
) -> None:
    source = turned_file(tmp_path / "in.png", stored, 6)
    ways: list[tuple[Any, str]] = [("serial", "whole")]
    ways.append((PicklingExecutor(shares_files=True), "direct"))  # it shares no memory
    for number, (executor, feed) in enumerate(ways):
        target = tmp_path / f"{number}.png"
        plan = plan_run(source, blur(1), target, executor=executor)
        assert (plan.feed, bool(plan.scratch_bytes)) == (feed, feed == "direct")
        imgpipe.run(source, blur(1), target, executor=executor)
        assert_array_equal(imgpipe.read(target), blur(1)(np.rot90(stored, 3)))
