"""Rows of a large JPEG file by way of a temporary file, if OpenImageIO is missing.

simplejpeg decodes the whole image into a mapped file. A thread drops the pages that it has written,
so that they do not count as memory of this process. Then rows are read from the file.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import threading
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.jpeg.reduced import ReducedSource, reduced
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import Header, JpegError
from imgpipe.formats.origin import Origin
from imgpipe.formats.raw import read_fully
from imgpipe.formats.unnamedfiles import NamelessFile, no_room
from imgpipe.formats.wholedecoding import content_of
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["MappedRows", "MappedSource"]

_DROP_SECONDS = 0.02
_MAPPED_BYTES = 32 << 20  # that the decoder writes between two drops, with much to spare


@dataclass(frozen=True)
class MappedSource:
    """A JPEG file of 8 bits."""

    access: ClassVar[Literal["sequential"]] = "sequential"
    decode_ms: ClassVar[float] = 5.0
    grain: ClassVar[tuple[int, int]] = (1, 0)
    info: ImageInfo
    origin: Origin
    header: Header
    size: int

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
        """Memory beside the rows: the file, the pages of the mapped file, and coefficients."""
        taken = self.size + _MAPPED_BYTES + 64 * self.info.row_bytes
        return taken if self.header.at_once else taken + self.header.coefficient_bytes

    def reduced(self, size: tuple[int, int]) -> ReducedSource | None:
        """Return the smallest image that is enough for a thumbnail of a size; None for the file."""
        return reduced(self.info, self.origin, self.header, size)

    def rows(self, *, ahead: bool = False) -> MappedRows:
        """Return a new position at the first row."""
        return MappedRows(self)


class MappedRows:
    """A reading position in a decoded JPEG file, moving down row by row.

    Parameters
    ----------
    source : MappedSource
        The file.

    Raises
    ------
    CorruptError
        If it is damaged.
    OutputError
        If there is no room for the pixels.
    """

    def __init__(self, source: MappedSource) -> None:
        self._name, self._row_bytes, self._next = source.name, source.info.row_bytes, 0
        data = content_of(source.origin)
        try:
            self._spool = NamelessFile()
        except OSError as error:
            raise no_room("the decoded image", error) from error
        try:
            _decode(data, source.info, self._spool.fd)
            self._file = io.FileIO(self._spool.fd, closefd=False)
        except BaseException as error:
            self._spool.close()
            if isinstance(error, JpegError):
                reason = f"{self._name}: the file is damaged: {error}; get a fresh copy"
                raise CorruptError(reason) from None
            raise

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows."""
        read_fully(self._file, out, self._next * self._row_bytes, self._name)
        self._next += len(out)

    def finish(self) -> None:
        """All was checked when it was decoded."""

    def close(self) -> None:
        """Remove the temporary file."""
        self._spool.close()


def _decode(data: bytes, info: ImageInfo, fd: int) -> None:
    """Decode an image into the file `fd`."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, info.nbytes)  # or a full disk would end this process
        else:
            os.ftruncate(fd, info.nbytes)
    except OSError as error:
        raise no_room("the decoded image", error) from error
    with mmap.mmap(fd, info.nbytes) as mapped, _dropped(mapped):
        damage = _decoded(data, info, mapped)
    if damage:
        raise JpegError(damage)


def _decoded(data: bytes, info: ImageInfo, mapped: mmap.mmap) -> str:
    """Decode an image into a mapped file; return the reason if it is damaged.

    An exception would still refer to the pixels when the mapped file is to be closed.
    """
    try:
        strict.decode(data, out=np.frombuffer(mapped, info.dtype).reshape(info.shape))
    except JpegError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _dropped(mapped: mmap.mmap) -> Iterator[None]:
    """Keep the pages of a mapped file out of the memory of this process."""
    over = threading.Event()

    def drop() -> None:
        while not over.wait(_DROP_SECONDS):
            mapped.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=drop, name="imgpipe-pages", daemon=True)
    if hasattr(mmap, "MADV_DONTNEED"):
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()
