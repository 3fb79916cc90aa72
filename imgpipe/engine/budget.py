"""Budget: the memory that images may take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from imgpipe.engine.costs import Cost
from imgpipe.errors import MemoryPlanError

__all__ = ["Budget"]


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
        return MemoryPlanError(
            f"{name}: needs {_megabytes(needed)} MB; the limit is {_megabytes(self.granted)} MB; "
            f"raise it (--max-memory {_megabytes(needed)}M, or "
            f"max_memory='{_megabytes(needed - self.beside)}M' in Python)"
        )


def _megabytes(size: int) -> str:
    return str(-(-size // 10**6))
