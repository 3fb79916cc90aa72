"""Standard streams: replacement of closed ones, so that no file gets their numbers.

A file that is opened gets the lowest free number. Where that of standard error is free, it would
get the output of C code.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Any

__all__ = ["fill_in_streams", "is_filled_in", "keep_numbers_taken"]

_NAMES = {0: "stdin", 1: "stdout", 2: "stderr"}
_filled_in: set[int] = set()
_lock = threading.Lock()


def keep_numbers_taken() -> None:
    """Open the null device in place of standard streams that are closed.

    To be called before anything is opened that is written to.
    """
    with _lock:
        for number in _NAMES:
            if not _is_open(number):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened == number:
                    _filled_in.add(number)
                    os.set_inheritable(number, True)
                else:  # another thread was faster
                    os.close(opened)


def is_filled_in(number: int) -> bool:
    """Return whether that standard stream was closed, so that its bytes go nowhere."""
    return number in _filled_in


def fill_in_streams() -> None:
    """Do so for a command, whose code may print; Python has None in place of a closed stream."""
    keep_numbers_taken()
    for number, name in _NAMES.items():
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            stream: Any = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _is_open(number: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(number)
        return True
    return False
