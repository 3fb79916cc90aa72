"""Scratch files: raw pixels on disk, a random source and a placed sink in one.

The plan puts one in wherever the access at hand is not enough.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from imgpipe.errors import OutputError
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.raw import RawLayout, RawPlacer, RawSource
from imgpipe.formats.target import FilePlace
from imgpipe.image import ImageInfo
from imgpipe.publish import reserved
from imgpipe.streams import keep_numbers_taken

__all__ = ["Scratch"]

_NAME = "scratch file"


@dataclass
class Scratch:
    """A raw file that lives as long as the run.

    On Linux it has no name from the start, so that nothing can be left behind; workers open it
    through the parent's file descriptor.
    """

    info: ImageInfo
    folder: str | None = None
    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)
    _fd: int = field(init=False, default=-1)
    _path: str = field(init=False, default="")

    def __post_init__(self) -> None:
        import tempfile  # noqa: PLC0415 - slow, and not needed where an image can stream

        keep_numbers_taken()
        try:
            self._fd, path = tempfile.mkstemp(prefix="imgpipe-scratch-", dir=self.folder)
            self._path = path
            if os.path.isdir("/proc/self/fd"):
                os.unlink(path)
                self._path = f"/proc/{os.getpid()}/fd/{self._fd}"
            reserved(self._fd, self.info.nbytes)
        except OSError as error:
            self.abort()
            folder = self.folder or tempfile.gettempdir()
            raise OutputError(
                f"{folder}: no room for a scratch file of {self.info.nbytes / 1e6:,.0f} MB "
                f"({(error.strerror or str(error)).lower()}); free some, or set TMPDIR to a "
                "larger disk"
            ) from error
        layout = RawLayout(0, self.info.shape, self.info.dtype)
        self.placer = RawPlacer(layout, FilePlace(_NAME, self._path))
        self.source = RawSource(self.info, layout, FileOrigin(_NAME, self._path))

    def commit(self) -> int:
        """Return the size; there is nothing to publish."""
        return self.info.nbytes

    def abort(self) -> None:
        """Remove the file."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        os.close(fd)
        if not self._path.startswith("/proc/"):
            with contextlib.suppress(OSError):
                os.unlink(self._path)
