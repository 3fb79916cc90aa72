"""Startup: the first steps of a worker process, and the marks that they leave."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import sys
import threading
import time

from imgpipe.executors.base import mark_worker

__all__ = ["NO_THREAD", "begun", "prepare_worker", "started_in"]

NO_THREAD = "the system gave a worker no thread"
"""What a worker writes into the log if that is why it ends."""

_READY = "imgpipe worker {pid} is ready"
_begun: list[int] = []


def prepare_worker(log: str) -> None:
    """Set up a worker. Nothing here may fail: a pool swallows what its initializer raises."""
    _begun[:] = [time.time_ns()]
    with contextlib.suppress(Exception):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    diverted = False
    with contextlib.suppress(Exception):
        _divert_stderr(log)
        diverted = True
    said = _READY.format(pid=os.getpid())
    try:
        _end_with_parent()
    except RuntimeError:  # without it, the worker could outlive its parent
        said = NO_THREAD
    if diverted:
        os.write(2, f"{said}\n".encode())
    if said == NO_THREAD:
        os._exit(1)
    mark_worker()


def begun() -> int:
    """Return when this worker began, in nanoseconds; 0 if it is none."""
    return _begun[0] if _begun else 0


def started_in(log: str) -> set[int]:
    """Return the process ids of the workers that `log` says were set up."""
    return set(map(int, re.findall(_READY.format(pid="([0-9]+)"), log)))


def _end_with_parent() -> None:
    from multiprocessing import parent_process  # noqa: PLC0415 - slow; a worker has it already

    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="imgpipe-orphan-watch", daemon=True).start()


def _divert_stderr(log: str) -> None:
    """Send what C code prints to `log`; what Python code prints still reaches the terminal."""
    try:
        terminal = os.dup(2)
    except OSError:  # it is closed
        terminal = os.open(os.devnull, os.O_WRONLY)
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, 2)
    if fd != 2:
        os.close(fd)
    faulthandler.enable(file=2, all_threads=False)
    if terminal == 2:  # it was closed, and has just been taken
        terminal = os.open(os.devnull, os.O_WRONLY)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding="utf-8", errors="replace")
