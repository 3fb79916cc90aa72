"""ICC profiles within a JPEG XL codestream (ISO/IEC 18181-1, annex E).

A profile is written byte by byte: all predictions of the format are left unused, and its codes all
have eight bits. So it takes as many bytes as it has, which nobody notices beside pixels.
"""

from __future__ import annotations

from imgpipe.formats.jpegxl.bits import BitWriter

__all__ = ["append_profile"]

_HEADER_BYTES = 128
_INSERT = 1  # the command that takes bytes as they are
_CODE_LENGTHS = 18
_PLACE_OF_EIGHT = 10  # in the order in which the lengths of codes are told
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def append_profile(writer: BitWriter, icc: bytes) -> None:
    """Append an ICC profile to a header."""
    content = _content(icc)
    writer.u64(len(content))
    writer.bits(0, 1)  # nothing is repeated
    writer.bits(0b001, 3)  # all bytes have the same code
    writer.bits(1, 1)  # which is a prefix code
    writer.bits(8, 4)  # of the values below 2 to the 8
    writer.bits(0, 8)
    writer.bits(1 | 7 << 1 | 127 << 5, 12)  # 256 of them
    writer.bits(0, 2)
    for place in range(_CODE_LENGTHS):
        writer.bits(place == _PLACE_OF_EIGHT, 2)
    writer.bits(int.from_bytes(content.translate(_REVERSED), "little"), 8 * len(content))


def _content(icc: bytes) -> bytes:
    """Return what is coded of a profile: its size, commands, and bytes."""
    guess = _guessed_header(icc)
    head = bytes((a - b) & 0xFF for a, b in zip(icc, guess, strict=False))
    rest = icc[_HEADER_BYTES:]
    commands = _number(0) + bytes([_INSERT]) + _number(len(rest)) if rest else b""
    return _number(len(icc)) + _number(len(commands)) + commands + head + rest


def _guessed_header(icc: bytes) -> bytes:
    """Return what the format expects of the header of a profile."""
    guess = bytearray(_HEADER_BYTES)
    guess[:4] = len(icc).to_bytes(4, "big")
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
