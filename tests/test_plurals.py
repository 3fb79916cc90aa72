"""Numbers with their nouns, and lists of words."""

from __future__ import annotations

from imgpipe.plurals import counted, listed


def test_a_noun_that_ends_with_s_gets_another_ending() -> None:
    assert [counted(number, "pass") for number in (1, 2)] == ["1 pass", "2 passes"]


def test_one_is_singular_and_every_other_number_is_plural() -> None:
    assert [counted(number, "row") for number in (0, 1, 2, 12_000)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "12,000 rows",
    ]


def test_the_last_of_several_words_follows_and() -> None:
    assert [listed("abc"[:number]) for number in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
