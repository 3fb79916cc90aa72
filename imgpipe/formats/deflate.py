"""Deflate in pieces that can be joined: each ends on a byte boundary and is not the last.

Residuals of a photograph are noise. Their compression comes from the Huffman codes alone; a far
match costs more than the literals that it replaces. With a window of two bytes, ISA-L writes files
10 % smaller in the same time. Only its one-shot function has such a window, and this function
marks its only block as the last one. So the mark is cleared, and an empty stored block is appended.
The position of the last bit of the data follows from the code of the end-of-block symbol, which is
in the header of the block.

Same bytes in every process
---------------------------
ISA-L up to version 2.32 has a fault at level 1: if a stream has no history, its second hash comes
from a register that holds an address (igzip_icf_body_h1_gr_bt.asm, ``.write_first_byte``). Address
randomisation so chooses one bucket of the hash table, which begins with position 2 instead of 0.
The first search in this bucket may find a match in one process and none in another. Two functions
avoid the fault:

- `by_isal` flushes after four bytes. The loop for the end of the data (igzip_icf_finish.asm)
  compresses so few bytes, and has no such fault. After them, the stream has history.
- `by_isal_narrow` has a window of two bytes. The distance of a candidate is the difference of two
  positions modulo 2, so position 2 gives the same distance as 0. One case is left: the wrong bucket
  is that of position 1, holds 2 instead of 1, and is searched for position 2. So a *lead* goes
  before the data: three different bytes in turn. No two bytes of the lead equal the two before
  them, so no search finds a match there. Position 4 has the bucket of position 1, and corrects it.
  Each of the three bytes comes eight or sixteen times, as a literal. Together they are whole bytes
  of the result, and are removed from it.
- In `by_isal_narrow`, the loop for the end of the data computes distances modulo 65,536, not 2.
  The fault would return if this loop met a position 1 or 3 above a multiple of 65,536. For such
  lengths a longer lead moves the data.

References
----------
RFC 1950 (zlib), RFC 1951 (deflate).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

from isal import igzip_lib, isal_zlib

__all__ = [
    "LAST_BLOCK",
    "PIECE",
    "ROOM",
    "ZLIB_HEADER",
    "Buffer",
    "Deflate",
    "InflateError",
    "adler32_combine",
    "by_isal",
    "by_isal_narrow",
    "by_isal_near",
    "by_zlib",
    "narrow_in_place",
    "narrow_size",
    "stored",
    "stored_size",
]

Buffer = bytes | memoryview
Deflate = Callable[[memoryview], Sequence[Buffer]]

# isal says that its error is an instance.
InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]

ZLIB_HEADER = b"\x78\x01"
LAST_BLOCK = b"\x03\x00"

_STORED = 65535
PIECE = 255 << 10  # the most kilobytes that ISA-L's buffer always holds as one block
_HASHED = 4  # bytes; with fewer there is no history, and with more than 16 the fault
_REPEATS = 8  # of the lead
ROOM = 3 * 2 * _REPEATS  # bytes of the longest lead
_WINDOW_BITS = 1
_NEAR_BITS = 12
_END_LOOP = 24  # the most bytes, and some, that are left to the loop for the end
_LENGTHS_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_RUNS = {16: (3, 2), 17: (3, 3), 18: (11, 7)}  # how many at least, and in how many bits more
_END_OF_BLOCK = 256
_REVERSED = [[int(f"{code:0{n}b}"[::-1], 2) for code in range(1 << n)] for n in range(8)]


def stored_size(size: int) -> int:
    """Return the size of `size` bytes in stored blocks."""
    return size + 5 * -(-size // _STORED)


def stored(data: memoryview) -> Sequence[Buffer]:
    """Return `data` in stored blocks."""
    parts = []
    for start in range(0, len(data), _STORED):
        block = data[start : start + _STORED]
        parts += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), bytes(block)]
    return parts


def by_zlib(level: int, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> Deflate:
    """Return a function that deflates by zlib."""

    def deflate(data: memoryview) -> Sequence[Buffer]:
        deflater = zlib.compressobj(level, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL + 1, strategy)
        return [deflater.compress(data), deflater.flush(zlib.Z_SYNC_FLUSH)]

    return deflate


def by_isal(data: memoryview, window_bits: int = 15) -> Sequence[Buffer]:
    """Deflate by ISA-L with the window of 32 KB, or another."""
    deflater = isal_zlib.compressobj(1, zlib.DEFLATED, -window_bits)
    parts = []
    for part in (data[:_HASHED], data[_HASHED:]):
        parts += [deflater.compress(part), deflater.flush(zlib.Z_SYNC_FLUSH)]
    return parts


def by_isal_near(data: memoryview) -> Sequence[Buffer]:
    """Deflate by ISA-L with a window of 4 KB: five rows of a tile of RGB."""
    return by_isal(data, _NEAR_BITS)


def by_isal_narrow(data: memoryview) -> Sequence[Buffer]:
    """Deflate by ISA-L with a window of two bytes."""
    if not _is_reliable():
        return by_isal(data)
    parts: list[Buffer] = []
    for start in range(0, len(data), PIECE):
        piece = bytearray().join((bytes(ROOM), data[start : start + PIECE]))
        parts += _joinable(memoryview(piece))
    return parts


def narrow_in_place(room: memoryview) -> Sequence[Buffer]:
    """Deflate all but the first `ROOM` bytes of `room` as `by_isal_narrow` does, without a copy.

    The leads overwrite what comes before the pieces: afterwards `room` is of no use.
    """
    if not _is_reliable():
        return by_isal(room[ROOM:])
    parts: list[Buffer] = []
    for start in range(0, len(room) - ROOM, PIECE):
        parts += _joinable(room[start : start + ROOM + PIECE])
    return parts


def narrow_size(data: memoryview) -> int:
    """Return about how many bytes `by_isal_narrow` makes, in a third of its time."""
    return sum(len(_block(data[start : start + PIECE])) for start in range(0, len(data), PIECE))


def _block(data: bytes | memoryview) -> bytes:
    made: bytes = igzip_lib.compress(
        data, 1, igzip_lib.COMP_DEFLATE, igzip_lib.MEM_LEVEL_EXTRA_LARGE, _WINDOW_BITS
    )
    return made


def _joinable(room: memoryview) -> Sequence[Buffer]:
    """Deflate all but the first `ROOM` bytes into blocks of which none is marked as the last."""
    data = room[ROOM:]
    letters, repeats = _lead(data)
    lead = letters * repeats
    room[ROOM - len(lead) : ROOM] = lead
    block = _block(room[ROOM - len(lead) :])
    lengths, header_bits = _header(block)
    used = _used_bits(block, lengths)
    if used:
        at, bit = divmod(header_bits, 8)
        after = at + repeats // 8 * sum(lengths[letter] for letter in letters)
        header = bytes([block[0] & 0xFE]) + block[1:at]
        between = block[at] & ~(-1 << bit) | block[after] & (-1 << bit)
        # An empty stored block is three zero bits, zeros up to the next byte, 0 and ~0. Those
        # zeros are there already, except where less than three bits are left in the byte.
        end = b"\0\0\xff\xff" if used <= 5 else b"\0\0\0\xff\xff"
        return [header, bytes([between]), memoryview(block)[after + 1 :], end]
    if len(data) > _STORED // 2:  # more than one block: it did not fit ISA-L's buffer
        half = len(data) // 2
        return [*_joinable(room[: ROOM + half]), *_joinable(room[half:])]
    return by_isal(data)


def _lead(data: memoryview) -> tuple[bytes, int]:
    """Return three bytes that `data` does not begin with, and the number of repetitions of each."""
    letters = bytes(byte for byte in range(5) if byte not in data[:2])[:3]
    size = 3 * _REPEATS + len(data)
    return letters, _REPEATS if size % 65536 >= _END_LOOP else 2 * _REPEATS


def _used_bits(block: bytes, lengths: bytes) -> int:
    """Return the number of bits of its last byte that a deflate stream of one block uses.

    It ends with the code of the end-of-block symbol, whose last one-bit is the last one-bit
    of the stream; what follows that within the code is zeros, and so is the padding.

    Parameters
    ----------
    block : bytes
        The stream.
    lengths : bytes
        The lengths of its literal and length codes; none if it is not such a stream.

    Returns
    -------
    int
        1 to 8, or 0 where the stream is not a single block with its own Huffman codes.
    """
    code = _canonical_code(lengths, _END_OF_BLOCK) if lengths else 0
    if not code:
        return 0
    zeros = (code & -code).bit_length() - 1
    used = int.from_bytes(block[-4:], "little").bit_length() + zeros - 24
    return used if 1 <= used <= 8 else 0


def _header(block: bytes) -> tuple[bytes, int]:
    """Return the lengths of the literal and length codes, and the bits that the header takes.

    Returns
    -------
    bytes
        Nothing where the stream is not a single block with its own Huffman codes.
    int
    """
    bits = int.from_bytes(block[:320], "little")  # no header is longer
    if bits & 7 != 0b101:
        return b"", 0
    literals = (bits >> 3 & 31) + 257
    count = literals + (bits >> 8 & 31) + 1
    meta_count = (bits >> 13 & 15) + 4
    meta = [0] * 19
    for at, symbol in enumerate(_LENGTHS_ORDER[:meta_count]):
        meta[symbol] = bits >> 17 + 3 * at & 7
    table = _lookup(meta)
    before = bits.bit_length()
    bits >>= 17 + 3 * meta_count
    lengths: list[int] = []
    while len(lengths) < count:
        symbol, used = table[bits & 127]
        bits >>= used
        if symbol < 16:
            lengths.append(symbol)
        else:
            least, extra = _RUNS[symbol]
            repeated = lengths[-1] if symbol == 16 else 0
            lengths += [repeated] * (least + (bits & (1 << extra) - 1))
            bits >>= extra
    return bytes(lengths[:literals]), before - bits.bit_length()


def _lookup(lengths: list[int]) -> list[tuple[int, int]]:
    """Return symbol and length of the code that seven bits begin with."""
    table = [(0, 1)] * 128
    code = longest = 0
    for length, symbol in sorted((own, symbol) for symbol, own in enumerate(lengths) if own):
        code <<= length - longest
        longest = length
        table[_REVERSED[length][code] :: 1 << length] = [(symbol, length)] * (128 >> length)
        code += 1
    return table


def _canonical_code(lengths: bytes, symbol: int) -> int:
    own = lengths[symbol]
    code = 0
    for length in range(1, own):
        code = (code + lengths.count(length)) << 1
    return code + lengths[:symbol].count(own)


@cache
def _is_reliable() -> bool:
    """Return whether this build of ISA-L pads with zeros, as all known ones do."""
    pieces = [bytes(i * i * j >> 7 & 255 for i in range(500 + 7 * j)) for j in range(1, 9)]
    rooms = (memoryview(bytearray(ROOM) + piece) for piece in pieces)
    joined = b"".join(part for room in rooms for part in _joinable(room))
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
