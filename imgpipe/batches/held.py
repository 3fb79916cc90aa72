"""Held files: sources read once into memory, and outputs that wait to be published.

A worker writes an output to a temporary that its parent has named. Once it is on the disk, the
parent publishes it. A worker that dies leaves no output half done, and its work can be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from imgpipe.errors import ImgpipeError, InputError, OutputError
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.target import FileTarget
from imgpipe.publish import explained, synced

__all__ = ["Finished", "HeldOrigin", "HeldTarget", "Status", "Syncing", "TooLargeError", "publish"]

_AT_ONCE = 8  # calls of fsync: a disk serves several with one commit
_PER_THREAD = 8  # files that a thread writes to the disk one after the other


class TooLargeError(Exception):
    """A file that one worker alone cannot make."""


class Status(NamedTuple):
    """Properties by which a file is known not to have changed.

    Attributes
    ----------
    size, mtime_ns, ctime_ns, inode : int
        As `os.stat` gives them.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Finished(NamedTuple):
    """An output that is complete and on the disk, under the name of its temporary.

    Attributes
    ----------
    output : str
        Its path as it was given.
    temporary, target : str
        Its path now, and the one where it is to appear.
    size, mtime_ns : int
        As `os.stat` gives them; publishing changes neither.
    replaces : bool
        Whether there is an old file at `target`.
    """

    output: str
    temporary: str
    target: str
    size: int
    mtime_ns: int
    replaces: bool


def _status_of(found: os.stat_result) -> Status:
    return Status(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class _Bytes(io.BytesIO):
    """The bytes of a file that is open as well, for readers that want its number."""

    number = -1

    def fileno(self) -> int:
        return self.number


class HeldOrigin:
    """A file whose bytes are in memory.

    Parameters
    ----------
    name : str
        Its path.

    Attributes
    ----------
    status : Status
        Its properties before it was read.

    Raises
    ------
    InputError
        If it cannot be read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._file = FileOrigin(name).open(0)
        self.data = b""
        self.status = _status_of(os.fstat(self._file.fileno()))

    def read(self, most: int) -> None:
        """Read the bytes.

        Raises
        ------
        TooLargeError
            If they are more than `most`.
        InputError
            If they cannot be read.
        """
        if self.status.size > most:
            raise TooLargeError("the file is large")
        try:
            self.data = self._file.read()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{self.name}: cannot be read: {reason}; check the disk") from error

    @property
    def reference(self) -> HeldOrigin:
        """The file itself: it is used in this process only."""
        return self

    @property
    def digest(self) -> str:
        """The digest of the bytes, as `digests.file_digest` returns it."""
        return hashlib.blake2b(self.data, digest_size=16).hexdigest()

    @property
    def changed(self) -> bool:
        """Whether the file is no longer what it was, or another file is in its place."""
        try:
            found = os.fstat(self._file.fileno()), os.stat(self.name)
        except OSError:
            return True
        return any(_status_of(one) != self.status for one in found)

    def open(self, buffering: int = -1) -> _Bytes:
        """Return a new reading position at the first byte."""
        opened = _Bytes(self.data)
        opened.number = self._file.fileno()
        return opened

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class HeldTarget(FileTarget):
    """A file that is written to a temporary with a given name, and not published.

    Parameters
    ----------
    output : str
        Its path.
    temporary : str
        The path of the temporary, in the same folder.

    Raises
    ------
    OutputError
        If it cannot be written, or `output` is no file.
    """

    def __init__(self, output: str, temporary: str) -> None:
        super().__init__(output, temporary)
        if not self.replaces:
            raise OutputError(f"{output}: is a pipe or a device; give the path of a file")

    def commit(self) -> int:
        """Complete the temporary; return its size in bytes."""
        return self.finish()

    def reopen(self) -> None:
        """Go on with the file that somebody else has put in the place of the temporary."""
        os.close(self._fd)
        self._fd = os.open(self.working_path, os.O_RDWR)
        self.commit()

    def finished(self) -> Finished:
        """Return the output, which is complete."""
        found = os.fstat(self._fd)
        size, written = found.st_size, found.st_mtime_ns
        old = self._old is not None
        return Finished(self.name, self.working_path, self._target, size, written, old)


class Syncing:
    """Outputs on their way to the disk, while the next ones are made."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._next: list[HeldTarget] = []
        self._out: list[Future[dict[str, ImgpipeError]]] = []

    def add(self, target: HeldTarget) -> None:
        """Have an output that is complete written to the disk."""
        self._next.append(target)
        if len(self._next) == _PER_THREAD:
            self._begin()

    def wait(self) -> dict[str, ImgpipeError]:
        """Wait for all of them; return the errors by output."""
        if self._next:
            self._begin()
        failed: dict[str, ImgpipeError] = {}
        for future in self._out:
            failed |= future.result()
        return failed

    def _begin(self) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_AT_ONCE, "imgpipe-sync")
        self._out.append(self._threads.submit(_synced, self._next))
        self._next = []

    def close(self) -> None:
        """Wait for the threads."""
        if self._threads is not None:
            self._threads.shutdown()


def _synced(targets: list[HeldTarget]) -> dict[str, ImgpipeError]:
    failed: dict[str, ImgpipeError] = {}
    for target in targets:
        try:
            target.sync()
        except ImgpipeError as error:
            failed[target.name] = error
    return failed


def publish(files: Sequence[Finished]) -> dict[str, OutputError]:
    """Make files appear at their paths; return the errors by output.

    Each folder is written to the disk once.
    """
    if sum(one.replaces for one in files) > 1:  # to remove the old ones may take long
        with ThreadPoolExecutor(_AT_ONCE, "imgpipe-publish") as threads:
            errors = list(threads.map(_published, files))
    else:
        errors = list(map(_published, files))
    for folder in {os.path.dirname(one.target) for one in files}:
        with contextlib.suppress(OSError):  # not every file system lets a folder be opened
            synced(folder)
    pairs = zip(files, errors, strict=True)
    return {one.output: error for one, error in pairs if error is not None}


def _published(one: Finished) -> OutputError | None:
    try:
        os.replace(one.temporary, one.target)
    except OSError as error:
        told = OutputError(f"{one.output}: cannot write: {explained(error, one.target)}")
        told.__cause__ = error
        return told
    return None
