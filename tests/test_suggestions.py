"""Suggestions: one wording and one threshold for all names that can be wrong."""

from __future__ import annotations

import numpy as np
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


@pytest.mark.parametrize(("wrong", "meant"), [("blurr", "blur"), ("gaussian", "blur")])
def test_a_missing_attribute_of_the_filters_gets_one_suggestion(wrong: str, meant: str) -> None:
    """Python would add its own to an error without a name, and know no names of others."""
    with pytest.raises(AttributeError) as caught:
        getattr(imgpipe.filters, wrong)
    assert str(caught.value).endswith(f"has no attribute {wrong!r}; did you mean {meant!r}?")
    assert caught.value.obj is None


@pytest.mark.parametrize("wrong", ["nothing_alike", "_blur", "__path_of__"])
def test_an_attribute_that_is_like_no_filter_gets_no_suggestion(wrong: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'$"):
        getattr(imgpipe.filters, wrong)


def test_a_format_that_is_misspelt_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"there is no format 'jepg'; did you mean 'jpeg'\?$"):
        imgpipe.write(np.zeros((3, 3), np.uint8), "o.bin", format="jepg")


@pytest.mark.parametrize("name", ["batch", "Folder", "process", "apply", "bulk"])
def test_a_command_for_folders_is_said_to_be_every_filter(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(f"{name} photos/ -o out", capsys)
    assert f"no command '{name}'; every filter takes folders, for example: imgpipe blur" in text
    assert "watch" not in text


def test_names_of_other_programs_lead_to_filters() -> None:
    assert set(OTHER_NAMES.values()) <= set(FILTERS)
    assert not set(OTHER_NAMES) & set(FILTERS)
