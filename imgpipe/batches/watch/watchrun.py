"""Watch run: a watch from its start to its stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from imgpipe.batches.batchrun import started_of
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchObserver,
    BatchPlanned,
    BatchRefused,
    Heartbeat,
    OutputEnded,
)
from imgpipe.batches.preparation import Prepared, prepare
from imgpipe.batches.results import BatchReport, Result, exit_code
from imgpipe.batches.stopping import BatchControl
from imgpipe.batches.watch.folders import left_out, must_be_apart
from imgpipe.batches.watch.hints import Hints, hints_for
from imgpipe.batches.watch.inbox import Inbox, WatchSettings
from imgpipe.batches.watch.scan import Scanner
from imgpipe.batches.watch.verdicts import Judge
from imgpipe.batches.watch.watcher import Watcher
from imgpipe.batches.watch.watchfeed import WatchFeed
from imgpipe.batches.work.loop import make_outputs
from imgpipe.errors import MemoryPlanError, UsageError

__all__ = ["HEARTBEAT_SECONDS", "WatchRun"]

HEARTBEAT_SECONDS = 60.0
"""Seconds between two signs of life."""

_MOST_FAILURES = 1000  # that the report keeps


class WatchRun:
    """The run of a watch.

    Parameters
    ----------
    choices : Choices
        Arguments of the batch. Their only source is the watched folder.
    settings : WatchSettings
        Settings of the watch.
    on_batch_event : callable
        Gets every event.
    control : BatchControl, optional
        Stops it.
    stop : threading.Event, optional
        Stops it as well, when it is set.
    hints : Hints, optional
        Gives the hints.
    clock : callable
        Returns seconds.

    Attributes
    ----------
    report : BatchReport
        Facts about it so far, with the latest failures.
    exit : int
        The exit code, once it is over: 0 unless a full disk or the like has stopped it.
    """

    def __init__(
        self,
        choices: Choices,
        settings: WatchSettings,
        on_batch_event: BatchObserver = lambda _: None,
        control: BatchControl | None = None,
        stop: threading.Event | None = None,
        hints: Hints | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.report, self.exit = BatchReport(waited=True), 0
        self.control = control or BatchControl()
        self._choices, self._settings, self._on_batch_event = choices, settings, on_batch_event
        self._stop, self._clock = threading.Event() if stop is None else stop, clock
        self._hints = hints or hints_for(settings.poll)
        self._began = self._beat = clock()
        self._inbox: Inbox | None = None

    def run(self) -> None:
        """Watch until it is stopped.

        Raises
        ------
        UsageError
            If the watch is refused; nothing was written.
        ImgpipeError
            If no file can be made, for want of memory or of workers. Finished outputs are kept.
        """
        self._began = self._beat = self._clock()
        try:
            self._on_batch_event(started_of(self._choices))
            with self._prepared() as prepared:
                self._watch(prepared)
        except BaseException as error:
            self._refuse(error)
            raise
        self._end()

    def _prepared(self) -> Prepared:
        """Return the output folder, ready for files that are to come."""
        choices = self._choices
        (inbox,) = choices.sources
        if choices.naming.is_numbered:
            raise UsageError("{index} in a name needs all files at once; a watch cannot have it")
        settings = {
            "move_done": self._settings.move_done,
            "move_failed": self._settings.move_failed,
        }
        moves = {name: folder for name, folder in settings.items() if folder is not None}
        must_be_apart(inbox, choices.folder, moves)
        outputs = left_out(list(moves.values()))
        rules = replace(choices.rules, outputs=(*choices.rules.outputs, *outputs))
        return prepare(replace(choices, rules=rules), later=True)

    def _watch(self, prepared: Prepared) -> None:
        (source,) = self._choices.sources
        feed = WatchFeed()
        scanner = Scanner(source, prepared.choices.rules)
        inbox = Inbox(scanner, Judge(prepared), feed, self._hints, self._settings, self._clock)
        with contextlib.ExitStack() as held:
            held.callback(inbox.end)
            passed_over = inbox.begin()
            self._inbox = inbox
            self.report.passed_over.update(passed_over)
            waiting = inbox.waiting
            to_do = {"": waiting * len(prepared.choices.recipe.tails)}
            keeping = held.enter_context(Watcher(inbox, self.control.stop, self._clock))
            self._observe(BatchPlanned(inbox.seen, passed_over, inbox.seen - waiting, to_do))
            for result in make_outputs(prepared, self._observe, self.control, self.report, feed):
                feed.ended(result)
                del self.report.failures[:-_MOST_FAILURES]
        self._pulse()
        self.report.left = inbox.waiting + inbox.running
        if keeping.error is not None:
            raise keeping.error

    def _observe(self, event: BatchEvent) -> None:
        """Report an event of the batch, and the changes of the folder."""
        self._on_batch_event(event)
        self._pulse()

    def _pulse(self) -> None:
        """Report the changes of the folder, and give a sign of life when it is time."""
        if self._stop.is_set():
            self.control.stop()
        inbox = self._inbox
        assert inbox is not None
        while inbox.notices:
            notice = inbox.notices.popleft()
            if isinstance(notice, Result):
                self.report.add(notice)
                self._on_batch_event(OutputEnded(notice))
            else:
                self._on_batch_event(notice)
        if self._clock() >= self._beat:
            self._beat += HEARTBEAT_SECONDS
            report = self.report
            self._on_batch_event(
                Heartbeat(
                    inbox.waiting, inbox.running, report.done, report.failed, inbox.present,
                    inbox.polling,
                )
            )  # fmt: skip

    def _end(self) -> None:
        report, control = self.report, self.control
        report.stopped_by, report.stopped_because = control.stopped_by, control.reason
        report.seconds = self._clock() - self._began
        self.exit = 0 if report.stopped_by == "signal" else exit_code(report)
        self._on_batch_event(BatchEnded(self.exit, report, interrupted=control.signal))

    def _refuse(self, error: BaseException) -> None:
        self.report.seconds = self._clock() - self._began
        wrong = isinstance(error, UsageError | MemoryPlanError)
        self.exit = getattr(error, "exit_code", 2 if wrong else 1)
        self._on_batch_event(BatchRefused(self.exit, error, self.report))
