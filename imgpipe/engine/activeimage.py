"""Active image: an image that a crew makes, and its current flow."""

from __future__ import annotations

import contextlib
from typing import Any

from imgpipe.cleanup import uninterrupted
from imgpipe.engine.flow import Flow
from imgpipe.engine.waitinglist import Image, Outcome

__all__ = ["ActiveImage"]


class ActiveImage:
    """An image that is being made.

    Parameters
    ----------
    turn : int
        Its turn among the images that were given.
    image : Image
        The image.

    Attributes
    ----------
    flow : Flow or None
        The current flow.
    started : bool
        Whether the current flow has been started.
    error : Exception or None
        The failure of the image.
    deadline : float
        Time at which the workers of an image that has failed are ended.
    """

    def __init__(self, turn: int, image: Image) -> None:
        self.turn, self.image = turn, image
        self.flow: Flow | None = None
        self.started = False
        self.error: Exception | None = None
        self.deadline = 0.0
        self._flows = image.flows()
        self._result: Any = None

    @property
    def number(self) -> int:
        """The number of the image."""
        return self.image.number

    @property
    def pixels(self) -> int:
        """The size of the image."""
        return self.image.pixels

    def advance(self) -> Flow | None:
        """Go on to the next flow and return it; None if there is none."""
        self.started = False
        try:
            self.flow = next(self._flows)
        except StopIteration as stop:
            self._result = stop.value
        return self.flow

    def end_flow(self) -> None:
        """Close the flow."""
        with uninterrupted():
            if self.flow is not None:
                self.flow.close()
                self.flow = None

    def close(self) -> None:
        """Let go of all that the image holds, its flow included. Safe to call twice."""
        with uninterrupted(), contextlib.ExitStack() as held:
            held.callback(self.image.close)
            held.callback(self._flows.close)
            held.callback(self.end_flow)

    def outcome(self) -> Outcome:
        """Return the outcome of the image, once."""
        found = Outcome(self.turn, self._result if self.error is None else None, self.error)
        # The error refers to frames which refer to this: together they would never go.
        self.error = None
        return found
