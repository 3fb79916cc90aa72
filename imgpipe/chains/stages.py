"""Stages: the filters of a chain at work on one image, and the computation of a chunk.

Chunks are pulled: the pixels of a box after the last stage are made from a larger box after the
stage before it, down to the source. Each stage adds its own halo and its own border, and only
where the image really ends, so a chunk never differs from the same pixels of the whole.
"""

from __future__ import annotations

import contextlib
import logging
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from imgpipe.admission import Admitted, Alpha, Nodata, admitted, native
from imgpipe.chains.chunks import Read, extended
from imgpipe.chains.element import Element
from imgpipe.chains.faintimages import warnings_of, watching
from imgpipe.chains.metadatarule import carried
from imgpipe.chains.nodata import nodata_after, with_data
from imgpipe.chains.orientation import turning
from imgpipe.chains.stage import Stage
from imgpipe.chains.transparency import NOTHING, colour_of, visible_pixels
from imgpipe.errors import DeclarationError, UsageError
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.signatures import taken_by
from imgpipe.tracebacks import FILTER_NOTE

__all__ = [
    "Entering",
    "Read",
    "Stage",
    "completed",
    "compute",
    "concern",
    "extended",
    "filter_at_fault",
    "input_box",
    "measure",
    "merged",
    "must_match",
    "naming",
    "reads",
    "resolve",
    "run_whole",
    "seen",
    "with_operands",
    "without_arrays",
]

_log = logging.getLogger("imgpipe")

Entering = Callable[[int], None]


def resolve(
    chain: Iterable[Element], info: ImageInfo, *, autorotate: bool = True, name: str = ""
) -> tuple[Stage, ...]:
    """Return the stages of `chain` on an image, every size, type and colour worked out.

    With `autorotate`, the first stage turns the image upright if it is not. `name` is the name of
    the image for errors.

    Raises
    ------
    UsageError
        If a filter cannot take the result of the one before it.
    """
    stages = []
    with naming(name):
        for one in (*(turning(info) if autorotate else ()), *chain):
            after = _after(one, info)
            stages.append(Stage(one, info, after))
            info = after
    return tuple(stages)


def seen(info: ImageInfo) -> ImageInfo:
    """Return the image that a file shows: upright."""
    stages = resolve((), info)
    return stages[-1].after if stages else info


def compute(
    stages: tuple[Stage, ...],
    box: Box,
    read: Read,
    entering: Entering = lambda _: None,
    into: Pixels | None = None,
) -> Pixels:
    """Return the pixels of `box` after the last of `stages`, shape (rows, columns, channels).

    `read` gives the pixels of a box of the source. The result may be a view of those.
    `entering` is told the number of each stage whose function is about to be called. `into` is the
    place of the result with the halo of the last stage, which may be overwritten; the result may
    be a view of its inside.
    """
    if not stages:
        return read(box)
    *earlier, stage = stages
    wanted = stage.input_box(box)
    if stage.filter.border == "wrap":
        before = _shared(tuple(earlier), stage.reads(wanted), read, entering)
    else:
        before = partial(compute, tuple(earlier), read=read, entering=entering)
    padded = extended(before, wanted, stage.before, stage.filter.border)
    del before  # which may hold pixels
    entering(len(earlier))
    return _made(stage, padded, box, wanted, into if stage.takes_room else None)


def _shared(stages: tuple[Stage, ...], boxes: list[Box], read: Read, entering: Entering) -> Read:
    """Return a reader of `boxes` after the last of `stages`, which makes what they share once.

    Boxes on both sides of a wrapping border need the same pixels of earlier stages. If each had
    them made, the work would grow with a power of the number of stages.
    """
    needed = _outermost(boxes)
    if not stages:
        given = [read(box) for box in needed]
    else:
        *earlier, stage = stages
        wanted = [stage.input_box(box) for box in needed]
        parts = [part for one in wanted for part in stage.reads(one)]
        before = _shared(tuple(earlier), parts, read, entering)
        padded = [extended(before, one, stage.before, stage.filter.border) for one in wanted]
        del before  # which holds pixels
        given = []
        for box, one in zip(needed, wanted, strict=True):
            entering(len(earlier))
            given.append(_made(stage, padded.pop(0), box, one))

    def held(part: Box) -> Pixels:
        number = next(n for n, each in enumerate(needed) if each.contains(part))
        return given[number][part.within(needed[number])]

    return held


