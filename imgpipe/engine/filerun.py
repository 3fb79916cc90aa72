"""File run: the run of one file of a batch, which commits or aborts its outputs itself.

The first image may be followed by others, which are made of what came of it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from functools import reduce
from typing import Any

from imgpipe.chains.faintimages import warnings_of
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.chore import Chore
from imgpipe.engine.contextruns import run_in_context
from imgpipe.engine.costs import Cost
from imgpipe.engine.flow import Flow
from imgpipe.engine.requests import Request
from imgpipe.engine.run import Run
from imgpipe.formats.base import Sink

__all__ = ["FileRun", "aborted"]

_log = logging.getLogger("imgpipe")


class FileRun(Run):
    """A run of one file of a batch, which owns its outputs.

    Parameters
    ----------
    request : Request
        The images that are wanted.
    then : sequence of Run
        Runs over the images that come after the first one.
    beside : Cost
        Memory that all of them take, beside their own.
    *args, **given
        As for `Run`.
    """

    def __init__(
        self, request: Request, then: Sequence[Run], beside: Cost, *args: Any, **given: Any
    ) -> None:
        super().__init__(*args, **given)
        self._request, self._then, self._beside = request, then, beside

    @property
    def cost(self) -> Cost:
        """The memory that it takes."""
        return reduce(Cost.then, [run.cost for run in self._then], super().cost) + self._beside

    def prepare(self, *, crowded: bool) -> None:
        """Choose the plan: one task for one worker if the others have enough to do."""
        may_be_alone = self._request.may_be_alone
        super().prepare(crowded=crowded if may_be_alone is None else may_be_alone())

    def flows(self) -> Generator[Flow, None, Any]:
        """Yield the flows of all images; return the sizes of the first outputs."""
        return (yield from run_in_context(self._request.within, self._flows()))

    def _flows(self) -> Generator[Flow, None, Any]:
        sizes = yield from super().flows()
        self._warn_of_filters(self)
        for run in self._then:
            yield from run.flows()
            self._warn_of_filters(run)
        if self._request.last is not None:
            yield self._last(self._request.last)
        return sizes

    def _last(self, work: Callable[[], None]) -> Chore:
        return Chore(lambda _on_event, _check: work(), self._on_event, self._control.check)

    def _warn_of_filters(self, run: Run) -> None:
        for warning in warnings_of(run.filters, run.seen):
            _log.warning("%s: %s", self.name, warning)

    def close(self) -> None:
        """Leave nothing of the outputs unless they were published."""
        with contextlib.ExitStack() as held:
            for run in (self, *self._then):
                held.callback(aborted, [output.sink for output in run.outputs])


def aborted(sinks: Sequence[Sink]) -> None:
    """Abort outputs."""
    with uninterrupted():
        for sink in sinks:
            sink.abort()
