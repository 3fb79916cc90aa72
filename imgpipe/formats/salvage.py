"""Salvage of damaged images: sources with pixels without value in place of lost ones.

A part of the image is there or missing as a whole: a tile, a strip, or a row. So the pixels are the
same however the work is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar, cast

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.base import (
    Check,
    RandomSource,
    Rows,
    SequentialSource,
    Source,
    Tiles,
    WholeSource,
    decode_ms_of,
    is_ours,
)
from imgpipe.formats.losses import Losses, emptied
from imgpipe.formats.truncated import CutSource, stretches
from imgpipe.formats.wrapper import Wrapper
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["salvaged"]

_NO_PARTS = (1, 1)
_Of = TypeVar("_Of", RandomSource, Tiles, SequentialSource, WholeSource)


def salvaged(source: Source, blank: float | None, page: int | None = None) -> Source:
    """Return an image of which as much is read as possible.

    Parameters
    ----------
    source : Source
        The image. If its file is damaged, it raises a `CorruptError` where pixels are missing.
    blank : float or None
        The value of missing pixels; 0 by default.
    page : int, optional
        The number of the frame, if there are several: it may be missing as a whole.
    """
    name = source.name if page is None else f"{source.name}: frame {page}"
    info, grain = source.info, source.grain
    if isinstance(source, CutSource):
        losses = Losses(name, info, (1, 0), blank)
        for y0, y1 in source.missing:
            losses.lose(y0, y1 - y0)
        return CutSource(source.source, source.kept, losses, blank)
    if source.access == "sequential":
        return SalvagedRows(source, Losses(name, info, (1, 0), blank), blank)
    if source.access == "whole":
        if page is None and not hasattr(source, "salvage_into"):
            return source
        losses = Losses(name, info, info.shape[:2], blank)
        return SalvagedWhole(source, losses, blank, page is not None)
    if grain == _NO_PARTS:
        return source
    tiles = cast(Tiles, source)
    kind = SalvagedTiles if hasattr(source, "tile_into") else SalvagedBlocks
    return kind(tiles, Losses(name, info, grain, blank), blank)


@dataclass(frozen=True, eq=False)
class _Salvaged(Wrapper[_Of]):
    """An image of a file that may be damaged."""

    marks: Losses
    blank: float | None

    @property
    def losses(self) -> Losses:
        """The parts that could not be read."""
        return self.marks

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        return getattr(self.source, "details", {})

    @property
    def decode_ms(self) -> float:
        """Milliseconds of one core for a megapixel."""
        return decode_ms_of(self.source)

    @property
    def ours(self) -> bool:
        """Return whether damage cannot crash the decoder."""
        return is_ours(self.source)


class SalvagedBlocks(_Salvaged[Tiles]):
    """A random source of tiles or strips, each of which is read or missing as a whole."""

    access: ClassVar[Literal["random"]] = "random"

    @property
    def decode_bytes(self) -> int:
        """Memory that a reader needs beside the pixels: that of the source, and a tile."""
        info, (rows, columns) = self.source.info, self.grain
        pixels = rows * (columns or info.width)
        return self.source.decode_bytes + pixels * info.channels * info.dtype.itemsize

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        info, (rows, columns) = self.source.info, self.grain
        out = np.empty((*box.shape, info.channels), info.dtype)
        for tile in box.snap(rows, columns or info.width).cut(rows, columns or info.width):
            held = tile.clip(info.height, info.width)
            part = held.intersect(box)
            target = out[part.within(box)]
            place = tile.y0 // rows, tile.x0 // (columns or info.width)
            try:
                target[...] = self.source.read(held)[part.within(held)]
            except CorruptError as error:
                if not self._read_alone(place, held, part, target, error):
                    self._lose(*place, target, error)
        return out

    def _read_alone(
        self, place: tuple[int, int], held: Box, part: Box, out: Pixels, error: CorruptError
    ) -> bool:
        """Read a tile whose neighbours are damaged, if the source knows how; it may be wrong."""
        alone = getattr(self.source, "read_alone", None)
        if alone is None:
            return False
        try:
            out[...] = alone(held)[part.within(held)]
        except CorruptError:
            return False
        _mark_missing(partial(self.losses.doubt, place[0] * self.losses.across + place[1]), error)
        return True

    def _lose(self, row: int, column: int, out: Pixels, error: CorruptError) -> None:
        _mark_missing(partial(self.losses.lose, row * self.losses.across + column), error)
        emptied(out, self.source.info, self.blank)


class SalvagedTiles(SalvagedBlocks):
    """A salvaged image of tiles that can be decoded one by one."""

    @property
    def compressed(self) -> bool:
        """Return whether tiles are compressed."""
        return self.source.compressed

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        """Decode a tile."""
        try:
            self.source.tile_into(row, column, out)
        except CorruptError as error:
            self._lose(row, column, out, error)


class SalvagedRows(_Salvaged[SequentialSource]):
    """A sequential source: rows before the damage, and those where reading can go on."""

    access: ClassVar[Literal["sequential"]] = "sequential"

    def rows(self, *, ahead: bool = False) -> _Position:
        """Return a new position at the first row."""
        return _Position(self)


class _Position:
    """A position in a damaged image. It reads row by row, so that the first bad row is known."""

    def __init__(self, image: SalvagedRows) -> None:
        self._image, self._next, self._rows = image, 0, cast("Rows | None", None)
        self._resumed, self._error = 0, CorruptError()
        try:
            self._rows = image.source.rows()
        except CorruptError as error:
            self._error, self._resumed = error, image.info.height

    def read_into(self, out: Pixels) -> None:
        """Fill `out` with the next rows; rows that cannot be read get pixels without value."""
        first = self._next
        states = np.zeros(len(out), np.uint8)
        for at in range(len(out)):
            self._read_row(out[at : at + 1], states[at : at + 1])
            self._next += 1
        for mark, kind in ((self._image.losses.lose, 1), (self._image.losses.doubt, 2)):
            for begin, end in stretches(states == kind):
                _mark_missing(partial(mark, first + begin, end - begin), self._error)

    def _read_row(self, out: Pixels, state: Any) -> None:
        while self._next >= self._resumed and self._rows is not None:
            try:
                self._rows.read_into(out)
            except CorruptError as error:
                self._error = error
                self._resumed = self._resume(self._rows)
            else:
                state[0] = 2 * bool(getattr(self._rows, "doubtful", False))
                return
        emptied(out, self._image.info, self._image.blank)
        state[0] = 1

    def _resume(self, rows: Rows) -> int:
        """Return the row at which reading can go on."""
        resume = getattr(rows, "resume", None)
        if resume is None:
            return self._image.info.height
        again = int(resume())
        begin, end = getattr(rows, "suspects", (0, 0))
        _mark_missing(partial(self._image.losses.doubt, begin, end - begin), self._error)
        return again

    def finish(self) -> None:
        """Compare checksums: they take doubts back, or put all rows in doubt."""
        losses = self._image.losses
        if self._rows is None or self._resumed >= self._image.info.height:
            return
        try:
            self._rows.finish()
        except CorruptError as error:
            self._error = error
            if hasattr(self._rows, "resume"):
                self._resume(self._rows)
            else:
                _mark_missing(losses.doubt_rest, error)
        else:
            if getattr(self._rows, "doubtful", True) is False:
                _mark_missing(losses.trust, self._error)

    def close(self) -> None:
        """Close the file."""
        if self._rows is not None:
            self._rows.close()


@dataclass(frozen=True, eq=False)
class SalvagedWhole(_Salvaged[WholeSource]):
    """An image that is decoded at once: rightly, somehow, or not at all.

    Attributes
    ----------
    is_frame : bool
        Whether it is a frame, which may be missing.
    """

    access: ClassVar[Literal["whole"]] = "whole"
    is_frame: bool

    @property
    def decode_bytes(self) -> int:
        """Memory beside the output: that of the source, and the pixels of another decoder."""
        return self.source.decode_bytes + self.source.info.nbytes

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out` with the whole image."""
        try:
            self.source.decode_into(out, check)
        except CorruptError as error:
            if self._decode_somehow(out):
                _mark_missing(partial(self.losses.doubt, 0), error)
                return
            if not self.is_frame:
                raise
            _mark_missing(partial(self.losses.lose, 0), error)
            emptied(out, self.info, self.blank)

    def _decode_somehow(self, out: Pixels) -> bool:
        """Fill `out` as far as a decoder that does not mind damage can."""
        somehow = getattr(self.source, "salvage_into", None)
        if somehow is None:
            return False
        emptied(out, self.info, self.blank)
        try:
            somehow(out)
        except CorruptError:
            return False
        return True


def _mark_missing(mark: Callable[[], None], error: CorruptError) -> None:
    """Mark missing pixels; raise their error where a process cannot do so."""
    try:
        mark()
    except OSError:
        raise error from None
