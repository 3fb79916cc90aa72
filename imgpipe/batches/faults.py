"""Faults: errors of the system that affect every file of a batch, such as a full disk."""

from __future__ import annotations

import errno
from typing import Literal

from imgpipe.errors import InputError

__all__ = ["Fault", "fault_in", "unreadable"]

Fault = Literal["no_space", "lost", "files"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_LOST = {errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN}
_FILES = {errno.EMFILE, errno.ENFILE}


def fault_in(stage: str, number: int) -> Fault | None:
    """Return the fault behind the failure of a file; None if it is that of the file alone.

    Parameters
    ----------
    stage : str
        The step that failed.
    number : int
        The number of the error of the system; 0 if there was none.
    """
    if number in _FILES:
        return "files"
    if stage not in ("encode", "write"):
        return None
    if number in _FULL:
        return "no_space"
    return "lost" if number in _LOST else None


def unreadable(path: str, error: OSError) -> InputError:
    """Return the error about a file or a folder that the system does not let us read."""
    if isinstance(error, PermissionError):
        return InputError(f"{path}: may not be read; check its permissions")
    reason = (error.strerror or str(error)).lower()
    return InputError(f"{path}: cannot be read: {reason}; check the path and the disk")
