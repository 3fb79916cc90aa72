"""Resource tracker: a helper process of the standard library that frees the remains of others.

Python starts it before the first process of a pool. Semaphores and shared memory that a user's
functions make are registered there.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import warnings
from multiprocessing import resource_tracker
from typing import Any, NoReturn

__all__ = ["fork_the_tracker", "may_fork", "revive_the_tracker"]

_log = logging.getLogger("imgpipe")


class _Known:
    """The tracker that was there last."""

    lock = threading.RLock()
    pid: int | None = None


def _after_fork() -> None:
    _Known.lock, _Known.pid = threading.RLock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def may_fork() -> bool:
    """Return whether helper processes may be forks: no other thread is there, C libraries included.

    Later versions of Python have other helper processes, which are new interpreters.
    """
    if not sys.platform.startswith("linux") or sys.version_info >= (3, 14):
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:  # the system does not say
        return False


def fork_the_tracker() -> None:
    """Fork the tracker from this process, unless there is one.

    The standard library starts a new interpreter, which imports everything once more.
    """
    tracker: Any = resource_tracker._resource_tracker
    if getattr(tracker, "_fd", None) is not None:
        return
    requests, pipe = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(requests)
        os.close(pipe)
        raise
    if pid == 0:
        _track(requests)
    os.close(requests)
    tracker._fd, tracker._pid = pipe, pid


def _track(requests: int) -> NoReturn:
    """Be the tracker until all processes that could write requests have ended."""
    try:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)
        faulthandler.disable()
        for number in map(int, os.listdir("/proc/self/fd")):
            if number not in (2, requests):  # others may wait for the end of these
                with contextlib.suppress(OSError):
                    os.close(number)
        resource_tracker.main(requests)
    finally:
        os._exit(0)  # without the exit handlers of the parent


def revive_the_tracker() -> None:
    """Start the tracker again if it was ended, and register everything that it knew.

    Otherwise it prints a traceback for every semaphore that is given back later.
    """
    tracker: Any = resource_tracker._resource_tracker
    with _Known.lock:
        if getattr(tracker, "_fd", None) is None:
            resource_tracker.ensure_running()
        elif not tracker._check_alive():
            _log.warning("the resource tracker of multiprocessing was killed; a new one is started")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says the same, less plainly
                resource_tracker.ensure_running()
        if _Known.pid not in (None, tracker._pid):
            with contextlib.suppress(OSError):  # killed again
                _register_semaphores()
        _Known.pid = tracker._pid


def _register_semaphores() -> None:
    """Register all existing semaphores with a new tracker."""
    from multiprocessing.synchronize import SemLock  # noqa: PLC0415 - hardly ever needed

    for one in gc.get_objects():
        if issubclass(type(one), SemLock) and one._semlock.name is not None:
            resource_tracker.register(one._semlock.name, "semaphore")
