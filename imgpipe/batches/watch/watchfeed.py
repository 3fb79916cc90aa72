"""Watch feed: files from the watched folder to the batch, and their ends back.

The batch runs in one thread, and the folder is looked at by another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from imgpipe.batches.agenda import Due
from imgpipe.batches.results import Result
from imgpipe.batches.watch.stamps import Stamp, stamp_of

__all__ = ["FileEnded", "FileReturned", "WatchFeed"]


class FileReturned(NamedTuple):
    """Outputs of a file that changed or went away while it waited for its turn."""

    path: str
    outputs: int


class FileEnded(NamedTuple):
    """An output of a file that is done or skipped, or has failed."""

    path: str
    failed: bool


class WatchFeed:
    """Files that wait for the batch.

    Parameters
    ----------
    stamp : callable
        Returns the stamp of the file at a path.
    """

    def __init__(self, stamp: Callable[[str], Stamp | None] = stamp_of) -> None:
        self._stamp = stamp
        self._waiting: deque[tuple[Due, Stamp]] = deque()
        self._back: deque[FileReturned | FileEnded] = deque()
        self._wake_batch: Callable[[], None] = lambda: None
        self._wake_watch: Callable[[], None] = lambda: None
        self._closed = False

    # --- as the batch sees it -----------------------------------------------------------

    @property
    def exhausted(self) -> bool:
        """Return whether there is no file, now and later."""
        return self._closed and not self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> Due | None:
        """Return the next file; None if there is none just now."""
        while self._waiting:
            due, stamp = self._waiting.popleft()
            found = self._stamp(due.found.path)
            if found is not None and not found.differs(stamp):
                return due
            self._send(FileReturned(due.found.path, len(due.outputs)))
        return None

    def attach(self, wake: Callable[[], None]) -> None:
        """Set the function to call, from any thread, when there are files again."""
        self._wake_batch = wake

    def ended(self, result: Result) -> None:
        """Take note of the end of an output."""
        self._send(FileEnded(result.path, result.status == "failed"))

    def _send(self, message: FileReturned | FileEnded) -> None:
        self._back.append(message)
        self._wake_watch()

    # --- as the watch sees it -----------------------------------------------------------

    def put(self, due: Due, stamp: Stamp) -> None:
        """Add a file."""
        self._waiting.append((due, stamp))
        self._wake_batch()

    def back(self) -> list[FileReturned | FileEnded]:
        """Return the answers since the last call."""
        return [self._back.popleft() for _ in range(len(self._back))]

    def call(self, wake: Callable[[], None]) -> None:
        """Set the function to call, from any thread, when something comes back."""
        self._wake_watch = wake

    def close(self) -> None:
        """Add no more files."""
        self._closed = True
        self._wake_batch()
