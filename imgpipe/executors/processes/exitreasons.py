"""Exit reasons of workers in words, and the party at fault."""

from __future__ import annotations

import itertools
import os
import re
import signal
from typing import Any

from imgpipe.executors.base import End
from imgpipe.executors.processes.startup import NO_THREAD, started_in
from imgpipe.machine import memory_kills

__all__ = ["describe"]

_KILL = -int(getattr(signal, "SIGKILL", 9))
_FROM_OUTSIDE = {
    -int(getattr(signal, name))
    for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")
    if hasattr(signal, name)
}


def describe(process: Any, log: str, *, by_itself: bool, kills_before: int | None) -> End:
    """Return the end of a worker.

    Parameters
    ----------
    process : Process
        The worker, which has ended.
    log : str
        The text of its log.
    by_itself : bool
        Whether it was not ended from here.
    kills_before : int or None
        `machine.memory_kills` before the worker was started.
    """
    if not by_itself:
        told = getattr(process, "told", True)
        return End("a result that cannot be read" if told else "the end of the fork server")
    return End(
        _reason(process.exitcode, log),
        process.pid,
        stillborn=process.pid not in started_in(log),
        outside=_from_outside(process.exitcode, kills_before),
    )


def _from_outside(code: int, kills_before: int | None) -> bool:
    """Return whether a worker was ended by another program, and not for want of memory."""
    if code == _KILL:  # the system sends it when memory is short
        return kills_before is not None and memory_kills() == kills_before
    return code in _FROM_OUTSIDE


def _reason(code: int, log: str) -> str:
    if NO_THREAD in log:
        return NO_THREAD
    place = _place_in(log)
    limit = re.findall(r"Timeout \(([0-9:.]+)\)", log)
    if limit:
        return f"timeout of {_seconds(limit[-1])}{place}"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"signal {name}{place}"


def _place_in(log: str) -> str:
    """Return the lines of the user's function in the text of `faulthandler`, if there are any."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for thread in reversed(log.split("(most recent call first):\n")[1:]):
        frames = itertools.takewhile(lambda line: line.startswith("  File "), thread.splitlines())
        theirs, ours = [], False
        for frame in frames:
            ours = frame.startswith(f'  File "{package}{os.sep}')
            if ours:
                break
            theirs.append(frame)
        if ours and theirs:
            return "\n".join(("\nIt was at (most recent call first):", *theirs))
    return ""


def _seconds(text: str) -> str:
    """Return a time that `faulthandler` writes, such as ``0:01:00.500000``, in seconds."""
    hours, minutes, seconds = text.split(":")
    total = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return f"{total:,g} second{'s' * (total != 1)}"
