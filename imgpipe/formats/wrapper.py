"""Wrapper of a source: the same image, read in another way."""

from __future__ import annotations

from typing import Generic, TypeVar

from imgpipe.formats.base import Source, scratch_bytes_of
from imgpipe.formats.losses import Losses, losses_of
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Wrapper"]

_Of = TypeVar("_Of", bound=Source)


@dataclass(frozen=True, eq=False)
class Wrapper(Generic[_Of]):
    """A source that reads through another one.

    Attributes
    ----------
    source : Source
        The other source.
    """

    source: _Of

    @property
    def info(self) -> ImageInfo:
        """The image, as the header describes it."""
        return self.source.info

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.source.name

    @property
    def grain(self) -> tuple[int, int]:
        """The natural block of the source."""
        return self.source.grain

    @property
    def losses(self) -> Losses | None:
        """The parts that could not be read, if the source marks any."""
        return losses_of(self.source)

    @property
    def scratch_bytes(self) -> int:
        """Size of the scratch files that a reader makes."""
        return scratch_bytes_of(self.source)

    @property
    def decode_bytes(self) -> int:
        """Memory that a reader needs beside the pixels."""
        return self.source.decode_bytes
