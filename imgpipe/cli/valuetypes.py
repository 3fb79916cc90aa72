"""Types of the values of options and arguments."""

from __future__ import annotations

import contextlib
import math
import re
from numbers import Real
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from imgpipe.arguments import parse_size
from imgpipe.cli.completion import unseen
from imgpipe.errors import ParameterError
from imgpipe.geometry import Box
from imgpipe.registry import FORMATS, Registry, format_name

if TYPE_CHECKING:
    from imgpipe.parameters import Parameter

__all__ = [
    "AlphaChoice",
    "ChainText",
    "MemberName",
    "Most",
    "OneOf",
    "PageChoice",
    "Pair",
    "Region",
    "Seconds",
    "Size",
    "Suffixes",
    "Value",
    "Whole",
]


class _Type(click.ParamType):  # type: ignore[type-arg] # it takes none at run time before 8.4
    name = "value"


class OneOf(click.Choice):  # type: ignore[type-arg] # it takes none at run time before 8.2
    """One of some words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"must be one of {', '.join(self.choices)}, not {value!r}", param, ctx)


class Size(_Type):
    """A whole number that may be written ``512M``, ``4G``, ``1e9`` or ``256KiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Whole(_Type):
    """A whole number, not below another one, if that is given."""

    name = "integer"

    def __init__(self, at_least: int | None = None) -> None:
        self._least = at_least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        is_whole, least = re.fullmatch(r"-?\d{1,19}", str(value)), self._least
        if not is_whole or (least is not None and int(value) < least):
            bound = "" if least is None else f", at least {least}"
            self.fail(f"must be a whole number{bound}, not {value!r}", param, ctx)
        return int(value)


class Seconds(_Type):
    """A time in seconds."""

    name = "seconds"

    def __init__(self, *, may_be_zero: bool = False) -> None:
        self._may_be_zero = may_be_zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = math.nan
        with contextlib.suppress(ValueError):
            number = float(value)
        if not (number > 0 or (number == 0 and self._may_be_zero)):
            least = "at least 0" if self._may_be_zero else "larger than 0"
            self.fail(f"must be a number of seconds, {least}, not {value!r}", param, ctx)
        return number


class Region(_Type):
    """A part of the image: ``x,y,width,height``."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Box:
        """Return the box."""
        found = re.fullmatch(r" *(\d+) *, *(\d+) *, *(\d+) *, *(\d+) *", str(value))
        x, y, width, height = map(int, found.groups()) if found else (0, 0, 0, 0)
        if not width or not height:
            self.fail(
                "must be left,top,width,height in whole pixels, such as 100,50,640,480, not "
                f"{value!r}",
                param,
                ctx,
            )
        return Box(y, x, y + height, x + width)


class AlphaChoice(_Type):
    """Choice of the alpha channel: ``last``, ``none``, or its number."""

    name = "last|none"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the word or the number of the channel, which the file may not have."""
        if value in ("last", "none"):
            return str(value)
        if not re.fullmatch(r"-?\d{1,9}", str(value)):
            self.fail(f"must be last, none, or the number of a channel, not {value!r}", param, ctx)
        return int(value)


class PageChoice(_Type):
    """The number of a frame, or ``all``."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the number, which the file may not have, or the word."""
        if value == "all":
            return "all"
        if not re.fullmatch(r"\d{1,9}", str(value)):
            self.fail(
                f"must be the number of a frame (0 or more) or all, not {value!r}", param, ctx
            )
        return int(value)


class Pair(_Type):
    """Rows and columns, or one number for both."""

    name = "rows,columns"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return rows and columns."""
        found = re.fullmatch(r"(\d+)(?:,(\d+))?", str(value))
        if not found:
            self.fail(
                f"must be one whole number of pixels, or two (rows,columns), not {value!r}",
                param,
                ctx,
            )
        return int(found[1]), int(found[2] or found[1])


class Suffixes(_Type):
    """Suffixes of files, separated by commas, with or without their dots."""

    name = "jpg,tif"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the suffixes in lower case, each with its dot."""
        words = (word.strip().lower().removeprefix(".") for word in str(value).split(","))
        found = tuple(f".{word}" for word in words if word)
        if not found:
            self.fail(f"must be suffixes such as jpg,tif, not {value!r}", param, ctx)
        return found


class Most(_Type):
    """A number, or a percentage."""

    name = "N|N%"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the number, or the percentage as text."""
        found = re.fullmatch(r" *(\d{1,9}) *(%?) *", str(value))
        if not found or not int(found[1]) or (found[2] and int(found[1]) > 100):
            self.fail(
                f"must be a number (1 or more) or a percentage (up to 100%), not {value!r}",
                param,
                ctx,
            )
        return f"{found[1]}%" if found[2] else int(found[1])


class MemberName(_Type):
    """The name of a member of an open set, such as an executor."""

    name = "name"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        name = format_name(value) if self._registry is FORMATS else str(value)
        if name not in self._registry:
            self.fail(f"must be one of {', '.join(self._registry)}, not {value!r}", param, ctx)
        return name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the name."""
        return [
            CompletionItem(name, help=member.summary)
            for name, member in self._registry.items()
            if name.startswith(incomplete)
        ]


class Value(_Type):
    """A value of a filter's parameter: checked as everywhere else, with the same words."""

    def __init__(self, parameter: Parameter, owner: str) -> None:
        self._parameter, self._owner = parameter, owner
        other = "value" if parameter.through is None else parameter.through.noun
        nouns = {int: "integer", float: "number", Real: "number", str: "text"}
        noun = nouns.get(parameter.kind, other)
        self.name = "|".join(parameter.choices) or noun + ",..." * parameter.several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; a value that is not text is a default, and needs no conversion."""
        if not isinstance(value, str):
            return value
        try:
            return self._parameter.parse(value, self._owner)
        except ParameterError as error:
            text = str(error).removeprefix(f"{self._owner}: ")  # click names the option
            self.fail(re.sub(rf"^{re.escape(self._parameter.name)}:? ", "", text), param, ctx)


class ChainText(_Type):
    """The text of a chain. It is parsed later, so that an error points at the character."""

    name = "chain"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the last word: a filter, a function in a file or module, a parameter, a file."""
        found: list[CompletionItem] = []
        with unseen(ctx):
            from imgpipe.cli.chaintext import completions  # noqa: PLC0415 - takes NumPy along

            found = [CompletionItem(text, help=help_) for text, help_ in completions(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]
