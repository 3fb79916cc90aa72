"""Output files that appear whole or not at all.

Bytes go to a temporary file beside the destination. `commit` flushes it to the disk and
renames it, so the destination holds nothing, the complete old file or the complete new one
at every instant. The temporary is locked as long as its writer lives; one that a killed run
left behind carries no lock, and the next run to the same folder sweeps it away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgpipe.errors import OutputError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed, which serves as the lock
    fcntl = None

__all__ = ["OutputFile", "explained"]

_SUFFIX = ".imgpipe-part"
_WRITEBACK_BYTES = 16 << 20


class OutputFile:
    """A file under construction.

    Parameters
    ----------
    path : path-like
        Where the file is to appear. A symbolic link is followed to its target; a device
        or a pipe is written to and never replaced.

    Raises
    ------
    OutputError
        If the destination is a directory or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self._target = Path(os.path.realpath(self.name))
        self._fd = -1
        self._lock = threading.Lock()
        self._unflushed = 0
        self._flusher: threading.Thread | None = None
        self.size = 0
        with self._explained():
            self._old = self._existing()
            self.replaces = self._old is None or stat.S_ISREG(self._old.st_mode)
            if self.replaces:
                _sweep(self._target.parent)
                self.working_path = self._create_beside()
            else:
                self.working_path = self._target

    def write(self, *parts: bytes | memoryview) -> None:
        """Append `parts`."""
        with self._explained():
            if self._fd < 0:  # opening a pipe waits for its reader
                self._fd = os.open(self._target, os.O_WRONLY)
            for part in parts:
                view = memoryview(part).cast("B")
                while view:
                    view = view[os.write(self._fd, view) :]
                self.size += memoryview(part).nbytes
        self._start_writeback()

    def reserve(self, size: int) -> None:
        """Make the file `size` bytes long, so that workers can write anywhere in it."""
        with self._explained():
            if not self.replaces:
                raise OSError(errno.ESPIPE, "rows cannot be placed in a pipe or device")
            os.truncate(self.working_path, size)
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(self._fd, 0, size)
        self.size = size

    def commit(self) -> int:
        """Make the file appear at its path; return its size in bytes."""
        with self._explained():
            self._join_writeback()
            if self.replaces:
                os.fsync(self._fd)
                if self._old is not None:
                    os.chmod(self.working_path, stat.S_IMODE(self._old.st_mode))
                os.replace(self.working_path, self._target)
                _sync_folder(self._target.parent)
            self._close()
        return self.size

    def abort(self) -> None:
        """Remove what was written. Does nothing after `commit`."""
        if self._fd < 0:
            return
        self._join_writeback()
        if self.replaces:
            with contextlib.suppress(OSError):
                os.unlink(self.working_path)
        self._close()

    def _existing(self) -> os.stat_result | None:
        try:
            found = os.stat(self._target)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, "is a directory")
        if not os.access(self._target, os.W_OK):
            raise OSError(errno.EACCES, "permission denied")
        return found

    def _create_beside(self) -> Path:
        while True:
            # Long names keep room for what is added to them (255 bytes on most systems).
            stem = os.fsdecode(os.fsencode(self._target.name)[:200])
            path = self._target.with_name(f".{stem}.{os.urandom(4).hex()}{_SUFFIX}")
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if fcntl is None:
                return path
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:  # else a sweep came between creation and lock
                return path
            os.close(self._fd)

    def _start_writeback(self) -> None:
        # The disk is kept busy while there is still work to do, so that the final fsync
        # has little left to wait for.
        if not self.replaces or not hasattr(os, "fdatasync"):
            return
        if self.size - self._unflushed < _WRITEBACK_BYTES:
            return
        if self._flusher is None or not self._flusher.is_alive():
            self._unflushed = self.size
            self._flusher = threading.Thread(target=self._flush, name="imgpipe-writeback")
            self._flusher.daemon = True
            self._flusher.start()

    def _flush(self) -> None:
        # An error here is reported again, and handled, by the fsync of `commit`.
        with contextlib.suppress(OSError):
            os.fdatasync(self._fd)

    def _join_writeback(self) -> None:
        if self._flusher is not None:
            self._flusher.join()

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


_REASONS = {
    errno.ENOENT: "there is no folder {folder}; create it first",
    errno.ENOTDIR: "there is no folder {folder}; create it first",
    errno.EISDIR: "it is a directory; give the path of a file",
    errno.EACCES: "permission denied; choose another place or change its permissions",
    errno.EPERM: "permission denied; choose another place or change its permissions",
    errno.EROFS: "the disk may only be read; choose another place",
    errno.ENOSPC: "the disk is full; free some space or choose another place",
    errno.EDQUOT: "your share of the disk is full; free some space or choose another place",
    errno.ENAMETOOLONG: "the file name is too long; choose a shorter one",
    errno.EPIPE: "the reader at the other end went away",
}


def explained(error: OSError, target: str | os.PathLike[str]) -> str:
    """Return what went wrong when `target` was written, and what to do."""
    known = _REASONS.get(error.errno or 0, "")
    return known.format(folder=Path(target).parent) or (error.strerror or str(error)).lower()


def _sweep(folder: Path) -> None:
    """Remove the temporaries of runs that were killed."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(_SUFFIX):
                _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(fd)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system lets a folder be opened
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
