"""Order of the images that a crew works on. Within an image, tasks go in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar, get_args

from imgpipe.errors import UsageError

__all__ = ["ORDERS", "Order", "OrderName", "Sized", "order_of"]

OrderName = Literal["fifo", "round-robin", "largest-first", "random"]
ORDERS: tuple[OrderName, ...] = get_args(OrderName)


class Sized(Protocol):
    """An image, as far as its order is concerned."""

    @property
    def number(self) -> int:
        """Its number: images that were opened earlier have lower ones."""

    @property
    def pixels(self) -> int:
        """Its size."""


S = TypeVar("S", bound=Sized)

_CHOICE = 32


class Order:
    """An order of images.

    Parameters
    ----------
    name : str
        ``fifo`` serves the first image first, and the next ones while it has no task ready.
        ``round-robin`` serves one after the other. ``largest-first`` serves the largest first.
        ``random`` serves any.
    seed : int
        Start of the random order; the same seed gives the same order.

    Attributes
    ----------
    ahead : int
        The number of images that are opened before they can begin, so that there is a choice.
    """

    def __init__(self, name: OrderName, seed: int = 0) -> None:
        self._name, self._last = name, 0
        self.ahead = 1 if name in ("fifo", "round-robin") else _CHOICE
        self._random = random.Random(seed)  # noqa: S311 - no secret depends on it

    def arranged(self, images: Sequence[S]) -> list[S]:
        """Return `images` in the order in which the crew asks them for a task."""
        by_number: Callable[[S], int] = lambda image: image.number  # noqa: E731 - it is a key
        arranged = sorted(images, key=by_number)
        match self._name:
            case "round-robin":
                return [i for i in arranged if i.number > self._last] + [
                    i for i in arranged if i.number <= self._last
                ]
            case "largest-first":
                return sorted(arranged, key=lambda image: -image.pixels)
            case "random":
                self._random.shuffle(arranged)
        return arranged

    def served(self, image: Sized) -> None:
        """Note that `image` has given a task."""
        self._last = image.number


def order_of(name: str, seed: int = 0) -> Order:
    """Return the order called `name`.

    Raises
    ------
    UsageError
        If there is none.
    """
    for known in ORDERS:
        if known == name:
            return Order(known, seed)
    raise UsageError(f"order must be one of {', '.join(ORDERS)}, not {name!r}")
