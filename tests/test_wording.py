"""Words for people: one line each, whatever is in a name."""

from __future__ import annotations

import pytest

from imgpipe.batches.wording import duration, legible, one_line, passed_over_line


def test_what_was_passed_over_is_one_line_the_most_first() -> None:
    passed = {"hidden": 20, "link_outside": 1, "not_image": 12_290, "junk": 0, "too_young": 2}
    assert passed_over_line(passed) == (
        "12,313 passed over: 12,290 not images, 20 hidden, 2 too young, 1 link outside"
    )
    assert passed_over_line({}) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_control_characters_and_bytes_are_spelt_out() -> None:
    assert one_line("a\n\x1b[31m\u202e caf\udce9 é") == "a\\n\\x1b[31m\\u202e caf\\udce9 é"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("café", "café"), ("caf\udce9", "caf\ufffd"), ("caf\udcc3\udca9", "café"), ("\ud800", "?")],
)
def test_legible_text_is_utf8(text: str, expected: str) -> None:
    assert legible(text) == expected
