"""Plan: the steps of a run and the memory that it takes, decided beforehand.

A smaller budget makes a shorter window, smaller tasks and fewer workers. It never makes other
bytes, because the unit depends on the width, the type and the format alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial, reduce
from typing import Any

from imgpipe.chains.element import Element
from imgpipe.chains.stages import Stage
from imgpipe.engine.budget import Remedy, granted, no_plan
from imgpipe.engine.costs import Cost, Footing, cost_of_processes, cost_of_tasks, encoded_bytes
from imgpipe.engine.cutting import CHUNK_BYTES, TASK_BYTES, Grid, context_of, cut
from imgpipe.engine.disk import Disk, disk_for
from imgpipe.engine.feeds.choice import (
    Cut,
    FeedName,
    cost_of_feed,
    cost_of_reading,
    ring_bytes,
    slot_bytes,
)
from imgpipe.engine.feeds.direct import DirectFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.plantext import text_of
from imgpipe.engine.route import Route, WantedOutput, routes
from imgpipe.engine.scratchcopy import cost_of_copying
from imgpipe.engine.tiler import Tiler
from imgpipe.engine.tileuse import TileUse, in_tiles, redundancy
from imgpipe.executors.base import Traits
from imgpipe.formats.base import Sink, Source, scratch_bytes_of
from imgpipe.geometry import Halo
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Plan", "WantedOutput", "make_plan", "make_plans"]

_REDUNDANCY = 1.4  # of decoding, from which on tasks of their own decode tiles
_BANDS_BYTES = 10 * TASK_BYTES  # of all bands, unless there are many workers
_Size = tuple[int, int, int, int]  # workers, window, bytes of a task and of a chunk
_ShapesOf = Callable[[Route, int, int], "_Shapes"]


@dataclass(frozen=True, repr=False)
class Plan:
    """The plan for one output of an image.

    Attributes
    ----------
    source, destination : str
        Names of the two ends.
    before, after : ImageInfo
        The input and the output.
    chain : tuple of Element
        The filters.
    halo : (int, int)
        Rows and columns of context of the whole chain, in pixels of the output.
    feed : str
        The feed: ``bands`` of rows in shared memory, or a ``ring`` of rows, ``direct`` reading by
        the workers, ``tiles`` that are decoded once, a ``whole`` image in memory, ``inline`` with
        the task, or ``opened`` by one worker.
    tiler : Tiler
        The cut of the pass that makes the output.
    unit : (int, int)
        Rows and columns that are encoded at once; 0 columns for whole rows.
    encoding : Tiler or None
        The cut of the pass that encodes the output, if the encoding is deferred: the output goes
        to a scratch file first, because a unit stands for too much of the input.
    measuring : dict of int to Tiler
        The stages that need a pass of measuring first, and the cut of that.
    window : int
        Tasks under way at once.
    band_bytes, payload_bytes : int
        Size of a slot for input and for output; 0 where there is none.
    workers : int
        Processes or threads.
    executor : str
        Name of the executor, and why it was chosen.
    accelerator : str
        Name and version of the accelerator and the filters that it computes, or ``none``.
    scratch_bytes : int
        Size of the scratch file that the input is copied to, if the plan needs one.
    scratch_tile : (int, int)
        Rows and columns of the tiles of that file; 0 where it holds whole rows.
    kept : bool
        Whether the first pass keeps the input in a scratch file, from which the others read it.
    disk : Disk
        All scratch files together.
    cost : Cost
        The bound on the memory of all processes, in its parts.
    budget : int
        Limit on the memory, in bytes.
    further : tuple of Plan
        The passes that the sink asks for after its own, such as those of a pyramid.
    frames, at_once : int
        Frames of the file, and those that are made at once; this is the plan of the largest.
    """

    source: str
    destination: str
    before: ImageInfo
    after: ImageInfo
    chain: tuple[Element, ...]
    halo: Halo
    feed: FeedName
    tiler: Tiler
    unit: tuple[int, int]
    encoding: Tiler | None
    measuring: dict[int, Tiler]
    window: int
    band_bytes: int
    payload_bytes: int
    workers: int
    executor: str
    scratch_bytes: int
    scratch_tile: tuple[int, int]
    kept: bool
    disk: Disk
    cost: Cost
    budget: int
    further: tuple[Plan, ...] = ()
    frames: int = 1
    at_once: int = 1
    accelerator: str = "none"

    @property
    def memory(self) -> int:
        """The bound on the memory of all processes together, in bytes."""
        return self.cost.total(self.workers)

    @property
    def passes(self) -> int:
        """Number of passes over the pixels of the input or the output."""
        before = len(self.measuring) + bool(self.scratch_bytes)
        return 1 + before + (self.encoding is not None) + len(self.further)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return text_of(self)


def make_plans(
    source: Source,
    goals: tuple[WantedOutput, ...],
    *,
    traits: Traits,
    workers: int,
    executor: str,
    max_memory: int | None,
    chunk: tuple[int, int] | None,
    footing: Footing,
    opened: bool = False,
    fewer: bool = True,
    taken: int = 0,
    remedy: Remedy | None = None,
) -> tuple[Plan, ...]:
    """Return the plan for each output of one image, all made in the same passes.

    The first plan has the cost of all of them.

    Parameters
    ----------
    source : Source
        The image.
    goals : tuple of WantedOutput
        The outputs.
    traits, workers, executor : Traits, int, str
        The executor, its workers, and why it was chosen.
    max_memory : int or None
        Bytes that may be used.
    chunk : (int, int) or None
        Rows and columns of a chunk, if they are given.
    footing : Footing
        Memory of the processes before the first task.
    opened : bool
        Whether one worker opens the image, and makes all of it as one task.
    fewer : bool
        Whether there may be fewer workers.
    taken : int
        Bytes of `max_memory` that are taken anyway.
    remedy : callable, optional
        Returns the remedy where no plan fits.

    Raises
    ------
    MemoryPlanError
        If no plan fits `max_memory` bytes.
    """
    limit, beside = granted(max_memory, footing)
    budget = limit - taken
    usual = routes(source, goals, traits, opened=opened)
    shapes: _ShapesOf = cache(partial(_shapes, chunk=chunk))
    refused: list[tuple[int, Disk]] = []
    sizes = list(_candidates(workers, fewer=fewer))
    for tried, size in _attempts(usual, sizes, shapes):
        count, each = size[0], [_planned(route, shapes, size) for route in tried]
        plans = _together(each, tried[0].fed_from)
        plans[0] = replace(plans[0], cost=plans[0].cost + cost_of_processes(traits, count, footing))
        if plans[0].cost.total(count) <= budget:
            said: dict[str, Any] = {"workers": count, "executor": executor, "budget": budget}
            return tuple(
                replace(plan, destination=goal.destination, **said)
                for plan, goal in zip(plans, goals, strict=True)
            )
        refused.append((taken + plans[0].cost.total(count), plans[0].disk))
    few = "one worker" if fewer or workers == 1 else f"{workers} workers"
    raise no_plan(source, goals, refused, few, footing.held, (limit, beside), remedy)


def make_plan(
    source: Source, stages: tuple[Stage, ...], sink: Sink, *, destination: str, **given: Any
) -> Plan:
    """Return the plan for an image with one output; see `make_plans`."""
    (plan,) = make_plans(source, (WantedOutput(stages, sink, destination),), **given)
    return plan


def _candidates(workers: int, *, fewer: bool) -> Iterator[_Size]:
    """Yield workers, window and the bytes of a task, from the fastest plan to the smallest."""
    least = 1 if fewer else workers
    for count in range(workers, least - 1, -1):
        for per_worker in (2, 1) if count > 1 or workers > 1 else (1,):
            for sizes in ((TASK_BYTES, CHUNK_BYTES), (TASK_BYTES, 0), (TASK_BYTES // 4, 0)):
                extra = 0 if workers == 1 else per_worker
                yield count, per_worker * count + extra, *sizes
    yield least, least, 1, 0


def _attempts(
    usual: list[Route], sizes: list[_Size], shapes: _ShapesOf
) -> Iterator[tuple[list[Route], _Size]]:
    """Yield routes and sizes to be tried, from the fastest plan to the smallest.

    For as many workers, a stream that fits into memory is held there, not in a scratch file.
    For as many workers, tiles that are decoded once go before those that are decoded several times.
    """
    whole = [route.whole_if_possible() for route in usual]
    tiled = [route.in_tiles_if_possible() for route in usual]
    for _, group in itertools.groupby(sizes, key=lambda size: size[0]):
        ways = list(group)
        if whole != usual:
            yield from ((whole, size) for size in ways)
        for size in ways:
            if size[2] > 1 and _decode_again([shapes(route, *size[2:]) for route in usual]):
                yield tiled, size
        for size in ways:
            yield usual, size
    deferred = [route.deferred_if_possible() for route in usual]
    for size in sizes:
        yield deferred, size


def _decode_again(shapes: list[_Shapes]) -> bool:
    """Return whether many tiles are decoded several times if each task decodes its own."""
    made = [one.uses[0] for one in shapes if one.uses]
    measured = [[use] for one in shapes for use in one.uses[1:]]
    return any(uses and redundancy(uses) > _REDUNDANCY for uses in (made, *measured))


def _together(plans: list[Plan], source: Source) -> list[Plan]:
    """Return the plans of outputs that are made in the same passes; the first has all the cost."""
    if len(plans) == 1:
        return plans
    first, window = plans[0], min(plan.window for plan in plans)
    bands = slot_bytes(first.feed, tuple(plan.tiler for plan in plans), together=True)
    bands = max(bands, *(plan.band_bytes for plan in plans))
    cost = reduce(Cost.__add__, (plan.cost for plan in plans))
    apart = sum(plan.window * plan.band_bytes for plan in plans)
    cost += Cost(shared=window * bands - apart)
    ring = partial(ring_bytes, first.feed, source, window=window)
    together = ring(tuple(plan.tiler for plan in plans))
    cost += Cost(shared=max(0, together - sum(ring((plan.tiler,)) for plan in plans)))
    once = cost_of_reading(first.feed, source) + Cost(
        shared=first.before.nbytes if first.feed == "whole" else 0
    )
    more = len(plans) - 1
    cost += Cost(shared=-once.shared * more, per_worker=-once.per_worker * more)
    shared = [replace(plan, window=window, band_bytes=bands, cost=Cost()) for plan in plans]
    return [replace(shared[0], cost=cost), *shared[1:]]


def _planned(route: Route, shapes: _ShapesOf, size: _Size) -> Plan:
    """Return a plan, and the plans of the passes after it, without the memory of processes."""
    count, window, *sizes = size
    plan = _sized(route, shapes(route, *sizes), window)
    if window * plan.band_bytes > _BANDS_BYTES:  # of large ones few are held ready
        fewer = max(count + 1, _BANDS_BYTES // plan.band_bytes)
        plan = _sized(route, shapes(route, *sizes), min(window, fewer))
    further = tuple(_sized(one, shapes(one, *sizes), window) for one in route.further)
    costs = [plan.cost, *(one.cost for one in further)]
    in_memory = Cost(shared=plan.disk.size if plan.disk.in_memory else 0)
    return replace(plan, further=further, cost=reduce(Cost.then, costs) + in_memory)


@dataclass(frozen=True)
class _Shapes:
    """The cuts of the passes of a route."""

    tiler: Tiler
    encoding: Tiler | None
    measuring: dict[int, Tiler]
    uses: tuple[TileUse, ...] = ()  # of tiles, by the making and each measuring


def _shapes(
    route: Route, task_bytes: int, chunk_bytes: int, *, chunk: tuple[int, int] | None
) -> _Shapes:
    """Return the cuts of the passes for tasks and chunks of so many bytes."""
    source, stages, sink = route.source, route.stages, route.sink
    shaped = partial(
        cut, task_bytes=task_bytes, chunk_bytes=chunk_bytes, chunk=chunk,
        whole=route.feed == "opened",
    )  # fmt: skip
    unit, context_rows, encoding = sink.unit, route.context_rows, None
    in_order = sink.kind == "ordered"
    if route.deferred:
        grid = Grid(unit, in_order=in_order)
        encoding = shaped(sink.info, (), sink.info, grid, context_rows=context_rows)
        unit, context_rows, in_order = (1, 1), 0, False
    grid = route.grid(unit, in_order=in_order)
    tiler = shaped(source.info, stages, sink.info, grid, context_rows=context_rows)
    measuring = {
        at: shaped(source.info, stages[:at], stage.before, route.grid((1, 1)))
        for at, stage in enumerate(stages)
        if stage.filter.measures
    }
    uses: tuple[TileUse, ...] = ()
    if in_tiles(route.fed_from) and route.feed in ("direct", "tiles"):
        passes = (Parts((one,)) for one in (tiler, *measuring.values()))
        uses = tuple(TileUse(parts, source.info, source.grain) for parts in passes)
    return _Shapes(tiler, encoding, measuring, uses)


def _sized(route: Route, shapes: _Shapes, window: int) -> Plan:
    """Return a plan for tasks of these shapes, without the memory of processes."""
    source, stages, sink = route.source, route.stages, route.sink
    tiler, encoding, measuring = shapes.tiler, shapes.encoding, shapes.measuring
    window = min(window, max(len(tiler), len(encoding or ())))
    payload, unit_bytes = 0, getattr(sink, "place_bytes", 0)
    if sink.kind == "ordered":
        payload, unit_bytes = encoded_bytes(sink, encoding or tiler)
        unit_bytes += sink.encoder.work_bytes
    encoded = Cost(shared=window * payload, per_worker=unit_bytes)
    passes = itertools.zip_longest((tiler, *measuring.values()), shapes.uses)
    made, *measured = itertools.starmap(Cut, passes)

    def fed(cut: Cut) -> Cost:
        cost = cost_of_feed(route.feed, route.fed_from, cut, window)
        return cost + DirectFeed.cost(cut.tiler) if route.kept else cost

    cost = fed(made) + cost_of_tasks(tiler, makes=True)
    if encoding is None:
        cost += encoded
    else:
        last = DirectFeed.cost(encoding) + cost_of_tasks(encoding, makes=True)
        cost = cost.then(last + encoded)
    for one in measured:
        cost = cost.then(fed(one) + cost_of_tasks(one.tiler, makes=False))
    if route.copied:
        cost += cost_of_copying(source)
    # One task seals, in this process if an ordered sink fills one out of the workers' reach.
    cost = cost.then(Cost(shared=getattr(sink, "seal_bytes", 0)))
    disk = disk_for(
        source.info.nbytes if route.copied or route.kept else 0,
        sink.info.nbytes if encoding is not None else 0,
        scratch_bytes_of(source),
        scratch_bytes_of(sink),
        *(one.source.info.nbytes for one in route.further),
    )
    return Plan(
        source=source.name,
        destination="",
        before=source.info,
        after=sink.info,
        chain=tuple(stage.filter for stage in stages),
        halo=context_of(stages),
        feed=route.feed,
        tiler=tiler,
        unit=sink.unit,
        encoding=encoding,
        measuring=measuring,
        window=window,
        band_bytes=slot_bytes(route.feed, (tiler, *measuring.values())),
        payload_bytes=payload,
        workers=1,
        executor="",
        scratch_bytes=source.info.nbytes if route.copied else 0,
        scratch_tile=route.tile,
        kept=route.kept,
        disk=disk,
        cost=cost,
        budget=0,
    )
