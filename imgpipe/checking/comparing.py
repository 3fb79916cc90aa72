"""Check whether a filter gives the same however an image is cut.

The function runs over whole pictures and over the same pictures in pieces, of several sizes and
begun at several places. What differs is shown with its place and with the smallest halo that
mends it; where no halo does, the function is probed for what it depends on instead.
No difference found is no proof: it is what was tried and how often.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from imgpipe.checking.pictures import Picture, as_floats, callers, kinds
from imgpipe.checking.report import CheckReport
from imgpipe.checking.trials import (
    CUTS,
    FEW,
    Cut,
    Difference,
    compared,
    equal,
    measured_alike,
    whole,
    with_halo,
)
from imgpipe.errors import DeclarationError, FilterError, ImgpipeError, UsageError
from imgpipe.filters.base import Chain, Filter, FilterFactory
from imgpipe.filters.definition import Works
from imgpipe.filters.entry import FilterLike, chain_from
from imgpipe.filters.grammar import all_declared, definitions_in
from imgpipe.geometry import Halo
from imgpipe.image import Pixels

__all__ = ["check"]

LARGEST_HALO = 128
_CHEAP_HALO = 64  # larger ones are tried on narrow pictures only
_PATIENCE = 2.0  # seconds that a comparison may take if more are to follow out of curiosity

_KEEPS = (
    "it is not the same every time: it depends on what it keeps between calls; make it a function "
    "of its arguments alone"
)


def check(
    filter: FilterLike,
    image: str | os.PathLike[str] | Pixels | None = None,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
) -> CheckReport:
    """Compare a filter over whole pictures with the same in pieces.

    For tests of your own: ``assert imgpipe.check(my_filter(strength=2))``.

    Parameters
    ----------
    filter : Filter, decorated function, bare function, or str
        What to check; with its default parameters if it has not been given any. A bare function
        of an array is tried with one halo after the other. Parameters that are further images
        get others of the same shape. Text is that of a chain, as in ``"my_filter.py:emboss"``.
    image : path or ndarray, optional
        A picture of your own to try as well, at most 512 x 512 pixels from its middle.
    halo : int or (int, int), optional
        The halo of a bare function, if only that is to be tried.
    dtype : {"keep", "float32"}, optional
        What a bare function works in, as for `imgpipe.run`.

    Returns
    -------
    CheckReport
        True if nothing was found; printed, it says what was tried, what differs, where, and what
        to declare.

    Raises
    ------
    UsageError
        If it cannot be run at all.
    FilterError
        If the function fails on every picture.
    """
    one, known = _as_filter(filter, halo, dtype)
    return checked(one, image, known=known)


def checked(
    one: Filter, image: str | os.PathLike[str] | Pixels | None, *, known: bool
) -> CheckReport:
    """Check a filter whose halo is `known`, or else looked for."""
    return _Check(one, callers(image), known=known).report()


def _as_filter(
    given: FilterLike, halo: int | Halo | None, dtype: Works | None
) -> tuple[Filter, bool]:
    """Return a filter without its further images, and whether its halo is known."""
    more, known = dict[str, Any](), True
    if isinstance(given, FilterFactory):
        given = given(**dict.fromkeys(given.definition.operands))
    elif isinstance(given, str):
        more = dict.fromkeys(definitions_in(given, 0)[0].operands)
        known = halo is not None or all_declared(given)
    elif callable(given) and not isinstance(given, Chain):
        known = halo is not None
    chain = chain_from(given, halo if known else 0, dtype, more)
    if len(chain.filters) != 1:
        raise UsageError("check the filters of a chain one at a time")
    return chain.filters[0], known


class _Check:
    """One filter, and the pictures it is tried on."""

    def __init__(self, one: Filter, own: list[Picture], *, known: bool) -> None:
        self._one, self._own, self._known = one, own, known
        self._integers: list[Picture] = []
        self._floats: list[Picture] = []
        self._refusals: list[ImgpipeError] = []

    def report(self) -> CheckReport:
        found = CheckReport(self._one.name, self._one.halo if self._known else None)
        try:
            self._choose_pictures()
        except DeclarationError as error:
            return replace(found, findings=(str(error),))
        found = replace(
            found,
            pictures=len(self._integers) + len(self._floats),
            cuts=len(CUTS),
            refused=len(self._refusals),
            reason=_last_line(self._refusals[0]) if self._refusals else "",
        )
        if not self._known:
            smallest = self._smallest_halo(self._integers or self._floats)
            self._one = with_halo(self._one, _pair(smallest or 0))
            found = replace(found, smallest_halo=smallest)
        return self._compared(found)

    def _choose_pictures(self) -> None:
        """Find pictures that the function takes: of the first kind of which it takes any."""
        own, own_refusals = self._taken(self._own)
        ours: list[Picture] = []
        for kind in kinds():
            ours, refusals = self._taken(kind)
            self._refusals += refusals
            if ours:
                break
        floats = self._taken_without_a_warning(as_floats((ours or next(kinds()))[0]))
        self._refusals[:0] = own_refusals
        taken = [*ours, *floats, *own]
        if not taken:
            raise self._refusals[0]
        self._integers = [one for one in taken if one.pixels.dtype.kind in "iu"]
        self._floats = [one for one in taken if one.pixels.dtype.kind not in "iu"]

    def _taken(self, pictures: Iterable[Picture]) -> tuple[list[Picture], list[ImgpipeError]]:
        """Return the pictures that the function does not fail on, and how it failed on others.

        Raises
        ------
        DeclarationError
            If there is something wrong with it, whatever the cut.
        """
        taken, refusals = [], list[ImgpipeError]()
        for picture in pictures:
            try:
                first, again = whole(self._one, picture), whole(self._one, picture)
            except DeclarationError:
                raise
            except (FilterError, UsageError) as error:
                refusals.append(error)
                continue
            if not equal(first, again):
                raise DeclarationError(
                    "it gives something else when called again: it depends on randomness or on "
                    "what it keeps between calls; make it a function of its arguments alone, "
                    "for noise of the keyword place"
                )
            taken.append(picture)
        return taken, refusals

    def _taken_without_a_warning(self, picture: Picture) -> list[Picture]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a function that does not care for floats may say so
            return self._taken([picture])[0]

    def _compared(self, found: CheckReport) -> CheckReport:
        """Return what is found in integers; if that is nothing, in floats."""
        pictures, prefix = self._integers or self._floats, ""
        began = time.monotonic()
        worst = self._worst(pictures)
        took = time.monotonic() - began
        if not worst.size and self._integers and self._floats:
            worst = self._worst(self._floats)
            if worst.size:
                pictures, prefix = self._floats, "of floats, "
        if not worst.size:
            if self._known and took < _PATIENCE:
                smallest = self._smallest_halo(pictures, largest=max(self._one.halo))
                found = replace(found, smallest_halo=smallest)
            elif not self._known and found.smallest_halo is None:
                return replace(found, findings=(_KEEPS,))
            return replace(found, findings=tuple(self._of_measuring()))
        smallest = found.smallest_halo  # of a bare function, in integers
        sought = None if worst.rounding else self._smallest_halo(pictures, worst)
        findings = [prefix + said for said in self._findings(worst, sought)]
        if worst.rounding and smallest is not None:
            findings.append(
                f"otherwise no difference was found with a halo of {smallest}: declare "
                f"halo={smallest}"
            )
        return replace(
            found,
            difference=worst.size,
            where=worst.where,
            smallest_halo=smallest if worst.rounding else sought,
            seams=worst.seams,
            findings=tuple(findings),
        )

    def _findings(self, worst: Difference, smallest: int | Halo | None) -> Iterator[str]:
        of_floats = bool(self._integers) and worst.picture in self._floats
        spared = "; integer images are not affected" if of_floats else ""
        if worst.rounding:
            yield (
                f"it differs in the last bits (by up to {worst.size:.2g}): its sums depend on "
                f"where a chunk begins{spared}; sum in integers, or each window by itself"
            )
            return
        if worst.failure:
            yield f"it fails on a piece of {worst.where}: {worst.failure}"
        else:
            yield f"the largest difference is {worst.size:g}, at {worst.where}{spared}"
        if of_floats and smallest is None:
            yield (
                f"no halo up to {LARGEST_HALO} mends it: it looks farther, or it depends on where "
                "its chunk begins"
            )
        else:
            yield self._advice(smallest)

    def _worst(self, pictures: list[Picture]) -> Difference:
        return max(_differences(self._one, pictures, CUTS), key=lambda found: found.size)

    def _smallest_halo(
        self, pictures: list[Picture], worst: Difference | None = None, largest: int = LARGEST_HALO
    ) -> int | Halo | None:
        """Return the smallest halo without a difference, if other halos can be tried at all."""
        first = worst.picture if worst else None
        pictures = sorted(pictures, key=lambda one: one is not first)
        narrow = [one for one in pictures if one.is_long] or pictures

        def same(halo: Halo, *, surely: bool = False) -> bool:
            tried = narrow if max(halo) > _CHEAP_HALO and not surely else pictures
            one = with_halo(self._one, halo)
            try:
                for picture in tried:
                    # The cut that shows most may be of tiny chunks, which take long: only here.
                    cuts = (worst.cut, *FEW) if worst and picture is first else FEW
                    found = _differences(one, [picture], cuts)
                    if any(each.size and not each.rounding for each in found):
                        return False
            except ImgpipeError:  # a function may refuse, in any way, what is too small
                return False
            return True

        low, high = -1, 0
        while not same((high, high)):
            if high >= largest:
                return None
            low, high = high, min(largest, max(1, 2 * high))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if same((middle, middle)) else (middle, high)
        if high > _CHEAP_HALO and not same((high, high), surely=True):
            return None
        one_side = [pair for pair in ((0, high), (high, 0)) if high and same(pair)]
        return one_side[0] if one_side else high

    def _advice(self, smallest: int | Halo | None) -> str:
        halo = self._one.halo
        if smallest is not None:
            if all(less <= given for less, given in zip(_pair(smallest), halo, strict=True)):
                return f"{_KEEPS} (tried again, none was found with a halo of {smallest})"
            return f"with a halo of {smallest} none is found: declare halo={smallest}"
        share, reach = self._influence()
        if share > 0.5:
            return (
                "it depends on the statistics of its chunk (one corner changed almost all that it "
                "makes); declare measure= and merge=, and take the keyword measured"
            )
        if reach > max(halo):
            return (
                f"what is {reach} pixels away still counts, and no halo up to {LARGEST_HALO} makes "
                "it exact: if it ends somewhere, declare that; if it does not, as in recursive "
                "filters, cut it off at a radius, and declare that"
            )
        return (
            "it depends on where its chunk begins or how large it is; take the keyword place, "
            "which says where the chunk is in the image, or if it works in blocks of pixels "
            "declare align=, their size"
        )

    def _influence(self) -> tuple[float, int]:
        """Change a corner; return the share of far pixels that change, and how far it reaches."""
        if not self._integers:
            return 0.0, 0
        picture = self._integers[0]
        side = min(40, *(n // 4 for n in picture.pixels.shape[:2]))
        top = int(picture.pixels.max())
        dull = picture.pixels // 2 + np.asarray(top // 8).astype(picture.pixels.dtype)
        other = dull.copy()  # with another mean, and another maximum and minimum
        other[:side, :side] = top - dull[:side, :side] // 2
        other[: side // 2, : side // 2] = np.where(dull[: side // 2, : side // 2] % 2, top, 0)
        try:
            one, two = (whole(self._one, replace(picture, pixels=p)) for p in (dull, other))
        except ImgpipeError:
            return 0.0, 0
        changed = (one != two).any(axis=2)
        rows, columns = np.nonzero(changed)
        if not rows.size:
            return 0.0, 0
        far = np.ones(changed.shape, bool)
        far[: side + _CHEAP_HALO, : side + _CHEAP_HALO] = False
        share = float(changed[far].mean()) if far.any() else 0.0
        return share, int(max(rows.max(), columns.max())) - side + 1

    def _of_measuring(self) -> Iterator[str]:
        """Yield what is wrong with the measurement of a filter that has one."""
        if not self._one.measures:
            return
        for picture in self._integers + self._floats:
            try:
                alike = measured_alike(self._one, picture)
            except ImgpipeError as error:
                yield f"its measuring fails on a part of {picture.name}: {_last_line(error)}"
                return
            if not alike:
                yield (
                    f"what it measures of {picture.name} differs when the picture is cut in two; "
                    "measure and merge must be exact, such as counts and sums of integers"
                )
                return


def _differences(
    one: Filter, pictures: Iterable[Picture], cuts: Iterable[Cut]
) -> Iterator[Difference]:
    """Yield how far every picture is from its pieces, cut by cut."""
    for picture in pictures:
        made = whole(one, picture)
        for cut in cuts:
            yield compared(one, picture, cut, made)


def _pair(halo: int | Halo) -> Halo:
    return halo if isinstance(halo, tuple) else (halo, halo)


def _last_line(error: Exception) -> str:
    """Return what an error says, without the traceback."""
    return str(error).splitlines()[-1]
