"""GIF: palettes, transparency, and animations composed of images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from imgpipe.errors import CorruptError, LimitError, UsageError
from imgpipe.formats.frames import Contents, Timing
from imgpipe.formats.gif import FORMAT, open_source
from imgpipe.formats.origin import MemoryOrigin
from tests.animations import (
    contents_of,
    filmed,
    must_play_in_any_order,
    read_back,
    source_of,
    written,
)
from tests.conftest import natural, noise


def few_colours(channels: int, seed: int = 0) -> np.ndarray:
    """Return an image of 60 colours, some of them transparent."""
    colours = noise((60, channels), "uint8", seed)
    if channels == 4:
        colours[:, 3] = np.where(colours[:, 3] < 80, 0, 255)
        colours[colours[:, 3] == 0] = 0
    return colours[np.random.default_rng(seed).integers(0, 60, (23, 31))]


def test_gray_keeps_its_values() -> None:
    array = noise((40, 50, 1), "uint8")
    content = written(FORMAT, array)
    assert source_of(FORMAT, content).info.colour == "gray"
    np.testing.assert_array_equal(read_back(FORMAT, content), array)


@pytest.mark.parametrize("channels", [3, 4])
def test_up_to_256_colours_keep_their_values(channels: int) -> None:
    array = few_colours(channels)
    content = written(FORMAT, array)
    np.testing.assert_array_equal(read_back(FORMAT, content), array)
    mode = "RGB" if channels == 3 else "RGBA"
    theirs = np.asarray(Image.open(io.BytesIO(content)).convert(mode))
    np.testing.assert_array_equal(theirs, array)
    if channels == 3:
        levels = np.arange(256, dtype=np.uint8)
        all_of_them = np.stack([levels, levels[::-1], levels // 2], 1).reshape(16, 16, 3)
        np.testing.assert_array_equal(read_back(FORMAT, written(FORMAT, all_of_them)), all_of_them)


def test_more_colours_are_reduced_and_alpha_becomes_all_or_nothing() -> None:
    photo = natural((80, 90, 3))
    made = read_back(FORMAT, written(FORMAT, photo)).astype(int)
    assert 1 < np.abs(made - photo).mean() < 20
    alpha = np.arange(90, dtype=np.uint8).repeat(80).reshape(90, 80).T[..., None] * 2
    made = read_back(FORMAT, written(FORMAT, np.concatenate([photo, alpha], 2)))
    np.testing.assert_array_equal(made[..., 3], np.where(alpha[..., 0] < 128, 0, 255))


@pytest.mark.parametrize("loop", [0, 1, 3])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_animation_keeps_frames_timing_and_loop(channels: int, loop: int) -> None:
    if channels == 1:
        frames = [noise((23, 31, 1), "uint8", seed) for seed in range(4)]
    else:
        frames = [few_colours(channels, seed) for seed in range(4)]
    timing = Timing((0.05, 0.1, 0.15, 0.2), loop)
    content = filmed(FORMAT, frames, timing)
    assert contents_of(FORMAT, content) == Contents(4, timing)
    must_play_in_any_order(FORMAT, content, frames)
    theirs = Image.open(io.BytesIO(content))
    assert theirs.n_frames == 4
    assert theirs.info.get("loop") == {0: 0, 1: None, 3: 2}[loop]
    for number, frame in enumerate(frames):
        theirs.seek(number)
        shown = theirs.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
        np.testing.assert_array_equal(np.asarray(shown).reshape(frame.shape), frame)


def test_parts_that_change_are_put_on_what_was_there() -> None:
    """As other programs write animations: frames of a part, with every kind of disposal."""
    frames = [Image.new("RGBA", (40, 30), (0, 0, 0, 0)) for _ in range(5)]
    for number, frame in enumerate(frames):
        frame.paste((200, 20 * number, 0, 255), (5 * number, 4, 5 * number + 9, 20))
    out = io.BytesIO()
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=40, disposal=[1, 2, 3, 2, 1]
    )
    theirs, expected = Image.open(out), []
    for number in range(5):
        theirs.seek(number)
        expected.append(np.asarray(theirs.convert("RGBA")))
    must_play_in_any_order(FORMAT, out.getvalue(), expected)
    assert contents_of(FORMAT, out.getvalue()).timing == Timing((0.04,) * 5, 1)


def test_damaged_and_too_large_files_are_refused() -> None:
    content = written(FORMAT, few_colours(3))
    for size in (0, 5, 12, 30, len(content) // 2, len(content) - 3):
        with pytest.raises(CorruptError, match=r"a\.gif: the file is damaged"):
            open_source(MemoryOrigin(content[:size], "a.gif"))
    with pytest.raises(LimitError):
        open_source(MemoryOrigin(content), 100)
    with pytest.raises(UsageError, match="has no page 1, only page 0; leave out --page"):
        open_source(MemoryOrigin(content), None, 1)


def test_a_frame_beyond_the_image_is_refused_before_it_takes_memory() -> None:
    content = bytearray(written(FORMAT, few_colours(3)))
    at = content.index(b",\0\0\0\0\x1f\0\x17\0") + 5
    content[at : at + 4] = b"\xff" * 4
    with pytest.raises(CorruptError, match="a frame lies beyond the image"):
        open_source(MemoryOrigin(bytes(content)))


def test_a_file_may_lack_its_last_byte() -> None:
    array = few_colours(3)
    np.testing.assert_array_equal(read_back(FORMAT, written(FORMAT, array)[:-1]), array)
