"""Entropy-coded numbers of a JPEG XL codestream (ISO/IEC 18181-1, annex C), as ICC profiles have.

Asymmetric numeral systems or prefix codes, with contexts and repetitions.
"""

from __future__ import annotations

from imgpipe.formats.jpegxl.bits import BitReader
from imgpipe.formats.jpegxl.prefixes import PrefixCode, read_sizes
from imgpipe.records import dataclass

__all__ = ["Numbers"]

_TABLE_BITS, _TABLE = 12, 1 << 12
_PREFIX_BITS = 15
_LAST_STATE = 0x13 << 16
_REPEATED = 13
# Logarithms of counts, by length and bits of their code.
_LOGARITHMS = {
    (3, 0): 10, (3, 2): 7, (3, 4): 6, (3, 5): 8, (3, 6): 9, (4, 3): 3, (4, 7): 5, (4, 9): 4,
    (4, 11): 1, (4, 15): 2, (5, 17): 0, (6, 33): 11, (7, 1): 12, (7, 65): _REPEATED,
}  # fmt: skip


@dataclass(frozen=True)
class _Split:
    """A way to spell large numbers: a token, and bits after it."""

    exponent: int
    high: int
    low: int

    @classmethod
    def read(cls, reader: BitReader, most: int) -> _Split:
        exponent = reader.bits(most.bit_length())
        if exponent == most:
            return cls(exponent, 0, 0)
        high = reader.bits(exponent.bit_length())
        low = reader.bits((exponent - high).bit_length()) if exponent >= high else 0
        if high + low > exponent:
            raise ValueError("its numbers are spelled in no way")
        return cls(exponent, high, low)

    def number(self, token: int, reader: BitReader) -> int:
        if token < 1 << self.exponent:
            return token
        kept = self.high + self.low
        count = self.exponent - kept + ((token - (1 << self.exponent)) >> kept)
        if count > 32:
            raise ValueError("a number is too large")
        low = token & ((1 << self.low) - 1)
        head = (1 << self.high) | (token >> self.low) & ((1 << self.high) - 1)
        return ((head << count | reader.bits(count)) << self.low) | low


class _Aliases:
    """The symbols of a distribution, found by 12 bits of the state."""

    def __init__(self, counts: list[int], bits: int) -> None:
        self.counts = counts + [0] * ((1 << bits) - len(counts))
        self.size = _TABLE >> bits
        only = next((s for s, count in enumerate(counts) if count == _TABLE), None)
        steps = range(1 << bits)
        self.cutoffs, self.others = list(self.counts), list(steps)
        self.offsets = [0] * (1 << bits)
        if only is not None:
            self.cutoffs, self.others = [0] * (1 << bits), [only] * (1 << bits)
            self.offsets = [self.size * step for step in steps]
            return
        full = [s for s in steps if self.cutoffs[s] > self.size]
        empty = [s for s in steps if self.cutoffs[s] < self.size]
        while full:
            giver, taker = full.pop(), empty.pop()
            self.cutoffs[giver] -= self.size - self.cutoffs[taker]
            self.others[taker], self.offsets[taker] = giver, self.cutoffs[giver]
            if self.cutoffs[giver] != self.size:
                (empty if self.cutoffs[giver] < self.size else full).append(giver)
        for step in steps:
            if self.cutoffs[step] == self.size:
                self.others[step], self.offsets[step], self.cutoffs[step] = step, 0, 0
            else:
                self.offsets[step] -= self.cutoffs[step]

    def look_up(self, value: int) -> tuple[int, int]:
        """Return a symbol and an offset."""
        step, at = divmod(value, self.size)
        if at >= self.cutoffs[step]:
            return self.others[step], self.offsets[step] + at
        return step, at


