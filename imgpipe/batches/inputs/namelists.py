"""Lists of names: one per line, or with a zero byte after each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from imgpipe.errors import UsageError

__all__ = ["names_in"]

_BLOCK = 1 << 16


def names_in(path: str, *, null: bool = False) -> Iterator[str]:
    """Yield the names in a list, as they are read.

    Parameters
    ----------
    path : str
        The list; ``-`` is standard input.
    null : bool
        Whether names end with a zero byte instead of the end of a line.

    Raises
    ------
    UsageError
        If the list cannot be read.
    """
    try:
        with open(sys.stdin.fileno() if path == "-" else path, "rb", closefd=path != "-") as file:
            end = b"\0" if null else b"\n"
            left = b""
            while block := file.read1(_BLOCK):
                *names, left = (left + block).split(end)
                yield from _decoded(names, null=null)
            yield from _decoded([left], null=null)
    except (OSError, ValueError) as error:
        name = "standard input" if path == "-" else path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name}: cannot read this list of files: {reason.lower()}") from error


def _decoded(names: list[bytes], *, null: bool) -> Iterator[str]:
    for name in names:
        text = name if null else name.removesuffix(b"\r")
        if text:
            yield os.fsdecode(text)
