"""A chain meets an image: what every filter of it sees, and how a chunk is computed.

Chunks are pulled: the pixels of a box after the last stage are made from a larger box after the
stage before it, down to the source. Each stage adds its own halo and its own border, and only
where the image really ends, so a chunk never differs from the same pixels of the whole.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imgpipe.admission import Admitted, Alpha, admitted, as_array, native
from imgpipe.errors import DeclarationError, FilterError, ShapeError, UsageError
from imgpipe.filters.base import Chain, Filter, Place, as_chain
from imgpipe.filters.borders import Border, extend, wrapped_pieces
from imgpipe.filters.faint import note, told, watching
from imgpipe.filters.parameters import taken_by
from imgpipe.filters.values import as_declared, full_scale, premultiplied, rescaled, unpremultiplied
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Metadata, Pixels
from imgpipe.tracebacks import FILTER_NOTE

__all__ = [
    "Entering",
    "Read",
    "Stage",
    "completed",
    "compute",
    "extended",
    "filter_at_fault",
    "input_box",
    "measure",
    "merged",
    "must_match",
    "reads",
    "resolve",
    "run_whole",
    "with_operands",
    "without_arrays",
]

_log = logging.getLogger("imgpipe")

Read = Callable[[Box], Pixels]
Entering = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """One filter of a chain, at work on one image.

    Attributes
    ----------
    filter : Filter
        The filter.
    before, after : ImageInfo
        The image it gets and the image it makes.
    measured : object
        What its pass of measuring found.
    operands : tuple of Read
        Readers of its other images.
    """

    filter: Filter
    before: ImageInfo
    after: ImageInfo
    measured: Any = None
    operands: tuple[Read, ...] = ()

    @property
    def in_order(self) -> bool:
        """Whether rows can leave from top to bottom while rows come in from top to bottom."""
        definition = self.filter.definition
        moves = definition.region is not None and not definition.in_order
        wraps = self.filter.border == "wrap" and self.filter.halo[0] > 0
        return not moves and not wraps

    def input_box(self, box: Box) -> Box:
        """Return the box before this stage that `box` after it is made from, not clipped."""
        return self.origin(self.aligned(box)).grow(self.filter.halo)

    def aligned(self, box: Box) -> Box:
        """Return what the filter makes where `box` is wanted: whole blocks of its grid."""
        if self.filter.grid == (1, 1):
            return box
        return box.snap(*self.filter.grid).clip(self.after.height, self.after.width)

    def reads(self, box: Box) -> list[Box]:
        """Return the boxes before this stage that are read to make `box` after it."""
        wanted, size = self.input_box(box), (self.before.height, self.before.width)
        held = wanted.clip(*size)
        if held == wanted or self.filter.border != "wrap":
            return [held]
        return [inside for inside, _ in wrapped_pieces(wanted, *size)]

    def origin(self, box: Box) -> Box:
        """Return where the pixels of `box` after this stage were before it, without the halo."""
        if self.filter.definition.region is None:
            return box
        found = self.filter.declared("region", box, (self.before.height, self.before.width))
        if not isinstance(found, Box):
            raise DeclarationError(f"{self.filter.name}: its region must be a Box, not {found!r}")
        return found

    def apply(self, padded: Pixels, box: Box, wanted: Box) -> Pixels:
        """Return the pixels of `box`, given those of `wanted`."""
        definition, alpha = self.filter.definition, self.before.alpha
        extra = self._engine_keywords(box, wanted)
        if alpha is None or definition.alpha == "filter":
            return self._kernel(self.as_worked(padded), box, self.after, extra)
        if definition.alpha == "premultiply":
            worked = self.as_worked(padded)
            mixed = self._kernel(premultiplied(worked), box, None, extra)
            return rescaled(unpremultiplied(mixed, worked.dtype), self.after.dtype)
        colour_after = replace(self.after, channels=self.after.channels - 1, alpha=None)
        colour = self._kernel(self.as_worked(padded[..., :alpha]), box, colour_after, extra)
        kept = self._trim(padded[..., alpha:], box)
        return np.concatenate([colour, rescaled(kept, colour.dtype)], axis=2)

    def as_worked(self, pixels: Pixels) -> Pixels:
        """Return `pixels` in the type that the function works in."""
        if self.filter.definition.dtype == "keep":
            return pixels
        return rescaled(pixels, np.dtype(np.float32))

    def _kernel(
        self, padded: Pixels, box: Box, after: ImageInfo | None, extra: dict[str, Any]
    ) -> Pixels:
        view = padded.view()
        view.flags.writeable = False
        args, keywords = self.filter.arguments(extra)
        try:
            made = self.filter.definition.kernel(view, *args, **keywords)
        except BaseException as error:
            error.add_note(f"{FILTER_NOTE}{self.filter!r}")
            raise
        made = self._trim(_as_chunk(made, self.filter.name), box)
        if after is None:
            return made
        if made.shape[2] != after.channels:
            raise ShapeError(
                f"{self.filter.name}: returned {made.shape[2]} channels where {after.channels} "
                "were declared; declare channels="
            )
        if self.filter.definition.dtype != "keep" and made.dtype.kind == "f":
            made = np.multiply(
                made, full_scale(after.dtype), dtype=np.result_type(made, np.float32)
            )
        note(self.filter, view, made, after.dtype)
        return as_declared(made, after.dtype, self.filter.name)

    def _engine_keywords(self, box: Box, wanted: Box) -> dict[str, Any]:
        definition, extra = self.filter.definition, dict[str, Any]()
        if definition.takes_place:
            extra["place"] = Place(box, wanted, self.before.height, self.before.width)
        if definition.takes_white:
            mixed = self.before.alpha is not None and definition.alpha == "premultiply"
            worked = self.before.dtype if definition.dtype == "keep" else "float32"
            extra["white"] = full_scale(worked) ** (2 if mixed else 1)
        if definition.measure is not None:
            extra["measured"] = self.measured
        for name, read in zip(self.filter.operands, self.operands, strict=True):
            extra[name] = self._operand(extended(read, wanted, self.before, self.filter.border))
        return extra

    def _operand(self, pixels: Pixels) -> Pixels:
        """Return pixels of a further image as the function sees those of the first."""
        alpha, policy = self.before.alpha, self.filter.definition.alpha
        if alpha is None or policy == "filter" or pixels.shape[2] != self.before.channels:
            return self.as_worked(pixels)
        if policy == "keep":
            return self.as_worked(pixels[..., :alpha])
        return premultiplied(self.as_worked(pixels))

    def _trim(self, made: Pixels, box: Box) -> Pixels:
        """Cut the halo off what a kernel returned; it may have left it on."""
        rows, columns = self.filter.halo
        if made.shape[:2] == box.shape:
            return made
        if made.shape[:2] == (box.height + 2 * rows, box.width + 2 * columns):
            return made[rows : rows + box.height, columns : columns + box.width]
        raise ShapeError(
            f"{self.filter.name}: returned {made.shape[0]} x {made.shape[1]} pixels for a chunk of "
            f"{box.height} x {box.width} with a halo of {rows} x {columns}; "
            "return the chunk with its halo, or without it"
        )


def resolve(chain: Chain, info: ImageInfo) -> tuple[Stage, ...]:
    """Return the stages of `chain` on an image, every size, type and colour worked out.

    Raises
    ------
    UsageError
        If a filter cannot take what the one before it makes.
    """
    stages = []
    for one in as_chain(chain):
        after = _after(one, info)
        stages.append(Stage(one, info, after))
        info = after
    return tuple(stages)


def compute(
    stages: tuple[Stage, ...], box: Box, read: Read, entering: Entering = lambda _: None
) -> Pixels:
    """Return the pixels of `box` after the last of `stages`, shape (rows, columns, channels).

    `read` gives the pixels of a box of the source. What is returned may be a view of those.
    `entering` is told the number of each stage whose function is about to be called.
    """
    if not stages:
        return read(box)
    *earlier, stage = stages
    wanted, made = stage.input_box(box), stage.aligned(box)

    def before(part: Box) -> Pixels:
        return compute(tuple(earlier), part, read, entering)

    padded = extended(before, wanted, stage.before, stage.filter.border)
    entering(len(earlier))
    return stage.apply(padded, made, wanted)[box.within(made)]


def extended(read: Read, wanted: Box, info: ImageInfo, border: Border) -> Pixels:
    """Return the pixels of `wanted`, those beyond the image made up by `border`."""
    held = wanted.clip(info.height, info.width)
    if held == wanted:
        return read(held)
    if border != "wrap":
        return extend(read(held), held, wanted, info.height, info.width, border)
    pieces = [(at, read(inside)) for inside, at in wrapped_pieces(wanted, info.height, info.width)]
    first = pieces[0][1]  # of a further image, whose channels and type may be others than in `info`
    out = np.empty((*wanted.shape, first.shape[2]), first.dtype)
    for at, pixels in pieces:
        out[at.within(wanted)] = pixels
    return out


def input_box(stages: tuple[Stage, ...], box: Box, info: ImageInfo) -> Box:
    """Return the box of the source that `box` after the last of `stages` is made from."""
    for stage in reversed(stages):
        box = stage.input_box(box).clip(stage.before.height, stage.before.width)
    return box.clip(info.height, info.width)


def reads(stages: tuple[Stage, ...], box: Box) -> list[list[Box]]:
    """Return the boxes that are read to make `box` after the last of `stages`.

    The first list is of the source, the others of each further image of the filters.
    """
    asked, further = [box], list[list[Box]]()
    for stage in reversed(stages):
        asked = [part for one in asked for part in stage.reads(one)]
        further[:0] = [asked] * len(stage.filter.operands)
    return [asked, *further]


def without_arrays(stage: Stage) -> Stage:
    """Return `stage` without the pixels of further images, which reach the workers otherwise."""
    one = stage.filter
    if not any(isinstance(value, np.ndarray) for value in one.keywords.values()):
        return stage
    names = {name: f"{name} (an array)" for name in one.operands}
    params = tuple((name, names.get(name, value)) for name, value in one.params)
    return replace(stage, filter=Filter(one.definition, params, one.border))


def run_whole(chain: Chain, array: Any, alpha: Alpha) -> Pixels:
    """Run `chain` over an image in memory in one piece."""
    image = admitted(array, alpha)
    stages = completed(chain, image)
    after = stages[-1].after if stages else image.info
    with watching() as sight:
        made = compute(stages, after.box, image.read)
    for warning in told(chain, sight.of(chain)):
        _log.warning("%s", warning)
    made = np.array(made, order="C")  # never a view of the caller's array
    return made[:, :, 0] if image.flat and made.shape[2] == 1 else made


def completed(chain: Chain, image: Admitted) -> tuple[Stage, ...]:
    """Return the stages of `chain` on a whole image, measured, and with their operands."""
    stages = resolve(chain, image.info)
    for at, stage in enumerate(stages):
        if stage.filter.operands or stage.filter.measures:
            stages = (*stages[:at], _completed(stages, at, image), *stages[at + 1 :])
    return stages


def measure(stage: Stage, chunk: Pixels) -> Any:
    """Return what `stage` measures in a chunk of the image that it gets."""
    one, alpha = stage.filter, stage.before.alpha
    if alpha is not None and one.definition.alpha == "keep":
        chunk = chunk[..., :alpha]
    view = stage.as_worked(chunk).view()
    view.flags.writeable = False
    assert one.definition.measure is not None
    try:
        return one.definition.measure(view, **taken_by(one.definition.measure, one.keywords, 1))
    except BaseException as error:
        error.add_note(f"{FILTER_NOTE}{one!r}")
        raise


def merged(one: Filter, found: Any, more: Any) -> Any:
    """Return what the filter makes of two results of its measuring."""
    assert one.definition.merge is not None
    try:
        return one.definition.merge(found, more)
    except BaseException as error:
        error.add_note(f"{FILTER_NOTE}{one!r}")
        raise


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


def _as_chunk(made: Any, name: str) -> Pixels:
    """Return what a kernel returned, with three dimensions."""
    if made is None or isinstance(made, (str, bytes)):
        array, what = np.empty(0), f"a {type(made).__name__}"
    else:
        try:
            array = as_array(made, "what it returned")
            if array.dtype.kind == "O":  # numbers of Python, as `numpy.frompyfunc` makes them
                array = np.asarray(array.tolist())
        except (UsageError, ValueError) as error:
            raise FilterError(f"{name}: {error}") from None
        what = f"an array of {array.ndim} dimensions"
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim != 3:
        raise FilterError(
            f"{name}: returned {what}; return an array of (rows, columns, channels), or of "
            "(rows, columns) for one channel"
        )
    return array


def _completed(stages: tuple[Stage, ...], at: int, image: Admitted) -> Stage:
    """Return stage `at` with its operands and measurements, for a whole image."""
    stage = stages[at]
    keywords = stage.filter.keywords
    operands = tuple(keywords[name] for name in stage.filter.operands)
    readers = tuple(_array_reader(array, stage) for array in operands)
    found = None
    if stage.filter.measures:
        found = measure(stage, compute(stages[:at], stage.before.box, image.read))
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
            f"point {before.width} x {before.height}; they must be the same"
        )


def _after(one: Filter, info: ImageInfo) -> ImageInfo:
    """Return the image that `one` makes of an image."""
    definition = one.definition
    height, width = info.height, info.width
    metadata: Metadata = info.metadata
    if definition.output is not None:
        height, width = _size(one, one.declared("output", (height, width)))
        if height < 1 or width < 1:
            raise UsageError(f"{one!r} leaves nothing of an image of {info.width} x {info.height}")
    if definition.metadata is not None:
        sizes = (info.height, info.width), (height, width)
        metadata = one.declared("metadata", metadata, *sizes)
        if not isinstance(metadata, Metadata):
            raise DeclarationError(f"{one.name}: its metadata must be Metadata, not {metadata!r}")
    hidden = int(info.alpha is not None and definition.alpha != "filter")
    channels, alpha, colour = info.channels, info.alpha, info.colour
    if definition.channels is not None:
        channels = hidden + one.channels_after(channels - hidden)
        alpha = channels - 1 if hidden else None
        colour = definition.colour or (colour if channels == info.channels else "other")
    if colour != info.colour:
        metadata = metadata.recoloured(colour)
    if not definition.never_brighter:
        metadata = metadata.brightened()
    declared = one.output_dtype
    dtype = info.dtype if declared is None else native(np.dtype(declared))
    return ImageInfo(height, width, channels, dtype, alpha, colour, metadata)


def _size(one: Filter, given: Any) -> tuple[int, int]:
    try:
        height, width = map(operator.index, given)
    except (TypeError, ValueError):
        raise DeclarationError(
            f"{one.name}: its output must be whole numbers of (rows, columns), not {given!r}"
        ) from None
    return height, width
