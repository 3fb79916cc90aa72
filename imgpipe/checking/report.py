"""Report: the findings of a check, and their text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from textwrap import shorten as shortened

from imgpipe.geometry import Halo
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["CheckReport", "as_pair"]


@dataclass(frozen=True, repr=False)
class CheckReport:
    """The result of `check`. True where nothing speaks against the filter.

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
    difference : float
        The largest difference between a picture as a whole and in pieces; infinite where the
        function fails on a piece.
    where : str
        The picture, and the place in it; empty where there is no difference.
    smallest_halo : int, (int, int) or None
        The smallest halo without a difference, a pair where one side of it is 0; None where none
        was found, or none was looked for.
    findings : tuple of str
        The faults, and the declarations that mend them.
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
    difference: float = 0.0
    where: str = ""
    smallest_halo: int | Halo | None = None
    findings: tuple[str, ...] = ()
    seams: Pixels | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n  ".join((f"{self.name}: {self._verdict()}", *self.findings, *self._tried()))

    def _verdict(self) -> str:
        tried = f"{self.pictures} pictures, each whole and in up to {self.cuts} cuts"
        if self.difference:
            return f"not the same in pieces ({tried})"
        if not self.ok:
            return "something is wrong"
        if self.halo is None:
            smallest = self.smallest_halo
            return (
                f"no difference was found with a halo of {smallest} in {tried}: "
                f"declare halo={smallest}"
            )
        return f"no difference was found in {tried}{self._could_be_less()}"

    def _tried(self) -> Iterator[str]:
        """Yield lines about the kinds of images that were tried, and that were not."""
        if self.kinds:
            yield f"tried: {', '.join(self.kinds)}"
        for why in dict.fromkeys(why for _, why in self.untried):
            refused = ", ".join(kind for kind, its in self.untried if its == why)
            yield f"not tried: {refused} ({shortened(why, 200, placeholder='...')})"
        if self.refused:
            yield f"{self.refused} more pictures were left out: it fails on them ({self.reason})"

    def _could_be_less(self) -> str:
        smallest = self.smallest_halo
        if smallest is None or self.halo is None:
            return ""
        less = as_pair(smallest)
        if less == self.halo or less[0] > self.halo[0] or less[1] > self.halo[1]:
            return ""
        return f"; also none with a halo of {smallest}, which takes less time"


def as_pair(halo: int | Halo) -> Halo:
    """Return rows and columns of a halo that may be one number for both."""
    return halo if isinstance(halo, tuple) else (halo, halo)
