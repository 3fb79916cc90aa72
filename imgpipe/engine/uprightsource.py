"""Upright source: a random source with the orientation of its file applied."""

from __future__ import annotations

from typing import ClassVar, Literal

from imgpipe.chains.stages import Stage, compute, resolve
from imgpipe.formats.base import RandomSource
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["upright"]


def upright(source: RandomSource) -> RandomSource:
    """Return `source` as it is to be seen."""
    stages = resolve((), source.info)
    return _UprightSource(source, stages) if stages else source


@dataclass(frozen=True)
class _UprightSource:
    """A source whose pixels are turned when they are read."""

    source: RandomSource
    stages: tuple[Stage, ...]

    access: ClassVar[Literal["random"]] = "random"
    grain: ClassVar[tuple[int, int]] = (1, 1)

    @property
    def info(self) -> ImageInfo:
        """The upright image."""
        return self.stages[-1].after

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.source.name

    @property
    def decode_bytes(self) -> int:
        """Memory that a reader needs beside the pixels."""
        return self.source.decode_bytes

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        return compute(self.stages, box, self.source.read)
