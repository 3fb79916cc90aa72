"""Pages of help and lists: their settings, columns, and the examples at their end."""

from __future__ import annotations

from itertools import zip_longest

import click

__all__ = ["SETTINGS", "columns_of", "terminal_width", "write_examples"]

SETTINGS = {"help_option_names": ["-h", "--help"]}
_USUAL_WIDTH, _LEFT_COLUMN = 100, 48


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
