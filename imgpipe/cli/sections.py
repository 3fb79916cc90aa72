"""Sections of a page of help: options of the filter, both ends, the format, the run, a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from imgpipe.cli.batchoptions import BatchOption

__all__ = ["write_options"]

_SECTIONS = {
    "Input": {"alpha", "page", "level", "autorotate", "nodata", "salvage"},
    "Output": {"output", "format", "region", "strip", "background", "value_range", "save"},
}
_REST = "Run"


def write_options(
    ctx: click.Context,
    formatter: click.HelpFormatter,
    own: Sequence[click.Parameter],
    others: Iterable[click.Parameter],
    of_format: tuple[str, Sequence[tuple[str, str]]],
) -> None:
    """Write the options of a command.

    Parameters
    ----------
    ctx : click.Context
        The command.
    formatter : click.HelpFormatter
        The page.
    own : sequence of click.Parameter
        Options of the filter.
    others : iterable of click.Parameter
        Options of every command.
    of_format : tuple
        A title, and the rows of the table of options of the output format.
    """
    found: dict[str, list[tuple[str, str]]] = {"Filter": _records(ctx, own)}
    found |= {title: [] for title in (*_SECTIONS, of_format[0], _REST)}
    for one in (each for each in others if isinstance(each, click.Option)):
        place = next((title for title, names in _SECTIONS.items() if one.name in names), _REST)
        if isinstance(one, BatchOption):
            place = one.section
        found.setdefault(place, []).extend(_records(ctx, [one]))
    found[of_format[0]] = list(of_format[1])
    for title, rows in found.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _records(ctx: click.Context, options: Iterable[click.Parameter]) -> list[tuple[str, str]]:
    return [record for one in options if (record := one.get_help_record(ctx)) is not None]
