"""Whole decoding: sources whose decoder gives the whole image or nothing.

Its size is known, and checked against the limits, before anything is decoded. So a small file that
declares a huge image costs nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import ClassVar, Literal, Protocol, TypeVar

import numpy as np

from imgpipe.errors import CorruptError, InputError
from imgpipe.formats.base import Check
from imgpipe.formats.origin import Origin
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = [
    "CODEC_ERRORS",
    "DecodedSource",
    "WholeDecoder",
    "content_of",
    "decoded",
    "fill",
    "reason_of",
]

_T = TypeVar("_T")

CODEC_ERRORS = (
    RuntimeError, ValueError, TypeError, OSError, EOFError, SyntaxError, LookupError,
    ArithmeticError, MemoryError, AssertionError, AttributeError, struct.error, zlib.error,
)  # fmt: skip
"""Exceptions with which imagecodecs and Pillow refuse an image, each some kind of it."""


class WholeDecoder(Protocol):
    """Decoder of whole images. Picklable, without state."""

    @property
    def work_bytes(self) -> int:
        """Memory that `decode_into` needs beside the file and `out`, in bytes."""

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`, shape (height, width, channels), from the content of a file.

        Raises
        ------
        Exception
            One of `CODEC_ERRORS` if the file is damaged.
        """


@dataclass(frozen=True)
class DecodedSource:
    """An image that is decoded at once.

    Attributes
    ----------
    info : ImageInfo
        The image, as the header of the file declares it.
    origin : Origin
        The file.
    decoder : WholeDecoder
        Its decoder.
    size : int
        Bytes of the file.
    """

    access: ClassVar[Literal["whole"]] = "whole"
    grain: ClassVar[tuple[int, int]] = (1, 1)
    info: ImageInfo
    origin: Origin
    decoder: WholeDecoder
    size: int

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self.origin.name

    @property
    def decode_bytes(self) -> int:
        """Memory that `decode_into` needs beside `out`: that of the file, and of its decoder."""
        return self.size + self.decoder.work_bytes

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out` with the whole image; `check` is called before the decoder begins.

        Raises
        ------
        CorruptError
            If the file is damaged.
        """
        check()
        data = self.content()
        decoded(lambda: self.decoder.decode_into(data, out), self.name)
        check()

    def content(self) -> bytes:
        """Return the bytes of the file.

        Raises
        ------
        CorruptError
            If it has changed.
        """
        data = content_of(self.origin)
        if len(data) != self.size:
            raise CorruptError(f"{self.name}: has changed while it was read; start again")
        return data


def content_of(origin: Origin) -> bytes:
    """Return all bytes of a file.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    with origin.open(0) as file:
        try:
            return file.read()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{origin.name}: cannot be read: {reason}; check the disk") from error


def decoded(call: Callable[[], _T], name: str) -> _T:
    """Return the result of a decoder for the file `name`.

    Raises
    ------
    CorruptError
        If the decoder refuses the file.
    """
    try:
        return call()
    except CODEC_ERRORS as error:
        raise CorruptError(
            f"{name}: the file is damaged ({reason_of(error)}); get a fresh copy"
        ) from error


def reason_of(error: Exception) -> str:
    """Return the message of an exception of a codec, in one printable line."""
    words = " ".join(str(error).split()).rstrip(".")
    shown = "".join(char if char.isprintable() else "?" for char in words)
    return shown or type(error).__name__


def fill(out: Pixels, pixels: Pixels) -> None:
    """Copy the pixels of a decoder to `out`, unless they are there already.

    Raises
    ------
    ValueError
        If they are not of the image that the header declares.
    """
    if pixels.size != out.size or pixels.dtype != out.dtype:
        raise ValueError(f"it holds {pixels.shape} {pixels.dtype}, not {out.shape} {out.dtype}")
    if not np.may_share_memory(pixels, out):
        out[...] = pixels.reshape(out.shape)
