"""Groups of rows between restart markers: a JPEG file that every worker decodes parts of."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.jpegs.markers import JpegError
from imgpipe.formats.jpegs.restarts import Index, index_of
from imgpipe.formats.origin import Origin
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["GroupSource", "in_groups"]


@dataclass(frozen=True)
class GroupSource:
    """A JPEG file with restart markers."""

    access: ClassVar[Literal["random"]] = "random"
    info: ImageInfo
    origin: Origin
    index: Index
    inverted: bool
    salvage: bool = False

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def grain(self) -> tuple[int, int]:
        """Rows of a group, and 0 for whole rows."""
        return self.index.group_rows, 0

    @property
    def decode_bytes(self) -> int:
        """Memory beside the pixels: coded bytes, twice, and decoded rows that are not used."""
        return 2 * self.index.group_bytes + 2 * self.index.stretch * self.info.row_bytes

    def divided(self) -> GroupSource:
        """Return the same file in the smallest groups, in case it is damaged."""
        index = replace(self.index, group_rows=self.index.stretch)
        return replace(self, index=index, salvage=True)

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`.

        Raises
        ------
        CorruptError
            If they are damaged.
        """
        return self._read(box, self.index)

    def read_alone(self, box: Box) -> Pixels:
        """Return the pixels of a group whose neighbours are damaged.

        The colours of its first and last row have a part in theirs, and may be wrong.

        Raises
        ------
        CorruptError
            If it is damaged too.
        """
        return self._read(box, replace(self.index, margin=0))

    def _read(self, box: Box, index: Index) -> Pixels:
        with self.origin.open(0) as file:
            try:
                pixels = index.read(file, box.y0, box.y1, salvage=self.salvage)
            except JpegError as error:
                rows = f"in rows {box.y0} to {box.y1}"
                reason = f"{self.name}: the file is damaged {rows}: {error}; get a fresh copy"
                raise CorruptError(reason) from None
        pixels = pixels[:, box.x0 : box.x1]
        return np.invert(pixels) if self.inverted else pixels


def in_groups(info: ImageInfo, origin: Origin, *, inverted: bool = False) -> GroupSource | None:
    """Return a JPEG file as groups of rows; None where they cannot be decoded apart.

    Parameters
    ----------
    info : ImageInfo
        The image.
    origin : Origin
        The file.
    inverted : bool
        Whether it stores the absence of ink.
    """
    anywhere = origin.reference
    if anywhere is None:
        return None
    with anywhere.open(0) as file:
        try:
            index = index_of(file)
        except JpegError:  # reading it reports the error
            return None
    return None if index is None else GroupSource(info, anywhere, index, inverted)