class Numbers:
    """Numbers in some contexts, one after the other.

    Parameters
    ----------
    reader : BitReader
        A position in front of their description.
    contexts : int
        Number of contexts.
    """

    def __init__(self, reader: BitReader, contexts: int) -> None:
        self._reader = reader
        self._repeats = reader.flag()
        if self._repeats:
            self._first = reader.u32((224, 0), (512, 0), (4096, 0), (8, 15))
            self._least = reader.u32((3, 0), (4, 0), (5, 2), (9, 8))
            self._lengths = _Split.read(reader, 8)
            contexts += 1
        self._map = _read_map(reader, contexts) if contexts > 1 else [0]
        count = 1 + max(self._map)
        self._prefixes: list[PrefixCode] = []
        self._tables: list[_Aliases] = []
        self._state = _LAST_STATE
        if reader.flag():
            self._splits = [_Split.read(reader, _PREFIX_BITS) for _ in range(count)]
            sizes = read_sizes(reader, count)
            self._prefixes = [PrefixCode.read(reader, size) for size in sizes]
        else:
            bits = 5 + reader.bits(2)
            self._splits = [_Split.read(reader, bits) for _ in range(count)]
            self._tables = [_Aliases(_read_counts(reader, 1 << bits), bits) for _ in range(count)]
            self._state = reader.bits(32)
        self._made: list[int] = []
        self._copies = self._from = 0

    def next(self, context: int) -> int:
        """Return the next number."""
        if not self._copies:
            index = self._map[context]
            token = self._token(index)
            if not self._repeats or token < self._first:
                self._made.append(self._splits[index].number(token, self._reader))
                return self._made[-1]
            self._copies = self._least + self._lengths.number(token - self._first, self._reader)
            index = self._map[-1]
            back = 1 + self._splits[index].number(self._token(index), self._reader)
            if back > len(self._made):
                raise ValueError("it repeats what was not there")
            self._from = len(self._made) - back
        self._copies -= 1
        self._made.append(self._made[self._from])
        self._from += 1
        return self._made[-1]

    def finish(self) -> None:
        """Check the end.

        Raises
        ------
        ValueError
            If something was wrong.
        """
        if self._state != _LAST_STATE:
            raise ValueError("its numbers do not add up")

    def _token(self, index: int) -> int:
        if self._prefixes:
            return self._prefixes[index].symbol(self._reader)
        table = self._tables[index]
        symbol, offset = table.look_up(self._state & (_TABLE - 1))
        self._state = table.counts[symbol] * (self._state >> _TABLE_BITS) + offset
        if self._state < 1 << 16:
            self._state = self._state << 16 | self._reader.bits(16)
        return symbol


def _read_map(reader: BitReader, contexts: int) -> list[int]:
    """Return the distribution of each context."""
    if reader.flag():
        bits = reader.bits(2)
        return [reader.bits(bits) for _ in range(contexts)]
    recent = reader.flag()
    numbers = Numbers(reader, 1)
    found = [numbers.next(0) for _ in range(contexts)]
    numbers.finish()
    if max(found) >= 256:
        raise ValueError("it has too many distributions")
    if recent:  # the last used one comes first
        order = list(range(256))
        for at, place in enumerate(found):
            found[at] = order.pop(place)
            order.insert(0, found[at])
    return found


def _read_counts(reader: BitReader, most: int) -> list[int]:
    """Return the frequencies of all symbols, in 4096ths."""
    if reader.flag():
        symbols = [_short(reader) for _ in range(1 + reader.bits(1))]
        counts = [0] * (1 + max(symbols))
        counts[symbols[0]] = reader.bits(_TABLE_BITS) if len(symbols) > 1 else _TABLE
        if len(symbols) > 1:
            counts[symbols[1]] = _TABLE - counts[symbols[0]]
    elif reader.flag():
        size = 1 + _short(reader)
        counts = [_TABLE // size + (at < _TABLE % size) for at in range(size)]
    else:
        counts = _read_many_counts(reader)
    if len(counts) > most or sum(counts) != _TABLE or min(counts) < 0:
        raise ValueError("its symbols are not counted well")
    return counts


def _read_many_counts(reader: BitReader) -> list[int]:
    bits = 0
    while bits < 3 and reader.flag():
        bits += 1
    shift = (reader.bits(bits) | 1 << bits) - 1
    length = 3 + _short(reader)
    logarithms: list[int] = []
    repeats: dict[int, int] = {}
    while len(logarithms) < length:
        logarithms.append(_logarithm(reader))
        if logarithms[-1] == _REPEATED:
            times = 4 + _short(reader)
            repeats[len(logarithms) - 1] = times
            logarithms += [0] * (times - 1)
    plain = [-1 if at in repeats else one for at, one in enumerate(logarithms)]
    rest = plain.index(max(plain))
    counts: list[int] = []
    for at in range(length):
        if len(counts) > at:
            continue
        if at in repeats:
            counts += [counts[-1] if counts else 0] * repeats[at]
            continue
        code = logarithms[at] - 1
        if at == rest or code <= 0:
            counts.append(int(code == 0 and at != rest))
            continue
        known = max(0, min(code, shift - ((_TABLE_BITS - code) >> 1)))
        counts.append((1 << code) + (reader.bits(known) << (code - known)))
    if len(counts) != length:
        raise ValueError("it counts too many symbols")
    counts[rest] = _TABLE - sum(counts)
    return counts


def _logarithm(reader: BitReader) -> int:
    code = reader.bits(3)
    for length in range(3, 8):
        if (length, code) in _LOGARITHMS:
            return _LOGARITHMS[length, code]
        code |= reader.bits(1) << length
    raise ValueError("a count has no such code")


def _short(reader: BitReader) -> int:
    """Return a number of up to 8 bits."""
    if not reader.flag():
        return 0
    bits = reader.bits(3)
    return reader.bits(bits) + (1 << bits)
