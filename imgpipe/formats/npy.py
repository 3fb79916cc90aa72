"""NumPy's ``.npy``: the simplest random source and placed sink.

Pixels are (rows, columns) or (rows, columns, channels), of the types that `admission` allows. An
array says nothing of colour, so one channel is gray, three are RGB, and none is alpha unless the
caller says so.
"""

from __future__ import annotations

import io
import os
import tokenize
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.lib import format as npy

from imgpipe.admission import Alpha, alpha_channel, native, shape_refusal, type_refusal
from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.base import Check
from imgpipe.formats.declaration import Format
from imgpipe.formats.scratch import RawLayout, RawPlacer, RawSource, read_fully
from imgpipe.image import ImageInfo, Pixels, check_pixels, guess_colour
from imgpipe.publish import OutputFile

__all__ = ["FORMAT", "open_sink", "open_source"]

_PIECE_BYTES = 4 << 20


def open_source(
    path: str, max_pixels: int | None = None, alpha: Alpha = None
) -> RawSource | _Transposed:
    """Return a source for the array in `path`.

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
    shape, fortran, dtype, offset, size = _header(path)
    refusal = shape_refusal(shape) or type_refusal(dtype)
    if refusal:
        raise FormatError(f"{path}: {refusal}")
    height, width, channels = (*shape, 1)[:3]
    check_pixels(height, width, path, max_pixels)
    needed = offset + height * width * channels * dtype.itemsize
    if size < needed:
        raise CorruptError(
            f"{path}: is truncated: {size:,} bytes where {needed:,} are needed; get a fresh copy"
        )
    which = alpha_channel(alpha, channels, path)
    colour, usual = guess_colour(channels)
    known = colour if usual == which else "other"
    info = ImageInfo(height, width, channels, native(dtype), which, known)
    # Workers may be in another folder than this process is by now.
    layout = RawLayout(os.path.abspath(path), offset, info.shape, dtype)
    return _Transposed(info, path, layout) if fortran else RawSource(info, layout, path)


def open_sink(path: str, info: ImageInfo) -> NpySink:
    """Return a sink that writes an array to `path`."""
    return NpySink(path, info)


class NpySink:
    """An array that workers write into, row by row or box by box."""

    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)

    def __init__(self, path: str, info: ImageInfo) -> None:
        self.info = info
        header = _written_header(info)
        self._file = OutputFile(path)
        self._file.reserve(len(header) + info.nbytes)
        with open(self._file.working_path, "r+b") as file:
            file.write(header)
        layout = RawLayout(str(self._file.working_path), len(header), info.shape, info.dtype)
        self.placer = RawPlacer(layout, path)

    def commit(self) -> int:
        """Publish the file; return its size in bytes."""
        return self._file.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._file.abort()


@dataclass(frozen=True)
class _Transposed:
    """An array in Fortran order: its rows are nowhere together, so it is read at once."""

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    name: str
    layout: RawLayout

    @property
    def decode_bytes(self) -> int:
        """Memory beside the output: the columns that are read at once."""
        return max(_PIECE_BYTES, self.info.height * self.layout.dtype.itemsize)

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out` with the whole image, some columns of a channel at a time."""
        height, width, channels = self.info.shape
        step = max(1, _PIECE_BYTES // (height * self.layout.dtype.itemsize))
        columns = np.empty((min(step, width), height), self.layout.dtype)
        with open(self.layout.path, "rb", buffering=0) as file:
            position = self.layout.offset
            for channel in range(channels):
                for x in range(0, width, step):
                    check()
                    part = columns[: min(step, width - x)]
                    read_fully(file.fileno(), part, position, self.name)
                    position += part.nbytes
                    out[:, x : x + step, channel] = part.T


def _header(path: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int, int]:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            return shape, fortran, dtype, file.tell(), size
    except (ValueError, TypeError, SyntaxError, EOFError, KeyError, tokenize.TokenError) as error:
        raise CorruptError(f"{path}: the header of the array is damaged ({error})") from None


def _written_header(info: ImageInfo) -> bytes:
    shape = info.shape if info.channels > 1 else info.shape[:2]
    entries = {"shape": shape, "fortran_order": False, "descr": npy.dtype_to_descr(info.dtype)}
    out = io.BytesIO()
    npy.write_array_header_1_0(out, entries)
    return out.getvalue()


FORMAT = Format("NPY", (".npy",), (b"\x93NUMPY",), open_source, open_sink, says_alpha=False)
