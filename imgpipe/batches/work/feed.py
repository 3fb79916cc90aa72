"""Feed: the files of a batch, in the order of their work."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection
from typing import Protocol

from imgpipe.batches.agenda import Due
from imgpipe.batches.choices import Order

__all__ = ["AgendaFeed", "Feed"]


class Feed(Protocol):
    """The place where due files come from."""

    @property
    def exhausted(self) -> bool:
        """Return whether there is no file, now and later."""

    def __len__(self) -> int:
        """Return the number of files that are known to come."""

    def next(self) -> Due | None:
        """Return the next file; None if there is none just now."""

    def attach(self, wake: Callable[[], None]) -> None:
        """Set the function to call, from any thread, when there are files again."""


class AgendaFeed:
    """The files of an agenda.

    Parameters
    ----------
    due : collection of Due
        The files.
    order : {"round-robin", "fifo", "largest-first", "random"}
        Their order. The first two keep the one of the agenda. The largest files are those of the
        most bytes.
    seed : int, optional
        Start of the random order.
    """

    def __init__(
        self, due: Collection[Due], order: Order = "round-robin", seed: int | None = None
    ) -> None:
        if order == "random":
            due = list(due)
            random.Random(seed).shuffle(due)  # noqa: S311 - no secret depends on it
        elif order == "largest-first":
            due = sorted(due, key=_size_of, reverse=True)
        self._files, self._left = iter(due), len(due)

    @property
    def exhausted(self) -> bool:
        """Return whether there is no file left."""
        return not self._left

    def __len__(self) -> int:
        return self._left

    def next(self) -> Due | None:
        """Return the next file, None if none is left."""
        self._left = max(0, self._left - 1)
        return next(self._files, None)

    def attach(self, wake: Callable[[], None]) -> None:
        """Do nothing: there is nothing to wait for."""


def _size_of(due: Due) -> int:
    try:
        return os.stat(due.found.path).st_size
    except OSError:
        return 0
