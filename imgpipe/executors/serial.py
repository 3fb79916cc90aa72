"""Serial: an executor that does every task at once, in this thread. The reference, and ``-j 1``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

from imgpipe.executors.base import Traits

__all__ = ["SerialExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class SerialExecutor(Executor):
    """An executor without workers.

    Parameters
    ----------
    workers : int
        Of no effect.
    """

    at_once = True
    traits = Traits(shares_memory=True, shares_files=True, isolates=False, processors=1)

    def __init__(self, workers: int = 1) -> None:
        del workers

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` now; return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future tells
            future.set_exception(error)
        return future
