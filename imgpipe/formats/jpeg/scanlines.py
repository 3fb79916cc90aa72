"""Rows of a JPEG file as a stream, decoded by OpenImageIO."""

from __future__ import annotations

import contextlib
import os
from typing import ClassVar, Literal

from imgpipe.errors import CorruptError
from imgpipe.formats.jpeg.groups import GroupSource, in_groups
from imgpipe.formats.jpeg.reduced import ReducedSource, reduced
from imgpipe.formats.jpeg.splicing import bare as without_metadata
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.leftoverbytes import last_byte, likely_last_byte, shifted
from imgpipe.formats.jpegs.markers import Header, JpegError
from imgpipe.formats.jpegs.scanlines import LIBRARY_BYTES, TOO_EARLY, Scanlines, band_rows
from imgpipe.formats.origin import Origin
from imgpipe.formats.unnamedfiles import NamelessFile, no_room, scratch_folder
from imgpipe.image import ImageInfo, Pixels
from imgpipe.machine import lies_in_memory
from imgpipe.records import dataclass

__all__ = ["SMALL", "ScanlineRows", "ScanlineSource"]

SMALL = 16_000_000
"""Pixels of images that are decoded at once: to import OpenImageIO takes as long, and memory."""

_PIECE_BYTES = 1 << 20
_END = b"\xff\xd9"


@dataclass(frozen=True)
class ScanlineSource:
    """A JPEG file of 8 bits, gray or RGB.

    Attributes
    ----------
    info : ImageInfo
        The image.
    origin : Origin
        The file.
    header : Header
        Its header.
    size : int
        Its bytes.
    bare : bool
        Whether OpenImageIO must not see its metadata: where they declare a gain map, it decodes
        another image, of high dynamic range.
    salvage : bool
        Whether rows after damage are given too, as the decoder has them.
    """

    access: ClassVar[Literal["sequential"]] = "sequential"
    decode_ms: ClassVar[float] = 4.0
    grain: ClassVar[tuple[int, int]] = (1, 0)
    info: ImageInfo
    origin: Origin
    header: Header
    size: int
    bare: bool = False
    salvage: bool = False

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        return self.header.details

    @property
    def decode_bytes(self) -> int:
        """Memory beside the rows: OpenImageIO, its rows, and the coefficients of several scans."""
        row = self.info.row_bytes
        taken = LIBRARY_BYTES + (band_rows(row) + 32) * row
        if self.salvage and self.info.pixels <= SMALL:
            taken += 2 * self.info.nbytes  # to be compared, and the file
        return taken if self.header.at_once else taken + self.header.coefficient_bytes

    @property
    def scratch_bytes(self) -> int:
        """Size of the copy that OpenImageIO reads; 0 if it reads the file itself."""
        needed = self.bare or self.origin.reference is None
        return self.size if needed or self.shifts else 0

    @property
    def shifts(self) -> bool:
        """Return whether it reads a copy that shows bytes that are left over.

        Not where it reads all bytes before the first row, or a copy would take memory.
        """
        linux = os.path.isdir("/proc/self/fd")
        return self.header.at_once and linux and not lies_in_memory(scratch_folder())

    def reduced(self, size: tuple[int, int]) -> ReducedSource | None:
        """Return the smallest image that is enough for a thumbnail of a size; None for the file."""
        return reduced(self.info, self.origin, self.header, size)

    def rows(self, *, ahead: bool = False) -> ScanlineRows:
        """Return a new position at the first row."""
        return ScanlineRows(self)

    def in_groups(self) -> GroupSource | None:
        """Return the same file for workers that decode its groups; None if it has none."""
        return in_groups(self.info, self.origin)


