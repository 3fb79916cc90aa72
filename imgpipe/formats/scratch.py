"""Scratch files: raw pixels on disk, a random source and a placed sink in one.

The plan puts one in wherever the access at hand is not enough. Like ``.npy`` files, whose pixels
are laid out the same way, they are read and written with positioned reads and writes: a mapped
file would count towards the memory of every process that touches it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError, OutputError
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.publish import explained, reserved
from imgpipe.streams import keep_numbers_taken

__all__ = ["RawLayout", "RawPlacer", "RawSource", "Scratch", "read_fully"]


@dataclass(frozen=True)
class RawLayout:
    """Rows of raw pixels, one after the other, from `offset` in a file."""

    path: str
    offset: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.shape[2] * self.dtype.itemsize

    def position(self, y: int, x: int) -> int:
        """Return where in the file the pixel at row `y`, column `x` is."""
        return self.offset + (y * self.shape[1] + x) * self.pixel_bytes


@dataclass(frozen=True)
class RawSource:
    """Any box of a raw layout, read where it is needed."""

    access: ClassVar[Literal["random"]] = "random"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    layout: RawLayout
    name: str

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        layout = self.layout
        out = np.empty((*box.shape, layout.shape[2]), layout.dtype)
        with open(layout.path, "rb", buffering=0) as file:
            if box.width == layout.shape[1]:
                read_fully(file.fileno(), out, layout.position(box.y0, 0), self.name)
            else:
                for row, y in enumerate(range(box.y0, box.y1)):
                    at = layout.position(y, box.x0)
                    read_fully(file.fileno(), out[row], at, self.name)
        return out.astype(self.info.dtype, copy=False)


@dataclass(frozen=True)
class RawPlacer:
    """Boxes written where they belong, by any worker."""

    layout: RawLayout
    name: str

    def rows(self, box: Box) -> None:
        """Return nothing: the file is written row by row."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` at `box`."""
        layout = self.layout
        pixels = np.ascontiguousarray(pixels, layout.dtype)
        whole_rows = box.width == layout.shape[1]
        parts = [pixels] if whole_rows else list(pixels)
        try:
            fd = os.open(layout.path, os.O_WRONLY)
            try:
                for row, part in enumerate(parts):
                    _write_at(fd, part, layout.position(box.y0 + row, box.x0))
            finally:
                os.close(fd)
        except OSError as error:
            reason = explained(error, self.name)
            raise OutputError(f"{self.name}: cannot write: {reason}") from error

    def seal(self) -> None:
        """Nothing remains to be done: the pixels are all there is."""


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
        layout = RawLayout(self._path, 0, self.info.shape, self.info.dtype)
        self.placer = RawPlacer(layout, "scratch file")
        self.source = RawSource(self.info, layout, "scratch file")

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


def read_fully(fd: int, out: Pixels, position: int, name: str) -> None:
    """Fill `out` with the bytes from `position` on of the file `name`, open as `fd`.

    Raises
    ------
    CorruptError
        If they are not there.
    """
    view = out.data.cast("B")
    while view:
        got = _read_at(fd, view, position)
        if not got:
            raise CorruptError(f"{name}: ended before its last row; get a fresh copy")
        view, position = view[got:], position + got


def _read_at(fd: int, view: memoryview, position: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [view], position)
    os.lseek(fd, position, os.SEEK_SET)
    data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)


def _write_at(fd: int, pixels: Pixels, position: int) -> None:
    view = np.ascontiguousarray(pixels).data.cast("B")
    while view:
        if hasattr(os, "pwrite"):
            done = os.pwrite(fd, view, position)
        else:
            os.lseek(fd, position, os.SEEK_SET)
            done = os.write(fd, view)
        view, position = view[done:], position + done
