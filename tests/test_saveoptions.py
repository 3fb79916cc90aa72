"""Options of the output format in a folder of several formats."""

from __future__ import annotations

import pytest

from imgpipe.batches.saveoptions import must_suit, options_for
from imgpipe.errors import UsageError
from imgpipe.formats.formatchoice import format_called
from imgpipe.formats.readwrite import Writing

JPEG, PNG = format_called("jpeg"), format_called("png")


def test_an_option_is_for_the_outputs_whose_format_has_it() -> None:
    writing = Writing(save={"quality": "80"})
    assert options_for(JPEG, writing, "a.jpg") == {"quality": 80}
    assert options_for(PNG, writing, "a.png") == {}
    must_suit(writing, [JPEG, PNG])


def test_an_option_must_be_of_the_format_that_is_given() -> None:
    with pytest.raises(UsageError, match="quality"):
        options_for(PNG, Writing(save={"quality": 80}, format="png"), "a.png")


def test_an_option_that_no_output_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no output has the option quality.*PNG"):
        must_suit(Writing(save={"quality": 80}), [PNG])


def test_a_wrong_value_is_refused_before_any_output_is_made() -> None:
    with pytest.raises(UsageError, match=r"outputs of JPEG: quality must be"):
        must_suit(Writing(save={"quality": "800"}), [JPEG, PNG])
