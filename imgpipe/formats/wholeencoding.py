"""Whole encoding: sinks whose encoder needs the whole image.

Workers put pixels into a scratch file. The last task reads them, encodes them and writes the bytes.
An encoder that crashes takes the worker of that task, and not the run.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from imgpipe.errors import OutputError
from imgpipe.formats.base import Data
from imgpipe.formats.raw import RawPlacer, RawSource
from imgpipe.formats.scratch import Scratch
from imgpipe.formats.spooled import SpooledTarget
from imgpipe.formats.target import Place, Target
from imgpipe.formats.wholedecoding import CODEC_ERRORS, reason_of
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["EncodedPlacer", "EncodedSink", "WholeEncoder", "encoded"]


class WholeEncoder(Protocol):
    """Encoder of whole images, run by a worker. Picklable, without state."""

    @property
    def work_bytes(self) -> int:
        """Memory that `encode` needs beside the pixels, in bytes: its own, and its result."""

    def encode(self, pixels: Pixels) -> Data:
        """Return the file of an image.

        Parameters
        ----------
        pixels : ndarray, shape (height, width, channels)
            The image, C-contiguous. It may be changed: it is not used afterwards.

        Raises
        ------
        Exception
            One of `wholedecoding.CODEC_ERRORS` if the codec fails.
        """


@dataclass(frozen=True)
class EncodedPlacer:
    """Boxes written to a scratch file, and at last encoded."""

    scratch: RawPlacer
    pixels: RawSource
    encoder: WholeEncoder
    out: Place
    name: str

    def rows(self, box: Box) -> None:
        """Return nothing: pixels are written when they are all there."""

    def place(self, box: Box, pixels: Pixels) -> None:
        """Write `pixels` at `box` of the scratch file."""
        self.scratch.place(box, pixels)

    def seal(self) -> None:
        """Encode the image, and write the file."""
        image = self.pixels.read(self.pixels.info.box)
        data = encoded(self.encoder, image, self.name)
        self.out.write([(0, data)])
        self.out.end(memoryview(data).nbytes)


class EncodedSink:
    """A file that the last task encodes.

    Parameters
    ----------
    target : Target
        Gets the bytes.
    info : ImageInfo
        The image.
    encoder : WholeEncoder
        Makes the bytes.
    """

    kind: ClassVar[Literal["placed"]] = "placed"
    unit: ClassVar[tuple[int, int]] = (1, 1)

    def __init__(self, target: Target, info: ImageInfo, encoder: WholeEncoder) -> None:
        self.info, self._target = info, target
        self.seal_bytes = info.nbytes + encoder.work_bytes
        self.scratch_bytes = info.nbytes
        self._scratch = Scratch(info)
        out = target.place(0)
        if out is None:
            self._target = spool = SpooledTarget(target)
            out = spool.place(0)
        scratch = self._scratch
        self.placer = EncodedPlacer(scratch.placer, scratch.source, encoder, out, target.name)

    def commit(self) -> int:
        """Publish the file; return its size in bytes."""
        size = self._target.commit()
        self._scratch.abort()
        return size

    def abort(self) -> None:
        """Leave nothing behind."""
        self._target.abort()
        self._scratch.abort()


def encoded(encoder: WholeEncoder, pixels: Pixels, name: str) -> Data:
    """Return the file of an image called `name`.

    Raises
    ------
    OutputError
        If the codec fails.
    """
    try:
        return encoder.encode(pixels)
    except CODEC_ERRORS as error:
        reason = reason_of(error)
        raise OutputError(f"{name}: cannot be encoded ({reason}); choose another format") from error
