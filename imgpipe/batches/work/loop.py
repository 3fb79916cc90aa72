"""Loop: the work of one crew on a batch, from the first file to the last.

Small files go through calls, which workers get in groups. Large ones are images of the same crew,
cut into tasks. Both share the queue and the memory.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import cast

from imgpipe.batches.events import BatchObserver, Tick
from imgpipe.batches.naming.suffixes import right_suffix
from imgpipe.batches.preparation import Prepared
from imgpipe.batches.publishing.ledger import Ledger
from imgpipe.batches.results import BatchReport, Result
from imgpipe.batches.stopping import BatchControl
from imgpipe.batches.work.answers import Failed, Made, Recipe
from imgpipe.batches.work.dispatcher import FileDispatcher
from imgpipe.batches.work.feed import AgendaFeed, Feed
from imgpipe.batches.work.headers import work
from imgpipe.batches.work.job import Job
from imgpipe.batches.work.largefiles import LargeWork, request_of
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.batch import CallsRequest, Request, image_turns
from imgpipe.engine.control import Control
from imgpipe.engine.jobs import CallJob
from imgpipe.engine.order import Order, OrderName
from imgpipe.engine.waitinglist import Outcome
from imgpipe.errors import Cancelled, ImgpipeError
from imgpipe.events import Event, Finished, Report, Started
from imgpipe.executors.choice import choose
from imgpipe.formats.opening import origin_of
from imgpipe.machine import PeakMemory
from imgpipe.timeline.recording import Recording
from imgpipe.timeline.verdict import verdict

__all__ = ["make_outputs"]

_BEAT = 0.25  # seconds after which the loop looks at the time
_TICK = 0.5  # seconds between two ticks
_MEMORY_SECONDS = 1.0  # between two samples
_MOST_MEMORY = 256 << 20  # of a call
_MOST_ALONE = 32_000_000  # pixels that one worker makes at once: other files wait behind it
_ANY = 1 << 62  # pixels: more than could be made without workers


class _Large:
    """A large file under way."""

    def __init__(self, job: Job) -> None:
        self.job, self.begun = job, False
        self.work: LargeWork


def make_outputs(
    prepared: Prepared,
    on_batch_event: BatchObserver,
    control: BatchControl,
    report: BatchReport,
    feed: Feed | None = None,
) -> Iterator[Result]:
    """Make the files of a batch; yield the end of each output as soon as it is known.

    Parameters
    ----------
    prepared : Prepared
        The batch.
    on_batch_event : callable
        Gets the events.
    control : BatchControl
        Stops it.
    report : BatchReport
        Counts the results.
    feed : Feed, optional
        Gives the files; by default those of the agenda.

    Raises
    ------
    ImgpipeError
        If no file can be made, for want of memory or of workers. Finished outputs are kept.
    """
    choices = prepared.choices
    if feed is None:
        feed = AgendaFeed(prepared.agenda.due, choices.order, choices.seed)
    with contextlib.closing(_Loop(prepared, feed, on_batch_event, control, report)) as conducting:
        yield from conducting.results()


class _Loop:
    def __init__(
        self,
        prepared: Prepared,
        feed: Feed,
        on_batch_event: BatchObserver,
        control: BatchControl,
        report: BatchReport,
    ) -> None:
        choices = prepared.choices
        self._choices, self._on_batch_event, self._control = choices, on_batch_event, control
        self._report = report
        options = choices.options
        choice = choose(options.executor, options.workers, trusted=False, pixels=_ANY)
        self._traits, self._workers = choice.traits, choice.workers
        self._ledger = Ledger(prepared, report, on_batch_event, control)
        in_order = choices.order == "fifo"
        self._dispatcher = FileDispatcher(
            feed,
            self._ledger,
            control,
            self._workers,
            in_order=in_order,
            calls=choice.traits.shares_files,
        )
        self._calls = Control()
        self._recording = Recording(0)
        self._large: dict[int, _Large] = {}  # by turn
        self._again: list[_Large] = []  # whose sources changed while they were read
        self._turns = 0
        self._ticked = 0.0
        self._hurried = False

    def results(self) -> Generator[Result, None, None]:
        """Make all files."""
        options = self._choices.options
        order: OrderName = "round-robin"
        if self._choices.order == "largest-first":
            order = "largest-first"
        memory = PeakMemory(_MEMORY_SECONDS)
        try:
            with options.observed() as observer:
                self._observers = observer
                self._start = self._started()
                self._observer(self._start)
                turns = image_turns(
                    self._requests(),
                    options,
                    order=Order(order),
                    attach=self._attach,
                    beat=_BEAT,
                    memory=memory,
                )
                with contextlib.closing(turns):
                    for outcome in turns:
                        self._take(outcome)
                        yield from self._ready()
                self._ledger.flush(now=True)
                yield from self._ready()
                if not self._control.stopped:
                    self._observer(self._finished())
        finally:
            self._report.peak_memory = memory.stop()
            found = verdict(self._recording)
            self._report.utilisation, self._report.bottleneck = found.utilisation, found.bottleneck

    def close(self) -> None:
        """Publish the complete outputs, and remove the others."""
        with uninterrupted():
            for one in self._large.values():
                one.work.abort()
            self._ledger.discard(self._dispatcher.under_way())
            self._ledger.settle()

    def _started(self) -> Started:
        """Return the event with which timelines begin."""
        choices = self._choices
        sources = choices.sources[:1] or ("the files of a list",)
        return Started(
            time=time.monotonic(),
            source=sources[0],
            destination=choices.folder or sources[0],
            pixels=0,
            tasks=0,
            passes=1,
            workers=self._workers,
        )

    def _finished(self) -> Finished:
        """Return the event with which they end."""
        now, report = time.monotonic(), self._report
        started = self._start
        facts = Report(
            source=started.source,
            destination=started.destination,
            height=0,
            width=0,
            channels=0,
            dtype="",
            size=report.bytes_out,
            seconds=now - started.time,
            cpu_seconds=0.0,
            workers=self._workers,
            executor="",
            accelerator=str(self._choices.accelerator),
            peak_memory=report.peak_memory,
            planned_memory=0,
            passes=1,
            tasks=self._recording.tasks,
            lost=self._recording.lost,
            frames=report.done,
            pixels=report.pixels,
        )
        return Finished(time=now, report=facts)

    def _observer(self, event: Event) -> None:
        """Take note of an event of the crew."""
        self._recording(event)
        try:
            self._observers(event)
        except Cancelled:
            self._control.stop()

    # --- the loop -----------------------------------------------------------------------

    def _attach(self, wake: Callable[[], None]) -> None:
        self._control.attach(wake)
        self._dispatcher.attach(wake)

    def _ready(self) -> Iterator[Result]:
        while self._ledger.results:
            yield self._ledger.results.popleft()

    def _take(self, outcome: Outcome | None) -> None:
        """Act on the end of an image, or on a pause of the loop."""
        if outcome is not None:
            self._ended(outcome)
        if self._control.stopped:
            self._slow_down()
        self._ledger.flush()
        now = time.monotonic()
        if now - self._ticked >= _TICK:
            self._ticked = now
            self._on_batch_event(Tick())

    def _slow_down(self) -> None:
        """Begin nothing more; end the work that may not go on."""
        hurries = self._control.hurries
        if not self._hurried:
            self._calls.call_back()
            for one in self._large.values():
                if not one.begun:
                    one.work.request.control.stop()
            self._hurried = True
        if hurries:
            for one in self._large.values():
                one.work.request.control.stop()
            if self._control.seconds_left <= 0:
                self._calls.stop()

    def _ended(self, outcome: Outcome) -> None:
        """Take the outcome of a large file, or of all calls."""
        if outcome.turn not in self._large:
            if outcome.error is not None and not self._control.stopped:
                raise outcome.error
            return
        one = self._large.pop(outcome.turn)
        if isinstance(outcome.error, Cancelled) and self._control.stopped:
            one.work.abort()
            self._ledger.discard([one.job])
            return
        match one.work.answer(outcome.error):
            case Made() as made:
                self._ledger.made(one.job, made)
            case Failed() as failure:
                self._ledger.failed(one.job, failure)
            case LargeWork() as again:
                one.job.attempts += 1
                one.work = again
                self._again.append(one)

    # --- requests -----------------------------------------------------------------------

    def _requests(self) -> Iterator[Request | CallsRequest | None]:
        """Yield the calls, then each large file once it is known."""
        if self._traits.shares_files:
            job = self._call_job
            yield CallsRequest(job, self._dispatcher, _MOST_MEMORY, self._calls, self._observer)
            self._turns = 1
        while not self._control.stopped and not (
            self._dispatcher.done and not self._large and not self._again
        ):
            if self._again:
                yield self._asked(self._again.pop(0))
                continue
            large = self._dispatcher.next_large()
            yield None if large is None else self._request_of(large)

    def _recipe(self, allowance: int) -> Recipe:
        """Return the recipe with all that concerns the making of a file."""
        choices = self._choices
        return replace(
            choices.recipe,
            allowance=allowance,
            chunk=cast("tuple[int, int] | None", choices.options.chunk),
            if_smaller=choices.if_smaller,
            renames=choices.renames,
            scratch=cast("str | None", choices.options.scratch),
            stops_at_failure=choices.fail_fast or choices.max_failures is not None,
        )

    def _call_job(self, allowance: int) -> CallJob:
        recipe = self._recipe(allowance)
        filters = [each for tail in recipe.tails for each in tail.chain]
        ours = all(each.definition.ours for each in filters)
        if self._traits.isolates:
            return CallJob("the batch", work, recipe, ours=ours)
        control = self._control
        return CallJob(
            "the batch",
            work,
            recipe,
            ours=ours,
            stopped=lambda: control.stopped,
            check=control.check,
        )

    def _request_of(self, job: Job) -> Request | None:
        """Return the request of a large file; None if its outputs cannot be begun."""
        if job.file is None:
            if not self._is_rightly_named(job):
                return None
            self._ledger.begin([job])
        if job.file is None or self._control.stopped:
            return None
        one = _Large(job)

        def watch(event: Event) -> None:
            if isinstance(event, Started):  # to observers, the batch is one run
                one.begun = True
            else:
                self._observer(event)

        one.work = request_of(
            job.file,
            self._recipe(_MOST_MEMORY),
            self._choices.options,
            self._on_batch_event,
            watch=watch,
            may_be_alone=lambda: self._may_be_alone(job),
        )
        return self._asked(one)

    def _is_rightly_named(self, job: Job) -> bool:
        """Return whether a file is still to be made after its outputs got the right suffix."""
        suffix = ""
        if self._choices.renames:
            with contextlib.suppress(ImgpipeError):  # the attempt to make it tells
                suffix = right_suffix(origin_of(job.path), job.due.outputs)
        return not suffix or self._ledger.renamed(job, suffix)

    def _asked(self, one: _Large) -> Request:
        self._large[self._turns] = one
        self._turns += 1
        return one.work.request

    def _may_be_alone(self, job: Job) -> bool:
        """Return whether one worker may make a large file while the others have enough to do.

        It must be possible to end that worker, in the middle of its only task.
        """
        if not self._traits.isolates or job.pixels > _MOST_ALONE:
            return False
        waiting = sum(one.job.pixels for one in self._large.values()
                      if not one.begun and one.job is not job)  # fmt: skip
        return self._dispatcher.left + waiting >= (self._workers - 1) * job.pixels
