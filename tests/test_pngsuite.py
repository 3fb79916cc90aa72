"""PngSuite: every valid file gives the pixels that libpng gives, every corrupt one an error."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

import imgpipe
from imgpipe.errors import InputError
from imgpipe.image import ImageInfo
from tests.test_png import decoded

FOLDER = Path(os.environ.get("IMGPIPE_CORPORA", "/nowhere")) / "pngsuite"
FILES = sorted(FOLDER.glob("*.png"))

pytestmark = pytest.mark.skipif(not FILES, reason="IMGPIPE_CORPORA has no folder pngsuite")

if not FILES:
    FILES = [Path("absent.png"), Path("xabsent.png")]
VALID = [path for path in FILES if not path.name.startswith("x")]
CORRUPT = [path for path in FILES if path.name.startswith("x")]


def by_libpng(path: Path) -> NDArray[np.generic]:
    pixels = imagecodecs.png_decode(path.read_bytes())
    return pixels.reshape(*pixels.shape[:2], -1)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_pixels_are_those_of_libpng(path: Path) -> None:
    expected = by_libpng(path)
    actual = decoded(path)
    assert actual.dtype == expected.dtype
    assert np.array_equal(actual, expected)


@pytest.mark.parametrize("path", CORRUPT, ids=lambda path: path.stem)
def test_corrupt_files_are_refused_with_a_reason(path: Path) -> None:
    with pytest.raises(InputError, match=path.name) as caught:
        decoded(path)
    assert "get a fresh copy" in str(caught.value)


def test_there_are_14_corrupt_files() -> None:
    assert len(CORRUPT) == 14


def metadata(stem: str) -> ImageInfo:
    return imgpipe.info(FOLDER / f"{stem}.png")


def test_metadata_is_read() -> None:
    assert metadata("g03n2c08").metadata.gamma == pytest.approx(0.35)
    assert metadata("ccwn2c08").metadata.chromaticities is not None
    assert metadata("cdun2c08").metadata.pixels_per_metre == (1000, 1000)
    assert metadata("cdfn2c08").metadata.pixel_aspect == (1, 4)
    keywords = [text.keyword for text in metadata("ctzn0g04").metadata.texts]
    assert keywords[:2] == ["Title", "Author"]
    assert metadata("ctjn0g04").metadata.texts[0].language == "ja"
