"""A check in a process of its own, which a function may crash, end or hang without harm."""

from __future__ import annotations

import faulthandler
import pickle
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from typing import Any

from imgpipe.checking.comparing import check
from imgpipe.checking.report import CheckReport
from imgpipe.errors import FilterTimeout, WorkerError
from imgpipe.executors.choice import choose, started
from imgpipe.filters.base import Filter, FilterFactory
from imgpipe.filters.callables import name_of
from imgpipe.sending import by_value

__all__ = ["check_apart"]


def check_apart(
    filter: Filter | FilterFactory | Callable[..., Any],
    image: str | None = None,
    timeout: float | None = None,
) -> CheckReport:
    """Do what `check` does in another process.

    Parameters
    ----------
    filter, image
        As for `check`.
    timeout : float, optional
        Seconds that all of it may take.

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
    sent = by_value((filter, image, timeout), _name(filter))
    choice = choose("processes", 1, trusted=False, pixels=0)
    with started(choice, workers=1) as executor:
        try:
            return executor.submit(_checked, sent).result()
        except BrokenExecutor:
            reason = executor.rebuild()  # type: ignore[attr-defined]
    how, *where = reason.splitlines()
    if how.startswith("timeout"):
        said = f"the check was not done in time{how.removeprefix('timeout')}"
        where.append("Allow more (--timeout), or mend the function")
        raise FilterTimeout("\n".join((f"{_name(filter)}: {said}", *where)))
    said = f"its function ended the process that checked it, by {how}"
    raise WorkerError("\n".join((f"{_name(filter)}: {said}", *where)))


def _checked(sent: bytes) -> CheckReport:
    """Do it, in the other process."""
    checked, image, timeout = pickle.loads(sent)  # noqa: S301 - from our own parent
    if timeout is not None:
        faulthandler.dump_traceback_later(timeout, exit=True, file=2)  # the log of the pool
    try:
        return check(checked, image)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _name(given: Any) -> str:
    return given.name if isinstance(given, Filter) else name_of(given)
