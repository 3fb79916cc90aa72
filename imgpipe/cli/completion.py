"""Completion by the shell, without errors and without output of the user's files."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

__all__ = ["unseen"]


def unseen(ctx: click.Context) -> AbstractContextManager[object]:
    """Keep errors and output away from a command line that is still being written.

    Where none is, nothing is kept.
    """
    return _unseen() if ctx.resilient_parsing else contextlib.nullcontext()


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    with (
        contextlib.suppress(Exception),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield


class _Bash(BashComplete):
    """Bash takes colons and equals signs for words, and completes the text after the last one."""

    # No blank goes after a name that a value follows.
    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", "COMPREPLY+=($value); [[ $value == *[:=] ]] && compopt -o nospace"
    )
    _before = ""  # the word up to the part that bash completes

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words as they were written: with the parts of each together again."""
        args, part = super().get_completion_args()
        text = re.sub("\0([:=]+)(?:\0|\\Z)", r"\1", "\0".join([*args, part]))
        *args, incomplete = text.split("\0")
        self._before = incomplete.removesuffix(part.lstrip(":="))
        return args, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return the line for `item`."""
        return f"{item.type},{str(item.value).removeprefix(self._before)}"


add_completion_class(_Bash)
