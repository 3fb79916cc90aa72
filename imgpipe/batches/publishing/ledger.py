"""Ledger: outputs from a worker to their places, and their records.

For every output the order is: a line in the journal that it is begun, its data on the disk, its
rename, a line that it is finished. Outputs are published in groups, because a disk takes as long
for one as for many.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from imgpipe.batches.events import BatchObserver, HeaderRead, OutputEnded, SourceStarted
from imgpipe.batches.journal.records import Record
from imgpipe.batches.naming.renaming import Renaming
from imgpipe.batches.naming.suffixes import is_renamed
from imgpipe.batches.preparation import Prepared
from imgpipe.batches.publishing.placement import Placement, Ready
from imgpipe.batches.results import BatchReport, Result, Stage, StoppedBy
from imgpipe.batches.stopping import BatchControl, Tolerance, fault_of
from imgpipe.batches.work.answers import Failed, File, Made, Output, failed
from imgpipe.batches.work.heldfiles import Finished, remove
from imgpipe.batches.work.job import Job
from imgpipe.errors import ImgpipeError, OutputError
from imgpipe.publish import explained, folder_made, sync_folder
from imgpipe.temporaries import sweep, temporary_beside

__all__ = ["Ledger"]

_GROUP = 64  # files that are published at once
_SECONDS = 0.5  # that an output waits for others


@dataclass(slots=True)
class _Waiting:
    """An output that is to be published."""

    job: Job
    made: Made
    finished: Finished


class Ledger:
    """The ledger of a batch.

    Parameters
    ----------
    prepared : Prepared
        The batch.
    report : BatchReport
        Counts the results.
    on_batch_event : callable
        Gets the events.
    control : BatchControl
        Is told to stop.
    clock : callable
        The time, in seconds.

    Attributes
    ----------
    results : deque of Result
        The ends of outputs, until they are taken.
    """

    def __init__(
        self,
        prepared: Prepared,
        report: BatchReport,
        on_batch_event: BatchObserver,
        control: BatchControl,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        choices = prepared.choices
        self.results: deque[Result] = deque()
        self._prepared, self._report, self._on_batch_event = prepared, report, on_batch_event
        self._control, self._clock = control, clock
        assert prepared.journal is not None
        self._journal = prepared.journal
        self._placing = Placement(choices, self._journal)
        self._renaming = Renaming(prepared)
        self._tolerance = Tolerance(choices.fail_fast, choices.max_failures)
        self._waiting: list[_Waiting] = []
        self._since = 0.0
        self._ended = self._failed = 0  # files
        self._folders: set[str] = set()
        self._unsynced: set[str] = set()  # folders with names of new folders in them
        self._unnoted: list[Ready] = []  # outputs that are in their places
        # A watch waits for a folder that is gone.
        self._waits = self._journal.live

    # --- the beginning ------------------------------------------------------------------

    def begin(self, jobs: Sequence[Job]) -> None:
        """Make ready for the outputs of files, and note that they are begun."""
        lines: dict[str, str] = {}
        for job in jobs:
            try:
                outputs = [self._room_for(output) for output in job.due.outputs]
            except OSError as error:
                path = self._prepared.path(job.due.outputs[0])
                told = OutputError(f"{path}: cannot write: {explained(error, path)}")
                told.__cause__ = error
                self.failed(job, failed(job.path, "write", told, job.pixels))
                continue
            job.file = File(job.path, tuple(outputs), job.due.tails, job.due.page)
            lines.update(
                (output, os.path.basename(each.temporary))
                for output, each in zip(job.due.outputs, outputs, strict=True)
            )
        if lines:
            with self._journalled():
                self._journal.begin(lines)
        for job in jobs:
            if job.file is not None and not job.told:
                job.told = True
                self._on_batch_event(SourceStarted(job.path, len(job.due.outputs)))

    def _room_for(self, output: str) -> Output:
        """Return an output whose folder is there, and swept once."""
        path = self._prepared.path(output)
        target = os.path.realpath(path) if os.path.islink(path) else path
        folder = os.path.dirname(target)
        if folder not in self._folders or self._waits:  # it may have been removed
            if not self._waits:
                self._must_be_there(folder)
            self._unsynced.update(folder_made(folder))
            sweep(folder or os.curdir)
            self._folders.add(folder)
        return Output(path, temporary_beside(target))

    def _must_be_there(self, folder: str) -> None:
        """Raise if a folder above was there and is gone: it is not made a second time."""
        os.stat(self._prepared.folder)
        above = os.path.dirname(folder)
        while above and above not in self._folders and above != os.path.dirname(above):
            above = os.path.dirname(above)
        if above in self._folders:
            os.stat(above)

    def renamed(self, job: Job, suffix: str) -> bool:
        """Give the outputs of a file another suffix; return whether they are still to be made."""
        self.discard([job])
        job.file = None
        try:
            agenda = self._renaming.agenda(job.due, suffix)
        except ImgpipeError as error:
            self.failed(job, Failed(job.path, "plan", error))
            return False
        for each in agenda.skipped:
            path = self._prepared.path(each.output)
            self._end(job, Result(job.path, path, "skipped", reason=each.reason))
        if not agenda.due:
            self._ended += 1
            return False
        (job.due,) = agenda.due
        return True

    # --- the end ------------------------------------------------------------------------

    def measured(self, job: Job) -> None:
        """Note that the header of a file was read."""
        for output in job.due.outputs:
            self._on_batch_event(
                HeaderRead(job.path, self._prepared.path(output), _share(job, job.pixels))
            )

    def made(self, job: Job, made: Made) -> None:
        """Take the outputs of a file, to be published soon."""
        job.pixels = made.pixels
        self._ended += 1
        if not self._waiting:
            self._since = self._clock()
        self._waiting += [_Waiting(job, made, one) for one in made.finished]
        if made.not_smaller:
            self._leave(job, made)

    def _leave(self, job: Job, made: Made) -> None:
        """Record that outputs of a file are left out."""
        with self._journalled():
            self._journal.finished([
                self._record(job, made, path)._replace(left="not_smaller")
                for path in made.not_smaller
            ])  # fmt: skip
        for path in made.not_smaller:
            result = Result(
                job.path, path, "skipped", reason="not_smaller", bytes_in=made.status.size,
                seconds=dict(made.seconds), warnings=made.warnings,
            )  # fmt: skip
            self._end(job, result)

    def failed(self, job: Job, failure: Failed) -> None:
        """Note that a file has failed, or that the whole batch has."""
        self.discard([job])
        fault = self._fault(job, failure)
        if fault is not None:
            self._control.halt(*fault)
            return
        job.pixels = job.pixels or failure.pixels
        self._ended += 1
        self._fail(job, job.due.outputs, failure)

    def _fault(self, job: Job, failure: Failed) -> tuple[StoppedBy, str] | None:
        """Return the fault that stops the batch, if a failure is not the fault of its file."""
        root = None if self._waits else job.due.found.folder.root
        fault = fault_of(failure.stage, failure.number, root, self._prepared.folder)
        if (
            fault is None
            and failure.number == errno.ENOENT
            and failure.stage in ("encode", "write")
        ):
            paths = map(self._prepared.path, job.due.outputs)
            lost = [path for path in paths if not os.path.isdir(os.path.dirname(path))]
            if lost and not self._waits:
                return (
                    "output_lost",
                    f"the folder {os.path.dirname(lost[0])} is gone, with its files",
                )
        return fault

    def discard(self, jobs: Iterable[Job]) -> None:
        """Leave nothing of files that are not made."""
        for job in jobs:
            for output in job.file.outputs if job.file is not None else ():
                remove(output.temporary)

    def settle(self) -> None:
        """Publish all waiting outputs, and write records again for which there was no space."""
        self.flush(now=True)
        if self._unnoted:
            with contextlib.suppress(OutputError):
                self._placing.note(self._unnoted)
                self._unnoted = []

    def flush(self, *, now: bool = False) -> None:
        """Publish the waiting outputs, if they are many or have waited long."""
        due = len(self._waiting) >= _GROUP or self._clock() - self._since >= _SECONDS
        if not self._waiting or not (due or now):
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._publish(waiting)
        except BaseException:
            self.discard(each.job for each in waiting)
            raise

    def _publish(self, waiting: list[_Waiting]) -> None:
        errors: dict[str, ImgpipeError] = {}
        ready: list[Ready] = []
        for each in waiting:
            try:
                each.finished, digest = self._placing.described(each.job.path, each.finished)
                ready.append(self._ready(each, digest))
            except OutputError as error:
                errors[each.finished.output] = error
        for folder in self._unsynced:
            sync_folder(folder)
        self._unsynced.clear()
        try:
            errors |= self._placing.place(ready)
        except OutputError as error:
            self._no_journal(error)
            self.discard(each.job for each in waiting)
            return
        there = [one for one in ready if one.finished.output not in errors]
        try:
            self._placing.note(there)
        except OutputError as error:
            self._unnoted += there
            self._no_journal(error)
        for each in waiting:
            if (error_of := errors.get(each.finished.output)) is None:
                self._end(each.job, self._done(each))
            else:
                self._not_published(each, error_of)

    def _not_published(self, each: _Waiting, error: ImgpipeError) -> None:
        failure = failed(each.job.path, "write", error, each.made.pixels)
        fault = self._fault(each.job, failure)
        remove(each.finished.temporary)
        if fault is not None:
            self._control.halt(*fault)
        else:
            _, output = self._numbered(each.job, each.finished.output)
            self._fail(each.job, [output], failure)

    def _fail(self, job: Job, outputs: Sequence[str], failure: Failed) -> None:
        """Record that outputs of a file have failed."""
        self._failed += 1
        with self._journalled():
            self._journal.finished([
                self._failure(job, output, failure.error) for output in outputs
            ])  # fmt: skip
        for output in outputs:
            result = Result(
                job.path,
                self._prepared.path(output),
                "failed",
                stage=cast(Stage, failure.stage),
                error=failure.error,
                attempts=max(1, job.attempts),
                bytes_in=job.size,
            )
            self._end(job, result)
        cause = self._tolerance.verdict(self._failed, self._ended)
        if cause is not None:
            self._control.halt(cause)

    def _end(self, job: Job, result: Result) -> None:
        self._report.add(result)
        self.results.append(result)
        self._on_batch_event(OutputEnded(result, _share(job, job.pixels)))

    # --- records ------------------------------------------------------------------------

    def _done(self, each: _Waiting) -> Result:
        made = each.made
        return Result(
            made.name,
            each.finished.output,
            "done",
            attempts=max(1, each.job.attempts),
            pixels=made.pixels,
            bytes_in=made.status.size,
            bytes_out=each.finished.size,
            seconds=dict(made.seconds),
            warnings=made.warnings,
        )

    def _numbered(self, job: Job, path: str) -> tuple[int, str]:
        """Return the number of the tail of an output, and its path below the output folder."""
        assert job.file is not None
        at = [one.path for one in job.file.outputs].index(path)
        return job.due.tails[at], job.due.outputs[at]

    def _record(self, job: Job, made: Made, path: str) -> Record:
        """Return the record of an output, without facts about its bytes."""
        tail, output = self._numbered(job, path)
        status = made.status
        return Record(
            output=output,
            source=job.due.found.below,
            size=status.size,
            mtime_ns=status.mtime_ns,
            ctime_ns=status.ctime_ns,
            digest=made.digest,
            out_size=-1,
            out_mtime_ns=-1,
            time_ns=time.time_ns(),
            provenance=self._prepared.provenance[tail],
            renamed=self._is_renamed(job, output),
        )

    def _ready(self, each: _Waiting, digest: str) -> Ready:
        """Return an output with its record, of which the digest of its bytes is a part."""
        finished = each.finished
        record = self._record(each.job, each.made, finished.output)._replace(
            out_size=finished.size, out_mtime_ns=finished.mtime_ns, out_digest=digest
        )
        return Ready(each.job.path, each.made.status, finished, record)

    def _failure(self, job: Job, output: str, error: ImgpipeError) -> Record:
        found = None
        with contextlib.suppress(OSError):
            found = os.stat(job.path)
        return Record(
            output=output,
            source=job.due.found.below,
            size=found.st_size if found else -1,
            mtime_ns=found.st_mtime_ns if found else -1,
            ctime_ns=found.st_ctime_ns if found else -1,
            digest="",
            out_size=-1,
            out_mtime_ns=-1,
            time_ns=time.time_ns(),
            provenance=self._prepared.provenance[job.due.tails[job.due.outputs.index(output)]],
            failed=str(error),
            renamed=self._is_renamed(job, output),
        )

    def _is_renamed(self, job: Job, output: str) -> bool:
        return self._prepared.choices.renames and is_renamed(output, job.due.found.name)

    @contextlib.contextmanager
    def _journalled(self) -> Iterator[None]:
        """Stop the batch if its journal cannot be written."""
        try:
            yield
        except OutputError as error:
            self._no_journal(error)

    def _no_journal(self, error: OutputError) -> None:
        failure = failed("", "write", error, 0)
        fault = fault_of("write", failure.number, None, self._prepared.folder)
        cause = "output_lost" if fault is None else fault[0]
        self._control.halt(cause, str(error))


def _share(job: Job, pixels: int) -> int:
    """Return the pixels of a file for each of its outputs."""
    return pixels // len(job.due.outputs)
