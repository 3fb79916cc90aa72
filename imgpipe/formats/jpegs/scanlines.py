"""Scanlines: rows of JPEG data from top to bottom, decoded by OpenImageIO.

OpenImageIO opens files by path. It gives rows of damaged files too, and tells of the damage when it
is asked. It knows gray and RGB; of CMYK it makes RGB.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib.util
import re
from typing import Any

from imgpipe.formats.jpegs.leftoverbytes import read_so_far, readers
from imgpipe.formats.jpegs.markers import JpegError
from imgpipe.image import Pixels

__all__ = ["LIBRARY_BYTES", "TOO_EARLY", "Scanlines", "is_there"]

LIBRARY_BYTES = 56 << 20
"""Memory of OpenImageIO once it has read a file."""

TOO_EARLY = "its pixels end too early"
"""The reason of a `JpegError` about data that is cut off."""

_BAND_ROWS, _BAND_BYTES = 64, 512 << 10  # so many rows stay in the cache until they are copied
_LEAST_ROWS = 16  # which the decoder makes at once
_MESSAGE = re.compile(r'(?:JPEG error: )?(.*?)(?: \("[^"]*"\))?')
_HARMLESS = "JFIF revision"


@functools.cache
def is_there() -> bool:
    """Return whether OpenImageIO is installed."""
    return importlib.util.find_spec("OpenImageIO") is not None


class Scanlines:
    """A reading position in a JPEG file, moving down row by row.

    Parameters
    ----------
    path : str
        The file.
    shape : (int, int, int)
        Rows, columns and channels that it must have.

    Raises
    ------
    JpegError
        If it cannot be read.
    """

    def __init__(self, path: str, shape: tuple[int, int, int]) -> None:
        self.next = 0
        self._channels, self._step = shape[2], band_rows(shape[1] * shape[2])
        library, others = _library(), readers(path)
        found = library.ImageInput.open(path)
        if found is None:
            _must_be_well(library.geterror())
            raise JpegError("its header cannot be read")
        self._input: Any = found
        self._readers = readers(path) - others
        spec = found.spec()
        if (spec.height, spec.width, spec.nchannels) != shape or spec.format != library.UINT8:
            self.close()
            raise JpegError("it is not what its header declares")

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows.

        Raises
        ------
        JpegError
            If the rows are not there or are damaged.
        """
        kind = _library().UINT8
        for start in range(0, len(out), self._step):
            rows = out[start : start + self._step]
            end = self.next + len(rows)
            pixels = self._input.read_scanlines(self.next, end, 0, 0, self._channels, kind)
            _must_be_well(self._input.geterror())
            if pixels is None or pixels.shape != rows.shape:
                raise JpegError("its pixels cannot be decoded")
            rows[...] = pixels
            self.next = end

    def salvage_into(self, out: Pixels) -> str:
        """Fill `out` with the next rows, as the decoder gives them; return the damage it tells of.

        It tells of the first damage of a file only.

        Raises
        ------
        JpegError
            If there are no pixels.
        """
        end = self.next + len(out)
        pixels = self._input.read_scanlines(self.next, end, 0, 0, self._channels, _library().UINT8)
        damage = self._input.geterror()
        if pixels is None or pixels.shape != out.shape:
            _must_be_well(damage)
            raise JpegError("its pixels cannot be decoded")
        out[...] = pixels
        self.next = end
        try:
            _must_be_well(damage)
        except JpegError as error:
            return str(error)
        return ""

    @property
    def position(self) -> int | None:
        """Bytes of the file that the decoder has read; None where the system does not tell."""
        return read_so_far(*self._readers) if len(self._readers) == 1 else None

    def close(self) -> None:
        """Let go of the file."""
        if self._input is not None:
            self._input.close()
            self._input = None


def band_rows(row_bytes: int) -> int:
    """Return the rows that are decoded at once."""
    return max(_LEAST_ROWS, min(_BAND_ROWS, _BAND_BYTES // row_bytes))


@functools.cache
def _library() -> Any:
    import OpenImageIO  # noqa: PLC0415 - large

    OpenImageIO.attribute("threads", 1)
    OpenImageIO.attribute("limits:imagesize_MB", 0)  # imgpipe has limits of its own
    atexit.register(gc.unfreeze)  # it prints a page about objects that the last collection leaves
    return OpenImageIO


def _must_be_well(message: str) -> None:
    lines = [line for line in message.splitlines() if line and _HARMLESS not in line]
    if not lines:
        return
    match = _MESSAGE.fullmatch(lines[0])
    reason = match[1] if match else lines[0]
    if "Premature end of JPEG file" in reason:
        raise JpegError(TOO_EARLY)
    raise JpegError(f"its pixels cannot be decoded ({reason.strip().rstrip('.').lower()})")
