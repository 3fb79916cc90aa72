"""Publishing of output files: complete or not at all.

Bytes go to a temporary file beside the destination. `commit` flushes it to the disk and
renames it, so the destination holds nothing, the complete old file or the complete new one
at every instant. A file that cannot be replaced in this way is refused before any work is done.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from imgpipe.errors import OutputError
from imgpipe.streams import keep_numbers_taken
from imgpipe.temporaries import sweep, temporary_beside, text_of

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed, which serves as the lock
    fcntl = None

__all__ = [
    "OutputFile",
    "explained",
    "folder_made",
    "make_folder",
    "reserved",
    "resolved",
    "start_writeback",
    "sync_folder",
    "synced",
]

_WRITEBACK_BYTES = 2 << 20
_JOINED_BYTES = 64 << 10  # of parts that are written together: a call takes as long as their copy
# Errors of file systems that do not know a call: FAT, CIFS and FUSE do not agree on one.
_UNSUPPORTED = {
    errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.ENODEV,
    errno.ENOTTY,
}  # fmt: skip


class OutputFile:
    """A file under construction.

    Parameters
    ----------
    path : path-like
        Path of the file. A symbolic link is followed to its target; a device
        or a pipe is written to and never replaced.
    temporary : str
        Path of the temporary file, where others have chosen it: they lock it, and remove it.

    Raises
    ------
    OutputError
        If the destination is a folder, or cannot be written or replaced.
    """

    def __init__(self, path: str | os.PathLike[str], temporary: str = "") -> None:
        self.name = os.fspath(path)
        self._target = self.working_path = resolved(self.name)
        self._fd = -1
        self._begun = 0  # bytes that the disk has begun to write
        self.replaces = False
        self.size = 0
        keep_numbers_taken()
        with self._explained():
            self._old = _existing(self.name)
            if self._old is None or _is_named(self._target, self._old):
                if self._old is not None:
                    _check_replaceable(self._target, self._old)
                self.replaces = True
                if temporary:
                    self.working_path = temporary
                    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
                    self._fd = os.open(temporary, flags, self._mode)
                else:
                    sweep(os.path.dirname(self._target))
                    self._create_beside()
            else:  # /dev/stdout leads to a file without a path
                self._target = self.working_path = self.name

    def write(self, *parts: bytes | memoryview) -> None:
        """Append `parts`."""
        with self._explained():
            if self._fd < 0:  # opening a pipe waits for its reader
                self._fd = os.open(self._target, os.O_WRONLY | os.O_TRUNC)
            views = [memoryview(part).cast("B") for part in parts]
            size = sum(map(len, views))
            for view in [memoryview(b"".join(views))] if size <= _JOINED_BYTES else views:
                left = view
                while left:
                    left = left[os.write(self._fd, left) :]
            self.size += size
        if self.replaces and self.size - self._begun >= _WRITEBACK_BYTES:
            start_writeback(self._fd, self._begun, self.size)
            self._begun = self.size

    def reserve(self, size: int) -> None:
        """Make the file `size` bytes long, so that workers can write anywhere in it."""
        with self._explained():
            if not self.replaces:
                raise OSError(errno.ESPIPE, "rows cannot be placed in a pipe or device")
            reserved(self._fd, size)
        self.size = size

    def flush(self) -> int:
        """Have the bytes on the disk; return their number."""
        with self._explained():
            if self.replaces:
                self._complete()
                _supported(os.fsync, self._fd)
        return self.size

    def commit(self) -> int:
        """Make the file appear at its path; return its size in bytes."""
        self.flush()
        with self._explained():
            if self.replaces:
                os.replace(self.working_path, self._target)
                sync_folder(os.path.dirname(self._target))
            self._close()
        return self.size

    def finish(self) -> int:
        """Complete the temporary, for others to publish; return its size in bytes.

        It is not on the disk before `sync`.
        """
        with self._explained():
            self._complete()
        return self.size

    def sync(self) -> None:
        """Have a temporary that is complete on the disk, and close it."""
        with self._explained():
            _supported(os.fsync, self._fd)
        self._close()

    def _complete(self) -> None:
        self.size = os.fstat(self._fd).st_size  # workers may have ended it elsewhere
        if self._old is not None:
            with contextlib.suppress(OSError):  # not every file system has modes
                os.chmod(self.working_path, stat.S_IMODE(self._old.st_mode))

    def abort(self) -> None:
        """Remove the temporary file. Does nothing after `commit`."""
        if self._fd < 0:
            return
        if self.replaces:
            with contextlib.suppress(OSError):
                os.unlink(self.working_path)
        self._close()

    def withdraw(self) -> None:
        """Remove the file after `commit`, unless it has replaced another one."""
        if self.replaces and self._old is None:
            os.unlink(self._target)

    @property
    def _mode(self) -> int:
        return 0o666 if self._old is None else stat.S_IMODE(self._old.st_mode) & 0o777 | 0o600

    def _create_beside(self) -> None:
        """Create the temporary, no more readable than the file that it replaces."""
        while True:
            self.working_path = temporary_beside(self._target)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
                self._fd = os.open(self.working_path, flags, self._mode)
            except OSError as error:
                if (remedy := _REMEDIES.get(error.errno or 0)) is None:
                    raise
                told = f"{_NO_TEMPORARY}; {remedy}"
                raise _RefusedError(error.errno, told, self.working_path) from error
            if fcntl is None:
                return
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:  # else a sweep came between creation and lock
                return
            os.close(self._fd)
            self._fd = -1

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abort()
            raise OutputError(
                f"{self.name}: cannot write: {explained(error, self._target)}"
            ) from error
        except BaseException:
            self.abort()
            raise


class _RefusedError(OSError):
    """A destination that will not do, with the reason in words."""


_NO_TEMPORARY = "no file can be made in {folder}, where imgpipe first writes a temporary file"
_REMEDIES = {
    errno.EACCES: "choose another place or change the permissions of {place}",
    errno.EPERM: "choose another place, or remove the protection of {place}, such as chattr +i",
}
_MOUNTED = (
    "it is a mount point, which cannot be replaced; mount its folder {folder} instead, or choose "
    "another place"
)
_OTHERS = (
    "it belongs to somebody else, and in {folder} only its owner may replace it; choose another "
    "place"
)
_CLOSED = "the folder {folder} takes no new files; choose another place"
_REASONS = {
    errno.ENOENT: "there is no folder {folder}; create it first",
    errno.ENOTDIR: "{folder} is no folder; choose another place",
    errno.EISDIR: "it is a folder; give the path of a file",
    errno.EACCES: f"permission denied; {_REMEDIES[errno.EACCES]}",
    errno.EPERM: f"the system does not allow it; {_REMEDIES[errno.EPERM]}",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "your share of the disk is full; free some space or choose another place",
    errno.EFBIG: "the file system takes no file of this size; choose another place",
    errno.ENAMETOOLONG: "the file name is too long; choose a shorter one",
    errno.EPIPE: "the reader at the other end went away",
    errno.EBUSY: "it is in use by the system and cannot be replaced; choose another place",
    errno.EXDEV: "the file system of {folder} cannot replace files; choose another place",
    errno.ENOSYS: "the file system of {folder} cannot replace files; choose another place",
}


def explained(error: OSError, target: str) -> str:
    """Return the cause of a failed write to `target`, and the remedy."""
    folder = os.path.dirname(target) or os.curdir
    known = error.strerror if isinstance(error, _RefusedError) else _REASONS.get(error.errno or 0)
    if error.errno == errno.ENOENT and os.path.isdir(folder):  # as in /proc
        known = _CLOSED
    in_words = (known or "").format(folder=folder, place=_refusing(error, target))
    return in_words or (error.strerror or str(error)).lower()


def _refusing(error: OSError, target: str) -> str:
    """Return the file or folder that a write was refused by: the nearest one that there is."""
    place = error.filename if isinstance(error.filename, str) else target
    if error.filename2 is not None:  # a rename is refused by the folder
        place = os.path.dirname(target)
    while place and not os.path.lexists(place):
        place = os.path.dirname(place)
    return place or os.curdir


def start_writeback(fd: int, begin: int, end: int) -> None:
    """Have the system begin to write a part of a file to the disk, and do not wait for that.

    The disk is kept busy while there is still work to do, so that `fsync` finds little left. Linux
    begins where it is told that the part is not needed any more. What is still to be written stays
    in memory, and is there for the next reader.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # it is only advice
            os.posix_fadvise(fd, begin, end - begin, os.POSIX_FADV_DONTNEED)


