"""Origins: sources of the bytes of an image. Formats see these, never a path."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from imgpipe.errors import InputError

__all__ = ["FileOrigin", "MemoryOrigin", "Origin", "head_of", "pieces_of", "size_of", "stream_name"]

_PIECE_BYTES = 1 << 20
_NAMES = {
    0: "standard input",
    1: "standard output",
    "<stdin>": "standard input",
    "<stdout>": "standard output",
}


class Origin(Protocol):
    """Bytes that can be read from the beginning as often as needed."""

    @property
    def name(self) -> str:
        """The origin, for messages."""

    @property
    def reference(self) -> Origin | None:
        """The same origin as something small that can be pickled and opened in any process.

        None where only this process can open it; a source of it is not random then.
        """

    def open(self, buffering: int = -1) -> BinaryIO:
        """Return a new binary file at the first byte, which can seek.

        Raises
        ------
        InputError
            If it is missing, or may not be read.
        """


class FileOrigin:
    """A file.

    Parameters
    ----------
    name : str
        Its path as it was given.
    path : str, optional
        Its absolute path: the working folder may change.
    """

    def __init__(self, name: str, path: str = "") -> None:
        self.name, self.path = name, path or _absolute(name)

    def __repr__(self) -> str:
        return f"FileOrigin({self.name!r})"

    @property
    def reference(self) -> FileOrigin:
        """The file itself."""
        return self

    def open(self, buffering: int = -1) -> BinaryIO:
        """Return a new reading position at the first byte."""
        name = self.name
        try:
            mode = os.stat(self.path).st_mode
            if stat.S_ISDIR(mode):
                raise InputError(f"{name}: is a folder; give the path of an image file")
            if not stat.S_ISREG(mode):
                raise InputError(f"{name}: is a pipe or a device; give the path of an image file")
            return open(self.path, "rb", buffering)
        except FileNotFoundError:
            raise InputError(f"{name}: there is no such file; check the path") from None
        except PermissionError:
            raise InputError(f"{name}: may not be read; check its permissions") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{name}: cannot be read: {reason.lower()}; check the path") from error


class MemoryOrigin:
    """Bytes in the memory of this process."""

    def __init__(self, data: bytes, name: str = "memory") -> None:
        self.data, self.name = data, name

    @property
    def reference(self) -> None:
        """Return None: the bytes are not sent to workers."""

    def open(self, buffering: int = -1) -> BinaryIO:
        """Return a new reading position at the first byte."""
        return io.BytesIO(self.data)


def head_of(origin: Origin, size: int) -> bytes:
    """Return the first `size` bytes, or all there are.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    with origin.open(0) as file:
        return _read(file, size, origin.name)


def pieces_of(origin: Origin) -> Iterator[bytes]:
    """Yield all bytes, piece by piece.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    with origin.open(0) as file:
        while piece := _read(file, _PIECE_BYTES, origin.name):
            yield piece


def size_of(file: BinaryIO) -> int:
    """Return the size of an open origin in bytes; leave its position at the first byte."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def stream_name(stream: Any) -> str:
    """Return the name of `stream` in messages."""
    name = getattr(stream, "name", None)
    if isinstance(name, str) and name not in _NAMES:
        return name
    return _NAMES.get(name, "memory" if isinstance(stream, io.BytesIO) else "stream")


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:  # the working folder is gone, and with it all that is named relative to it
        return path


def _read(file: BinaryIO, size: int, name: str) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{name}: cannot be read: {reason}; check the disk") from error
