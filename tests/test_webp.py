"""WebP: lossless and lossy images, their metadata, and animations composed of images."""

from __future__ import annotations

import io
import logging
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from imgpipe import exif
from imgpipe.errors import CorruptError, LimitError, UsageError
from imgpipe.formats.frames import Contents, Timing
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.formats.webp import FORMAT, open_source
from imgpipe.metadata import Metadata, density_from_dpi
from tests.animations import (
    contents_of,
    filmed,
    must_play_in_any_order,
    read_back,
    source_of,
    written,
)
from tests.conftest import natural, noise

TIMING = Timing((0.05, 0.1, 0.15, 0.2), 3)
BLOCKS = Metadata(icc=b"a profile" * 9, xmp=b"<x/>", exif=exif.with_density(
    None, density_from_dpi(300, 300)))  # fmt: skip


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("effort", [0, 2])
def test_lossless_keeps_every_value_even_where_nothing_is_seen(channels: int, effort: int) -> None:
    array = noise((33, 47, channels), "uint8")
    if channels == 4:
        array[:9, :, 3] = 0
    content = written(FORMAT, array, lossless=True, effort=effort)
    np.testing.assert_array_equal(read_back(FORMAT, content), array)


@pytest.mark.parametrize("lossless", [False, True])
def test_alpha_that_is_opaque_stays_alpha(*, lossless: bool) -> None:
    array = np.concatenate([natural((30, 40, 3)), np.full((30, 40, 1), 255, np.uint8)], 2)
    content = written(FORMAT, array, lossless=lossless)
    assert source_of(FORMAT, content).info.alpha == 3
    assert (read_back(FORMAT, content)[..., 3] == 255).all()
    assert Image.open(io.BytesIO(content)).mode == "RGBA"


def test_a_lower_quality_makes_a_smaller_file() -> None:
    photo = natural((120, 160, 3))
    small, large = (written(FORMAT, photo, quality=quality) for quality in (20, 95))
    assert len(small) < len(large) < len(written(FORMAT, photo, lossless=True))
    errors = [np.abs(read_back(FORMAT, c).astype(int) - photo).mean() for c in (small, large)]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("options", [{}, {"lossless": True}])
@pytest.mark.parametrize("channels", [3, 4])
def test_metadata_survives_and_others_read_it(options: dict[str, Any], channels: int) -> None:
    array = noise((20, 31, channels), "uint8")
    content = written(FORMAT, array, BLOCKS, **options)
    found = source_of(FORMAT, content).info.metadata
    assert (found.icc, found.exif, found.xmp) == (BLOCKS.icc, BLOCKS.exif, BLOCKS.xmp)
    assert found.pixels_per_metre == density_from_dpi(300, 300)
    theirs = Image.open(io.BytesIO(content))
    assert (theirs.info["icc_profile"], theirs.info["exif"]) == (BLOCKS.icc, BLOCKS.exif)
    assert theirs.info["xmp"] == BLOCKS.xmp
    assert theirs.size == (31, 20)


def test_orientation_and_resolution_go_into_exif() -> None:
    known = Metadata(orientation=6, pixels_per_metre=density_from_dpi(72, 72))
    found = source_of(FORMAT, written(FORMAT, noise((9, 14, 3), "uint8"), known)).info.metadata
    assert (found.orientation, found.pixels_per_metre) == (6, density_from_dpi(72, 72))


def test_files_of_others_are_read() -> None:
    for mode, lossless in (("RGB", True), ("RGBA", True), ("RGBA", False), ("RGB", False)):
        array, out = noise((21, 30, len(mode)), "uint8"), io.BytesIO()
        Image.fromarray(array).save(out, "WEBP", lossless=lossless, exif=b"Exif\0\0" + BLOCKS.exif)
        expected = np.asarray(Image.open(out))
        np.testing.assert_array_equal(read_back(FORMAT, out.getvalue()), expected)
        assert source_of(FORMAT, out.getvalue()).info.metadata.exif == BLOCKS.exif


@pytest.mark.parametrize("channels", [3, 4])
def test_an_animation_keeps_frames_timing_and_loop(channels: int) -> None:
    frames = [noise((20, 31, channels), "uint8", seed) for seed in range(4)]
    content = filmed(FORMAT, frames, TIMING, lossless=True)
    assert contents_of(FORMAT, content) == Contents(4, TIMING)
    must_play_in_any_order(FORMAT, content, frames)
    theirs = Image.open(io.BytesIO(content))
    assert (theirs.n_frames, theirs.info["loop"]) == (4, 3)
    for number, frame in enumerate(frames):
        theirs.seek(number)
        np.testing.assert_array_equal(np.asarray(theirs), frame)
        assert theirs.info["duration"] == round(1000 * TIMING.seconds[number])


def test_an_animation_of_another_program_is_read() -> None:
    frames = [Image.fromarray(noise((20, 31, 4), "uint8", seed)) for seed in range(4)]
    out = io.BytesIO()
    frames[0].save(
        out, "WEBP", save_all=True, append_images=frames[1:], duration=[50, 100, 150, 200],
        loop=3, lossless=True,
    )  # fmt: skip
    assert contents_of(FORMAT, out.getvalue()) == Contents(4, TIMING)
    expected = [imagecodecs.webp_decode(out.getvalue(), index=page) for page in range(4)]
    must_play_in_any_order(FORMAT, out.getvalue(), expected)


def test_metadata_of_an_animation_is_that_of_its_first_frame() -> None:
    from imgpipe.formats.target import MemoryTarget
    from imgpipe.testing.files import put_in
    from tests.animations import about

    out, frame = io.BytesIO(), noise((20, 31, 3), "uint8")
    info = about(frame, BLOCKS)
    album = FORMAT.album(MemoryTarget(out), (info, info), None)  # type: ignore[misc]
    for _ in range(2):
        sink = album.frame(info)
        put_in(sink, frame)
        sink.commit()
    album.commit()
    found = source_of(FORMAT, out.getvalue(), 1).info.metadata
    assert (found.icc, found.exif, found.xmp) == (BLOCKS.icc, BLOCKS.exif, BLOCKS.xmp)


def test_there_is_no_frame_after_the_last() -> None:
    content = written(FORMAT, noise((9, 14, 3), "uint8"))
    assert contents_of(FORMAT, content) == Contents()
    with pytest.raises(UsageError, match="has no page 1, only page 0; leave out --page"):
        open_source(MemoryOrigin(content, "a.webp"), None, 1)


def test_damaged_and_too_large_files_are_refused() -> None:
    content = written(FORMAT, noise((9, 14, 3), "uint8"), BLOCKS)
    with pytest.raises(CorruptError, match=r"a\.webp: the file is damaged .*bytes where"):
        open_source(MemoryOrigin(content[:-9], "a.webp"))
    with pytest.raises(LimitError):
        open_source(MemoryOrigin(content), 100)
    broken = content.replace(b"VP8 ", b"VP9 ")
    with pytest.raises(CorruptError, match="is damaged"):
        read_back(FORMAT, broken)


def test_metadata_that_is_too_large_costs_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    content = written(FORMAT, noise((9, 14, 3), "uint8"), Metadata(xmp=bytes((16 << 20) + 1)))
    assert source_of(FORMAT, content).info.metadata.xmp is None
    assert "ignored XMP of 16777217 bytes" in caplog.text
