"""Examples at the end of pages of help, with a useful value for each filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING

from imgpipe.cli.filteroptions import option_words

if TYPE_CHECKING:
    from imgpipe.chains.definition import Definition
    from imgpipe.parameters import Parameter

__all__ = ["example"]


def example(command: Sequence[str], definition: Definition) -> str:
    """Return `command` with options of a filter added: the required ones, else one."""
    import shlex  # noqa: PLC0415 - only for help

    return shlex.join([*command, *_words(definition)])


def _words(definition: Definition) -> Iterator[str]:
    """Yield options: the required ones, else one that shows the effect."""
    named = [p for p in definition.parameters if p.example]
    required = [p for p in definition.parameters if p.required]
    optional = [p for p in (*named, *definition.parameters) if _value(p, definition)]
    for parameter in required or optional[:1]:
        yield from option_words(parameter, _value(parameter, definition))


def _value(parameter: Parameter, definition: Definition) -> str:
    """Return a value that is not the default; no text where none can be made up."""
    if parameter.example or parameter.name in definition.operands:
        return parameter.example or "other.png"
    if parameter.choices:
        others = [each for each in parameter.choices if each != str(parameter.default)]
        return others[-1] if others else ""
    if parameter.kind is bool:
        return "false" if parameter.default is True else "true"
    if parameter.kind in (int, float):
        return next(_numbers(parameter), "")
    return ("text" if parameter.kind is str else "1") if parameter.required else ""


def _numbers(parameter: Parameter) -> Iterator[str]:
    """Yield numbers within the bounds that are not the default."""
    low, high = (parameter.bounds.low, parameter.bounds.high) if parameter.bounds else (-inf, inf)
    if parameter.required:
        yield f"{max(low, min(100, high)):.10g}"
    default = parameter.default if isinstance(parameter.default, (int, float)) else 0
    for number in (2 * default, default / 2, 1, high / 10):
        if low < number < high and (made := parameter.kind(number)) != default:
            yield f"{made:.10g}"
