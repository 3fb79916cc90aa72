"""Gate: lets images begin when their memory fits beside that of the active images.

Images begin in their order. Calls are under way as long as a batch, so an image that only fits
without them would never begin. They make way for it: those that are out come back, and the next
ones wait until there is memory again. Between two such images, calls have a turn.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from imgpipe.engine.activeimage import ActiveImage
from imgpipe.engine.budget import Budget
from imgpipe.engine.calls import CallFlow
from imgpipe.engine.costs import Cost
from imgpipe.engine.waitinglist import Image
from imgpipe.errors import MemoryPlanError

__all__ = ["Gate"]


class Gate:
    """The admission of images.

    Parameters
    ----------
    budget : Budget or None
        Memory for all images together; without one, every image is admitted.
    workers : int
        The number of workers: so many calls come back before they make way again.
    """

    def __init__(self, budget: Budget | None, workers: int) -> None:
        self._budget, self._workers = budget, workers
        self._guest: Image | None = None  # for which calls make way

    def refusal(self, image: Image) -> MemoryPlanError | None:
        """Return the error of an image that does not fit even alone."""
        if self._budget is None or self._budget.allows([image.cost]):
            return None
        return self._budget.refusal(image.name, image.cost)

    def admits(self, image: Image, active: Collection[ActiveImage]) -> bool:
        """Return whether an image may begin beside the images under way."""
        if self._budget is None:
            return True
        calls = _flows(active)
        if any(flow.waits for flow in calls):
            if self._guest is None:  # it is under way, and then it is the turn of the calls
                return False
            self._guest = image
        if self._budget.allows([*_costs(active), image.cost]):
            return True
        others = [one.image.cost for one in active if not isinstance(one.flow, CallFlow)]
        if self._budget.allows([*others, image.cost]):
            for flow in calls:
                if not flow.waits and flow.landed >= self._workers:
                    self._guest = image
                    flow.make_way()
        return self._budget.allows([*_costs(active), image.cost])

    def look(self, active: Collection[ActiveImage]) -> None:
        """Have calls go on that made way for an image, if there is memory for them again."""
        waiting = [flow for flow in _flows(active) if flow.waits]
        if not waiting or self._budget is None:
            return
        if self._guest is None and self._budget.allows([one.image.cost for one in active]):
            for flow in waiting:
                flow.go_on()

    def let_in(self, image: Image) -> None:
        """Note that an image begins, or never will."""
        if image is self._guest:
            self._guest = None


def _costs(active: Collection[ActiveImage]) -> list[Cost]:
    """Return the memory of the images under way; calls that rest have only their processes."""
    return [
        replace(one.image.cost, per_worker=0)
        if isinstance(one.flow, CallFlow) and one.flow.rests
        else one.image.cost
        for one in active
    ]


def _flows(active: Collection[ActiveImage]) -> list[CallFlow]:
    return [one.flow for one in active if isinstance(one.flow, CallFlow)]
