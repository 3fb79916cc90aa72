"""Targets: destinations of the bytes of an image. Formats see these, never a path.

The bytes appear as a whole or not at all: `commit` publishes them, `abort` leaves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from imgpipe.errors import OutputError
from imgpipe.formats.base import Data
from imgpipe.publish import OutputFile, explained, start_writeback

__all__ = ["FilePlace", "FileTarget", "MemoryTarget", "Place", "Target"]

_WRITEBACK_BYTES = 256 << 10  # fewer are not worth the call


class Place(Protocol):
    """A file for workers to write at any position. Picklable, and opened in each process."""

    @property
    def name(self) -> str:
        """The target, for messages."""

    def write(self, parts: Iterable[tuple[int, Data]]) -> None:
        """Write bytes, each at its position.

        Raises
        ------
        OutputError
            If they cannot be written.
        """

    def end(self, size: int) -> None:
        """Cut the file off after `size` bytes, or make it that long.

        Raises
        ------
        OutputError
            If that cannot be done.
        """


class Target(Protocol):
    """Bytes under construction."""

    name: str
    size: int

    @property
    def amends(self) -> bool:
        """Return whether written bytes can be changed; if not, `spooled.amendable` helps."""

    def write(self, *parts: Data) -> None:
        """Append `parts`."""

    def amend(self, position: int, data: Data) -> None:
        """Change bytes that were written, from `position` on."""

    def place(self, size: int) -> Place | None:
        """Make room for `size` bytes that workers will write; None where they cannot.

        A sink has to append all of its bytes then. The size may be 0 where it is not known yet.
        """

    def commit(self) -> int:
        """Publish the written bytes; return their number."""

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""


class FilePlace(NamedTuple):
    """A file that workers write to.

    Attributes
    ----------
    name : str
        Its final path, for messages.
    path : str
        Its path while it is written.
    lasting : bool
        Whether it is an output: the disk begins to write its bytes at once, so that the end of the
        run has little left to wait for. The bytes of a scratch file need never get there.
    """

    name: str
    path: str
    lasting: bool = False

    def write(self, parts: Iterable[tuple[int, Data]]) -> None:
        """Write bytes, each at its position."""
        begin, end, size = sys.maxsize, 0, 0  # of bytes that the disk has not begun to write
        with self._opened() as fd:
            for position, data in parts:
                if position != end and self._begun(fd, begin, end, size):
                    begin, end, size = sys.maxsize, 0, 0
                stop = _write_at(fd, data, position)
                begin, end, size = min(begin, position), max(end, stop), size + stop - position
            self._begun(fd, begin, end, size)

    def end(self, size: int) -> None:
        """Cut the file off after `size` bytes, or make it that long."""
        with self._opened() as fd:
            os.ftruncate(fd, size)

    def _begun(self, fd: int, begin: int, end: int, size: int) -> bool:
        """Have the disk begin to write, if there is enough; return whether there is."""
        enough = size >= _WRITEBACK_BYTES
        if enough and self.lasting:
            start_writeback(fd, begin, end)
        return enough

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            fd = os.open(self.path, os.O_WRONLY)
            try:
                yield fd
            finally:
                os.close(fd)
        except OSError as error:
            reason = explained(error, self.name)
            raise OutputError(f"{self.name}: cannot write: {reason}") from error


class FileTarget(OutputFile):
    """A file. A pipe or a device is written to from front to back."""

    @property
    def amends(self) -> bool:
        """Return whether it is a file."""
        return self.replaces

    def amend(self, position: int, data: Data) -> None:
        """Change bytes that were written, from `position` on."""
        with self._explained():
            if not self.replaces:
                raise OSError(errno.ESPIPE, "the bytes in a pipe or device cannot be changed")
            _write_at(self._fd, data, position)
            os.lseek(self._fd, 0, os.SEEK_END)  # not every system has a call without a position

    def place(self, size: int) -> FilePlace | None:
        """Make the file `size` bytes long, and let workers write anywhere in it."""
        if not self.replaces:
            return None
        self.reserve(size)
        return FilePlace(self.name, self.working_path, lasting=True)


class MemoryTarget:
    """Bytes in the memory of this process.

    Parameters
    ----------
    out : io.BytesIO
        Takes them at `commit`, from its position on.
    """

    amends = True

    def __init__(self, out: io.BytesIO, name: str = "memory") -> None:
        self.name, self.size = name, 0
        self._out: io.BytesIO | None = out
        self._content = io.BytesIO()

    def write(self, *parts: Data) -> None:
        """Append `parts`."""
        for part in parts:
            self.size += self._content.write(part)

    def amend(self, position: int, data: Data) -> None:
        """Change bytes that were written, from `position` on."""
        self._content.getbuffer()[position : position + memoryview(data).nbytes] = data

    def place(self, size: int) -> None:
        """Return nothing: other processes do not reach this memory."""

    def commit(self) -> int:
        """Write all bytes to `out`; return their number."""
        if self._out is not None:
            self._out.write(self._content.getbuffer())
            self.abort()
        return self.size

    def abort(self) -> None:
        """Drop the written bytes."""
        self._out, self._content = None, io.BytesIO()


def _write_at(fd: int, data: Data, position: int) -> int:
    """Write `data` at `position`, and return the position of its end."""
    view = memoryview(data).cast("B")
    while view:
        if hasattr(os, "pwrite"):
            done = os.pwrite(fd, view, position)
        else:
            os.lseek(fd, position, os.SEEK_SET)
            done = os.write(fd, view)
        view, position = view[done:], position + done
    return position
