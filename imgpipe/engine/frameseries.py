"""Series of frames: those of one file, among the images of a crew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from imgpipe.engine.frames import Frames, FramesRun, PlannedFrames
from imgpipe.engine.requests import Request
from imgpipe.engine.waitinglist import Image, Opening, Outcome
from imgpipe.formats.base import Source

__all__ = ["FrameSeries"]

_log = logging.getLogger("imgpipe")


class FrameSeries:
    """The frames of one file.

    Parameters
    ----------
    request : Request
        The request.
    turn : int
        The turn of the request.
    frames : Frames
        The frames.
    planned : PlannedFrames
        Their plans.
    given : dict
        Arguments of all runs.
    apart : callable
        Returns the source of a frame as it is to be decoded.
    """

    def __init__(
        self,
        request: Request,
        turn: int,
        frames: Frames,
        planned: PlannedFrames,
        given: dict[str, Any],
        apart: Callable[[Source], Source],
    ) -> None:
        self._request, self._turn, self._frames = request, turn, frames
        self._name = planned.plan.source
        self._run = FramesRun(
            frames, planned, {name: each for name, each in given.items() if name != "on_event"},
            request.control, request.on_event,
            within=request.within, ending=self._end, apart=apart,
        )  # fmt: skip
        self._openings = self._run.openings()
        self._begun = self._out = self._size = 0
        self._error: Exception | None = None

    @property
    def ended(self) -> bool:
        """Return whether all frames are made, or one has failed and none is under way."""
        return not self._out and (self._error is not None or self._begun == self._frames.count)

    def next(self) -> Opening | None:
        """Return the opening of the next frame; None if there is none just now."""
        if self._error is not None:
            return None
        opening = next(self._openings, None)
        if opening is None:
            return None
        self._begun, self._out = self._begun + 1, self._out + 1
        return partial(self._opened, opening)

    def take(self, outcome: Outcome) -> None:
        """Take the outcome of a frame. If it has failed, so has the file."""
        self._out -= 1
        if outcome.error is not None and self._error is None:
            self._error = outcome.error
            self._run.stop()

    def close(self) -> Outcome:
        """Leave nothing of frames that are not complete; return the outcome of the file."""
        self._run.close()
        self._frames.abort()
        error, self._error = self._error, None
        return Outcome(self._turn, None if error else [self._size], error)

    def _opened(self, opening: Opening) -> Image:
        with self._request.within():
            return opening()

    def _end(self) -> None:
        """Publish the file."""
        self._size = self._run.commit()
        for warning in self._run.warnings:
            _log.warning("%s: %s", self._name, warning)
        if self._request.last is not None:
            self._request.last()
