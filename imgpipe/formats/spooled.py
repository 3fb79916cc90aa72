"""Spooled targets: bytes that go through a temporary file, for formats that change them later."""

from __future__ import annotations

import os

from imgpipe.formats.base import Data
from imgpipe.formats.target import FilePlace, Target
from imgpipe.formats.unnamedfiles import NamelessFile, no_room

__all__ = ["SpooledTarget", "amendable"]


def amendable(target: Target) -> Target:
    """Return a target whose written bytes can be changed: `target`, or a file on the way to it."""
    return target if target.amends else SpooledTarget(target)


class SpooledTarget:
    """A temporary file whose bytes go to a target in the end.

    Parameters
    ----------
    target : Target
        Takes the bytes at `commit`.

    Raises
    ------
    OutputError
        If there is no room for the file.
    """

    amends = True

    def __init__(self, target: Target) -> None:
        self.name, self.size = target.name, 0
        self._target = target
        try:
            self._file = NamelessFile()
        except OSError as error:
            raise no_room("the output", error) from error

    def write(self, *parts: Data) -> None:
        """Append `parts`."""
        for part in parts:
            self._write(self.size, part)
            self.size += memoryview(part).nbytes

    def amend(self, position: int, data: Data) -> None:
        """Change bytes that were written, from `position` on."""
        self._write(position, data)

    def place(self, size: int) -> FilePlace:
        """Return the temporary file."""
        return FilePlace(self.name, self._file.path)

    def commit(self) -> int:
        """Pass the bytes on; return their number."""
        for piece in self._file.pieces():
            self._target.write(piece)
        size = self._target.commit()
        self._file.close()
        return size

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._file.close()
        self._target.abort()

    def _write(self, position: int, data: Data) -> None:
        view = memoryview(data).cast("B")
        try:
            os.lseek(self._file.fd, position, os.SEEK_SET)
            while view:
                view = view[os.write(self._file.fd, view) :]
        except OSError as error:
            raise no_room("the output", error) from error
