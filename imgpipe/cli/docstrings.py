"""Docstrings in the style of numpydoc: description and parameters of a function."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["description", "docstring", "parameter_texts"]

_SHORT = 2  # paragraphs: the summary, and the formula
_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,} *$", re.MULTILINE)
_ENTRY = re.compile(r"^(\w[^:\n]*)(?::.*)?\n((?:[ \t]+\S.*(?:\n|\Z))+)", re.MULTILINE)


def docstring(function: Callable[..., Any]) -> str:
    """Return the docstring of `function`; of its inner function, if it is a partial."""
    from imgpipe.callables import docstring_of  # noqa: PLC0415 - takes NumPy along

    return docstring_of(function)


def description(function: Callable[..., Any], *, short: bool = False) -> str:
    """Return the description of `function`: all text before the first section.

    The `short` one is its first two paragraphs. Blocks of code keep their lines, as click does
    with a paragraph after a backspace.
    """
    text = _plain(_HEADING.split(docstring(function))[0]).strip()
    paragraphs: list[str] = []
    for part in re.split(r"\n\n+", text):
        if part.startswith(" ") and paragraphs and paragraphs[-1].endswith("::"):
            paragraphs[-1] = f"{paragraphs[-1][:-1]}\n\n\b\n{part}"
        else:
            paragraphs.append(part)
    return "\n\n".join(paragraphs[:_SHORT] if short else paragraphs)


def parameter_texts(function: Callable[..., Any]) -> dict[str, str]:
    """Return the first paragraph about each parameter that the docstring tells of."""
    _, *parts = _HEADING.split(docstring(function))
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    entries = _ENTRY.findall(sections.get("Parameters", ""))
    entries += _ENTRY.findall(sections.get("Other Parameters", ""))
    return {
        name.strip(): " ".join(_plain(text).split())
        for names, text in entries
        for name in names.split(",")
    }


def _plain(text: str) -> str:
    return text.replace("``", "")