def resolved(name: str) -> str:
    """Return the absolute path of a file that is to be written, without links.

    Raises
    ------
    OutputError
        If the path is relative, and the working folder is gone.
    """
    try:
        return os.path.realpath(name)
    except FileNotFoundError:
        raise OutputError(
            f"{name}: cannot write: the working folder is gone; change to another one, or give an "
            "absolute path"
        ) from None


def reserved(fd: int, size: int) -> None:
    """Make the file at `fd` `size` bytes long, on the disk too where that is supported."""
    if not size:
        return
    if hasattr(os, "posix_fallocate") and _supported(os.posix_fallocate, fd, 0, size):
        return
    if not _supported(os.truncate, fd, size):
        os.lseek(fd, size - 1, os.SEEK_SET)  # FAT fills the gap with zeros
        os.write(fd, b"\0")
        os.lseek(fd, 0, os.SEEK_SET)


def _supported(call: Callable[..., None], *args: int) -> bool:
    """Call; return whether the file system knows such a call."""
    try:
        call(*args)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def _existing(name: str) -> os.stat_result | None:
    try:
        found = os.stat(name)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, "is a folder")
    return found


def _is_named(path: str, found: os.stat_result) -> bool:
    """Return whether `path` is a regular file and the one that was `found`."""
    with contextlib.suppress(OSError):
        return stat.S_ISREG(found.st_mode) and os.path.samestat(os.stat(path), found)
    return False


