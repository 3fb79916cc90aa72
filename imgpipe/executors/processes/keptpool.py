"""Kept pool: the workers of a run stay some seconds for the next run.

Workers that are kept have to do what new ones would do. So a pool is not used again once the
working folder, `sys.path`, the environment or the processors of this process are others, or a
file has changed that a worker loaded a module of the user's from. A fork of this process forgets
the pool. A command keeps none, and neither does a child process of `multiprocessing`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from concurrent.futures import Future
from multiprocessing import parent_process

from imgpipe import arguments
from imgpipe.cleanup import uninterrupted
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.executors.processes.reststate import Rest, rest
from imgpipe.executors.processes.server import OF_A_LAUNCH
from imgpipe.machine import is_dedicated
from imgpipe.records import dataclass
from imgpipe.refusals import python_is_ending

__all__ = ["keep_workers", "processes", "shutdown"]

_SECONDS = 10.0
_TELLING_SECONDS = 1.0


@dataclass(frozen=True)
class _Surroundings:
    """State of this process that a new worker takes over."""

    folder: str
    path: tuple[str, ...]
    environment: dict[str, str]
    processors: frozenset[int]

    @classmethod
    def now(cls) -> _Surroundings:
        """Return the surroundings of this moment."""
        folder, processors = "", frozenset[int]()
        with contextlib.suppress(OSError):  # the folder is gone
            folder = os.getcwd()
        if hasattr(os, "sched_getaffinity"):
            processors = frozenset(os.sched_getaffinity(0))
        environment = dict(os.environ)
        for name in OF_A_LAUNCH:  # another thread may be starting a process
            environment.pop(name, None)
        return cls(folder, tuple(sys.path), environment, processors)


@dataclass
class _Kept:
    """A pool that no run uses, its surroundings when it was made, and its end."""

    pool: ProcessExecutor
    surroundings: _Surroundings
    resting: list[Future[Rest]]
    timer: threading.Timer


class _State:
    """The kept pool of this process, and the settings."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seconds = _SECONDS
        self.kept: _Kept | None = None
        self.lent: weakref.WeakKeyDictionary[ProcessExecutor, _Surroundings] = (
            weakref.WeakKeyDictionary()
        )
        self.closed = self.ended_at_exit = False


_state = _State()


def _after_fork() -> None:
    """Begin anew in a fork of this process."""
    global _state
    seconds, _state = _state.seconds, _State()
    _state.seconds = seconds


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def keep_workers(seconds: float) -> None:
    """Set the time that worker processes stay for the next call, in this Python process.

    Parameters
    ----------
    seconds : float
        Time after a call; 10 s by default. With 0 they end with the call.
    """
    _state.seconds = arguments.seconds(seconds, "seconds", or_none_at_all=True)
    if not seconds:
        shutdown()


def shutdown() -> None:
    """End the worker processes that are kept for the next call, which will start new ones."""
    with uninterrupted():
        _end(_taken())


class _Processes:
    """The maker of the pools of runs; see `imgpipe.executors`."""

    traits = ProcessExecutor.traits

    def __call__(self, workers: int) -> ProcessExecutor:
        """Return the pool that was kept, if it may be used again, else a new one.

        Two runs at once never get the same one.
        """
        return _lent(workers)

    def give_back(self, pool: ProcessExecutor) -> None:
        """Keep a pool whose run is over, or end it."""
        _give_back(pool)

    def is_kept(self) -> bool:
        """Return whether there may be a pool for the next run."""
        return _state.kept is not None


processes = _Processes()
"""The executor of this name in `imgpipe.registry`."""


def _lent(workers: int) -> ProcessExecutor:
    surroundings = _Surroundings.now()
    kept = _taken()
    if kept is not None and kept.surroundings == surroundings and _rested(kept):
        pool = kept.pool
        pool.limit(workers)
    else:
        _end(kept)
        pool = ProcessExecutor(workers)
    _state.lent[pool] = surroundings
    return pool


def _give_back(pool: ProcessExecutor) -> None:
    surroundings = _state.lent.pop(pool, None)
    if surroundings is None or not _may_keep():
        pool.shutdown(wait=True, cancel_futures=True)
        return
    timer = threading.Timer(_state.seconds, shutdown)
    timer.daemon, timer.name = True, "imgpipe-idle"
    kept = _Kept(pool, surroundings, pool.everyone(rest), timer)
    with _state.lock:
        free = _state.kept is None
        if free:
            _state.kept = kept
            with contextlib.suppress(RuntimeError):  # no thread: it stays until Python ends
                timer.start()
    if not free:  # that of another run is kept already
        pool.shutdown(wait=True, cancel_futures=True)


def _may_keep() -> bool:
    if _state.closed or not _state.seconds or is_dedicated() or python_is_ending():
        return False
    if parent_process() is not None:
        return False
    if not _state.ended_at_exit:
        try:
            threading._register_atexit(_end_kept_pool)  # type: ignore[attr-defined]
        except (AttributeError, RuntimeError):  # the main thread has ended already
            return False
        _state.ended_at_exit = True
    return True


def _end_kept_pool() -> None:
    _state.closed = True
    shutdown()


def _taken() -> _Kept | None:
    """Take the kept pool, so that no other thread does."""
    with _state.lock:
        kept, _state.kept = _state.kept, None
    if kept is not None:
        kept.timer.cancel()
        if kept.timer.ident not in (None, threading.get_ident()):
            kept.timer.join()
    return kept


def _end(kept: _Kept | None) -> None:
    if kept is not None:
        kept.pool.shutdown(wait=True, cancel_futures=True)


def _rested(kept: _Kept) -> bool:
    """Return whether the workers have rested well, so that their pool may be used again."""
    found: list[Rest] = []
    for future in kept.resting:
        try:
            found.append(future.result(_TELLING_SECONDS))
        except Exception:  # noqa: BLE001 - a new worker has no such fault
            return False
    kept.pool.prune()
    kept.pool.held = tuple(max((one.held[kind] for one in found), default=0) for kind in (0, 1))  # type: ignore[assignment]
    return all(one.is_up_to_date() for one in found)
