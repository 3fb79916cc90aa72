"""Held files: sources read once into memory, and outputs that wait to be published.

A worker writes an output to a temporary that its parent has named. Once it is on the disk, the
parent publishes it. A worker that dies leaves no output half done, and its work can be repeated.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, NamedTuple

from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.filestatus import status_at, status_of
from imgpipe.errors import ImgpipeError, InputError, OutputError
from imgpipe.formats.folder import FolderOrigin, FolderTarget, put_in_place
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.target import FileTarget
from imgpipe.publish import explained, sync_folder

__all__ = [
    "Finished",
    "HeldFile",
    "HeldFolder",
    "HeldFolderOrigin",
    "HeldOrigin",
    "HeldPath",
    "Syncing",
    "TooLargeError",
    "publish",
    "remove",
]

_AT_ONCE = 8  # calls of fsync: a disk serves several with one commit
_PER_THREAD = 8  # files that a thread writes to the disk one after the other


class TooLargeError(Exception):
    """A file that one worker alone cannot make."""


class Finished(NamedTuple):
    """An output that is complete and on the disk, under the name of its temporary.

    Attributes
    ----------
    output : str
        Its path as it was given.
    temporary, target : str
        Its path now, and the one where it is to appear.
    size, mtime_ns : int
        As `status_at` gives them; publishing changes neither.
    replaces : bool
        Whether there is an old file at `target`.
    """

    output: str
    temporary: str
    target: str
    size: int
    mtime_ns: int
    replaces: bool


class _Bytes(io.BytesIO):
    """The bytes of an open file, for readers that need its file descriptor."""

    number = -1

    def fileno(self) -> int:
        return self.number


class HeldOrigin:
    """A file whose bytes are in memory, if they are not too many.

    Parameters
    ----------
    name : str
        Its path.

    Attributes
    ----------
    status : Status
        Its properties before it was read.
    data : bytes
        The bytes; none if they are too many.
    too_large : bool
        Whether they are.

    Raises
    ------
    InputError
        If it cannot be read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._origin = FileOrigin(name)
        self._file = self._origin.open(0)
        self.data, self.too_large = b"", False
        self.status = status_of(os.fstat(self._file.fileno()))

    def read(self, most: int) -> None:
        """Read the bytes, unless they are more than `most`.

        Raises
        ------
        InputError
            If they cannot be read.
        """
        self.too_large = self.status.size > most
        if self.too_large:
            return
        try:
            self.data = self._file.read()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{self.name}: cannot be read: {reason}; check the disk") from error

    @property
    def reference(self) -> HeldOrigin:
        """The file itself: it is used in this process only."""
        return self

    def digest(self, check: Callable[[], None]) -> str:
        """Return the digest of the bytes, as `file_digest` does."""
        if self.too_large:
            return file_digest(self.name, check)
        return hashlib.blake2b(self.data, digest_size=16).hexdigest()

    @property
    def changed(self) -> bool:
        """Return whether the file has changed, or another file is in its place."""
        try:
            found = os.fstat(self._file.fileno()), os.stat(self.name)
        except OSError:
            return True
        return any(status_of(one) != self.status for one in found)

    def open(self, buffering: int = -1) -> BinaryIO:
        """Return a new reading position at the first byte."""
        if self.too_large:
            return self._origin.open(buffering)
        opened = _Bytes(self.data)
        opened.number = self._file.fileno()
        return opened

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class HeldFolderOrigin(FolderOrigin):
    """A folder of files, which stay where they are."""

    data, too_large = b"", True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        try:
            self.status = status_at(name)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{name}: cannot be read: {reason}; check the disk") from error

    def read(self, most: int) -> None:
        """Nothing is read beforehand."""

    def digest(self, check: Callable[[], None]) -> str:
        """Return the digest of all its files."""
        return file_digest(self.name, check)

    @property
    def changed(self) -> bool:
        """Return whether a file in it has changed."""
        try:
            return status_at(self.name) != self.status
        except OSError:
            return True

    def close(self) -> None:
        """Nothing is open."""


class HeldPath(os.PathLike[str]):
    """The path of an output whose target is a temporary with a given name, not published.

    Parameters
    ----------
    output : str
        Its path.
    temporary : str
        The path of the temporary, in the same folder.
    synced : bool
        Whether it has to be on the disk when its target has been committed.
    """

    def __init__(self, output: str, temporary: str, *, synced: bool = False) -> None:
        self.output, self.temporary = output, temporary
        self._synced = synced
        self._held: HeldFile | HeldFolder | None = None

    def __fspath__(self) -> str:
        """Return the path where it is to appear."""
        return self.output

    def target(self, marks: tuple[str, ...]) -> HeldFile | HeldFolder:
        """Return a new target: a folder for formats with `marks`.

        Raises
        ------
        OutputError
            If it cannot be written, or something else is there.
        """
        kind = partial(HeldFolder, marks=marks) if marks else HeldFile
        self._held = kind(self.output, self.temporary, synced=self._synced)
        return self._held

    @property
    def held(self) -> HeldFile | HeldFolder:
        """The last target."""
        assert self._held is not None
        return self._held

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._held is not None:
            self._held.drop()
        remove(self.temporary)


