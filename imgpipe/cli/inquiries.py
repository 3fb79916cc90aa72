"""Inquiries: the commands ``check`` and ``filters``, which make no image."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from imgpipe.acceleratortable import ACCELERATED, SINCE
from imgpipe.cli.chaincommands import ChainCommand, all_declared
from imgpipe.cli.docstrings import docstring
from imgpipe.cli.early import collect_garbage
from imgpipe.cli.examples import example
from imgpipe.cli.filteroptions import sees_border
from imgpipe.cli.messages import printable, say
from imgpipe.cli.options import alpha_option, chain_options
from imgpipe.cli.pages import columns_of, terminal_width, write_examples
from imgpipe.cli.sections import Argument, Sectioned
from imgpipe.cli.valuetypes import ChainText, Seconds
from imgpipe.errors import ParameterError, UsageError
from imgpipe.plurals import listed
from imgpipe.registry import ACCELERATORS, filters_by_family

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain
    from imgpipe.chains.definition import Definition
    from imgpipe.parameters import Parameter

__all__ = ["CheckCommand", "FiltersCommand"]

_OF_FILTER = "Filter to check, such as my_filter.py:relief."
_INCOMPLETE = 3  # exit code of a check that found no difference, but could not try all pictures


class CheckCommand(ChainCommand):
    """The command that compares the results of a filter for whole pictures and for chunks."""

    bare_halo = (0, 0)

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            params=[
                *chain_options(_OF_FILTER, "FILTER"),
                Argument(
                    ["image"],
                    "One more picture to try.",
                    type=click.Path(readable=False),
                    required=False,
                ),
                click.Option(
                    ["--seams"],
                    type=click.Path(readable=False),
                    metavar="FILE",
                    help="Write an image that is white where the results differ.",
                ),
                alpha_option(),
                click.Option(
                    ["--timeout"],
                    type=Seconds(),
                    metavar="SECONDS",
                    help="Fail if the check takes longer. [default: no limit]",
                ),
            ],
            short_help=summary,
            help="Check that a filter gives the same result for chunks as for whole pictures.\n\n"
            "If the results differ, print the place of the largest difference, and the smallest "
            "halo with which they are the same. The exit code is 0 if they are the same, and 1 if "
            "they differ. It is 3 if they are the same, but the function failed on other pictures, "
            "such as all gray ones: these could not be tried. The function need not be "
            "decorated with @imgpipe.filter.\n\n"
            "A note is printed if channels of the result depend on other channels. It does not "
            "change the exit code.",
        )

    def invoke(self, ctx: click.Context) -> None:
        """Check, tell, and exit with 1 if something is wrong."""
        image, seams = ctx.params.pop("image"), ctx.params.pop("seams")
        timeout, alpha = ctx.params.pop("timeout"), ctx.params.pop("alpha")
        from imgpipe.chains.chain import Filter  # noqa: PLC0415
        from imgpipe.checking.isolated import check_apart  # noqa: PLC0415 - takes NumPy along
        from imgpipe.inmemory import write  # noqa: PLC0415
        from imgpipe.progress import Bar  # noqa: PLC0415

        collect_garbage()
        known = ctx.params.get("halo") is not None or all_declared(ctx.params["chain"])
        chain = self.chain(ctx)
        if seams is not None:
            self._must_be_writable(seams, image)
        if not isinstance(chain, Filter):
            raise UsageError("check the filters of a chain one at a time")
        with Bar() as bar:
            found = check_apart(chain, image, timeout, alpha=alpha, known=known, on_event=bar)
        click.echo("\n".join(_wrapped(printable(str(found)).splitlines())))
        if seams is not None and found.seams is not None:
            write(found.seams.astype("uint8") * 255, seams)
            say(f"{seams}: white where it differs")
        elif seams is not None:
            say(f"{seams}: not written, as there is no difference to show")
        if found.failing or not found.ok:
            ctx.exit(1 if not found.ok else _INCOMPLETE)

    def chain(self, ctx: click.Context) -> Chain:
        """Return the chain; the further images of its filter need not be given."""
        from imgpipe.chains.grammar import definitions_in  # noqa: PLC0415 - takes NumPy along

        definition = definitions_in(ctx.params["chain"], ctx.params.get("halo") or self.bare_halo)[
            0
        ]
        for option in self._own:
            if option.parameter in definition.operands:
                ctx.params[str(option.name)] = None
                ctx.set_parameter_source(str(option.name), ParameterSource.COMMANDLINE)
        return super().chain(ctx)

    def _look_ahead(self, ctx: click.Context, args: list[str]) -> None:
        """Look ahead; no option for a further image is required."""
        super()._look_ahead(ctx, args)
        for option in self._own:
            option.required &= self.one is None or option.parameter not in self.one.operands

    @staticmethod
    def _must_be_writable(path: str, image: str | None) -> None:
        """Refuse, before any work, a file that cannot be written or must not be."""
        import numpy as np  # noqa: PLC0415 - not for help

        from imgpipe.admission import admitted  # noqa: PLC0415
        from imgpipe.formats.opening import open_sink  # noqa: PLC0415

        if image is not None and os.path.realpath(path) == os.path.realpath(image):
            raise UsageError(f"{path}: is the image that is checked; name another file for --seams")
        open_sink(path, admitted(np.zeros((1, 1), np.uint8)).info).abort()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        if self.one is not None:
            words = ["imgpipe", "check", self.text, "photo.png", "--seams", "seams.png"]
            write_examples(formatter, example(words, self.one))
            return
        write_examples(
            formatter,
            "imgpipe check my_filter.py:relief",
            "imgpipe check my_filter.py:relief photo.png --strength 2 --seams seams.png",
        )


class FiltersCommand(Sectioned):
    """The command that lists all filters, or explains one."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            params=[
                Argument(
                    ["filter"],
                    "Explain this filter: a name, or your own function.",
                    required=False,
                    type=ChainText(),
                )
            ],
            short_help=summary,
            help="List the filters by family, each with its parameters and halo.",
        )

    def invoke(self, ctx: click.Context) -> None:
        """Print the list, or the page of one filter."""
        name = ctx.params["filter"]
        if name is not None:
            from imgpipe.chains.grammar import definitions_in  # noqa: PLC0415

            click.echo("\n\n".join(map(_explained, definitions_in(name, halo=0))))
            return
        width, lines = terminal_width(), list[str]()
        for family, names in filters_by_family().items():
            lines += ["", f"{family}:"]
            for each in names:
                lines += (f"  {line}" for line in columns_of(*_row(each), width - 2))
        click.echo("\n".join(lines[1:]))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            "imgpipe filters",
            "imgpipe filters blur",
            "imgpipe filters my_filter.py:relief",
        )


