"""Folders as origins and targets, for formats whose image is many files.

Such a format declares `marks`: names of files by which its folders are known.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from typing import BinaryIO, Literal, NamedTuple

from imgpipe.errors import InputError, OutputError
from imgpipe.formats.base import Data
from imgpipe.formats.origin import FileOrigin
from imgpipe.publish import explained, resolved, synced
from imgpipe.temporaries import hold, sweep, temporary_beside

__all__ = ["FolderOrigin", "FolderPlace", "FolderTarget", "Piece", "put_in_place"]

_AT_FDCWD, _EXCHANGE = -100, 2


class FolderOrigin(FileOrigin):
    """A folder. Its files are origins of their own."""

    def open(self, buffering: int = -1) -> BinaryIO:
        """Refuse: a folder has no bytes."""
        raise InputError(f"{self.name}: is a folder; give the path of an image file")

    def names(self) -> frozenset[str]:
        """Return the names of the files and folders in the folder.

        Raises
        ------
        InputError
            If it may not be read.
        """
        try:
            return frozenset(os.listdir(self.path))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{self.name}: cannot be read: {reason}") from error

    def total(self) -> tuple[int, int]:
        """Return the bytes of all files in the folder and below it, and their number."""
        size = count = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):  # it may be gone by now
                    size += os.stat(os.path.join(folder, name)).st_size
                    count += 1
        return size, count

    def part(self, name: str) -> FileOrigin:
        """Return the origin of a file in the folder, such as ``c/0/1``."""
        return FileOrigin(os.path.join(self.name, name), os.path.join(self.path, name))


class Piece(NamedTuple):
    """A piece of a file of a folder.

    Attributes
    ----------
    part : str
        The file, such as ``c/0/1``.
    data : bytes
        Bytes that follow those of the piece before.
    """

    part: str
    data: Data


class FolderPlace(NamedTuple):
    """A folder that workers write files to. Picklable.

    Attributes
    ----------
    name : str
        Its final path, for messages.
    path : str
        Its path while it is written.
    """

    name: str
    path: str

    def write(self, part: str, *data: Data) -> None:
        """Write a file of the folder. Doing it twice is the same as once.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self._put(part, data, "wb")

    def append(self, part: str, *data: Data) -> None:
        """Append to a file of the folder, which need not be there.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self._put(part, data, "ab")

    def _put(self, part: str, data: tuple[Data, ...], mode: Literal["wb", "ab"]) -> None:
        path = os.path.join(self.path, part)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, mode, buffering=0) as file:
                for each in data:
                    view = memoryview(each).cast("B")
                    while view:
                        view = view[file.write(view) :]
        except OSError as error:
            reason = explained(error, self.name)
            raise OutputError(f"{self.name}: cannot write: {reason}") from error


class FolderTarget:
    """A folder that appears whole or not at all.

    Parameters
    ----------
    name : str
        Its final path.
    marks : tuple of str
        Names of files by which folders of its format are known. A folder without any of them is
        not replaced.
    temporary : str
        Path of the folder under construction, where others have chosen it, and remove it.

    Raises
    ------
    OutputError
        If it cannot be written, or something else is there.
    """

    def __init__(self, name: str, marks: tuple[str, ...], temporary: str = "") -> None:
        self.name, self.size = name, 0
        self._target = resolved(name)
        self._working, self._fd = "", -1
        if os.path.lexists(self._target) and not _is_one_of(self._target, marks):
            raise OutputError(
                f"{name}: exists and is no folder of this format; choose another name"
            )
        try:
            if not temporary:
                sweep(os.path.dirname(self._target))
            path = temporary or temporary_beside(self._target)
            os.mkdir(path)
            self._working = path
            if not temporary:
                self._fd = hold(path)
        except OSError as error:
            self.abort()
            raise self._refused(error) from error

    def place(self) -> FolderPlace:
        """Return the folder for the workers."""
        return FolderPlace(self.name, self._working)

    def write(self, piece: Piece) -> None:
        """Append to a file of the folder.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self.place().append(piece.part, piece.data)

    def flush(self) -> int:
        """Have all files on the disk; return their bytes."""
        self.size = 0
        try:
            for folder, _, names in os.walk(self._working):
                for path in [folder, *(os.path.join(folder, name) for name in names)]:
                    self.size += synced(path)
        except OSError as error:
            self.abort()
            raise self._refused(error) from error
        return self.size

    def commit(self) -> int:
        """Make the folder appear at its path; return the bytes of its files."""
        self.flush()
        try:
            put_in_place(self._working, self._target)
            synced(os.path.dirname(self._target))
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self.abort()
        return self.size

    def abort(self) -> None:
        """Remove the files written so far, or the replaced folder. Safe to call twice."""
        if self._working:
            shutil.rmtree(self._working, ignore_errors=True)
        fd, self._working, self._fd = self._fd, "", -1
        if fd >= 0:
            os.close(fd)

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(f"{self.name}: cannot write: {explained(error, self._target)}")


def put_in_place(working: str, target: str) -> None:
    """Move a folder to its path; remove the old folder there.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    if not os.path.lexists(target):
        os.rename(working, target)
        return
    shutil.rmtree(_exchanged(working, target), ignore_errors=True)


def _exchanged(working: str, target: str) -> str:
    """Exchange two folders, at once where the system can; return the path of the old one."""
    with contextlib.suppress(AttributeError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        old, new = os.fsencode(target), os.fsencode(working)
        if call(_AT_FDCWD, new, _AT_FDCWD, old, _EXCHANGE) == 0:
            return working
    aside = temporary_beside(target)
    os.rename(target, aside)
    os.rename(working, target)
    return aside


def _is_one_of(path: str, marks: tuple[str, ...]) -> bool:
    """Return whether there is a folder of the format, or an empty one."""
    try:
        names = os.listdir(path)
    except OSError:
        return False
    return not names or not set(marks).isdisjoint(names)
