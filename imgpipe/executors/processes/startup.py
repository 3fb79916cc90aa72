"""Startup: the first steps of a worker process, and the marks that they leave."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from imgpipe.executors.base import mark_worker
from imgpipe.machine import mark_own_process

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["NO_THREAD", "NUMBER_BYTES", "begun", "do_tasks", "prepare_worker", "started_in"]

NO_THREAD = "the system gave a worker no thread"
"""Line that a worker writes into the log if it ends for this reason."""

NUMBER_BYTES = 8
"""Length of the number of a task, in front of the task and of its result."""

_READY = "imgpipe worker {pid} is ready"
_begun: list[int] = []


def do_tasks(link: Connection, log: str) -> None:
    """Do the tasks that arrive, one after the other, until an empty message or the end."""
    prepare_worker(log)
    with contextlib.suppress(EOFError, OSError):
        while task := link.recv_bytes():
            link.send_bytes(task[:NUMBER_BYTES] + _done(task))


def _done(task: bytes) -> bytes:
    """Return the result or the exception of the function of a task."""
    from multiprocessing.reduction import ForkingPickler  # noqa: PLC0415 - loaded already

    try:
        fn, args, kwargs = pickle.loads(memoryview(task)[NUMBER_BYTES:])  # noqa: S301 - our parent's
        return bytes(ForkingPickler.dumps((fn(*args, **kwargs), None)))
    except BaseException as error:  # noqa: BLE001 - the future tells
        try:
            return bytes(ForkingPickler.dumps((None, _with_traceback(error))))
        except Exception as unsendable:  # noqa: BLE001
            return bytes(ForkingPickler.dumps((None, _with_traceback(unsendable))))


def _with_traceback(error: BaseException) -> Any:
    """Return an exception that will have its traceback as the cause, in the words of Python."""
    from concurrent.futures import process  # noqa: PLC0415 - loaded already

    return cast(Any, process)._ExceptionWithTraceback(error, error.__traceback__)


def prepare_worker(log: str) -> None:
    """Set up a worker. Nothing here may fail: a pool swallows what its initializer raises."""
    _begun[:] = [time.time_ns()]
    with contextlib.suppress(Exception):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides on Ctrl-C
    with contextlib.suppress(OSError):
        _take_no_input()
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
    mark_own_process()


def begun() -> int:
    """Return the time at which this worker began, in nanoseconds; 0 if this is no worker."""
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


def _take_no_input() -> None:
    """Make standard input empty: a program that a filter calls would read the caller's input.

    Such as the list of files of a loop in a shell.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if nothing:
        os.close(nothing)


def _divert_stderr(log: str) -> None:
    """Send the output of C code to `log`; the output of Python code still reaches the terminal."""
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
