"""Deflate, in pieces that can be joined: each ends on a byte boundary and is not the last.

Residuals of a photograph are noise. Deflate compresses them by its Huffman codes alone, and
the far matches that a fast compressor takes cost more than the literals they replace: with a
window that holds a single pixel, ISA-L writes files 10 % smaller, in the same time. Such a
window only its one-shot function offers, and that marks its only block as the last one. So
the mark is cleared, and an empty stored block appended, for which it must be known in which
bit of the last byte the data ends. That follows from the code of the end-of-block symbol,
which the header of the block tells.

References
----------
RFC 1950 (zlib), RFC 1951 (deflate).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache

from isal import igzip_lib, isal_zlib

__all__ = [
    "LAST_BLOCK",
    "ZLIB_HEADER",
    "Deflate",
    "InflateError",
    "adler32_combine",
    "by_isal",
    "by_isal_narrow",
    "by_zlib",
    "stored",
    "stored_size",
]

Deflate = Callable[[memoryview], list[bytes]]

# isal says that its error is an instance.
InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]

ZLIB_HEADER = b"\x78\x01"
LAST_BLOCK = b"\x03\x00"

_STORED = 65535
_PIECE = 256 << 10
_LENGTHS_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_END_OF_BLOCK = 256
_REVERSED = [[int(f"{code:0{n}b}"[::-1], 2) for code in range(1 << n)] for n in range(8)]


def stored_size(size: int) -> int:
    """Return how many bytes `size` bytes take in stored blocks."""
    return size + 5 * -(-size // _STORED)


def stored(data: memoryview) -> list[bytes]:
    """Return `data` in stored blocks."""
    parts = []
    for start in range(0, len(data), _STORED):
        block = data[start : start + _STORED]
        parts += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), bytes(block)]
    return parts


def by_zlib(level: int, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> Deflate:
    """Return a function that deflates by zlib."""

    def deflate(data: memoryview) -> list[bytes]:
        deflater = zlib.compressobj(level, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL + 1, strategy)
        return [deflater.compress(data), deflater.flush(zlib.Z_SYNC_FLUSH)]

    return deflate


def by_isal(data: memoryview) -> list[bytes]:
    """Deflate by ISA-L with the window of 32 KB."""
    deflater = isal_zlib.compressobj(1, zlib.DEFLATED, -15)
    return [deflater.compress(data), deflater.flush(zlib.Z_SYNC_FLUSH)]


def by_isal_narrow(pixel: int) -> Deflate:
    """Return a function that deflates by ISA-L with a window of one pixel of `pixel` bytes."""
    bits = max(2, (pixel - 1).bit_length())

    def deflate(data: memoryview) -> list[bytes]:
        parts = []
        for start in range(0, len(data), _PIECE):
            parts += _joinable(data[start : start + _PIECE], bits)
        return parts

    return deflate if _is_reliable() else by_isal


def _joinable(data: memoryview, window_bits: int) -> list[bytes]:
    """Deflate into blocks that are not the last, whatever it takes."""
    block = igzip_lib.compress(
        data, 1, igzip_lib.COMP_DEFLATE, igzip_lib.MEM_LEVEL_EXTRA_LARGE, window_bits
    )
    used = _used_bits(block)
    if used:
        # An empty stored block is three zero bits, zeros up to the next byte, 0 and ~0. Those
        # zeros are there already, except where less than three bits are left in the byte.
        end = b"\0\0\xff\xff" if used <= 5 else b"\0\0\0\xff\xff"
        return [bytes([block[0] & 0xFE]), block[1:], end]
    if len(data) > _STORED // 2:  # more than one block: it did not fit ISA-L's buffer
        half = len(data) // 2
        return _joinable(data[:half], window_bits) + _joinable(data[half:], window_bits)
    return by_isal(data)


def _used_bits(block: bytes) -> int:
    """Return how many bits of its last byte a deflate stream of one block uses.

    It ends with the code of the end-of-block symbol, whose last one-bit is the last one-bit
    of the stream; what follows that within the code is zeros, and so is the padding.

    Returns
    -------
    int
        1 to 8, or 0 where the stream is not a single block with its own Huffman codes.
    """
    bits = int.from_bytes(block[:320], "little")  # no header is longer
    if bits & 7 != 0b101:
        return 0
    lengths = _code_lengths(bits)
    code = _canonical_code(lengths, _END_OF_BLOCK)
    if not code:
        return 0
    zeros = (code & -code).bit_length() - 1
    used = int.from_bytes(block[-4:], "little").bit_length() + zeros - 24
    return used if 1 <= used <= 8 else 0


def _code_lengths(bits: int) -> bytes:
    """Return the lengths of the literal and length codes; `bits` begins with a block."""
    count = (bits >> 3 & 31) + 257
    meta_count = (bits >> 13 & 15) + 4
    bits >>= 17
    meta = [0] * 19
    for symbol in _LENGTHS_ORDER[:meta_count]:
        meta[symbol] = bits & 7
        bits >>= 3
    table = _lookup(meta)
    lengths: list[int] = []
    while len(lengths) < count:
        symbol, used = table[bits & 127]
        bits >>= used
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            lengths += lengths[-1:] * (3 + (bits & 3))
            bits >>= 2
        elif symbol == 17:
            lengths += [0] * (3 + (bits & 7))
            bits >>= 3
        else:
            lengths += [0] * (11 + (bits & 127))
            bits >>= 7
    return bytes(lengths[:count])


def _lookup(lengths: list[int]) -> list[tuple[int, int]]:
    """Return symbol and length of the code that seven bits begin with."""
    table = [(0, 1)] * 128
    code = 0
    for length in range(1, 8):
        for symbol, own in enumerate(lengths):
            if own == length:
                table[_REVERSED[length][code] :: 1 << length] = [(symbol, length)] * (128 >> length)
                code += 1
        code <<= 1
    return table


def _canonical_code(lengths: bytes, symbol: int) -> int:
    own = lengths[symbol]
    code = 0
    for length in range(1, own):
        code = (code + lengths.count(length)) << 1
    return code + lengths[:symbol].count(own)


@cache
def _is_reliable() -> bool:
    """Whether this build of ISA-L pads with zeros, as all known ones do."""
    pieces = [bytes(i * i * j >> 7 & 255 for i in range(500 + 7 * j)) for j in range(1, 9)]
    joined = b"".join(part for piece in pieces for part in _joinable(memoryview(piece), 2))
    try:
        return zlib.decompress(joined + LAST_BLOCK, -15) == b"".join(pieces)
    except zlib.error:
        return False


def adler32_combine(first: int, second: int, size: int) -> int:
    """Return the Adler-32 of two pieces joined, from those of the pieces.

    Parameters
    ----------
    first, second : int
        Sums of the pieces.
    size : int
        Bytes of the second piece.

    Notes
    -----
    Adler-32 is a pair: A is one plus the sum of the bytes, B the sum of all A on the way.
    Joined, A = A1 + A2 - 1 and B = B1 + B2 + size * (A1 - 1), modulo 65521, as in
    ``adler32_combine`` of zlib (adler32.c).
    """
    a1, b1, a2, b2 = first & 0xFFFF, first >> 16, second & 0xFFFF, second >> 16
    a = (a1 + a2 - 1) % 65521
    b = (b1 + b2 + size * (a1 - 1)) % 65521
    return b << 16 | a
