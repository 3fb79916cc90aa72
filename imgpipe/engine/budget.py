"""Budget: the memory that images may take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgpipe.engine.costs import Cost

__all__ = ["Budget"]


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
