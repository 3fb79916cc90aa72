"""Audience of a batch: people at standard error, programs at standard output, and files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchObserver,
    BatchPlanned,
    OutputEnded,
)
from imgpipe.batches.progress.display import ProgressMode, display_for
from imgpipe.batches.progress.eventlines import EventLines
from imgpipe.batches.progress.wording import one_line, outcome_line
from imgpipe.batches.results import Result
from imgpipe.cli import signals
from imgpipe.cli.messages import log_through, printable, say
from imgpipe.cli.scope import STANDARD
from imgpipe.cli.standard import events_only
from imgpipe.contexts import HoldingContext
from imgpipe.errors import OutputError, UsageError
from imgpipe.timeline import Timeline

__all__ = ["Audience"]

_STOPPING = "stopping: tasks that are nearly done are completed; "
_AT_ONCE = {True: "press Ctrl-C again to end at once", False: "a second signal ends it at once"}


class Audience(HoldingContext):
    """The observers of a batch, which it is told through a call.

    It is a context: observers end with it, and after all others the line that tells how to go on.

    Parameters
    ----------
    params : mapping
        The parameters of the command.

    Attributes
    ----------
    planned : bool
        Whether the batch has begun to write.
    timelines : list of Timeline
        Observers of the engine.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__()
        self._params = params
        self._observers: list[BatchObserver] = []
        self._resume: str | None = None
        self._signal_told = False
        self.planned = False
        self._untold: tuple[type, ...] = ()  # events not shown to people
        if params["quiet"] or params["dry_run"]:
            self._untold += (BatchEnded,)
        if params["dry_run"] and not params["json"]:
            self._untold += (BatchPlanned,)
        self.timelines: list[Timeline] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as entered:
            self._enter(entered)
            self._held = entered.pop_all()
        return self

    def _enter(self, held: contextlib.ExitStack) -> None:
        if self._params["json"]:
            lines = held.enter_context(EventLines(held.enter_context(events_only())))
            self._observers.append(lines)
        people = display_for(self._mode(), sys.stderr)
        if isinstance(people, contextlib.AbstractContextManager):
            held.enter_context(people)
        self._say: Callable[[str], object] = people.say
        self._people = people
        held.enter_context(log_through(people.say))

    def begin_files(self) -> None:
        """Begin the files that are wanted.

        Raises
        ------
        UsageError
            If one cannot be written, or would take the place of a source.
        """
        try:
            self._begin_files()
        except OutputError as error:  # nothing has begun
            raise UsageError(str(error)) from error

    def _begin_files(self) -> None:
        params = self._params
        if path := self._path("failed_to"):
            from imgpipe.batches.progress.failedlist import FailedList  # noqa: PLC0415 - rarely wanted

            self._add(FailedList(path, null=params["null"]))
        if path := self._path("report"):
            from imgpipe.reportpages.writing import ReportFile  # noqa: PLC0415 - rarely wanted

            self._add(ReportFile(path))
        if path := self._path("timeline"):
            ends = ", ".join(params["inputs"] or params["files_from"]), params["output"]
            title = one_line(" → ".join(filter(None, ends)))
            self.timelines.append(self._held.enter_context(Timeline(path, title=title)))

    def __call__(self, event: BatchEvent) -> None:
        """Tell `event` to all."""
        if self.planned and not self._signal_told and signals.received():
            self._signal_told = True
            self._say(_STOPPING + _AT_ONCE[signals.received() == "SIGINT"])
        self.planned |= isinstance(event, BatchPlanned)
        seen = event
        if isinstance(event, BatchEnded):
            if event.report.left or not self._params["quiet"]:
                self._resume = event.resume
            seen = replace(event, resume=None)  # it is the last line of all
            for timeline in self.timelines:
                timeline.outcome = outcome_line(event.report)
        if not isinstance(event, self._untold):
            self._people(seen)
            if self._params["verbose"] and isinstance(event, OutputEnded):
                self._show_whole_message(event.result)
        for observer in self._observers:
            observer(event)

    def close(self, error: BaseException | None = None) -> None:
        """End the observers, then print the verdicts and the command that goes on."""
        super().close(error)
        for one in self.timelines:
            if error is None and not self._params["quiet"]:
                say(f"{one.name}: {one.verdict.sentence}")
        if self._resume:
            listed = STANDARD in self._params["files_from"]  # which is gone once it is read
            condition = ", with the same list on standard input" if listed else ""
            say(f"to go on{condition}: {self._resume}")

    def _show_whole_message(self, result: Result) -> None:
        """Tell the whole message of a failure, such as a traceback."""
        if result.error is not None and "\n" in (text := str(result.error)):
            self._say(printable(text))

    def _mode(self) -> ProgressMode:
        params = self._params
        if params["quiet"]:
            return "none"
        mode: ProgressMode = params["progress"]
        return "lines" if params["verbose"] and mode == "auto" else mode

    def _add(self, observer: Any) -> None:
        self._observers.append(self._held.enter_context(observer))

    def _path(self, name: str) -> str | None:
        """Return the path that an option gives, which must not be that of a source."""
        path: str | None = self._params[name]
        if path is not None:
            sources = map(os.path.realpath, self._params["inputs"])
            if os.path.realpath(path) in sources:
                raise UsageError(f"{path}: is a source; give the other file another name")
        return path
