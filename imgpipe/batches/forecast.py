"""Forecast: the size, memory and passes of a file, from its header."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from imgpipe.adapting import stages_to
from imgpipe.batches.choices import Choices
from imgpipe.batches.saveoptions import options_for
from imgpipe.batches.work.answers import Recipe, Tail
from imgpipe.batches.work.smallfiles import MOST_PIXELS, may_copy
from imgpipe.batches.work.warningcapture import captured_warnings
from imgpipe.chains.chain import Chain
from imgpipe.engine.batchsizing import footing_of
from imgpipe.engine.budget import default_budget
from imgpipe.engine.costs import cost_of_processes
from imgpipe.engine.plan import Plan, WantedOutput, make_plans
from imgpipe.errors import MemoryPlanError
from imgpipe.executors.choice import choose
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.fitting import fitted
from imgpipe.formats.folder import FolderTarget
from imgpipe.formats.opening import contents_of, format_to, open_source, origin_of
from imgpipe.formats.target import MemoryTarget
from imgpipe.reduceddecoding import shrunk

__all__ = ["Forecast", "Forecaster"]

_Sizes = tuple[tuple[int, int], ...]
_ANY = 1 << 62  # pixels: more than could be made without workers


class Forecast(NamedTuple):
    """Facts about a file, from its header.

    Attributes
    ----------
    height, width : int
        Of its first frame.
    sizes : tuple of (int, int)
        Rows and columns of each output, of its first frame.
    pixels : int
        Of all frames that are made.
    memory : int
        Bytes that the work takes, beside those of the processes.
    passes : int
        Passes over its pixels.
    more_pages : int
        Frames that are not made, because the output holds one.
    """

    height: int
    width: int
    sizes: tuple[tuple[int, int], ...]
    pixels: int
    memory: int
    passes: int
    more_pages: int = 0


class Forecaster:
    """Foresees the work on the files of a batch.

    Parameters
    ----------
    choices : Choices
        Arguments of the batch.

    Attributes
    ----------
    limit : int
        Bytes that the batch may use.
    processes : int
        Bytes of its processes before any file.
    workers : int
        Their number.
    """

    def __init__(self, choices: Choices) -> None:
        options = choices.options
        choice = choose(options.executor, options.workers, trusted=False, pixels=_ANY)
        assert not isinstance(options.max_memory, str)
        self.limit = default_budget() if options.max_memory is None else options.max_memory
        self.workers = choice.workers
        self._recipe: Recipe = choices.recipe
        self._footing = footing_of(options)._replace(counted=True)
        self.processes = cost_of_processes(choice.traits, choice.workers, self._footing).processes
        self._given: dict[str, Any] = {
            "traits": choice.traits,
            "executor": "",
            "max_memory": self.limit,
            "chunk": options.chunk,
            "footing": self._footing,
        }
        self._known: dict[Any, tuple[int, int, _Sizes]] = {}

    def of(
        self, path: str, outputs: Sequence[str], tails: Sequence[int], page: int | None = None
    ) -> Forecast:
        """Return the facts about a file, from its header.

        Parameters
        ----------
        path : str
            The file.
        outputs : sequence of str
            Its outputs.
        tails : sequence of int
            Their numbers in the recipe.
        page : int, optional
            The frame that they are made of.

        Raises
        ------
        ImgpipeError
            If it cannot be made, as far as that is known.
        """
        recipe = self._recipe.of_page(page)
        ways = [recipe.tails[number] for number in tails]
        pairs = list(zip(ways, outputs, strict=True))
        origin = origin_of(path)
        source = open_source(origin, recipe.reading)
        info = source.info
        frames = 1 if recipe.reading.page is not None else contents_of(origin).frames
        made = max(self._frames(frames, tail, output) for tail, output in pairs)
        memory, passes, sizes = 0, 1, ((info.height, info.width),) * len(pairs)
        if not all(may_copy(recipe, tail, origin, output) for tail, output in pairs):
            small, chains = shrunk(source, origin, [tail.chain for tail in ways], recipe.reading)
            memory, passes, sizes = self._cost(small, ways, chains, outputs)
        pixels = info.pixels * made
        return Forecast(info.height, info.width, sizes, pixels, memory, passes, frames - made)

    @staticmethod
    def _frames(frames: int, tail: Tail, output: str) -> int:
        """Return the number of frames of a file that are made."""
        return 1 if format_to(output, tail.writing.format).album is None else frames

    def _cost(
        self, source: Source, tails: Sequence[Tail], chains: Sequence[Chain], outputs: Sequence[str]
    ) -> tuple[int, int, _Sizes]:
        """Return bytes, passes and the sizes of outputs; images alike cost the same."""
        key = (
            source.access,
            source.decode_bytes >> 20,
            source.info,
            tuple(os.path.splitext(output)[1] for output in outputs),
            tuple(map(id, tails)),
        )
        if key not in self._known:
            self._known[key] = self._planned(source, tails, chains, outputs)
        return self._known[key]

    def _planned(
        self, source: Source, tails: Sequence[Tail], chains: Sequence[Chain], outputs: Sequence[str]
    ) -> tuple[int, int, _Sizes]:
        goals: list[WantedOutput] = []
        with tempfile.TemporaryDirectory(prefix="imgpipe-") as folder:
            try:
                for number, output in enumerate(outputs):
                    place = os.path.join(folder, str(number))
                    goals.append(self._goal(tails[number], chains[number], source, output, place))
                plan = self._plan(source, tuple(goals))
            finally:
                for goal in goals:
                    goal.sink.abort()
        infos = (goal.sink.info for goal in goals)
        sizes = tuple((info.height, info.width) for info in infos)
        return plan.memory - plan.cost.processes, plan.passes, sizes

    def _plan(self, source: Source, goals: tuple[WantedOutput, ...]) -> Plan:
        """Return the plan for one worker, or for all workers if one is not enough."""
        largest = max(source.info.pixels, *(goal.sink.info.pixels for goal in goals))
        if largest <= MOST_PIXELS:
            try:
                return make_plans(source, goals, workers=1, opened=True, **self._given)[0]
            except MemoryPlanError:
                pass
        return make_plans(source, goals, workers=self.workers, **self._given)[0]

    def _goal(
        self, tail: Tail, chain: Chain, source: Source, output: str, place: str
    ) -> WantedOutput:
        """Return the goal for an output that is in memory, or a folder at `place`."""
        chosen = format_to(output, tail.writing.format)
        assert chosen.write is not None
        options = options_for(chosen, tail.writing, output)
        writing = replace(tail.writing, save=options, compression=None)
        with captured_warnings():
            reading = self._recipe.reading
            stages, after = stages_to(chain, output, reading, writing, set(), source)
        target: Any = (
            FolderTarget(place, chosen.marks)
            if chosen.marks
            else MemoryTarget(io.BytesIO(), output)
        )
        sink: Sink = chosen.write(target, fitted(after, chosen, output), **options)
        return WantedOutput(stages, sink, output)
