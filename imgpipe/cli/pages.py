"""Pages of help: their settings, and the examples at their end."""

from __future__ import annotations

import click

__all__ = ["SETTINGS", "write_examples"]

SETTINGS = {"help_option_names": ["-h", "--help"]}


def write_examples(formatter: click.HelpFormatter, *examples: str) -> None:
    """Write `examples` as the last section of a page of help."""
    with formatter.section("Example" if len(examples) == 1 else "Examples"):
        formatter.write_text("\b\n" + "\n".join(examples))
