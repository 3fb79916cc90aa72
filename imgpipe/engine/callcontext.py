"""Context of a call in a worker: times of its steps, time limit, note, and its end on request."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from imgpipe.engine.buffers import Slot
from imgpipe.engine.workernotes import asked_back, at_item

__all__ = ["CallContext", "Stopwatch", "timeout"]


class Stopwatch:
    """Seconds spent in each step of a task."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.spans: dict[str, float] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Add the seconds of a block to those of a step."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.spans[name] = self.spans.get(name, 0.0) + time.perf_counter() - begin


@contextmanager
def timeout(seconds: float | None) -> Iterator[None]:
    """End this process if the block takes longer than so many seconds."""
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)  # the log of the pool
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


class CallContext(NamedTuple):
    """The place of a call in a worker.

    Attributes
    ----------
    note : Slot or None
        Takes the whereabouts of the worker.
    timeout : float or None
        Seconds that an item may take.
    watch : Stopwatch or None
        Takes the seconds in each step.
    stopped : callable or None
        Whether calls are to end, beside what `note` says.
    check : callable
        Raises `Cancelled` if the item that is under way is to end, and its answer is not wanted.
    accelerator : str
        The accelerator that items may choose: ``"none"``, ``"auto"`` or a name.
    """

    note: Slot | None
    timeout: float | None
    watch: Stopwatch | None = None
    stopped: Callable[[], bool] | None = None
    check: Callable[[], None] = lambda: None
    accelerator: str = "none"

    @property
    def called_back(self) -> bool:
        """Return whether the call is to end after the item that is under way."""
        return asked_back(self.note) or (self.stopped is not None and self.stopped())

    def spent(self, seconds: Iterable[tuple[str, float]]) -> None:
        """Add the seconds in each step of an item to those of the call."""
        if self.watch is not None:
            for step, spent in seconds:
                self.watch.spans[step] = self.watch.spans.get(step, 0.0) + spent

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """Note that an item is under way, and time it."""
        with timeout(self.timeout), at_item(self.note, number):
            yield
