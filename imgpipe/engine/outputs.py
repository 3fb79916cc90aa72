"""Outputs of a run, as planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.chains.stages import Stage
from imgpipe.engine.plan import Plan
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.formats.arrays import Nowhere
from imgpipe.formats.base import Sink
from imgpipe.records import dataclass

if TYPE_CHECKING:
    from imgpipe.formats.scratch import Scratch

__all__ = ["Output", "earlier_of", "outputs_of", "tasks_of"]


@dataclass
class Output:
    """One output of a run, as planned.

    Attributes
    ----------
    plan : Plan
        Its tasks, and their memory.
    stages : tuple of Stage
        The filters; each pass of measuring completes one.
    sink : Sink
        Takes the pixels.
    scratch : Scratch or None
        Takes them first, if the plan defers the encoding.
    """

    plan: Plan
    stages: tuple[Stage, ...]
    sink: Sink
    scratch: Scratch | None = None

    @property
    def makes(self) -> bool:
        """Return whether pixels are made; not if the image is only measured."""
        return not isinstance(self.sink, Nowhere)


def outputs_of(plans: tuple[Plan, ...], goals: tuple[WantedOutput, ...]) -> tuple[Output, ...]:
    """Return the outputs of a run, from its goals and their plans."""
    pairs = zip(plans, goals, strict=True)
    return tuple(Output(plan, goal.stages, goal.sink) for plan, goal in pairs)


def tasks_of(output: Output) -> int:
    """Return the number of tasks of all passes for an output."""
    plan = output.plan
    made = len(plan.tiler) + len(plan.encoding or ()) + sum(len(one.tiler) for one in plan.further)
    measured = sum(map(len, plan.measuring.values()))
    return measured + output.makes * (made + (output.sink.kind == "placed"))


def earlier_of(output: Output) -> int:
    """Return the pixels of all passes for an output before its last one."""
    plan = output.plan
    measured = sum(tiler.height * tiler.width for tiler in plan.measuring.values())
    return measured + (plan.before.pixels if plan.scratch_bytes else 0)
