"""Files without a name: they live as long as this process holds them, and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from imgpipe.errors import OutputError
from imgpipe.streams import keep_numbers_taken

__all__ = ["NamelessFile", "temporary_folder"]

_PIECE_BYTES = 1 << 20


class NamelessFile:
    """A file that is open here, and that workers open through this process.

    Only Linux lets a file be nameless from the start; elsewhere it has a name until it is closed.

    Parameters
    ----------
    folder : str, optional
        Folder of the file; by default that of temporary files.

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
        self.fd, self.path = tempfile.mkstemp(prefix="imgpipe-scratch-", dir=folder)
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
        view = memoryview(data).cast("B")
        try:
            while view:
                view = view[os.write(self.fd, view) :]
        except OSError as error:
            raise OutputError(
                f"{name}: no room for a temporary file in {temporary_folder()} "
                f"({(error.strerror or str(error)).lower()}); free some, or set TMPDIR to a larger "
                "disk"
            ) from error

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
        view = memoryview(data)
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


def temporary_folder() -> str:
    """Return the folder of temporary files."""
    import tempfile  # noqa: PLC0415 - slow, and rarely needed

    return tempfile.gettempdir()