def _made(
    stage: Stage, padded: Pixels, box: Box, wanted: Box, into: Pixels | None = None
) -> Pixels:
    """Return the pixels of `box` after `stage`, given those of `wanted` before it."""
    made = stage.aligned(box)
    return stage.apply(padded, made, wanted, into)[box.within(made)]


def _outermost(boxes: list[Box]) -> list[Box]:
    """Return each of `boxes` that lies in no other, once."""
    found = list(dict.fromkeys(boxes))
    return [
        one for one in found if not any(other != one and other.contains(one) for other in found)
    ]


def input_box(stages: tuple[Stage, ...], box: Box, info: ImageInfo) -> Box:
    """Return the box of the source that `box` after the last of `stages` is made from."""
    for stage in reversed(stages):
        box = stage.input_box(box).clip(stage.before.height, stage.before.width)
    return box.clip(info.height, info.width)


def reads(stages: tuple[Stage, ...], box: Box) -> list[list[Box]]:
    """Return the boxes that hold all that is read to make `box` after the last of `stages`.

    The first list is of the source, the others of each further image of the filters.
    """
    asked, further = [box], list[list[Box]]()
    for stage in reversed(stages):
        wanted = map(stage.input_box, asked)
        asked = _outermost([part for one in wanted for part in stage.reads(one)])
        further[:0] = [asked] * len(stage.filter.operands)
    return [asked, *further]


def without_arrays(stage: Stage) -> Stage:
    """Return `stage` without the pixels of further images, which reach the workers otherwise."""
    one = stage.filter
    if not any(isinstance(value, np.ndarray) for value in one.keywords.values()):
        return stage
    names = {name: f"{name} (an array)" for name in one.operands}
    params = tuple((name, names.get(name, value)) for name, value in one.params)
    return replace(stage, filter=replace(one, params=params))


def run_whole(chain: Sequence[Element], array: Any, alpha: Alpha, nodata: Nodata = None) -> Pixels:
    """Run `chain` over an image in memory in one piece."""
    image = admitted(array, alpha, nodata=nodata)
    stages = completed(chain, image)
    after = stages[-1].after if stages else image.info
    with watching() as sight:
        made = compute(stages, after.box, image.read)
    for warning in warnings_of(chain, sight.of(chain)) if sight.outermost else ():
        _log.warning("%s", warning)
    made = np.array(made, order="C")  # never a view of the caller's array
    return made[:, :, 0] if image.flat and made.shape[2] == 1 else made


def completed(chain: Iterable[Element], image: Admitted) -> tuple[Stage, ...]:
    """Return the stages of `chain` on a whole image, measured, and with their operands."""
    stages = resolve(chain, image.info)
    for at, stage in enumerate(stages):
        if stage.filter.operands or stage.filter.measures:
            stages = (*stages[:at], _completed(stages, at, image), *stages[at + 1 :])
    return stages


def measure(stage: Stage, chunk: Pixels) -> Any:
    """Return the measurement of `stage` on the visible pixels of a chunk, `NOTHING` if none is.

    A function that sees alpha measures all pixels.
    """
    one = stage.filter
    assert one.definition.measure is not None
    if stage.minds_absence:
        chunk = with_data(chunk, stage.before)
        if not chunk.size:
            return NOTHING
    if stage.policy != "filter":
        chunk = visible_pixels(chunk)
        if not chunk.size:
            return NOTHING
        chunk = colour_of(chunk) if stage.policy == "keep" else chunk
    worked = stage.as_worked(chunk)
    view = (stage.premultiplied(worked) if stage.policy == "premultiply" else worked).view()
    view.flags.writeable = False
    try:
        return one.definition.measure(view, **taken_by(one.definition.measure, one.keywords, 1))
    except BaseException as error:
        error.add_note(f"{FILTER_NOTE}{one!r}")
        raise


