"""Sizing of a batch: the number of workers, and the memory of each."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from imgpipe.acceleration import NONE
from imgpipe.accelerators.choice import Accelerating, accelerating, asked_for, possible
from imgpipe.chains.stages import Stage
from imgpipe.engine.budget import SPARE_BYTES, default_budget, granted, limit_to_give, too_large
from imgpipe.engine.costs import Footing, cost_of_processes
from imgpipe.executors.choice import Choice, choose
from imgpipe.machine import held_memory, is_dedicated
from imgpipe.options import Options

__all__ = [
    "accelerator_for",
    "choice_for",
    "footing_of",
    "limit_of",
    "must_have_memory",
    "readers_for",
    "remedy_for",
    "workers_that_fit",
]

_LARGE = 1 << 62  # pixels: more than could be made without workers
_LEAST_BYTES = 16 << 20  # of memory for each worker


def choice_for(options: Options) -> Choice:
    """Return the executor of a batch."""
    return choose(options.executor, options.workers, trusted=False, pixels=_LARGE)


def footing_of(options: Options) -> Footing:
    """Return the memory of the processes of a batch before the first file."""
    accelerated = possible(options.accelerator).name != NONE
    return Footing(held_memory(), is_dedicated(), accelerated=accelerated)


def accelerator_for(
    asked: str | None, stages: Iterable[Stage], pixels: float = _LARGE
) -> Accelerating:
    """Return the accelerator for these stages, of an image of so many pixels."""
    ours = (stage for stage in stages if stage.filter.definition.ours)
    work = [(stage.filter.name, str(stage.before.dtype)) for stage in ours]
    return accelerating(asked_for(asked), work, pixels)


def limit_of(options: Options) -> int:
    """Return the bytes that a batch may use."""
    assert not isinstance(options.max_memory, str)
    return default_budget() if options.max_memory is None else options.max_memory


def must_have_memory(options: Options) -> None:
    """Check that one worker has a little memory to work with.

    Raises
    ------
    MemoryPlanError
        If not: no image at all could be made.
    """
    footing = footing_of(options)
    limit, beside = granted(limit_of(options), footing)
    needed = cost_of_processes(choice_for(options).traits, 1, footing).processes + _LEAST_BYTES
    if needed > limit:
        usual = needed + _LEAST_BYTES  # some images need more than the least
        condition = ", even with one worker and small images"
        raise too_large("the batch", usual, limit, beside, condition=condition)


def workers_that_fit(choice: Choice, footing: Footing, total: int) -> int:
    """Return the number of workers of which each has a little memory to work with."""
    count = choice.workers
    while count > 1 and not isinstance(choice.executor, Executor):
        taken = cost_of_processes(choice.traits, count, footing).processes
        if taken + count * _LEAST_BYTES <= total:
            break
        count -= 1
    return count


def readers_for(workers: int) -> int:
    """Return the number of processes that only decode, beside so many workers."""
    return max(1, workers // 2)


def remedy_for(
    needed: Callable[[int], int],
    fitting: Callable[[int], int],
    workers: int,
    limit: int,
    beside: int = 0,
) -> tuple[str, str]:
    """Return the limit to give, and the advice to use fewer workers where that is enough.

    A higher limit may bring more workers, which need memory too.

    Parameters
    ----------
    needed : callable
        Returns the bytes that an image needs with so many workers.
    fitting : callable
        Returns the workers of a batch that may use so many bytes.
    workers : int
        The workers with which the image does not fit.
    limit : int
        The bytes that the batch may use.
    beside : int
        Bytes of them that are beside the limit in Python.
    """
    least, count = needed(workers), workers
    enough = least
    while (more := fitting(enough + 2 * SPARE_BYTES)) > count:
        enough, count = max(enough, needed(more)), more
    give = limit_to_give(enough + SPARE_BYTES, beside)
    if fewer := bisect.bisect_right(range(1, workers), limit - SPARE_BYTES, key=needed):
        option = f"workers={fewer}" if beside else f"-j {fewer}"
        return give, f", or use fewer workers ({option})"
    if count > workers:
        same = limit_to_give(least + SPARE_BYTES, beside, workers)
        return f"{same}, or {give} for more workers", ""
    return give, ""
