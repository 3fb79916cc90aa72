"""Streams as origins and targets: standard input and output, sockets, any binary file."""

from __future__ import annotations

import os
import weakref
from typing import Any

from imgpipe.errors import InputError, OutputError, UsageError
from imgpipe.formats.base import Data
from imgpipe.formats.origin import FileOrigin, stream_name
from imgpipe.formats.unnamedfiles import NamelessFile, no_room
from imgpipe.publish import explained

__all__ = ["SpooledOrigin", "StreamTarget"]

_PIECE_BYTES = 1 << 20


class SpooledOrigin(FileOrigin):
    """A stream, read to its end into a file without a name that lives as long as this object.

    Parameters
    ----------
    stream : binary file
        An object with a method ``read(size)``.

    Raises
    ------
    InputError
        If it cannot be read.
    UsageError
        If it gives text.
    OutputError
        If there is no room for its bytes.
    """

    def __init__(self, stream: Any) -> None:
        name = stream_name(stream)
        try:
            file = NamelessFile()
        except OSError as error:
            raise no_room("the input", error) from error
        weakref.finalize(self, file.close)
        while piece := _read(stream, name):
            view = memoryview(piece)
            try:
                while view:
                    view = view[os.write(file.fd, view) :]
            except OSError as error:
                raise no_room("the input", error) from error
        super().__init__(name, file.path)

    def __reduce__(self) -> tuple[type[FileOrigin], tuple[str, str]]:
        return FileOrigin, (self.name, self.path)


class StreamTarget:
    """A stream that is written from front to back. Written bytes cannot be taken back.

    Parameters
    ----------
    stream : binary file
        An object with a method ``write(bytes)``.
    """

    amends = False

    def __init__(self, stream: Any) -> None:
        self.name, self.size = stream_name(stream), 0
        self._stream = stream

    def write(self, *parts: Data) -> None:
        """Write `parts`."""
        for part in parts:
            view = memoryview(part).cast("B")
            self.size += len(view)
            try:
                while view:
                    done = self._stream.write(view)
                    view = view[len(view) if done is None else done :]
            except TypeError as error:
                raise OutputError(
                    f"{self.name}: takes no bytes; give a binary file, such as sys.stdout.buffer"
                ) from error
            except (OSError, ValueError) as error:
                raise self._refused(error) from error

    def amend(self, position: int, data: Data) -> None:
        """Refuse: written bytes are gone."""
        raise OutputError(f"{self.name}: is a stream, whose written bytes cannot be changed")

    def place(self, size: int) -> None:
        """Return nothing: a stream has no places."""

    def commit(self) -> int:
        """Have everything written; return the size in bytes."""
        try:
            if hasattr(self._stream, "flush"):
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise self._refused(error) from error
        return self.size

    def abort(self) -> None:
        """Nothing can be taken back."""

    def _refused(self, error: OSError | ValueError) -> OutputError:
        reason = explained(error, self.name) if isinstance(error, OSError) else str(error)
        return OutputError(f"{self.name}: cannot write: {reason}")


def _read(stream: Any, name: str) -> bytes:
    try:
        piece = stream.read(_PIECE_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: cannot be read: {reason.lower()}; try again") from error
    if isinstance(piece, str):
        raise UsageError(f"{name}: gives text; give a stream of bytes, such as sys.stdin.buffer")
    return piece or b""
