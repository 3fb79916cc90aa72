"""Words for the properties of a filter: what its declarations and its docstring say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from numpydoc.docscrape import NumpyDocString

from imgpipe.acceleratortable import ACCELERATED
from imgpipe.chains.chain import Filter
from imgpipe.chains.definition import Definition
from imgpipe.cli.filteroptions import option_words, sees_border
from imgpipe.parameters import Parameter
from imgpipe.registry import ACCELERATORS, FILTERS
from imgpipe.signatures import keywords_of

__all__ = ["as_markdown", "cell", "docstring_of", "parameter_rows", "properties", "signature"]

_ALPHA = {
    "keep": "Alpha does not change.",
    "premultiply": "Colours are weighted by alpha, and alpha is filtered too, so transparent "
    "pixels leave no dark fringes.",
    "filter": "Alpha moves with the colours.",
}


_ANY = 1e6  # a bound that no one meets

_BORDERS = (
    "`--border` chooses `symmetric`, `reflect`, `wrap` or `constant`, in Python `border=`. "
    "[Borders](index.md#borders) shows their values and their names in other libraries."
)


def docstring_of(definition: Definition) -> NumpyDocString:
    """Return the sections of the docstring of a filter."""
    return NumpyDocString(definition.kernel.__doc__ or "")


def properties(definition: Definition, example: Filter) -> Iterator[tuple[str, str]]:
    """Yield the properties of a filter: names, and words about them.

    Parameters
    ----------
    definition : Definition
        The filter.
    example : Filter
        The filter with the parameters of its example.
    """
    yield "Alpha", _alpha(definition)
    yield "Halo", _halo(definition, example)
    if sees_border(definition):
        yield "Border", f"`{definition.border}` by default. {_BORDERS}"
    else:
        yield "Border", "`border=` has no effect: pixels beyond the image are not needed."
    yield "Reading", _reading(definition)
    if definition.operands:
        yield "Further images", ", ".join(f"`{name}`" for name in definition.operands)
    yield "Accelerator", _accelerated(definition)


def _alpha(definition: Definition) -> str:
    if definition.layout is not None and definition.alpha == "filter":
        return "Alpha is used up: the result has none."
    if definition.output_dtype is not None:
        return "Alpha is converted too, always over its full range."
    words = _ALPHA[definition.alpha]
    if definition.alpha == "keep" and sees_border(definition):
        words += " Neighbours with alpha 0 get the colour of a visible pixel near by."
    return words


def _halo(definition: Definition, example: Filter) -> str:
    if definition.region is not None:
        if definition.alpha == "filter":
            return "None: pixels move, and keep their values."
        return "As many pixels around each position as the interpolation needs."
    if not sees_border(definition):
        return "None: every pixel is computed by itself."
    rows, columns = example.halo
    size = f"{rows} pixels" if rows == columns else f"{rows} rows and {columns} columns"
    size = re.sub(r"^1 pixels", "1 pixel", size)
    if not callable(definition.halo):
        return f"{size} on each side."
    names = _listed([f"`{name}`" for name in keywords_of(definition.halo)])
    return f"It depends on {names}: {size} on each side in the example above."


def _reading(definition: Definition) -> str:
    if definition.measure is not None:
        only = " if `range` is `measured`" if definition.measure_if is not None else ""
        return f"The image is read twice{only}: once to measure all of it, once for the result."
    if definition.region is None or definition.in_order is True:
        return "Once, row by row."
    when = "Once. If the direction is `vertical`," if callable(definition.in_order) else "Once, but"
    return (
        f"{when} not row by row: a file that can only be read from top to bottom is decoded first, "
        "into memory if it fits, otherwise into a scratch file."
    )


def _accelerated(definition: Definition) -> str:
    found = [
        f"[{ACCELERATORS[name].name}](../accelerators.md), for {_listed(table[definition.name])}; "
        "the result has the same bits."
        for name, table in ACCELERATED.items()
        if definition.name in table
    ]
    return " ".join(found) or "None: NumPy computes it."


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


# ---------------------------------------------------------------------------------- parameters


def signature(definition: Definition) -> str:
    """Return how a filter is called, with its defaults."""
    taken = list[str]()
    optional = False
    for each in definition.parameters:
        if each.required and optional and "*" not in taken:
            taken.append("*")  # none of those that follow is taken by position
        optional |= not each.required
        taken.append(each.name if each.required else f"{each.name}={_value(each.default)}")
    taken += [] if "*" in taken else ["*"]
    border = f'border="{definition.border}"'
    return f"imgpipe.filters.{definition.name}({', '.join([*taken, border])})"


def _value(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def parameter_rows(definition: Definition) -> list[tuple[str, str, str, str]]:
    """Return name, option, default and meaning of every parameter."""
    texts = {
        name.strip(): " ".join(entry.desc)
        for entry in docstring_of(definition)["Parameters"]
        for name in entry.name.split(",")
    }
    return [
        (
            f"`{each.name}`",
            _option(each),
            "must be given" if each.required else f"`{_value(each.default)}`",
            as_markdown(texts[each.name], definition) + _values(each, texts[each.name]),
        )
        for each in definition.parameters
    ]


def _option(parameter: Parameter) -> str:
    return f"`{option_words(parameter, 'false' if parameter.default is True else 'true')[0]}`"


def _values(parameter: Parameter, text: str) -> str:
    """Return a sentence about the values of a parameter, if the text does not give them."""
    if parameter.choices:
        missing = any(not _names(text, choice) for choice in parameter.choices)
        return f" One of {', '.join(f'`{each}`' for each in parameter.choices)}." if missing else ""
    bounds = parameter.bounds
    if bounds is None or bounds.high >= _ANY or re.search(r"\d(\.\d+)? to \d", text):
        return ""
    return f" It is {bounds}."


def _names(text: str, choice: object) -> bool:
    """Tell whether a text has a value as a word of its own, unlike the x of ``dx``."""
    return re.search(rf"\b{choice}\b", text) is not None


# ------------------------------------------------------------------------------------ Markdown


def as_markdown(text: str, definition: Definition) -> str:
    """Return text of the docstring of a filter in Markdown, with links to other filters."""
    own = {definition.name, *(each.name for each in definition.parameters)}
    text = re.sub(r"``(.+?)``", _code, text, flags=re.DOTALL)
    text = re.sub(r"`([\w.]+)`", lambda found: _linked(found[1], own), text)
    text = text.replace("docs/thumbnails.md", "[thumbnails](../thumbnails.md)")
    text = re.sub(r"::\n\n((?:    .*\n?)+)", _fenced, text)
    return text.replace("\0", "`")


def _code(found: re.Match[str]) -> str:
    return f"\0{' '.join(found[1].split())}\0"


def _linked(name: str, own: set[str]) -> str:
    return f"[{name}]({name}.md)" if name in FILTERS and name not in own else f"`{name}`"


def _fenced(found: re.Match[str]) -> str:
    lines = found[1].rstrip().replace("\n    ", "\n").removeprefix("    ")
    return f":\n\n```text\n{lines}\n```\n"


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
