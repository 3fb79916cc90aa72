"""Prediction of ICC profiles in JPEG XL (ISO/IEC 18181-1, annex E): commands, and data for them."""

from __future__ import annotations

__all__ = ["HEADER_BYTES", "INSERT", "guessed_header", "number", "unpredicted"]

HEADER_BYTES = 128
INSERT = 1  # the command that takes bytes as they are
_SHUFFLES = {2: 2, 3: 4}
_PREDICT, _XYZ, _TYPES = 4, 10, 16
_UNKNOWN_TAG, _CURVES, _COLOURS, _TAGS = 1, 2, 3, 4
_HAS_PLACE, _HAS_SIZE = 64, 128
_TAG_NAMES = (
    b"cprt", b"wtpt", b"bkpt", b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"rTRC", b"gTRC", b"bTRC",
    b"kTRC", b"chad", b"desc", b"chrm", b"dmnd", b"dmdd", b"lumi",
)  # fmt: skip
_OF_XYZ = {b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"wtpt", b"bkpt", b"lumi"}
_TYPE_NAMES = (b"XYZ ", b"desc", b"text", b"mluc", b"para", b"curv", b"sf32", b"gbd ")
_MOST = 4 << 20


def unpredicted(content: bytes) -> bytes:
    """Return the profile that `content` stands for.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    reading = _Reading(content)
    size, length = reading.number(), reading.number()
    if size > _MOST:
        raise ValueError("it is too large")
    reading.divide(length)
    for byte in reading.data(min(size, HEADER_BYTES)):  # a guess may need the bytes before
        made = reading.made
        guess = guessed_header(bytes(made).ljust(HEADER_BYTES, b"\0"), size)
        made.append((byte + guess[len(made)]) & 0xFF)
    if size > HEADER_BYTES:
        _add_tags(reading)
        while reading.more:
            _obey(reading, size)
    if len(reading.made) != size:
        raise ValueError("it has another size than it declares")
    return bytes(reading.made)


def guessed_header(icc: bytes, size: int) -> bytes:
    """Return the header that the format predicts for a profile of `size` bytes."""
    guess = bytearray(HEADER_BYTES)
    guess[:4] = size.to_bytes(4, "big")
    guess[8] = 4
    guess[12:24] = b"mntrRGB XYZ "
    guess[36:40] = b"acsp"
    guess[68:80] = b"\x00\x00\xf6\xd6\x00\x01\x00\x00\x00\x00\xd3\x2d"
    guess[80:84] = icc[4:8]
    makers = {b"A": b"APPL", b"M": b"MSFT", b"SG": b"SGI ", b"SU": b"SUNW"}
    for begin, maker in makers.items():
        if icc[40 : 40 + len(begin)] == begin:
            guess[40 + len(begin) : 44] = maker[len(begin) :]
    return bytes(guess)


def number(value: int) -> bytes:
    """Return a number in groups of seven bits."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


class _Reading:
    """Commands and data, and the profile that they have made so far."""

    def __init__(self, content: bytes) -> None:
        self.made = bytearray()
        self._content, self._at, self._end = content, 0, len(content)
        self._data = 0

    @property
    def more(self) -> bool:
        """Return whether there is another command."""
        return self._at < self._end

    def divide(self, length: int) -> None:
        """Have data begin after `length` bytes of commands."""
        self._data = self._end = self._at + length

    def command(self) -> int:
        """Return the next byte of the commands."""
        if not self.more:
            raise ValueError("its commands end too early")
        self._at += 1
        return self._content[self._at - 1]

    def number(self) -> int:
        """Return the next number of the commands."""
        value = shift = 0
        while shift < 35:
            byte = self.command()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise ValueError("a number is too large")

    def data(self, size: int) -> bytes:
        """Return the next bytes of the data."""
        found = self._content[self._data : self._data + size]
        if len(found) != size:
            raise ValueError("its data ends too early")
        self._data += size
        return found


def _add_tags(reading: _Reading) -> None:
    """Make the list of tags."""
    count = reading.number() - 1
    if count < 0:
        return
    made = reading.made
    made += count.to_bytes(4, "big")
    place, size = HEADER_BYTES + 12 * count, 0
    while reading.more and (command := reading.command()) & 63:
        code = command & 63
        if code == _UNKNOWN_TAG:
            names = [reading.data(4)]
        elif code == _CURVES:
            names = [b"rTRC", b"gTRC", b"bTRC"]
        elif code == _COLOURS:
            names = [b"rXYZ", b"gXYZ", b"bXYZ"]
        elif code - _TAGS < len(_TAG_NAMES):
            names = [_TAG_NAMES[code - _TAGS]]
        else:
            raise ValueError("it has an unknown tag")
        place = reading.number() if command & _HAS_PLACE else place + size
        size = 20 if names[0] in _OF_XYZ else size
        size = reading.number() if command & _HAS_SIZE else size
        for at, name in enumerate(names):
            start = place + size * at * (code == _COLOURS)
            made += name + (start & 0xFFFFFFFF).to_bytes(4, "big")
            made += (size & 0xFFFFFFFF).to_bytes(4, "big")


def _obey(reading: _Reading, most: int) -> None:
    """Do one command."""
    command, made = reading.command(), reading.made
    if command == INSERT:
        made += reading.data(reading.number())
    elif command in _SHUFFLES:
        made += _shuffled(reading.data(reading.number()), _SHUFFLES[command])
    elif command == _PREDICT:
        _predict(reading)
    elif command == _XYZ:
        made += b"XYZ \0\0\0\0" + reading.data(12)
    elif 0 <= command - _TYPES < len(_TYPE_NAMES):
        made += _TYPE_NAMES[command - _TYPES] + bytes(4)
    else:
        raise ValueError("it has an unknown command")
    if len(made) > most:
        raise ValueError("it is larger than it declares")


def _predict(reading: _Reading) -> None:
    """Add differences to the predictions from the numbers before."""
    flags = reading.command()
    width, order = (flags & 3) + 1, flags >> 2 & 3
    if width == 3 or order == 3:
        raise ValueError("it has an unknown prediction")
    stride = reading.number() if flags & 16 else width
    made, start = reading.made, len(reading.made)
    if stride < width or stride * 4 >= start:
        raise ValueError("it predicts from what was not there")
    data = reading.data(reading.number())
    for at, byte in enumerate(_shuffled(data, width) if width > 1 else data):
        place = start + at - at % width
        p1, p2, p3 = (
            int.from_bytes(made[place - stride * back : place - stride * back + width], "big")
            for back in (1, 2, 3)
        )
        value = (p1, 2 * p1 - p2, 3 * p1 - 3 * p2 + p3)[order]
        made.append((byte + (value >> 8 * (width - 1 - at % width))) & 0xFF)


def _shuffled(data: bytes, width: int) -> bytes:
    """Return data that was stored by columns, by rows of `width` bytes."""
    height = -(-len(data) // width)
    found, column, at = bytearray(), 0, 0
    for _ in data:
        found.append(data[at])
        at += height
        if at >= len(data):
            column += 1
            at = column
    return bytes(found)
