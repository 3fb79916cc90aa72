"""Report: the findings of a check, and their text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from textwrap import shorten as shortened

from imgpipe.geometry import Halo
from imgpipe.image import Pixels
from imgpipe.plurals import counted
from imgpipe.records import dataclass

__all__ = ["CheckReport", "as_pair"]


@dataclass(frozen=True, repr=False)
class CheckReport:
    """The result of `check`. True if nothing speaks against the filter, as far as it was tried.

    Attributes
    ----------
    name : str
        The filter.
    halo : (int, int) or None
        Its halo, rows and columns; None for a bare function.
    pictures, cuts : int
        Number of pictures that were tried, and largest number of cuts of one.
    kinds : tuple of str
        The kinds of images that were tried.
    untried : tuple of (str, str)
        The kinds that the function does not take, and its failures on them.
    refused : int
        Number of further pictures left out, because the function fails on them as a whole.
    reason : str
        The reason why the first of these was refused.
    failing : bool
        Whether the function itself failed on a picture that was left out, so that nothing is known
        about such pictures.
    difference : float
        The largest difference between a whole picture and its chunks; infinite where the function
        fails on a chunk.
    where : str
        The picture, and the place in it; empty where there is no difference.
    smallest_halo : int, (int, int) or None
        The smallest halo without a difference, a pair where one side of it is 0; None where none
        was found, or none was looked for.
    findings : tuple of str
        The faults, and the declarations that mend them.
    notes : tuple of str
        Properties that are no faults, but perhaps not meant, and their remedies.
    seams : ndarray of bool, shape (rows, columns), or None
        Places that differ, in the picture of the largest difference.
    """

    name: str
    halo: Halo | None
    pictures: int = 0
    cuts: int = 0
    kinds: tuple[str, ...] = ()
    untried: tuple[tuple[str, str], ...] = ()
    refused: int = 0
    reason: str = ""
    failing: bool = False
    difference: float = 0.0
    where: str = ""
    smallest_halo: int | Halo | None = None
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seams: Pixels | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        notes = (f"note: {note}" for note in self.notes)
        lines = f"{self.name}: {self._verdict()}", *self.findings, *notes, *self._tried()
        return "\n  ".join(lines)

    def _verdict(self) -> str:
        if self.difference:
            return "whole pictures and chunks give different results"
        if not self.ok:
            return "the function has a fault"
        same = "no difference was found between whole pictures and chunks"
        if self.halo is None:
            smallest = self.smallest_halo
            return f"{same} with a halo of {smallest}: declare halo={smallest}"
        return same

    def _tried(self) -> Iterator[str]:
        """Yield lines about the pictures that were tried, and that were not."""
        if (less := self._smaller()) is not None:
            yield f"a halo of {less} gives no difference either, and takes less time"
        if self.pictures:
            number = counted(self.pictures, "picture")
            yield f"tried: {number}, each cut into chunks in up to {self.cuts} ways"
        if self.kinds:
            yield f"kinds of image: {', '.join(self.kinds)}"
        for reason in dict.fromkeys(reason for _, reason in self.untried):
            left_out = ", ".join(kind for kind, its in self.untried if its == reason)
            yield f"not tried: {left_out} ({shortened(reason, 200, placeholder='...')})"
        if self.refused:
            more = counted(self.refused, "more picture")
            yield f"not tried: {more}, on which the function fails ({self.reason})"
        if self.failing and self.ok:
            yield (
                "so the check is incomplete, unless the function is not meant for images that "
                "were not tried"
            )

    def _smaller(self) -> int | Halo | None:
        """Return a halo that is smaller than the declared one, if it is enough."""
        smallest = self.smallest_halo
        if smallest is None or self.halo is None or self.findings:
            return None
        less = as_pair(smallest)
        if less == self.halo or less[0] > self.halo[0] or less[1] > self.halo[1]:
            return None
        return smallest


def as_pair(halo: int | Halo) -> Halo:
    """Return rows and columns of a halo that may be one number for both."""
    return halo if isinstance(halo, tuple) else (halo, halo)
