"""Watcher: the thread of the watched folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from imgpipe.batches.watch.inbox import Inbox
from imgpipe.contexts import Context

__all__ = ["Watcher"]

_PAUSE = 0.02  # seconds between two turns, so that events of the same moment come together


class Watcher(Context):
    """A thread that gives an inbox its turns. As a context, it ends.

    Parameters
    ----------
    inbox : Inbox
        The inbox, which has begun.
    failed : callable
        Called by the thread if it ends with an error.
    clock : callable
        The clock of the inbox.

    Attributes
    ----------
    error : BaseException or None
        The error that ended it.
    """

    def __init__(
        self,
        inbox: Inbox,
        failed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.error: BaseException | None = None
        self._inbox, self._failed, self._clock = inbox, failed, clock
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="imgpipe-watch", daemon=True)

    def __enter__(self) -> Self:
        self._inbox.attach(self._wake.set)
        self._thread.start()
        return self

    def close(self, error: BaseException | None = None) -> None:
        """End the thread."""
        self._over.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                later = self._inbox.turn()
                if not self._over.wait(_PAUSE):
                    self._wake.wait(max(0.0, later - self._clock()))
                    self._wake.clear()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error
            self._failed()
