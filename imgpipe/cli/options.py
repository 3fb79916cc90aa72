"""Options: those of every command, and those made from parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from imgpipe.arguments import parse_size
from imgpipe.cli.completion import unseen
from imgpipe.cli.docstrings import parameter_texts
from imgpipe.errors import ParameterError
from imgpipe.geometry import Box
from imgpipe.registry import EXECUTORS, FORMATS, Registry, format_name

if TYPE_CHECKING:
    from imgpipe.chains.definition import Definition
    from imgpipe.parameters import Parameter

__all__ = [
    "ChainText",
    "FilterOption",
    "MemberName",
    "Value",
    "alpha_option",
    "chain_options",
    "common_options",
    "filter_options",
    "names_of",
    "option_names",
    "option_words",
    "sees_border",
]


class _Type(click.ParamType):  # type: ignore[type-arg] # it takes none at run time before 8.4
    name = "value"


class Size(_Type):
    """A whole number that may be written ``512M``, ``4G``, ``1e9`` or ``256KiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Region(_Type):
    """A part of the image: ``x,y,width,height``."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Box:
        """Return the box."""
        found = re.fullmatch(r" *(\d+) *, *(\d+) *, *(\d+) *, *(\d+) *", str(value))
        x, y, width, height = map(int, found.groups()) if found else (0, 0, 0, 0)
        if not width or not height:
            self.fail(
                f"{value!r} is not x,y,width,height in whole pixels, such as 100,50,640,480",
                param,
                ctx,
            )
        return Box(y, x, y + height, x + width)


class WhichAlpha(_Type):
    """Which channel is alpha: ``last``, ``none``, or its number."""

    name = "last|none"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the word or the number of the channel, which the file may not have."""
        if value in ("last", "none"):
            return str(value)
        if not re.fullmatch(r"-?\d{1,9}", str(value)):
            self.fail(
                f"{value!r} is neither last nor none, nor the number of a channel", param, ctx
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
                f"{value!r} is not one whole number of pixels or two (rows,columns)", param, ctx
            )
        return int(found[1]), int(found[2] or found[1])


class MemberName(_Type):
    """The name of a member of an open set, such as an executor."""

    name = "name"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        name = format_name(value) if self._registry is FORMATS else str(value)
        if name not in self._registry:
            self.fail(f"{value!r} is none of {', '.join(self._registry)}", param, ctx)
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
        text = "text" if parameter.through is None else parameter.through.noun
        noun = {int: "integer", float: "number"}.get(parameter.kind, text)
        self.name = "|".join(parameter.choices) or noun

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; one that is not text is a default, and right as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._parameter.parse(value, self._owner)
        except ParameterError as error:
            self.fail(str(error).removeprefix(f"{self._owner}: "), param, ctx)


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


