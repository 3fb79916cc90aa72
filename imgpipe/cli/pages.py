"""Pages of help and lists: their settings, columns, and the examples at their end."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

import click

__all__ = ["SETTINGS", "Context", "columns_of", "terminal_width", "write_examples"]

SETTINGS = {"help_option_names": ["-h", "--help"]}
_USUAL_WIDTH, _LEFT_COLUMN = 100, 48


class Page(click.HelpFormatter):
    """A page of help that breaks no name of an option at its hyphens."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write terms, and their explanations beside them."""
        import textwrap  # noqa: PLC0415 - only for help

        rows, indent = list(rows), " " * self.current_indent
        column = min(max((len(term) for term, _ in rows), default=0), col_max) + col_spacing
        gap = f"{indent}{'':{column}}"
        for term, text in rows:
            lines = textwrap.wrap(text, max(10, self.width - len(gap)), break_on_hyphens=False)
            beside = len(term) <= column - col_spacing and lines
            first = f"{indent}{term:{column}}{lines.pop(0)}" if beside else f"{indent}{term}"
            self.write("".join(f"{line}\n" for line in [first, *(gap + line for line in lines)]))


class Context(click.Context):
    """A command with such pages of help."""

    formatter_class = Page


def write_examples(formatter: click.HelpFormatter, *examples: str) -> None:
    """Write `examples` as the last section of a page of help."""
    with formatter.section("Example" if len(examples) == 1 else "Examples"):
        formatter.write_text("\b\n" + "\n".join(examples))


def terminal_width() -> int:
    """Return the columns of the terminal; a common number where there is none."""
    import shutil  # noqa: PLC0415 - only for lists

    return max(40, shutil.get_terminal_size((_USUAL_WIDTH, 24)).columns)


def columns_of(left: str, right: str, width: int, widest: int = _LEFT_COLUMN) -> list[str]:
    """Return lines that say `left`, and beside it, or below where it is narrow, `right`.

    `widest` is the width of the left column where there is room.
    """
    import textwrap  # noqa: PLC0415 - only for lists

    column = widest if width > 2 * widest else width // 2 if width >= 80 else 4
    said = textwrap.wrap(right, width - column, break_long_words=False)
    if len(left) > column - 2:
        above = textwrap.wrap(left, width, subsequent_indent="    ", break_on_hyphens=False)
        return [*above, *(f"{'':{column}}{line}" for line in said)]
    return [f"{name:{column}}{line}" for name, line in zip_longest([left], said, fillvalue="")]
