"""TIFF files as sources of pixels: any box of small segments, rows from the top of large ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.jpegs.markers import JpegError, UnsupportedError
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.tiff.decoding import JPEG, codec_of, copies_of
from imgpipe.formats.tiff.describing import Description, described
from imgpipe.formats.tiff.layout import Given, Layout
from imgpipe.formats.tiff.pages import opened_page
from imgpipe.formats.tiff.segments import SURPLUS_BYTES, Segments
from imgpipe.formats.tiff.streams import LARGE_BYTES, StreamedSegments, memory_of, stream_of
from imgpipe.formats.truncated import CutSource, stretches
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.metadata import Metadata
from imgpipe.records import dataclass

__all__ = ["TiffRows", "TiffSource", "TiffStream", "open_source"]

_LIBRARY_BYTES = 8 << 20
_EXPANDING_BYTES = 4 << 20


def open_source(
    origin: Origin,
    max_pixels: int | None = None,
    page: int = 0,
    level: int = 0,
    *,
    salvage: bool = False,
) -> TiffSource | TiffStream | CutSource:
    """Open an image of a TIFF file: read and check everything but its pixels.

    Parameters
    ----------
    origin : Origin
        The file. It is opened again by every reader.
    max_pixels : int, optional
        Refuse images of more pixels; see `imgpipe.image.check_pixels`.
    page : int
        The number of the frame.
    level : int
        The level of its pyramid; 0 is the full resolution.
    salvage : bool
        Whether tiles and strips may be missing.

    Raises
    ------
    UsageError
        If there is no such page or level.
    InputError
        If the file cannot be used; `imgpipe.errors` has the kinds.
    """
    with opened_page(origin, page, level) as found:
        description = described(found, origin.name, max_pixels)
    with origin.open() as file:
        kept = _kept_rows(description.layout, file, origin.name) if salvage else ()
        description, most = _checked(description, file, origin.name, salvage=salvage)
        layout, anywhere = description.layout, origin.reference
        large = not layout.is_raw and layout.segment_bytes > LARGE_BYTES
        if anywhere is None or large:
            held = _held(description, most, file, origin.name)
            return TiffStream(origin, description, held)
    source = TiffSource(anywhere, description, most)
    whole = description.layout.tiled or not layout.is_raw or kept == ((0, layout.height),)
    return CutSource(source, kept) if salvage and not whole else source


def _held(description: Description, most: int, file: BinaryIO, name: str) -> int:
    """Return the bytes that a reader of rows needs beside them."""
    layout = description.layout
    if stream_of(layout) is not None:
        first = int(layout.offsets.read(file, name)[0])
        try:
            return _LIBRARY_BYTES + memory_of(layout, file, first)
        except UnsupportedError as error:
            raise FormatError(f"{name}: {error}; convert the file first") from error
        except JpegError as error:
            raise CorruptError(f"{name}: the file is damaged: {error}; get a fresh copy") from error
    if layout.is_raw:
        return _decode_bytes(description, most)
    kept = layout.across * layout.planes - 1  # segments, beside the one under way
    return kept * layout.segment_bytes + _decode_bytes(description, most)


def _kept_rows(layout: Layout, file: BinaryIO, name: str) -> tuple[tuple[int, int], ...]:
    """Return begin and end of the stretches of rows of raw strips that are in a file."""
    if layout.tiled or not layout.is_raw:
        return ()
    size, there = size_of(file), np.zeros((layout.planes, layout.height), bool)
    offsets = layout.offsets.read(file, name)[: layout.segments]
    for index, offset in enumerate(offsets.tolist()):
        plane, strip = divmod(index, layout.down)
        first = strip * layout.rows
        count = max(0, size - offset) // layout.row_bytes if offset > 0 else layout.rows
        there[plane, first : first + min(count, layout.rows)] = offset >= 0
    return tuple(stretches(there.all(axis=0)))


def _checked(
    description: Description, file: BinaryIO, name: str, *, salvage: bool
) -> tuple[Description, int]:
    """Return the description, simplified, and the bytes of the largest segment.

    Raises
    ------
    CorruptError
        If segments are not in the file.
    """
    layout, size = description.layout, size_of(file)
    offsets, counts = (
        n.read(file, name)[: layout.segments] for n in (layout.offsets, layout.counts)
    )
    if len(offsets) < layout.segments or len(counts) < layout.segments:
        found = min(len(offsets), len(counts))
        if salvage:
            return description, 4 * layout.segment_bytes + SURPLUS_BYTES
        raise CorruptError(
            f"{name}: the file is damaged: it declares {found:,} tiles or strips where "
            f"{layout.segments:,} are needed"
        )
    there = (offsets != 0) & (counts != 0)
    if layout.is_raw:
        rows = np.full(layout.segments, layout.rows)
        if not layout.tiled:
            last = layout.height - (layout.down - 1) * layout.rows
            rows[np.arange(layout.segments) % layout.down == layout.down - 1] = last
        counts = rows * layout.row_bytes
    missing = there & ((offsets < 0) | (counts < 0) | (offsets + counts > size))
    if salvage:
        there &= ~missing & (layout.is_raw | (counts <= 4 * layout.segment_bytes + SURPLUS_BYTES))
    elif missing.any():
        raise CorruptError(
            f"{name}: the file is truncated: {int(missing.sum()):,} of {layout.segments:,} tiles "
            f"or strips are not within its {size:,} bytes; get a fresh copy"
        )
    most = int(counts[there].max(initial=0))
    if not layout.is_raw and most > 4 * layout.segment_bytes + SURPLUS_BYTES:
        raise CorruptError(
            f"{name}: the file is damaged: a tile or strip of {most:,} bytes for "
            f"{layout.segment_bytes:,} bytes of pixels"
        )
    whole = there.all() and not missing.any()
    if layout.is_raw and not layout.tiled and layout.down > 1 and whole:
        steps = counts.reshape(layout.planes, -1)[:, :-1]
        if (np.diff(offsets.reshape(layout.planes, -1)) == steps).all():
            description = _in_one_piece(description, offsets[:: layout.down])
    return description, most


def _in_one_piece(description: Description, offsets: Pixels) -> Description:
    """Return the description of strips that follow each other without a gap."""
    layout = description.layout
    starts = Given(tuple(map(int, offsets)))
    whole = replace(
        layout,
        rows=layout.height,
        offsets=starts,
        counts=Given((layout.height * layout.row_bytes,) * len(starts.values)),
    )
    return replace(description, layout=whole)


@dataclass(frozen=True)
class TiffSource:
    """An image of which any box is read where it is needed."""

    access: ClassVar[Literal["random"]] = "random"
    origin: Origin
    description: Description
    largest: int

    @property
    def compressed(self) -> bool:
        """Return whether a tile takes work to decode."""
        return not self.description.layout.is_raw

    @property
    def outside_python(self) -> bool:
        """Return whether reading hardly holds the interpreter's lock: raw pixels and JPEG."""
        layout = self.description.layout
        return layout.is_raw or layout.compression in JPEG

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def info(self) -> ImageInfo:
        """The image."""
        return self.description.info

    @property
    def grain(self) -> tuple[int, int]:
        """Rows and columns of a tile; the rows of a compressed strip; none of a raw one."""
        layout = self.description.layout
        if layout.tiled:
            return layout.rows, layout.columns
        return (1, 1) if layout.is_raw else (layout.rows, 0)

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        return _details(self.description.layout)

    @property
    def decode_bytes(self) -> int:
        """Memory of a reader beside the pixels that it gives out, in bytes."""
        return _decode_bytes(self.description, self.largest)

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        out = np.empty((*box.shape, self.info.channels), self.info.dtype)
        self._fill(box, out)
        return out

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        """Fill `out` with the tile in a row and a column of tiles, clipped at the edges."""
        self._fill(self.description.layout.at(row, column, 0).box, out)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to the workers without metadata, which may be megabytes."""
        info = replace(self.info, metadata=Metadata())
        return TiffSource, (self.origin, replace(self.description, info=info), self.largest)

    def _fill(self, box: Box, out: Pixels) -> None:
        with self.origin.open(0) as file:
            Segments(self.description, file, self.name).fill(box, out)


@dataclass(frozen=True)
class TiffStream:
    """An image that is read from top to bottom.

    Its segments are too large to be decoded for every task, or other processes cannot open it.
    """

    access: ClassVar[Literal["sequential"]] = "sequential"
    origin: Origin
    description: Description
    decode_bytes: int

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def info(self) -> ImageInfo:
        """The image."""
        return self.description.info

    @property
    def grain(self) -> tuple[int, int]:
        """One row: rows are given out as they are asked for."""
        return 1, 0

    @property
    def decode_ms(self) -> float:
        """Milliseconds of one core for a megapixel: those of deflate, the usual compression."""
        return 0.0 if self.description.layout.is_raw else 10.0

    def rows(self, *, ahead: bool = False) -> TiffRows:
        """Return a new position at the first row."""
        return TiffRows(self)


class TiffRows:
    """A position in an image, moving down."""

    def __init__(self, source: TiffStream) -> None:
        self._width, self._next = source.info.width, 0
        self.suspects = 0, 0
        self._height, self._step = source.info.height, source.description.layout.rows
        self._file = source.origin.open(0)
        described, name = source.description, source.name
        self._segments = (
            Segments(described, self._file, name, keeps=True)
            if stream_of(described.layout) is None
            else StreamedSegments(described, self._file, name)
        )

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels), with the next rows.

        Raises
        ------
        CorruptError
            If the rows are not there or are damaged.
        """
        box = Box(self._next, 0, self._next + len(out), self._width)
        self._segments.fill(box, out)
        self._next = box.y1

    def resume(self) -> int:
        """Go on after damage: return the first row of the next strip or row of tiles.

        Rows of the same strip that were read are the `suspects`: damage is noticed late. If only
        the end of the strip before was wrong, all of its rows are, and reading goes on where it is.
        """
        ended, self._segments.suspect = self._segments.suspect, None
        if ended is not None:
            self.suspects = ended.y0, ended.y1
            return self._next
        first = self._next // self._step * self._step
        self.suspects = first, self._next
        self._next = min(first + self._step, self._height)
        return self._next

    def finish(self) -> None:
        """Check the end of the pixel data."""
        self._segments.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._segments.close()
        self._file.close()


def _decode_bytes(description: Description, largest: int) -> int:
    layout = description.layout
    tables = 16 * layout.segments if layout.segments > 64 else 0
    if layout.is_raw and not description.expansion.is_needed:
        return _LIBRARY_BYTES + tables
    expanded = _EXPANDING_BYTES if description.expansion.is_needed else 0
    copies = 2.25 + copies_of(layout.compression)  # data, result, and memory that malloc keeps
    decoded = int(copies * layout.segment_bytes)
    return _LIBRARY_BYTES + tables + largest + decoded + expanded


def _details(layout: Layout) -> dict[str, str]:
    """Return the storage of the samples in words."""
    order = "big-endian" if layout.order == ">" else "little-endian"
    planes = ", in planes" if layout.apart and layout.samples > 1 else ""
    predictor = {2: ", horizontal predictor", 3: ", floating-point predictor"}
    codec = codec_of(layout.compression) or "none"
    return {
        "compression": codec + predictor.get(layout.predictor, ""),
        "stored": f"{layout.bits} bits per value, {order}{planes}",
    }
