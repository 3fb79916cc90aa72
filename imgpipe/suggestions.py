"""Suggestions: the name that was likely meant, for messages about a wrong one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = ["suggestion"]

_NEAR = 0.7  # of 1; with less, "gamma" would be suggested for "sigma"
_NONE: Mapping[str, str] = MappingProxyType({})
_MARKS = "-{}"  # of options and of variables: equal marks make no names alike


def suggestion(
    wrong: str, known: Iterable[str], otherwise: str = "", others: Mapping[str, str] = _NONE
) -> str:
    """Return the end of a message about a wrong name: the name that was likely meant.

    Parameters
    ----------
    wrong : str
        The name that does not exist.
    known : iterable of str
        The names that exist, as they are to be written.
    otherwise : str, optional
        The end of the message if none of them is near.
    others : mapping of str, optional
        Other names for some of them, such as those of other programs.

    Returns
    -------
    str
        The end, with its semicolon; empty if there is nothing to say.
    """
    import difflib  # noqa: PLC0415 - only for errors

    names = {_letters(name): name for name in known}
    if meant := others.get(wrong.lower()):
        return f"; did you mean {meant!r}?"
    if near := difflib.get_close_matches(_letters(wrong), names, 1, _NEAR):
        return f"; did you mean {names[near[0]]!r}?"
    return f"; {otherwise}" if otherwise else ""


def _letters(name: str) -> str:
    return name.strip(_MARKS).lower()