class ScanlineRows:
    """A reading position in a JPEG file, moving down row by row.

    Parameters
    ----------
    source : ScanlineSource
        The file.

    Attributes
    ----------
    doubtful : bool
        Whether rows may be wrong: they are after damage.
    """

    def __init__(self, source: ScanlineSource) -> None:
        self._name, self._info, self._start = source.name, source.info, source.header.start
        self._salvage, self._at_once = source.salvage, source.header.at_once
        self.doubtful = False
        self._last: int | None = None  # coded byte, where that is known
        self._shift = 0  # of coded bytes in the copy
        self._spool: NamelessFile | None = None
        self._lines: Scanlines | None = None
        self._file = source.origin.open(0)
        try:
            if not source.header.at_once:
                strict.check_scans(iter(lambda: self._file.read(_PIECE_BYTES), b""))
                self._file.seek(0)
            self._lines = Scanlines(self._path(source), source.info.shape)
        except BaseException as error:
            self.close()
            if isinstance(error, JpegError):
                raise self._damaged(error) from None
            raise

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows.

        Raises
        ------
        CorruptError
            If the rows are not there or are damaged.
        """
        assert self._lines is not None
        try:
            if self._salvage:
                self._salvage_into(out, self._lines)
            else:
                self._lines.read_into(out)
        except JpegError as error:
            raise self._damaged(error) from None

    def _salvage_into(self, out: Pixels, lines: Scanlines) -> None:
        damage = lines.salvage_into(out)
        if damage == TOO_EARLY and self._at_once:
            raise JpegError(damage)
        self.doubtful |= bool(damage)

    def finish(self) -> None:
        """Check that nothing is left over, and that the file has its end mark.

        Raises
        ------
        CorruptError
            If that is not so.
        """
        if not self.doubtful and self._leaves_bytes():
            raise self._damaged("bytes are left over")
        if self._salvage:
            self._compare()
            return
        end, after = self._file.seek(0, os.SEEK_END), b""
        while end > self._start:
            begin = max(self._start, end - _PIECE_BYTES)
            self._file.seek(begin)
            piece = self._file.read(end - begin) + after
            if _END in piece:
                return
            end, after = begin, piece[:1]
        raise self._damaged("its pixels end too early")

    def _compare(self) -> None:
        """Have a small file decoded strictly, if no damage was found yet.

        Raises
        ------
        CorruptError
            If it has damage that a decoder of rows cannot notice.
        """
        if self.doubtful or self._info.pixels > SMALL:
            return
        self._file.seek(0)
        try:
            strict.decode(self._file.read())
        except JpegError as error:
            raise self._damaged(error) from None

    def close(self) -> None:
        """Let go of the file."""
        if self._lines is not None:
            self._lines.close()
        self._file.close()
        if self._spool is not None:
            self._spool.close()

    def _path(self, source: ScanlineSource) -> str:
        """Return a path of the file, or of a copy if it has none, or is to be bare."""
        near = os.path.isdir("/proc/self/fd")
        if not source.bare and near and (copy := self._shifted(source)):
            return copy
        with contextlib.suppress(OSError):
            number = self._file.fileno()
            if not source.bare:
                return f"/proc/self/fd/{number}" if near else self._file.name
        try:
            self._file.seek(0)
            self._spool, self._last = NamelessFile(), None
            for piece in without_metadata(self._file):
                self._spool.write(piece)
        except OSError as error:
            raise no_room("a copy of the input", error) from error
        return self._spool.path

    def _shifted(self, source: ScanlineSource) -> str:
        """Return the path of a copy that shows whether bytes are left over; "" if there is none.

        Of the file itself it shows only if there are several thousand of them.
        """
        if not source.header.at_once:  # the decoder reads all of it before the first row
            return ""
        self._last = likely_last_byte(self._file, source.header.start)
        if self._last is None or not source.shifts:
            return ""
        shift, pieces = shifted(self._file, source.header.sof.position, self._last)
        try:
            self._spool = NamelessFile()
            for piece in pieces:
                self._spool.write(piece)
        except OSError:
            if self._spool is not None:
                self._spool.close()
                self._spool = None
            return ""
        self._shift = shift
        return self._spool.path

    def _leaves_bytes(self) -> bool:
        """Return whether the decoder has all pixels, and not read the last coded byte."""
        assert self._lines is not None
        read = None if self._last is None else self._lines.position
        if read is None or self._last is None or read > self._last + self._shift:
            return False
        last = last_byte(self._file, self._start)
        return last is not None and read <= last + self._shift

    def _damaged(self, reason: object) -> CorruptError:
        done = self._lines.next if self._lines is not None else 0
        place = f" after row {done} of {self._info.height}" if done else ""
        return CorruptError(f"{self._name}: the file is damaged: {reason}{place}; get a fresh copy")
