"""Chore: work that this process does itself, between two passes of an image.

Examples are copying to a scratch file and publishing the output. If other images are under way, a
chore has a thread of its own.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from imgpipe.cleanup import uninterrupted
from imgpipe.engine.feeds.base import Wake
from imgpipe.engine.flow import Worker, next_number
from imgpipe.engine.tasks import Task
from imgpipe.engine.worker import Receipt
from imgpipe.errors import Cancelled
from imgpipe.events import Event, Observer
from imgpipe.refusals import begin

__all__ = ["Chore"]


class Chore:
    """A flow without tasks.

    Parameters
    ----------
    work : callable
        Called once with a function that tells events and one that raises if it is to end.
    on_event : callable
        Gets the events, in the thread of the crew.
    check : callable
        Raises if the run is to end.
    aside : bool
        Whether it is worth a thread of its own where other images go on.
    """

    reads = False

    def __init__(
        self,
        work: Callable[[Observer, Callable[[], None]], Any],
        on_event: Observer,
        check: Callable[[], None],
        *,
        aside: bool = True,
    ) -> None:
        self.number, self.aside = next_number(), aside
        self.result: Any = None
        self._work, self._on_event, self._check_run = work, on_event, check
        self._events: deque[Event] = deque()
        self._error: BaseException | None = None
        self._ended = self._stopped = False
        self._thread: threading.Thread | None = None
        # It knows the folder of scratch files, and the listener of warnings about the image.
        self._context = contextvars.copy_context()

    @property
    def done(self) -> bool:
        """Return whether the work is done, and all its events are reported."""
        return self._ended and self._error is None and not self._events

    def start(self, wake: Wake | None) -> None:
        """Do the work, or with `wake` in a thread, which calls `wake` at its end."""
        if wake is None:
            self.result = self._context.run(self._work, self._on_event, self._check)
            self._ended = True
            return

        def run() -> None:
            try:
                self.result = self._work(self._events.append, self._check)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread of the crew
                self._error = error
            self._ended = True
            wake()

        self._thread = threading.Thread(
            target=self._context.run, args=(run,), name="imgpipe-chore", daemon=True
        )
        with uninterrupted():  # or it could run without being known to
            begin(self._thread)

    def next_task(self) -> Task | None:
        """Return nothing; pass the events so far on, and raise the failure of the work."""
        while self._events:
            self._on_event(self._events.popleft())
        if self._ended and self._error is not None:
            raise self._error
        return None

    def job_to_warm_up(self) -> None:
        """Return nothing: no worker takes part."""

    def land(self, task: Task, receipt: Receipt, worker: Worker) -> None:
        """Do nothing: there are no tasks."""

    def describe(self, task: Task) -> str:
        """Return an empty text: there are no tasks."""
        return ""

    def close(self) -> None:
        """Have the work end, if it has not."""
        self._stopped = True
        if self._thread is not None and self._thread.ident is not None:
            with uninterrupted():  # a thread whose `join` is interrupted counts as ended
                self._thread.join()

    def _check(self) -> None:
        if self._stopped:
            raise Cancelled("stopped before it was complete")
        self._check_run()
