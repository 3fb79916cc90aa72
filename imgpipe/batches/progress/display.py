"""Choice of the display of a batch: two bars, lines, or only failures and the summary."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Literal, TextIO

from imgpipe.batches.progress.bars import Bars
from imgpipe.batches.progress.progresslines import ProgressLines

__all__ = ["ProgressMode", "display_for"]

ProgressMode = Literal["auto", "bar", "lines", "none"]


def display_for(
    mode: ProgressMode,
    file: TextIO,
    clock: Callable[[], float] = time.monotonic,
    environment: Mapping[str, str] = os.environ,
) -> Bars | ProgressLines:
    """Return the observer that shows a batch to people.

    Parameters
    ----------
    mode : {"auto", "bar", "lines", "none"}
        Bars, lines, or failures and the summary alone. Bars need a terminal that can move its
        cursor; there are lines elsewhere, whatever was asked for.
    file : text file
        The file to show it on, as standard error.
    clock : function
        Returns seconds.
    environment : mapping
        ``TERM`` is ``dumb`` for a terminal that cannot move its cursor.
    """
    terminal = bool(getattr(file, "isatty", bool)()) and environment.get("TERM") != "dumb"
    if terminal and mode in {"auto", "bar"}:
        return Bars(file, clock)
    return ProgressLines(file, clock, quiet=mode == "none")
