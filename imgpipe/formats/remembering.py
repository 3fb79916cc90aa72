"""Remembering of facts about the last file, which is opened again for each of its frames."""

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
    """What was found in a file, until another one is read, or it has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: Any = None
        self._found: list[_T] = []

    def of(self, origin: Origin, file: BinaryIO, find: Callable[[BinaryIO], _T]) -> _T:
        """Return what `find` returns for an open file, or has returned for it.

        Raises
        ------
        Exception
            That of `find`.
        """
        identity = identity_of(file)
        key = (origin.name, identity) if identity is not None else weakref.ref(origin)
        with self._lock:
            if self._found and self._key == key:
                return self._found[0]
        file.seek(0)
        found = find(file)
        with self._lock:
            self._key, self._found = key, [found]
        return found
