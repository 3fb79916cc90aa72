"""Filters that move pixels: every pixel goes where it should, with what belongs to it."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import imgpipe
from imgpipe.chains.grammar import parse_chain
from imgpipe.chains.stages import resolve
from imgpipe.errors import ChainError, ParameterError
from imgpipe.filters import crop, flip, invert, rotate
from imgpipe.image import ImageInfo, Metadata
from imgpipe.metadata import density_from_metres
from tests.conftest import noise

ANGLES = (90, 180, 270)
DTYPES = ["uint8", "uint16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_turns_and_mirrors_are_those_of_numpy(channels: int, dtype: str) -> None:
    array = noise((13, 29, channels), dtype)
    for angle in ANGLES:
        assert_array_equal(rotate(angle=angle)(array), np.rot90(array, angle // 90))
    assert_array_equal(flip(direction="horizontal")(array), array[:, ::-1])
    assert_array_equal(flip(direction="vertical")(array), array[::-1])


def test_turns_and_mirrors_are_those_of_pillow() -> None:
    from PIL import Image

    array = noise((17, 11, 3), "uint8")
    image = Image.fromarray(array)
    for angle in ANGLES:  # Pillow turns counter-clockwise too
        turned = image.transpose(Image.Transpose[f"ROTATE_{angle}"])
        assert_array_equal(rotate(angle=angle)(array), np.asarray(turned))
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert_array_equal(flip(direction="horizontal")(array), np.asarray(mirrored))


@pytest.mark.parametrize("angle", ANGLES)
def test_a_turn_is_exact_on_every_executor(angle: int, executor: Executor, tmp_path: Path) -> None:
    array = noise((31, 47, 3), "uint16")
    np.save(tmp_path / "in.npy", array)
    chain = rotate(angle=angle) | invert() | rotate(angle=90)
    for chunk in (5, (3, 64), 1000):
        imgpipe.run(tmp_path / "in.npy", chain, tmp_path / "o.npy", executor=executor, chunk=chunk)
        assert_array_equal(np.load(tmp_path / "o.npy"), chain(array))


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    chunk=st.tuples(st.integers(1, 45), st.integers(1, 45)),
    angle=st.sampled_from(ANGLES),
    direction=st.sampled_from(["vertical", "horizontal"]),
)
def test_any_cut_of_any_image(rows, columns, chunk, angle, direction) -> None:
    chain = rotate(angle=angle) | flip(direction=direction) | rotate(angle=90)
    array = noise((rows, columns, 3), "uint8")
    made = imgpipe.apply(array, chain, executor="serial", chunk=chunk)
    expected = np.rot90(array, angle // 90)
    expected = expected[::-1] if direction == "vertical" else expected[:, ::-1]
    assert_array_equal(made, np.rot90(expected))


def test_views_that_are_in_no_order_are_taken(photo: np.ndarray) -> None:
    odd = photo[::2, ::3, ::-1]
    assert_array_equal(rotate(angle=90)(odd), np.rot90(odd))
    planar = np.moveaxis(np.ascontiguousarray(np.moveaxis(photo[..., :2], 2, 0)), 0, 2)
    assert_array_equal(flip(direction="horizontal")(planar), planar[:, ::-1])


def test_a_quarter_turn_swaps_the_resolutions() -> None:
    density = density_from_metres(1000, 3000)
    metadata = Metadata(pixels_per_metre=density, pixel_aspect=(4, 3), icc=b"profile")
    info = ImageInfo(20, 30, 3, np.dtype("uint8"), None, "rgb", metadata)
    for angle in (90, 270):
        after = resolve(rotate(angle=angle), info)[-1].after
        assert (after.height, after.width) == (30, 20)
        assert after.metadata.pixels_per_metre == (3000, 1000)
        assert after.metadata.pixel_aspect == (3, 4)
        assert after.metadata.icc == b"profile"
    for kept in (rotate(angle=180), flip()):
        assert resolve(kept, info)[-1].after == info
    bare = ImageInfo(20, 30, 3, np.dtype("uint8"), None, "rgb")
    assert resolve(rotate(), bare)[-1].after.metadata == Metadata()


def test_the_resolution_of_a_file_turns_with_it(photo: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(photo).save(tmp_path / "in.png", dpi=(100, 300))
    imgpipe.run(tmp_path / "in.png", rotate(angle=90), tmp_path / "o.png", executor="serial")
    with Image.open(tmp_path / "o.png") as turned:
        assert turned.info["dpi"] == pytest.approx((300, 100), abs=0.1)
        assert_array_equal(np.asarray(turned), np.rot90(photo))


@pytest.mark.parametrize("angle", [0, 45, -90, 360, "90", 90.5, None, True])
def test_other_angles_are_refused(angle: object) -> None:
    with pytest.raises(ParameterError, match="rotate: angle must be one of 90, 180, 270, not"):
        rotate(angle=angle)


def test_an_angle_can_be_written_in_a_chain() -> None:
    assert parse_chain("rotate:angle=270 | rotate:180") == rotate(angle=270) | rotate(angle=180)
    with pytest.raises(ChainError, match="angle must be one of 90, 180, 270, not 45"):
        parse_chain("rotate:45")


def test_a_part_of_what_was_turned(photo: np.ndarray) -> None:
    chain = rotate(angle=270) | crop(x=7, y=11, width=60, height=90)
    made = imgpipe.apply(photo, chain, executor="serial", chunk=16)
    assert_array_equal(made, np.rot90(photo, 3)[11:101, 7:67])
