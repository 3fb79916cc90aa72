"""Comparison of the results of a filter on whole pictures and in chunks.

The function runs over whole pictures and over the same pictures in chunks, of several sizes and
begun at several places. A difference is shown with its place and with the smallest halo that mends
it; where no halo does, the function is probed for other dependencies.
No difference found is no proof: the report tells the number of trials.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace

from imgpipe.admission import Alpha
from imgpipe.chains.chain import Filter
from imgpipe.checking.channels import note_on_channels
from imgpipe.checking.influence import can_be_probed, reach_of, share_of_a_corner
from imgpipe.checking.pictures import Kind, Picture, callers, kinds
from imgpipe.checking.report import CheckReport, as_pair
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
from imgpipe.events import Compared, Observer
from imgpipe.geometry import Halo
from imgpipe.image import Pixels

__all__ = ["checked"]

LARGEST_HALO = 128
_CHEAP_HALO = 64  # larger ones are tried on narrow pictures only
_PATIENCE = 2.0  # seconds that a comparison may take if more are to follow out of curiosity
_PROBING = 5.0  # seconds

_KEEPS = (
    "its results change between calls: it depends on a state that it keeps; make it depend only on "
    "its arguments"
)
_RUNNING = (
    "running sums of floats, as in cumsum and scipy.ndimage.uniform_filter, depend on where a "
    "chunk begins: sum in integers, or each neighbourhood by itself"
)
_WHOLE = "labelling, distance transforms and filled holes need the whole image"


def checked(
    one: Filter,
    image: str | os.PathLike[str] | Pixels | None,
    alpha: Alpha = None,
    *,
    known: bool,
    on_event: Observer | None = None,
) -> CheckReport:
    """Check a filter whose halo is `known`, or else looked for."""
    return _Check(one, callers(image, alpha), known=known, on_event=on_event).report()


class _Check:
    """One filter, and the pictures it is tried on."""

    def __init__(
        self, one: Filter, own: list[Picture], *, known: bool, on_event: Observer | None
    ) -> None:
        self._one, self._own, self._known = one, own, known
        self._integers: list[Picture] = []  # of the kind that all pictures are tried as
        self._samples: list[Picture] = []
        self._refusals: list[ImgpipeError] = []
        self._kinds: list[str] = []
        self._untried: list[tuple[str, str]] = []
        self._failing = False
        self._far: Halo | None = None
        self._on_event, self._done, self._total = on_event, 0, 0

    def report(self) -> CheckReport:
        found = CheckReport(self._one.name, self._one.halo if self._known else None)
        try:
            self._choose_pictures()
        except DeclarationError as error:
            return replace(found, findings=(str(error),))
        found = replace(
            found,
            pictures=len(self._integers) + len(self._samples),
            cuts=len(CUTS),
            kinds=tuple(self._kinds),
            untried=tuple(self._untried),
            refused=len(self._refusals),
            reason=_last_line(self._refusals[0]) if self._refusals else "",
            failing=self._failing,
        )
        if not self._known:
            smallest = self._needed(self._smallest_halo(self._integers or self._samples))
            self._one = with_halo(self._one, as_pair(smallest or 0))
            found = replace(found, smallest_halo=smallest)
        return self._noted(self._compared(found))

    def _choose_pictures(self) -> None:
        """Find pictures that the function takes: all as one kind of image, samples as others."""
        own, self._refusals = self._taken(self._own)
        left, refusals = kinds(), list[ImgpipeError]()
        taken: list[Picture] = []
        while left and not taken:
            kind = left.pop(0)
            taken, refused = self._taken(kind.pictures())
            self._note(kind, taken, refused)
            refusals = refusals or refused
        if not (taken or own):
            raise _advised((self._refusals or refusals)[0], own=bool(self._own))
        if taken and refused:
            wrong = [error for error in refused if isinstance(error, DeclarationError)]
            if wrong:
                raise wrong[0]
            self._refusals += refused
        for kind in left:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a function that does not care for it may say so
                for of_age in (DeprecationWarning, FutureWarning):
                    warnings.simplefilter("ignore", of_age)
                samples, refused = self._taken(kind.samples())
            self._note(kind, samples, refused)
            self._samples += samples
        both = [*taken, *own]
        self._integers = [one for one in both if not one.is_float]
        self._samples += [one for one in both if one.is_float]
        self._expect(2 * len(CUTS) * len(self._integers) + len(FEW) * len(self._samples))

    def _note(self, kind: Kind, taken: list[Picture], refused: list[ImgpipeError]) -> None:
        if taken:
            self._kinds.append(kind.name)
        else:
            self._untried.append((kind.name, _last_line(refused[0])))

    def _taken(self, pictures: list[Picture]) -> tuple[list[Picture], list[ImgpipeError]]:
        """Return the pictures on which the function succeeds, and the failures on others.

        Raises
        ------
        DeclarationError
            If it does not give the same twice.
        """
        taken, refusals = [], list[ImgpipeError]()
        self._expect(len(pictures))
        for picture in pictures:
            self._report_progress()
            try:
                first, again = whole(self._one, picture), whole(self._one, picture)
            except (FilterError, UsageError) as error:
                refusals.append(error)
                self._failing |= isinstance(error, FilterError)
                continue
            if not equal(first, again):
                raise DeclarationError(
                    "a second call gives another result: it depends on random numbers or on a "
                    "state that it keeps between calls; make it depend only on its arguments, "
                    "and for noise on the keyword place"
                )
            taken.append(picture)
        return taken, refusals

    def _compared(self, found: CheckReport) -> CheckReport:
        """Return the findings in all pictures of one kind; if there are none, in samples."""
        began = time.process_time()  # which other processes do not slow down
        worst = self._worst(self._integers, CUTS)
        took = time.process_time() - began
        if not worst.size:
            worst = self._worst(self._samples, FEW if self._integers else CUTS)
        if not worst.size:
            return self._without_difference(found, took)
        smallest = found.smallest_halo  # of a bare function, in integers
        of_samples = any(worst.picture is one for one in self._samples)
        pictures = [worst.picture] if of_samples else self._integers
        sought = None if worst.rounding else self._needed(self._smallest_halo(pictures, worst))
        findings = list(self._findings(worst, sought, of_samples=of_samples))
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

    def _noted(self, found: CheckReport) -> CheckReport:
        """Return the findings with notes, unless there is a fault that no halo mends."""
        if not found.ok and found.smallest_halo is None:
            return found
        note = note_on_channels(self._one, self._integers + self._samples, _PROBING)
        return replace(found, notes=(note,)) if note else found

    def _without_difference(self, found: CheckReport, took: float) -> CheckReport:
        """Return the findings where pieces are the same as the whole."""
        if not self._known:
            if found.smallest_halo is None:
                return replace(found, findings=(self._advice(None),))
            return replace(found, findings=tuple(self._of_measuring()))
        reach = self._reach()
        if any(far > given for far, given in zip(reach, self._one.halo, strict=True)):
            needed = self._needed(self._one.halo)
            said = (
                f"a pixel that is {_pixels(max(reach))} away has an effect, farther than its halo"
            )
            return replace(
                found, smallest_halo=needed, findings=(f"{said}; {self._advice(needed)}",)
            )
        if took < _PATIENCE and max(reach):
            pictures = self._integers or self._samples
            smallest = self._smallest_halo(pictures, largest=max(self._one.halo))
            # A smaller halo is worth mentioning only where pixels that far are seen to count.
            if smallest is not None and max(as_pair(smallest)) == max(reach):
                found = replace(found, smallest_halo=smallest)
        return replace(found, findings=tuple(self._of_measuring()))

    def _findings(
        self, worst: Difference, smallest: int | Halo | None, *, of_samples: bool
    ) -> Iterator[str]:
        prefix = "with floats, " if worst.picture.is_float and self._integers else ""
        spared = "; no difference was found in integer images" if prefix else ""
        if spared and not (self._known or worst.rounding):
            rows, columns = self._one.halo
            spared += f" with a halo of {rows if rows == columns else (rows, columns)}"
        if spared and self._one.definition.dtype == "keep":
            spared += ", but --dtype float32 (dtype= in Python) turns integers into floats"
        if worst.rounding:
            yield (
                f"{prefix}it differs in the last bits (by up to {worst.size:.2g}): its sums depend "
                f"on where a chunk begins{spared}; sum in integers, or each neighbourhood by itself"
            )
            return
        if worst.failure:
            yield f"{prefix}the function fails on a chunk of {worst.where}: {worst.failure}"
        else:
            yield f"{prefix}the largest difference is {worst.size:g}, at {worst.where}{spared}"
        if of_samples and self._integers and smallest is None:
            yield (
                f"no halo up to {LARGEST_HALO} removes the difference: it looks farther, or it "
                "depends on where its chunk begins"
            )
        else:
            yield self._advice(smallest)

    def _worst(self, pictures: list[Picture], cuts: Iterable[Cut]) -> Difference:
        none = Difference(0.0, Picture.none(), CUTS[0])
        found = self._differences(self._one, pictures, cuts)
        return max(found, key=lambda each: each.size, default=none)

    def _differences(
        self, one: Filter, pictures: Iterable[Picture], cuts: Iterable[Cut]
    ) -> Iterator[Difference]:
        """Yield the difference between every picture and its pieces, cut by cut."""
        for picture in pictures:
            made = whole(one, picture)
            for cut in cuts:
                self._report_progress()
                yield compared(one, picture, cut, made)

    def _needed(self, smallest: int | Halo | None) -> int | Halo | None:
        """Return the halo that pictures in chunks need and pixels far away as well."""
        if smallest is None:
            return None
        both = zip(as_pair(smallest), self._reach(), strict=True)
        rows, columns = (max(pair) for pair in both)
        if max(rows, columns) > LARGEST_HALO:
            return None
        return (rows, columns) if not (rows and columns) and rows != columns else max(rows, columns)

    def _reach(self) -> Halo:
        """Return the largest distance at which a pixel is seen to count."""
        if self._far is None:
            self._far = 0, 0
            if self._integers and can_be_probed(self._one):
                self._far = reach_of(self._one, self._integers, LARGEST_HALO, _PROBING)
        return self._far

    def _smallest_halo(
        self, pictures: list[Picture], worst: Difference | None = None, largest: int = LARGEST_HALO
    ) -> int | Halo | None:
        """Return the smallest halo without a difference, if other halos can be tried at all."""
        first = worst.picture if worst else None
        pictures = sorted(pictures, key=lambda one: one is not first)
        narrow = [one for one in pictures if one.is_long] or pictures
        # A halo as large as the picture is no halo: each piece would be the whole.
        largest = min(largest, max(min(one.pixels.shape[:2]) for one in pictures) // 2)

        def same(halo: Halo, *, surely: bool = False) -> bool:
            tried = narrow if max(halo) > _CHEAP_HALO and not surely else pictures
            one = with_halo(self._one, halo)
            self._expect(len(FEW) * len(tried))
            try:
                for picture in tried:
                    # The cut that shows most may be of tiny chunks, which take long: only here.
                    cuts = (worst.cut, *FEW) if worst and picture is first else FEW
                    found = self._differences(one, [picture], cuts)
                    if any(each.size and not each.rounding for each in found):
                        return False
            except ImgpipeError:  # a function may refuse small pictures, in any way
                return False
            return True

        reach = self._reach()  # a smaller halo is not enough, even if the pieces agree
        low, high = max(reach) - 1, max(reach)
        while not same((high, high)):
            if high >= largest:
                return None
            low, high = high, min(largest, max(1, 2 * high))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if same((middle, middle)) else (middle, high)
        if high > _CHEAP_HALO and not same((high, high), surely=True):
            return None
        one_side = [pair for pair in ((0, high), (high, 0)) if high and not min(reach)]
        return next((pair for pair in one_side if same(pair)), high)

    def _advice(self, smallest: int | Halo | None) -> str:
        halo = self._one.halo
        if smallest is not None:
            if all(less <= given for less, given in zip(as_pair(smallest), halo, strict=True)):
                return f"{_KEEPS} (a second try with a halo of {smallest} found no difference)"
            return f"no difference was found with a halo of {smallest}: declare halo={smallest}"
        share, reach = share_of_a_corner(self._one, self._integers[0]) if self._integers else (0, 0)
        reach = max(reach, *self._reach())
        if share > 0.5:
            return (
                "it depends on the statistics of its chunk (a change in one corner changed "
                "almost the whole result); declare measure= and merge=, and take the keyword "
                f"measured; {_WHOLE}"
            )
        if reach > max(halo):
            return (
                f"no halo up to {LARGEST_HALO} makes it exact; a pixel that is {_pixels(reach)} "
                "away has an effect\n"
                "    - if it needs only pixels up to a distance, declare the distance as the halo\n"
                "    - if not, as in recursive filters, cut it off at a radius, and declare the "
                "radius as the halo\n"
                f"    - {_RUNNING}\n"
                f"    - {_WHOLE}"
            )
        return (
            "it depends on the position or the size of its chunk; take the keyword place, which "
            "gives the position in the image, or for blocks of pixels declare their size by "
            f"align=; {_WHOLE}"
        )

    def _of_measuring(self) -> Iterator[str]:
        """Yield the faults of the measurement of a filter, if it measures."""
        if not self._one.measures:
            return
        for picture in self._integers + self._samples:
            try:
                alike = measured_alike(self._one, picture)
            except ImgpipeError as error:
                yield f"its measure function fails on a part of {picture.name}: {_last_line(error)}"
                return
            if not alike:
                yield (
                    f"the measurement of {picture.name} differs when the picture is cut in two; "
                    "measure and merge must be exact, such as counts and sums of integers"
                )
                return

    def _expect(self, more: int) -> None:
        self._total += more

    def _report_progress(self) -> None:
        """Count a comparison, and report it to the observer."""
        self._done += 1
        if self._on_event is not None:
            self._total = max(self._done, self._total)
            self._on_event(
                Compared(
                    time=time.monotonic(),
                    name=self._one.name,
                    done=self._done,
                    total=self._total,
                )
            )


def _pixels(count: int) -> str:
    return f"{count} pixel{'s'[: count != 1]}"


_OF_SHAPES = "IndexError", "ValueError", "AssertionError"  # that other images may not raise


def _advised(failure: ImgpipeError, *, own: bool) -> ImgpipeError:
    """Return the failure on all pictures, with advice if there was no `own` one."""
    if type(failure) is FilterError and not own and _last_line(failure).startswith(_OF_SHAPES):
        advice = (
            "The pictures of the check have 1, 3 or 4 channels, of which alpha may be one. If the "
            "function is for other images, give one of them: imgpipe check FILTER IMAGE (image= in "
            "Python)"
        )
        failure.args = (f"{failure}\n{advice}",)
    return failure


def _last_line(error: Exception) -> str:
    """Return the text of an error, without the traceback."""
    return str(error).splitlines()[-1]
