"""HEIF: read upright, with its metadata."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.errors import CorruptError, LimitError, UsageError
from imgpipe.formats import formatchoice
from imgpipe.formats.heif import FORMAT, open_source
from imgpipe.formats.origin import MemoryOrigin
from tests.animations import read_back, source_of
from tests.conftest import natural

pillow_heif = pytest.importorskip("pillow_heif")

PHOTO = natural((61, 83, 3))  # odd sides: the file shows a part of larger ones


def heif(array: Any, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    image = pillow_heif.from_bytes(mode, array.shape[1::-1], array.tobytes())
    image.save(out, **{"quality": 95, **options})
    return out.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_images_of_eight_bits_are_read(mode: str) -> None:
    array = np.concatenate([PHOTO, 255 - PHOTO[..., :1]], 2)[..., : len(mode)]
    content = heif(np.ascontiguousarray(array), mode)
    info = source_of(FORMAT, content).info
    assert (info.shape, info.alpha) == (array.shape, 3 if mode == "RGBA" else None)
    assert np.abs(read_back(FORMAT, content).astype(int) - array).mean() < 8


def test_ten_bits_stay_as_they_are() -> None:
    array = PHOTO.astype(np.uint16) * 257
    content = heif(array, "RGB;16")
    made = read_back(FORMAT, content)
    assert made.dtype == np.uint16
    assert np.abs(made / 1023 - array / 65535).mean() < 0.05
    assert made.max() < 1024


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_decoder_turns_pixels_upright(orientation: int) -> None:
    about = Image.Exif()
    about[0x112], about[0x10F] = orientation, "Maker"
    content = heif(PHOTO, exif=about.tobytes())
    source = source_of(FORMAT, content)
    expected = (61, 83, 3) if orientation < 5 else (83, 61, 3)
    assert source.info.shape == expected == read_back(FORMAT, content).shape
    assert source.info.metadata.orientation == 1
    assert b"Maker" in source.info.metadata.exif


def test_damaged_and_too_large_files_are_refused() -> None:
    content = heif(PHOTO)
    for size in (0, 20, 100, len(content) - 1):
        with pytest.raises(CorruptError, match=r"a\.heic: the file is damaged"):
            open_source(MemoryOrigin(content[:size], "a.heic"))
    with pytest.raises(LimitError):
        open_source(MemoryOrigin(content), 100)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formatchoice.importlib.util, "find_spec", lambda name: None)
    content = io.BytesIO(heif(PHOTO))
    with pytest.raises(imgpipe.errors.FormatError, match=r"pip install 'imgpipe\[heif\]'"):
        imgpipe.read(content)
    with pytest.raises(UsageError, match=r"can only be read|pip install"):
        imgpipe.write(PHOTO, "never.heic")
