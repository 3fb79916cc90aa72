"""Formatting of a chain as text, the inverse of parsing. Defaults are left out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from imgpipe.callables import module_of
from imgpipe.chains.addresses import address_of
from imgpipe.chains.element import Element
from imgpipe.chains.tokens import as_word
from imgpipe.errors import ParameterError, UsageError
from imgpipe.parameters import Parameter

__all__ = ["described", "format_chain"]

_BESIDE = "imgpipe.chains."  # the rooms of elements that no text of a chain names


def described(chain: Iterable[Element]) -> str:
    """Return the text of `chain`; a filter without one as it is written in Python."""
    return " | ".join(map(_described, chain))


def _described(one: Element) -> str:
    if module_of(one.definition.kernel).startswith(_BESIDE):
        return repr(one)
    try:
        return _element_text(one)
    except UsageError:
        return repr(one)


def format_chain(chain: Iterable[Element]) -> str:
    """Return the text of `chain`: the inverse of `parse_chain`. Defaults are left out.

    Raises
    ------
    UsageError
        If a filter or a value of it has no text, such as a function of a script or an array.
    """
    elements = list(chain)
    if not elements:
        raise UsageError("a chain without a filter cannot be written as text")
    return " | ".join(map(_element_text, elements))


def _element_text(one: Element) -> str:
    found = address_of(one.definition)
    values = [
        f"{parameter.name}={_value_text(parameter, value, one)}"
        for parameter, (_, value) in zip(one.definition.parameters, one.params, strict=True)
        if not _same(value, parameter.default)
    ]
    if one.border != one.definition.border:
        values.append(f"border={one.border}")
    if found.bare:
        rows, columns = one.halo
        values.append(f"halo={rows}" if rows == columns else f'halo="{rows},{columns}"')
        values += [f"dtype={one.definition.dtype}"] * (one.definition.dtype != "keep")
    name = ":".join(map(as_word, found.words))
    return ":".join([name, *([",".join(values)] if values else [])])


def _value_text(parameter: Parameter, value: object, one: Element) -> str:
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, tuple) and len(value) > 1:
        text = ",".join(map(repr, value))
    with contextlib.suppress(ParameterError):
        if _same(parameter.parse(text, one.name), value):
            return as_word(text)
    raise UsageError(f"{one.name}: {parameter.name} cannot be written as text: {value!r}")


def _same(value: object, other: object) -> bool:
    """Return whether two values are the same text; arrays and the like never are."""
    if isinstance(value, tuple) and isinstance(other, tuple):
        return len(value) == len(other) and all(map(_same, value, other))
    plain = (bool, int, float, str, type(None))
    # NaN is not equal to itself, and 0.0 is equal to -0.0: repr tells both as text does
    return type(value) is type(other) and isinstance(value, plain) and repr(value) == repr(other)
