"""Budget: the memory that images may take together, and what each of them takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Budget", "Cost"]


@dataclass(frozen=True)
class Cost:
    """The memory that an image takes beside the processes that make it.

    Attributes
    ----------
    shared : int
        Bytes of its leases, and of its reader: they add up over all images.
    per_worker : int
        Bytes that a worker holds for a task of it: of all images, the most counts.
    """

    shared: int = 0
    per_worker: int = 0


@dataclass(frozen=True)
class Budget:
    """The memory that a crew may use for its images.

    Attributes
    ----------
    granted : int
        Bytes, without what the processes take.
    workers : int
        How many workers may be at tasks at once.
    """

    granted: int
    workers: int

    def allows(self, costs: Sequence[Cost]) -> bool:
        """Whether images of these costs may be made at once."""
        shared = sum(cost.shared for cost in costs)
        per_worker = max((cost.per_worker for cost in costs), default=0)
        return shared + self.workers * per_worker <= self.granted
