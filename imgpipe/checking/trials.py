"""Trials: one filter on one picture, whole and in chunks, and their distance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from imgpipe.admission import admitted
from imgpipe.chains.chain import Filter
from imgpipe.chains.stages import Stage, completed, compute, filter_at_fault, measure, merged
from imgpipe.checking.pictures import Picture
from imgpipe.errors import DeclarationError, FilterError, ImgpipeError, ShapeError
from imgpipe.geometry import Box, Halo
from imgpipe.image import Pixels
from imgpipe.plurals import counted
from imgpipe.records import dataclass
from imgpipe.tracebacks import of_changing_the_input, of_the_function, user_traceback

__all__ = [
    "CUTS",
    "FEW",
    "Cut",
    "Difference",
    "compared",
    "distance",
    "equal",
    "measured_alike",
    "rounding",
    "whole",
    "with_halo",
]

# Rows and columns of the chunks, and where the first of them ends.
Cut = tuple[int, int, int, int]
CUTS: tuple[Cut, ...] = (
    (7, 9, 0, 0),
    (16, 64, 5, 3),
    (64, 16, 0, 9),
    (33, 100, 11, 0),
    (100, 1000, 50, 0),
    (1000, 100, 0, 37),
)
FEW = CUTS[1:4]

# Tiny pieces take long, each of them: they are tried in a corner, of so many rows and columns.
_TINY = 200  # pixels
_CORNER = (84, 108)

_LAST_BITS = 256  # sums of some hundred floats, in another order, differ by no more of them


@dataclass(frozen=True)
class Difference:
    """Difference between the results of a picture as a whole and in chunks.

    Attributes
    ----------
    size : float
        The largest difference of two values; infinite where the function fails on a piece.
    picture, cut : Picture, Cut
        The trial.
    rounding : bool
        Whether it is no more than floats differ by when they are added up in another order.
    where : str
        Its place.
    seams : ndarray of bool, shape (rows, columns), or None
        All places that differ.
    failure : str
        The failure of the function on a piece, if it failed.
    """

    size: float
    picture: Picture
    cut: Cut
    rounding: bool = False
    where: str = ""
    seams: Pixels | None = None
    failure: str = ""


def with_halo(one: Filter, halo: Halo) -> Filter:
    """Return the same filter with another halo."""
    return Filter(replace(one.definition, halo=halo), one.params, one.border)


def whole(one: Filter, picture: Picture) -> Pixels:
    """Return the result of a filter on a picture in one piece.

    Raises
    ------
    DeclarationError
        If the filter does something that no declaration allows, such as a change of its input.
    FilterError
        If its function fails.
    """
    with _errors_of_imgpipe():
        stages = _stages(one, picture)
        return np.array(_computed(stages, stages[-1].after.box, picture))


def compared(one: Filter, picture: Picture, cut: Cut, made: Pixels) -> Difference:
    """Return the distance of the pieces of a picture from `made`, the result of the whole."""
    chunks = (
        f"{picture.name}, in chunks of {counted(cut[0], 'row')} and {counted(cut[1], 'column')}"
    )
    try:
        pieces = _in_pieces(one, picture, cut, made)
    except ImgpipeError as error:
        failure = str(error).splitlines()[-1]
        return Difference(np.inf, picture, cut, where=chunks, failure=failure)
    if equal(pieces, made):
        return Difference(0.0, picture, cut)
    off = distance(pieces, made)
    size = float(off.max())
    if not size:
        return Difference(0.0, picture, cut)
    y, x, c = np.unravel_index(off.argmax(), off.shape)
    where = f"row {y}, column {x}, channel {c} of {chunks}"
    seams = np.asarray((off > 0).any(axis=2))
    return Difference(size, picture, cut, size <= rounding(one, made), where, seams)


def measured_alike(one: Filter, picture: Picture) -> bool:
    """Return whether a filter measures the same in a picture and in its halves."""
    with _errors_of_imgpipe():
        stage = _stages(one, picture)[-1]
        middle = len(picture.pixels) // 2
        halves = [measure(stage, part) for part in np.split(picture.pixels, [middle])]
        return equal(measure(stage, picture.pixels), merged(one, *halves))


def equal(one: Any, other: Any) -> bool:
    """Return whether two results are the same, NaN included; also in tuples, lists and dicts."""
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    try:
        one, other = np.asarray(one), np.asarray(other)
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f"))
    except (TypeError, ValueError):
        return bool(one == other)


@contextlib.contextmanager
def _errors_of_imgpipe() -> Iterator[None]:
    """Turn any exception of a function into an error of imgpipe."""
    try:
        yield
    except ShapeError as error:
        raise DeclarationError(str(error)) from None
    except ImgpipeError:
        raise
    except BaseException as error:
        if not of_the_function(error):
            raise
        if of_changing_the_input(error):
            message = (
                "it changes its input, or needs an array that it may change; give it a copy "
                "(chunk.copy())"
            )
            raise DeclarationError(message) from None
        raise FilterError(
            f"the filter {filter_at_fault(error)} failed\n{user_traceback(error)}"
        ) from None


def _stages(one: Filter, picture: Picture) -> tuple[Stage, ...]:
    others = dict.fromkeys(one.definition.operands, picture.turned)
    if others:
        params = tuple((name, others.get(name, value)) for name, value in one.params)
        one = Filter(one.definition, params, one.border)
    return completed(one, admitted(picture.pixels, picture.alpha))


def _computed(stages: tuple[Stage, ...], box: Box, picture: Picture) -> Pixels:
    return compute(stages, box, lambda part: picture.pixels[part.slices])


def _in_pieces(one: Filter, picture: Picture, cut: Cut, made: Pixels) -> Pixels:
    """Return `made` with the results of pieces, wherever this cut is tried."""
    rows, columns, first_row, first_column = cut
    out = made.copy()
    height, width = made.shape[:2]
    if rows * columns < _TINY:
        height, width = min(height, _CORNER[0]), min(width, _CORNER[1])
    with _errors_of_imgpipe():
        stages = _stages(one, picture)
        for y0, y1 in _stretches(height, rows, first_row):
            for x0, x1 in _stretches(width, columns, first_column):
                box = Box(y0, x0, y1, x1)
                out[box.slices] = _computed(stages, box, picture)
        return out


def _stretches(size: int, length: int, first: int) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a side: the first may be shorter."""
    start, stop = 0, first or length
    while start < size:
        yield start, min(stop, size)
        start, stop = stop, stop + length


def distance(one: Pixels, other: Pixels) -> Pixels:
    """Return the distance of two arrays; NaN is infinitely far from any number."""
    with np.errstate(invalid="ignore"):
        off: Pixels = np.abs(one.astype(float) - other.astype(float))
    if one.dtype.kind == "f":
        off[np.isnan(off)] = np.inf
        off[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    return off


def rounding(one: Filter, made: Pixels) -> float:
    """Return the rounding error that another order of addition may cause in a filter."""
    if made.dtype.kind != "f":
        return 0.0
    worked = made.dtype if one.definition.dtype == "keep" else np.dtype(np.float32)
    epsilon = float(max(np.finfo(made.dtype).eps, np.finfo(worked).eps))
    return _LAST_BITS * epsilon * float(np.abs(made[np.isfinite(made)]).max(initial=0.0))
