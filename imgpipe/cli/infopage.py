"""The command that describes image files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from imgpipe.cli.messages import explain, printable
from imgpipe.cli.pages import write_examples
from imgpipe.cli.saving import standard_input
from imgpipe.cli.sections import Argument, Sectioned
from imgpipe.errors import ImgpipeError, InputError

if TYPE_CHECKING:
    from imgpipe.describing import Description

__all__ = ["InfoCommand"]


class InfoCommand(Sectioned):
    """The command that describes image files."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            params=[
                Argument(
                    ["files"],
                    "Image files, or - for standard input.",
                    metavar="FILES...",
                    nargs=-1,
                    required=True,
                    type=click.Path(readable=False),
                ),
                click.Option(
                    ["--salvage"],
                    is_flag=True,
                    help="Describe damaged files too, if their header can be read.",
                ),
                click.Option(["--json"], is_flag=True, help="Print a list of JSON objects."),
            ],
            short_help=summary,
            help="Describe image files: size, type of values, colours, tiles, compression, frames, "
            "levels, metadata, and how imgpipe reads them. No pixel is decoded.\n\n"
            "If a file cannot be described, the others still are, and the exit code is 1.",
        )

    def invoke(self, ctx: click.Context) -> None:
        """Describe each file."""
        from imgpipe.describing import describe  # noqa: PLC0415 - takes NumPy along

        found: list[Description] = []
        code = 0
        for path in ctx.params["files"]:
            try:
                _must_be_no_pattern(path)
                found.append(describe(standard_input(path), salvage=ctx.params["salvage"]))
            except ImgpipeError as error:
                code = explain(error)
                continue
            if not ctx.params["json"]:
                click.echo(printable(str(found[-1])))
        if ctx.params["json"]:
            click.echo(json.dumps([each.as_dict() for each in found], indent=2))
        ctx.exit(code)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(formatter, "imgpipe info scan.tif", "imgpipe info --json *.png")


def _must_be_no_pattern(path: str) -> None:
    from imgpipe.batches.inputs.patterns import has_wildcards  # noqa: PLC0415 - only for this

    if has_wildcards(path) and not os.path.lexists(path):
        raise InputError(
            f"{path}: there is no such file; if it is a pattern, leave out the quotes, so that the "
            "shell expands it"
        )
