"""Words for people: one line each, whatever is in a name."""

from __future__ import annotations

import pytest

from imgpipe.batches.progress.wording import (
    duration,
    failure_line,
    legible,
    one_line,
    passed_over_line,
)
from imgpipe.batches.results import Result
from imgpipe.errors import FilterError


def test_one_line_counts_files_passed_over_most_frequent_reason_first() -> None:
    passed = {"hidden": 20, "link_outside": 1, "not_image": 12_290, "junk": 0, "too_young": 2}
    passed["other_suffix"] = 3
    assert passed_over_line(passed) == (
        "12,316 passed over: 12,290 not images, 20 hidden, 3 of other suffixes, 2 too young, "
        "1 link outside"
    )
    assert passed_over_line({}) == ""
    assert passed_over_line({"output": 2}) == "2 passed over: 2 outputs of this batch"


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


def failure(message: str, path: str = "a\nb.png") -> str:
    error = FilterError(message)
    return failure_line(Result(path, "out/a", "failed", stage="filter", error=error))


def test_a_traceback_is_its_error_and_the_innermost_place() -> None:
    told = (
        "a\nb.png: the filter bad() failed\nTraceback (most recent call last):\n"
        '  File "/x/bad.py", line 4, in bad\n    return deep()\n'
        '  File "/x/deep er.py", line 7, in deep\n    raise ValueError("no thanks")\n'
        "ValueError: no thanks"
    )
    assert failure(told) == (
        "failed (filter): a\\nb.png: the filter bad() failed: ValueError: no thanks (deep er.py, "
        "line 7)"
    )


def test_a_crash_is_its_place() -> None:
    told = (
        "a\nb.png: making it ended 3 workers in a row (signal SIGSEGV)\n"
        'It was at (most recent call first):\n  File "/x/c.py", line 3 in crash\n'
        '  File "/x/d.py", line 9 in f'
    )
    assert failure(told).endswith("in a row (signal SIGSEGV) (c.py, line 3)")


def test_lines_of_any_other_message_are_sentences() -> None:
    assert failure("is wrong\nGet a copy.\nTry again") == (
        "failed (filter): a\\nb.png: is wrong. Get a copy. Try again"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("café", "café"), ("caf\udce9", "caf\ufffd"), ("caf\udcc3\udca9", "café"), ("\ud800", "?")],
)
def test_legible_text_is_utf8(text: str, expected: str) -> None:
    assert legible(text) == expected
