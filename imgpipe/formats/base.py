"""Source and Sink: a format as the engine sees it.

A format is one module with a `declaration.Format`. The engine looks at the ``access`` of an open
source, which is a property of the file and not of the format, and at the ``kind`` of a sink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Protocol, runtime_checkable

from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels

__all__ = [
    "Access",
    "Aside",
    "Check",
    "Data",
    "Divisible",
    "Encoder",
    "Facts",
    "OrderedSink",
    "Pixels",
    "PlacedSink",
    "Placer",
    "RandomSource",
    "Reduced",
    "Reducible",
    "Rows",
    "SequentialSource",
    "Sink",
    "Source",
    "Tiles",
    "WholeSource",
    "aside_of",
    "decode_ms_of",
    "further_of",
    "is_ours",
    "outside_python",
    "scratch_bytes_of",
]

Access = Literal["random", "sequential", "whole"]
"""The order in which a source gives its pixels: any, from top to bottom, or all at once."""
Data = bytes | memoryview
"""Bytes of a file."""
Facts = tuple[int, ...]
"""Numbers that an encoder returns with the bytes of a unit, such as a checksum, for the sink."""
Check = Callable[[], None]
"""Long work calls this now and then; it raises if the work is to stop."""


class Rows(Protocol):
    """A reading position in an image, moving down row by row. Used by one thread."""

    def read_into(self, out: Pixels) -> None:
        """Fill `out`, shape (rows, width, channels) and C-contiguous, with the next rows.

        Raises
        ------
        CorruptError
            If the rows are not there or are damaged.
        """

    def finish(self) -> None:
        """Check the rest of the file (called once, when all rows have been read)."""

    def close(self) -> None:
        """Close the file."""


class RandomSource(Protocol):
    """Any box in any order, from any process: picklable, and opened again in each process."""

    access: ClassVar[Literal["random"]]

    @property
    def info(self) -> ImageInfo:
        """Properties of the image."""

    @property
    def name(self) -> str:
        """The file, for messages."""

    @property
    def grain(self) -> tuple[int, int]:
        """Rows and columns of the natural block; 0 columns for whole rows, (1, 1) for none."""

    @property
    def decode_bytes(self) -> int:
        """Memory that `read` needs in each process beside the pixels it returns, in bytes.

        Libraries that it imports, tables, blocks of the file before and after they are decoded.
        """

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`, shape (rows, columns, channels), read-only."""


class Tiles(RandomSource, Protocol):
    """A random source whose tiles can be decoded one by one.

    Its `grain` is the size of a tile; 0 columns stand for strips of whole rows.
    """

    @property
    def compressed(self) -> bool:
        """Return whether tiles are compressed; the engine decodes each of them once then."""

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        """Decode a tile, given by its row and column among the tiles.

        Parameters
        ----------
        row, column : int
            The tile; column 0 of strips.
        out : ndarray, shape (rows, columns, channels)
            Takes the pixels: a part of a larger array, so not contiguous. Smaller for tiles at
            the right and at the bottom of the image.

        Raises
        ------
        CorruptError
            If the tile is damaged.
        """


class SequentialSource(Protocol):
    """Rows from top to bottom, in the parent; opened again for every pass."""

    access: ClassVar[Literal["sequential"]]

    @property
    def info(self) -> ImageInfo:
        """Properties of the image."""

    @property
    def name(self) -> str:
        """The file, for messages."""

    @property
    def grain(self) -> tuple[int, int]:
        """Rows and columns of the natural block; 0 columns for whole rows, (1, 1) for none."""

    @property
    def decode_bytes(self) -> int:
        """Memory that a position needs beside the rows that it fills, libraries included."""

    def rows(self, *, ahead: bool = False) -> Rows:
        """Return a new position at the first row.

        With `ahead` it may use a thread of its own to decode before it is asked.
        """


@runtime_checkable
class Divisible(Protocol):
    """A sequential source whose file may hold parts that can be decoded in any order."""

    def in_groups(self) -> RandomSource | None:
        """Return the same image in such parts; None if it has none.

        To decode parts takes longer than to decode rows in their order, but every worker does it.
        """


def decode_ms_of(source: Source) -> float:
    """Return the time to decode a megapixel, in milliseconds of one core; 0 if not known.

    Sources of slow codecs say it by their member `decode_ms`. An image that several passes read is
    kept in a scratch file if that is cheaper.
    """
    return float(getattr(source, "decode_ms", 0.0))


def scratch_bytes_of(end: Source | Sink) -> int:
    """Return the size of the scratch files that a source or a sink makes, in bytes.

    Sinks that make some have a member `scratch_bytes`.
    """
    return int(getattr(end, "scratch_bytes", 0))


def is_ours(source: Source) -> bool:
    """Return whether the decoder of a source is imgpipe's own, and damaged files cannot crash it.

    Such sources say it by their member `ours`. In a batch all others that are not random are
    decoded by a process of their own.
    """
    return bool(getattr(source, "ours", False))


