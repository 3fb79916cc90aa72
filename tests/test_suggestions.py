"""Suggestions: one wording and one threshold for all names that can be wrong."""

from __future__ import annotations

import pytest

import imgpipe
from imgpipe.batches.naming.template import Template
from imgpipe.cli import execute
from imgpipe.errors import UsageError
from imgpipe.filtertable import OTHER_NAMES
from imgpipe.registry import FILTERS
from imgpipe.suggestions import suggestion


@pytest.mark.parametrize(
    ("wrong", "known", "meant"),
    [
        ("blurr", ["blur", "box"], "blur"),
        ("Blur", ["blur", "box"], "blur"),
        ("emboss", ["EmBoss"], "EmBoss"),
        ("--sigm", ["--sigma", "--size"], "--sigma"),
        ("{stm}", ["{stem}", "{ext}"], "{stem}"),
    ],
)
def test_the_nearest_name_is_suggested_as_it_is_written(
    wrong: str, known: list[str], meant: str
) -> None:
    assert suggestion(wrong, known, "there are others") == f"; did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("wrong", "known"),
    [
        ("gamma", ["sigma"]),
        ("--gamma", ["--sigma"]),  # equal marks do not make them more alike
        ("--by", ["--of"]),
        ("x", []),
    ],
)
def test_a_name_that_is_like_no_other_gets_no_suggestion(wrong: str, known: list[str]) -> None:
    assert suggestion(wrong, known) == ""
    assert suggestion(wrong, known, "the list is long") == "; the list is long"


def said(args: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert execute(args.split()) == 2
    return capsys.readouterr().err


def test_all_names_that_can_be_wrong_have_the_same_wording(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UsageError) as in_python:
        imgpipe.filters.blur(sigm=2)
    with pytest.raises(UsageError) as in_template:
        Template("{stm}.png")
    for message, wrong, meant in (
        (said("blurr in.png", capsys), "there is no command 'blurr'", "blur"),
        (said("run blurr in.png -o o.png", capsys), "there is no filter 'blurr'", "blur"),
        (said("gaussian in.png", capsys), "there is no command 'gaussian'", "blur"),
        (said("run Sharpen in.png -o o.png", capsys), "there is no filter 'Sharpen'", "unsharp"),
        (said("run blur:sigm=2 in.png -o o.png", capsys), "has no parameter 'sigm'", "sigma"),
        (said("blur in.png -o o.png --sigm 2", capsys), "is no option '--sigm'", "--sigma"),
        (str(in_python.value), "blur has no parameter 'sigm'", "sigma"),
        (str(in_template.value), "there is no variable '{stm}'", "{stem}"),
    ):
        assert f"{wrong}; did you mean '{meant}'?" in message


def test_names_of_other_programs_lead_to_filters() -> None:
    assert set(OTHER_NAMES.values()) <= set(FILTERS)
    assert not set(OTHER_NAMES) & set(FILTERS)
