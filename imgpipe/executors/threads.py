"""Threads: an executor for filters that release the GIL. Tasks and pixels are not copied."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from imgpipe.executors.base import Traits

__all__ = ["ThreadExecutor"]


class ThreadExecutor(ThreadPoolExecutor):
    """A pool of threads of this process.

    Parameters
    ----------
    workers : int
        Their number.
    """

    traits = Traits(shares_memory=True, shares_files=True, isolates=False)
    warms_up = True

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="imgpipe")
