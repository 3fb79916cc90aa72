"""Deflate: pieces join, and every process makes the same bytes of them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.formats import deflate

# It loads one module by its file: NumPy would take ten times as long as all the rest.
PROGRAM = """
import hashlib, importlib.util, sys
spec = importlib.util.spec_from_file_location("deflate", sys.argv[1])
deflate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(deflate)
for kind in sys.argv[2:]:
    name, size, file = kind.split(":")
    size = int(size)
    sha = hashlib.sha256()
    pieces = open(file, "rb").read()
    for start in range(0, len(pieces), size):
        sha.update(b"".join(getattr(deflate, name)(memoryview(pieces[start : start + size]))))
    print(kind, sha.hexdigest())
"""


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_adler_sums_combine_like_zlib_s(first: bytes, second: bytes) -> None:
    joined = deflate.adler32_combine(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)


def test_adler_sums_of_large_pieces_combine() -> None:
    piece = b"\xff" * 5_000_000
    joined = deflate.adler32_combine(zlib.adler32(piece), zlib.adler32(piece), len(piece))
    assert joined == zlib.adler32(piece + piece)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.floats(0.05, 60)),
        min_size=1,
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_pieces_of_a_narrow_window_join(
    pieces: list[tuple[int, float]], source: random.Random
) -> None:
    rng = np.random.default_rng(source.getrandbits(32))
    contents = [rng.normal(0, spread, size).astype(np.int8).tobytes() for size, spread in pieces]
    joined = b"".join(
        part for content in contents for part in deflate.by_isal_narrow(memoryview(content))
    )
    assert zlib.decompress(joined + deflate.LAST_BLOCK, -15) == b"".join(contents)


@pytest.mark.parametrize("spread", [0, 0.1, 0.5, 3, 20, 200])
def test_large_pieces_of_a_narrow_window_join(spread: float) -> None:
    content = (np.random.default_rng(1).normal(0, spread, 1 << 20).astype(int) & 255).astype("u1")
    parts = deflate.by_isal_narrow(content.data)
    joined = b"".join(parts) + b"".join(deflate.by_isal_narrow(content[::2].copy().data))
    expected = content.tobytes() + content[::2].tobytes()
    assert zlib.decompress(joined + deflate.LAST_BLOCK, -15) == expected


@pytest.mark.parametrize("size", [*range(1, 60), *range(65_500, 65_540), 262_144, 300_000])
def test_pieces_of_any_size_join(size: int) -> None:
    piece = np.random.default_rng(size).integers(0, 3, size, np.uint8).data
    for deflater in (deflate.by_isal_narrow, deflate.by_isal_near, deflate.by_isal):
        joined = b"".join([*deflater(piece), *deflater(piece), deflate.LAST_BLOCK])
        assert zlib.decompress(joined, -15) == piece.tobytes() * 2


@pytest.mark.parametrize("spread", [0, 3, 200])
@pytest.mark.parametrize("size", [0, 1, 30, deflate.PIECE, deflate.PIECE + 1, 600_000])
def test_deflating_in_place_gives_the_same_bytes(size: int, spread: float) -> None:
    content = (np.random.default_rng(2).normal(0, spread, size).astype(int) & 255).astype("u1")
    room = bytearray(deflate.ROOM) + content.tobytes()
    found = b"".join(deflate.narrow_in_place(memoryview(room)))
    assert found == b"".join(deflate.by_isal_narrow(content.data))
    assert zlib.decompress(found + deflate.LAST_BLOCK, -15) == content.tobytes()


def test_the_narrow_window_is_in_use() -> None:
    assert deflate._is_reliable()


def test_every_process_deflates_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = {
        "by_isal_narrow:16000:narrow": narrow_pieces(),
        "by_isal_narrow:240:short": short_pieces(),
        "by_isal_near:16000:near": narrow_pieces(),
        "by_isal_near:64:nearest": wide_pieces(),
        "by_isal:64:wide": wide_pieces(),
    }
    for kind, pieces in kinds.items():
        Path(kind.split(":")[-1]).write_bytes(pieces)
    command = [sys.executable, "-I", "-c", PROGRAM, str(deflate.__file__), *kinds]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = set(pool.map(lambda _: subprocess.check_output(command), range(100)))
    assert len(found) == 1


def narrow_pieces() -> bytes:
    """Return data in which, with a window of four bytes, a wrong bucket makes a difference.

    That is where four bytes are looked up for the first time but stand two bytes earlier as
    well, where a match passed over them: "cdcd" in "abcdabcdabcdcdcd".
    """
    source = random.Random(1)
    fours = (bytes(source.sample(range(256), 4)) for _ in range(4 * 999))
    units = [four * 3 + four[2:] * 2 for four in fours]
    pieces = [b"xy" + b"".join(units[start : start + 999]) for start in range(0, len(units), 999)]
    return b"".join(piece.ljust(16_000) for piece in pieces)


def short_pieces() -> bytes:
    """Return pieces of 240 bytes, each with a match at its third byte, for any window.

    The hash table of such a piece has few buckets, so the wrong one is often the one in use.
    """
    source = random.Random(3)
    texts = [bytes(source.choices(range(8), k=236)) for _ in range(60)]
    return b"".join(text[:2] * 2 + text for text in texts)


def wide_pieces() -> bytes:
    """Return pieces of 64 bytes that repeat their beginning, so that its bucket is in use."""
    source = random.Random(2)
    return b"".join(
        start + start[1:9] + start[:9] + source.randbytes(23)
        for start in (source.randbytes(24) for _ in range(500))
    )
