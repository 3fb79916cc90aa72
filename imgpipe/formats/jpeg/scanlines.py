"""Scanlines: rows of a JPEG file from top to bottom, decoded by OpenImageIO.

OpenImageIO opens files by path. It gives rows of damaged files too, and tells of the damage when it
is asked.
"""

from __future__ import annotations

import atexit
import functools
import gc
import os
import re
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Literal

from imgpipe.errors import CorruptError
from imgpipe.formats.jpegs.markers import Header
from imgpipe.formats.nameless import NamelessFile
from imgpipe.formats.origin import Origin
from imgpipe.image import ImageInfo, Pixels

__all__ = ["ScanlineRows", "ScanlineSource"]

_LIBRARY_BYTES = 56 << 20  # of OpenImageIO, once it has read a file; measured
_BAND_ROWS = 64
_BAND_BYTES = 4 << 20
_PIECE_BYTES = 1 << 20
_END = b"\xff\xd9"
_MESSAGE = re.compile(r'(?:JPEG error: )?(.*?)(?: \("[^"]*"\))?')
_HARMLESS = "JFIF revision"


@dataclass(frozen=True)
class ScanlineSource:
    """A JPEG file of 8 bits, gray or RGB."""

    access: ClassVar[Literal["sequential"]] = "sequential"
    grain: ClassVar[tuple[int, int]] = (1, 0)
    info: ImageInfo
    origin: Origin
    header: Header

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def decode_bytes(self) -> int:
        """Memory beside the rows: OpenImageIO, a band, and what several scans take."""
        taken = _LIBRARY_BYTES + min(_BAND_BYTES, _BAND_ROWS * self.info.row_bytes)
        taken += 2 * 16 * self.info.row_bytes
        return taken if self.header.at_once else taken + self.header.coefficient_bytes

    def rows(self, *, ahead: bool = False) -> ScanlineRows:
        """Return a new position at the first row."""
        return ScanlineRows(self)


class ScanlineRows:
    """A reading position in a JPEG file, moving down row by row.

    Parameters
    ----------
    source : ScanlineSource
        The file.
    """

    def __init__(self, source: ScanlineSource) -> None:
        self._name, self._info, self._start = source.name, source.info, source.header.start
        self._step = max(1, min(_BAND_ROWS, _BAND_BYTES // source.info.row_bytes))
        self._next = 0
        self._spool: NamelessFile | None = None
        self._file = source.origin.open(0)
        self._input: Any = None
        try:
            self._input = self._opened()
        except BaseException:
            self.close()
            raise

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows.

        Raises
        ------
        CorruptError
            If the rows are not there or are damaged.
        """
        oiio, channels = _library(), self._info.channels
        for start in range(0, len(out), self._step):
            rows = out[start : start + self._step]
            end = self._next + len(rows)
            pixels = self._input.read_scanlines(self._next, end, 0, 0, channels, oiio.UINT8)
            self._must_be_well(self._input.geterror())
            if pixels is None or pixels.shape != rows.shape:
                raise self._damaged("its pixels cannot be decoded")
            rows[...] = pixels
            self._next = end

    def finish(self) -> None:
        """Check that the file has its end mark.

        Raises
        ------
        CorruptError
            If it has none.
        """
        end, after = self._file.seek(0, os.SEEK_END), b""
        while end > self._start:
            begin = max(self._start, end - _PIECE_BYTES)
            self._file.seek(begin)
            piece = self._file.read(end - begin) + after
            if _END in piece:
                return
            end, after = begin, piece[:1]
        raise self._damaged("its pixels end too early")

    def close(self) -> None:
        """Let go of the file."""
        if self._input is not None:
            self._input.close()
            self._input = None
        self._file.close()
        if self._spool is not None:
            self._spool.close()

    def _opened(self) -> Any:
        oiio = _library()
        found = oiio.ImageInput.open(self._path())
        if found is None:
            self._must_be_well(oiio.geterror())
            raise self._damaged("its header cannot be read")
        self._must_be_well(found.geterror())
        spec, info = found.spec(), self._info
        if (spec.height, spec.width, spec.nchannels) != info.shape or spec.format != oiio.UINT8:
            found.close()
            raise CorruptError(f"{self._name}: changed while it was read; try again")
        return found

    def _path(self) -> str:
        """Return a path of the open file; the file is copied if it has none."""
        try:
            number = self._file.fileno()
        except OSError:
            self._spool = NamelessFile()
            _copy(self._file, self._spool)
            return self._spool.path
        return f"/proc/self/fd/{number}" if os.path.isdir("/proc/self/fd") else self._file.name

    def _must_be_well(self, message: str) -> None:
        lines = [line for line in message.splitlines() if line and _HARMLESS not in line]
        if not lines:
            return
        match = _MESSAGE.fullmatch(lines[0])
        reason = match[1] if match else lines[0]
        if "Premature end of JPEG file" in reason:
            raise self._damaged("its pixels end too early")
        raise self._damaged(f"its pixels cannot be decoded ({reason.strip().rstrip('.').lower()})")

    def _damaged(self, reason: str) -> CorruptError:
        where = f" after row {self._next} of {self._info.height}" if self._next else ""
        return CorruptError(f"{self._name}: the file is damaged: {reason}{where}; get a fresh copy")


@functools.cache
def _library() -> Any:
    import OpenImageIO  # noqa: PLC0415 - large

    OpenImageIO.attribute("threads", 1)
    OpenImageIO.attribute("limits:imagesize_MB", 0)  # imgpipe has limits of its own
    atexit.register(gc.unfreeze)  # it prints a page about objects that the last collection leaves
    return OpenImageIO


def _copy(file: BinaryIO, spool: NamelessFile) -> None:
    while piece := file.read(_PIECE_BYTES):
        view = memoryview(piece)
        while view:
            view = view[os.write(spool.fd, view) :]
