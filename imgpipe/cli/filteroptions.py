"""Options of filters, made from their parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from imgpipe.cli.docstrings import parameter_texts
from imgpipe.cli.valuetypes import OneOf, Value

if TYPE_CHECKING:
    from imgpipe.chains.definition import Definition
    from imgpipe.parameters import Parameter

__all__ = [
    "FilterOption",
    "filter_options",
    "names_of",
    "option_names",
    "option_words",
    "sees_border",
]


class FilterOption(click.Option):
    """An option that gives a parameter of a filter."""

    parameter = ""


def filter_options(definition: Definition, taken: Sequence[click.Parameter]) -> list[FilterOption]:
    """Return the options that the parameters of a filter make.

    A parameter that is called like an option of the command, one of those in `taken`, gets an
    option with the name of the filter before its own: ``--fade-jobs``.
    """
    from imgpipe.borders import BORDERS  # noqa: PLC0415 - needs NumPy

    border = FilterOption(
        ["--border"],
        type=OneOf(BORDERS),
        default=definition.border,
        show_default=True,
        hidden=not sees_border(definition),
        help="Values of pixels beyond the image, as in numpy.pad.",
    )
    border.parameter = "border"
    options: list[FilterOption] = []
    used = {name for other in (*taken, border) for name in names_of(other)} | {"--help", "-h"}
    texts = parameter_texts(definition.kernel)
    for parameter in definition.parameters:
        text = parameter.text or texts.get(parameter.name, "")
        option = _filter_option(parameter, definition, text)
        if used & names_of(option):
            prefix = re.sub(r"\W", "-", definition.name)
            option = _filter_option(parameter, definition, text, f"{prefix}-")
            option.name = f"{definition.name}.{parameter.name}"
        if not used & names_of(option):  # else a chain can still give it
            options.append(option)
            used |= names_of(option)
    return [*options, border]


def sees_border(definition: Definition) -> bool:
    """Return whether pixels beyond the image may matter; where not, a border is still taken."""
    own_region = definition.region is not None and not definition.ours  # may reach beyond it
    return definition.halo not in (0, (0, 0)) or own_region


def option_words(parameter: Parameter, value: str) -> list[str]:
    """Return the words of a command that give `parameter` a value."""
    name = _dashed(parameter)
    if parameter.kind is bool:
        return [f"--{name}" if value.lower() == "true" else f"--no-{name}"]
    return [f"--{name}", value]


def option_names(parameter: Parameter, prefix: str = "") -> str:
    """Return the declarations of the option for `parameter`."""
    name = prefix + _dashed(parameter)
    return f"--{name}/--no-{name}" if parameter.kind is bool else f"--{name}"


def names_of(option: click.Parameter) -> set[str]:
    """Return all names of `option`, that of its value among them."""
    return {*option.opts, *option.secondary_opts, f"--{option.name}"}


def _filter_option(
    parameter: Parameter, definition: Definition, text: str, prefix: str = ""
) -> FilterOption:
    bounds = f" ({parameter.bounds})" if parameter.bounds else ""
    text = text[:1].upper() + text[1:]
    settings: dict[str, Any] = {"required": parameter.required, "show_default": True}
    if not parameter.required:
        default = parameter.default  # click would call a function to have one
        settings["default"] = (lambda: default) if callable(default) else default
        settings["show_default"] = not parameter.left_out(default)
    names = [option_names(parameter, prefix), parameter.name]
    if parameter.kind is bool:
        return _named(FilterOption(names, help=text, **settings), parameter)
    kind: click.ParamType[Any] = Value(parameter, definition.name)
    if parameter.choices and parameter.kind is str:
        kind = OneOf(parameter.choices)
    elif parameter.name in definition.operands:
        kind = click.Path(readable=False)
    words = f"{text}{bounds}".strip()
    return _named(FilterOption(names, type=kind, help=words, **settings), parameter)


def _named(option: FilterOption, parameter: Parameter) -> FilterOption:
    option.parameter = parameter.name
    return option


def _dashed(parameter: Parameter) -> str:
    return parameter.name.strip("_").replace("_", "-")
