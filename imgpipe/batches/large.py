"""Large files of a batch, which the crew makes: opened in their turn, and cut into tasks."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from imgpipe.adapting import stages_to, tell_of_alpha
from imgpipe.batches.answers import Failed, File, Made, Recipe, Tail, failed
from imgpipe.batches.digests import file_digest
from imgpipe.batches.happenings import Advanced, BatchObserver
from imgpipe.batches.held import HeldPath
from imgpipe.batches.making import chosen_of, writing_to
from imgpipe.batches.saying import heard
from imgpipe.batches.statuses import Status, status_at
from imgpipe.chains.chain import Chain
from imgpipe.engine.batch import Request
from imgpipe.engine.goals import Goal
from imgpipe.errors import ImgpipeError, InputError, WorkerError
from imgpipe.events import Event, SpanDone, TaskDone, Written
from imgpipe.formats.base import Source
from imgpipe.formats.opening import open_sink, open_source, origin_of
from imgpipe.options import Options
from imgpipe.refusals import refused
from imgpipe.shrinking import shrunk

__all__ = ["LargeWork", "request_of"]


def request_of(
    file: File,
    recipe: Recipe,
    options: Options,
    tell: BatchObserver,
    *,
    watch: Callable[[Event], None] = lambda _: None,
    **how: Any,
) -> LargeWork:
    """Return the work on a file that one worker cannot make.

    Parameters
    ----------
    file : File
        The source, its outputs and their temporaries.
    recipe : Recipe
        The way to the outputs.
    options : Options
        Options of the batch.
    tell : callable
        Is told how the work advances.
    watch : callable
        Gets the events of the engine.
    **how
        Further fields of the request.
    """
    return LargeWork(file, recipe, options, tell, watch, how)


class LargeWork:
    """A file that is made by a request.

    Attributes
    ----------
    request : Request
        Makes its outputs, as temporaries.
    """

    def __init__(
        self,
        file: File,
        recipe: Recipe,
        options: Options,
        tell: BatchObserver,
        watch: Callable[[Event], None],
        how: dict[str, Any],
        *,
        last: bool = False,
    ) -> None:
        self._given = file, recipe, options, tell, watch, how
        self._file, self._recipe, self._tell, self._watch = file, recipe, tell, watch
        self._last = last  # there is no further try
        numbered = file.numbered.items()
        self._paths = {number: HeldPath(*output, synced=True) for number, output in numbered}
        self._stage, self._pixels = "open", 0
        self._status: Status | None = None
        self._chains: tuple[Chain, ...] = ()
        self._after: list[int] = []  # pixels of each output
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._said: list[str] = []
        self.request = Request(self._source, self._goals, tell=self._told, **how)

    def answer(self, error: Exception | None) -> Made | Failed | LargeWork:
        """Return the answer for the file, or the work that is to be done once more.

        Parameters
        ----------
        error : Exception or None
            The failure of the request; None if its outputs are complete.
        """
        if self._changed():
            self.abort()
            if not self._last:
                return LargeWork(*self._given, last=True)
            error = InputError(
                f"{self._file.name}: changed while it was read; run again when it is complete"
            )
        if error is None:
            try:
                return self._made()
            except OSError as found:
                reason = (found.strerror or str(found)).lower()
                error = InputError(f"{self._file.name}: cannot be read: {reason}; check the disk")
                error.__cause__ = found
        self.abort()
        return failed(self._file.name, self._stage, _ours(self._file.name, error), self._pixels)

    def abort(self) -> None:
        """Leave nothing of the outputs."""
        for path in self._paths.values():
            path.abort()

    # --- the request --------------------------------------------------------------------

    def _source(self) -> Source:
        """Open the source."""
        name, reading = self._file.name, self._recipe.reading
        with contextlib.suppress(OSError):  # the source tells why it cannot be read
            self._status = status_at(name)
        origin = origin_of(name)
        with heard() as said:
            source = open_source(origin, reading)
            self._pixels = source.info.pixels
            chains = [tail.chain for tail in self._recipe.tails]
            source, self._chains = shrunk(source, origin, chains, reading)
        self._said += said
        return source

    def _goals(self, source: Source) -> tuple[Goal, ...]:
        """Open the outputs."""
        self._stage = "filter"
        goals: list[Goal] = []
        told: set[str] = set()
        try:
            with heard() as said:
                for number, path in self._paths.items():
                    tail, chain = self._recipe.tails[number], self._chains[number]
                    goals.append(self._goal(tail, chain, path, source, told))
        except BaseException:
            for goal in goals:
                goal.sink.abort()
            raise
        self._said += said
        self._after = [goal.sink.info.pixels for goal in goals]
        return tuple(goals)

    def _goal(
        self, tail: Tail, chain: Chain, path: HeldPath, source: Source, told: set[str]
    ) -> Goal:
        reading, writing = self._recipe.reading, writing_to(path, tail.writing)
        stages, after = stages_to(chain, path, reading, writing, told, source)
        sink = open_sink(path, after, writing.options, format=writing.format)
        tell_of_alpha(source, reading, stages, sink)
        return Goal(stages, sink, path.output)

    def _told(self, event: Event) -> None:
        """Take note of an event, and hand it on."""
        self._watch(event)
        if isinstance(event, TaskDone):
            for step, seconds in event.spans:
                self._seconds[step] += seconds
        elif isinstance(event, SpanDone):
            self._seconds[event.name] += event.ended - event.started
        elif isinstance(event, Written) and event.output < len(self._after):
            share = event.pixels / self._after[event.output] / len(self._after)
            path = self._file.outputs[event.output].path
            self._tell(Advanced(self._file.name, path, round(share * self._pixels)))

    # --- the end ------------------------------------------------------------------------

    def _changed(self) -> bool:
        """Whether the source is no longer what it was when it was opened."""
        if self._status is None:
            return False
        try:
            return status_at(self._file.name) != self._status
        except OSError:
            return True

    def _made(self) -> Made:
        assert self._status is not None
        digest = file_digest(self._file.name)
        finished, left = chosen_of(self._paths.values(), self._status, self._recipe)
        return Made(
            self._file.name,
            self._status,
            digest,
            self._pixels,
            finished,
            tuple(self._seconds.items()),
            tuple(dict.fromkeys(self._said)),
            left,
        )


def _ours(name: str, error: Exception) -> ImgpipeError:
    """Return an error as one of imgpipe's."""
    if isinstance(error, ImgpipeError):
        return error
    found = refused(error) or WorkerError(
        f"{name}: could not be made ({type(error).__name__}: {error})"
    )
    found.__cause__ = error
    return found
