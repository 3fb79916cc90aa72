"""Run: one image through one chain into its sinks, as flows that follow one another.

Each pass of measuring is a flow, and so are the making and the sealing. Between the flows, this
process copies pixels to scratch files and publishes the outputs.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from imgpipe.acceleration import NONE
from imgpipe.chains.element import Element
from imgpipe.chains.faintimages import merged_findings
from imgpipe.chains.stages import Stage, concern, without_arrays
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.chore import Chore
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.choice import feed_for
from imgpipe.engine.feeds.tiles import TilesFeed
from imgpipe.engine.feeds.whole import HeldImage
from imgpipe.engine.flow import Flow, PassFlow
from imgpipe.engine.fold import Fold
from imgpipe.engine.jobs import Branch, Job, published
from imgpipe.engine.lease import Lease
from imgpipe.engine.operands import opened_operand, operands_of
from imgpipe.engine.outlets import (
    DeferredOutlet,
    MeasuredOutlet,
    OrderedOutlet,
    Outlet,
    PlacedOutlet,
)
from imgpipe.engine.outputs import Output, earlier_of, tasks_of
from imgpipe.engine.parts import Parts
from imgpipe.engine.scratchcopy import copied_to_scratch
from imgpipe.engine.sealing import SealFlow
from imgpipe.engine.tiledecoding import TilesFlow
from imgpipe.engine.uprightsource import upright
from imgpipe.events import Event, Observer, Started, TaskDone, WorkerLost, Written
from imgpipe.executors.base import Traits
from imgpipe.formats.base import RandomSource, Source, aside_of, further_of
from imgpipe.formats.losses import warn_of_damage
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

if TYPE_CHECKING:
    from imgpipe.formats.scratch import Scratch

__all__ = ["Run", "numbers"]


_log = logging.getLogger("imgpipe")
numbers = itertools.count(1)
"""Numbers of runs: each is given once."""


class Run:
    """One image on its way.

    Parameters
    ----------
    source : Source
        The image.
    outputs : tuple of Output
        The outputs.
    alone : tuple of Output
        The same outputs, made by one worker that opens the image; none if that does not fit.
    traits : Traits
        Facts about the executor.
    supervised : bool
        Whether its workers may be ended, and note their whereabouts.
    timeout : float or None
        Seconds that a chunk may take.
    accelerator : str
        The accelerator of the kernels, or ``"none"``.
    control : Control
        Stops it.
    on_event : callable
        Gets the events.
    dismiss : callable
        Called when no more tasks will come, and the outputs are yet to be published.
    """

    publishes = True  # and may have to wait for a disk

    def __init__(
        self,
        source: Source,
        outputs: tuple[Output, ...],
        alone: tuple[Output, ...] = (),
        *,
        traits: Traits,
        supervised: bool,
        timeout: float | None,
        accelerator: str = NONE,
        control: Control,
        on_event: Observer,
        dismiss: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = next(numbers)
        self.name = source.name
        self.seen: tuple[int, ...] = ()  # of the filters, by all tasks; see `chains.faintimages`
        self._source, self.outputs, self._alone = source, outputs, alone
        self._given = [output.stages for output in outputs]
        self._traits, self._supervised = traits, supervised
        self._common: dict[str, Any] = {
            "timeout": timeout if supervised else None,
            "accelerator": accelerator,
        }
        self._control, self._dismiss = control, dismiss
        self._on_event: Observer = lambda event: on_event(replace(event, run=self.number))
        self._operands: list[tuple[RandomSource, ...]] = []
        self._pass_index = 0
        self._held_image = HeldImage()  # of an image that is decoded as a whole
        self._kept: Scratch | None = None  # to be filled by the first pass
        self._given_source = source
        self.missing = 0.0  # of the pixels of the image

    @property
    def filters(self) -> list[Element]:
        """The filters of all outputs, as `seen` counts them."""
        return [stage.filter for output in self.outputs for stage in output.stages]

    @property
    def pixels(self) -> int:
        """The pixels of all outputs."""
        return sum(output.plan.after.pixels for output in self.outputs)

    @property
    def cost(self) -> Cost:
        """The memory that the run takes."""
        costs = [output.plan.cost for output in self.outputs]
        return functools.reduce(Cost.beside, costs)

    def prepare(self, *, crowded: bool) -> None:
        """Choose the plan: one task for one worker if the crew is crowded."""
        if crowded and self._alone:
            self.outputs = self._alone

    def attach(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the run is to end."""
        self._control.attach(stop)

    def lost(self, reason: str, tasks: int) -> None:
        """Report the death of a worker that had some of its tasks."""
        self._on_event(WorkerLost(time=time.monotonic(), reason=reason, tasks=tasks))

    def close(self) -> None:
        """Release nothing: source and sinks are the caller's, the rest goes with the flows."""

    def flows(self) -> Generator[Flow, None, Any]:
        """Yield the flows; return the sizes of the outputs in bytes, or the measurement."""
        self._on_event(self._started())
        with CleanupStack() as held:
            self._held = held
            for output in self.outputs:
                output.stages = tuple(map(without_arrays, output.stages))
            if any(output.plan.scratch_bytes for output in self.outputs):
                tile = self.outputs[0].plan.scratch_tile
                self._source = yield from self._copied(self._source, held, tile)
            if self.outputs[0].plan.kept:
                self._kept = self._scratch(self._source.info, held)
            held.callback(self._held_image.close)
            for stages in self._given:
                self._operands.append((yield from self._opened_operands(stages, held)))
            found = None
            for number, output in enumerate(self.outputs):
                found = yield from self._measuring(number, output)
            if not all(output.makes for output in self.outputs):
                self.missing = warn_of_damage(self._given_source, alone=self.publishes)
                return found
            yield from self._making(held)
            yield from self._encoding()
            yield from self._further()
            self.missing = warn_of_damage(self._given_source, alone=self.publishes)
            publishing = Chore(
                self._published, self._on_event, self._control.check, aside=self.publishes
            )
            yield publishing
            return publishing.result

    def _started(self) -> Started:
        first = self.outputs[0].plan
        return Started(
            time=time.monotonic(),
            source=first.source,
            destination=", ".join(output.plan.destination for output in self.outputs),
            pixels=self.pixels,
            tasks=sum(map(tasks_of, self.outputs)),
            earlier=max(map(earlier_of, self.outputs)),
            passes=max(output.plan.passes for output in self.outputs),
            workers=first.workers,
        )

    # --- the flows ----------------------------------------------------------------------

    def _measuring(self, number: int, output: Output) -> Generator[Flow, None, Any]:
        """Take every measurement for an output, each in a pass of its own; return the last one."""
        for at, cut in output.plan.measuring.items():
            stage = output.stages[at]
            branch = Branch(replace(cut, stages=output.stages[:at]))
            job = Job(self.name, (branch,), measured_stage=stage, **self._common)
            fold = Fold(len(cut))
            flow = self._flow("measure", job, [output], [number], fold)
            yield flow
            before = sum(len(one.stages) for one in self.outputs[:number])
            self.seen = merged_findings(self.seen, (0,) * before + flow.seen)
            found = fold.result
            if warning := concern(stage.filter, found):
                _log.warning("%s: %s", self.name, warning)
            measured = replace(stage, measured=found)
            output.stages = (*output.stages[:at], measured, *output.stages[at + 1 :])
        return output.stages[-1].measured if output.stages else None

    def _making(self, held: CleanupStack) -> Generator[Flow, None, None]:
        """Make the pixels of all outputs; finish the files that workers write."""
        for output in self.outputs:
            if output.plan.encoding is not None:
                output.scratch = self._scratch(output.plan.after, held)
        job = Job(self.name, tuple(map(_branch, self.outputs)), **self._common)
        flow = self._flow("chunks", job, list(self.outputs), list(range(len(self.outputs))), None)
        yield flow
        self._held_image.close()
        self.seen = merged_findings(self.seen, flow.seen)
        if any(output.sink.kind == "placed" for output in self.outputs):
            yield self._sealing(job)

    def _sealing(self, job: Job) -> SealFlow:
        with uninterrupted(), CleanupStack() as opened:
            ref = published(job, self._traits, opened)
            lease = Lease(0, (), notes=self._supervised, held=opened)
            flow = SealFlow(
                pass_index=self._pass_index - 1,
                index=max(len(output.plan.tiler) for output in self.outputs),
                job=job,
                ref=ref,
                lease=lease,
                on_event=self._on_event,
                held=opened.pop_all(),
            )
            self._held.callback(flow.close)
        return flow

    def _encoding(self) -> Generator[Flow, None, None]:
        """Encode the pixels of scratch files."""
        for output in self.outputs:
            if output.scratch is None or output.plan.encoding is None:
                continue
            plan = replace(output.plan, tiler=output.plan.encoding, feed="direct", encoding=None)
            last = Output(plan, (), output.sink)
            job = Job(self.name, (_branch(last),), **self._common)
            yield self._flow("chunks", job, [last], [], None, output.scratch.source)

    def _further(self) -> Generator[Flow, None, None]:
        """Make the passes that sinks ask for after their own."""
        for output in self.outputs:
            asked = zip(output.plan.further, further_of(output.sink), strict=True)
            for plan, (source, sink) in asked:
                last = Output(plan, (), sink)
                job = Job(self.name, (_branch(last),), **self._common)
                yield self._flow("chunks", job, [last], [], None, source)

    def _flow(
        self,
        kind: str,
        job: Job,
        outputs: list[Output],
        numbers: list[int],
        fold: Fold | None,
        source: Source | None = None,
    ) -> PassFlow:
        """Return a pass over the image, or over a scratch file that was made of it."""
        parts = Parts(tuple(branch.tiler for branch in job.branches))
        plan = outputs[0].plan
        window = min(output.plan.window for output in outputs)
        near = self._traits.isolates and self._traits.shares_memory
        encodes = near and fold is None
        sizes = [output.plan.payload_bytes * (encodes and not output.scratch) for output in outputs]
        source, way, keep = source or self._source, plan.feed, None
        if self._kept is not None and source is self._source:  # the first pass over the image
            keep, self._source, self._kept = self._kept.placer, self._kept.source, None
        elif plan.kept:
            way = "direct"
        self._pass_index += 1
        with uninterrupted(), CleanupStack() as opened:  # or memory could be lost
            ref = published(job, self._traits, opened)
            notes, decoding = self._supervised, 2 * window if way == "tiles" else 0
            lease = Lease(window, tuple(sizes), notes=notes, held=opened, decoding=decoding)
            feed = feed_for(
                way, source, parts, self._control.check,
                window=window, shared=near, held=self._held_image, keep=keep,
                band_bytes=max(output.plan.band_bytes for output in outputs),
            )  # fmt: skip
            begin: Callable[..., PassFlow] = PassFlow
            if isinstance(feed, TilesFeed):
                begin = functools.partial(TilesFlow, notes=lease.decoders)
            flow = begin(
                pass_index=self._pass_index - 1,
                kind=kind,
                job=job,
                ref=ref,
                feed=feed,
                parts=parts,
                outlets=tuple(self._outlet(output, fold, window) for output in outputs),
                operands=tuple(self._operands[number] for number in numbers) or ((),),
                inline=plan.feed == "inline",
                lease=lease,
                fold=fold,
                on_event=self._on_event,
                held=opened.pop_all(),
            )
            self._held.callback(flow.close)
        return flow

    def _outlet(self, output: Output, fold: Fold | None, window: int) -> Outlet:
        if fold is not None:
            return MeasuredOutlet(fold, window)
        if output.scratch is not None:
            return DeferredOutlet()
        number = next((at for at, one in enumerate(self.outputs) if one.sink is output.sink), None)
        on_event = self._on_event if number is not None else self._on_event_beside
        if output.sink.kind == "ordered":
            return OrderedOutlet(output.sink, window, on_event, number or 0)
        return PlacedOutlet(output.sink, on_event, number or 0)

    def _on_event_beside(self, event: Event) -> None:
        """Report an event of a further pass, which makes no more pixels of the output."""
        if not isinstance(event, Written):
            self._on_event(event)

    def _scratch(self, info: ImageInfo, held: CleanupStack) -> Scratch:
        """Return a scratch file for an image, which goes with the run."""
        from imgpipe.formats.scratch import Scratch  # noqa: PLC0415 - only for this

        scratch = Scratch(info, self.outputs[0].plan.disk.folder or None)
        held.callback(scratch.abort)
        return scratch

    # --- chores -------------------------------------------------------------------------

    def _published(self, on_event: Observer, check: Callable[[], None]) -> list[int]:
        """Publish all outputs; return their sizes."""
        check()
        self._dismiss()
        return [output.sink.commit() for output in self.outputs]

    def _copied(
        self, source: Source, held: CleanupStack, tile: tuple[int, int] = (0, 0)
    ) -> Generator[Flow, None, Source]:
        """Copy an image that cannot be read as it is to a scratch file."""
        folder = self.outputs[0].plan.disk.folder or None

        def copy(on_event: Observer, check: Callable[[], None]) -> Any:
            begun = time.monotonic()

            def copied(box: Box) -> None:
                nonlocal begun
                check()
                now = time.monotonic()
                on_event(
                    TaskDone(
                        time=now, kind="copy", pass_index=0, index=0, box=box, worker="parent",
                        pid=os.getpid(), made=begun, started=begun, ended=now,
                    )
                )  # fmt: skip
                begun = now

            return copied_to_scratch(source, copied, check, tile, folder)

        chore = Chore(copy, self._on_event, self._control.check)
        yield chore
        held.callback(chore.result.abort)
        return cast(Source, chore.result.source)

    def _opened_operands(
        self, stages: tuple[Stage, ...], held: CleanupStack
    ) -> Generator[Flow, None, tuple[RandomSource, ...]]:
        """Open the further images of the filters, as random sources."""
        found: list[RandomSource] = []
        for stage, given in operands_of(stages):
            source = opened_operand(given, stage, isolated=self._traits.isolates, owner=self.name)
            if source.access != "random":
                source = yield from self._copied(source, held)
            found.append(upright(cast(RandomSource, source)))
        return tuple(found)


def _branch(output: Output) -> Branch:
    tiler = replace(output.plan.tiler, stages=output.stages)
    if output.scratch is not None:
        return Branch(tiler, placer=output.scratch.placer)
    if output.sink.kind == "ordered":
        encoder, aside = output.sink.encoder, aside_of(output.sink)
        return Branch(tiler, output.plan.unit, encoder=encoder, aside=aside)
    return Branch(tiler, output.plan.unit, placer=output.sink.placer)
