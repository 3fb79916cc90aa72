"""Signatures: the types of parameters, as far as annotations and defaults tell them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters

import imgpipe
from imgpipe import Between
from imgpipe.chains.chain import Filter
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.cli import execute
from imgpipe.errors import ParameterError, UsageError
from imgpipe.parameters import Parameter
from imgpipe.registry import FILTERS, FORMATS
from imgpipe.signatures import parameters_of


def untold(
    chunk, whole=3, part=2.0, flag=True, nothing=None, word="reflect", pair=(3, 3), *, needed
):
    """Tell no type."""


def told(
    chunk,
    whole: int = 3,
    part: float = 2.0,
    either: int | float | None = 3,  # noqa: PYI041 - it is what is tested
    wholes: int | tuple[int, int] = 3,
    parts: Annotated[float | Sequence[float], Between(0, 9)] = 2.0,
    maybe: int | None = 3,
    mixed: int | str = 3,
    switch: bool | str = True,
) -> None:
    """Tell all types."""


UNTOLD = {each.name: each for each in parameters_of(untold, after=1)}
TOLD = {each.name: each for each in parameters_of(told, after=1)}


def the_same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, and of the same types."""
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (UNTOLD["whole"], "5", 5),
        (UNTOLD["whole"], "1.5", 1.5),
        (UNTOLD["whole"], "3,3,1", (3, 3, 1)),
        (UNTOLD["whole"], "1.5, 2, 0", (1.5, 2, 0)),
        (UNTOLD["part"], "5", 5.0),
        (UNTOLD["part"], "2,2.5,0", (2.0, 2.5, 0.0)),
        (UNTOLD["flag"], "no", False),
        (UNTOLD["nothing"], "3,3,1", (3, 3, 1)),
        (UNTOLD["nothing"], "none", None),
        (UNTOLD["word"], "3,3,1", "3,3,1"),
        (UNTOLD["pair"], "3,5", (3, 5)),
        (UNTOLD["needed"], "3,3,1", (3, 3, 1)),
        (TOLD["either"], "2.5", 2.5),
        (TOLD["wholes"], "3,5", (3, 5)),
        (TOLD["wholes"], "5", 5),
        (TOLD["parts"], "3,5", (3.0, 5.0)),
        (TOLD["maybe"], "none", None),
        (TOLD["mixed"], "auto", "auto"),
        (TOLD["mixed"], "5", 5),
        (TOLD["switch"], "no", False),
    ],
)
def test_text_is_what_the_parameter_may_be(parameter: Parameter, text: str, value: Any) -> None:
    found = parameter.parse(text, "own")
    assert the_same(found, value)
    assert the_same(parameter.check(value, "own"), value)


