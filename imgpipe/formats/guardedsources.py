"""Guarded sources: errors of decoders of other packages name file and format."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, TypeVar, cast

from imgpipe.errors import CorruptError, ImgpipeError
from imgpipe.formats.base import (
    Check,
    RandomSource,
    Rows,
    SequentialSource,
    Source,
    Tiles,
    WholeSource,
)
from imgpipe.formats.declaration import Format
from imgpipe.formats.wholedecoding import reason_of
from imgpipe.formats.wrapper import Wrapper
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass
from imgpipe.refusals import refusal

__all__ = ["guarded", "guards"]


@contextlib.contextmanager
def guards(format: str, name: str) -> Iterator[None]:
    """Turn foreign exceptions of a reader of `format` into an error of imgpipe.

    Raises
    ------
    CorruptError
        If there was one.
    """
    try:
        yield
    except ImgpipeError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) and refusal(error):  # the file is not to blame
            raise
        fault = f"{type(error).__name__}: {reason_of(error)}"
        raise CorruptError(
            f"{name}: cannot be read as {format} ({fault}); get a fresh copy, or report it to the "
            "authors of the format"
        ) from error


def guarded(source: Source, format: Format) -> Source:
    """Return `source` with its decoder guarded, if it is not one of imgpipe's own."""
    if format.read is None or format.read.__module__.partition(".")[0] == "imgpipe":
        return source
    if source.access == "sequential":
        return GuardedSequential(source, format.name)
    if source.access == "whole":
        return GuardedWhole(source, format.name)
    if hasattr(source, "tile_into"):
        return GuardedTiles(cast(Tiles, source), format.name)
    return GuardedRandom(source, format.name)


_Of = TypeVar("_Of", RandomSource, Tiles, SequentialSource, WholeSource)


@dataclass(frozen=True)
class _Guarded(Wrapper[_Of]):
    """A source of another package."""

    format: str

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") or attribute == "source":
            raise AttributeError(attribute)  # it is being unpickled
        return getattr(self.source, attribute)


class GuardedRandom(_Guarded[RandomSource]):
    """A random source of another package."""

    access: ClassVar[Literal["random"]] = "random"

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        with guards(self.format, self.name):
            return self.source.read(box)


class GuardedTiles(_Guarded[Tiles]):
    """A random source of another package, with tiles."""

    access: ClassVar[Literal["random"]] = "random"

    @property
    def compressed(self) -> bool:
        """Return whether tiles are compressed."""
        return self.source.compressed

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        with guards(self.format, self.name):
            return self.source.read(box)

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        """Decode a tile."""
        with guards(self.format, self.name):
            self.source.tile_into(row, column, out)


class GuardedSequential(_Guarded[SequentialSource]):
    """A sequential source of another package."""

    access: ClassVar[Literal["sequential"]] = "sequential"

    def rows(self, *, ahead: bool = False) -> Rows:
        """Return a new position at the first row."""
        with guards(self.format, self.name):
            return _GuardedRows(self.source.rows(ahead=ahead), self.format, self.name)


class GuardedWhole(_Guarded[WholeSource]):
    """A whole source of another package."""

    access: ClassVar[Literal["whole"]] = "whole"

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out` with the whole image."""
        with guards(self.format, self.name):
            self.source.decode_into(out, check)


@dataclass(frozen=True)
class _GuardedRows:
    """A position in a sequential source of another package."""

    inner: Rows
    format: str
    name: str

    def read_into(self, out: Pixels) -> None:
        """Fill `out` with the next rows."""
        with guards(self.format, self.name):
            self.inner.read_into(out)

    def finish(self) -> None:
        """Check the rest of the file."""
        with guards(self.format, self.name):
            self.inner.finish()

    def close(self) -> None:
        """Close the file."""
        self.inner.close()
