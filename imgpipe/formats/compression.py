"""Compression of the output: a method, its effort, or both, for formats that have several methods.

It is written ``METHOD``, ``N`` or ``METHOD:N``, such as ``zstd``, ``6`` and ``deflate:9``; a number
alone is the effort of the first method of the format. A writer declares its methods so::

    Wanted = Annotated[Compression, one_of(Method("deflate", 0, 9, usual=2), Method("none")), "..."]

    def open_sink(target, info, *, compression: Wanted = Compression("deflate", 2)): ...
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

from imgpipe.arguments import shown
from imgpipe.parameters import Through

__all__ = ["Compression", "Method", "one_of"]


class Compression(NamedTuple):
    """The compression of a file.

    Attributes
    ----------
    method : str
        The name of the method.
    effort : int or None
        Its effort, or whatever its number means; None for a method without one.
    """

    method: str
    effort: int | None = None

    def __str__(self) -> str:
        return self.method if self.effort is None else f"{self.method}:{self.effort}"


class Method(NamedTuple):
    """A method of a format.

    Attributes
    ----------
    name : str
        Its name, in small letters.
    low, high : int
        The least and the greatest effort.
    usual : int or None
        The effort if none is given; None for a method without one.
    """

    name: str
    low: int = 0
    high: int = 0
    usual: int | None = None

    def __str__(self) -> str:
        return self.name if self.usual is None else f"{self.name}[:{self.low}-{self.high}]"

    def takes(self, effort: int | None) -> bool:
        """Return whether there is such an effort."""
        if effort is None or self.usual is None:
            return effort == self.usual
        return self.low <= effort <= self.high


def one_of(*methods: Method) -> Through:
    """Return the annotation of a parameter that takes one of `methods`, the first of them usual.

    The parameter accepts text, whole numbers and a `Compression`, and becomes a `Compression`.
    """

    def chosen(given: Any) -> Compression:
        wanted = _read(given, methods)
        method = next((one for one in methods if wanted and one.name == wanted.method), None)
        if wanted is None or method is None or not method.takes(wanted.effort):
            raise ValueError(_refusal(methods, given))
        return wanted

    return Through(chosen, "method")


def _read(given: Any, methods: tuple[Method, ...]) -> Compression | None:
    """Return method and effort as they are given; None if that cannot be."""
    if isinstance(given, Compression):
        return given
    if not isinstance(given, str):
        effort = None if isinstance(given, bool) else _number(given)
        return None if effort is None else Compression(methods[0].name, effort)
    name, colon, text = given.strip().lower().partition(":")
    if name.isdecimal() and not colon:
        return Compression(methods[0].name, int(name))
    if colon:
        return Compression(name, int(text)) if text.isdecimal() else None
    return Compression(name, next((one.usual for one in methods if one.name == name), None))


def _number(given: Any) -> int | None:
    try:
        return operator.index(given)
    except TypeError:
        return None


def _refusal(methods: tuple[Method, ...], given: Any) -> str:
    *most, last = map(str, methods)
    known, first = f"{', '.join(most)} or {last}" if most else last, methods[0]
    alone = "" if first.usual is None else f", or {first.low}-{first.high} for {first.name}"
    return f"must be {known}{alone}, not {shown(given)}"
