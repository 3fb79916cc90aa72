"""Frames: the images of one file, one after the other, as one image of a crew.

::

    frame 0 ─▶ its flows ─▶ frame 1 ─▶ its flows ─▶ … ─▶ publish

Each frame is opened and planned when its turn comes. So one is in memory at a time, and frames may
differ in size and type.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, Protocol, cast

from imgpipe.chains.faint import told
from imgpipe.engine.chore import Chore
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Cost
from imgpipe.engine.flow import Flow
from imgpipe.engine.plan import Goal, make_plans
from imgpipe.engine.planning import Planned, within_reach
from imgpipe.engine.run import Output, Run, numbers, outputs_of
from imgpipe.events import Event, Started, WorkerLost, Written
from imgpipe.formats.base import Source
from imgpipe.formats.losses import nothing_left
from imgpipe.options import Options

__all__ = ["Frames", "FramesRun", "RunOf"]

Tell = Callable[[Event], None]


class RunOf(Protocol):
    """Maker of runs, for one crew."""

    def __call__(
        self, source: Source, outputs: tuple[Output, ...], *, tell: Tell, number: int = 0
    ) -> Run:
        """Return an image for the crew, which is a part of the run `number`, if that is given."""


class Frames(Protocol):
    """The frames of a file, and the file that is made of them."""

    @property
    def count(self) -> int:
        """The number of frames."""

    @property
    def pixels(self) -> int:
        """Pixels of all frames that are made."""

    def trial(self) -> tuple[Source, Goal]:
        """Open the largest frame for its plan; `abort` ends that."""

    def opened(self, number: int) -> tuple[Source, Goal]:
        """Open a frame, in the order of their numbers from 0."""

    def commit(self) -> int:
        """Publish the file of all frames; return its size in bytes."""

    def abort(self) -> None:
        """Leave nothing behind."""


class FramesRun:
    """The frames of a file on their way; an image, as its crew sees it.

    Parameters
    ----------
    frames : Frames
        The frames.
    planned : Planned
        The plan of the largest.
    options : Options
        Options of the run.
    run_of : callable
        Makes the run of a frame.
    control : Control
        Stops it.
    tell : callable
        Gets the events.

    Attributes
    ----------
    number : int
        The number of the run.
    missing : float
        The frames, and parts of frames, that could not be read.
    warnings : list of str
        Findings about the filters, each once.
    """

    def __init__(
        self,
        frames: Frames,
        planned: Planned,
        options: Options,
        run_of: RunOf,
        control: Control,
        tell: Tell,
    ) -> None:
        self.number, self.pixels = next(numbers), frames.pixels
        self.warnings: list[str] = []
        self.missing = 0.0  # frames, and parts of them
        self._frames, self._planned, self._options = frames, planned, options
        self._run_of, self._control, self._tell = run_of, control, tell
        self._plan = planned.plans[0]
        self._name = planned.source.name
        self._before = self._now = (0, 0)  # pixels and bytes of frames before, and with this one

    @property
    def name(self) -> str:
        """The input, for messages."""
        return self._name

    @property
    def cost(self) -> Cost:
        """The memory that the largest frame takes."""
        return self._plan.cost

    def prepare(self, *, crowded: bool) -> None:
        """Choose nothing: frames are made one after the other."""

    def attach(self, stop: Callable[[], None]) -> None:
        """Have `stop` called when the run is to end."""
        self._control.attach(stop)

    def lost(self, reason: str, tasks: int) -> None:
        """Tell that a worker died that had some of its tasks."""
        event = WorkerLost(time=time.monotonic(), reason=reason, tasks=tasks)
        self._tell(replace(event, run=self.number))

    def close(self) -> None:
        """Release nothing: the frames are the caller's."""

    def flows(self) -> Generator[Flow, None, Any]:
        """Yield the flows of all frames; return the size of the file in bytes."""
        for number in range(self._frames.count):
            self._control.check()
            run = self._run(number)
            yield from run.flows()
            self.missing += run.missing
            self._before = self._now
            new = (each for each in told(run.filters, run.seen) if each not in self.warnings)
            self.warnings.extend(new)
        if self.missing == self._frames.count:
            raise nothing_left(self._name)
        publishing = Chore(lambda _, __: self._frames.commit(), self._tell, self._control.check)
        yield publishing
        return publishing.result

    def _run(self, number: int) -> Run:
        """Open and plan a frame."""
        source, goal = self._frames.opened(number)
        traits = self._planned.choice.traits
        goals = within_reach((goal,), traits)
        plans = make_plans(
            source,
            goals,
            traits=traits,
            workers=self._plan.workers,
            executor=self._plan.executor,
            max_memory=cast("int | None", self._options.max_memory),
            chunk=cast("tuple[int, int] | None", self._options.chunk),
            footing=self._planned.footing,
            fewer=False,
        )
        outputs = outputs_of(plans, goals)
        return self._run_of(source, outputs, tell=self._told, number=self.number)

    def _told(self, event: Event) -> None:
        """Tell an event of a frame as one of the whole run."""
        if isinstance(event, Started):
            if self._before != (0, 0):
                return
            tasks = -(-event.tasks * self.pixels // max(1, event.pixels))
            event = replace(event, pixels=self.pixels, tasks=tasks)
        elif isinstance(event, Written):
            self._now = self._before[0] + event.pixels, self._before[1] + event.size
            event = replace(event, pixels=self._now[0], size=self._now[1])
        self._tell(event)
