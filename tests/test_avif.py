"""AVIF: lossy and lossless images, their metadata, and animations."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from imgpipe import exif
from imgpipe.errors import CorruptError, LimitError, UsageError
from imgpipe.formats.avif import FORMAT, open_source
from imgpipe.formats.frames import Contents, Timing
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.metadata import Metadata, density_from_dpi
from tests.animations import about, contents_of, filmed, read_back, source_of, written
from tests.conftest import natural, noise

TIMING = Timing((0.05, 0.1, 0.15, 0.2))


def with_alpha(photo: Any) -> Any:
    return np.concatenate([photo, 255 - photo[..., :1]], 2)


PHOTO = natural((60, 81, 3))
PHOTOS = {1: PHOTO[..., :1], 3: PHOTO, 4: with_alpha(PHOTO)}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_keeps_every_value(channels: int) -> None:
    array = noise((33, 47, channels), "uint8")
    content = written(FORMAT, array, lossless=True)
    np.testing.assert_array_equal(read_back(FORMAT, content), array)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_lower_quality_makes_a_smaller_file(channels: int) -> None:
    photo = PHOTOS[channels]
    small, large = (written(FORMAT, photo, quality=quality) for quality in (20, 95))
    assert len(small) < len(large)
    errors = [np.abs(read_back(FORMAT, c).astype(int) - photo).mean() for c in (small, large)]
    assert errors[1] < errors[0]
    theirs = np.asarray(Image.open(io.BytesIO(large))).reshape(photo.shape)
    np.testing.assert_array_equal(read_back(FORMAT, large), theirs)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("lossless", [False, True])
def test_metadata_survives(orientation: int, channels: int, *, lossless: bool) -> None:
    block = exif.with_density(None, density_from_dpi(300, 300))
    known = Metadata(icc=b"a profile" * 20, xmp=b"<x/>", exif=block, orientation=orientation)
    photo = PHOTOS[channels]
    content = written(FORMAT, photo, known, lossless=lossless)
    found = source_of(FORMAT, content).info.metadata
    assert (found.icc, found.xmp, found.orientation) == (known.icc, known.xmp, orientation)
    assert found.pixels_per_metre == density_from_dpi(300, 300)
    assert source_of(FORMAT, content).info.shape == photo.shape  # as it is stored
    theirs = Image.open(io.BytesIO(content))
    theirs.load()
    assert (theirs.info["icc_profile"], theirs.info["xmp"]) == (known.icc, known.xmp)
    assert theirs.getexif().get(0x112, 1) == orientation
    if lossless:
        np.testing.assert_array_equal(read_back(FORMAT, content), photo)


@pytest.mark.parametrize("known", [
    Metadata(icc=b"a profile" * 20), Metadata(xmp=b"<x/>"), Metadata(orientation=6),
])  # fmt: skip
def test_lossless_files_keep_each_kind_of_metadata(known: Metadata) -> None:
    content = written(FORMAT, PHOTO, known, lossless=True)
    found = source_of(FORMAT, content).info.metadata
    assert (found.icc, found.xmp) == (known.icc, known.xmp)
    assert found.orientation == known.orientation
    np.testing.assert_array_equal(read_back(FORMAT, content), PHOTO)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_ten_and_twelve_bits_are_read_as_they_are(bits: int, channels: int) -> None:
    array = noise((30, 41, channels), "uint16") >> (16 - bits)
    content = imagecodecs.avif_encode(array, level=100, bitspersample=bits, speed=10)
    np.testing.assert_array_equal(read_back(FORMAT, content), array)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_animation_keeps_frames_and_timing(channels: int) -> None:
    frames = [np.roll(PHOTOS[channels], 9 * shift, 1) for shift in range(4)]
    content = filmed(FORMAT, frames, TIMING, quality=90)
    assert contents_of(FORMAT, content) == Contents(4, TIMING)
    theirs = Image.open(io.BytesIO(content))
    assert theirs.n_frames == 4
    for page in (0, 1, 2, 3, 1):
        theirs.seek(page)
        made = read_back(FORMAT, content, page)
        np.testing.assert_array_equal(made, np.asarray(theirs).reshape(made.shape))
        assert np.abs(made.astype(int) - frames[page]).mean() < 8


def test_an_animation_of_one_frame_is_an_image() -> None:
    content = filmed(FORMAT, [PHOTO], None)
    assert contents_of(FORMAT, content) == Contents()
    assert read_back(FORMAT, content).shape == PHOTO.shape


def test_frames_of_another_size_are_refused() -> None:
    from imgpipe.formats.target import MemoryTarget

    infos = about(PHOTO), about(PHOTO[:9])
    with pytest.raises(UsageError, match="all frames of an animated AVIF are alike"):
        FORMAT.album(MemoryTarget(io.BytesIO()), infos, None)  # type: ignore[misc]


def test_a_lossless_animation_is_refused() -> None:
    from imgpipe.formats.target import MemoryTarget

    with pytest.raises(UsageError, match=r"are lossy; leave out --lossless, or write .webp"):
        FORMAT.album(  # type: ignore[misc]
            MemoryTarget(io.BytesIO()), (about(PHOTO),) * 2, None, lossless=True
        )


def test_damaged_and_too_large_files_are_refused() -> None:
    content = written(FORMAT, PHOTO)
    for size in (0, 20, 100, len(content) - 1):
        with pytest.raises(CorruptError, match=r"a\.avif: the file is damaged"):
            open_source(MemoryOrigin(content[:size], "a.avif"))
    with pytest.raises(LimitError):
        open_source(MemoryOrigin(content), 100)
    with pytest.raises(UsageError, match="has no page 1, only page 0; leave out --page"):
        open_source(MemoryOrigin(content), None, 1)


def test_a_build_without_avif_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import AvifImagePlugin

    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(UsageError, match=r"pip install -U 'pillow>=11\.3'"):
        written(FORMAT, PHOTO)
