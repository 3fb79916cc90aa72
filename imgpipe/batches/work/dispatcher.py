"""Dispatcher: gives files to workers, and takes their answers.

Small files are given out in groups, which become smaller towards the end. Files of some size are
looked at some way ahead of their turn. One that a single worker cannot make goes to the large ones.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from imgpipe.batches.agenda import Due
from imgpipe.batches.publishing.ledger import Ledger
from imgpipe.batches.stopping import BatchControl
from imgpipe.batches.work.answers import Failed, File, Made, Misnamed, TooLarge, failed
from imgpipe.batches.work.estimates import PixelEstimates
from imgpipe.batches.work.feed import Feed
from imgpipe.batches.work.headers import HeaderAnswer, HeaderItem
from imgpipe.batches.work.job import Job
from imgpipe.engine.flow import Worker
from imgpipe.errors import CorruptError, ImgpipeError, WorkerError

__all__ = ["FileDispatcher"]

_AHEAD = 1024  # files whose sizes are known before their turn
_LOOKED_AT = 1_000_000  # bytes from which on a file may be a large image
_LOOKS = 16  # headers that are read by one call
_MOST_FILES = 64  # of a group
_GROUP_PIXELS = 8_000_000  # after which a call comes back


class FileDispatcher:
    """The dispatcher of the files of a batch.

    Parameters
    ----------
    feed : Feed
        Gives the files.
    ledger : Ledger
        Takes what is made.
    control : BatchControl
        Says when nothing new may start.
    workers : int
        Their number.
    in_order : bool
        Whether a large file waits for its turn among the others.
    calls : bool
        Whether workers see the files, and can be called. Otherwise all files are large.
    """

    def __init__(
        self,
        feed: Feed,
        ledger: Ledger,
        control: BatchControl,
        workers: int,
        *,
        in_order: bool = False,
        calls: bool = True,
    ) -> None:
        self._feed, self._ledger, self._control = feed, ledger, control
        self._workers, self._in_order, self._calls = workers, in_order, calls
        self._guesses = PixelEstimates()
        self._numbers = 0
        self._ahead: deque[Job] = deque()
        self._to_look: deque[Job] = deque()
        self._large: list[Job] = []
        self._out: dict[int, Job] = {}  # by id of the item
        self._looks: dict[int, Job] = {}

    # --- as calls see it ----------------------------------------------------------------

    @property
    def exhausted(self) -> bool:
        """Return whether `take` has no more items, now and later."""
        self._fill()
        return self._feed.exhausted and not self._ahead

    @property
    def stopped(self) -> bool:
        """Return whether nothing may begin any more."""
        return self._control.stopped

    def take(self) -> tuple[HeaderItem, ...] | tuple[File, ...]:
        """Return the items of the next call, none if there are none just now."""
        self._fill()
        if looks := self._take_looks():
            return looks
        while jobs := self._group():
            self._ledger.begin(jobs)
            if self.stopped:
                return ()
            if files := tuple(job.file for job in jobs if job.file is not None):
                self._out |= {id(job.file): job for job in jobs if job.file is not None}
                return files
        return ()

    def land(self, item: Any, answer: Any, worker: Worker) -> None:
        """Take the answer for a file."""
        if isinstance(item, HeaderItem):
            self._look_landed(self._looks.pop(id(item)), answer)
            return
        job = self._out.pop(id(item))
        match answer:
            case Made():
                self._guesses.learn(job, answer.pixels)
                self._ledger.made(job, answer)
            case TooLarge():
                self._measured(job, answer.pixels)
                self._is_large(job)
            case Misnamed():
                if self._ledger.renamed(job, answer.suffix):
                    job.taken = False
                    self._ahead.appendleft(job)
            case Failed():
                self._ledger.failed(job, answer)

    def give_up(self, item: Any, error: Exception, attempts: int) -> None:
        """Note that a file has ended its workers, or that there is no answer for it."""
        looked = isinstance(item, HeaderItem)
        job = (self._looks if looked else self._out).pop(id(item))
        if looked and job.taken:  # the attempt to make it tells
            return
        job.taken, job.attempts = True, attempts
        stage = "read" if looked or isinstance(error, CorruptError) else "filter"
        if not isinstance(error, ImgpipeError):
            told = WorkerError(f"{job.path}: could not be made ({type(error).__name__}: {error})")
            told.__cause__ = error
            error = told
        self._ledger.failed(job, failed(job.path, stage, error, job.pixels))

    # --- as the conductor sees it -------------------------------------------------------

    @property
    def done(self) -> bool:
        """Return whether all files have ended, except large ones that were given out."""
        return self.exhausted and not self._out and not self._large

    @property
    def left(self) -> int:
        """Estimate of the pixels that are still to be given out."""
        small = (job for job in self._ahead if not (job.taken or job.large))
        return sum(map(self._guesses.of, small)) + sum(job.pixels for job in self._large)

    def next_large(self) -> Job | None:
        """Return the next large file; None if there is none just now."""
        if self.stopped or not self._large:
            return None
        if not self._in_order:
            return self._large.pop(0)
        self._trim()
        turn = self._ahead[0].number if self._ahead else self._numbers
        first = min(self._large, key=lambda job: job.number)
        if first.number > turn:
            return None
        self._large.remove(first)
        return first

    def under_way(self) -> list[Job]:
        """Return the files that workers have, and the large files that wait."""
        return [*self._out.values(), *self._large]

    def attach(self, wake: Callable[[], None]) -> None:
        """Set the function that wakes the loop of the batch."""
        self._feed.attach(wake)

    # --- groups -------------------------------------------------------------------------

    def _fill(self) -> None:
        """Know the next files."""
        known = len(self._ahead) + len(self._large)
        while known < _AHEAD and (due := self._feed.next()) is not None:
            job = Job(self._numbers, due, _size_of(due))
            self._numbers, known = self._numbers + 1, known + 1
            if not self._calls:
                job.taken = job.large = True
                self._large.append(job)
                continue
            self._ahead.append(job)
            if job.size >= _LOOKED_AT:
                self._to_look.append(job)
        self._trim()

    def _trim(self) -> None:
        """Let go of files that are not for groups."""
        while self._ahead and (self._ahead[0].taken or self._ahead[0].large):
            self._ahead.popleft()

    def _take_looks(self) -> tuple[HeaderItem, ...]:
        """Return the headers of the next look; none as long as they are few."""
        while self._to_look and self._to_look[0].taken:
            self._to_look.popleft()
        known = len(self._feed) + len(self._ahead)
        if known <= self._workers or len(self._to_look) < (1 if self._feed.exhausted else _LOOKS):
            return ()
        number = min(_LOOKS, len(self._to_look) // (2 * self._workers) + 1)
        jobs = [self._to_look.popleft() for _ in range(number)]
        looks = tuple(HeaderItem(job.path) for job in jobs)
        self._looks |= {id(look): job for look, job in zip(looks, jobs, strict=True)}
        return looks

    def _group(self) -> list[Job]:
        """Return the files of the next group."""
        self._fill()
        left = len(self._feed) + len(self._ahead)
        most = max(1, min(_MOST_FILES, left // (4 * self._workers)))
        jobs: list[Job] = []
        pixels = 0
        while self._ahead and len(jobs) < most and pixels < _GROUP_PIXELS:
            job = self._ahead.popleft()
            job.taken = True
            pixels += self._guesses.of(job)
            jobs.append(job)
            self._trim()
        return jobs

    # --- large files --------------------------------------------------------------------

    def _look_landed(self, job: Job, seen: HeaderAnswer) -> None:
        if job.taken and id(job.file) not in self._out:  # it has ended
            return
        self._measured(job, seen.pixels)
        if seen.large and not job.taken:
            self._is_large(job)

    def _measured(self, job: Job, pixels: int) -> None:
        if pixels and not job.pixels:
            self._guesses.learn(job, pixels)
            job.pixels = pixels
            self._ledger.measured(job)

    def _is_large(self, job: Job) -> None:
        job.large = True
        self._large.append(job)
        self._trim()


def _size_of(due: Due) -> int:
    try:
        return os.stat(due.found.path).st_size
    except OSError:
        return 0
