"""Choice of the executor of a run, and its end."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import cast

from imgpipe.arguments import shown
from imgpipe.cleanup import uninterrupted
from imgpipe.errors import ImgpipeError, UsageError, WorkerError
from imgpipe.executors.base import Supervised, Traits, in_our_worker, traits_of
from imgpipe.machine import usable_processors
from imgpipe.records import dataclass
from imgpipe.refusals import python_is_ending, refused
from imgpipe.registry import EXECUTORS

__all__ = ["Choice", "ExecutorLike", "choose", "is_kept", "must_be_known", "started"]

ExecutorLike = Executor | str | None

_log = logging.getLogger("imgpipe")

_WORTH_A_POOL = 2_000_000  # pixels; fewer are done before the first worker is ready


@dataclass(frozen=True)
class Choice:
    """An executor to be, and why it was chosen.

    Attributes
    ----------
    executor : Executor or str
        The executor of the caller, or the name of one to be made.
    workers : int
        Its number of workers.
    reason : str
        Its name and why, for people.
    traits : Traits
        Its traits.
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
    outside_python: str = "",
) -> Choice:
    """Choose an executor.

    Parameters
    ----------
    asked : Executor, str or None
        The executor that the caller wants.
    workers : int or None
        The number of workers that the caller wants.
    trusted : bool
        Whether nothing needs to be watched: all filters are imgpipe's own, or this is a worker
        that is watched itself, and none is timed. Others run in processes that may die.
    pixels : int
        Size of the output: a small one is done before a pool would be ready.
    threads : bool
        Whether all filters ask for threads.
    outside_python : str
        Name of those who have all the work, if they hardly hold the interpreter's lock.

    Raises
    ------
    UsageError
        If there is no such executor, or `workers` is less than 1.
    """
    must_be_known(asked)
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if isinstance(asked, Executor):
        traits = traits_of(asked)
        known = int(getattr(asked, "_max_workers", 0)) or traits.processors or usable_processors()
        return Choice(asked, workers or known, f"{type(asked).__name__}, as passed", traits)
    count = workers or usable_processors()
    if asked is None:
        name, reason = _found(count, trusted=trusted, pixels=pixels, threads=threads)
        if outside_python and (name, trusted) == ("processes", True):
            name, reason = "threads", f"because only {outside_python} have work"
    else:
        name, reason = asked, "as asked"
    traits = traits_of(_loaded(name))
    if traits.processors:
        count = min(workers or traits.processors, traits.processors)
    return Choice(name, count, f"{name}, {reason}", traits)


def must_be_known(asked: object) -> None:
    """Refuse a value that is neither an executor nor the name of one.

    Raises
    ------
    UsageError
        If it is neither; the message lists the names.
    """
    if (
        asked is None
        or isinstance(asked, Executor)
        or (isinstance(asked, str) and asked in EXECUTORS)
    ):
        return
    wrong = f"the class {asked.__name__}" if isinstance(asked, type) else shown(asked)
    raise UsageError(
        f"executor must be one of {', '.join(EXECUTORS)}, or an Executor that was made, such as "
        f"ThreadPoolExecutor(4), not {wrong}"
    )


def _found(count: int, *, trusted: bool, pixels: int, threads: bool) -> tuple[str, str]:
    """Return the name of the best executor, and why it is."""
    if python_is_ending():
        if count > 1 or not trusted:
            _log.warning("Python is about to end and starts no workers; the image is made without")
        return "serial", "because Python is about to end"
    if trusted and in_our_worker():
        return "serial", "within a worker"
    if threads:
        return "threads", "as the filters ask for"
    if not trusted:
        return "processes", "so that a function that crashes or hangs can be ended"
    if count > 1 and pixels >= _WORTH_A_POOL:
        return "processes", "because the image is large"
    return "serial", "for one worker" if count == 1 else "because the image is small"


@contextlib.contextmanager
def started(choice: Choice, workers: int) -> Iterator[Executor]:
    """Have the executor for a while; end it, or keep it for the next run, unless it was passed."""
    if isinstance(choice.executor, Executor):
        yield choice.executor
        return
    made: list[Executor] = []
    keep = True
    try:
        with uninterrupted():  # an interrupt takes effect at the end of this
            made.append(_allowed(choice.executor, workers))
        yield made[0]
    except BaseException as error:
        keep = isinstance(error, ImgpipeError)
        for executor in made:
            if isinstance(executor, Supervised):
                executor.kill()  # a worker may be in the middle of anything
        raise
    finally:
        for executor in made:
            end = getattr(_loaded(choice.executor), "give_back", None) if keep else None
            if end is not None:
                end(executor)
            else:
                executor.shutdown(wait=True, cancel_futures=True)


def is_kept(choice: Choice) -> bool:
    """Return whether there may be an executor that an earlier run has started."""
    if isinstance(choice.executor, Executor):
        return False
    asked = getattr(_loaded(choice.executor), "is_kept", None)
    return asked is not None and bool(asked())


def _loaded(name: str) -> Callable[[int], Executor]:
    """Import the maker of an executor; Python may be too near its end for that."""
    try:
        return cast("Callable[[int], Executor]", EXECUTORS.load(name))
    except RuntimeError as error:
        raise refused(error) or error from error


def _allowed(name: str, workers: int) -> Executor:
    make = _loaded(name)
    try:
        executor = make(workers)
    except ImgpipeError:
        raise
    except Exception as error:
        if name in EXECUTORS.built_in:
            raise refused(error) or error from error
        raise WorkerError(
            f"the executor {name!r} cannot be started ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(executor, Executor):
        raise UsageError(
            f"the executor {name!r} comes from {EXECUTORS[name].module}, which made "
            f"{shown(executor)}, not a concurrent.futures.Executor; update or remove that package"
        )
    return executor