@pytest.mark.parametrize(
    ("parameter", "text", "says"),
    [
        (UNTOLD["whole"], "big", "whole must be a number, or several such as 3,3,1, not 'big'"),
        (UNTOLD["whole"], "3,big", "a number, or several such as 3,3,1, not '3,big'"),
        (UNTOLD["whole"], "3,", "a number, or several such as 3,3,1, not '3,'"),
        (UNTOLD["whole"], "nan", "a number, or several such as 3,3,1, not nan"),
        (UNTOLD["part"], "2,nan", r"a number, or several such as 3,3,1, not \(2, nan\)"),
        (UNTOLD["flag"], "3,3,1", "flag must be true or false, not '3,3,1'"),
        (TOLD["whole"], "1.5", "whole must be a whole number, not '1.5'"),
        (TOLD["whole"], "3,3", "whole must be a whole number, not '3,3'"),
        (TOLD["part"], "2,2", "part must be a number, not '2,2'"),
        (TOLD["either"], "2,2", "either must be a number, not '2,2'"),
        (TOLD["wholes"], "3,1.5", "wholes must be a whole number, or several such as 3,3,1"),
        (TOLD["parts"], "2,11", "parts must be a number between 0 and 9, or several such as"),
        (TOLD["maybe"], "3,3", "maybe must be a whole number, not '3,3'"),
    ],
)
def test_other_text_is_refused(parameter: Parameter, text: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        parameter.parse(text, "own")


@pytest.mark.parametrize("given", [[3, 3, 1], (3, 3, 1), np.array([3, 3, 1])])
def test_lists_are_the_same_however_they_are_given(given: Any) -> None:
    assert the_same(UNTOLD["whole"].check(given, "own"), (3, 3, 1))


@pytest.mark.parametrize("given", ["3", True, [], [3, "1"], [3, True], [[3]], np.ones((2, 2)), 1j])
def test_all_else_is_refused_in_python(given: Any) -> None:
    with pytest.raises(ParameterError, match="must be a number, or several such as 3,3,1, not"):
        UNTOLD["whole"].check(given, "own")


@pytest.mark.parametrize("given", [1e300, -1e17, math.inf, 2**70, 10**400, (1, 1e300)])
def test_large_numbers_keep_their_type(given: Any) -> None:
    """An int of more than 64 bits is too large for the arithmetic of NumPy."""
    assert the_same(UNTOLD["whole"].check(given, "own"), given)


def filled(chunk, value=math.nan, *, by: Annotated[float, Between(0, 9)] = math.nan):  # type: ignore[no-untyped-def]
    return np.where(np.isnan(chunk), value, chunk)


@pytest.mark.parametrize("parameter", parameters_of(filled, after=1))
def test_nan_is_taken_where_it_is_the_default(parameter: Parameter) -> None:
    assert math.isnan(parameter.check(parameter.default, "own"))
    assert math.isnan(parameter.parse("nan", "own"))
    assert parameter.parse("3", "own") == 3
    with pytest.raises(ParameterError, match="must be a number"):
        parameter.parse("big", "own")


def test_nan_as_the_default_is_left_out_of_the_text() -> None:
    one = imgpipe.filter(filled, halo=0)()
    assert one.digest == imgpipe.filter(filled, halo=0)(value=-math.nan).digest
    assert format_chain(one) == f"{__name__}:filled:halo=0"


def test_types_for_editors_tell_of_lists() -> None:
    assert UNTOLD["whole"].type == float | tuple[float, ...]
    assert TOLD["wholes"].type == int | tuple[int, ...]
    assert TOLD["whole"].type is int


def test_all_filters_and_formats_of_imgpipe_tell_their_types() -> None:
    filters = [FILTERS.load(name).definition.parameters for name in FILTERS]
    formats = [FORMATS.load(name).FORMAT.options for name in FORMATS]
    found = [parameter for each in (*filters, *formats) for parameter in each]
    assert len(found) > 50
    assert not [each for each in found if each.several]


PIXELS = np.random.default_rng(0).integers(0, 256, (37, 41, 3), np.uint8)
SOURCE = """
import numpy as np
import imgpipe

def scaled(chunk, *, by=1):
    return chunk * np.asarray(by)

declared = imgpipe.filter(halo=0)(scaled)
"""


class TestFunctionsOfOtherLibraries:
    @pytest.fixture
    def source(self, tmp_path: Path) -> str:
        np.save(tmp_path / "in.npy", PIXELS)
        return str(tmp_path / "in.npy")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (
                ["scipy.ndimage:uniform_filter", "--size", "3,3,1"],
                scipy.ndimage.uniform_filter(PIXELS, (3, 3, 1), mode="nearest"),
            ),
            (
                ["scipy.ndimage:uniform_filter:size='3,3,1'"],
                scipy.ndimage.uniform_filter(PIXELS, (3, 3, 1), mode="nearest"),
            ),
            (
                ["scipy.ndimage:median_filter", "--size", "3,3,1"],
                scipy.ndimage.median_filter(PIXELS, (3, 3, 1), mode="nearest"),
            ),
        ],
    )
    def test_take_a_number_for_each_axis(
        self, words: list[str], expected: Any, source: str
    ) -> None:
        out = source.replace("in.npy", "out.npy")
        assert execute(["run", words[0], source, "-o", out, "--halo", "9", *words[1:]]) == 0
        inner = np.s_[2:-2, 2:-2]
        np.testing.assert_array_equal(np.load(out)[inner], expected[inner])

    def test_take_fractions_where_the_default_is_whole(self, source: str) -> None:
        out = source.replace("in.npy", "out.npy")
        words = ["--halo", "8", "--dtype", "float32", "--sigma", "1.5", "--channel-axis", "-1"]
        assert execute(["run", "skimage.filters:gaussian", source, "-o", out, *words]) == 0
        floats = PIXELS.astype(np.float32) / 255
        expected = skimage.filters.gaussian(floats, 1.5, channel_axis=-1)
        off = np.load(out)[8:-8, 8:-8] - 255.0 * expected[8:-8, 8:-8]
        assert np.abs(off).max() < 0.51

    @pytest.mark.parametrize("name", ["scaled", "declared"])
    def test_so_do_those_of_a_file(self, name: str, source: str, tmp_path: Path) -> None:
        (tmp_path / "own.py").write_text(SOURCE)
        chain, out = f"{tmp_path / 'own.py'}:{name}", source.replace("in.npy", "out.npy")
        halo = ["--halo", "0"] if name == "scaled" else []
        assert execute(["run", chain, source, "-o", out, "--by", "0.5,1,0", *halo]) == 0
        np.testing.assert_array_equal(np.load(out), np.rint(PIXELS * (0.5, 1, 0)))

    def test_are_checked_with_them(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "own.py").write_text(
            "def scaled(chunk, *, by=1):\n    return chunk * by[0] + by[1]\n"
        )
        assert execute(["check", f"{tmp_path / 'own.py'}:scaled", "--by", "0.5,9"]) == 0
        assert execute(["check", "scipy.ndimage:uniform_filter", "--size", "big"]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "must be a number, or several such as 3,3,1, not 'big'" in said

    def test_say_so_in_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["run", "scipy.ndimage:uniform_filter", "--help"]) == 0
        page = capsys.readouterr().out
        assert "--size NUMBER,... " in page
        assert "--cval NUMBER,... " in page
        assert "--mode TEXT " in page
        assert "--axes VALUE " in page

    def test_keep_their_lists_in_the_text_of_a_chain(self) -> None:
        text = 'scipy.ndimage:uniform_filter:size="3,3,1",halo=1'
        one = parse_chain(text)
        assert isinstance(one, Filter)
        assert dict(one.params)["size"] == (3, 3, 1)
        assert format_chain(one) == text
        assert parse_chain(format_chain(one)) == one

    def test_of_one_number_have_no_text_as_a_list(self) -> None:
        one = imgpipe.filter(scipy.ndimage.uniform_filter, halo=1)(size=(3,))
        with pytest.raises(UsageError, match=r"size cannot be written as text: \(3,\)"):
            format_chain(one)
