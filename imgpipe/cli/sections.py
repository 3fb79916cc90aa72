"""Sections of a page of help: the same ones, in the same order, in every command."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click

from imgpipe.cli.batchoptions import MANY_IMAGES, BatchOption
from imgpipe.cli.messages import help_of
from imgpipe.cli.pages import SETTINGS, Context

__all__ = ["HELP_ALL", "Argument", "Sectioned", "all_wanted", "help_all", "write_options"]

_NAMES = {
    "Filter": {"chain", "filter", "halo", "dtype"},
    "Input": {"inputs", "image", "files", "alpha", "page", "level", "autorotate", "nodata",
              "salvage"},
    "Output": {"output", "format", "region", "strip", "background", "value_range", "save",
               "if_smaller", "seams", "json"},
}  # fmt: skip
"""Sections, and the names of the arguments and options in each; all others run the engine."""
_ENGINE, _HELP = "Engine", "Help"
_ALWAYS = frozenset({
    "chain", "halo", "dtype", "inputs", "image", "files", "output", "format", "if_smaller", "jobs",
    "max_memory", "dry_run",
})  # fmt: skip
"""Arguments and options that the short page explains; it names all others."""
_ALL = "imgpipe.cli.help_all"  # key in the `meta` of a context of click

HELP_ALL = "help_all"
"""Name of the option that explains all options."""


class Argument(click.Argument):
    """An argument that help explains.

    Attributes
    ----------
    text : str
        The explanation.
    section : str or None
        Its section, if its name does not say it.
    """

    def __init__(
        self, names: list[str], text: str, *, section: str | None = None, **settings: Any
    ) -> None:
        super().__init__(names, **settings)
        self.text, self.section = text, section

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the name, without the brackets of one that may be left out."""
        return f"'{self.human_readable_name}'"

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return the name and the explanation."""
        return self.human_readable_name, self.text


class Sectioned(click.Command):
    """A command with the options of its help in sections."""

    context_class = Context

    def __init__(self, name: str, **settings: Any) -> None:
        super().__init__(name, context_settings=SETTINGS, **settings)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in sections."""
        write_options(ctx, formatter, (), self.get_params(ctx), all_too=True)


def help_all() -> click.Option:
    """Return the option that explains all options."""
    return click.Option(
        ["--help-all"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_all,
        help="Explain all options, and those for many images.",
    )


def all_wanted(ctx: click.Context) -> bool:
    """Return whether all options are to be explained."""
    return _ALL in ctx.meta


def write_options(
    ctx: click.Context,
    formatter: click.HelpFormatter,
    own: Sequence[click.Parameter],
    others: Iterable[click.Parameter],
    of_format: tuple[str, Sequence[tuple[str, str]]] = ("", ()),
    *,
    all_too: bool,
) -> None:
    """Write the arguments and options of a command.

    Parameters
    ----------
    ctx : click.Context
        The command.
    formatter : click.HelpFormatter
        The page.
    own : sequence of click.Parameter
        Options of the filter.
    others : iterable of click.Parameter
        Arguments and options of every command.
    of_format : tuple
        A title, and the rows of the table of options of the output format.
    all_too : bool
        Whether to explain all options, not only the most common ones.
    """
    sections: dict[str, list[tuple[str, str]]] = {"Filter": _records(ctx, own)}
    order = (*_NAMES, of_format[0], _ENGINE, *MANY_IMAGES)
    sections |= {title: [] for title in order if title not in sections}
    more: dict[str, list[str]] = {}
    last: list[tuple[str, str]] = []
    for one in others:
        title = _section(one)
        if title == _HELP:
            last[:0] = _records(ctx, [one])
        elif all_too or one.name in _ALWAYS or title not in order:
            sections.setdefault(title, []).extend(_records(ctx, [one]))
        elif _records(ctx, [one]):
            more.setdefault(title, []).append(one.opts[-1])
    sections[of_format[0]] = list(of_format[1])
    for title, rows in [*sections.items(), (_HELP, last)]:
        if title == _HELP and more:
            _write_names(ctx, formatter, {name: more[name] for name in order if name in more})
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _section(one: click.Parameter) -> str:
    if isinstance(one, BatchOption | Argument) and one.section is not None:
        return one.section
    if {"--help", "--help-all"} & {*one.opts}:
        return _HELP
    return next((title for title, names in _NAMES.items() if one.name in names), _ENGINE)


def _write_names(
    ctx: click.Context, formatter: click.HelpFormatter, names: dict[str, list[str]]
) -> None:
    """Write the names of options that are not explained, a row for each section."""
    width = max(map(len, names))
    with formatter.section(f"More options ({help_of(ctx, '--help-all')} explains them)"):
        for title, options in names.items():
            left = f"{'':{formatter.current_indent}}{title:{width}}  "
            formatter.write(
                textwrap.fill(
                    ", ".join(options),
                    formatter.width,
                    initial_indent=left,
                    subsequent_indent=" " * len(left),
                    break_on_hyphens=False,
                )
                + "\n"
            )


def _records(ctx: click.Context, params: Iterable[click.Parameter]) -> list[tuple[str, str]]:
    return [record for one in params if (record := one.get_help_record(ctx)) is not None]


def _show_all(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Print the page with all options, and end."""
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()
