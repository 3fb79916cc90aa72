"""Large files of a batch: opened in their turn, cut into tasks, and made by the crew."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from imgpipe.adapting import stages_to, warn_of_alpha
from imgpipe.batches.events import BatchObserver, OutputAdvanced
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.filestatus import Status, status_at
from imgpipe.batches.naming.suffixes import warn_of_suffix
from imgpipe.batches.work.answers import Failed, File, Made, Recipe, failed, spent
from imgpipe.batches.work.heldfiles import HeldPath
from imgpipe.batches.work.smallfiles import chosen_of, writing_to
from imgpipe.batches.work.warningcapture import captured_warnings, capturing
from imgpipe.cascading import Step, cascaded
from imgpipe.chains.chain import Chain
from imgpipe.engine.batch import Request
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import ImgpipeError, InputError, WorkerError
from imgpipe.events import Event, SpanDone, TaskDone, Written
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.opening import open_sink, open_source, origin_of
from imgpipe.options import Options
from imgpipe.paging import Pages, pages_of, warn_of_frames
from imgpipe.reduceddecoding import shrunk
from imgpipe.refusals import refused

__all__ = ["LargeWork", "request_of"]


def request_of(
    file: File,
    recipe: Recipe,
    options: Options,
    on_batch_event: BatchObserver,
    *,
    watch: Callable[[Event], None] = lambda _: None,
    **settings: Any,
) -> LargeWork:
    """Return the request for a file that one worker cannot make.

    Parameters
    ----------
    file : File
        The source, its outputs and their temporaries.
    recipe : Recipe
        The way to the outputs.
    options : Options
        Options of the batch.
    on_batch_event : callable
        Gets the events about the progress of the work.
    watch : callable
        Gets the events of the engine.
    **settings
        Further fields of the request.
    """
    return LargeWork(file, recipe, options, on_batch_event, watch, settings)


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
        on_batch_event: BatchObserver,
        watch: Callable[[Event], None],
        settings: dict[str, Any],
        *,
        last: bool = False,
    ) -> None:
        self._given = file, recipe, options, on_batch_event, watch, settings
        recipe = recipe.of_page(file.page)
        self._file, self._recipe, self._options = file, recipe, options
        self._on_batch_event, self._watch = on_batch_event, watch
        self._last = last  # there is no further try
        numbered = file.numbered.items()
        self._paths = {number: HeldPath(*output, synced=True) for number, output in numbered}
        self._stage, self._pixels, self._digest = "open", 0, ""
        self._status: Status | None = None
        self._chains: tuple[Chain, ...] = ()
        self._steps: list[Step] = []
        self._outputs: list[tuple[str, int]] = []  # and their pixels
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._said: list[str] = []
        self._held = contextlib.ExitStack()
        self.request = Request(
            self._source,
            self._goals,
            on_event=self._observe,
            frames=self._frames,
            then=self._then,
            last=self._read_again,
            within=self._within,
            **settings,
        )

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
            self._held.close()
            return self._made()
        self.abort()
        return failed(self._file.name, self._stage, _ours(self._file.name, error), self._pixels)

    def abort(self) -> None:
        """Leave nothing of the outputs."""
        self._held.close()
        for path in self._paths.values():
            path.abort()

    # --- the request --------------------------------------------------------------------

    @contextlib.contextmanager
    def _within(self) -> Iterator[None]:
        """Collect warnings; put scratch files into their folder."""
        first = self._file.outputs[0].path
        with captured_warnings(self._said), self._options.scratch_beside(first):
            yield

    def _frames(self) -> Pages | None:
        """Open all frames of the source, if it has several and the output holds them."""
        name, recipe = self._file.name, self._recipe
        self._held.enter_context(capturing())  # chores have threads of their own
        with contextlib.suppress(OSError):  # the source tells why it cannot be read
            self._status = status_at(name)
        origin = origin_of(name)
        if len(recipe.tails) > 1:
            warn_of_frames(origin, recipe.reading)
            return None
        tail, path = recipe.tails[0], self._paths[0]
        writing = writing_to(path, tail.writing)
        made = partial(stages_to, tail.chain, path, recipe.reading, writing, set())
        pages = pages_of(origin, path, recipe.reading, writing, made)
        if pages is not None:
            self._stage, self._pixels = "filter", pages.source_pixels
            self._outputs = [(path.output, pages.pixels)]
        return pages

    def _source(self) -> Source:
        """Open the source."""
        recipe, origin = self._recipe, origin_of(self._file.name)
        source = open_source(origin, recipe.reading)
        self._pixels = source.info.pixels
        if not all(tail.writing.format for tail in recipe.tails):
            warn_of_suffix(origin, [path.output for path in self._paths.values()])
        given = [tail.chain for tail in recipe.tails]
        source, self._chains = shrunk(source, origin, given, recipe.reading)
        return source

    def _goals(self, source: Source) -> tuple[WantedOutput, ...]:
        """Open the outputs; return the ones that are made from the source itself."""
        self._stage = "filter"
        recipe, told, sinks = self._recipe, set[str](), list[Sink]()

        def opened(
            number: int, chain: Chain, image: Source, *, turn: bool = False
        ) -> WantedOutput | None:
            if number not in self._paths:
                return None
            path = self._paths[number]
            writing = writing_to(path, recipe.tails[number].writing)
            reading = replace(recipe.reading, autorotate=recipe.reading.autorotate and turn)
            stages, after = stages_to(chain, path, reading, writing, told, image)
            sinks.append(open_sink(path, after, writing.options, format=writing.format))
            warn_of_alpha(image, recipe.reading, stages, sinks[-1])
            return WantedOutput(stages, sinks[-1], path.output)

        try:
            given = [tail.chain for tail in recipe.tails]
            steps = cascaded(source, given, self._chains, recipe.reading, opened)
            if steps is None:
                goals = (opened(n, one, source, turn=True) for n, one in enumerate(self._chains))
                steps = [Step(source, tuple(filter(None, goals)), tuple(self._paths))]
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise
        if len(steps) == 1:
            self._outputs = [(one.destination, one.sink.info.pixels) for one in steps[0].goals]
        self._steps = steps
        return steps[0].goals

    def _then(self) -> list[tuple[Source, tuple[WantedOutput, ...]]]:
        """Return the thumbnails in memory of which others are made, or outputs."""
        return [(step.source, step.goals) for step in self._steps[1:]]

    def _read_again(self) -> None:
        """Take the digest of the source. The system often still has its bytes in memory."""
        try:
            self._digest = file_digest(self._file.name, self.request.control.check)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            told = f"{self._file.name}: cannot be read: {reason}; check the disk"
            raise InputError(told) from error

    def _observe(self, event: Event) -> None:
        """Take note of an event, and hand it on."""
        self._watch(event)
        if isinstance(event, TaskDone):
            for step, seconds in event.spans:
                self._seconds[step] += seconds
        elif isinstance(event, SpanDone):
            self._seconds[event.name] += event.ended - event.started
        elif isinstance(event, Written):
            self._advance(event)

    def _advance(self, event: Written) -> None:
        """Report the progress of an output, in pixels of the source."""
        if event.output < len(self._outputs):
            path, pixels = self._outputs[event.output]
            share = event.pixels / pixels / len(self._outputs)
            self._on_batch_event(OutputAdvanced(self._file.name, path, round(share * self._pixels)))

    # --- the end ------------------------------------------------------------------------

    def _changed(self) -> bool:
        """Return whether the source has changed since it was opened."""
        if self._status is None:
            return False
        try:
            return status_at(self._file.name) != self._status
        except OSError:
            return True

    def _made(self) -> Made:
        assert self._status is not None
        finished, left = chosen_of(self._paths.values(), self._status, self._recipe)
        return Made(
            self._file.name,
            self._status,
            self._digest,
            self._pixels,
            finished,
            spent(self._seconds),
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
