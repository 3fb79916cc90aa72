"""Small pass: the pixels of one small file, through the filters to the sinks.

They go through the same functions as in a run, so the outputs have the same bytes. The plan of the
last images like this one is used again.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from imgpipe.acceleration import using
from imgpipe.batches.work.answers import Recipe
from imgpipe.batches.work.heldfiles import TooLargeError
from imgpipe.chains.faintimages import warnings_of, watching
from imgpipe.chains.stages import Stage, compute, concern
from imgpipe.engine.batchsizing import accelerator_for
from imgpipe.engine.callcontext import CallContext
from imgpipe.engine.costs import Footing
from imgpipe.engine.jobs import Branch, Job
from imgpipe.engine.plan import Plan, make_plans
from imgpipe.engine.tasks import Inline, JobRef, Part, Task
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.engine.worker import Encoded, encoded, worked
from imgpipe.engine.workernotes import note_filters, reading
from imgpipe.errors import MemoryPlanError
from imgpipe.executors.base import Traits
from imgpipe.formats.base import Sink, Source, aside_of, further_of
from imgpipe.formats.losses import warn_of_damage
from imgpipe.formats.rows import decode
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

__all__ = ["SmallPass", "Steps", "make_room"]

_KEPT = 64  # plans that are kept
_STRIP_BYTES = 1 << 20
_HERE = Traits(shares_memory=True, shares_files=True, isolates=False)
_NO_REF = JobRef("", None, 0)

_log = logging.getLogger("imgpipe")


class Steps:
    """The step that a file is at, and the seconds in each."""

    def __init__(self) -> None:
        self.name, self.pixels = "open", 0
        self.seconds: dict[str, float] = {}
        self._begun = time.perf_counter()

    def to(self, name: str) -> None:
        """Go on to a step."""
        now = time.perf_counter()
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + now - self._begun
        self.name, self._begun = name, now

    def split(self, spans: dict[str, float]) -> None:
        """Count seconds as those of other steps."""
        self._begun += sum(spans.values())
        for name, seconds in spans.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class SmallPass:
    """The passing of files of one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._plans: dict[Any, tuple[Plan, ...]] = {}

    def _planned(
        self, source: Source, every: list[tuple[Stage, ...]], sinks: list[Sink], held: int
    ) -> tuple[Plan, ...]:
        """Return the plan for each output, for one worker."""
        key = (
            source.access, source.decode_bytes >> 20, _shape(source.info),
            *(_shape(sink.info) for sink in sinks),
            *(len(stages) for stages in every),
        )  # fmt: skip
        plans = self._plans.get(key)
        if plans is None or plans[0].memory + held > self._recipe.allowance:
            goals = tuple(map(WantedOutput, every, sinks, ("",) * len(sinks)))
            try:
                plans = make_plans(
                    source, goals, traits=_HERE, workers=1, executor="", footing=Footing(),
                    max_memory=self._recipe.allowance - held, chunk=self._recipe.chunk, opened=True,
                )  # fmt: skip
            except MemoryPlanError:
                raise TooLargeError("needs much memory") from None
            make_room(self._plans)
            self._plans[key] = plans
        if any(aside_of(sink) or further_of(sink) for sink in sinks):
            raise TooLargeError("becomes a pyramid")
        return plans

    def make(
        self,
        source: Source,
        every: list[tuple[Stage, ...]],
        sinks: list[Sink],
        held: int,
        call: CallContext,
        steps: Steps,
    ) -> None:
        """Decode a source, and write the pixels of each sink."""
        plans = self._planned(source, every, sinks, held)
        steps.to("read")
        with reading(call.note):
            image = _decoded(source)
        steps.to("filter")
        branches, filters = [], []
        all_stages = itertools.chain.from_iterable(every)
        accelerator = accelerator_for(call.accelerator, all_stages, source.info.pixels)
        with watching() as sight, using(accelerator.name):
            for plan, stages, sink in zip(plans, every, sinks, strict=True):
                complete = _measured(source.name, plan, stages, image, call)
                filters += [stage.filter for stage in complete]
                tiler = plan.tiler
                if tiler.stages is not complete:
                    tiler = replace(tiler, stages=complete)
                if sink.kind == "ordered":
                    branches.append(Branch(tiler, sink.unit, encoder=sink.encoder))
                else:
                    branches.append(Branch(tiler, sink.unit, placer=sink.placer))
            job = Job(source.name, tuple(branches))
            _note_filters(call, job)
            for at, (branch, sink) in enumerate(zip(branches, sinks, strict=True)):
                if small := _in_one_piece(branch, image):
                    steps.split(small[1])
                    _append(sink, small[0])
                    continue
                for box in _strips(branch):
                    task = Task(
                        "chunks", 0, 0, _NO_REF, parts=(Part(at, 0, box),), image=image,
                        note=call.note,
                    )  # fmt: skip
                    found, spans = worked(task, job)
                    steps.split(spans)
                    if sink.kind == "ordered":
                        _append(sink, *found["encoded"])
            if any(sink.kind == "placed" for sink in sinks):
                steps.split(worked(Task("seal", 0, 0, _NO_REF, note=call.note), job)[1])
        steps.to("write")
        for text in warnings_of(filters, sight.of(filters)):
            _log.warning("%s: %s", source.name, text)
        warn_of_damage(source)


