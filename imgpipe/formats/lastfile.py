"""Facts about the last file, for its next frame."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, BinaryIO, Generic, TypeVar

from imgpipe.formats.origin import Origin

__all__ = ["Identity", "LastFile", "identity_of"]

_T = TypeVar("_T")
Identity = tuple[int, int, int, int]


def identity_of(file: BinaryIO) -> Identity | None:
    """Return numbers that tell a file from others, and from itself before a change.

    None if it is no file of the system.
    """
    try:
        found = os.fstat(file.fileno())
    except (OSError, AttributeError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class LastFile(Generic[_T]):
    """Facts about a file, kept until another one is read, or the file has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: Any = None
        self._found: list[_T] = []

    def of(self, origin: Origin, file: BinaryIO, find: Callable[[BinaryIO], _T]) -> _T:
        """Return the result of `find` for an open file, new or remembered.

        Raises
        ------
        Exception
            That of `find`.
        """
        for known in self.known(origin, file):
            return known
        file.seek(0)
        found = find(file)
        self.keep(origin, file, found)
        return found

    def known(self, origin: Origin, file: BinaryIO) -> list[_T]:
        """Return the remembered facts about an open file: one entry, or none."""
        with self._lock:
            return self._found if self._key == _key(origin, file) else []

    def keep(self, origin: Origin, file: BinaryIO, found: _T) -> None:
        """Remember the facts about an open file, and forget the last file."""
        with self._lock:
            self._key, self._found = _key(origin, file), [found]


def _key(origin: Origin, file: BinaryIO) -> Any:
    identity = identity_of(file)
    return weakref.ref(origin) if identity is None else (origin.name, identity)
