"""Examples that pages of help end with: words that give a filter a value worth giving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imgpipe.cli.options import option_words

if TYPE_CHECKING:
    from imgpipe.filters.base import Definition
    from imgpipe.filters.parameters import Parameter

__all__ = ["example"]


def example(command: Sequence[str], definition: Definition) -> str:
    """Return `command` with options of a filter added: those that must be given, else one."""
    import shlex  # noqa: PLC0415 - only for help

    return shlex.join([*command, *_words(definition)])


def _words(definition: Definition) -> Iterator[str]:
    """Yield the words of an example: for what must be given, else for the first parameter."""
    required = [p for p in definition.parameters if p.required]
    for parameter in required or definition.parameters[:1]:
        is_file = parameter.name in definition.operands
        yield from option_words(parameter, "other.png" if is_file else _value(parameter))


def _value(parameter: Parameter) -> str:
    if parameter.example or parameter.choices:
        return parameter.example or parameter.choices[-1]
    if parameter.kind is bool:
        return "false" if parameter.default is True else "true"
    if not parameter.required and parameter.default is not None:
        return str(parameter.default)
    if parameter.kind not in (int, float):
        return "text"
    low, high = (parameter.bounds.low, parameter.bounds.high) if parameter.bounds else (0, 100)
    return f"{max(low, min(100, high)):g}"
