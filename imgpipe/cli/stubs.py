"""Stubs of the filters: their signatures, written down for editors and type checkers.

The filters are found when they are asked for, which no editor does. So their parameters are written
to ``__init__.pyi``, by ``python -m imgpipe.cli.stubs``; a test holds it against the filters.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

from imgpipe import filters
from imgpipe.chains.chain import FilterFactory
from imgpipe.registry import FILTERS

__all__ = ["PLACE", "stubs"]

PLACE = Path(filters.__file__).with_name("__init__.pyi")
"""Path of the stubs."""

_HEAD = '''"""The filters and their parameters. Written by ``python -m imgpipe.cli.stubs``."""

from typing import Any, Literal

from imgpipe.borders import Border
from imgpipe.chains.chain import Filter, FilterFactory

'''
_WIDTH = 100


def stubs() -> str:
    """Return the text of the stubs: a class for each filter, with its signature."""
    names = ["__all__ = [", *(f'    "{name}",' for name in filters.__all__), "]", ""]
    built_in = (name for name in FILTERS if FILTERS[name].module.startswith("imgpipe."))
    classes = (line for name in sorted(built_in) for line in _class(FILTERS.load(name)))
    return _HEAD + "\n".join([*names, *classes])


def _class(factory: FilterFactory) -> Iterator[str]:
    name = factory.definition.name
    kind = "_" + name.title().replace("_", "")
    yield from ("", f"class {kind}(FilterFactory):", "    def __call__(", "        self,")
    marked = False
    for entry in inspect.signature(factory).parameters.values():
        if entry.kind is entry.KEYWORD_ONLY and not marked:
            yield "        *,"
            marked = True
        text = (
            str(entry.replace(annotation=_Name("Border"))) if entry.name == "border" else str(entry)
        )
        yield f"        {text},"
    yield "    ) -> Filter:"
    yield from textwrap.indent(_docstring(factory), " " * 8).splitlines()
    yield from ("", f"{name}: {kind}", "")


def _docstring(factory: FilterFactory) -> str:
    definition = factory.definition
    parts = [f'"""{definition.summary}']
    if definition.parameters:
        parts += ["", "Parameters", "----------"]
    for parameter in definition.parameters:
        bounds = f", {parameter.bounds}" if parameter.bounds else ""
        parts.append(f"{parameter.name} : {inspect.formatannotation(parameter.type)}{bounds}")
        if parameter.text:
            text = parameter.text[:1].upper() + parameter.text[1:].rstrip(".") + "."
            parts += textwrap.wrap(
                text, _WIDTH - 12, initial_indent="    ", subsequent_indent="    "
            )
    return "\n".join([*parts, '"""']) if len(parts) > 1 else f'{parts[0]}"""'


class _Name:
    """A text that `inspect` shows as it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


if __name__ == "__main__":
    PLACE.write_text(stubs())
