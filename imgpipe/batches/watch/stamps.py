"""Stamps: properties of a file that change with it."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

__all__ = ["Stamp", "stamp_of"]


class Stamp(NamedTuple):
    """The properties of a file, or of a folder that is an image.

    Attributes
    ----------
    device, inode, mode, owner, group, mtime_ns, ctime_ns : int
        As in `os.stat_result`. For a folder: the latest times of all that is in it.
    size : int
        In bytes. For a folder: the sum of its files.
    """

    device: int
    inode: int
    mode: int
    owner: int
    group: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def differs(self, other: Stamp) -> bool:
        """Return whether more than the time of the last change of the inode is different.

        A hard link that is made to the file, as by a backup, changes nothing else.
        """
        return self[:-1] != other[:-1]


def stamp_of(path: str) -> Stamp | None:
    """Return the stamp of a file; None if there is none that can be looked at."""
    try:
        found = os.stat(path)
        own = _stamp(found)
        return _of_folder(path, own) if stat.S_ISDIR(found.st_mode) else own
    except OSError:
        return None


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def _of_folder(path: str, own: Stamp) -> Stamp:
    """Return the stamp of a folder with all that is in it."""
    size, times, changes = 0, [own.mtime_ns], [own.ctime_ns]
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            found = os.stat(os.path.join(folder, name))
            size += 0 if stat.S_ISDIR(found.st_mode) else found.st_size
            times.append(found.st_mtime_ns)
            changes.append(found.st_ctime_ns)
    return own._replace(size=size, mtime_ns=max(times), ctime_ns=max(changes))
