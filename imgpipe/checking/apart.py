"""A check in a process of its own, which a function may crash, end or hang without harm."""

from __future__ import annotations

import faulthandler
import pickle
from concurrent.futures import BrokenExecutor

from imgpipe.checking.comparing import checked
from imgpipe.checking.report import CheckReport
from imgpipe.errors import FilterTimeout, WorkerError
from imgpipe.executors.choice import choose, started
from imgpipe.filters.base import Filter
from imgpipe.sending import by_value

__all__ = ["check_apart"]


def check_apart(
    filter: Filter, image: str | None = None, timeout: float | None = None, *, known: bool = True
) -> CheckReport:
    """Do what `check` does in another process.

    Parameters
    ----------
    filter : Filter
        What to check.
    image : str, optional
        As for `check`.
    timeout : float, optional
        Seconds that all of it may take.
    known : bool
        Whether its halo is known; otherwise it is looked for.

    Returns
    -------
    CheckReport
        What was found.

    Raises
    ------
    WorkerError
        If the function ends its process.
    FilterTimeout
        If it is not done in time.
    """
    sent = by_value((filter, image, timeout, known), filter.name)
    choice = choose("processes", 1, trusted=False, pixels=0)
    with started(choice, workers=1) as executor:
        future = executor.submit(_checked, sent)
        try:
            return future.result()
        except BrokenExecutor:
            reason = executor.rebuild(future).reason  # type: ignore[attr-defined]
    how, *where = reason.splitlines()
    if how.startswith("timeout"):
        said = f"the check was not done in time{how.removeprefix('timeout')}"
        where.append("Allow more (--timeout), or mend the function")
        raise FilterTimeout("\n".join((f"{filter.name}: {said}", *where)))
    said = f"its function ended the process that checked it, by {how}"
    raise WorkerError("\n".join((f"{filter.name}: {said}", *where)))


def _checked(sent: bytes) -> CheckReport:
    """Do it, in the other process."""
    one, image, timeout, known = pickle.loads(sent)  # noqa: S301 - from our own parent
    if timeout is not None:
        faulthandler.dump_traceback_later(timeout, exit=True, file=2)  # the log of the pool
    try:
        return checked(one, image, known=known)
    finally:
        faulthandler.cancel_dump_traceback_later()
