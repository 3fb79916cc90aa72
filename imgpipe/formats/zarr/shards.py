"""Shards: files of many chunks with an index of their positions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from imgpipe.image import Pixels

__all__ = ["CODEC", "Sharding", "crc32c", "index_of"]

_ABSENT = (1 << 64) - 1
_ENTRY, _CHECKSUM = 16, 4
_POLYNOMIAL = 0x82F63B78  # of Castagnoli, reversed
CODEC = "sharding_indexed"


class Sharding(NamedTuple):
    """The index of a shard.

    Attributes
    ----------
    counts : tuple of int
        Chunks of a shard along each axis.
    at_end : bool
        Whether the index follows the chunks.
    checked : bool
        Whether it has a checksum.
    """

    counts: tuple[int, ...]
    at_end: bool = True
    checked: bool = True

    @property
    def size(self) -> int:
        """Bytes of the index."""
        return int(np.prod(self.counts)) * _ENTRY + _CHECKSUM * self.checked

    def positions(self, data: bytes) -> Pixels:
        """Return offset and size of each chunk, the last axis; 2^64 - 1 of an absent one.

        Raises
        ------
        ValueError
            If the index is damaged.
        """
        if len(data) != self.size:
            raise ValueError("the index of the shard is truncated")
        if self.checked:
            data, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
            if int.from_bytes(checksum, "little") != crc32c(data):
                raise ValueError("the checksum of the index of the shard does not match")
        return np.frombuffer(data, "<u8").reshape(*self.counts, 2)

    @staticmethod
    def place(entry: Pixels, size: int) -> tuple[int, int] | None:
        """Return offset and size of a chunk in a shard of `size` bytes; None if it is absent.

        Raises
        ------
        ValueError
            If it is not in the shard.
        """
        offset, count = map(int, entry)
        if offset == count == _ABSENT:
            return None
        if offset + count > size:
            raise ValueError("a chunk is not within the shard")
        return offset, count


def index_of(sizes: Iterable[int | None]) -> bytes:
    """Return the index of chunks that follow each other; None stands for an absent one."""
    entries, position = [], 0
    for size in sizes:
        entries.append((_ABSENT, _ABSENT) if size is None else (position, size))
        position += size or 0
    data = np.array(entries, "<u8").tobytes()
    return data + crc32c(data).to_bytes(_CHECKSUM, "little")


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes (RFC 3720, appendix B.4)."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


@cache
def _table() -> list[int]:
    table: list[Any] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return table
