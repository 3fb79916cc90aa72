"""What a check found, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgpipe.geometry import Halo
from imgpipe.image import Pixels

__all__ = ["CheckReport"]


@dataclass(frozen=True, slots=True, repr=False)
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
    refused : int
        How many pictures more were left out, because the function fails on them as a whole.
    reason : str
        Why the first of these was refused.
    difference : float
        The largest difference between a picture as a whole and in pieces; infinite where the
        function fails on a piece.
    where : str
        In which picture and where in it; empty where there is none.
    smallest_halo : int, (int, int) or None
        The smallest halo without a difference, a pair where one side of it is 0; None where none
        was found, or none was looked for.
    findings : tuple of str
        What is wrong, and what to declare.
    seams : ndarray of bool, shape (rows, columns), or None
        Where the picture of the largest difference differs.
    """

    name: str
    halo: Halo | None
    pictures: int = 0
    cuts: int = 0
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
        if not self.ok:
            return "\n  ".join((f"{self.name}: {self._fault()}", *self.findings))
        if self.halo is None:
            return (
                f"{self.name}: no difference was found with a halo of {self.smallest_halo} in "
                f"{self._tried()}: declare halo={self.smallest_halo}"
            )
        return f"{self.name}: no difference was found in {self._tried()}{self._could_be_less()}"

    def _fault(self) -> str:
        if self.difference:
            return f"not the same in pieces ({self._tried()})"
        return "something is wrong"

    def _tried(self) -> str:
        tried = f"{self.pictures} pictures, each whole and in {self.cuts} cuts"
        if not self.refused:
            return tried
        return f"{tried}; {self.refused} more were left out, as it refuses them ({self.reason})"

    def _could_be_less(self) -> str:
        smallest = self.smallest_halo
        if smallest is None or self.halo is None:
            return ""
        less = smallest if isinstance(smallest, tuple) else (smallest, smallest)
        if less == self.halo or less[0] > self.halo[0] or less[1] > self.halo[1]:
            return ""
        return f"; nor with a halo of {smallest}, which would be less work"
