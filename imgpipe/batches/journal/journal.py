"""Journal: a file that lists finished outputs with their sources. Lines are only added.

The order on the disk is: a ``begin`` line, the data of the output, its rename, a ``done`` line.
After a crash an output with a ``done`` line is complete, one with a ``begin`` line only is made
again, and one with neither is not of this batch. Paths are relative, so a tree that was moved
can go on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

from imgpipe.batches.inputs.walk import JOURNAL_FOLDER
from imgpipe.batches.journal.jsonlines import all_checked, path_fields, sealed
from imgpipe.batches.journal.records import FORM, Provenance, Record, Records, add_line, fields_of
from imgpipe.batches.journal.reserve import Reserve
from imgpipe.contexts import Context
from imgpipe.errors import OutputError, UsageError
from imgpipe.publish import explained, make_folder, sync_folder

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

__all__ = ["JOURNAL_NAME", "Journal", "read_journal"]

JOURNAL_NAME = "journal.jsonl"
_LOCK_NAME = "lock"
_BLOCK = 1 << 20  # bytes of lines that are read at once
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


class Journal(Context):
    """The journal of an output folder, open for more lines.

    Parameters
    ----------
    folder : str
        The output folder; it is made if it is missing.
    path : str, optional
        Folder of the journal; by default one of its own in `folder`.
    alone : bool
        Whether no other run may use the folder at the same time.

    Raises
    ------
    UsageError
        If another run uses it, or `path` is a file of another kind.
    OutputError
        If it cannot be written.

    Attributes
    ----------
    records : Records
        Its content when it was opened.
    live : bool
        Whether `records` follows the lines that are added.
    locked : bool
        Whether the file system has locks.
    """

    def __init__(self, folder: str, path: str | None = None, *, alone: bool = True) -> None:
        self.path = self.path_in(folder, path)
        if path is not None:
            _must_be_journal(path)
        self.live = False
        self.locked = fcntl is not None
        self._lock = self._fd = -1
        self._torn = self._unsynced = False
        self._reserve: Reserve | None = None
        try:
            _make_outputs(folder)
            make_folder(os.path.dirname(self.path))
            if alone:
                self._take_lock(folder)
            self._fd = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
            )
            if not os.fstat(self._fd).st_size:
                sync_folder(os.path.dirname(self.path))
            self.records = read_journal(self.path)
            self._end_torn_line()
            if alone:  # else there is but one output
                self._reserve = Reserve(os.path.dirname(self.path))
        except OSError as error:
            self.close()
            raise self._error(error) from error
        except BaseException:
            self.close()
            raise

    @staticmethod
    def path_in(folder: str, path: str | None = None) -> str:
        """Return the path of the journal of an output folder, which may have been chosen."""
        return path or os.path.join(folder, JOURNAL_FOLDER, JOURNAL_NAME)

    def begin(self, outputs: dict[str, str]) -> None:
        """Write the outputs that are begun, and their temporary files."""
        self._append([
            {
                "v": FORM,
                "event": "begin",
                **path_fields("output", output),
                **path_fields("temporary", temporary),
            }
            for output, temporary in outputs.items()
        ])  # fmt: skip
        if self.live:
            for output, temporary in outputs.items():
                self.records.note_begun(output, temporary)

    def finished(self, records: list[Record]) -> None:
        """Write the ends of outputs. On a full disk, space is reserved for them."""
        self._append([fields_of(record) for record in records], self._reserve)
        if self.live:
            for record in records:
                self.records.note(record)

    def note_versions(self, digest: str, names: dict[str, str]) -> None:
        """Write the versions behind a digest, unless it was written before."""
        if self.records.versions.get(digest) != names:
            self.records.versions[digest] = names
            self._append([{"v": FORM, "event": "versions", "versions": digest, "of": names}])

    def sync(self) -> None:
        """Have all lines on the disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise self._error(error) from error
        self._unsynced = False

    def close(self, error: BaseException | None = None) -> None:
        """Have all lines on the disk, close the journal, and let other runs use the folder."""
        if self._unsynced and self._fd >= 0:
            with contextlib.suppress(OutputError):  # outputs without a line are made again
                self.sync()
        if self._reserve is not None:
            self._reserve.close()
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

    def _append(self, lines: list[dict[str, Any]], reserve: Reserve | None = None) -> None:
        data = b"\n" * self._torn + b"".join(sealed(line) for line in lines)
        try:
            with self._held():
                while data:
                    data = data[self._write(data, reserve) :]
        except OSError as error:
            self._torn = True  # the next line stands for itself
            raise self._error(error) from error
        self._torn, self._unsynced = False, True

    def _write(self, data: bytes, reserve: Reserve | None) -> int:
        """Write at least a part of `data`; return its size."""
        while True:
            try:
                return os.write(self._fd, data)
            except OSError as error:
                if error.errno not in _FULL or reserve is None or not reserve.give(len(data)):
                    raise

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Keep others from writing in between."""
        locked = self.locked and _locks(self._fd, wait=True)
        try:
            yield
        finally:
            if locked:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _take_lock(self, folder: str) -> None:
        place, name = os.path.split(self.path)
        own = os.path.basename(place) == JOURNAL_FOLDER  # else other files are there too
        lock = os.path.join(place, _LOCK_NAME if own else f"{name}.{_LOCK_NAME}")
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self.locked = self.locked and _locks(self._lock, wait=False)
        except BlockingIOError:
            owner = os.pread(self._lock, 1000, 0).decode(errors="replace").strip()
            raise UsageError(
                f"{folder}: another run writes to this folder ({owner or 'unknown'}); wait until "
                "it has ended"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def _end_torn_line(self) -> None:
        """End the last line if a crash cut it off, so that the next line is complete."""
        with self._held():
            size = os.fstat(self._fd).st_size
            if size and os.pread(self._fd, 1, size - 1) != b"\n":
                os.write(self._fd, b"\n")

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: cannot write the journal: {explained(error, self.path)}")


def _make_outputs(folder: str) -> None:
    """Make the output folder."""
    try:
        make_folder(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"{folder}: the output folder cannot be made ({reason}); choose another one"
        ) from error


def _must_be_journal(path: str) -> None:
    """Raise if a file holds something else, which lines at its end would damage."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        lines = file.readlines(_BLOCK)
        if lines and not any(all_checked(lines)):
            raise UsageError(f"{path}: is no journal; choose another place for it")


def read_journal(path: str) -> Records:
    """Return the content of a journal; nothing if there is none.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    records = Records()
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return records
    known: dict[tuple[str, str, str], Provenance] = {}
    with file:
        while lines := file.readlines(_BLOCK):
            for line, fields in zip(lines, all_checked(lines), strict=True):
                if line.strip() and not (fields and add_line(fields, records, known)):
                    records.damaged += line.endswith(b"\n")
    return records


def _locks(fd: int, *, wait: bool) -> bool:
    """Lock a file; return whether its file system has locks.

    Raises
    ------
    BlockingIOError
        If another process holds it, and `wait` is false.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True
