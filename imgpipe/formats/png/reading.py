"""PNG files as sources of pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import field
from typing import ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.base import Check
from imgpipe.formats.deflate import InflateError
from imgpipe.formats.origin import Origin
from imgpipe.formats.png.chunks import image_data, salvaged_data
from imgpipe.formats.png.envelope import Layout
from imgpipe.formats.png.header import GRAY, PALETTE, RGB, Header
from imgpipe.formats.png.inflate import Ahead, Content, Inflated, Salvaged, ShortError
from imgpipe.formats.png.smallfiles import decoded_at_once
from imgpipe.formats.png.unfilter import BadFilterError, Unfilter
from imgpipe.image import Colour, ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = [
    "InterlacedSource",
    "PngRows",
    "PngSource",
    "decoded_into",
    "info_of",
    "still_source",
]

_log = logging.getLogger(__name__)
_PIECE_BYTES = 4 << 20
_BUFFER_BYTES = 1 << 16


def still_source(
    origin: Origin, header: Header, *, salvage: bool = False
) -> PngSource | InterlacedSource:
    """Return the source of the pixels that `header` is about.

    Returns
    -------
    PngSource or InterlacedSource
        Rows from top to bottom, or, of an interlaced file, all pixels at once.
    """
    if header.interlaced:
        return InterlacedSource(origin, header, info_of(header))
    return PngSource(origin, header, info_of(header), salvage=salvage)


def info_of(header: Header) -> ImageInfo:
    """Return the image that a header declares."""
    colour: Colour = "rgb" if header.colour_type & RGB else "gray"
    has_alpha = header.colour_type > PALETTE or header.transparency is not None
    channels = (3 if colour == "rgb" else 1) + has_alpha
    return ImageInfo(
        header.height,
        header.width,
        channels,
        np.dtype(np.uint16 if header.depth == 16 else np.uint8),
        channels - 1 if has_alpha else None,
        colour,
        header.metadata,
    )


@dataclass(frozen=True)
class PngSource:
    """A PNG file that is not interlaced."""

    access: ClassVar[Literal["sequential"]] = "sequential"
    ours: ClassVar[bool] = True
    decode_ms: ClassVar[float] = 16.0  # of a photograph of 8 bits
    grain: ClassVar[tuple[int, int]] = (1, 0)
    origin: Origin
    header: Header
    info: ImageInfo
    told: set[str] = field(default_factory=set, compare=False, repr=False)
    salvage: bool = False

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        return _details(self.header)

    @property
    def decode_bytes(self) -> int:
        """Memory that a position needs: pieces of the file, rows that are inflated ahead."""
        return (5 << 20) + 6 * self.info.row_bytes

    def rows(self, *, ahead: bool = False) -> PngRows:
        """Return a new position at the first row."""
        return PngRows(self.origin, self.header, self.told, ahead=ahead, salvage=self.salvage)

    def at_once(self, out: Pixels) -> bool:
        """Fill `out` with all pixels of a small file without a fault; return whether it is one."""
        if self.salvage or self.header.transparency is not None:
            return False
        return self.header.colour_type != PALETTE and decoded_at_once(self.origin, self.header, out)


@dataclass(frozen=True)
class InterlacedSource:
    """An interlaced PNG file: its seven passes go into the whole image at once."""

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    origin: Origin
    header: Header
    info: ImageInfo
    told: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        return _details(self.header)

    @property
    def decode_bytes(self) -> int:
        """Memory that `decode_into` needs beside `out`, in bytes."""
        # A piece of the file, twice; a block of rows inflated, unfiltered, expanded; the
        # row above: all of them small, or a few times as large as a single row.
        return (8 << 20) + 6 * self.info.row_bytes

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out`, shape (height, width, channels), with the whole image.

        Calls `check` every few megabytes; what that raises ends the decoding.

        Raises
        ------
        CorruptError
            If the file is damaged.
        """
        decoded_into(self.origin, self.header, self.told, out, check)

    def salvage_into(self, out: Pixels) -> None:
        """Fill `out` with the passes that are there; pixels of others are like those beside them.

        Raises
        ------
        CorruptError
            If not a row is there.
        """
        rows, line = PngRows(self.origin, self.header, self.told, salvage=True), 0
        try:
            for index, (down, across) in enumerate(self.header.passes()):
                rows.start_pass(index)
                for y in range(down.start, down.stop, down.step):
                    pixels = np.empty_like(out[y : y + 1, across])
                    rows.read_into(pixels)
                    _spread(out, pixels[0], y, down, across)
                    line += 1
        except CorruptError:
            if not line:
                raise
        finally:
            rows.close()


