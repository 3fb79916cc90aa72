"""Soundness of the coded pixels of a JPEG file, by its markers."""

from __future__ import annotations

import math
import re
from typing import Any, BinaryIO

from imgpipe.formats.base import Check
from imgpipe.formats.damage import damage
from imgpipe.formats.jpegs.markers import (
    APP0,
    COM,
    DHT,
    DNL,
    DQT,
    DRI,
    EOI,
    RST0,
    SOS,
    Header,
    JpegError,
    read_header,
)

__all__ = ["must_be_intact"]

_PIECE_BYTES = 1 << 20
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_DAC = 0xCC
_BETWEEN = frozenset({DHT, DQT, DRI, DNL, SOS, COM, _DAC, *range(APP0, APP0 + 16)})


def must_be_intact(source: Any, check: Check) -> None:
    """Refuse a file without an end mark, or with a marker where none can be.

    Parameters
    ----------
    source : Source
        The file.
    check : callable
        Called for each megabyte.

    Raises
    ------
    CorruptError
        If it is such a file.
    """
    damaged = damage(source.origin.name, "the file is damaged: {}", JpegError)
    with damaged, source.origin.open() as file:
        _check_markers(file, read_header(file), check)


def _check_markers(file: BinaryIO, header: Header, check: Check) -> None:
    """Read from the first coded byte to the end mark, scan by scan."""
    at, interval, restarts = header.start, header.interval, 0
    file.seek(at)
    while len(piece := file.read(_PIECE_BYTES)) > 1:
        check()
        stop = len(piece) - 1  # the last byte may begin a marker
        for found in _MARKER.finditer(piece):
            marker, place = piece[found.start() + 1], at + found.start()
            if RST0 <= marker < RST0 + 8 and interval:
                if marker != RST0 + restarts % 8:
                    raise JpegError(f"the restart marker at byte {place:,} is not the next one")
                restarts += 1
                continue
            if marker == EOI:
                _check_count(header, interval, restarts)
                return
            if marker not in _BETWEEN:
                raise JpegError(f"at byte {place:,} is a marker that cannot be there")
            file.seek(place + 2)
            head = file.read(4)
            size = int.from_bytes(head[:2], "big")
            if size < 2:
                raise JpegError(f"the segment at byte {place:,} has an impossible length")
            if marker == DRI:
                interval = int.from_bytes(head[2:], "big")
            restarts = 0 if marker == SOS else restarts
            stop = found.start() + 2 + size
            break
        at += stop
        file.seek(at)
    raise JpegError("it is cut off: it has no end mark (EOI)")


def _check_count(header: Header, interval: int, restarts: int) -> None:
    """Refuse data of one scan in which restart markers are missing."""
    if interval and header.at_once:
        needed = -(-math.prod(header.mcus) // interval) - 1
        if restarts != needed:
            raise JpegError(f"it has {restarts} restart markers, and needs {needed}")
