"""Isolated checks: in another process, which the function may crash, end or hang without harm."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
import time
from concurrent.futures import BrokenExecutor, Future, wait

import numpy as np

from imgpipe import arguments
from imgpipe.admission import Alpha
from imgpipe.chains.chain import Filter
from imgpipe.chains.serialization import by_value
from imgpipe.checking.comparison import checked
from imgpipe.checking.report import CheckReport
from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.errors import FilterTimeout, WorkerError
from imgpipe.events import Compared, Event, Observer
from imgpipe.executors.choice import choose, started
from imgpipe.image import Pixels

__all__ = ["check_apart"]

_COUNTS = np.zeros(2, np.int64)  # comparisons made, and in all
_LOOK_SECONDS = 0.1


def check_apart(
    filter: Filter,
    image: str | None = None,
    timeout: float | None = None,
    *,
    alpha: Alpha = None,
    known: bool = True,
    on_event: Observer | None = None,
) -> CheckReport:
    """Run `check` in another process.

    Parameters
    ----------
    filter : Filter
        The filter to check.
    image : str, optional
        As for `check`.
    timeout : float, optional
        Seconds that all of it may take.
    alpha : int, "last" or "none", optional
        As for `check`.
    known : bool
        Whether its halo is known; otherwise it is looked for.
    on_event : callable, optional
        Told in this process how many comparisons have been made.

    Returns
    -------
    CheckReport
        The findings.

    Raises
    ------
    WorkerError
        If the function ends its process.
    FilterTimeout
        If it is not done in time.
    """
    if timeout is not None:
        timeout = arguments.seconds(timeout, "timeout")
    sent = by_value((filter, image, alpha, timeout, known), filter.name)
    choice = choose("processes", 1, trusted=False, pixels=0)
    with (
        contextlib.closing(Buffers(1, _COUNTS.nbytes, shared=True)) as buffers,
        started(choice, workers=1) as executor,
    ):
        (slot,) = buffers.slots
        future = executor.submit(_checked, sent, slot)
        try:
            if on_event is not None:
                _follow(future, slot, filter.name, on_event)
            return future.result()
        except BrokenExecutor:
            reason = executor.rebuild(future).reason  # type: ignore[attr-defined]
    ending, *trace = reason.splitlines()
    if ending.startswith("timeout"):
        said = f"the check did not finish within its {ending}"
        trace.append("Allow more time (--timeout), or fix the function")
        raise FilterTimeout("\n".join((f"{filter.name}: {said}", *trace)))
    said = f"the function crashed (it ended its process by {ending})"
    raise WorkerError("\n".join((f"{filter.name}: {said}", *trace)))


def _follow(future: Future[CheckReport], slot: Slot, name: str, on_event: Observer) -> None:
    """Report the number of comparisons of the other process until it ends."""
    counts = _counts(slot)
    while not wait([future], timeout=_LOOK_SECONDS).done:
        done, total = map(int, counts)
        if done:
            on_event(Compared(time=time.monotonic(), name=name, done=done, total=total))


def _counts(slot: Slot) -> Pixels:
    return slot.array(_COUNTS.shape, _COUNTS.dtype)


def _checked(sent: bytes, slot: Slot) -> CheckReport:
    """Do it, in the other process."""
    counts = _counts(slot)

    def count(event: Event) -> None:
        if isinstance(event, Compared):
            counts[:] = event.done, event.total

    one, image, alpha, timeout, known = pickle.loads(sent)  # noqa: S301 - from our own parent
    if timeout is not None:
        faulthandler.dump_traceback_later(timeout, exit=True, file=2)  # the log of the pool
    try:
        return checked(one, image, alpha, known=known, on_event=count)
    finally:
        faulthandler.cancel_dump_traceback_later()
