"""Stopping: the end of a batch by a signal, its caller, a fault, or too many failures.

A signal, or a caller who goes away, stops it: nothing new starts, small files that are being made
have two seconds, large ones end at once. So does a failure that is no file's fault, such as a full
disk. After too many failures nothing new starts, and what is being made is finished.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from imgpipe.batches.faults import fault_in
from imgpipe.batches.results import StoppedBy
from imgpipe.errors import Cancelled
from imgpipe.records import dataclass

__all__ = ["BatchControl", "Tolerance", "fault_of"]

GRACE_SECONDS = 2.0
"""Seconds that small files have to be finished."""

_ENOUGH = 20  # files that have ended, before a share of them means anything


class BatchControl:
    """The handle of a batch for signal handlers and other threads.

    Attributes
    ----------
    stopped_by : str or None
        The reason why the batch stopped, for programs.
    reason : str
        The same in words, for people; empty where `stopped_by` says it all.
    signal : str or None
        The name of the signal that stopped it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stopped_by: StoppedBy | None = None
        self.reason = ""
        self.signal: str | None = None
        self._clock, self._since = clock, 0.0
        self._wake: Callable[[], None] = lambda: None

    def stop(self, signal: str | None = None) -> None:
        """Stop the batch; `signal` is the name of the signal that asks for it.

        It may be called at any time, by any thread and by a signal handler.
        """
        self.signal = self.signal or signal
        self.halt("signal")

    def halt(self, cause: StoppedBy, reason: str = "") -> None:
        """Stop the batch for a reason; the first one counts, but a signal is more urgent."""
        urgent = cause == "signal" and self.stopped_by in ("fail_fast", "max_failures")
        if self.stopped_by is None or urgent:
            self._since = self._clock()
            self.stopped_by, self.reason = cause, reason
            self._wake()

    @property
    def stopped(self) -> bool:
        """Return whether nothing new may start."""
        return self.stopped_by is not None

    @property
    def hurries(self) -> bool:
        """Return whether large files end at once, and small ones soon."""
        return self.stopped_by not in (None, "max_failures")

    @property
    def seconds_left(self) -> float:
        """Seconds that small files have, if the batch `hurries`."""
        return self._since + GRACE_SECONDS - self._clock()

    def check(self) -> None:
        """Raise if small files that are being made have no more time.

        Raises
        ------
        Cancelled
            If that is so.
        """
        if self.hurries and self.seconds_left <= 0:
            raise Cancelled("stopped before it was complete")

    def attach(self, wake: Callable[[], None]) -> None:
        """Set the function that wakes the loop of the batch."""
        self._wake = wake
        if self.stopped:
            wake()


@dataclass(frozen=True)
class Tolerance:
    """The failures that a batch bears.

    Attributes
    ----------
    fail_fast : bool
        Whether it bears none.
    most : int, str or None
        The number of files, or the share such as ``"5%"``, at which it stops.
    """

    fail_fast: bool = False
    most: int | str | None = None

    def verdict(self, failed: int, ended: int) -> StoppedBy | None:
        """Return the reason to stop a batch with so many failures among the ended files."""
        if not failed:
            return None
        if self.fail_fast:
            return "fail_fast"
        if self.most is None:
            return None
        text = str(self.most)
        number = int(text.removesuffix("%"))
        if text.endswith("%"):
            too_many = ended >= _ENOUGH and 100 * failed >= number * ended
        else:
            too_many = failed >= number
        return "max_failures" if too_many else None


def fault_of(
    stage: str, number: int, root: str | None, folder: str
) -> tuple[StoppedBy, str] | None:
    """Return the fault that stops the batch, if a failure is not the fault of its file.

    Parameters
    ----------
    stage : str
        The step that failed.
    number : int
        The number of the error of the system; 0 if there was none.
    root : str or None
        The folder where the tree of the source begins; None if it does not matter.
    folder : str
        The output folder.

    Returns
    -------
    (str, str) or None
        The reason to stop, for programs and in words; None if it is the fault of the file.
    """
    if not os.path.isdir(folder):
        return "output_lost", f"the output folder {folder} is gone"
    match fault_in(stage, number):
        case "no_space":
            return "no_space", f"there is no space left in {folder}; free some"
        case "lost":
            return "output_lost", f"{folder} cannot be written any more: {os.strerror(number)}"
        case "files":
            return "output_lost", "too many files are open; raise the limit (ulimit -n)"
    if root is not None and not os.path.isdir(root or os.curdir):
        return "output_lost", f"the folder {root} with the sources is gone"
    return None
