"""Batch run: a batch from its start to its end, as events and results."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterator

from imgpipe import __version__
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchObserver,
    BatchRefused,
    BatchStarted,
    OutputEnded,
    SourceStarted,
)
from imgpipe.batches.preparation import Prepared, prepare
from imgpipe.batches.progress.resumecommand import resume_command
from imgpipe.batches.publishing.otherfiles import copied
from imgpipe.batches.results import BatchReport, Result, exit_code
from imgpipe.batches.stopping import BatchControl, fault_of
from imgpipe.batches.work.answers import failed
from imgpipe.batches.work.loop import make_outputs
from imgpipe.engine.budget import default_budget
from imgpipe.errors import Cancelled, MemoryPlanError, UsageError
from imgpipe.executors.choice import choose

__all__ = ["BatchRun", "started_of"]

_ANY = 1 << 62  # pixels: more than could be made without workers


class BatchRun:
    """A batch from its start to its end.

    Parameters
    ----------
    choices : Choices
        Its arguments.
    on_batch_event : callable
        Gets every event.
    control : BatchControl, optional
        Stops it.

    Attributes
    ----------
    report : BatchReport
        Facts about it so far.
    exit : int
        The exit code, once it is over.
    """

    def __init__(
        self,
        choices: Choices,
        on_batch_event: BatchObserver = lambda _: None,
        control: BatchControl | None = None,
    ) -> None:
        self.report, self.exit = BatchReport(), 0
        self.control = control or BatchControl()
        self._choices, self._on_batch_event = choices, on_batch_event
        self._began = time.monotonic()
        self._due = self._before = 0  # outputs to be made, and outputs ended before

    def results(self) -> Generator[Result, None, None]:
        """Yield the end of each output as soon as it is known.

        Raises
        ------
        UsageError
            If the batch is refused; nothing was written.
        ImgpipeError
            If no file can be made, for want of memory or of workers. Finished outputs are kept.
        """
        self._began = time.monotonic()
        try:
            self._pass_on(started_of(self._choices))
            prepared = prepare(self._choices, self._pass_on)
        except BaseException as error:
            self._refuse(error)
            raise
        with prepared, contextlib.closing(self._made(prepared)) as made:
            yield from made

    def _made(self, prepared: Prepared) -> Generator[Result, None, None]:
        """Yield the results of a batch that is prepared; report its end."""
        agenda = prepared.agenda
        self._due = agenda.reasons.total()
        self.report.passed_over.update(prepared.gathered.passed_over)
        try:
            yield from self._known(prepared)
            if agenda.due:
                yield from make_outputs(prepared, self._pass_on, self.control, self.report)
            yield from self._copied(prepared)
            if prepared.folder_times is not None:
                prepared.folder_times.set()
        except Exception as error:
            self._refuse(error)
            raise
        except BaseException as error:  # the caller has gone
            self.control.stop("SIGINT" if isinstance(error, KeyboardInterrupt) else None)
            self._end()
            raise
        self._end()

    def _pass_on(self, event: BatchEvent) -> None:
        try:
            self._on_batch_event(event)
        except Cancelled:
            self.control.stop()

    def _known(self, prepared: Prepared) -> Iterator[Result]:
        """Yield the results that are known before work begins."""
        skipped = (
            Result(each.found.path, prepared.path(each.output), "skipped", reason=each.reason)
            for each in prepared.agenda.skipped
        )
        for result in (*skipped, *prepared.lost):
            self.report.add(result)
            self._before = self.report.outputs
            self._pass_on(OutputEnded(result))
            yield result

    def _copied(self, prepared: Prepared) -> Iterator[Result]:
        """Copy the files that are no images, and yield the end of each."""
        control = self.control
        for due in prepared.agenda.copies:
            if control.stopped:
                return
            self._pass_on(SourceStarted(due.found.path))
            result = copied(due, prepared, lambda: control.stopped)
            if result is None:
                return
            if result.error is not None and result.stage is not None:
                number = failed("", result.stage, result.error, 0).number
                fault = fault_of(result.stage, number, "", prepared.folder)
                if fault is not None:
                    control.halt(*fault)
                    return
            self.report.add(result)
            self._pass_on(OutputEnded(result))
            yield result
            if result.error is not None and prepared.choices.fail_fast:
                control.halt("fail_fast")

    def _end(self) -> None:
        report, control = self.report, self.control
        report.left = left = self._due - (report.outputs - self._before)
        report.stopped_by = control.stopped_by
        report.stopped_because = control.reason
        report.seconds = time.monotonic() - self._began
        self.exit = exit_code(report, control.signal)
        choices = self._choices
        resume = resume_command(choices.command, choices.policy) if left or report.failed else ""
        self._pass_on(
            BatchEnded(
                self.exit,
                report,
                interrupted=control.signal,
                utilisation=report.utilisation,
                bottleneck=report.bottleneck,
                resume=resume or None,
            )
        )

    def _refuse(self, error: BaseException) -> None:
        self.report.seconds = time.monotonic() - self._began
        told = getattr(error, "exit_code", None)  # of a signal on the command line
        refused = isinstance(error, UsageError | MemoryPlanError)
        self.exit = told if isinstance(told, int) else 2 if refused else 1
        self._pass_on(BatchRefused(self.exit, error, self.report))


def started_of(choices: Choices) -> BatchStarted:
    """Return the first event of a batch."""
    options = choices.options
    choice = choose(options.executor, options.workers, trusted=False, pixels=_ANY)
    assert not isinstance(options.max_memory, str)
    return BatchStarted(
        time=time.time(),
        version=__version__,
        argv=("imgpipe", *choices.command),
        chain=", ".join(dict.fromkeys(str(tail.chain) for tail in choices.recipe.tails)),
        out=choices.folder,
        workers=choice.workers,
        max_memory=default_budget() if options.max_memory is None else options.max_memory,
        pid=os.getpid(),
        accelerator=str(choices.accelerator),
    )
