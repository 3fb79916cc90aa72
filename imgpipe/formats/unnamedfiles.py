"""Unnamed files: they end with this process, and leave nothing on the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from imgpipe.errors import OutputError
from imgpipe.machine import lies_in_memory
from imgpipe.streams import keep_numbers_taken

__all__ = ["NamelessFile", "no_room", "scratch_folder", "scratch_in"]

_PIECE_BYTES = 1 << 20
_ON_DISK = "/var/tmp"  # noqa: S108 - files have no name there
_wanted: ContextVar[tuple[str | None, Any]] = ContextVar("imgpipe_scratch", default=(None, None))
"""The folder of scratch files, and the output that they should be beside otherwise."""


class NamelessFile:
    """A file that is open here, and that workers open through this process.

    Only Linux lets a file be nameless from the start; elsewhere it has a name until it is closed.

    Parameters
    ----------
    folder : str, optional
        Folder of the file; by default that of scratch files.

    Attributes
    ----------
    fd : int
        Its file descriptor.
    path : str
        Path by which it can be opened.

    Raises
    ------
    OSError
        If it cannot be made.
    """

    def __init__(self, folder: str | None = None) -> None:
        import tempfile  # noqa: PLC0415 - slow, and not needed where an image can stream

        keep_numbers_taken()
        self.fd, self.path = tempfile.mkstemp(
            prefix="imgpipe-scratch-", dir=folder or scratch_folder()
        )
        if os.path.isdir("/proc/self/fd"):
            os.unlink(self.path)
            self.path = f"/proc/{os.getpid()}/fd/{self.fd}"

    def append(self, data: bytes | memoryview, name: str) -> None:
        """Append bytes of the file called `name`.

        Raises
        ------
        OutputError
            If there is no room for them.
        """
        try:
            self.write(data)
        except OSError as error:
            raise no_room(f"a part of {name}", error) from error

    def pieces(self) -> Iterator[bytes]:
        """Yield its content from the start."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        while piece := os.read(self.fd, _PIECE_BYTES):
            yield piece

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`.

        Raises
        ------
        OSError
            If there is no room for it.
        """
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(self.fd, view) :]

    def close(self) -> None:
        """Remove the file. Safe to call twice."""
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        os.close(fd)
        if not self.path.startswith("/proc/"):
            with contextlib.suppress(OSError):
                os.unlink(self.path)


@contextlib.contextmanager
def scratch_in(folder: str | None, beside: Any = None) -> Iterator[None]:
    """Have scratch files of this thread in a folder meanwhile.

    Parameters
    ----------
    folder : str or None
        The folder, if the caller wants one.
    beside : path or binary file, optional
        The output. By default scratch files are in its folder, unless that is in memory.
    """
    token = _wanted.set((folder, beside))
    try:
        yield
    finally:
        _wanted.reset(token)


def scratch_folder() -> str:
    """Return the folder of scratch files: that of `scratch_in`, or that of temporary files.

    One that the caller has not chosen is on a disk, if there is a choice.
    """
    folder, beside = _wanted.get()
    if folder is not None:
        return folder
    import tempfile  # noqa: PLC0415 - slow, and rarely needed

    usual, near = tempfile.gettempdir(), []
    if isinstance(beside, (str, os.PathLike)) and _is_of_a_folder(beside):
        near = [os.path.dirname(os.path.realpath(beside))]
    found = [name for name in (*near, usual, _ON_DISK) if os.access(name, os.W_OK | os.X_OK)]
    return next((name for name in found if not lies_in_memory(name)), usual)


def no_room(content: str, error: OSError, folder: str | None = None) -> OutputError:
    """Return the error of a scratch file that could not be made or written."""
    reason = (error.strerror or str(error)).lower()
    return OutputError(
        f"{folder or scratch_folder()}: no room for {content} ({reason}); free some, or give "
        "another folder (--scratch, or scratch= in Python)"
    )


def _is_of_a_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a file at `path` is one of its folder, and no device or pipe."""
    return not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path)
