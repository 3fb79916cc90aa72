"""Lines of progress, for standard error as a file, a pipe or a plain terminal.

There is a line at the start, one after ten seconds, then at intervals that grow to a minute, one
for each failure, and the summary. After three quarters of an hour the intervals grow further, so
that a log stays short however long the batch takes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TextIO

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    BatchScanning,
    OutputEnded,
)
from imgpipe.batches.progress.pace import Pace
from imgpipe.batches.progress.warningtally import WarningTally
from imgpipe.batches.progress.wording import duration, passed_over_line, summary_line
from imgpipe.plurals import counted

__all__ = ["ProgressLines", "amounts", "counts", "plan_line"]

_SCANNING = 1.0  # seconds until the walk is told
_FIRST = 10.0
_LONGEST = 60.0
_GROWTH = 1.5
_MANY = 45  # lines; from there on intervals grow beyond the longest
_LATE_GROWTH = 1.3


class ProgressLines:
    """An observer that writes lines for people.

    Parameters
    ----------
    file : text file
        The file for the lines.
    clock : function
        Returns seconds.
    quiet : bool, default False
        Leave out the lines at intervals and at the start.
    """

    def __init__(
        self, file: TextIO, clock: Callable[[], float] = time.monotonic, *, quiet: bool = False
    ) -> None:
        self._file, self._clock, self._quiet = file, clock, quiet
        self._pace = Pace(clock)
        self._tally = WarningTally()
        self._interval, self._told = _FIRST, 0
        self._due = clock() + _SCANNING

    def __call__(self, event: BatchEvent) -> None:
        """Take note of `event`."""
        self._pace(event)
        match event:
            case BatchScanning() if not self._quiet and self._clock() >= self._due:
                self.say(f"scanning: {counted(event.files, 'file')}")
                self._wait_longer()
            case BatchPlanned():
                self._interval, self._due = _FIRST, self._clock() + _FIRST
                if not self._quiet:
                    self.say(plan_line(event))
            case OutputEnded(result=result):
                for line in self._tally.note(result):
                    self.say(line)
            case BatchEnded():
                self._finish(event)
                return
        if self._pace.files and not self._quiet and self._clock() >= self._due:
            self.say(f"{counts(self._pace)}, {amounts(self._pace)}")
            self._wait_longer()

    def _wait_longer(self) -> None:
        self._told += 1
        if self._told > _MANY:
            self._interval *= _LATE_GROWTH
        else:
            self._interval = min(_LONGEST, self._interval * _GROWTH)
        self._due = self._clock() + self._interval

    def _finish(self, end: BatchEnded) -> None:
        for line in self._tally.rest():
            self.say(line)
        self.say(summary_line(end.report))
        if end.resume:
            self.say(f"to go on: {end.resume}")

    def say(self, line: str) -> None:
        """Write a line."""
        with contextlib.suppress(OSError, ValueError):  # the reader may be gone
            print(line, file=self._file, flush=True)


def plan_line(plan: BatchPlanned) -> str:
    """Return the numbers of outputs to make, of skipped ones, and of files passed over."""
    size = "" if plan.pixels is None else f" ({sum(plan.pixels.values()) / 1e6:,.1f} MP)"
    parts = [
        f"{counted(sum(plan.to_do.values()), 'image')} to make{size}",
        f"{plan.current:,} skipped" if plan.current else "",
        passed_over_line(plan.passed_over),
    ]
    return "; ".join(filter(None, parts))


def counts(pace: Pace) -> str:
    """Return the number of ended files, and of failed ones among them."""
    failed = f", {pace.failed:,} failed" if pace.failed else ""
    return f"{pace.ended:,} of {counted(pace.files, 'file')}{failed}"


def amounts(pace: Pace, room: int | None = None) -> str:
    """Return megapixels, speed and remaining time, as far as they are known.

    If there is not enough `room`, the speed is left out first, and then the total.
    """
    total = pace.megapixels
    about = "about " if pace.sampled else ""
    done = f"{pace.megapixels_done:,.1f}"
    size = f"{done} MP" if total is None else f"{done} of {about}{total:,.1f} MP"
    speed = f"{pace.rate:,.1f} MP/s" if pace.rate else ""
    remaining = pace.remaining
    left = "" if remaining is None else f"{duration(remaining)} left"
    choices = [", ".join(filter(None, parts)) for parts in
               ((size, speed, left), (size, left), (f"{done} MP", left))]  # fmt: skip
    return next((text for text in choices if room is None or len(text) <= room), choices[-1])
