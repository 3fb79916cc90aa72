"""File beside a batch: a report or a list, which is written while the batch runs."""

from __future__ import annotations

import logging
import os

from imgpipe.errors import OutputError
from imgpipe.publish import OutputFile

__all__ = ["SideFile"]

_log = logging.getLogger(__name__)
_BLOCK = 1 << 16  # bytes that are written at once


class SideFile:
    """A file that appears when it is finished. If its disk is full, the batch goes on without it.

    Parameters
    ----------
    path : path-like
        Where the file is to appear.

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
        self._file = OutputFile(path)
        self.name = self._file.name
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
        """Leave what was there before."""
        self._file.abort()

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
        _log.warning("%s; the batch goes on without this file", error)
