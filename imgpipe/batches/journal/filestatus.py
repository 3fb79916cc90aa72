"""Status of a file or folder: size, times and inode, which change with its content."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

__all__ = ["Status", "status_at", "status_of"]


class Status(NamedTuple):
    """Properties of a file, as `os.stat` gives them; of a folder, those of all files in it.

    Attributes
    ----------
    size : int
        Bytes; the sum for a folder.
    mtime_ns, ctime_ns : int
        Times of the last changes; the latest for a folder.
    inode : int
        Number of the file or folder.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def status_of(found: os.stat_result) -> Status:
    """Return the status of a file, given what `os.stat` has returned."""
    return Status(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def status_at(path: str) -> Status:
    """Return the status of a file or a folder.

    Raises
    ------
    OSError
        If it is not there, or may not be read.
    """
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        return status_of(found)
    size, mtime_ns, ctime_ns = 0, found.st_mtime_ns, found.st_ctime_ns
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            one = os.stat(os.path.join(folder, name), follow_symlinks=False)
            size += one.st_size if stat.S_ISREG(one.st_mode) else 0
            mtime_ns, ctime_ns = max(mtime_ns, one.st_mtime_ns), max(ctime_ns, one.st_ctime_ns)
    return Status(size, mtime_ns, ctime_ns, found.st_ino)
