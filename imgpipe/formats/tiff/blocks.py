"""Blocks of a TIFF file that is written: the directories of one image, then its tiles or strips.

The number of tiles is known before the first of them is made, so their table has its place at the
beginning, and is filled in at the end.
"""

from __future__ import annotations

import numpy as np

from imgpipe.formats.base import Data
from imgpipe.formats.target import Target
from imgpipe.formats.tiff.metadatatags import NODATA
from imgpipe.formats.tiff.storage import Storage
from imgpipe.formats.tiff.tags import Directory, file_header, pointer

__all__ = ["CLASSIC_BYTES", "Block", "TiffFile", "bound"]

_ALIGNED = 16
CLASSIC_BYTES = (1 << 32) - 1
"""The most bytes of a file that is no BigTIFF."""

_SUBDIRECTORIES = 330
_SLACK_BYTES = 4096  # of the other tags of all directories


class Block:
    """The directories of an image and the levels of its pyramid.

    Parameters
    ----------
    position : int
        Its position in the file.
    levels : tuple of Storage
        The image, and the levels of its pyramid.
    described : Directory
        Its metadata.
    big : bool
        Whether the file is a BigTIFF.
    chained : bool
        Whether levels follow the image as pages, instead of being directories below it.
    """

    def __init__(
        self,
        position: int,
        levels: tuple[Storage, ...],
        described: Directory,
        *,
        big: bool,
        chained: bool = False,
    ) -> None:
        self.levels = levels
        self._described, self._big, self._chained = described, big, chained
        self._shared = {code: tag for code, tag in described.tags.items() if code == NODATA}
        self.offsets = [np.zeros(level.count, np.uint64) for level in levels]
        self.sizes = [np.zeros(level.count, np.uint64) for level in levels]
        self.move(position)

    def move(self, position: int) -> None:
        """Have it begin elsewhere, before the first tile or strip has its place."""
        self.position = position
        self.end = _aligned(position + len(self.encoded()[0]))

    def encoded(self) -> tuple[bytes, int]:
        """Return its bytes, and where its link to the next block is."""
        main, *others = self._directories()
        chain = [main]
        if self._chained:
            chain += others
        elif others:
            main.below[_SUBDIRECTORIES] = others
        made, link = b"", 0
        for at, each in enumerate(chain):
            begin = self.position + len(made)
            data, link = each.encoded(begin, big=self._big)
            made += data + bytes(len(data) % 2)
            if at + 1 < len(chain):
                after = pointer(self.position + len(made), big=self._big)
                made = _replaced(made, link - self.position, after)
        return made, link

    def place_raw(self) -> int:
        """Give every uncompressed tile or strip its place; return the end of the data."""
        end = self.end
        order = range(len(self.levels))
        for at in reversed(order) if self._chained else order:
            self.sizes[at] = self.levels[at].raw_sizes
            ends = np.cumsum(self.sizes[at])
            self.offsets[at] = np.uint64(end) + ends - self.sizes[at]
            end += int(ends[-1])
        return end

    def _directories(self) -> list[Directory]:
        made = []
        for at, level in enumerate(self.levels):
            tables = self.offsets[at], self.sizes[at]
            tags = level.tags(*tables, big=self._big, reduced=at > 0)
            own = self._described if at == 0 else Directory(self._shared)
            made.append(Directory(own.tags | tags, dict(own.below)))
        return made


class TiffFile:
    """A file under construction, block after block.

    Parameters
    ----------
    target : Target
        Gets the bytes.
    big : bool
        Whether it is a BigTIFF.
    """

    def __init__(self, target: Target, *, big: bool) -> None:
        self.target, self.big = target, big
        self.size = self._start = len(file_header(0, big=big))
        self._link = 0

    def block(self, levels: tuple[Storage, ...], described: Directory, *, chained: bool) -> Block:
        """Return the next block."""
        return Block(_even(self.size), levels, described, big=self.big, chained=chained)

    def move_to_end(self, block: Block) -> None:
        """Have a block begin where the bytes that were appended so far end."""
        block.move(_even(max(self.target.size, self._start)))

    def begun(self, block: Block) -> list[tuple[int, bytes]]:
        """Return the bytes of the next block as it is, and of the link that leads to it."""
        data, link = block.encoded()
        way = self._link, pointer(block.position, big=self.big)
        if not self._link:
            way = 0, file_header(block.position, big=self.big)
        self._link = link
        return [way, (block.position, data)]

    def grown(self, size: int) -> None:
        """Note that the file has grown to a size, unless it has more already.

        Raises
        ------
        RuntimeError
            If positions do not fit: the pages are larger than those that were declared.
        """
        self.size = max(self.size, size)
        if size > CLASSIC_BYTES and not self.big:
            raise RuntimeError(f"{self.target.name}: has {size} bytes, and is no BigTIFF")


def bound(levels: tuple[Storage, ...], described: Directory) -> int:
    """Return the most bytes that an image with its directories may take."""
    tables = sum(12 * level.count for level in levels)
    data = sum(level.bound for level in levels)
    return data + tables + described.size(big=True) + _SLACK_BYTES


def _even(size: int) -> int:
    return _aligned(size, 8)


def _aligned(position: int, step: int = _ALIGNED) -> int:
    return -(-position // step) * step


def _replaced(data: bytes, at: int, part: Data) -> bytes:
    return data[:at] + bytes(part) + data[at + len(part) :]
