"""Bits of a JPEG XL codestream, the lowest of each byte first, and the numbers that they spell."""

from __future__ import annotations

__all__ = ["BitReader", "BitWriter"]


class BitReader:
    """A reading position in bytes, bit by bit.

    Parameters
    ----------
    data : bytes
        The codestream.
    position : int
        Number of the first bit.
    """

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.position = position
        self._data, self._end = data, 8 * len(data)

    def bits(self, count: int) -> int:
        """Return the next `count` bits as a number.

        Raises
        ------
        ValueError
            If they are not there.
        """
        at = self.position
        self.position += count
        if self.position > self._end:
            raise ValueError("it ends within its header")
        window = self._data[at >> 3 : (at + count + 7) >> 3]
        return (int.from_bytes(window, "little") >> (at & 7)) & ((1 << count) - 1)

    def flag(self) -> bool:
        """Return the next bit."""
        return bool(self.bits(1))

    def u32(self, *ways: tuple[int, int]) -> int:
        """Return a number in one of four codings: an offset, and bits to add."""
        offset, count = ways[self.bits(2)]
        return offset + self.bits(count)

    def u64(self) -> int:
        """Return a number of up to 64 bits."""
        way = self.bits(2)
        if way < 3:
            return (0, 1, 17)[way] + self.bits((0, 4, 8)[way])
        value, shift = self.bits(12), 12
        while self.flag():
            if shift == 60:
                return value | self.bits(4) << shift
            value |= self.bits(8) << shift
            shift += 8
        return value

    def enum(self) -> int:
        """Return the number of a choice."""
        return self.u32((0, 0), (1, 0), (2, 4), (18, 6))


class BitWriter:
    """Bits under construction."""

    def __init__(self) -> None:
        self._number = self.count = 0

    def bits(self, value: int, count: int) -> None:
        """Append the lowest `count` bits of `value`."""
        self._number |= (value & ((1 << count) - 1)) << self.count
        self.count += count

    def enum(self, value: int) -> None:
        """Append the number of a choice."""
        if value < 2:
            self.bits(value, 2)
        elif value < 18:
            self.bits(2 | (value - 2) << 2, 6)
        else:
            self.bits(3 | (value - 18) << 2, 8)

    def u64(self, value: int) -> None:
        """Append a number of up to 60 bits."""
        if not value:
            self.bits(0, 2)
        elif value < 17:
            self.bits(1 | (value - 1) << 2, 6)
        elif value < 273:
            self.bits(2 | (value - 17) << 2, 10)
        else:
            self.bits(3 | (value & 0xFFF) << 2, 14)
            value >>= 12
            while value:
                self.bits(1 | (value & 0xFF) << 1, 9)
                value >>= 8
            self.bits(0, 1)

    def copy(self, data: bytes, start: int, end: int) -> None:
        """Append bits `start` to `end` of `data`."""
        self.bits(int.from_bytes(data, "little") >> start, end - start)

    def content(self) -> bytes:
        """Return all bits as bytes, the last one filled up with zeros."""
        return self._number.to_bytes(-(-self.count // 8), "little")
