"""QOI: exact, and nothing after the header is trusted before its end was seen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from imgpipe.errors import CorruptError, LimitError, UsageError
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.formats.qoi import FORMAT, open_sink, open_source
from imgpipe.formats.target import MemoryTarget
from imgpipe.image import ImageInfo
from tests.animations import read_back, source_of, written
from tests.conftest import natural, noise


@pytest.mark.parametrize("channels", [3, 4])
def test_values_are_kept_and_others_read_them(channels: int) -> None:
    for array in (noise((33, 47, channels), "uint8"), np.zeros((9, 7, channels), np.uint8)):
        content = written(FORMAT, array)
        np.testing.assert_array_equal(read_back(FORMAT, content), array)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), array)


def test_linear_colours_are_known_as_such() -> None:
    content = bytearray(written(FORMAT, natural((9, 14, 3))))
    assert source_of(FORMAT, bytes(content)).info.metadata.gamma is None
    content[13] = 1
    assert source_of(FORMAT, bytes(content)).info.metadata.gamma == 1


def test_a_file_without_its_end_is_truncated() -> None:
    """A decoder would repeat the last pixel to the end, without a word."""
    content = written(FORMAT, natural((30, 41, 3)))
    for size in (0, 13, 14, 21, len(content) // 2, len(content) - 1):
        with pytest.raises(CorruptError, match=r"a\.qoi: the file is truncated"):
            open_source(MemoryOrigin(content[:size], "a.qoi"))


def test_headers_that_lie_are_refused() -> None:
    content = written(FORMAT, natural((30, 41, 3)))
    for wrong in (content[:4] + bytes(4) + content[8:], content[:12] + b"\7" + content[13:]):
        with pytest.raises(CorruptError, match="declares"):
            open_source(MemoryOrigin(wrong))
    with pytest.raises(LimitError):
        open_source(MemoryOrigin(content), 100)


def test_more_pixels_than_readers_take_are_refused() -> None:
    info = ImageInfo(20_001, 20_000, 3, np.dtype(np.uint8), None, "rgb")
    with pytest.raises(UsageError, match="QOI holds up to 400 megapixels, not 400"):
        open_sink(MemoryTarget(io.BytesIO()), info)
