"""Parts: the share of each branch in every task of a flow.

The branch with the most boxes leads: it makes one box in each task. The others make theirs as soon
as the lead has come as far down the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from imgpipe.engine.tasks import Part
from imgpipe.engine.tiler import Tiler, falling
from imgpipe.geometry import Box

__all__ = ["Parts"]


class Parts(Sequence[tuple[Part, ...]]):
    """The parts of every task of a flow, in order.

    Parameters
    ----------
    tilers : tuple of Tiler
        The cut of each branch.
    """

    def __init__(self, tilers: tuple[Tiler, ...]) -> None:
        self._tilers = tilers

    def __len__(self) -> int:
        return max(map(len, self._tilers))

    def __getitem__(self, index: int) -> tuple[Part, ...]:  # type: ignore[override] # no slices
        if len(self._tilers) == 1:  # of which there may be many
            return (Part(0, index, self._tilers[0].box(index)),)
        return self._all[index]

    @cached_property
    def _all(self) -> list[tuple[Part, ...]]:
        boxes = [list(tiler.boxes()) for tiler in self._tilers]
        lead = max(range(len(boxes)), key=lambda branch: len(boxes[branch]))
        found: list[list[Part]] = [[] for _ in boxes[lead]]
        for branch, own in enumerate(boxes):
            at = 0
            for turn, box in enumerate(own):
                at = turn if branch == lead else self._place(branch, box, lead, boxes[lead], at)
                found[at].append(Part(branch, turn, box))
        return [tuple(parts) for parts in found]

    def _place(self, branch: int, box: Box, lead: int, boxes: list[Box], at: int) -> int:
        """Return the first task, from `at` on, whose input goes down as far as that of `box`."""
        end = self._tilers[branch].needs(box).y1
        while at < len(boxes) - 1 and self._tilers[lead].needs(boxes[at]).y1 < end:
            at += 1
        return at

    def bands(self, width: int) -> list[Box]:
        """Return the rows of the image that each task needs, never going up from task to task."""
        rows = falling([self._rows(index) for index in range(len(self))])
        return [Box(top, 0, bottom, width) for top, bottom in rows]

    def _rows(self, index: int) -> tuple[int, int]:
        boxes = [self._tilers[part.branch].needs(part.box) for part in self[index]]
        return min(box.y0 for box in boxes), max(box.y1 for box in boxes)

    def reads(self, index: int) -> list[Box]:
        """Return the boxes of the image that a task reads."""
        return [box for part in self[index] for box in self._tilers[part.branch].reads(part.box)[0]]

    def operands(self, part: Part) -> list[list[Box]]:
        """Return the boxes of each further image that a part reads."""
        return self._tilers[part.branch].reads(part.box)[1:]
