"""The command that lists the formats, with their contents and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from imgpipe.cli.filteroptions import option_names
from imgpipe.cli.pages import columns_of, terminal_width, write_examples
from imgpipe.cli.sections import Argument, Sectioned
from imgpipe.cli.valuetypes import MemberName
from imgpipe.errors import UsageError
from imgpipe.registry import FORMATS

if TYPE_CHECKING:
    from imgpipe.formats.declaration import Format
    from imgpipe.parameters import Parameter

__all__ = ["FormatsCommand"]

_OPTIONS = 22  # columns for the names of options; most suffixes need a line of their own


class FormatsCommand(Sectioned):
    """The command that lists all formats, or shows one."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            params=[_format()],
            short_help=summary,
            help="List the image formats, with the types of values and the channels that each "
            "holds, and its options.",
        )

    def invoke(self, ctx: click.Context) -> None:
        """Print the formats."""
        from imgpipe.formats.formatchoice import loaded  # noqa: PLC0415 - takes NumPy along

        asked = ctx.params["format"]
        rows: list[tuple[str, str]] = []
        for name in [asked] if asked else list(FORMATS):
            try:
                rows += _rows(loaded(name))
            except UsageError as error:
                if asked:
                    raise
                rows.append((FORMATS[name].name or name, f"cannot be used: {error}"))
        width = terminal_width()
        click.echo("\n".join(line for row in rows for line in columns_of(*row, width, _OPTIONS)))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(formatter, "imgpipe formats", "imgpipe formats png")


def _format() -> click.Argument:
    return Argument(
        ["format"],
        "Show only this format: a name or a suffix, such as png or tif.",
        section="Format",
        required=False,
        type=MemberName(FORMATS),
    )


def _rows(one: Format) -> Iterator[tuple[str, str]]:
    """Yield name and description of a format, and of each of its options."""
    yield f"{one.name} ({', '.join(one.suffixes)})", "; ".join(_properties(one))
    for option in one.options:
        yield f"    {option_names(option).split('/')[0]}", _explained(option)


def _properties(one: Format) -> Iterator[str]:
    if one.read is None or one.write is None:
        yield "written only" if one.read is None else "read only"
    if one.write is not None:
        yield ", ".join(one.dtypes) if one.dtypes is not None else "all types of values"
        if one.layouts is not None:
            yield ", ".join(map(str, one.layouts))
        else:
            yield "any channels" if one.says_alpha else "any channels, alpha not declared"
        usual, other = ("lossless", "lossy") if one.exact else ("lossy", "lossless")
        yield f"{usual}, or {other} with {one.unless}" if one.unless else usual
    if one.frames != 1:
        yield "any number of frames" if one.frames is None else f"up to {one.frames} frames"


def _explained(option: Parameter) -> str:
    if option.kind is bool and not option.default:
        return option.text
    words = f" (one of {', '.join(option.words)})" if option.words else ""
    bounds = f" ({option.bounds})" if option.bounds else ""
    default = "" if option.default is None else f" [default: {option.default}]"
    return f"{option.text}{words}{bounds}{default}"
