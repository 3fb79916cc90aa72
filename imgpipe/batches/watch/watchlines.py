"""Lines of a watch, for people at standard error."""

from __future__ import annotations

import contextlib
from typing import TextIO

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    Heartbeat,
    OutputEnded,
    WatchNotice,
)
from imgpipe.batches.progress.warningtally import WarningTally
from imgpipe.batches.progress.wording import one_line, passed_over_line, summary_line
from imgpipe.batches.results import Result
from imgpipe.plurals import counted

__all__ = ["WatchLines"]


class WatchLines:
    """An observer that writes lines: failures and notices at once, counts once a minute.

    Parameters
    ----------
    file : text file
        The file for the lines.
    inbox : str
        The folder that is watched.
    quiet : bool
        Leave out all but failures, notices and warnings.
    verbose : bool
        Write a line for every output.
    """

    def __init__(
        self, file: TextIO, inbox: str, *, quiet: bool = False, verbose: bool = False
    ) -> None:
        self._file, self._inbox, self._quiet, self._verbose = file, inbox, quiet, verbose
        self._tally = WarningTally()
        self._counts = ""

    def __call__(self, event: BatchEvent) -> None:
        """Write the lines about `event`."""
        match event:
            case BatchPlanned() if not self._quiet:
                there = f"watching {self._inbox}: {counted(event.sources, 'file')} found"
                passed = passed_over_line(event.passed_over)
                self.say("; ".join(filter(None, [there, passed])))
            case OutputEnded():
                self._end(event.result)
            case WatchNotice():
                self.say(one_line(event.message))
            case Heartbeat() if not self._quiet:
                self._beat(event)
            case BatchEnded():
                for line in self._tally.rest():
                    self.say(line)
                if not self._quiet:
                    self.say(summary_line(event.report))

    def _end(self, result: Result) -> None:
        """Write the end of an output."""
        if self._verbose and result.status != "failed":
            self.say(one_line(f"{result.status}: {result.output}"))
        for line in self._tally.note(result):
            self.say(line)

    def _beat(self, beat: Heartbeat) -> None:
        """Write how many files there are, if that has changed."""
        parts = [f"{beat.done:,} done", f"{beat.failed:,} failed" if beat.failed else ""]
        parts += [f"{beat.running:,} running" if beat.running else ""]
        parts += [f"{beat.waiting:,} waiting" if beat.waiting else ""]
        counts = ", ".join(filter(None, parts))
        if counts != self._counts and (self._counts or beat.done or beat.waiting):
            self.say(counts)
        self._counts = counts

    def say(self, line: str) -> None:
        """Write a line."""
        with contextlib.suppress(OSError, ValueError):  # the reader may be gone
            print(line, file=self._file, flush=True)
