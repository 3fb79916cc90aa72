"""Losses: the parts of a damaged image that could not be read, or that may be wrong.

Each process that reads the image marks them in a file without a name, a byte for each part. The
set depends on the image alone: not on the order in which parts are read, nor on their number.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.unnamedfiles import NamelessFile, no_room
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels

__all__ = ["Damage", "Losses", "emptied", "losses_of", "nothing_left", "warn_of_damage"]

_log = logging.getLogger(__name__)
_LOST, _DOUBTFUL = 1, 2


class Damage(NamedTuple):
    """The damage of an image.

    Attributes
    ----------
    missing : float
        The share of its pixels that could not be read, from 0 to 1.
    text : str
        The damage in one line.
    """

    missing: float
    text: str


class Losses:
    """Marks for the parts of an image.

    Parameters
    ----------
    name : str
        The image, for messages.
    info : ImageInfo
        Its properties.
    unit : (int, int)
        Rows and columns of a part; 0 columns for whole rows.
    blank : float or None
        The value of missing pixels; None for 0.

    Raises
    ------
    OutputError
        If there is no room for the marks.
    """

    def __init__(
        self, name: str, info: ImageInfo, unit: tuple[int, int], blank: float | None
    ) -> None:
        self.name, self._unit, self._size = name, unit, info.shape[:2]
        self._look = _look(info, blank)
        self.across = -(-info.width // (unit[1] or info.width))
        self.count = -(-info.height // unit[0]) * self.across
        try:
            file = NamelessFile()
            self._path = file.path
            weakref.finalize(self, file.close)  # that of the process which has begun it
            os.ftruncate(file.fd, self.count)
            self._identity = _identity(file.fd)
        except OSError as error:
            raise no_room("a list of missing pixels", error) from error

    def lose(self, first: int, count: int = 1) -> None:
        """Mark parts that could not be read.

        Raises
        ------
        OSError
            If this process cannot open the marks.
        """
        self._mark(first, _LOST, count)

    def doubt(self, first: int, count: int = 1) -> None:
        """Mark parts that were read but may be wrong.

        Raises
        ------
        OSError
            If this process cannot open the marks.
        """
        self._mark(first, _DOUBTFUL, count)

    def trust(self) -> None:
        """Take back that parts may be wrong."""
        self._change(_DOUBTFUL, 0)

    def doubt_rest(self) -> None:
        """Mark all parts that were read: they may be wrong."""
        self._change(0, _DOUBTFUL)

    def damage(self) -> Damage | None:
        """Return the damage that was found; None if there is none."""
        marks = self._marks()
        lost, doubtful = marks == _LOST, marks == _DOUBTFUL
        if not lost.any() and not doubtful.any():
            return None
        area = self._areas()
        missing, wrong = float(area[lost].sum()), float(area[doubtful].sum())
        if self.count == 1 and missing:
            return Damage(1.0, f"{self.name} could not be read and is {self._look}")
        told = []
        if missing:
            counted, verb = self._counted(lost)
            told.append(
                f"{counted} could not be read{self._share(missing)} and {verb} {self._look}"
            )
        if wrong:
            counted, _ = self._counted(doubtful)
            number = f"{counted.partition(' ')[0]} more" if told else counted
            told.append(f"{number} may be wrong{self._share(wrong)}")
        return Damage(missing / float(area.sum()), f"{self.name}: {'; '.join(told)}")

    def _counted(self, marked: Any) -> tuple[str, str]:
        """Return the number of parts in words, and the verb that belongs to it."""
        if self.count == 1:
            return "the image", "is"
        total, number, noun = self.count, int(marked.sum()), "tile"
        if not self._unit[1]:
            rows = np.minimum(self._unit[0], self._size[0] - np.arange(self.count) * self._unit[0])
            total, number, noun = self._size[0], int(rows[marked].sum()), "row"
        return f"{number:,} of {total:,} {noun}s", "is" if number == 1 else "are"

    def _share(self, area: float) -> str:
        if self.count == 1:
            return ""
        whole = self._size[0] * self._size[1]
        percent = 100 * area / whole
        if percent < 1:
            return " (less than 1 %)"
        return " (more than 99 %)" if percent > 99 and area < whole else f" ({percent:.0f} %)"

    def _areas(self) -> Any:
        """Return the pixels of each part."""
        (height, width), (rows, columns) = self._size, self._unit
        columns = columns or width
        tall = np.minimum(rows, height - np.arange(0, height, rows))
        wide = np.minimum(columns, width - np.arange(0, width, columns))
        return np.multiply.outer(tall, wide).reshape(-1)

    def _marks(self) -> Any:
        with self._opened() as file:
            return np.frombuffer(os.read(file, self.count), np.uint8)

    def _mark(self, first: int, kind: int, count: int) -> None:
        with self._opened() as file:
            os.lseek(file, first, os.SEEK_SET)
            os.write(file, bytes((kind,)) * count)

    def _change(self, old: int, new: int) -> None:
        marks = self._marks()
        if (marks == old).any():
            with self._opened() as file:
                os.write(file, np.where(marks == old, new, marks).astype(np.uint8).tobytes())

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            if (
                _identity(file) != self._identity
            ):  # on another host the path is that of another file
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            yield file
        finally:
            os.close(file)


def _identity(file: int) -> tuple[int, int, int]:
    """Return numbers that tell an open file from others, here and on other hosts."""
    found = os.fstat(file)
    return found.st_dev, found.st_ino, found.st_size


def emptied(out: Pixels, info: ImageInfo, blank: float | None) -> None:
    """Fill `out` with missing pixels: `blank`, or 0; alpha is 0."""
    out[...] = 0 if blank is None else blank
    if info.alpha is not None:
        out[..., info.alpha] = 0


def losses_of(source: Any) -> Losses | None:
    """Return the losses of a source of a damaged image; None if it is read strictly."""
    found: Losses | None = getattr(source, "losses", None)
    return found


def warn_of_damage(source: Any, *, alone: bool = True) -> float:
    """Log the missing share of an image; return it.

    Raises
    ------
    CorruptError
        If nothing could be read, and the image is `alone`: no frame of several.
    """
    losses = losses_of(source)
    damage = losses.damage() if losses is not None else None
    if losses is None or damage is None:
        return 0.0
    if damage.missing == 1 and alone:
        raise _reason(source) or nothing_left(source.name)
    _log.warning("%s", damage.text)
    return damage.missing


def nothing_left(name: str) -> CorruptError:
    """Return the error for an image of which nothing could be read."""
    return CorruptError(
        f"{name}: the file is damaged, and none of its pixels can be read; get a fresh copy"
    )


def _reason(image: Any) -> CorruptError | None:
    """Return the error of the first pixels of an image that is salvaged; None if there is none."""
    strict = image.source
    try:
        if strict.access == "random":
            strict.read(Box.of(1, 1))
        elif strict.access == "sequential":
            with contextlib.closing(strict.rows()) as rows:
                rows.read_into(np.empty((1, *strict.info.shape[1:]), strict.info.dtype))
    except CorruptError as error:
        return error
    return None


def _look(info: ImageInfo, blank: float | None) -> str:
    """Return the appearance of missing pixels in words."""
    if blank is not None:
        return "without data"
    if info.alpha is not None:
        return "transparent"
    if info.colour == "cmyk":
        return "white"
    return "black" if info.colour != "other" and info.dtype.kind == "u" else "0"
