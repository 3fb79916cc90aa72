"""Executors as the engine sees them: their traits, and the supervision of their workers."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, Protocol, runtime_checkable

from imgpipe.records import dataclass

__all__ = [
    "End",
    "Supervised",
    "Traits",
    "in_our_worker",
    "mark_worker",
    "traits_of",
    "warms_up",
    "works_at_once",
]

_in_worker = threading.Event()


@dataclass(frozen=True)
class Traits:
    """Facts about an executor.

    Attributes
    ----------
    shares_memory : bool
        Its workers can attach shared memory of this machine.
    shares_files : bool
        Its workers see the same files.
    isolates : bool
        Its workers are other processes: this process survives the death of a worker, and
        they do not have its memory.
    same_host : bool
        Its workers run on this machine: their process ids mean something here.
    processors : int
        Number of workers that can be busy at once, 0 if it is not known.
    """

    shares_memory: bool
    shares_files: bool
    isolates: bool
    same_host: bool = True
    processors: int = 0


class End(NamedTuple):
    """The end of a worker.

    Attributes
    ----------
    reason : str
        ``timeout``, a signal or an exit code; then the place in the user's function.
    pid : int or None
        Process id of the worker if it ended by itself. None if it was ended from here, if nobody
        can tell, or if it never was.
    stillborn : bool
        Whether the worker ended before its first task, or could not be started at all.
    wanted : bool
        Whether the worker was ended on purpose.
    outside : bool
        Whether the worker got a signal that no process gets by its own fault, such as SIGKILL
        where the system did not run out of memory.
    """

    reason: str
    pid: int | None = None
    stillborn: bool = False
    wanted: bool = False
    outside: bool = False


@runtime_checkable
class Supervised(Protocol):
    """An executor whose workers the engine may watch, kill and replace: our own process pool."""

    def rebuild(self, lost: Future[Any], *, wanted: bool = False) -> End:
        """End the worker of `lost`, unless it has ended; return the reason of its end.

        The other tasks of that worker have failed afterwards. The other workers go on.
        """

    def label(self, future: Future[Any]) -> str:
        """Return the name, for people, of the worker that `future` was given to."""

    def look_after(self) -> None:
        """Find dead workers that were not reported; called when nothing happens for long."""

    def limit(self, workers: int) -> None:
        """Give tasks to no more than `workers` workers from now on."""

    def kill(self) -> None:
        """End all workers at once, in the middle of their tasks."""


def traits_of(executor: object) -> Traits:
    """Return the traits of an executor, or of its maker.

    An executor may say so itself: in an attribute ``traits``, or in attributes of the same names
    as those of `Traits`. Otherwise its workers are taken to share nothing with this process, which
    is slow and always right.
    """
    said = getattr(executor, "traits", None)
    if isinstance(said, Traits):
        return said
    # Neither module is imported for this: it is slow, and not allowed once Python is about to end.
    threads = sys.modules.get("concurrent.futures.thread")
    if threads is not None and isinstance(executor, threads.ThreadPoolExecutor):
        return Traits(shares_memory=True, shares_files=True, isolates=False)
    processes = sys.modules.get("concurrent.futures.process")
    if processes is not None and isinstance(executor, processes.ProcessPoolExecutor):
        return Traits(shares_memory=True, shares_files=True, isolates=True)
    shares_memory = bool(getattr(executor, "shares_memory", False))
    return Traits(
        shares_memory=shares_memory,
        shares_files=bool(getattr(executor, "shares_files", False)),
        isolates=bool(getattr(executor, "isolates", True)),
        same_host=bool(getattr(executor, "same_host", shares_memory)),
        processors=int(getattr(executor, "processors", 0)),
    )


def works_at_once(executor: Executor) -> bool:
    """Return whether `executor` does a task while it is being submitted, in the same thread."""
    return bool(getattr(executor, "at_once", False))


def warms_up(executor: Executor) -> bool:
    """Return whether `executor` is ours: its workers start while the first rows are read."""
    return isinstance(executor, Supervised) or bool(getattr(executor, "warms_up", False))


def mark_worker() -> None:
    """Note that this process is a worker of imgpipe's own pool."""
    _in_worker.set()


def in_our_worker() -> bool:
    """Return whether this process is a worker of imgpipe's own pool."""
    return _in_worker.is_set()
