"""Check whether a filter gives the same however an image is cut.

The function runs over whole pictures and over the same pictures in pieces, of several sizes and
begun at several places. What differs is shown with its place and with the smallest halo that
mends it; where no halo does, the function is probed for what it depends on instead.
No difference found is no proof: it is what was tried and how often.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from imgpipe.errors import DeclarationError, UsageError
from imgpipe.filters.base import Chain, Filter, FilterFactory
from imgpipe.filters.base import filter as declared
from imgpipe.filters.stages import Stage, completed, compute
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.inmemory import read

__all__ = ["CheckReport", "check"]

LARGEST_HALO = 64
_SIDE = 512  # of the part of the caller's picture that is looked at

# Rows and columns of the chunks, and where the first of them ends.
Cut = tuple[int, int, int, int]
_CUTS: tuple[Cut, ...] = (
    (7, 9, 0, 0),
    (16, 64, 5, 3),
    (64, 16, 0, 9),
    (33, 100, 11, 0),
    (100, 1000, 50, 0),
    (1000, 100, 0, 37),
)
_FEW = _CUTS[1:4]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found. True where nothing speaks against the filter.

    Attributes
    ----------
    name : str
        The filter.
    halo : (int, int) or None
        Its halo, rows and columns; None for a bare function.
    pictures, cuts : int
        How many pictures were tried, and in how many cuts each.
    difference : float
        The largest difference between a picture as a whole and in pieces.
    where : str
        In which picture and where in it; empty where there is none.
    smallest_halo : int or None
        The smallest halo without a difference; None where none was found, or none could be tried.
    findings : tuple of str
        What is wrong, and what to declare.
    seams : ndarray of bool, shape (rows, columns), or None
        Where the picture of the largest difference differs.
    """

    name: str
    halo: tuple[int, int] | None
    pictures: int
    cuts: int
    difference: float = 0.0
    where: str = ""
    smallest_halo: int | None = None
    findings: tuple[str, ...] = ()
    seams: Pixels | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        tried = f"{self.pictures} pictures, each whole and in {self.cuts} cuts"
        if self.ok:
            return f"{self.name}: no difference was found in {tried}{self._could_be_less()}"
        return "\n  ".join((f"{self.name}: not the same in pieces ({tried})", *self.findings))

    def _could_be_less(self) -> str:
        if self.smallest_halo is None or self.halo is None or self.smallest_halo >= min(self.halo):
            return ""
        return f"; nor with a halo of {self.smallest_halo}, which would be less work"


def check(
    filter: Filter | FilterFactory | Callable[..., Any],
    image: str | os.PathLike[str] | Pixels | None = None,
) -> CheckReport:
    """Compare a filter over whole pictures with the same in pieces.

    For tests of your own: ``assert imgpipe.check(my_filter(strength=2))``.

    Parameters
    ----------
    filter : Filter, decorated function, or bare function
        What to check; with its default parameters if it has not been given any. A bare function
        of an array is tried with one halo after the other.
    image : path or ndarray, optional
        A picture of your own to try as well, at most 512 x 512 pixels from its middle.

    Returns
    -------
    CheckReport
        True if nothing was found; printed, it says what was tried, what differs, where, and what
        to declare.

    Raises
    ------
    UsageError
        If it cannot be run at all.
    """
    one, known = _as_filter(filter)
    pictures = _pictures(image)
    floats = pictures["noise"] / 255
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("error")  # a function that does not care for floats may say so
        one(floats)
        pictures["noise in floats"] = floats
    return _Check(one, known, pictures).report()


def _as_filter(given: Any) -> tuple[Filter, bool]:
    """Return a filter, and whether its halo is known."""
    if isinstance(given, Chain) and not isinstance(given, Filter):
        raise UsageError("check the filters of a chain one at a time")
    if isinstance(given, Filter):
        return given, True
    if isinstance(given, FilterFactory):
        return given(), True
    if not callable(given):
        raise UsageError(f"a filter is a function of an array, not {given!r}")
    return declared(halo=0)(given)(), False


@dataclass(frozen=True, slots=True)
class _Difference:
    """The largest difference found."""

    size: float = 0.0
    where: str = ""
    seams: Pixels | None = None


