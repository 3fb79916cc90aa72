"""Which executor a run gets, and how it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal

from imgpipe.cleanup import uninterrupted
from imgpipe.errors import UsageError
from imgpipe.executors.base import Supervised, Traits, traits_of
from imgpipe.executors.serial import SerialExecutor
from imgpipe.machine import usable_processors

__all__ = ["Choice", "ExecutorLike", "choose", "started"]

ExecutorLike = Executor | Literal["serial", "threads", "processes"] | None

_WORTH_A_POOL = 2_000_000  # pixels; fewer are done before the first worker is ready

_TRAITS = {
    "serial": Traits(shares_memory=True, shares_files=True, isolates=False),
    "threads": Traits(shares_memory=True, shares_files=True, isolates=False),
    "processes": Traits(shares_memory=True, shares_files=True, isolates=True),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An executor to be, and why it was chosen.

    Attributes
    ----------
    executor : Executor or str
        The one that was passed, or the name of one to be made.
    workers : int
        How many workers it has.
    reason : str
        Its name and why, for people.
    traits : Traits
        What is known of it.
    """

    executor: Executor | str
    workers: int
    reason: str
    traits: Traits


def choose(
    asked: ExecutorLike,
    workers: int | None,
    *,
    trusted: bool,
    pixels: int,
    threads: bool = False,
) -> Choice:
    """Choose an executor.

    Parameters
    ----------
    asked : Executor, str or None
        What the caller wants.
    workers : int or None
        How many workers the caller wants.
    trusted : bool
        Whether nothing needs to be watched: all filters are imgpipe's own, and none is timed.
        Others run in processes that may die.
    pixels : int
        Size of the output: a small one is done before a pool would be ready.
    threads : bool
        Whether all filters ask for threads.

    Raises
    ------
    UsageError
        If there is no such executor, or `workers` is less than 1.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if isinstance(asked, Executor):
        known = int(getattr(asked, "_max_workers", 0)) or usable_processors()
        return Choice(
            asked, workers or known, f"{type(asked).__name__}, as passed", traits_of(asked)
        )
    count = workers or usable_processors()
    if asked is not None:
        if not isinstance(asked, str) or asked not in _TRAITS:
            what = f"the class {asked.__name__}" if isinstance(asked, type) else f"{asked!r}"
            raise UsageError(
                f"executor must be one of {', '.join(_TRAITS)}, or an Executor that was made, "
                f"such as ThreadPoolExecutor(4), not {what}"
            )
        name, why = asked, "as asked"
    elif threads:
        name, why = "threads", "as the filters ask for"
    elif not trusted:
        name, why = "processes", "so that a function that crashes or hangs can be ended"
    elif count == 1:
        name, why = "serial", "for one worker"
    elif pixels < _WORTH_A_POOL:
        name, why = "serial", "for an image too small to share out"
    else:
        name, why = "processes", "for all processors"
    return Choice(name, 1 if name == "serial" else count, f"{name}, {why}", _TRAITS[name])


@contextlib.contextmanager
def started(choice: Choice, workers: int) -> Iterator[Executor]:
    """Have the executor for a while; end it, and its workers, unless it was passed."""
    if isinstance(choice.executor, Executor):
        yield choice.executor
        return
    with uninterrupted():
        executor = _made(choice.executor, workers)
    try:
        yield executor
    except BaseException:
        if isinstance(executor, Supervised):
            executor.kill()  # a worker may be in the middle of anything
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _made(name: str, workers: int) -> Executor:
    if name == "serial":
        return SerialExecutor()
    if name == "threads":
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see `_closing`

        return ThreadPoolExecutor(workers, thread_name_prefix="imgpipe")
    from imgpipe.executors.processes import ProcessExecutor  # noqa: PLC0415 - slow to import

    return ProcessExecutor(workers)