class WholeSource(Protocol):
    """All pixels at once or none."""

    access: ClassVar[Literal["whole"]]

    @property
    def info(self) -> ImageInfo:
        """Properties of the image."""

    @property
    def name(self) -> str:
        """The file, for messages."""

    @property
    def grain(self) -> tuple[int, int]:
        """Rows and columns of the natural block; 0 columns for whole rows, (1, 1) for none."""

    @property
    def decode_bytes(self) -> int:
        """Memory that `decode_into` needs beside `out`, libraries included, in bytes."""

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out`, shape (height, width, channels), with the whole image.

        Calls `check` every few megabytes; an exception of `check` ends the decoding.
        """


@runtime_checkable
class Reduced(WholeSource, Protocol):
    """A smaller image of a file.

    Its last row and column may stand for fewer pixels of the image than the others.
    """

    @property
    def share(self) -> tuple[int, int]:
        """Pixels of the image, and for how many of this one they are, along both axes."""


@runtime_checkable
class Reducible(Protocol):
    """A source whose decoder can make a smaller image of the file."""

    def reduced(self, size: tuple[int, int]) -> Reduced | None:
        """Return the smallest such image that is enough for a thumbnail of a size.

        The size is rows and columns. None if only the image itself is enough.
        """


Source = RandomSource | SequentialSource | WholeSource
"""The pixels of an open image."""


@runtime_checkable
class Encoder(Protocol):
    """Encoder of units, run by the workers. Picklable, without state."""

    @property
    def context_rows(self) -> int:
        """Rows of output above a unit that `encode` needs."""

    @property
    def work_bytes(self) -> int:
        """Memory that `encode` needs beside the unit and the bytes that it returns."""

    def bound(self, rows: int) -> int:
        """Return the most bytes that `rows` rows of the whole width can become.

        Each of the units side by side takes the same share of them.
        """

    def encode(self, unit: Pixels, above: Pixels | None) -> tuple[Data, Facts]:
        """Return the bytes of one unit and the facts about them.

        Parameters
        ----------
        unit : ndarray, shape (rows, columns, channels)
            The pixels of one encode unit, C-contiguous; smaller at the right and at the bottom of
            the image.
        above : ndarray, shape (context_rows, columns, channels), or None
            The rows just above, None at the top of the image.
        """


@runtime_checkable
class Placer(Protocol):
    """Writer of boxes, run by the workers. Picklable; opens the file in its process."""

    def rows(self, box: Box) -> Pixels | None:
        """Return an array over the file itself for `box`; None if there is none."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` at `box`. Doing it twice is the same as once."""

    def seal(self) -> None:
        """Finish the file once every box is in place; runs as one last task."""


class OrderedSink(Protocol):
    """Workers encode; the parent appends payloads in order from one thread."""

    kind: ClassVar[Literal["ordered"]]

    @property
    def info(self) -> ImageInfo:
        """The image that is written."""

    @property
    def unit(self) -> tuple[int, int]:
        """Rows and columns that are encoded at once; 0 columns for whole rows.

        The format fixes it: a function of width, channels and dtype alone.
        """

    @property
    def encoder(self) -> Encoder:
        """The part that the workers run."""

    def append(self, data: Data, facts: Facts) -> None:
        """Append the next unit: they come row by row, and from left to right."""

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""


class PlacedSink(Protocol):
    """Workers write boxes where they belong, in any order."""

    kind: ClassVar[Literal["placed"]]

    @property
    def info(self) -> ImageInfo:
        """The image that is written."""

    @property
    def unit(self) -> tuple[int, int]:
        """Rows and columns of the grid that boxes are placed on; 0 columns for whole rows."""

    @property
    def placer(self) -> Placer:
        """The part that the workers run."""

    @property
    def seal_bytes(self) -> int:
        """Memory that `Placer.seal` needs, in bytes; 0 is usual.

        A sink whose `Placer.place` needs memory beside the pixels says so by `place_bytes`.
        """

    def commit(self) -> int:
        """Publish the finished file and return its size in bytes."""

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""


Sink = OrderedSink | PlacedSink
"""An output under construction."""


class Aside(Protocol):
    """Use of pixels that are encoded too, run by the workers. Picklable."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Take the `pixels` of a `box` of whole units. Doing it twice is the same as once."""


def aside_of(sink: Sink) -> Aside | None:
    """Return the `aside` of an ordered sink, which few sinks have."""
    found: Aside | None = getattr(sink, "aside", None)
    return found


def outside_python(sink: Sink) -> bool:
    """Return whether the encoder of a sink hardly holds the lock, so that threads will do.

    Such encoders and placers say it by their member `outside_python`, a sink that has neither by
    its own.
    """
    told = getattr(sink, "outside_python", None)
    if told is None:
        made_by = sink.encoder if sink.kind == "ordered" else sink.placer
        told = getattr(made_by, "outside_python", False)
    return bool(told)


def further_of(sink: Sink) -> tuple[tuple[RandomSource, Sink], ...]:
    """Return the further passes of a sink after its own; few sinks have any.

    They are its member `further`: sources, such as scratch files that the workers have filled
    meanwhile, and sinks of the same file. These are neither committed nor sealed.
    """
    found: tuple[tuple[RandomSource, Sink], ...] = getattr(sink, "further", ())
    return found
