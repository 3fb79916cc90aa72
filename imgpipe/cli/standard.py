"""Standard streams of a command: who may read and write them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["events_only", "no_input"]


@contextlib.contextmanager
def no_input() -> Iterator[None]:
    """Have nothing on standard input during this context.

    What is there may be the list of a loop in a shell, and a program that a filter calls would eat
    it.
    """
    with _kept(0) as kept:
        if kept is not None:
            _become(os.devnull, os.O_RDONLY, 0)
        yield


@contextlib.contextmanager
def events_only() -> Iterator[int]:
    """Give the descriptor of standard output for events; all else goes to standard error."""
    sys.stdout.flush()
    with _kept(1) as events:
        if events is None:
            yield 1
            return
        os.dup2(2, 1)  # for programs and C code; Python code prints to the other one itself
        with contextlib.redirect_stdout(sys.stderr):
            yield events


@contextlib.contextmanager
def _kept(number: int) -> Iterator[int | None]:
    """Keep an open file, and give it back its number at the end; None if it is closed."""
    try:
        kept = os.dup(number)
    except OSError:
        yield None
        return
    try:
        yield kept
    finally:
        os.dup2(kept, number)
        os.close(kept)


def _become(path: str, flags: int, number: int) -> None:
    opened = os.open(path, flags)
    os.dup2(opened, number)
    os.close(opened)
