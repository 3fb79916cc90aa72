"""Moves: done and failed files leave the watched folder."""

from __future__ import annotations

import errno
import itertools
import os
import stat

from imgpipe.errors import OutputError
from imgpipe.publish import explained, make_folder

__all__ = ["move"]

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def move(path: str, below: str, folder: str) -> str:
    """Move a file into another folder of its file system; return its new path.

    Nothing there is replaced: a file whose name is taken gets a number.

    Parameters
    ----------
    path : str
        The file.
    below : str
        Its path below the folder that is watched, which it keeps.
    folder : str
        The folder.

    Raises
    ------
    OutputError
        If it cannot be moved. It is where it was.
    """
    target = os.path.join(folder, below)
    stem, suffix = os.path.splitext(target)
    try:
        make_folder(os.path.dirname(target))
        for number in itertools.count(1):
            place = target if number == 1 else f"{stem}-{number}{suffix}"
            if _moved(path, place):
                break
    except OSError as error:
        reason = "is on another file system" if error.errno == errno.EXDEV else explained(
            error, target
        )  # fmt: skip
        raise OutputError(f"{path}: cannot be moved to {folder}: {reason}") from error
    return place


def _moved(path: str, place: str) -> bool:
    """Move a file; return False if something is in the way.

    A hard link never replaces anything. If the process ends before the old name is gone, the next
    one finds the same file there and removes the old name.
    """
    found = os.lstat(path)
    if stat.S_ISREG(found.st_mode) and _linked(path, place):
        os.unlink(path)
    elif os.path.lexists(place):
        if not os.path.samestat(os.lstat(place), found):
            return False
        os.unlink(path)
    else:
        os.rename(path, place)
    return True


def _linked(path: str, place: str) -> bool:
    """Give a file a second name; return False if that name is taken, or there are no links."""
    try:
        os.link(path, place, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True