def merged(one: Element, found: Any, more: Any) -> Any:
    """Return two measurements of a filter, merged."""
    assert one.definition.merge is not None
    if found is NOTHING or more is NOTHING:
        return more if found is NOTHING else found
    try:
        return one.definition.merge(found, more)
    except BaseException as error:
        error.add_note(f"{FILTER_NOTE}{one!r}")
        raise


def concern(one: Element, found: Any) -> str:
    """Return the warning of a filter of imgpipe about its measurement, or nothing."""
    warning = getattr(found, "warning", "") if one.definition.ours else ""
    return f"{one.name}: {warning}" if warning else ""


def with_operands(stages: tuple[Stage, ...], readers: list[Read]) -> tuple[Stage, ...]:
    """Return `stages` with the readers of their further images, given in order."""
    left, out = list(readers), []
    for stage in stages:
        count = len(stage.filter.operands)
        out.append(replace(stage, operands=tuple(left[:count])) if count else stage)
        del left[:count]
    return tuple(out)


def filter_at_fault(error: BaseException) -> str:
    """Return the filter whose function raised `error`."""
    notes = getattr(error, "__notes__", [])
    return next((n[len(FILTER_NOTE) :] for n in notes if n.startswith(FILTER_NOTE)), "a filter")


def _completed(stages: tuple[Stage, ...], at: int, image: Admitted) -> Stage:
    """Return stage `at` with its operands and measurements, for a whole image."""
    stage = stages[at]
    keywords = stage.filter.keywords
    operands = tuple(keywords[name] for name in stage.filter.operands)
    readers = tuple(_array_reader(array, stage) for array in operands)
    found = None
    if stage.filter.measures:
        found = measure(stage, compute(stages[:at], stage.before.box, image.read))
        if warning := concern(stage.filter, found):
            _log.warning("%s", warning)
    return replace(stage, operands=readers, measured=found)


def _array_reader(array: Any, stage: Stage) -> Read:
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{stage.filter.name}: give the second image as an array here")
    image = admitted(array, name="the second image")
    must_match(stage, image.info, "the second image")
    return image.read


def must_match(stage: Stage, other: ImageInfo, name: str) -> None:
    """Refuse a further image that is not as large as the image that the stage gets."""
    before = stage.before
    if (other.height, other.width) != (before.height, before.width):
        raise UsageError(
            f"{stage.filter.name}: {name} is {other.width} x {other.height}, the image at this "
            f"point {before.width} x {before.height}; their sizes must be the same"
        )


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of the image before an error, unless it is there."""
    try:
        yield
    except UsageError as error:
        if name and not str(error).startswith(f"{name}: "):
            error.args = (f"{name}: {error}",)
        raise


def _after(one: Element, info: ImageInfo) -> ImageInfo:
    """Return the image that `one` makes of an image."""
    definition = one.definition
    size = info.height, info.width
    if definition.output is not None:
        size = _size(one, one.declared("output", size))
        if min(size) < 1:
            raise UsageError(f"{one!r} leaves nothing of an image of {info.width} x {info.height}")
    hidden = int(info.alpha is not None and definition.alpha != "filter")
    channels, alpha, colour = info.channels, info.alpha, info.colour
    if definition.layout is not None:
        channels, alpha, colour = one.declared("layout", info)
    elif definition.channels is not None:
        channels = hidden + one.channels_after(channels - hidden)
        alpha = channels - 1 if hidden else None
        colour = definition.colour or (colour if channels == info.channels else "other")
    declared = one.output_dtype
    dtype = info.dtype if declared is None else native(np.dtype(declared))
    metadata = carried(one, info, size, colour)
    nodata = nodata_after(info.nodata, dtype)
    if definition.alpha == "filter" and dtype != info.dtype:
        nodata = None  # the function may have changed it
    return ImageInfo(*size, channels, dtype, alpha, colour, metadata, nodata)


def _size(one: Element, given: Any) -> tuple[int, int]:
    try:
        height, width = map(operator.index, given)
    except (TypeError, ValueError):
        raise DeclarationError(
            f"{one.name}: its output must be whole numbers of (rows, columns), not {given!r}"
        ) from None
    return height, width
