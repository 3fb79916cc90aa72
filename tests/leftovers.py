"""Leftovers of a run: processes, and shared memory with a name. For tests on Linux."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 20.0
"""Longest time in which a busy system clears away ended processes, in seconds."""


def eventually(is_so: Callable[[], bool]) -> bool:
    """Return whether `is_so` before a long time has passed. It asks again and again."""
    until = time.monotonic() + SECONDS
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def descendants(pid: int) -> set[int]:
    """Return every living process that `pid` or one of its descendants started."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                for child in map(int, text.split()):
                    if is_living(child):
                        found |= {child} | descendants(child)
    return found


def is_living(pid: int) -> bool:
    """Return whether a process runs; one that only waits for its parent does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def command_of(pid: int) -> str:
    """Return the command line of a process, "" if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def workers_here() -> set[int]:
    """Return the processes that this one started, but for the resource tracker, which stays."""
    return {pid for pid in descendants(os.getpid()) if "resource_tracker" not in command_of(pid)}


def session_of(pid: int) -> set[int]:
    """Return every living process of the session that `pid` leads or led."""
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == pid and fields[0] != "Z":
                found.add(int(entry))
    return found


def session_ends(pid: int) -> bool:
    """Return whether no process of the session that `pid` led is left."""
    return eventually(lambda: not session_of(pid))


def unused_segments() -> set[str]:
    """Return the names in /dev/shm that no living process has mapped."""
    names = set(os.listdir("/dev/shm"))
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{entry}/maps").read_text()
            names -= {name for name in names if f"/dev/shm/{name}" in maps}
    return names


def nothing_new_in_shared_memory(before: set[str]) -> bool:
    """Return whether no unused segment is left, except those of `before`."""
    return eventually(lambda: unused_segments() <= before)
