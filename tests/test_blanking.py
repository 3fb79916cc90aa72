"""Blanked files: some spans of another file, and zeros between them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from imgpipe.formats.blanking import BlankedOrigin, joined, meeting
from imgpipe.formats.origin import MemoryOrigin, pieces_of


def spans(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def test_spans_that_touch_or_overlap_are_one() -> None:
    given = spans((20, 25), (0, 4), (4, 6), (7, 7), (22, 23), (24, 30))
    assert joined(given).tolist() == [[0, 6], [20, 30]]
    assert joined(spans()).tolist() == []


@pytest.mark.parametrize(
    ("one", "expected"),
    [((6, 10), False), ((5, 6), True), ((9, 11), True), ((0, 99), True), ((30, 40), False)],
)
def test_spans_meet_if_they_have_a_byte_in_common(one: tuple[int, int], *, expected: bool) -> None:
    assert meeting(spans(one), spans((0, 6), (10, 30))) is expected
    assert not meeting(spans((3, 3)), spans((0, 6)))
    assert not meeting(spans(one), spans())


def test_all_but_the_spans_and_the_written_bytes_is_zero() -> None:
    choose = random.Random(0)
    data = bytes(choose.randrange(1, 256) for _ in range(500))
    kept = spans((0, 8), (50, 90), (90, 95), (200, 201), (400, 460))
    written = {10: b"first", 120: b"x" * 60, 462: b"end"}
    expected = bytearray(465)
    for start, stop in kept.tolist():
        expected[start:stop] = data[start:stop]
    for place, text in written.items():
        expected[place : place + len(text)] = text
    made = BlankedOrigin(MemoryOrigin(data, "a"), kept, written)
    assert made.name == "a"
    assert b"".join(pieces_of(made)) == bytes(expected)
    for buffering in (0, -1):
        with made.open(buffering) as file:
            for _ in range(200):
                start, size = choose.randrange(520), choose.randrange(150)
                assert file.seek(start) == start
                assert file.read(size) == bytes(expected[start : start + size])
            assert file.seek(-3, 2) == 462
            assert file.read() == b"end"


def test_a_file_that_has_become_shorter_ends() -> None:
    made = BlankedOrigin(MemoryOrigin(b"abcdef"), spans((1, 3), (5, 9)), {})
    assert b"".join(pieces_of(made)) == b"\0bc\0\0f"
