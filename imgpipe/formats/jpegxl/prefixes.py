"""Prefix codes of a JPEG XL codestream, which are those of Brotli (RFC 7932, section 3)."""

from __future__ import annotations

from imgpipe.formats.jpegxl.bits import BitReader

__all__ = ["PrefixCode", "read_sizes"]

_FULL = 1 << 15  # the sum over the codes of all symbols
_ORDER = (1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_LENGTHS = {(2, 0): 0, (2, 1): 4, (2, 2): 3, (3, 3): 2, (4, 7): 1, (4, 15): 5}
_LONGEST = 15


class PrefixCode:
    """A code of symbols.

    Parameters
    ----------
    lengths : dict of int to int
        Bits of the code of each symbol that occurs.
    """

    def __init__(self, lengths: dict[int, int]) -> None:
        self._only = next(iter(lengths)) if len(lengths) == 1 else None
        self._symbols: dict[tuple[int, int], int] = {}
        code = before = 0
        for symbol, length in sorted(lengths.items(), key=lambda pair: (pair[1], pair[0])):
            code <<= length - before
            self._symbols[length, code] = symbol
            code, before = code + 1, length

    def symbol(self, reader: BitReader) -> int:
        """Return the next symbol."""
        if self._only is not None:
            return self._only
        code = 0
        for length in range(1, _LONGEST + 1):
            code = code << 1 | reader.bits(1)
            if (length, code) in self._symbols:
                return self._symbols[length, code]
        raise ValueError("a symbol has no such code")

    @classmethod
    def read(cls, reader: BitReader, size: int) -> PrefixCode:
        """Return the code of `size` symbols that is described next.

        Raises
        ------
        ValueError
            If it is none.
        """
        if size == 1:
            return cls({0: 0})
        way = reader.bits(2)
        lengths = _simple(reader, size) if way == 1 else _complex(reader, size, way)
        if not lengths or max(lengths) >= size:
            raise ValueError("a code has other symbols than there are")
        return cls(lengths)


def read_sizes(reader: BitReader, count: int) -> list[int]:
    """Return the number of symbols of so many codes."""
    found = []
    for _ in range(count):
        size = 1
        if reader.flag():
            bits = reader.bits(4)
            size += reader.bits(bits) + (1 << bits)
        if size > _FULL:
            raise ValueError("a code has too many symbols")
        found.append(size)
    return found


def _simple(reader: BitReader, size: int) -> dict[int, int]:
    bits = (size - 1).bit_length()
    symbols = [reader.bits(bits) for _ in range(1 + reader.bits(2))]
    deep = len(symbols) == 4 and reader.flag()
    lengths = {1: (0,), 2: (1, 1), 3: (1, 2, 2), 4: (1, 2, 3, 3) if deep else (2, 2, 2, 2)}
    if len(set(symbols)) < len(symbols):
        raise ValueError("a code has a symbol twice")
    return dict(zip(symbols, lengths[len(symbols)], strict=True))


def _complex(reader: BitReader, size: int, skipped: int) -> dict[int, int]:
    """Return lengths that are coded themselves."""
    known: dict[int, int] = {}
    room = 32
    for symbol in _ORDER[skipped:]:
        if room <= 0:
            break
        length = _length(reader)
        if length:
            known[symbol] = length
            room -= 32 >> length
    if not known or (room and len(known) > 1):
        raise ValueError("the lengths of a code have no code")
    inner, found = PrefixCode(known), list[int]()
    before, room = 8, _FULL
    repeated = times = 0
    while len(found) < size and room > 0:
        length = inner.symbol(reader)
        if length < 16:
            found.append(length)
            times = 0
            before = length or before
            room -= _FULL >> length if length else 0
            continue
        wanted = before if length == 16 else 0
        times = times if repeated == wanted else 0
        repeated, done = wanted, times
        bits = length - 14
        times = (max(0, times - 2) << bits) + reader.bits(bits) + 3
        found += [wanted] * (times - done)
        room -= (times - done) * (_FULL >> wanted) if wanted else 0
    if room or len(found) > size:
        raise ValueError("a code is incomplete")
    return {symbol: length for symbol, length in enumerate(found) if length}


def _length(reader: BitReader) -> int:
    code = reader.bits(2)
    for length in range(2, 5):
        if (length, code) in _LENGTHS:
            return _LENGTHS[length, code]
        code |= reader.bits(1) << length
    raise ValueError("a length has no such code")
