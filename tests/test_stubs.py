"""Editors and type checkers know every filter and its parameters."""

from __future__ import annotations

import ast
import builtins
import inspect
from typing import Annotated, Any, Literal

import pytest

import imgpipe
from imgpipe import filters
from imgpipe.cli.stubs import PLACE, stubs
from imgpipe.errors import ParameterError
from imgpipe.filters import blur, crop, flip
from imgpipe.registry import FILTERS


def test_the_stubs_are_those_of_the_filters() -> None:
    assert PLACE.read_text() == stubs(), "run python -m imgpipe.cli.stubs"


def test_the_stubs_name_every_filter_and_nothing_else() -> None:
    tree = ast.parse(PLACE.read_text())
    named = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert named == set(FILTERS)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert not functions  # __getattr__ would let every misspelt name pass


@pytest.mark.parametrize("name", FILTERS)
def test_a_signature_is_what_can_be_given(name: str) -> None:
    factory = FILTERS.load(name)
    signature = inspect.signature(factory)
    own = [p.name for p in factory.definition.parameters]
    assert [*signature.parameters] == [*own, "border"]
    for entry, parameter in zip(
        signature.parameters.values(), factory.definition.parameters, strict=False
    ):
        assert entry.default == parameter.default


def test_a_signature_names_types() -> None:
    parameters = inspect.signature(blur).parameters
    assert parameters["sigma"].annotation is float
    assert parameters["border"].default == "edge"
    assert (
        inspect.signature(flip).parameters["direction"].annotation
        == (Literal["vertical", "horizontal"])
    )
    assert inspect.signature(crop).parameters["width"].kind is inspect.Parameter.KEYWORD_ONLY


def test_of_a_filter_of_the_users_what_the_engine_fills_in_is_no_part() -> None:
    @imgpipe.filter(halo=1, border="wrap", measure=len, merge=max)
    def own(
        chunk: Any, place: Any, measured: Any, white: Any, by: Annotated[int, "so far"] = 1
    ) -> Any:
        return chunk

    assert str(inspect.signature(own)).startswith("(by: int = 1, *, border: Literal['edge',")
    assert inspect.signature(own).parameters["border"].default == "wrap"
    assert own(2, border="edge").keywords == {"by": 2}
    with pytest.raises(ParameterError, match="border must be one of"):
        own(border="up")


def test_a_star_gives_the_filters_and_hides_nothing_of_python() -> None:
    names: dict[str, Any] = {}
    exec("from imgpipe.filters import *", names)
    del names["__builtins__"]
    assert set(names) == set(FILTERS) - {"open"}
    assert names["blur"] is blur
    assert not set(names) & set(vars(builtins))
    assert filters.open().name == "open"  # by name it is there


@pytest.mark.parametrize("name", ["Between", "Example", "Place", "Through"])
def test_classes_for_annotations_are_in_the_package(name: str) -> None:
    assert name in imgpipe.__all__
    assert inspect.isclass(getattr(imgpipe, name))
