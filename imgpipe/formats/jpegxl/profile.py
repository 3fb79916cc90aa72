"""ICC profiles within a JPEG XL codestream (ISO/IEC 18181-1, annex E).

A profile is written byte by byte: the predictions of the format are left unused but for the first
128 bytes, and all codes have eight bits. So it takes as many bytes as it has, which nobody notices
beside pixels. Only profiles that were written like this are read.
"""

from __future__ import annotations

from imgpipe.formats.jpegxl.bits import BitReader, BitWriter

__all__ = ["append_profile", "read_profile"]

_HEADER_BYTES = 128
_INSERT = 1  # the command that takes bytes as they are
_CODE_LENGTHS = 18
_PLACE_OF_EIGHT = 10  # in the order in which the lengths of codes are told
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def append_profile(writer: BitWriter, icc: bytes) -> None:
    """Append an ICC profile to a header."""
    content = _content(icc)
    writer.u64(len(content))
    writer.bits(*_codes())
    writer.bits(int.from_bytes(content.translate(_REVERSED), "little"), 8 * len(content))


def read_profile(data: bytes, position: int) -> bytes:
    """Return the ICC profile at bit `position` of a codestream.

    Raises
    ------
    ValueError
        If it is damaged, or written in another way.
    """
    reader = BitReader(data, position)
    size = reader.u64()
    codes, count = _codes()
    if size > len(data) or reader.bits(count) != codes:
        raise ValueError("it is not written byte by byte")
    content = reader.bits(8 * size).to_bytes(size, "little").translate(_REVERSED)
    size, at = _take_number(content, 0)
    length, at = _take_number(content, at)
    plain, rest = content[at : at + length], content[at + length :]
    kept = size - min(size, _HEADER_BYTES)
    if plain != (b"\0" + bytes([_INSERT]) + _number(kept) if kept else b"") or len(rest) != size:
        raise ValueError("it is not written byte by byte")
    found = bytearray()
    for byte in rest[:_HEADER_BYTES]:  # a guess may need the bytes before
        guess = _guessed_header(bytes(found).ljust(_HEADER_BYTES, b"\0"), size)
        found.append((byte + guess[len(found)]) & 0xFF)
    return bytes(found) + rest[_HEADER_BYTES:]


def _codes() -> tuple[int, int]:
    """Return the description of the codes as bits, and their number."""
    writer = BitWriter()
    writer.bits(0, 1)  # nothing is repeated
    writer.bits(0b001, 3)  # all bytes have the same code
    writer.bits(1, 1)  # which is a prefix code
    writer.bits(8, 4)  # of the values below 2 to the 8
    writer.bits(0, 8)
    writer.bits(1 | 7 << 1 | 127 << 5, 12)  # 256 of them
    writer.bits(0, 2)
    for place in range(_CODE_LENGTHS):
        writer.bits(place == _PLACE_OF_EIGHT, 2)
    return int.from_bytes(writer.content(), "little"), writer.count


def _content(icc: bytes) -> bytes:
    """Return what is coded of a profile: its size, commands, and bytes."""
    guess = _guessed_header(icc, len(icc))
    head = bytes((a - b) & 0xFF for a, b in zip(icc, guess, strict=False))
    rest = icc[_HEADER_BYTES:]
    commands = _number(0) + bytes([_INSERT]) + _number(len(rest)) if rest else b""
    return _number(len(icc)) + _number(len(commands)) + commands + head + rest


def _guessed_header(icc: bytes, size: int) -> bytes:
    """Return what the format expects of the header of a profile of `size` bytes."""
    guess = bytearray(_HEADER_BYTES)
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


def _number(value: int) -> bytes:
    """Return a number in groups of seven bits."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _take_number(content: bytes, at: int) -> tuple[int, int]:
    """Return the number in groups of seven bits at a place, and the place after it."""
    value = shift = 0
    while at < len(content) and shift < 35:
        value |= (content[at] & 0x7F) << shift
        if content[at] < 0x80:
            return value, at + 1
        at, shift = at + 1, shift + 7
    raise ValueError("it ends within a number")
