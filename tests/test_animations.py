"""Animations: every frame, its time and the loop survive from each format to each other one.

The animations are those of Pillow: frames of a part, every way to dispose of them, transparency.
Pillow decodes the results too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.describing import describe
from imgpipe.formats.frames import Timing
from imgpipe.image import Pixels

MILLISECONDS = [20, 50, 130, 1000, 70]
SAVE: dict[str, dict[str, Any]] = {"webp": {"lossless": True}}
AFTER = ["gif", "webp", "png"]
BEFORE: dict[str, dict[str, Any]] = {
    "gif kept": {"disposal": 1},
    "gif cleared": {"disposal": 2},
    "gif restored": {"disposal": 3},
    "png kept": {"disposal": 0, "blend": 0},
    "png cleared": {"disposal": 1, "blend": 0},
    "png restored": {"disposal": 2, "blend": 0},
    "png laid over": {"disposal": 0, "blend": 1},
    "webp": {"lossless": True},
    "webp of parts": {"lossless": True, "minimize_size": True},
}


def made(path: Path, loop: int, *, alpha: bool, **options: Any) -> None:
    """Write an animation in which two rectangles move, with Pillow."""
    frames = [
        Image.new("RGBA", (40, 30), (0, 0, 0, 0) if alpha else (10, 60, 90)) for _ in range(5)
    ]
    for at, frame in enumerate(frames):
        frame.paste((200, 40 * at, 0, 255), (5 * at, 4, 5 * at + 9, 20))
        frame.paste((0, 0, 255, 255), (2, 25 - 2 * at, 38, 28 - 2 * at))
    if path.suffix == ".gif":  # where the first time does not count, and once is said by silence
        options |= {} if loop == 1 else {"loop": max(loop - 1, 0)}
    else:
        options["loop"] = loop
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=MILLISECONDS, **options)


def theirs(path: Path) -> tuple[list[Pixels], list[int]]:
    """Return the frames as Pillow decodes them, and their milliseconds."""
    frames, times = [], []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(visible(np.array(image.convert("RGBA"))))
            times.append(round(image.info["duration"]))
    return frames, times


def ours(path: Path) -> list[Pixels]:
    """Return the frames as imgpipe decodes them."""
    frames = []
    for number in range(describe(path).contents.frames):
        frame = imgpipe.read(path, page=number)
        opaque = np.full((*frame.shape[:2], 4 - frame.shape[2]), 255, np.uint8)
        frames.append(visible(np.concatenate([frame, opaque], 2)))
    return frames


def visible(frame: Pixels) -> Pixels:
    """Return a frame without colour where nothing is seen."""
    return frame * (frame[..., 3:] > 0)


@pytest.mark.parametrize(("before", "loop"), list(zip(BEFORE, [0, 1, 3] * 3, strict=True)))
@pytest.mark.parametrize("alpha", [False, True])
def test_frames_times_and_loop_survive(
    before: str, alpha: bool, loop: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"in.{before.partition(' ')[0]}"
    made(path, loop, alpha=alpha, **BEFORE[before])
    frames, _ = theirs(path)
    timing = Timing(tuple(each / 1000 for each in MILLISECONDS), loop)
    assert describe(path).contents.timing == timing
    np.testing.assert_array_equal(ours(path), frames)
    turned = [frame[::-1, ::-1] for frame in frames]
    for after in AFTER:
        out = tmp_path / f"out.{after}"
        imgpipe.run(path, "rotate:180", out, workers=1, save=SAVE.get(after))
        shown, times = theirs(out)
        np.testing.assert_array_equal(shown, turned, after)
        np.testing.assert_array_equal(ours(out), turned, after)
        assert times == MILLISECONDS
        assert describe(out).contents.timing == timing
    assert {line.partition(": ")[0] for line in caplog.messages} <= {str(tmp_path / "out.gif")}


def test_opaque_frames_among_transparent_ones_are_cleared_away(tmp_path: Path) -> None:
    first = np.full((20, 30, 4), 255, np.uint8)
    second = np.zeros((20, 30, 4), np.uint8)
    second[5:9, 5:9] = 9, 80, 160, 255
    path, out = tmp_path / "in.png", tmp_path / "out.gif"
    frames = [Image.fromarray(each) for each in (first, second)]
    frames[0].save(path, save_all=True, append_images=frames[1:], blend=0)
    imgpipe.convert(path, out, workers=1)
    np.testing.assert_array_equal(ours(out), [first, second])
    np.testing.assert_array_equal(theirs(out)[0], [first, second])


def test_avif_keeps_every_frame_and_its_time(tmp_path: Path) -> None:
    path, out, back = tmp_path / "in.webp", tmp_path / "out.avif", tmp_path / "back.png"
    made(path, 0, alpha=True, lossless=True)
    imgpipe.convert(path, out, workers=1, save={"quality": 100})
    assert theirs(out)[1] == MILLISECONDS
    for frame, shown in zip(ours(path), theirs(out)[0], strict=True):
        assert np.abs(frame.astype(int) - shown).mean() < 6
    imgpipe.convert(out, back, workers=1)
    np.testing.assert_array_equal(theirs(back)[0], theirs(out)[0])
    assert theirs(back)[1] == MILLISECONDS
