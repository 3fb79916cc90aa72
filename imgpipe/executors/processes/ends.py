"""Ends: how workers ended, in words, and which of them ended by themselves."""

from __future__ import annotations

import itertools
import os
import re
import signal
from pathlib import Path
from typing import Any

from imgpipe.executors.base import End
from imgpipe.executors.processes.startup import NO_THREAD, started_in

__all__ = ["describe"]


def describe(processes: list[Any], log: str) -> End:
    """Return how `processes`, all of them ended, and what they wrote into `log` came about."""
    if not all(hasattr(process, "ended_by_itself") for process in processes):
        return End(_reason(processes, log))
    dead = [process for process in processes if process.ended_by_itself]
    pids = frozenset(process.pid for process in dead)
    if not dead:
        return End("the end of the process that starts workers", pids)
    return End(_reason(dead, log), pids, stillborn=not pids <= started_in(log))


def _reason(dead: list[Any], log: str) -> str:
    if NO_THREAD in log:
        return NO_THREAD
    where = _place_in(log)
    limit = re.findall(r"Timeout \(([0-9:.]+)\)", log)
    if limit:
        return f"timeout ({limit[-1]}){where}"
    codes = [code for one in dead if (code := getattr(one, "exitcode", None)) is not None]
    signals = [-code for code in codes if code < 0 and code != -signal.SIGKILL]
    if signals:
        return f"signal {signal.Signals(signals[0]).name}{where}"
    ended = [code for code in codes if code >= 0]
    return f"exit code {max(ended)}" if ended else "signal SIGKILL"


def _place_in(log: str) -> str:
    """Return the lines of the user's function in what `faulthandler` wrote, if there are any."""
    package = str(Path(__file__).parents[2])
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
