"""Waiting list: open images that wait for memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from imgpipe.engine.costs import Cost
from imgpipe.engine.flow import Flow
from imgpipe.engine.order import Order

__all__ = ["Image", "Opening", "Outcome", "WaitingList"]


class Image(Protocol):
    """An image as its crew sees it: a `Run`."""

    @property
    def number(self) -> int:
        """Its number: images that were opened earlier have lower ones."""

    @property
    def name(self) -> str:
        """The input, for messages."""

    @property
    def pixels(self) -> int:
        """Its size."""

    @property
    def cost(self) -> Cost:
        """The memory that it takes."""

    def flows(self) -> Generator[Flow, None, Any]:
        """Yield its flows, each once the one before is done; return the result."""

    def prepare(self, *, crowded: bool) -> None:
        """Choose a plan: `crowded` if as many images are open as there are workers."""

    def attach(self, stop: Callable[[], None]) -> None:
        """Set the function to call when the image is to end."""

    def lost(self, reason: str, tasks: int) -> None:
        """Note the death of a worker that had some of its tasks."""

    def close(self) -> None:
        """Let go of all that it holds, whether its flows were begun or not."""


Opening = Callable[[], Image]
"""Reads the header of an image and plans it; raises if that cannot be."""


class Outcome(NamedTuple):
    """The end of one image.

    Attributes
    ----------
    turn : int
        Its turn among the images that were given, from 0.
    result : object
        The result of its flows.
    error : Exception or None
        The failure.
    """

    turn: int
    result: Any = None
    error: Exception | None = None


class WaitingList:
    """Images in the order in which they are to begin.

    Parameters
    ----------
    openings : iterable of (Opening or None)
        Open the images; None if there is none just now, but may be later.
    order : Order
        Chooses among those that are opened.
    attach : callable
        Called with every image that is opened.
    ahead : int
        The number of images that may wait, if the order does not need more.
    """

    def __init__(
        self,
        openings: Iterable[Opening | None],
        order: Order,
        attach: Callable[[Image], None],
        ahead: int = 1,
    ) -> None:
        self._openings: Iterator[Opening | None] | None = iter(openings)
        self._order, self._attach = order, attach
        self._ahead = max(ahead, order.ahead)
        self._waiting: list[tuple[int, Image]] = []
        self._opened = 0
        self.failed: deque[Outcome] = deque()

    def __len__(self) -> int:
        """Return the number of images that wait."""
        return len(self._waiting)

    @property
    def exhausted(self) -> bool:
        """Return whether no image waits, and none will."""
        return self._openings is None and not self._waiting

    def first(self) -> Image | None:
        """Return the image that begins next, None if there is none at present."""
        new = False
        while self._openings is not None and len(self._waiting) < self._ahead:
            before = len(self.failed)
            if not self._open_one() or len(self.failed) > before:  # failures are told first
                break
            new = True
        if new:
            turns = {image.number: turn for turn, image in self._waiting}
            arranged = self._order.arranged([image for _, image in self._waiting])
            self._waiting = [(turns[image.number], image) for image in arranged]
        return self._waiting[0][1] if self._waiting else None

    def get(self, number: int) -> Image | None:
        """Return an image that waits, by its number; None if there is none."""
        return next((image for _, image in self._waiting if image.number == number), None)

    def take(self, image: Image) -> int:
        """Take an image off the list; return its turn."""
        at = next(at for at, (_, waiting) in enumerate(self._waiting) if waiting is image)
        return self._waiting.pop(at)[0]

    def close(self) -> None:
        """Let go of all images that wait."""
        self._openings = None
        while self._waiting:
            self._waiting.pop()[1].close()

    def _open_one(self) -> bool:
        """Open the next image; return whether there was one."""
        assert self._openings is not None
        try:
            opening = next(self._openings)
        except StopIteration:
            self._openings = None
            return False
        if opening is None:
            return False
        turn, self._opened = self._opened, self._opened + 1
        try:
            image = opening()
        except Exception as error:  # noqa: BLE001 - it is the outcome
            self.failed.append(Outcome(turn, error=error))
        else:
            self._waiting.append((turn, image))
            self._attach(image)
        return True