class _Check:
    """One filter, and the pictures it is tried on."""

    def __init__(self, one: Filter, known: bool, pictures: dict[str, Pixels]) -> None:  # noqa: FBT001
        self._one, self._known, self._pictures = one, known, pictures

    def report(self) -> CheckReport:
        one = self._one
        found = CheckReport(
            one.name, one.halo if self._known else None, len(self._pictures), len(_CUTS)
        )
        fault = self._fault()
        if fault:
            return replace(found, findings=(fault,))
        largest = self._difference(one, _CUTS) if self._known else _Difference(1.0)
        smallest = self._smallest_halo()
        found = replace(found, smallest_halo=smallest)
        if not largest.size:
            return replace(found, findings=tuple(self._of_measuring()))
        if not self._known:
            largest = _Difference()
        shown = (f"the largest difference is {largest.size:g}, at {largest.where}",)
        return replace(
            found,
            difference=largest.size,
            where=largest.where,
            seams=largest.seams,
            findings=(*(shown if self._known else ()), self._advice(smallest)),
        )

    def _fault(self) -> str:
        """Return what is wrong before anything is cut."""
        for picture in self._pictures.values():
            try:
                first, again = _whole(self._one, picture), _whole(self._one, picture)
            except (DeclarationError, UsageError) as error:
                return str(error)
            except ValueError as error:
                if "read-only" in str(error):
                    return "it changes its input; work on a copy (chunk.copy())"
                raise
            if not np.array_equal(first, again, equal_nan=first.dtype.kind == "f"):
                return (
                    "it gives something else when called again: it depends on randomness or on "
                    "what it keeps between calls; make it a function of its arguments alone, "
                    "for noise of the keyword place"
                )
        return ""

    def _difference(self, one: Filter, cuts: tuple[Cut, ...]) -> _Difference:
        worst = _Difference()
        for name, picture in self._pictures.items():
            whole = _whole(one, picture)
            for cut in cuts:
                pieces = _in_pieces(one, picture, cut)
                off = _distance(pieces.astype(float), whole.astype(float))
                if off.max() > worst.size:
                    y, x, c = np.unravel_index(off.argmax(), off.shape)
                    where = (
                        f"row {y}, column {x}, channel {c} of {name}, in chunks of "
                        f"{cut[0]} x {cut[1]}"
                    )
                    worst = _Difference(float(off.max()), where, np.asarray((off > 0).any(axis=2)))
        return worst

    def _smallest_halo(self) -> int | None:
        """Return the smallest halo without a difference, if other halos can be tried at all."""

        def same(halo: int) -> bool:
            try:
                other = Filter(
                    replace(self._one.definition, halo=halo), self._one.params, self._one.border
                )
                return not self._difference(other, _FEW).size
            except Exception:  # noqa: BLE001 - a function may refuse, in any way, what is too small
                return False

        low, high = -1, 0
        while not same(high):
            low, high = high, max(1, 2 * high)
            if high > LARGEST_HALO:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if same(middle) else (middle, high)
        return high

    def _advice(self, smallest: int | None) -> str:
        if smallest is not None:
            if not self._known:
                return f"no difference was found with a halo of {smallest}: declare halo={smallest}"
            return f"with a halo of {smallest} none is found: declare halo={smallest}"
        share, reach = self._influence()
        if share > 0.5:
            return (
                "it depends on the statistics of its chunk (one corner changed almost all that it "
                "makes); declare measure= and merge=, and take the keyword measured"
            )
        if reach > max(self._one.halo):
            return (
                f"what is {reach} pixels away still counts, as in recursive filters, and no halo "
                f"up to {LARGEST_HALO} makes it exact: cut it off at a radius, and declare that"
            )
        return (
            "it depends on where its chunk begins or how large it is; take the keyword place, "
            "which says where the chunk is in the image, or if it works in blocks of pixels "
            "declare align=, their size"
        )

    def _influence(self) -> tuple[float, int]:
        """Change a corner; return the share of far pixels that change, and how far it reaches."""
        picture = list(self._pictures.values())[-1]
        side = min(40, *(n // 4 for n in picture.shape[:2]))
        other = picture.copy()
        other[:side, :side] = picture.max() - picture[:side, :side] // 2
        changed = (_whole(self._one, picture) != _whole(self._one, other)).any(axis=2)
        rows, columns = np.nonzero(changed)
        if not rows.size:
            return 0.0, 0
        far = np.ones(changed.shape, bool)
        far[: side + LARGEST_HALO, : side + LARGEST_HALO] = False
        share = float(changed[far].mean()) if far.any() else 0.0
        return share, int(max(rows.max(), columns.max())) - side + 1

    def _of_measuring(self) -> Iterator[str]:
        """Yield what is wrong with the measurement of a filter that has one."""
        definition = self._one.definition
        if definition.measure is None or definition.merge is None:
            return
        for name, picture in self._pictures.items():
            measured = [
                definition.measure(part, **self._one.keywords)
                for part in (picture, picture[:100], picture[100:])
            ]
            merged = definition.merge(measured[1], measured[2])
            if not _equal(measured[0], merged):
                yield (
                    f"what it measures of {name} differs when the picture is cut in two; measure "
                    "and merge must be exact, such as counts and sums of integers"
                )
                return


def _distance(one: Pixels, other: Pixels) -> Pixels:
    """Return how far apart two arrays are; NaN is as far as can be from anything else."""
    with np.errstate(invalid="ignore"):
        off = np.where(one == other, 0.0, np.abs(one - other))
    both = np.isnan(one) & np.isnan(other)
    return np.where(both, 0.0, np.where(np.isnan(off), np.inf, off))


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(one), np.asarray(other)))
    except (TypeError, ValueError):
        return bool(one == other)


