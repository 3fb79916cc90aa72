"""Splicing: other metadata in a JPEG file, and the coded pixels as they are."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.jpeg.metadata import is_metadata, metadata_segments
from imgpipe.formats.jpegs.markers import (
    APP2,
    APP14,
    EOI,
    SOI,
    Header,
    JpegError,
    Segment,
    UnsupportedError,
    read_header,
)
from imgpipe.formats.origin import Origin
from imgpipe.image import Metadata

__all__ = ["bare", "respliced", "spliced"]

_PIECE_BYTES = 1 << 20
_MARKER, _END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]"), bytes((0xFF, EOI))
_JFIF, _FURTHER = b"JFIF\0", b"MPF\0"  # the latter has positions in the file, which change


def spliced(data: bytes, marks: bytes) -> bytes:
    """Return JPEG data with other segments of metadata.

    Parameters
    ----------
    data : bytes
        From the SOI marker to the EOI marker.
    marks : bytes
        Segments that replace all of its own, except Adobe's.

    Raises
    ------
    JpegError
        If its header is damaged.
    """
    file = io.BytesIO(data)
    return b"".join(_pieces(file, read_header(file), marks, _none))


def bare(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of an open JPEG file without metadata, piece by piece.

    Raises
    ------
    JpegError
        If its header is damaged.
    """
    return _pieces(file, read_header(file), b"", _none)


def respliced(origin: Origin, metadata: Metadata, *, others: bool = True) -> Iterator[bytes]:
    """Yield the bytes of a JPEG file with other metadata, piece by piece.

    Coded pixels stay as they are. Further pictures behind them are left out: previews, which have
    metadata of their own.

    Parameters
    ----------
    origin : Origin
        The file.
    metadata : Metadata
        The metadata that it is to have.
    others : bool
        Whether segments stay that `metadata` has no place for.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    name = origin.name

    def kept(mark: Segment) -> bool:
        further = mark.marker == APP2 and mark.content.startswith(_FURTHER)
        return others and not is_metadata(mark) and not further

    with origin.open() as file:
        try:
            header = read_header(file)
            channels = len(header.components)
            marks = metadata_segments(metadata, channels, name, jfif=_may_be_jfif(header))
            yield from _pieces(file, header, marks, kept)
        except UnsupportedError as error:
            raise FormatError(f"{name}: {error}; convert it with another program") from None
        except JpegError as error:
            raise CorruptError(f"{name}: the file is damaged: {error}; get a fresh copy") from None


def _may_be_jfif(header: Header) -> bool:
    """Return whether the marker of JFIF does not change the meaning of colours."""
    numbers = [each.number for each in header.components]
    declared = any(each.content.startswith(_JFIF) for each in header.marks)
    usual = numbers == [1, 2, 3] and header.transform is None
    return declared or usual or len(numbers) == 1


def _none(mark: Segment) -> bool:
    return False


def _pieces(
    file: BinaryIO, header: Header, marks: bytes, kept: Callable[[Segment], bool]
) -> Iterator[bytes]:
    yield bytes((0xFF, SOI)) + marks
    at = 2
    for each in header.marks:
        if each.marker != APP14 and not kept(each):
            file.seek(at)
            yield file.read(each.position - at)
            at = each.end
    file.seek(at)
    yield file.read(header.start - at)
    yield from _coded(file, header.start)


def _coded(file: BinaryIO, at: int) -> Iterator[bytes]:
    """Yield the bytes from a position in the coded data to the EOI marker, or the end of the file.

    Segments between scans are passed over: an EOI marker in one is none.
    """
    file.seek(at)
    while piece := file.read(_PIECE_BYTES):
        found = _MARKER.search(piece)
        if found is None:
            stop = len(piece) - (piece.endswith(b"\xff") and len(piece) > 1)
        elif found.group() == _END:
            yield piece[: found.end()]
            return
        else:
            length = int.from_bytes(piece[found.end() : found.end() + 2], "big")
            stop = found.end() + max(length, 2)
            if stop > len(piece):  # to see all of the segment in the next piece
                stop = found.start() or len(piece)
        yield piece[:stop]
        at += stop
        file.seek(at)
