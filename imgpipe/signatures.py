"""Signatures: the parameters that a function declares by its names, annotations and defaults."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from numbers import Real
from typing import Annotated, Any, Literal

from imgpipe.callables import annotations_of, signature_of
from imgpipe.parameters import Between, Example, Parameter, Through

__all__ = ["keywords_of", "parameters_of", "taken_by"]

_EMPTY = inspect.Parameter.empty


def parameters_of(
    function: Callable[..., Any], *, after: int, without: Collection[str] = ()
) -> tuple[Parameter, ...]:
    """Return the parameters that the signature of a function declares.

    Parameters
    ----------
    function : callable
        A kernel, or the writer of a format.
    after : int
        Number of arguments before the first parameter: one for a kernel, its chunk.
    without : collection of str, optional
        Names of arguments that are no parameters, because the engine gives them.

    Returns
    -------
    tuple of Parameter
        In order. ``out=None`` is not one, as an array that the engine makes itself goes there.
    """
    signature = signature_of(function)
    if signature is None:
        return ()
    hints = annotations_of(function)
    found = []
    for position, entry in enumerate(signature.parameters.values()):
        if position < after or entry.name in without:
            continue
        if entry.kind in (entry.VAR_KEYWORD, entry.VAR_POSITIONAL):
            continue
        hint = hints.get(entry.name, _EMPTY)
        if entry.name != "out" or entry.default is not None or hint is not _EMPTY:
            found.append(_parameter(entry, hint))
    return tuple(found)


def keywords_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names in the signature of `function`; none where that does not tell."""
    signature = signature_of(function)
    return () if signature is None else tuple(signature.parameters)


def taken_by(
    function: Callable[..., Any], params: Mapping[str, Any], positional: int
) -> dict[str, Any]:
    """Return the `params` that `function` takes by name, after `positional` arguments without."""
    try:
        named, filled = _names_taken(function, positional)
    except TypeError:  # no key of a dict
        named, filled = _names_taken.__wrapped__(function, positional)
    if named is not None:
        params = {name: params[name] for name in named if name in params}
    return {name: value for name, value in params.items() if name not in filled}


@lru_cache(maxsize=256)
def _names_taken(
    function: Callable[..., Any], positional: int
) -> tuple[tuple[str, ...] | None, frozenset[str]]:
    """Return the names that `function` takes, None for any, and the names already given."""
    signature = signature_of(function)
    entries = [] if signature is None else list(signature.parameters.values())
    filled = {e.name for e in entries[:positional] if e.kind is e.POSITIONAL_OR_KEYWORD}
    if any(entry.kind is entry.VAR_KEYWORD for entry in entries):
        return None, frozenset(filled)
    named = (e.name for e in entries if e.kind in (e.POSITIONAL_OR_KEYWORD, e.KEYWORD_ONLY))
    return tuple(named), frozenset(filled)


def _parameter(entry: inspect.Parameter, hint: Any) -> Parameter:
    bounds, text, through, example = None, "", None, ""
    optional = entry.default is None
    if typing.get_origin(hint) is Annotated:
        hint, *notes = typing.get_args(hint)
        bounds = next((note for note in notes if isinstance(note, Between)), None)
        text = next((note for note in notes if isinstance(note, str)), "")
        through = next((note for note in notes if isinstance(note, Through)), None)
        example = next((note.value for note in notes if isinstance(note, Example)), "")
    choices: tuple[str, ...] = ()
    if typing.get_origin(hint) is Literal:
        literals = typing.get_args(hint)
        choices, hint = tuple(map(str, literals)), type(literals[0])
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if is_union:
        optional |= type(None) in typing.get_args(hint)
        hint = _of_union({part for part in typing.get_args(hint) if part is not type(None)})
    several = False
    if hint is _EMPTY and entry.default is not _EMPTY and entry.default is not None:
        # The default shows one value of a type that the signature does not tell.
        hint = type(entry.default)
        several = hint in (int, float)
        hint = Real if hint is int and not is_union else hint
    kind = hint if hint in (bool, int, float, Real, str) else object
    by_position = entry.kind is entry.POSITIONAL_ONLY
    return Parameter(
        entry.name, kind, entry.default, choices, bounds, text, through, example, optional,
        by_position, several,
    )  # fmt: skip


def _of_union(parts: set[Any]) -> Any:
    """Return the type of a union; nothing where it is that of the default, or several of these."""
    if parts == {int, float}:
        return float
    if len(parts) == 1:
        return parts.pop()
    simple = {int, float, tuple, list, Sequence}
    is_simple = all(part in simple or typing.get_origin(part) in simple for part in parts)
    return _EMPTY if is_simple or bool in parts else object
