"""Soundness of files whose coded pixels are copied: a check that costs little beside the copy."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from imgpipe.errors import CorruptError
from imgpipe.formats.base import Check, Source
from imgpipe.formats.opening import contents_of, format_at, open_source
from imgpipe.formats.origin import Origin
from imgpipe.formats.readwrite import Reading
from imgpipe.image import ImageInfo

__all__ = ["Extent", "must_be_sound"]

_log = logging.getLogger(__name__)
_BAND_BYTES = 4 << 20


class Extent(NamedTuple):
    """Frames of a file.

    Attributes
    ----------
    frames, pixels : int
        The number of frames, and the pixels of all of them.
    largest : ImageInfo
        The frame with the most pixels.
    """

    frames: int
    pixels: int
    largest: ImageInfo


def must_be_sound(
    origin: Origin, source: Source, reading: Reading, limit: int, check: Check = lambda: None
) -> Extent:
    """Refuse a damaged file; return its frames.

    Frames are decoded one after the other, up to the number of pixels that the format declares,
    and their pixels are dropped. If there are more, the format checks what it can without decoding.

    Parameters
    ----------
    origin : Origin
        The file.
    source : Source
        Its first frame.
    reading : Reading
        The options with which it was opened.
    limit : int
        Bytes that decoding may take. A frame that takes more is not decoded.
    check : callable
        Called every few megabytes; what it raises ends the check.

    Raises
    ------
    CorruptError
        If the file is damaged.
    """
    chosen = format_at(origin)
    try:
        extent, all_of_them = _decoded(origin, source, reading, limit, check)
        if all_of_them:
            return extent
        if chosen.intact is not None:
            chosen.intact(source, check)
        elif chosen.checked_pixels is None:
            _log.warning("%s: copied without a check, which needs more memory", origin.name)
    except CorruptError as error:
        if not chosen.salvages:
            raise
        advice = "or add --salvage (salvage=True) to decode what is left"
        raise CorruptError(f"{error}, {advice}") from None
    return extent


def _decoded(
    origin: Origin, source: Source, reading: Reading, limit: int, check: Check
) -> tuple[Extent, bool]:
    """Decode frames as far as they are few and small; return all, and whether all are decoded."""
    chosen, pixels, all_of_them = format_at(origin), 0, True
    most = math.inf if chosen.checked_pixels is None else chosen.checked_pixels
    frames, largest = contents_of(origin).frames, source.info
    for page in range(frames):
        if page:
            source = open_source(origin, replace(reading, page=page))
        largest = max(largest, source.info, key=lambda info: info.pixels)
        pixels += source.info.pixels
        if pixels <= most and _needed(source) <= limit:
            _decode(source, check)
            continue
        all_of_them = False
        if not chosen.pages:  # the frames of an animation are alike
            return Extent(frames, frames * largest.pixels, largest), False
        check()  # each page has places of its own, which are checked when it is opened
    return Extent(frames, pixels, largest), all_of_them


def _needed(source: Source) -> int:
    info = source.info
    pixels = info.nbytes if source.access == "whole" else _rows(source) * info.row_bytes
    return pixels + source.decode_bytes


def _rows(source: Source) -> int:
    """Return the rows that are decoded at once."""
    rows = min(max(1, source.grain[0]), source.info.height)
    return min(source.info.height, rows * max(1, _BAND_BYTES // (rows * source.info.row_bytes)))


def _decode(source: Source, check: Check) -> None:
    """Decode an image, and drop its pixels."""
    info = source.info
    if source.access == "whole":
        source.decode_into(np.empty(info.shape, info.dtype), check)
        return
    bands = info.box.cut(_rows(source), info.width)
    if source.access == "random":
        for band in bands:
            check()
            source.read(band)
        return
    rows = source.rows()
    try:
        for band in bands:
            check()
            rows.read_into(np.empty((*band.shape, info.channels), info.dtype))
        rows.finish()
    finally:
        rows.close()
