"""Several outputs of one image file, which is decoded once."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple, cast

from imgpipe import arguments
from imgpipe.adapting import stages_to
from imgpipe.cascading import Step, cascaded
from imgpipe.chains.chain import Chain
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.cleanup import CleanupStack, uninterrupted
from imgpipe.engine.control import Control
from imgpipe.engine.pipeline import run_to_all
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import UsageError
from imgpipe.events import Report
from imgpipe.formats.base import Source
from imgpipe.formats.heldtargets import HeldTargets
from imgpipe.formats.opening import (
    SourceLike,
    TargetLike,
    format_to,
    must_take,
    name_of,
    open_sink,
    open_source,
    origin_of,
)
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.options import Options
from imgpipe.paging import warn_of_frames
from imgpipe.publish import resolved
from imgpipe.reduceddecoding import shrunk
from imgpipe.running import run

__all__ = ["run_all"]

_LEFT_OUT = ("src", "filter", "dst", "halo", "dtype", "region")


def run_all(
    src: SourceLike, outputs: Mapping[TargetLike, FilterLike], **options: Any
) -> list[Report]:
    """Make several outputs of an image file, which is decoded once for all of them.

    ::

        imgpipe.run_all("a.jpg", {"a-400.webp": thumbnail(400), "a-800.webp": thumbnail(800)})

    The outputs have the same bytes as those of `run`, except that filters `thumbnail` share a
    smaller image, which suits the largest of them. They appear when all are complete. If one fails,
    none appears.

    Parameters
    ----------
    src : path or binary file
        The input, as for `run`.
    outputs : dict of path or io.BytesIO to Filter, Chain, str or callable
        The filter or chain for each output.
    **options
        The other arguments of `run`, except `halo`, `dtype` and `region`. They hold for all
        outputs; an option in `save` for those whose format has it. If the file has several frames,
        one is made: `page`, or the first.

    Returns
    -------
    list of Report
        The report of each output, in the order of `outputs`. Time and memory are those of all.

    Raises
    ------
    InputError, OutputError, FilterError, UsageError
        As for `run`.
    """
    work = _work(src, outputs, options)
    holding = HeldTargets()
    reports: dict[int, Report] = {}
    began, cpu, peak = time.monotonic(), 0.0, 0
    with _opened(work, holding) as steps:
        limited = _beside(steps, work.options)
        for step in steps:
            made = run_to_all(step.source, step.goals, limited, work.control)
            reports |= zip(step.numbers, made, strict=False)
            cpu += made[0].cpu_seconds
            peak = max(peak, *(report.peak_memory for report in made))
        with uninterrupted():
            sizes = dict(zip(_numbers(steps), holding.publish(), strict=True))
    seconds = time.monotonic() - began
    source = name_of(src, "src")
    return [
        replace(
            reports[number],
            source=source,
            size=sizes[number],
            seconds=seconds,
            cpu_seconds=cpu,
            peak_memory=peak,
        )
        for number in range(len(outputs))
    ]


def _beside(steps: list[Step], options: Options) -> Options:
    """Return the options with the memory that is left beside the thumbnails in memory."""
    if options.max_memory is None:
        return options
    taken = sum(goal.sink.info.nbytes for one in steps if not one.numbers for goal in one.goals)
    return replace(options, max_memory=cast(int, options.max_memory) - taken)


def _numbers(steps: list[Step]) -> list[int]:
    """Return the numbers of the outputs in the order in which they were opened."""
    return [number for step in steps for number in step.numbers]


class _Work(NamedTuple):
    """The arguments of `run_all`, checked as far as they can be without the input."""

    src: SourceLike
    chains: dict[TargetLike, Chain]
    reading: Reading
    writings: list[Writing]
    options: Options
    control: Control | None


def _work(
    src: SourceLike, outputs: Mapping[TargetLike, FilterLike], options: dict[str, Any]
) -> _Work:
    if not isinstance(outputs, Mapping) or not outputs:
        raise UsageError(
            "outputs must be a dict with the filter of each output, such as "
            f"{{'small.webp': thumbnail(400)}}, not {arguments.shown(outputs)}"
        )
    known = set(inspect.signature(run).parameters) - set(_LEFT_OUT)
    if unknown := sorted(set(options) - known):
        raise UsageError(f"run_all has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
    name_of(src, "src")
    _must_differ(outputs)
    chains = {dst: chain_from(one) for dst, one in outputs.items()}
    given = _choices(Writing, options)
    return _Work(
        src,
        chains,
        _choices(Reading, options),
        _writings(list(outputs), given),
        _choices(Options, options),
        options.get("control"),
    )


def _choices(kind: Any, options: dict[str, Any]) -> Any:
    return kind(**{one.name: options[one.name] for one in fields(kind) if one.name in options})


def _must_differ(outputs: Mapping[TargetLike, FilterLike]) -> None:
    """Refuse streams, of which nothing can be taken back, and two outputs for one file."""
    seen: dict[str, TargetLike] = {}
    for dst in outputs:
        if isinstance(dst, io.BytesIO):
            continue
        name = name_of(dst)
        if not isinstance(dst, (str, os.PathLike)):
            raise UsageError(f"{name}: is a stream; several outputs need files, or io.BytesIO()")
        other = seen.setdefault(resolved(name), dst)
        if other is not dst:
            raise UsageError(f"{other} and {name} are the same file; give each output its own")


def _writings(targets: list[TargetLike], given: Writing) -> list[Writing]:
    """Return the choices about each output: those options that its format has.

    Raises
    ------
    UsageError
        If no format has one of them, or a value is wrong for one that has it.
    """
    has = [{one.name for one in format_to(dst, given.format).options} for dst in targets]
    known = set[str]().union(*has)
    made = []
    for dst, names in zip(targets, has, strict=True):
        save = {k: v for k, v in given.options.items() if k in names or k not in known}
        made.append(replace(given, save=save, compression=None))
        must_take(dst, made[-1])
    return made


@contextlib.contextmanager
def _opened(work: _Work, holding: HeldTargets) -> Iterator[list[Step]]:
    """Open the input and all outputs; remove the outputs that were not published."""
    origin, reading = origin_of(work.src), work.reading
    warn_of_frames(origin, reading)
    targets, given = list(work.chains), list(work.chains.values())
    source, chains = shrunk(open_source(origin, reading), origin, given, reading)
    told: set[str] = set()
    with CleanupStack() as held, work.options.scratch_beside(targets[0]):
        held.callback(holding.abort)

        def opened(number: int, chain: Chain, image: Source, *, turn: bool = False) -> WantedOutput:
            dst, writing = targets[number], work.writings[number]
            turned = replace(reading, autorotate=reading.autorotate and turn)
            stages, after = stages_to(chain, dst, turned, writing, told, image)
            sink = open_sink(dst, after, writing.options, format=writing.format, hold=holding)
            held.callback(sink.abort)
            return WantedOutput(stages, sink, name_of(dst))

        steps = cascaded(source, given, chains, reading, opened)
        if steps is None:
            goals = (opened(n, chain, source, turn=True) for n, chain in enumerate(chains))
            steps = [Step(source, tuple(goals), tuple(range(len(chains))))]
        yield steps
