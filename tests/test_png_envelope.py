"""The envelope around filtered rows, and rows that are decoded in their place."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from imgpipe.formats.opening import open_source
from imgpipe.formats.png.envelope import Envelope, Layout
from tests.test_png import encoded, picture

Pixels = NDArray[np.generic]


def unfiltered(pixels: Pixels) -> bytes:
    """Return the rows as in a file, each with the filter None."""
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(len(pixels), -1)
    return np.pad(rows, ((0, 0), (1, 0))).tobytes()


def in_parts(content: bytes, *cuts: int) -> list[memoryview]:
    ends = (0, *cuts, len(content))
    return [memoryview(content)[a:b] for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("cuts", [(), (0, 1), (65534, 65536, 131071)], ids=str)
def test_rows_come_out_whatever_the_parts_are(
    dtype: str, channels: int, cuts: tuple[int, ...]
) -> None:
    pixels = picture(7, 20_000, channels, dtype)
    out = np.empty_like(pixels)
    layout = Layout(20_000, channels, pixels.itemsize)
    Envelope(layout).decode(in_parts(unfiltered(pixels), *cuts), out)
    assert np.array_equal(out, pixels)


def test_an_envelope_takes_other_rows_and_another_number_of_them() -> None:
    envelope = Envelope(Layout(30_011, 3, 1))
    for count, seed in ((3, 1), (3, 2), (1, 3), (4, 4), (3, 5)):
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 30_011, 3), np.uint8)
        out = np.zeros_like(pixels)
        envelope.decode([unfiltered(pixels)], out)
        assert np.array_equal(out, pixels)


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("uint16", 1), ("uint16", 3)])
@pytest.mark.parametrize("bands", [(1, 2, 200), (150, 53)], ids=str)
def test_rows_are_the_same_in_memory_of_any_shape(
    tmp_path: Path, dtype: str, channels: int, bands: tuple[int, ...]
) -> None:
    pixels = picture(203, 1900, channels, dtype)
    source: Any = open_source(encoded(tmp_path / "in.png", pixels))
    for gap in (0, 1):  # in place, and by way of a copy
        room = np.zeros((203, 1900 + gap, channels), dtype)
        rows, at = source.rows(), 0
        for count in bands:
            rows.read_into(room[at : at + count, gap:])
            at += count
        rows.finish()
        rows.close()
        assert np.array_equal(room[:, gap:], pixels)
        assert not room[:, :gap].any()
