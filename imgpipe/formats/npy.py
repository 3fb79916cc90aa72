"""NumPy's ``.npy``: the simplest random source and placed sink.

Pixels are (rows, columns) or (rows, columns, channels), of the types that `admission` allows. An
array says nothing of colour, so one channel is gray, three are RGB, and none is alpha unless the
caller says so.
"""

from __future__ import annotations

import io
import tokenize
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.lib import format as npy

from imgpipe.admission import Alpha, alpha_channel, native, shape_refusal, type_refusal
from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Check, Sink, Source
from imgpipe.formats.declaration import Format
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.raw import RawLayout, raw_sink, raw_source, read_fully
from imgpipe.formats.target import Target
from imgpipe.formats.truncated import CutSource
from imgpipe.formats.wholedecoding import reason_of
from imgpipe.image import ImageInfo, Pixels, check_pixels, guess_colour
from imgpipe.records import dataclass

__all__ = ["FORMAT", "open_sink", "open_source"]

_PIECE_BYTES = 4 << 20


def open_source(
    origin: Origin, max_pixels: int | None = None, alpha: Alpha = None, *, salvage: bool = False
) -> Source:
    """Return a source for an array.

    Raises
    ------
    FormatError
        If the array is no image.
    UsageError
        If `alpha` is not its last channel.
    CorruptError
        If the header is damaged, or the file ends before the last row.
    LimitError
        If it has more than `max_pixels` pixels.
    """
    name = origin.name
    shape, fortran, dtype, offset, size = _header(origin)
    refusal = shape_refusal(shape) or type_refusal(dtype)
    if refusal:
        raise FormatError(f"{name}: {refusal}")
    height, width, channels = (*shape, 1)[:3]
    check_pixels(height, width, name, max_pixels)
    needed = offset + height * width * channels * dtype.itemsize
    if size < needed and (fortran or not salvage):
        raise CorruptError(
            f"{name}: the file is truncated: {size:,} bytes where {needed:,} are "
            "needed; get a fresh copy"
        )
    index = alpha_channel(alpha, channels, name)
    colour, usual = guess_colour(channels)
    known = colour if usual == index else "other"
    info = ImageInfo(height, width, channels, native(dtype), index, known)
    layout = RawLayout(offset, info.shape, dtype)
    if fortran:
        return _Transposed(info, layout, origin)
    source = raw_source(info, layout, origin)
    if size < needed and source.access == "random":
        there = max(0, size - offset) // (width * layout.pixel_bytes)
        return CutSource(source, ((0, there),))
    return source


def open_sink(target: Target, info: ImageInfo) -> Sink:
    """Begin an array."""
    return raw_sink(target, info, _written_header(info))


@dataclass(frozen=True)
class _Transposed:
    """An array in Fortran order: its rows are nowhere together, so it is read at once."""

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    layout: RawLayout
    origin: Origin

    @property
    def name(self) -> str:
        """The origin, for messages."""
        return self.origin.name

    @property
    def decode_bytes(self) -> int:
        """Memory beside the output: the columns that are read at once."""
        return max(_PIECE_BYTES, self.info.height * self.layout.dtype.itemsize)

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out` with the whole image, some columns of a channel at a time."""
        height, width, channels = self.info.shape
        step = max(1, _PIECE_BYTES // (height * self.layout.dtype.itemsize))
        columns = np.empty((min(step, width), height), self.layout.dtype)
        with self.origin.open(0) as file:
            position = self.layout.offset
            for channel in range(channels):
                for x in range(0, width, step):
                    check()
                    part = columns[: min(step, width - x)]
                    read_fully(file, part, position, self.name)
                    position += part.nbytes
                    out[:, x : x + step, channel] = part.T


def _header(origin: Origin) -> tuple[tuple[int, ...], bool, np.dtype[Any], int, int]:
    try:
        with origin.open() as file:
            size = size_of(file)
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            return shape, fortran, dtype, file.tell(), size
    except (ValueError, TypeError, SyntaxError, EOFError, KeyError, tokenize.TokenError) as error:
        raise CorruptError(
            f"{origin.name}: the header of the array is damaged ({reason_of(error)}); "
            "get a fresh copy"
        ) from None


def _written_header(info: ImageInfo) -> bytes:
    shape = info.shape if info.channels > 1 else info.shape[:2]
    entries = {"shape": shape, "fortran_order": False, "descr": npy.dtype_to_descr(info.dtype)}
    out = io.BytesIO()
    npy.write_array_header_1_0(out, entries)
    return out.getvalue()


FORMAT = Format(
    "NPY",
    (".npy",),
    (b"\x93NUMPY",),
    open_source,
    open_sink,
    says_alpha=False,
    salvages=True,
    metadata=(),
)