def common_options() -> list[click.Parameter]:
    """Return the options of every command that makes an image."""
    return [
        click.Argument(["input_"], metavar="INPUT", type=click.Path(readable=False)),
        _option(
            "-o",
            "--output",
            type=click.Path(readable=False),
            required=True,
            help="Output file; its suffix selects the format. It may be the input. - is standard "
            "output, which gets a PNG.",
        ),
        _option(
            "--format",
            type=MemberName(FORMATS),
            help="Format of the output, such as png. [default: that of the suffix]",
        ),
        _option(
            "-j",
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Worker processes. [default: one for each usable processor]",
        ),
        _option(
            "--executor",
            type=MemberName(EXECUTORS),
            help=f"Executor of the tasks: {', '.join(EXECUTORS.built_in)}, or the name of one that "
            "a package adds. [default: chosen for the image and the filters]",
        ),
        alpha_option(),
        _option(
            "--page",
            type=click.IntRange(min=0),
            metavar="N",
            help="Process frame N only: a page of a TIFF file, or a frame of an animation. The "
            "first is 0. [default: all frames, or frame 0 if the output holds one]",
        ),
        _option(
            "--level",
            type=click.IntRange(min=0),
            metavar="N",
            default=0,
            help="Level of the pyramid to read; 0 is the full resolution.",
        ),
        _option("--region", type=Region(), help="Make only this part of the output, in pixels."),
        click.Option(
            ["--no-autorotate", "autorotate"],
            is_flag=True,
            flag_value=False,
            default=True,
            show_default=False,
            help="Leave the pixels as the file stores them, and keep the orientation. "
            "[default: turn it upright first]",
        ),
        _option(
            "--strip",
            is_flag=True,
            help="Leave out metadata, except the ICC profile and others of colour.",
        ),
        _option(
            "--nodata",
            metavar="VALUE|none",
            help="Value of pixels without data. They keep this value and do not mix into their "
            "neighbours. none: all pixels have data. [default: that of the file, and NaN]",
        ),
        _option(
            "--salvage",
            is_flag=True,
            help="Read the undamaged part of a damaged file; the rest is black, or transparent. "
            "A warning says how much is missing. The exit code is 0.",
        ),
        _option(
            "--background",
            metavar="COLOUR",
            help="Colour behind transparent pixels if the output has no alpha: a name, #rrggbb, "
            "128 (gray) or 255,128,0. [default: white]",
        ),
        _option(
            "--value-range",
            metavar="LOW..HIGH",
            help="Values that become black and white if the output cannot hold floats or signed "
            "integers: two numbers, measured or full.",
        ),
        _option(
            "--max-memory",
            type=Size(),
            help="Limit on the memory of all processes together, for example 512M. It includes the "
            "libraries of your functions. [default: half of the available memory, at most 2G]",
        ),
        _option("--max-pixels", type=Size(), help="Larger images are errors. [default: 4G pixels]"),
        _option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Fail if a chunk takes longer. [default: no limit]",
        ),
        _option(
            "--scratch",
            type=click.Path(readable=False),
            metavar="DIR",
            help="Folder of scratch files, which some chains and formats need. [default: that of "
            "the output]",
        ),
        _option("--chunk", type=Pair(), hidden=True, help="Rows and columns of a chunk."),
        _option(
            "--timeline",
            type=click.Path(readable=False),
            metavar="FILE",
            help="Write a timeline of the run, which shows the work of every worker and names the "
            "bottleneck: a .html page, or a .json trace for ui.perfetto.dev.",
        ),
        _option("--dry-run", is_flag=True, help="Print the plan only; read and write no pixels."),
        _option(
            "-q", "--quiet", is_flag=True, help="Print errors only: no progress bar, no report."
        ),
        _option(
            "-v", "--verbose", is_flag=True, help="Print the plan and the progress of the run."
        ),
    ]


def alpha_option() -> click.Option:
    """Return the option for the alpha channel of the input."""
    return _option(
        "--alpha",
        type=WhichAlpha(),
        help="Alpha channel of a file that does not declare alpha itself, such as .npy. "
        "[default: none]",
    )


def chain_options(metavar: str = "CHAIN") -> list[click.Parameter]:
    """Return the argument for the chain, and the options of bare functions."""
    return [
        click.Argument(["chain"], metavar=metavar, type=ChainText()),
        _option(
            "--halo",
            type=Pair(),
            metavar="N",
            help="Halo of a bare function: the pixels that it needs on each side of a pixel. One "
            "number, or rows,columns.",
        ),
        _option(
            "--dtype",
            type=click.Choice(["keep", "float32"]),
            help="Type that a bare function gets: that of the image (keep), or floats from 0 to 1 "
            "(float32). [default: keep]",
        ),
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
        type=click.Choice(BORDERS),
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
    """Whether pixels beyond the image may matter; where not, a border is still taken."""
    own_region = definition.region is not None and not definition.ours  # may reach beyond it
    return definition.halo not in (0, (0, 0)) or own_region


def option_words(parameter: Parameter, value: str) -> list[str]:
    """Return the words of a command that give `parameter` a value."""
    name = _dashed(parameter)
    if parameter.kind is bool:
        return [f"--{name}" if value.lower() == "true" else f"--no-{name}"]
    return [f"--{name}", value]


def option_names(parameter: Parameter, prefix: str = "") -> str:
    """Return how the option for `parameter` is declared."""
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
        kind = click.Choice(parameter.choices)
    elif parameter.name in definition.operands:
        kind = click.Path(readable=False)
    words = f"{text}{bounds}".strip()
    return _named(FilterOption(names, type=kind, help=words, **settings), parameter)


def _named(option: FilterOption, parameter: Parameter) -> FilterOption:
    option.parameter = parameter.name
    return option


def _dashed(parameter: Parameter) -> str:
    return parameter.name.strip("_").replace("_", "-")


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, show_default="default" in settings, **settings)