def _wrapped(lines: Sequence[str]) -> list[str]:
    """Return the lines of a report, those that are too wide for the terminal in several."""
    width = terminal_width()
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        or [""]
    ]


def _row(name: str) -> tuple[str, str]:
    """Return the signature of a filter, and its summary."""
    from imgpipe.chains.loading import load_registered  # noqa: PLC0415 - takes NumPy along

    try:
        definition = load_registered(name).definition
    except UsageError as error:
        return name, f"cannot be used: {error}"
    return _signature(definition), f"{definition.summary} (halo {_halo(definition)})"


def _folded(text: str, width: int) -> str:
    """Return `text` with its paragraphs that are too wide filled anew, indented as they were."""
    made = list[str]()
    for (indent, blank), group in groupby(text.splitlines(), _shape):
        lines = list(group)
        is_heading = any(line.lstrip().startswith("---") for line in lines)
        if not blank and not is_heading and max(map(len, lines)) > width:
            lines = [" " * indent + " ".join(map(str.strip, lines))]
        gap = " " * indent
        made += [
            each
            for line in lines
            for each in textwrap.wrap(line, width, subsequent_indent=gap) or [""]
        ]
    return "\n".join(made)


def _shape(line: str) -> tuple[int, bool]:
    """Return the common properties of the lines of a paragraph: indent, and whether blank."""
    return len(line) - len(line.lstrip()), not line.strip()


def _explained(definition: Definition) -> str:
    border = f"border: {definition.border}; " if sees_border(definition) else ""
    declared = f"halo: {_halo(definition)}; {border}alpha: {definition.alpha}"
    if definition.bare:
        declared = "a bare function: nothing is declared, its halo must be given"
    lines = _signature(definition), declared, *_accelerated(definition), ""
    text = "\n".join((*lines, docstring(definition.kernel)))
    return _folded(text, terminal_width())


def _accelerated(definition: Definition) -> list[str]:
    """Return a paragraph for each accelerator of a filter, with the types that it computes."""
    return [
        f"\nAccelerated by {_library(name, definition)} for {listed(table[definition.name])}; the "
        "result is the same."
        for name, table in ACCELERATED.items()
        if definition.ours and definition.name in table
    ]


def _library(name: str, definition: Definition) -> str:
    since = SINCE.get(name, {}).get(definition.name)
    return f"{ACCELERATORS[name].name} {since} or newer" if since else ACCELERATORS[name].name


def _signature(definition: Definition) -> str:
    return f"{definition.name}({', '.join(map(_shown, definition.parameters))})"


def _shown(parameter: Parameter) -> str:
    if parameter.required:
        return parameter.name
    default = "..." if parameter.left_out(parameter.default) else repr(parameter.default)
    return f"{parameter.name}={default}"


def _halo(definition: Definition) -> str:
    """Return the halo that a filter has with its defaults."""
    from imgpipe.chains.chain import FilterFactory  # noqa: PLC0415 - takes NumPy along

    try:
        rows, columns = FilterFactory(definition)().halo
    except ParameterError:  # a parameter has no default
        return "depends on its parameters" if callable(definition.halo) else str(definition.halo)
    size = str(rows) if rows == columns else f"{rows} x {columns}"
    return f"{size} by default" if callable(definition.halo) else size
