"""Feed: the way of the pixels to the workers, as a flow sees it.

A feed gives the input of one task after the other, and takes it back when the task has landed. Its
class knows the memory that this takes before there is a feed. A feed that reads has a thread of its
own, unless the executor works in this thread.
"""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from imgpipe.cleanup import uninterrupted
from imgpipe.engine.parts import Parts
from imgpipe.engine.tasks import Input
from imgpipe.errors import Cancelled
from imgpipe.formats.base import Check
from imgpipe.geometry import Box
from imgpipe.refusals import begin

__all__ = ["Feed", "ReadingFeed", "Span", "Wake"]

Wake = Callable[[], None]
Span = tuple[float, float, Box]
"""Start and end of the reading of a piece of the image, and its box."""


class Feed(Protocol):
    """The source of the inputs of the tasks of a flow."""

    @property
    def reads(self) -> bool:
        """Return whether it reads the image, and has not come to its end."""

    @property
    def exhausted(self) -> bool:
        """Return whether the input of every task was given, and nothing is left to be read."""

    def start(self, wake: Wake | None) -> None:
        """Begin; with `wake`, in a thread, which calls it whenever an input is ready.

        Raises
        ------
        MemoryPlanError, WorkerError
            If there is no memory, or no thread.
        """

    def take(self) -> Input | None:
        """Return the input of the next task, None if it is not ready.

        Raises
        ------
        InputError
            If it cannot be read.
        """

    def spans(self) -> list[Span]:
        """Return the pieces that were read since the last call."""

    def give_back(self, given: Input) -> None:
        """Take back the input of a task that has landed."""

    def close(self) -> None:
        """Stop reading and free the memory. Safe to call at any time, and twice."""


class ReadingFeed:
    """A feed that reads the image.

    Parameters
    ----------
    parts : Parts
        The tasks.
    check : callable
        Raises if the run is to end.
    """

    def __init__(self, parts: Parts, check: Check) -> None:
        self._parts, self._check_run = parts, check
        self._room: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ready: deque[Input] = deque()
        self._spans: deque[Span] = deque()
        self._given = 0
        self._stopped = self._ended = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def reads(self) -> bool:
        """Return whether it has not come to the end of the image."""
        return not self._ended and self._error is None

    @property
    def exhausted(self) -> bool:
        """Return whether the input of every task was given, and nothing is left to be read."""
        return self._ended and not self._ready and self._error is None

    def start(self, wake: Wake | None) -> None:
        """Begin; with `wake`, in a thread, which calls it whenever an input is ready."""
        with uninterrupted():  # or memory could be held without being known
            self._open(threaded=wake is not None)
        self._inputs = self._read()
        if wake is None:
            return
        context = contextvars.copy_context()  # which knows the folder of scratch files
        self._thread = threading.Thread(
            target=context.run, args=(self._work, wake), name="imgpipe-reader", daemon=True
        )
        with uninterrupted():  # or it could run without being known to
            begin(self._thread)

    def take(self) -> Input | None:
        """Return the input of the next task, None if it is not ready."""
        if self._thread is None:
            return self._taken_here()
        if self._ready:
            self._given += 1
            return self._ready.popleft()
        if self._error is not None:
            raise self._error
        return None

    def spans(self) -> list[Span]:
        """Return the pieces that were read since the last call."""
        return [self._spans.popleft() for _ in range(len(self._spans))]

    def give_back(self, given: Input) -> None:
        """Take back the input of a task that has landed."""

    def close(self) -> None:
        """Stop reading and free the memory."""
        self._stopped = True
        self._room.put(None)
        if self._thread is not None and self._thread.ident is not None:
            with uninterrupted():  # a thread whose `join` is interrupted counts as ended
                self._thread.join()
        elif hasattr(self, "_inputs"):
            self._inputs.close()

    def _open(self, *, threaded: bool) -> None:
        """Get the memory that is needed."""

    def _read(self) -> Any:
        """Yield the input of every task."""
        raise NotImplementedError

    def _check(self) -> None:
        """Raise if reading is to end; long work calls this now and then."""
        if self._stopped:
            raise Cancelled("the reader was stopped")
        self._check_run()

    def _take_room(self) -> Any:
        """Wait until there is room for one more input; return its slot."""
        slot = self._room.get()
        if slot is None:
            raise Cancelled("the reader was stopped")
        return slot

    @contextlib.contextmanager
    def _timed(self, box: Box) -> Iterator[None]:
        """Note the time that reading `box` takes."""
        started = time.monotonic()
        yield
        self._spans.append((started, time.monotonic(), box))

    def _taken_here(self) -> Input | None:
        if self._ended or (self._given < len(self._parts) and self._room.empty()):
            return None
        given: Input | None = next(self._inputs, None)
        self._ended = given is None
        self._given += given is not None
        return given

    def _work(self, wake: Wake) -> None:
        try:
            for given in self._inputs:
                self._ready.append(given)
                wake()
            self._ended = True
        except Cancelled:
            if not self._stopped:
                self._error = Cancelled("stopped before it was complete")
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the run
            self._error = error
        wake()
