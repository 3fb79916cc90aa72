"""Soundness of the pixel data of a PNG file, by the checksums of its chunks."""

from __future__ import annotations

from typing import Any

from imgpipe.formats.base import Check
from imgpipe.formats.png.animation import animation_of
from imgpipe.formats.png.chunks import image_data

__all__ = ["must_be_intact"]


def must_be_intact(source: Any, check: Check) -> None:
    """Refuse a file with a wrong checksum in the pixel data of a frame.

    To decompress the data too takes twelve times as long.

    Parameters
    ----------
    source : PngSource, InterlacedSource or DrawnSource
        The file; opened, so that its chunks are known to be there.
    check : callable
        Called for each megabyte.

    Raises
    ------
    CorruptError
        If there is one.
    """
    origin, header = source.origin, source.header
    frames = [header]
    if header.frames > 1:
        frames = [frame.header(header) for frame in animation_of(origin).frames]
    with origin.open() as file:
        for each in frames:
            extent = each.data_start, each.data_end, each.data_kind
            for _ in image_data(file, origin.name, *extent):
                check()
