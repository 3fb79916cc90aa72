"""File beside a run: a report, a list or a timeline."""

from __future__ import annotations

import contextlib
import logging
import os

from imgpipe.errors import OutputError
from imgpipe.publish import OutputFile, explained

__all__ = ["SideFile"]

_log = logging.getLogger(__name__)
_BLOCK = 1 << 16  # bytes that are written at once


class SideFile:
    """A file that appears when it is finished. If its disk is full, the run goes on without it.

    Parameters
    ----------
    path : path-like
        Path of the file. Its folder is made if it is missing: it may be the one of
        outputs that the run makes.

    Raises
    ------
    OutputError
        If it cannot be begun.

    Attributes
    ----------
    lost : bool
        Whether the file could not be written. A warning has told that.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self._made: list[str] = []  # folders, the outer ones first
        try:
            self._make(os.path.dirname(self.name))
            self._file = OutputFile(path)
        except OSError as error:
            self._unmake()
            told = f"{self.name}: cannot write: {explained(error, self.name)}"
            raise OutputError(told) from error
        except OutputError:
            self._unmake()
            raise
        self.lost = False
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        if self.lost:
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _BLOCK:
            self._flush()

    def finish(self) -> None:
        """Make the file appear."""
        self._flush()
        if not self.lost:
            try:
                self._file.commit()
            except OutputError as error:
                self._lose(error)

    def abort(self) -> None:
        """Keep the old file."""
        self._file.abort()
        self._unmake()

    def _unmake(self) -> None:
        """Remove the folders that were made, unless something is in them."""
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _make(self, folder: str) -> None:
        """Make a folder, and those above it, unless they are there."""
        if folder and not os.path.isdir(folder):
            self._make(os.path.dirname(folder))
            os.makedirs(folder, exist_ok=True)
            self._made.append(folder)

    def _flush(self) -> None:
        data, self._parts, self._size = b"".join(self._parts), [], 0
        if data:
            try:
                self._file.write(data)
            except OutputError as error:
                self._lose(error)

    def _lose(self, error: OutputError) -> None:
        self.lost = True
        self._parts = []
        self._file.abort()
        _log.warning("%s; the run goes on without this file", error)
