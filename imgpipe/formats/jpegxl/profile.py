"""ICC profiles within a JPEG XL codestream (ISO/IEC 18181-1, annex E).

A profile is written byte by byte: predictions of the format are used for its first 128 bytes only,
and all codes have eight bits. So it is not compressed, which hardly matters beside the pixels.
Profiles that other programs have compressed by prediction are read too.
"""

from __future__ import annotations

from imgpipe.formats.jpegxl.bits import BitReader, BitWriter
from imgpipe.formats.jpegxl.entropy import Numbers
from imgpipe.formats.jpegxl.prediction import (
    HEADER_BYTES,
    INSERT,
    guessed_header,
    number,
    unpredicted,
)

__all__ = ["append_profile", "read_profile"]

_CONTEXTS = 41
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
        If it is damaged, or written in a way that is not known.
    """
    reader = BitReader(data, position)
    size = reader.u64()
    if size > len(data):
        raise ValueError("it is too large")
    numbers, made = Numbers(reader, _CONTEXTS), bytearray()
    for at in range(size):
        before = made[at - 1] if at else 0, made[at - 2] if at > 1 else 0
        context = 0 if at <= HEADER_BYTES else 1 + _KINDS[before[0]] + 8 * _COARSE[before[1]]
        made.append(numbers.next(context) & 0xFF)
    numbers.finish()
    return unpredicted(bytes(made))


def _kind(byte: int) -> int:
    """Return the kind of a byte, on which the code of the next one depends."""
    if chr(byte).isascii() and chr(byte).isalpha():
        return 0
    if chr(byte).isascii() and (chr(byte).isdigit() or chr(byte) in ".,"):
        return 1
    small = byte + 2 if byte < 2 else 4
    large = 7 if byte <= 240 else 5 + (byte == 255)
    return small if byte < 16 else large


_KINDS = [_kind(byte) for byte in range(256)]
_COARSE = [kind if kind < 2 else 2 if kind < 5 else 3 if kind < 7 else 4 for kind in _KINDS]


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
    """Return the coded content of a profile: its size, commands, and bytes."""
    guess = guessed_header(icc, len(icc))
    head = bytes((a - b) & 0xFF for a, b in zip(icc, guess, strict=False))
    rest = icc[HEADER_BYTES:]
    commands = number(0) + bytes([INSERT]) + number(len(rest)) if rest else b""
    return number(len(icc)) + number(len(commands)) + commands + head + rest
