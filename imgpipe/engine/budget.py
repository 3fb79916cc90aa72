"""Budget: the memory that images may take together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from imgpipe.engine.costs import Cost, Footing
from imgpipe.engine.disk import Disk
from imgpipe.engine.goals import Goal
from imgpipe.errors import MemoryPlanError
from imgpipe.formats.base import Source
from imgpipe.machine import available_memory
from imgpipe.records import dataclass

__all__ = [
    "SPARE_BYTES",
    "Budget",
    "Remedy",
    "default_budget",
    "granted",
    "megabytes",
    "no_plan",
    "too_large",
]

SPARE_BYTES = 2_000_000  # by which the memory of a process differs from run to run

Remedy = Callable[[int], tuple[int, str]]
"""Returns the bytes that do for an image, and more advice, given the bytes that it needs."""


def default_budget() -> int:
    """Return the memory that a run may use: half of what is available, at most 2 GB."""
    return min(available_memory() // 2, 2_000_000_000)


def granted(max_memory: int | None, footing: Footing) -> tuple[int, int]:
    """Return the bytes for all processes together, and those of them beside `max_memory`."""
    beside = 0 if footing.counted else footing.held
    return beside + (default_budget() if max_memory is None else max_memory), beside


def no_plan(
    source: Source,
    goals: tuple[Goal, ...],
    tried: Sequence[tuple[int, Disk]],
    few: str,
    held: int,
    limit: tuple[int, int],
    remedy: Remedy | None = None,
) -> MemoryPlanError:
    """Return the error of an image of which no plan fits the limit, with what would.

    Parameters
    ----------
    source : Source
        The image.
    goals : tuple of Goal
        The outputs.
    tried : sequence of (int, Disk)
        The memory of the plans that were tried, and of all else at the same time; their scratch
        files.
    few : str
        The fewest workers that they have.
    held : int
        The memory that this process holds already.
    limit : (int, int)
        The bytes granted, and those of them that are beside the limit in Python.
    remedy : callable, optional
        Returns the limit that would do, where a higher one also means more workers.
    """
    needed, disk = min(tried, key=lambda one: one[0])
    found, advice = _largest_part(source, goals, needed, disk)
    on_disk = min(size - (disk.size if disk.in_memory else 0) for size, disk in tried)
    if on_disk <= limit[0]:
        advice = f", or give a folder on a disk for scratch files (--scratch){advice}"
    needs = (
        f"{source.name}: needs {megabytes(needed)} MB even with {few} and the smallest tasks, of "
        f"which this process already holds {megabytes(held)} MB{found}"
    )
    enough, more = (needed, "") if remedy is None else remedy(needed)
    return too_large(needs, needed, *limit, more + advice, enough=enough)


def _largest_part(
    source: Source, goals: tuple[Goal, ...], needed: int, disk: Disk
) -> tuple[str, str]:
    """Return what takes most of the memory that is needed, and advice; both empty for nothing.

    That is an image that is decoded or encoded as a whole, or scratch files in memory.
    """
    if disk.in_memory and disk.size > needed // 2:
        found = f" and scratch files in {disk.folder}, which is in memory, take "
        return f"{found}{megabytes(disk.size)} MB", ""
    whole = source.access == "whole"
    decoding = source.info.nbytes + source.decode_bytes if whole else 0
    sealing, output = max((getattr(one.sink, "seal_bytes", 0), one.destination) for one in goals)
    if decoding > max(needed // 2, sealing):
        found = f" and decoding the whole image takes {megabytes(decoding)} MB"
        return found, (
            ", or convert it with another program to a format that is read in parts, such as tiled "
            "TIFF"
        )
    if sealing > needed // 2:
        found = f" and encoding {output} as a whole takes {megabytes(sealing)} MB"
        return found, ", or choose a format that is written in parts, such as TIFF or PNG"
    return "", ""


def too_large(
    needs: str, needed: int, limit: int, beside: int, advice: str = "", *, enough: int = 0
) -> MemoryPlanError:
    """Return the error of an image that `needs` more than the limit, with the limit to give."""
    enough = max(needed, enough) + SPARE_BYTES
    error = MemoryPlanError(
        f"{needs}; the limit is {megabytes(limit)} MB; "
        f"raise it (--max-memory {megabytes(enough)}M, or "
        f"max_memory='{megabytes(enough - beside)}M' in Python){advice}"
    )
    error.needed = needed
    return error


def megabytes(size: int) -> str:
    """Return `size` in megabytes, rounded up."""
    return str(-(-size // 10**6))


@dataclass(frozen=True)
class Budget:
    """The memory that a crew may use for its images.

    Attributes
    ----------
    granted : int
        Bytes for all processes together.
    workers : int
        The number of workers.
    beside : int
        Bytes of `granted` that are not part of the limit as it is given in Python.
    """

    granted: int
    workers: int
    beside: int = 0

    def allows(self, costs: Sequence[Cost]) -> bool:
        """Whether images of these costs may be made at once."""
        return reduce(Cost.beside, costs, Cost()).total(self.workers) <= self.granted

    def refusal(self, name: str, cost: Cost) -> MemoryPlanError:
        """Return the error of an image of this cost, which is not allowed even alone."""
        needed = cost.total(self.workers)
        needs = f"{name}: needs {megabytes(needed)} MB"
        return too_large(needs, needed, self.granted, self.beside)