def _check_replaceable(path: str, old: os.stat_result) -> None:
    """Refuse a file that the rename at the very end would fail to replace."""
    parent = os.path.dirname(path)
    fd = os.open(path, os.O_WRONLY)
    try:
        if _mount(fd) != _mount_of(parent):
            raise _RefusedError(errno.EBUSY, _MOUNTED)
    finally:
        os.close(fd)
    folder = os.stat(parent)
    masters = 0, folder.st_uid, old.st_uid
    if folder.st_mode & stat.S_ISVTX and hasattr(os, "geteuid") and os.geteuid() not in masters:
        raise _RefusedError(errno.EPERM, _OTHERS)


def _mount_of(folder: str) -> str:
    if not hasattr(os, "O_PATH"):
        return ""
    fd = os.open(folder, os.O_PATH)
    try:
        return _mount(fd)
    finally:
        os.close(fd)


def _mount(fd: int) -> str:
    """Return the mount through which the file at `fd` was opened; empty if it is not known."""
    lines = text_of(f"/proc/self/fdinfo/{fd}").splitlines()
    return next((line for line in lines if line.startswith("mnt_id:")), "")


def synced(path: str) -> int:
    """Have a file or folder on the disk, where that is supported; return the size of a file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        _supported(os.fsync, fd)
        found = os.fstat(fd)
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    finally:
        os.close(fd)


def sync_folder(folder: str) -> None:
    """Have the names in a folder on the disk, where that is supported."""
    with contextlib.suppress(OSError):  # not every file system lets a folder be opened
        fd = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def make_folder(folder: str) -> None:
    """Make a folder, and those above it, unless they are there; have their names on the disk.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    for above in folder_made(folder):
        sync_folder(above)


def folder_made(folder: str) -> list[str]:
    """Make a folder, and those above it, unless they are there.

    Returns
    -------
    list of str
        The folders with new names in them, which `sync_folder` has on the disk.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if os.path.isdir(folder or os.curdir):
        return []
    above = os.path.dirname(folder.rstrip(os.sep))
    made = folder_made(above)
    os.makedirs(folder, exist_ok=True)
    return [*made, above]
