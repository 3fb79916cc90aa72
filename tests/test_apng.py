"""Animated PNG: frames in strips of the encoder, and frames drawn over one another by others."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.errors import CorruptError, UsageError
from imgpipe.filters import blur, invert
from imgpipe.formats.frames import Timing
from imgpipe.formats.png import FORMAT
from imgpipe.formats.png.chunks import SIGNATURE, chunk
from tests.animations import (
    contents_of,
    filmed,
    must_play_in_any_order,
    read_back,
    source_of,
    written,
)

TIMING = Timing((0.1, 1 / 30, 70.0), 3)
DISPOSALS = (0, 1, 2, [0, 1, 2, 0, 2, 1])


def frames_of(dtype: str = "uint8", channels: int = 3, count: int = 3) -> list[Any]:
    random, most = np.random.default_rng(channels), np.iinfo(dtype).max
    return [
        random.integers(0, most, (57, 91, channels), dtype, endpoint=True) for _ in range(count)
    ]


def chunks_in(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return type and content of every chunk."""
    found, at = [], len(SIGNATURE)
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, content[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return SIGNATURE + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_keeps_frames_timing_and_loop(dtype: str, channels: int) -> None:
    frames = frames_of(dtype, channels)
    content = filmed(FORMAT, frames, TIMING)
    assert contents_of(FORMAT, content).timing == TIMING
    must_play_in_any_order(FORMAT, content, frames)
    assert {source_of(FORMAT, content, page).access for page in range(3)} == {"sequential"}


def test_another_program_plays_it() -> None:
    frames = frames_of()
    image = Image.open(io.BytesIO(filmed(FORMAT, frames, TIMING)))
    assert (getattr(image, "n_frames", 1), image.info["loop"]) == (3, 3)
    for number, frame in enumerate(frames):
        image.seek(number)
        assert image.info["duration"] == pytest.approx(1000 * TIMING.seconds[number])
        assert (np.asarray(image.convert("RGB")) == frame).all()


def test_the_first_frame_is_the_still_image() -> None:
    frames = frames_of()
    kinds = [kind for kind, _ in chunks_in(filmed(FORMAT, frames, None))]
    still = [each for each in kinds if each not in (b"acTL", b"fcTL", b"fdAT")]
    assert still == [kind for kind, _ in chunks_in(written(FORMAT, frames[0]))]
    assert kinds.index(b"acTL") < kinds.index(b"IDAT")


def test_frames_without_timing_take_a_tenth_of_a_second() -> None:
    timing = contents_of(FORMAT, filmed(FORMAT, frames_of(), None)).timing
    assert timing == Timing((0.1, 0.1, 0.1), 0)


def drawn(mode: str, disposal: Any, blend: int, *, default: bool = False) -> bytes:
    """Return an animation as other programs write it: small frames over one another."""
    random = np.random.default_rng(7)
    base = Image.fromarray(random.integers(0, 255, (40, 50, 3), np.uint8)).convert("RGBA")
    images = []
    for number in range(6):
        part = random.integers(0, 255, (20, 20, 4), np.uint8)
        part[..., 3] = 255 * (part[..., 3] > 100)
        images.append(base.copy())
        images[-1].paste(Image.fromarray(part), (number * 5, number * 3))
    out = io.BytesIO()
    first, *others = (each.convert(mode) for each in images)
    first.save(
        out, "PNG", save_all=True, append_images=others, duration=50, loop=2,
        disposal=disposal, blend=blend, default_image=default,
    )  # fmt: skip
    return out.getvalue()


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("disposal", DISPOSALS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_frames_are_drawn_over_one_another_as_by_opencv(
    mode: str, disposal: Any, blend: int, tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    content = drawn(mode, disposal, blend)
    (tmp_path / "a.png").write_bytes(content)
    played = cv2.imreadanimation(str(tmp_path / "a.png"))[1].frames
    assert contents_of(FORMAT, content).frames == len(played) == 6
    for number in (*range(6), 4, 0, 3, 3):
        theirs = np.dstack([played[number][..., 2::-1], played[number][..., 3:]])
        assert (seen(read_back(FORMAT, content, number)) == seen(theirs)).all()


def seen(pixels: Any) -> Any:
    """Return pixels over black."""
    pixels = pixels.astype(int)
    return pixels[..., :3] * pixels[..., 3:] // 255 if pixels.shape[2] == 4 else pixels


def test_half_transparent_pixels_are_mixed() -> None:
    """Like paint on glass: a quarter of the frame, and half of the rest below it."""
    below = np.full((1, 1, 4), (200, 100, 0, 128), np.uint8)
    above = np.full((1, 1, 4), (0, 100, 40, 64), np.uint8)
    chunks = chunks_in(filmed(FORMAT, [below, above], None))
    at = max(number for number, (kind, _) in enumerate(chunks) if kind == b"fcTL")
    chunks[at] = b"fcTL", chunks[at][1][:-1] + b"\1"
    a, b = 64 / 255, 128 / 255 * (1 - 64 / 255)
    colours = (below[0, 0, :3] * b + above[0, 0, :3] * a) / (a + b)
    expected = [*np.rint(colours).astype(int), round(255 * (a + b))]
    assert read_back(FORMAT, joined(chunks), 1)[0, 0].tolist() == expected


def test_a_still_image_that_is_no_frame_is_left_out() -> None:
    content = drawn("RGB", 0, 0, default=True)
    found = contents_of(FORMAT, content)
    assert (found.frames, found.associated) == (5, ("still image of 50 x 40",))
    image = Image.open(io.BytesIO(content))
    image.seek(1)
    assert (read_back(FORMAT, content)[..., :3] == np.asarray(image.convert("RGB"))).all()


def test_palettes_are_expanded() -> None:
    images = [Image.new("P", (9, 8), number) for number in (1, 2)]
    for each in images:
        each.putpalette([0, 0, 0, 200, 100, 50, 7, 8, 9])
    out = io.BytesIO()
    images[0].save(out, "PNG", save_all=True, append_images=images[1:])
    assert read_back(FORMAT, out.getvalue(), 1)[0, 0].tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("frame", "reason"), [(np.zeros((57, 90, 3), np.uint8), "90 x 57 x 3 uint8"),
                          (np.zeros((57, 91, 3), np.uint16), "91 x 57 x 3 uint16")],
)  # fmt: skip
def test_frames_are_alike(frame: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=f"frame 1 is {reason}, but frame 0 is 91 x 57 x 3 uint8"):
        filmed(FORMAT, [*frames_of(count=1), frame], None)


def test_a_run_keeps_the_animation(tmp_path: Path) -> None:
    frames = frames_of("uint16", 4)
    path, out = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(filmed(FORMAT, frames, TIMING))
    assert imgpipe.run(path, invert(), out, workers=1, chunk=40).frames == 3
    assert contents_of(FORMAT, out.read_bytes()).timing == TIMING
    for page, frame in enumerate(frames):
        assert (imgpipe.read(out, page=page) == invert()(frame, alpha="last")).all()


def test_workers_make_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(drawn("RGBA", DISPOSALS[-1], 1))
    for jobs in (1, 2):
        made = tmp_path / f"{jobs}.png"
        imgpipe.run(path, blur(sigma=1), made, workers=jobs, executor="processes", chunk=32)
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


@pytest.mark.parametrize("damage", ["data", "cut", "number", "place"])
def test_damage_in_a_later_frame_leaves_nothing(tmp_path: Path, damage: str) -> None:
    path, out = tmp_path / "a.png", tmp_path / "b.png"
    chunks = chunks_in(filmed(FORMAT, frames_of(), TIMING))
    at = max(number for number, (kind, _) in enumerate(chunks) if kind == b"fcTL")
    content = joined(chunks)
    match damage:
        case "data":
            content = content[:-300] + bytes(40) + content[-260:]
        case "cut":
            content = content[:-300]
        case "number":
            content = joined(chunks[:at] + chunks[at + 1 :])
        case "place":
            chunks[at] = b"fcTL", chunks[at][1][:4] + b"\0\0\xff\xff" + chunks[at][1][8:]
            content = joined(chunks)
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"a\.png"):
        imgpipe.run(path, invert(), out, workers=1)
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_a_frame_that_no_data_can_fill_is_refused() -> None:
    chunks = chunks_in(filmed(FORMAT, [np.zeros((2000, 2000, 1), np.uint8)] * 2, None))
    last = [number for number, (kind, _) in enumerate(chunks) if kind == b"fdAT"]
    kept = [each for number, each in enumerate(chunks) if number not in last[:-1]]
    number = next(each for kind, each in kept[::-1] if kind == b"fcTL")[:4]
    kept[-2] = b"fdAT", (int.from_bytes(number, "big") + 1).to_bytes(4, "big") + kept[-2][1][4:]
    with pytest.raises(CorruptError, match="can never hold"):
        source_of(FORMAT, joined(kept), 1)


def test_a_frame_beyond_the_end_is_an_error_with_the_count() -> None:
    with pytest.raises(UsageError, match="no page 3, pages 0 to 2"):
        source_of(FORMAT, filmed(FORMAT, frames_of(), None), 3)
    with pytest.raises(UsageError, match="no page 1, only page 0"):
        source_of(FORMAT, written(FORMAT, frames_of()[0]), 1)
