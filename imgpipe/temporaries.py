"""Temporaries: files under construction, beside the files that they become.

The name of a temporary says which host and process it belongs to, and the file is locked as long
as its writer lives. One that a killed run left behind is swept away by the next process that
writes to the folder. Where files cannot be locked nothing is swept.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import zlib
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed, which serves as the lock
    fcntl = None

__all__ = ["hold", "sweep", "temporary_beside", "text_of"]

_SUFFIX = ".imgpipe"
_STEM_BYTES = 80  # of the name of the file that begin the name of its temporary
_swept: set[tuple[str, int, int]] = set()


def text_of(path: str) -> str:
    """Return the text of a system file, nothing if it cannot be read."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


@functools.cache
def _host() -> str:
    """Return a mark of this host, as long as it is up."""
    boot = text_of("/proc/sys/kernel/random/boot_id")
    name = os.uname().nodename if hasattr(os, "uname") else ""
    return f"{zlib.crc32(f'{name} {boot}'.encode()):08x}"


def temporary_beside(target: str) -> str:
    """Return a name beside `target` that says whose it is."""
    folder, name = os.path.split(target)
    stem = os.fsencode(name)[:_STEM_BYTES].decode(sys.getfilesystemencoding(), "ignore")
    owner = f"{_host()}-{os.getpid()}-{os.urandom(4).hex()}"
    return os.path.join(folder, f".{stem}.{owner}{_SUFFIX}")


def hold(folder: str) -> int:
    """Lock a temporary that is a folder as long as the file descriptor returned is open."""
    fd = os.open(folder, os.O_RDONLY)
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def sweep(folder: str) -> None:
    """Remove the temporaries of runs that were killed, once for every folder."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        found = os.stat(folder)
        mark = folder, found.st_dev, found.st_ino
        if mark in _swept:
            return
        _swept.add(mark)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(_SUFFIX):
                    _remove_abandoned(entry)


def _remove_abandoned(entry: os.DirEntry[str]) -> None:
    """Remove a temporary of this host whose process is gone and whose lock is free."""
    host, _, owner = entry.name.removesuffix(_SUFFIX).rpartition(".")[2].partition("-")
    pid = owner.partition("-")[0]
    if host != _host() or not pid.isdecimal() or _lives(int(pid)):
        return
    with contextlib.suppress(OSError):
        is_folder = entry.is_dir(follow_symlinks=False)
        fd = os.open(entry.path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_folder:
                import shutil  # noqa: PLC0415 - hardly ever needed

                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
        finally:
            os.close(fd)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another program
        return True
    return True