def _spread(out: Pixels, pixels: Pixels, y: int, down: slice, across: slice) -> None:
    """Put a row of a pass into the image, and where later passes will put theirs beside it."""
    for x in range(across.start, across.step):
        there = out[y : y + down.step - down.start, x :: across.step]
        there[...] = pixels[: there.shape[1]]


def decoded_into(origin: Origin, header: Header, told: set[str], out: Pixels, check: Check) -> None:
    """Fill `out` with all the pixels that `header` is about.

    Raises
    ------
    CorruptError
        If the file is damaged.
    """
    rows = PngRows(origin, header, told)
    try:
        for index, part in enumerate(header.passes()):
            rows.start_pass(index)
            step = max(1, _PIECE_BYTES // max(1, out[part][:1].nbytes))
            for start in range(0, len(out[part]), step):
                check()
                rows.read_into(out[part][start : start + step])
        rows.finish()
    finally:
        rows.close()


class PngRows:
    """A reading position in a PNG file, moving down row by row.

    Parameters
    ----------
    origin : Origin
        The file.
    header : Header
        Its header.
    told : set of str
        Warnings that the file has been given, so that each is given once for all passes.
    ahead : bool
        Whether to inflate in a thread of its own.
    salvage : bool
        Whether to go on after a wrong checksum, and to use all that comes before damaged data.
    """

    def __init__(
        self,
        origin: Origin,
        header: Header,
        told: set[str],
        *,
        ahead: bool = False,
        salvage: bool = False,
    ) -> None:
        self._name, self._header, self._told = origin.name, header, told
        self._file = origin.open(_BUFFER_BYTES)
        data = header.data_start, header.data_end, header.data_kind
        self._inflated: Inflated | Salvaged
        if salvage:
            self._inflated = Salvaged(salvaged_data(self._file, *data))
        else:
            self._inflated = Inflated(image_data(self._file, self._name, *data))
        contents = iter(self._inflated)
        self._ahead = Ahead(contents) if ahead else None
        self._content = Content(self._ahead or contents)
        self._expand = _expander(header)
        self.start_pass(0)

    def start_pass(self, index: int) -> None:
        """Go on with a pass of an interlaced file; any other file has only the first."""
        header = self._header
        rows, columns = header.passes()[index]
        self._height = len(range(header.height)[rows])
        self._width = len(range(header.width)[columns])
        if header.depth < 8:
            self._layout = Layout(header.row_bytes(self._width), 1, 1)
        else:
            self._layout = Layout(self._width, header.samples, header.depth // 8)
        self._unfilter = Unfilter(self._layout, self._content.read, self._height)
        self._start, self._row = self._content.count, 0

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows.

        Raises
        ------
        CorruptError
            If the rows are not there or are damaged.
        """
        step = self._layout.block_rows
        in_place = self._expand is None and out.flags.c_contiguous
        for start in range(0, len(out), step):
            target = out[start : start + step]
            try:
                block = out[start - 1 : start + step] if in_place and start else None
                pixels = self._unfilter.next(len(target), block)
            except BadFilterError as error:
                row = self._row + error.args[0]
                raise self._damaged(f"row {row} has a filter that does not exist") from None
            except ShortError:
                raise self._damaged(f"its pixel data ends after {self._place()}") from None
            except InflateError as error:
                raise self._damaged(self._reason(error)) from None
            if self._expand is not None:
                self._expand(pixels, target)
            elif block is None:
                target[...] = pixels
            self._row += len(target)

    @property
    def doubtful(self) -> bool:
        """Return whether any row may be wrong: a part of the file has a wrong checksum."""
        found = self._inflated
        if isinstance(found, Inflated) or found.suspect is None or found.right:
            return False
        return self._content.count > found.suspect

    def finish(self) -> None:
        """Check the rest of the pixel data. Bytes after the last row cost a warning.

        Raises
        ------
        CorruptError
            If the data has no end, or a checksum is wrong.
        """
        try:
            surplus = self._content.finish() + self._inflated.surplus
        except ShortError:
            raise self._damaged("its pixel data has no end mark") from None
        except InflateError as error:
            raise self._damaged(self._reason(error)) from None
        if isinstance(self._inflated, Salvaged) and self._inflated.right is False:
            if self._inflated.suspect is None:
                raise self._damaged("the checksum of its pixels is wrong")
            return
        warning = (
            f"ignored {surplus:,} byte{'s'[: surplus > 1]} after the last row" if surplus else ""
        )
        if warning and warning not in self._told:
            self._told.add(warning)
            _log.warning("%s: %s", self._name, warning)

    def close(self) -> None:
        """Let go of the file."""
        if self._ahead is not None:
            self._ahead.close()
        self._file.close()

    def _place(self) -> str:
        row = (self._content.count - self._start) // (1 + self._layout.row_bytes)
        stage = "a pass of " if self._header.interlaced else ""
        return f"row {row} of {stage}{self._height}"

    def _reason(self, error: Exception) -> str:
        if "checksum" in str(error):
            return "the checksum of its pixels is wrong"
        return f"its pixel data cannot be decompressed after {self._place()}"

    def _damaged(self, damage: str) -> CorruptError:
        return CorruptError(f"{self._name}: the file is damaged: {damage}; get a fresh copy")


def _expander(header: Header) -> Callable[[Pixels, Pixels], None] | None:
    """Return the function from samples to pixels, or None where they are the same."""
    if header.colour_type == PALETTE or (header.colour_type == GRAY and header.depth < 8):
        return _Lookup(header)
    if header.transparency is not None:
        return _Key(header)
    return None


class _Lookup:
    """Pixels from a table with an entry for every byte of the file."""

    def __init__(self, header: Header) -> None:
        count = 1 << header.depth
        colours = np.zeros((count, 3 if header.colour_type == PALETTE else 1), np.uint8)
        alpha = np.full((count, 1), 255, np.uint8)
        if header.colour_type == PALETTE:
            entries = np.frombuffer(header.palette, np.uint8).reshape(-1, 3)
            colours[: len(entries)] = entries
            if header.transparency is not None:
                opacity = np.frombuffer(header.transparency, np.uint8)
                alpha[: len(opacity), 0] = opacity
        else:
            colours[:, 0] = np.arange(count) * 255 // (count - 1)
            if header.transparency is not None:
                alpha[header.transparency[1] & (count - 1)] = 0
        pixels = colours if header.transparency is None else np.hstack([colours, alpha])
        shifts = np.arange(8 - header.depth, -1, -header.depth)
        values = (np.arange(256)[:, None] >> shifts) & (count - 1)
        self._table = pixels[values]

    def __call__(self, samples: Pixels, out: Pixels) -> None:
        rows, width, channels = out.shape
        pixels = self._table[samples.reshape(rows, -1)]
        out[...] = pixels.reshape(rows, -1, channels)[:, :width]


class _Key:
    """An alpha channel that is 0 for pixels of one colour."""

    def __init__(self, header: Header) -> None:
        colour = np.frombuffer(header.transparency or b"", ">u2")
        limit = (1 << header.depth) - 1
        self._colour = (colour & limit).astype(np.uint8 if header.depth == 8 else np.uint16)
        self._opaque = limit

    def __call__(self, samples: Pixels, out: Pixels) -> None:
        out[..., :-1] = samples
        transparent = (samples == self._colour).all(axis=-1)
        out[..., -1] = np.where(transparent, 0, self._opaque)


def _details(header: Header) -> dict[str, str]:
    """Return the storage of the samples in words."""
    palette = ", palette" if header.colour_type == PALETTE else ""
    interlaced = {"because": "it is interlaced"} if header.interlaced else {}
    return {"stored": f"{header.depth} bits per value{palette}", **interlaced}