def _stages(one: Filter, picture: Pixels) -> tuple[Stage, ...]:
    return completed(one, picture, None)


def _whole(one: Filter, picture: Pixels) -> Pixels:
    stages = _stages(one, picture)
    return np.array(compute(stages, stages[-1].after.box, lambda box: picture[box.slices]))


def _in_pieces(one: Filter, picture: Pixels, cut: Cut) -> Pixels:
    stages = _stages(one, picture)
    after = stages[-1].after
    out = np.empty(after.shape, after.dtype)
    rows, columns, first_row, first_column = cut
    for y0, y1 in _stretches(after.height, rows, first_row):
        for x0, x1 in _stretches(after.width, columns, first_column):
            box = Box(y0, x0, y1, x1)
            out[box.slices] = compute(stages, box, lambda part: picture[part.slices])
    return out


def _stretches(size: int, length: int, first: int) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a side: the first may be shorter."""
    start, stop = 0, first or length
    while start < size:
        yield start, min(stop, size)
        start, stop = stop, stop + length


def _pictures(image: str | os.PathLike[str] | Pixels | None) -> dict[str, Pixels]:
    """Return the pictures to try, the caller's last."""
    rng = np.random.default_rng(20)
    rows, columns = 211, 307
    y, x = np.mgrid[:rows, :columns]
    noise = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    soft = sum(
        np.kron(rng.random((rows // n + 1, columns // n + 1, 3)), np.ones((n, n, 1)))[
            :rows, :columns
        ]
        * n
        for n in (1, 4, 16, 64)
    )
    impulses = np.zeros_like(noise)
    impulses[::37, ::41] = 255
    board = np.where((y // 5 + x // 8) % 2, 250, 3).astype(np.uint8)
    ramp = ((x + 2 * y) % 256).astype(np.uint8)
    pictures = {
        "noise": noise,
        "soft texture": (np.asarray(soft) / 85 * 255).astype(np.uint8),
        "impulses": impulses,
        "a checkerboard": np.stack([board] * 3, axis=2),
        "ramps": np.stack([ramp, ramp.max() - ramp, ramp // 2], axis=2),
    }
    if image is not None:
        pixels = image if isinstance(image, np.ndarray) else read(image)
        pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
        top, left = (max(0, (n - _SIDE) // 2) for n in pixels.shape[:2])
        pictures["your picture"] = pixels[top : top + _SIDE, left : left + _SIDE]
    return pictures
