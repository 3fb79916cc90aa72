"""Blanking of files: only some spans of bytes are left, and all others are zeros."""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import BinaryIO, cast

import numpy as np

from imgpipe.formats.origin import Origin
from imgpipe.image import Pixels

__all__ = ["BlankedOrigin", "joined", "meeting"]


class BlankedOrigin:
    """A file of which only some spans are left.

    Parameters
    ----------
    origin : Origin
        The file.
    spans : array, shape (n, 2), int64
        Begin and end of each span that is left, as `joined` returns them.
    written : dict of int to bytes
        Bytes that take the place of others, by their position. They do not overlap.
    """

    reference = None

    def __init__(self, origin: Origin, spans: Pixels, written: Mapping[int, bytes]) -> None:
        self.name, self._origin = origin.name, origin
        places = [(place, place + len(data)) for place, data in written.items()]
        self._spans = joined(np.concatenate((spans, np.array(places, np.int64).reshape(-1, 2))))
        self._written = sorted(written.items())

    def open(self, buffering: int = -1) -> BinaryIO:
        """Return a new reading position at the first byte.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        made = _Blanked(self._origin.open(0), self._spans, self._written)
        return cast(BinaryIO, io.BufferedReader(made) if buffering else made)


class _Blanked(io.RawIOBase):
    """An open file; it ends with its last span."""

    def __init__(self, file: BinaryIO, spans: Pixels, written: list[tuple[int, bytes]]) -> None:
        self._file, self._spans, self._written = file, spans, written
        self._size = int(spans[-1, 1]) if len(spans) else 0
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        if self._at < 0:
            raise ValueError(f"negative position {self._at}")
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        begin = self._at
        out = memoryview(buffer).cast("B")[: max(0, self._size - begin)]
        if not out:
            return 0
        self._file.seek(begin)
        out = out[: _filled(self._file, out)]
        end = self._at = begin + len(out)
        at, number = begin, int(np.searchsorted(self._spans[:, 1], begin, "right"))
        while at < end:
            start, stop = self._spans[number].tolist() if number < len(self._spans) else (end, end)
            start = min(max(start, at), end)
            out[at - begin : start - begin] = bytes(start - at)
            at, number = max(stop, start), number + 1
        self._overwrite(out, begin)
        return len(out)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _overwrite(self, out: memoryview, begin: int) -> None:
        """Put the written bytes into a part of the file that begins at `begin`."""
        end = begin + len(out)
        first = max(0, bisect_right(self._written, begin, key=lambda one: one[0]) - 1)
        last = bisect_left(self._written, end, key=lambda one: one[0])
        for place, data in self._written[first:last]:
            part = data[max(0, begin - place) : end - place]
            start = max(place, begin) - begin
            out[start : start + len(part)] = part


def joined(spans: Pixels) -> Pixels:
    """Return spans in order; touching and overlapping ones are joined.

    Parameters
    ----------
    spans : array, shape (n, 2), int64
        Begin and end of each span.
    """
    spans = spans[spans[:, 1] > spans[:, 0]]
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    apart = spans[1:, 0] > ends[:-1]
    one = np.ones(min(1, len(spans)), bool)
    return np.stack(
        (spans[np.concatenate((one, apart)), 0], ends[np.concatenate((apart, one))]), axis=1
    )


def meeting(spans: Pixels, others: Pixels) -> bool:
    """Return whether any span overlaps one of `others`, a result of `joined`."""
    spans = spans[spans[:, 1] > spans[:, 0]]
    first = np.searchsorted(others[:, 1], spans[:, 0], "right")
    there = first < len(others)
    return bool((others[first[there], 0] < spans[there, 1]).any())


def _filled(file: BinaryIO, out: memoryview) -> int:
    """Fill `out` from a file; return the number of bytes there were."""
    count = 0
    while count < len(out):
        more = file.readinto(out[count:])  # type: ignore[attr-defined]
        if not more:
            break
        count += more
    return count
