"""Declarations: the arguments of the decorator, checked, as a `Definition`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from imgpipe.admission import type_refusal
from imgpipe.arguments import shown
from imgpipe.borders import BORDERS
from imgpipe.callables import name_of
from imgpipe.chains.definition import Definition, Kernel, PairLike, Works, is_ours
from imgpipe.errors import DeclarationError
from imgpipe.parameters import Parameter, is_whole
from imgpipe.signatures import keywords_of, parameters_of

__all__ = ["WORKS", "define", "define_bare"]

WORKS: tuple[Works, ...] = ("keep", "float32")
"""The words for the type that a function works in."""

_WORDS = {
    "border": BORDERS,
    "alpha": ("keep", "premultiply", "filter"),
    "colour": (None, "gray", "rgb", "other"),
    "executor": ("processes", "threads"),
}


_FILLED_IN = {"place", "measured", "white"}  # keywords of a kernel that the engine gives
_HIDDEN = {"border", "halo", "dtype"}  # parameters of bare functions that cannot be given
_WORKED_OUT = {
    "kernel",
    "parameters",
    "takes_place",
    "takes_white",
    "takes_about",
    "takes_into",
    "bare",
}


def define(
    kernel: Kernel,
    name: str | None,
    halo: PairLike | None,
    declared: Mapping[str, Any],
    parameters: tuple[Parameter, ...] | None = None,
) -> Definition:
    """Return the definition of a filter; of all its parameters, unless these are given.

    Its name is that of the function, unless another is given.

    Raises
    ------
    DeclarationError
        If the declarations are impossible or contradict each other.
    """
    if not callable(kernel):
        raise DeclarationError(f"a filter is a function of an array, not {shown(kernel)}")
    name = name_of(kernel) if name is None else name
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"name must be the name of a filter as text, not {shown(name)}")
    if isinstance(getattr(kernel, "definition", None), Definition):
        raise DeclarationError(f"{name} is a filter already; give its parameters: {name}(...)")
    if halo is None:
        raise DeclarationError(f"{name}: the halo is not declared; write @imgpipe.filter(halo=N)")
    unknown = set(declared) - set(Definition.__dataclass_fields__) | _WORKED_OUT & set(declared)
    if unknown:
        raise DeclarationError(f"{name}: unknown declaration {', '.join(sorted(unknown))}")
    keywords = keywords_of(kernel)
    about = "about" in keywords and "layout" in declared
    into = "into" in keywords and is_ours(kernel)
    given = {name for name, found in (("about", about), ("into", into)) if found}
    made = Definition(
        name,
        kernel,
        halo,
        **declared,
        parameters=_parameters_of(kernel, frozenset(given)) if parameters is None else parameters,
        takes_place="place" in keywords,
        takes_white="white" in keywords,
        takes_about=about,
        takes_into=into,
    )
    for wrong in (*_wrong_values(made), *_contradictions(made)):
        raise DeclarationError(f"{name}: {wrong}")
    return made


def define_bare(
    function: Kernel, name: str, halo: PairLike, dtype: Works | None = None
) -> Definition:
    """Return the definition of a bare function with this halo.

    Parameters of its own that have the name of a declaration keep their defaults.
    """
    parameters = tuple(p for p in _parameters_of(function) if p.required or p.name not in _HIDDEN)
    pair = (halo, halo) if isinstance(halo, int) else halo
    return replace(define(function, name, pair, {"dtype": dtype or "keep"}, parameters), bare=True)


def _parameters_of(kernel: Kernel, given: frozenset[str] = frozenset()) -> tuple[Parameter, ...]:
    return parameters_of(kernel, after=1, without=_FILLED_IN | given)


def _wrong_values(made: Definition) -> Iterator[str]:
    for name, words in _WORDS.items():
        given = getattr(made, name)
        if not isinstance(given, str | None) or given not in words:
            yield f"{name} must be one of {', '.join(filter(None, words))}"
    if not isinstance(made.dtype, str) or made.dtype not in WORKS:
        yield (
            "dtype, the type that the function gets, must be keep or float32; "
            "output_dtype is the type of the result"
        )
    flags: list[tuple[str, Any]] = [("never_brighter", bool), ("in_order", (bool, Callable))]
    for name, kinds in flags:
        if not isinstance(getattr(made, name), kinds):
            yield f"{name} must be True or False, not {shown(getattr(made, name))}"
    for name in (
        "measure",
        "measure_if",
        "merge",
        "output",
        "region",
        "metadata",
        "validate",
        "layout",
    ):
        if getattr(made, name) is not None and not callable(getattr(made, name)):
            yield f"{name} must be a function, not {shown(getattr(made, name))}"
    channels = made.channels
    if not (channels is None or callable(channels) or is_whole(channels, at_least=1)):
        yield f"channels must be a whole number, at least 1, or a function, not {channels!r}"
    declared = made.output_dtype
    if declared is not None and (isinstance(declared, type) or not callable(declared)):
        yield from _wrong_type(declared)


def _wrong_type(declared: Any) -> Iterator[str]:
    try:
        dtype = np.dtype(declared)
    except (TypeError, ValueError):
        yield f"output_dtype is not a NumPy type: {shown(declared)}"
        return
    if type_refusal(dtype):
        yield (
            f"output_dtype cannot be {dtype}, because images are of integers of 8 to 64 bits or "
            "floats of 16 to 64; declare uint8, uint16, float32 or another of these"
        )


def _contradictions(made: Definition) -> Iterator[str]:
    operands: Any = made.operands
    names = {parameter.name for parameter in made.parameters}
    if "border" in names:
        yield "'border' is a parameter of every filter; give yours another name"
    if (made.measure is None) != (made.merge is None):
        yield "measure and merge go together"
    if made.measure_if is not None and made.measure is None:
        yield "measure_if says when to measure; declare measure and merge as well"
    if (made.output is None) != (made.region is None):
        yield "output and region go together"
    if not isinstance(operands, tuple):
        yield f"operands must be a tuple of names, such as ({operands!r},)"
    elif not names.issuperset(operands):
        yield "every operand must be a parameter"
