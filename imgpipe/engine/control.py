"""Control: progress and stopping of a run, for other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

from imgpipe.errors import Cancelled

__all__ = ["Control"]


class Control:
    """The handle of one run for other threads.

    Parameters
    ----------
    samples_memory : bool, default True
        Have the report tell the memory that the run takes. To sample it takes time as well.

    Attributes
    ----------
    progress : float
        Share of the work that is done, from 0 to 1.
    call_back : callable
        Has calls end after the items that are under way. Only the loop of the crew may do that.
    """

    def __init__(self, *, samples_memory: bool = True) -> None:
        self.samples_memory = samples_memory
        self.progress = 0.0
        self.call_back: Callable[[], None] = lambda: None
        self._stopped = threading.Event()
        self._wake: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Ask the run to end."""
        self._stopped.set()
        self._wake()

    def check(self) -> None:
        """Raise if the run is to end.

        Raises
        ------
        Cancelled
            If `stop` has been called.
        """
        if self._stopped.is_set():
            raise Cancelled("stopped before it was complete")

    def attach(self, wake: Callable[[], None]) -> None:
        """Set the function that wakes the run up."""
        self._wake = wake
        if self._stopped.is_set():
            wake()