class _Held:
    """A target that waits when it is complete, until it is published or dropped."""

    complete = False

    def abort(self) -> None:
        """Leave nothing behind, unless it is complete."""
        if not self.complete:
            self._remove()

    def drop(self) -> None:
        """Leave nothing behind."""
        self.complete = False
        self._remove()

    def _remove(self) -> None:
        """Remove all that was written."""
        raise NotImplementedError


class HeldFile(_Held, FileTarget):
    """A file that is written to a temporary with a given name, and not published.

    Parameters
    ----------
    output, temporary, synced
        As for `HeldPath`.

    Raises
    ------
    OutputError
        If it cannot be written, or `output` is no file.
    """

    def __init__(self, output: str, temporary: str, *, synced: bool = False) -> None:
        self._synced = synced
        super().__init__(output, temporary)
        if not self.replaces:
            raise OutputError(f"{output}: is a pipe or a device; give the path of a file")

    def commit(self) -> int:
        """Complete the temporary; return its size in bytes."""
        size = self.finish()
        found = os.fstat(self._fd)
        self.finished = Finished(
            self.name, self.working_path, self._target, found.st_size, found.st_mtime_ns,
            self._old is not None,
        )  # fmt: skip
        if self._synced:
            self.sync()
        self.complete = True
        return size

    def _remove(self) -> None:
        FileTarget.abort(self)


class HeldFolder(_Held, FolderTarget):
    """A folder that is written to a temporary with a given name, and not published."""

    def __init__(
        self, output: str, temporary: str, *, marks: tuple[str, ...], synced: bool = False
    ) -> None:
        self._synced = synced
        super().__init__(output, marks, temporary)

    def commit(self) -> int:
        """Complete the temporary; return the bytes of its files."""
        found, old = status_at(self._working), os.path.lexists(self._target)
        self.finished = Finished(
            self.name, self._working, self._target, found.size, found.mtime_ns, old
        )
        if self._synced:
            self.flush()
        self.complete = True
        return found.size

    def sync(self) -> None:
        """Have all its files on the disk."""
        self.flush()

    def _remove(self) -> None:
        FolderTarget.abort(self)


class Syncing:
    """Outputs on their way to the disk, while the next ones are made."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._next: list[HeldFile | HeldFolder] = []
        self._out: list[Future[dict[str, ImgpipeError]]] = []

    def add(self, target: HeldFile | HeldFolder) -> None:
        """Have an output that is complete written to the disk."""
        self._next.append(target)
        if len(self._next) == _PER_THREAD:
            self._begin()

    def wait(self) -> dict[str, ImgpipeError]:
        """Wait for all of them; return the errors by output."""
        if self._next and self._threads is not None:
            self._begin()
        failed = _synced(self._next)  # few of them need no thread
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


def _synced(targets: list[HeldFile | HeldFolder]) -> dict[str, ImgpipeError]:
    failed: dict[str, ImgpipeError] = {}
    for target in targets:
        try:
            target.sync()
        except ImgpipeError as error:
            failed[target.name] = error
    return failed


def remove(temporary: str) -> None:
    """Remove a temporary, if it is there."""
    try:
        os.unlink(temporary)
    except OSError:  # most often it is not there
        if os.path.isdir(temporary):
            shutil.rmtree(temporary, ignore_errors=True)


def publish(
    files: Sequence[Finished], refused: Callable[[Finished], ImgpipeError | None] = lambda _: None
) -> dict[str, ImgpipeError]:
    """Make files appear at their paths; return the errors by output.

    Each folder is written to the disk once.

    Parameters
    ----------
    files : sequence of Finished
        The files.
    refused : callable, optional
        Is asked directly before a file appears; returns why it may not.
    """
    place = partial(_published, refused=refused)
    if sum(one.replaces for one in files) > 1:  # to remove the old ones may take long
        with ThreadPoolExecutor(_AT_ONCE, "imgpipe-publish") as threads:
            errors = list(threads.map(place, files))
    else:
        errors = list(map(place, files))
    for folder in {os.path.dirname(one.target) for one in files}:
        sync_folder(folder)
    pairs = zip(files, errors, strict=True)
    return {one.output: error for one, error in pairs if error is not None}


def _published(
    one: Finished, refused: Callable[[Finished], ImgpipeError | None]
) -> ImgpipeError | None:
    try:
        if (error_of := refused(one)) is not None:
            return error_of
        if os.path.isdir(one.temporary):
            put_in_place(one.temporary, one.target)
        else:
            os.replace(one.temporary, one.target)
    except OSError as error:
        told = OutputError(f"{one.output}: cannot write: {explained(error, one.target)}")
        told.__cause__ = error
        return told
    return None
