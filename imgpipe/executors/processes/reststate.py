"""Rest state: the state of a worker between two runs, and its check."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator

import imgpipe
from imgpipe.executors.processes.startup import begun
from imgpipe.machine import private_memory
from imgpipe.records import dataclass

__all__ = ["Rest", "rest"]

_GRAIN = 50_000_000  # nanoseconds by which the time of a file may be early
_LIBRARIES = ("site-packages", "dist-packages")
_NOT_THE_USERS = tuple(
    os.path.join(os.path.dirname(os.path.abspath(str(module.__file__))), "")
    for module in (os, imgpipe)
)


@dataclass(frozen=True)
class _File:
    """A file, and the marks that show a change of it."""

    path: str
    changed: int  # nanoseconds
    marks: tuple[int, ...]

    @classmethod
    def of(cls, path: str) -> _File:
        """Return the file at `path` as it is now."""
        try:
            found = os.stat(path)
        except OSError:
            return cls(path, 0, ())
        marks = found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
        return cls(path, max(found.st_mtime_ns, found.st_ctime_ns), marks)


@dataclass(frozen=True)
class Rest:
    """The state of a worker between two runs.

    Attributes
    ----------
    begun : int
        When it began, in nanoseconds.
    files : tuple of _File
        The files of the user's that it has loaded modules from.
    held : (int, int)
        The memory that it holds; see `machine.private_memory`.
    """

    begun: int
    files: tuple[_File, ...]
    held: tuple[int, int]

    def is_up_to_date(self) -> bool:
        """Return whether a new worker would load the same files."""
        return all(
            one.changed < self.begun - _GRAIN and _File.of(one.path) == one for one in self.files
        )


def rest() -> Rest:
    """Return the state of this worker."""
    return Rest(begun(), tuple(map(_File.of, _paths())), private_memory())


def _paths() -> Iterator[str]:
    """Yield the files of the modules that are the user's: not Python's, imgpipe's or installed."""
    for module in list(sys.modules.values()):
        path = vars(module).get("__file__") if isinstance(module, types.ModuleType) else None
        if not isinstance(path, str) or path.startswith(_NOT_THE_USERS):
            continue
        if not set(_LIBRARIES) & set(path.split(os.sep)):
            yield path
