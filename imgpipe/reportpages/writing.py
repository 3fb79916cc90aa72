"""Report in a file: rows are written while the batch runs, the file appears at its end.

The suffix of the file decides what it is: a page, JSON or CSV. The rows of all of them are written
as they come, so that the memory does not grow with the batch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    BatchRefused,
    BatchStarted,
    OutputEnded,
)
from imgpipe.batches.results import BatchReport, Result
from imgpipe.contexts import Context
from imgpipe.errors import Cancelled, UsageError
from imgpipe.reportpages.page import Page
from imgpipe.reportpages.pictures import Pictures, small_pictures
from imgpipe.reportpages.tables import CommaTable, JsonTable
from imgpipe.sidefile import SideFile

__all__ = ["ReportFile", "check_report_name"]

_SUFFIXES = (".html", ".json", ".csv")


class Layout(Protocol):
    """A kind of report. All texts are written in UTF-8, one after the other."""

    def begin(self, started: BatchStarted | None, plan: BatchPlanned | None) -> str:
        """Return the text before the rows."""

    def row(self, result: Result) -> str:
        """Return the row of an output."""

    def end(self, end: BatchEnded | BatchRefused, seconds: float) -> str:
        """Return the text after the rows."""


class ReportFile(Context):
    """An observer that writes a report.

    The file appears when the context ends, also if the batch was stopped or failed. A batch that is
    refused has no report.

    Parameters
    ----------
    path : path-like
        The report: ``.html``, ``.json`` or ``.csv``.
    pictures : function, default `small_pictures`
        Makes the small pictures of a page.
    clock : function
        Returns seconds.

    Raises
    ------
    UsageError
        If the suffix is another one.
    OutputError
        If the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        pictures: Pictures = small_pictures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        suffix = check_report_name(path)
        kinds: dict[str, Callable[[], Layout]] = {
            ".html": lambda: Page(pictures), ".json": JsonTable, ".csv": CommaTable
        }  # fmt: skip
        self._layout = kinds[suffix]()
        self._file = SideFile(path)
        self._clock = clock
        self._begun = clock()
        self._started: BatchStarted | None = None
        self._planned = False
        self._end: BatchEnded | BatchRefused | None = None
        self._report = BatchReport()

    def close(self, error: BaseException | None = None) -> None:
        """Make the report appear, unless the batch was refused."""
        if not self._planned:
            self._file.abort()
            return
        if self._end is None:
            self._report.seconds = self._clock() - self._begun
            self._add_end(BatchRefused(1, error or Cancelled("ended early"), self._report))
        self._file.finish()

    def __call__(self, event: BatchEvent) -> None:
        """Take note of `event`."""
        match event:
            case BatchStarted():
                self._started = event
            case BatchPlanned() if not self._planned:
                self._planned = True
                self._report.passed_over.update(dict(event.passed_over))
                self._add(self._layout.begin(self._started, event))
            case OutputEnded(result=result) if self._planned and self._end is None:
                self._report.add(result)
                self._add(self._layout.row(result))
            case BatchEnded() | BatchRefused() if self._planned and self._end is None:
                self._add_end(event)

    def _add_end(self, end: BatchEnded | BatchRefused) -> None:
        self._add(self._layout.end(end, round(self._clock() - self._begun, 3)))
        self._end = end

    def _add(self, text: str) -> None:
        self._file.write(text.encode(errors="replace"))


def check_report_name(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a report.

    Raises
    ------
    UsageError
        If it is none that a report can have.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{os.fspath(path)}: a report is a .html, .json or .csv file; change the suffix of "
            "its name"
        )
    return suffix
