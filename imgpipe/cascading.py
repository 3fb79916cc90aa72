"""Cascade of thumbnails: each is made once, in memory, from a larger one where that is enough.

::

    image ──▶ 1600 ──▶ 800 ──▶ 400
               │        │       └──▶ avif, webp, jpg
               │        └──▶ avif, webp, jpg
               └──▶ avif, webp, jpg
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from imgpipe.chains.chain import Chain, Filter
from imgpipe.chains.stages import resolve
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.filters.thumbnails import after_reduction
from imgpipe.formats.arrays import ArraySink, SequentialArray
from imgpipe.formats.base import Source
from imgpipe.formats.readwrite import Reading
from imgpipe.reduceddecoding import TIMES, first_thumbnail

__all__ = ["Step", "cascaded"]

_MOST_BYTES = 32 << 20  # of all thumbnails in memory; the limit on it changes no pixels

Opened = Callable[[int, Chain, Source], WantedOutput | None]
"""Returns the goal of an output, given its number, the rest of its chain, and its image.

None if the output is not to be made just now. The others are the same without it.
"""


class Step(NamedTuple):
    """Outputs that are made in one run.

    Attributes
    ----------
    source : Source
        The image.
    goals : tuple of WantedOutput
        The outputs.
    numbers : tuple of int
        The number of each output; none if these are thumbnails in memory.
    """

    source: Source
    goals: tuple[WantedOutput, ...]
    numbers: tuple[int, ...]


def cascaded(
    source: Source,
    given: Sequence[Chain],
    chains: Sequence[Chain],
    reading: Reading,
    opened: Opened,
) -> list[Step] | None:
    """Return the steps that make all outputs; None if they are not thumbnails, or are too large.

    Parameters
    ----------
    source : Source
        The image, which may have been reduced.
    given, chains : sequence of Chain
        The chain of each output as the caller gave it, and for this image.
    reading : Reading
        Choices of the caller.
    opened : callable
        Opens an output.
    """
    firsts = [first_thumbnail(chain) for chain in given]
    if len(firsts) < 2 or None in firsts:
        return None
    keys = [(one, one.keywords["keep_metadata"]) for one in cast("list[Filter]", firsts)]
    info = reading.declared(source.info)
    made: dict[Any, Any] = {}  # the stages that make each thumbnail
    for key, chain in zip(keys, chains, strict=True):
        made.setdefault(key, resolve([next(iter(chain))], info, autorotate=reading.autorotate))
    total = sum(stages[-1].after.nbytes for stages in made.values())
    if total > _MOST_BYTES:
        return None

    steps: list[Step] = []
    roots: list[WantedOutput] = []
    small: dict[Any, SequentialArray] = {}
    for key in sorted(made, key=lambda one: -made[one][-1].after.pixels):
        stages = made[key]
        after = stages[-1].after
        parent = _parent(small, key, (after.height, after.width))
        if parent is not None:
            before = parent.info
            full = after.height, after.width
            again = after_reduction(key[0], full, (before.height, 1, 0), (before.width, 1, 0))
            stages = resolve([again], reading.declared(before), autorotate=False)
            after = stages[-1].after
        pixels = np.empty(after.shape, after.dtype)
        goal = WantedOutput(stages, ArraySink(after, pixels), "memory")
        if parent is None:
            roots.append(goal)
        else:
            steps.append(Step(parent, (goal,), ()))
        if reading.nodata is None and source.info.nodata is None:
            after = replace(after, nodata=None)  # NaN goes without saying
        small[key] = SequentialArray(after, pixels, source.name)
    steps.insert(0, Step(source, tuple(roots), ()))
    for key, image in small.items():
        numbers = tuple(number for number, one in enumerate(keys) if one == key)
        made_of = {n: opened(n, Chain(tuple(given[n])[1:]), image) for n in numbers}
        goals = {n: goal for n, goal in made_of.items() if goal is not None}
        if goals:
            steps.append(Step(image, tuple(goals.values()), tuple(goals)))
    return steps


def _parent(
    small: dict[Any, SequentialArray], key: Any, size: tuple[int, int]
) -> SequentialArray | None:
    """Return the smallest thumbnail that is large enough for another one."""
    enough = [
        image
        for one, image in small.items()
        if one[1] == key[1]
        and image.info.height >= TIMES * size[0]
        and image.info.width >= TIMES * size[1]
    ]
    return min(enough, key=lambda image: image.info.pixels, default=None)
