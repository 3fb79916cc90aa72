"""Faint images: floats from 0 to 1 that become integers, almost black by mistake.

Functions of scikit-image and others return 0 to 1 for any image. Whether a function does
shows only over the whole image: every task tells its own findings, and the run tells all, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from itertools import zip_longest
from typing import Any

import numpy as np

from imgpipe.chains.element import Element
from imgpipe.image import Pixels

__all__ = ["Findings", "merged_findings", "note", "warnings_of", "watching"]

_LIT, _BEYOND, _BRIGHT, _BELOW = 1, 2, 4, 8
_ONE = 1.001  # sums of weights that are 1 in all may come to a little more

_sight: ContextVar[Findings | None] = ContextVar("imgpipe_sight", default=None)


class Findings:
    """Findings about each filter, while nothing else is watched in this thread.

    Attributes
    ----------
    outermost : bool
        Whether this is not within another watched run, which would tell it for every chunk.
    """

    def __init__(self, *, outermost: bool) -> None:
        self.outermost = outermost
        self._flags: dict[int, int] = {}

    def of(self, filters: Iterable[Element]) -> tuple[int, ...]:
        """Return the findings about these, as numbers that can be sent and put together."""
        return tuple(self._flags.get(id(one), 0) for one in filters)

    def add(self, one: Element, given: Pixels, made: Pixels) -> None:
        """Take note of a chunk that a filter was given, and of the result of its function."""
        flags = self._flags.get(id(one), 0)
        if not flags & _BEYOND:  # else no warning can come of it any more
            self._flags[id(one)] = flags | _seen(given, made)


@contextlib.contextmanager
def watching() -> Iterator[Findings]:
    """Give the findings about the functions that are called in this context."""
    sight = Findings(outermost=_sight.get() is None)
    token = _sight.set(sight)
    try:
        yield sight
    finally:
        _sight.reset(token)


def note(one: Element, given: Pixels, made: Pixels, dtype: np.dtype[Any]) -> None:
    """Take note of a result that becomes `dtype`, if it is watched and may be faint."""
    sight, definition = _sight.get(), one.definition
    matters = dtype.kind in "iu" and definition.dtype == "keep" and not definition.ours
    if sight is not None and matters:
        sight.add(one, given, made)


def merged_findings(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """Return the findings in two parts of an image, of the same filters or the first of them."""
    return tuple(a | b for a, b in zip_longest(one, other, fillvalue=0))


def warnings_of(filters: Iterable[Element], seen: tuple[int, ...]) -> Iterator[str]:
    """Yield the warnings about an image of which all was seen."""
    for one, flags in zip(filters, seen, strict=False):
        if flags & ~_BELOW == _LIT | _BRIGHT:
            least = -1 if flags & _BELOW else 0
            yield (
                f"all results of {one.name} are between {least} and 1, which is almost black in "
                "integers; to scale them, give --dtype float32 for a bare function "
                '(dtype="float32" in Python, and in @imgpipe.filter)'
            )


def _seen(given: Pixels, made: Pixels) -> int:
    if made.dtype.kind != "f" or not made.size:
        return _BEYOND if made.size else 0
    low, high = float(made.min()), float(made.max())
    if not -_ONE <= low <= high <= _ONE:
        return _BEYOND
    dark = 1 if given.dtype.kind in "iu" else 0
    lit = (_LIT if high > 0 else 0) | (_LIT | _BELOW if low < 0 else 0)
    return lit | (_BRIGHT if given.max() > dark else 0)
