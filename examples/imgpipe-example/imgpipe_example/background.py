"""Background: worker processes with the lowest priority, so that other programs go first."""

import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor

from imgpipe.executors.base import Traits


class Background(ProcessPoolExecutor):
    """The process pool of the standard library; its workers are as nice as they can be.

    Parameters
    ----------
    workers : int
        Their number.
    """

    traits = Traits(shares_memory=True, shares_files=True, isolates=True)

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        super().__init__(workers, context, initializer=os.nice, initargs=(19,))


def background(workers: int) -> Executor:
    """Return an executor. imgpipe shuts it down at the end of the run."""
    return Background(workers)