def _decoded(source: Source) -> Inline:
    """Return all pixels of a source."""
    info = source.info
    if source.access == "random":
        pixels = source.read(info.box)
    else:
        pixels = np.empty(info.shape, info.dtype)
        decode(source, pixels)
    pixels.flags.writeable = False
    return Inline(((pixels, info.box),))


def _measured(
    name: str, plan: Plan, stages: tuple[Stage, ...], image: Inline, call: CallContext
) -> tuple[Stage, ...]:
    """Return the stages with their measurements."""
    for at, cut in plan.measuring.items():
        stage, tiler = stages[at], replace(cut, stages=stages[:at])
        job = Job(name, (Branch(tiler),), measured_stage=stage)
        _note_filters(call, job)
        part = Part(0, 0, _only(tiler))
        task = Task("measure", 0, 0, _NO_REF, parts=(part,), image=image, note=call.note)
        found = worked(task, job)[0]["measured"]
        if warning := concern(stage.filter, found):
            _log.warning("%s: %s", name, warning)
        stages = (*stages[:at], replace(stage, measured=found), *stages[at + 1 :])
    return stages


def _note_filters(call: CallContext, job: Job) -> None:
    """Note the filters for the parent, if one of them may end this process."""
    if not job.ours:
        note_filters(call.note, [repr(stage.filter) for stage in job.all_stages])


def _only(tiler: Any) -> Box:
    """Return the box of the only task of a plan for one worker."""
    assert len(tiler) == 1
    box: Box = tiler.box(0)
    return box


def _in_one_piece(branch: Branch, image: Inline) -> tuple[Encoded, dict[str, float]] | None:
    """Return a small output that has no need of a task, and the seconds by step.

    None if it is not small. If it fails, None too: a task tells where and why.
    """
    tiler, box = branch.tiler, branch.after.box
    if branch.encoder is None or not tiler.stages or box.height > tiler.chunk[0]:
        return None
    ours = all(stage.filter.definition.ours for stage in tiler.stages)
    if not ours or box.width > tiler.chunk[1] or branch.aside is not None:
        return None
    begun = time.perf_counter()
    try:
        pixels = compute(tiler.stages, box, image.read)
        made = time.perf_counter()
        found = encoded(pixels, 0, branch, None)
    except Exception:  # noqa: BLE001 - it is raised again
        return None
    return found, {"filter": made - begun, "encode": time.perf_counter() - made}


def _strips(branch: Branch) -> Iterator[Box]:
    """Yield the parts of an output that are made at once: a chunk, or small enough for a cache."""
    after, unit, chunk = branch.after, branch.unit[0], branch.tiler.chunk
    units = chunk[0] // unit
    if not units or chunk[1] < after.width:
        units = max(units, _STRIP_BYTES // (unit * after.row_bytes), 1)
    return after.box.cut(units * unit, after.width)


def _append(sink: Any, encoded: Any) -> None:
    used, data = 0, memoryview(encoded.data)
    for size, facts in encoded.units:
        sink.append(data[used : used + size], facts)
        used += size


def _shape(info: ImageInfo) -> tuple[Any, ...]:
    """Return the properties that a plan depends on."""
    return info.height, info.width, info.channels, info.dtype, info.alpha, info.colour, info.nodata


def make_room(kept: dict[Any, Any]) -> None:
    """Make room for one more entry."""
    if len(kept) >= _KEPT:
        del kept[next(iter(kept))]
