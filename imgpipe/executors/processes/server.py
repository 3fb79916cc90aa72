"""Server: the origin of the workers of all pools of this process.

On Linux they are forked from a fork server that is ours alone: it has imported what they need
before the first of them starts, it ends with the last pool, and neither it nor they ever run the
caller's main module again, so a script without a main guard works. Elsewhere they are spawned.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from multiprocessing.context import BaseContext
from typing import Any

from imgpipe.acceleration import expected
from imgpipe.executors.processes.tracker import fork_the_tracker, may_fork, revive_the_tracker
from imgpipe.streams import keep_numbers_taken

__all__ = ["EXPECTED", "OF_A_LAUNCH", "Server", "fork_now", "launching"]

_HERE = "imgpipe.executors.processes"
_OF_USE = ("imgpipe.engine.worker", "imgpipe.filters.", "imgpipe.formats.", "imgpipe.kernels.")
EXPECTED = "_IMGPIPE_EXPECTED"
_SAFE_PATH = "PYTHONSAFEPATH"
OF_A_LAUNCH = (EXPECTED, _SAFE_PATH)
"""The variables that are set while a process starts."""
"""Variables of the environment that are set while a process is started."""


class Server:
    """A context whose processes come from one fork server, which runs while pools use it."""

    _current: Server | None = None
    _lock = threading.Lock()

    def __init__(self, *, by_fork: bool, codecs: Iterable[str] = ()) -> None:
        self._users = 0
        keep_numbers_taken()
        by_fork = by_fork and may_fork()
        if by_fork:
            with _signals_held_back():
                fork_the_tracker()
        with launching():
            self.context, self._forkserver = _context(by_fork=by_fork, codecs=codecs)

    @classmethod
    def acquire(
        cls, users: int = 1, *, by_fork: bool = False, codecs: Iterable[str] = ()
    ) -> Server:
        """Return the server of this process; start it if there is none."""
        with cls._lock:
            if cls._current is None:
                cls._current = Server(by_fork=by_fork, codecs=codecs)
            cls._current._users += users
            return cls._current

    def release(self) -> None:
        """Stop the server unless other pools use it."""
        with self._lock:
            self._users -= 1
            if self._users <= 0:
                self._stop()

    @classmethod
    def stop_unused(cls) -> None:
        """Stop a server that was started and never needed."""
        with cls._lock:
            if cls._current is not None and cls._current._users == 0:
                cls._current._stop()

    @classmethod
    def forget(cls) -> None:
        """Begin anew in a fork of this process, whose children the server's workers are not."""
        left, cls._current, cls._lock = cls._current, None, threading.Lock()
        if left is not None and left._forkserver is not None:
            from imgpipe.executors.processes.forkserver import forget  # noqa: PLC0415 - POSIX only

            forget(left._forkserver)

    def _stop(self) -> None:
        if Server._current is self:
            Server._current = None
        if self._forkserver is not None:
            from imgpipe.executors.processes.forkserver import stop  # noqa: PLC0415 - POSIX only

            stop(self._forkserver)

    @property
    def pids(self) -> set[int]:
        """Process id of the fork server."""
        pid = getattr(self._forkserver, "_forkserver_pid", None)
        return {pid} if pid else set()


class _Launch:
    """State of this process that is changed while a new one is started."""

    lock = threading.RLock()
    main: types.ModuleType | None = None  # the hidden main module


def _after_fork() -> None:
    """Repair, in a fork, the state that another thread was changing."""
    _Launch.lock = threading.RLock()
    if _Launch.main is not None:
        sys.modules["__main__"], _Launch.main = _Launch.main, None
    Server.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(Server.stop_unused)


def fork_now(codecs: Iterable[str] = ()) -> None:
    """Fork the fork server for later pools from this process, which has just begun.

    It must have opened nothing yet that the workers should not have. Where it has more threads
    than this one, the server becomes a new interpreter instead. The server loads `codecs`, which
    are modules, before it forks a worker.
    """
    Server.acquire(users=0, by_fork=True, codecs=codecs)


@contextlib.contextmanager
def launching() -> Iterator[None]:
    """Start processes that neither run the main module again nor are disturbed while they start."""
    accelerator = _variable(EXPECTED, expected())
    with _Launch.lock, _without_main(), _apart_from_the_folder(), accelerator:
        with _signals_held_back():
            revive_the_tracker()  # before any worker, or each would start its own
        with _signals_held_back():  # anew: a tracker that is started lets SIGINT through again
            yield


def _context(*, by_fork: bool, codecs: Iterable[str]) -> tuple[BaseContext, Any]:
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn"), None
    from imgpipe.executors.processes.forkserver import own_fork_server  # noqa: PLC0415 - POSIX only

    return own_fork_server(_preloaded(codecs), by_fork=by_fork)


def _preloaded(codecs: Iterable[str] = ()) -> list[str]:
    """Return the modules that the fork server imports: those loaded here that workers need."""
    needed = sorted(name for name in sys.modules if name.startswith(_OF_USE))
    needed += codecs
    first = [f"{_HERE}.preload_first", *needed, f"{_HERE}.preload_accelerator"]
    return [*first, f"{_HERE}.startup", f"{_HERE}.preload_last"]


@contextlib.contextmanager
def _apart_from_the_folder() -> Iterator[None]:
    """Let new interpreters not look for modules in the current folder, as they do by default.

    A file called ``random.py`` there would be run by them, in place of the standard library's.
    """
    with _variable(_SAFE_PATH, "1"):
        yield


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let the child inherit a mask without SIGINT: it ignores Ctrl-C only once it is set up."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module, which a new process would otherwise import and so run again."""
    main = sys.modules.get("__main__")
    outermost = _Launch.main is None
    if outermost:
        _Launch.main = main
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        if main is not None:
            sys.modules["__main__"] = main
        if outermost:
            _Launch.main = None
