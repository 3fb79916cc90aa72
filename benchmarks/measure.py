"""Measure a command with all the processes it starts: time, processor time, memory.

This process makes itself the one that inherits orphans (`PR_SET_CHILD_SUBREAPER`). Whatever a
command leaves behind, such as a fork server, becomes a child of this process and is reaped here,
so that the processor time of every process is counted exactly once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["Measurement", "inherit_orphans", "measure", "memory_of_tree"]

_PR_SET_CHILD_SUBREAPER = 36
_SAMPLE_SECONDS = 0.05
_LINGER_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measurement:
    """Time and memory of a command.

    Attributes
    ----------
    wall : float
        Seconds until the command was done.
    cpu : float
        Processor seconds, user and system, of all its processes.
    memory : int
        Highest sum of the proportional set sizes of all its processes in bytes; 0 if not asked.
    processes : int
        Most processes at once; 0 if not asked.
    others : float
        Processors kept busy by others meanwhile.
    """

    wall: float
    cpu: float
    memory: int
    processes: int
    others: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        return asdict(self)


def measure(
    command: list[str], *, memory: bool = False, stdout: IO[str] | int = subprocess.DEVNULL
) -> Measurement:
    """Run `command` and measure it.

    Sampling memory walks page tables and slows the command down, so times come from runs
    without it.

    Raises
    ------
    SystemExit
        If the command fails; its own message has been printed.
    """
    inherit_orphans()
    sampler = _Sampler() if memory else None
    busy, began = _machine_busy(), time.perf_counter()
    child = subprocess.Popen(command, stdout=stdout)
    wall, cpu, status = _reap(child.pid, began)
    child.returncode = os.waitstatus_to_exitcode(status)
    others = max(0.0, _machine_busy() - busy - cpu) / (time.perf_counter() - began)
    if sampler is not None:
        sampler.stop()
    if child.returncode:
        sys.exit(f"failed with status {child.returncode}: {' '.join(command)}")
    peak, processes = (sampler.peak, sampler.processes) if sampler else (0, 0)
    return Measurement(wall, cpu, peak, processes, others)


def _reap(pid: int, began: float) -> tuple[float, float, int]:
    """Reap the command and its orphans; return its time, their processor time, its status."""
    wall = cpu = 0.0
    status, deadline = 0, float("inf")
    while time.perf_counter() < deadline:
        try:
            reaped, how, usage = os.wait4(-1, os.WNOHANG if wall else 0)
        except ChildProcessError:
            return wall, cpu, status
        if reaped == 0:
            time.sleep(0.002)
            continue
        cpu += usage.ru_utime + usage.ru_stime
        if reaped == pid:
            wall, status = time.perf_counter() - began, how
            deadline = time.perf_counter() + _LINGER_SECONDS
    left = _descendants()
    for orphan in left:
        os.kill(orphan, signal.SIGKILL)
    sys.exit(f"{len(left)} processes outlived the command by {_LINGER_SECONDS:.0f} s: {left}")


def inherit_orphans() -> None:
    """Make this process the parent of all that its descendants leave behind."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit(f"cannot inherit orphans: {os.strerror(ctypes.get_errno())}")


class _Sampler:
    """Sums the memory of all descendants of this process, again and again, in a thread."""

    def __init__(self) -> None:
        self.peak = self.processes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            sizes = [_pss(pid) for pid in _descendants()]
            self.peak = max(self.peak, sum(sizes))
            self.processes = max(self.processes, len(sizes))


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.partition("\nPss:")[2].split()[0]) * 1024
    return 0


def memory_of_tree(pid: int) -> int:
    """Return the sum of the proportional set sizes of a process and all its descendants."""
    return sum(map(_pss, [pid, *_descendants(pid)]))


def _descendants(of: int | None = None) -> list[int]:
    """Return the process ids of everything that a process, or this one, has started."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                after_name = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(after_name[1]), []).append(int(name))
    found, left = [], [of or os.getpid()]
    while left:
        born = children.get(left.pop(), [])
        found += born
        left += born
    return found


def _machine_busy() -> float:
    """Return the processor seconds that this machine has been busy since it started."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / _TICKS
