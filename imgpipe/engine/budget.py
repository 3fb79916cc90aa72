"""Budget: the memory that images may take together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from imgpipe.engine.costs import Cost, Footing
from imgpipe.engine.disk import Disk
from imgpipe.engine.wantedoutputs import WantedOutput
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
    "limit_to_give",
    "megabytes",
    "no_plan",
    "too_large",
]

SPARE_BYTES = 2_000_000  # by which the memory of a process differs from run to run

Remedy = Callable[[], tuple[str, str]]
"""Returns the limit to give for an image, as its user writes it, and more advice."""


def default_budget() -> int:
    """Return the memory that a run may use: half of the available memory, at most 2 GB."""
    return min(available_memory() // 2, 2_000_000_000)


def granted(max_memory: int | None, footing: Footing) -> tuple[int, int]:
    """Return the bytes for all processes together, and those of them beside `max_memory`."""
    beside = 0 if footing.counted else footing.held
    return beside + (default_budget() if max_memory is None else max_memory), beside


def no_plan(
    source: Source,
    goals: tuple[WantedOutput, ...],
    tried: Sequence[tuple[int, Disk]],
    few: str,
    held: int,
    limit: tuple[int, int],
    remedy: Remedy | None = None,
) -> MemoryPlanError:
    """Return the error of an image for which no plan fits the limit, with a limit that fits.

    Parameters
    ----------
    source : Source
        The image.
    goals : tuple of WantedOutput
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
        Returns the limit to give, where a higher one also means more workers.
    """
    needed, disk = min(tried, key=lambda one: one[0])
    beside = limit[1]
    found, advice = _largest_part(source, goals, needed - beside, disk)
    on_disk = min(size - (disk.size if disk.in_memory else 0) for size, disk in tried)
    if on_disk <= limit[0]:
        option = "scratch=" if beside else "--scratch"
        advice = f", or give a folder on a disk for scratch files ({option}){advice}"
    here = f" (imgpipe itself takes {megabytes(held)} MB)"
    if beside:
        here = f" (beside the {megabytes(held)} MB that this process holds already)"
    condition = f", even with {few} and the smallest tasks{here}{found}"
    give, more = ("", "") if remedy is None else remedy()
    return too_large(
        source.name, needed, *limit, condition=condition, give=give, advice=more + advice
    )


def _largest_part(
    source: Source, goals: tuple[WantedOutput, ...], needed: int, disk: Disk
) -> tuple[str, str]:
    """Return the largest part of the memory, and advice about it; both empty if no part stands out.

    The part is an image that is decoded or encoded as a whole, or scratch files in memory.
    """
    if disk.in_memory and disk.size > needed // 2:
        found = f"; scratch files in {disk.folder}, which is in memory, take "
        return f"{found}{megabytes(disk.size)} MB", ""
    whole = source.access == "whole"
    decoding = source.info.nbytes + source.decode_bytes if whole else 0
    sealing, output = max((getattr(one.sink, "seal_bytes", 0), one.destination) for one in goals)
    if decoding > max(needed // 2, sealing):
        found = f"; decoding the whole image takes {megabytes(decoding)} MB"
        return found, (
            ", or convert it with another program to a format that is read in parts, such as tiled "
            "TIFF"
        )
    if sealing > needed // 2:
        found = f"; encoding {output} as a whole takes {megabytes(sealing)} MB"
        return found, ", or choose a format that is written in parts, such as TIFF or PNG"
    return "", ""


def too_large(
    name: str,
    needed: int,
    limit: int,
    beside: int,
    *,
    condition: str = "",
    give: str = "",
    advice: str = "",
) -> MemoryPlanError:
    """Return the error of an image that needs more than the limit, with the limit to give.

    Parameters
    ----------
    name : str
        The image.
    needed : int
        The bytes that all processes need.
    limit, beside : int
        The bytes granted, and those of them that are beside the limit in Python.
    condition : str, optional
        More about the need.
    give : str, optional
        The limit to give, if it is not the need, as its user writes it.
    advice : str, optional
        Other remedies.
    """
    enough = needed + SPARE_BYTES
    error = MemoryPlanError(
        f"{name}: the memory limit is {megabytes(limit - beside)} MB, but "
        f"{megabytes(enough - beside)} MB are needed{condition}; "
        f"raise the limit ({give or limit_to_give(enough, beside)}){advice}"
    )
    error.needed = needed
    return error


def limit_to_give(size: int, beside: int, workers: int = 0) -> str:
    """Return the option that gives a limit of `size` bytes, and perhaps a number of workers."""
    if beside:  # in Python
        more = f", workers={workers}" if workers else ""
        return f"max_memory='{megabytes(size - beside)}M'{more}"
    return f"--max-memory {megabytes(size)}M" + (f" -j {workers}" if workers else "")


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
        """Return whether images of these costs may be made at once."""
        return reduce(Cost.beside, costs, Cost()).total(self.workers) <= self.granted

    def refusal(self, name: str, cost: Cost) -> MemoryPlanError:
        """Return the error of an image of this cost, which is not allowed even alone."""
        return too_large(name, cost.total(self.workers), self.granted, self.beside)
