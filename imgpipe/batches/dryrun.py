"""Dry run: the agenda of a batch with its reasons, in lines. Nothing is written."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from imgpipe.acceleration import NONE
from imgpipe.batches.agenda import Agenda, Due, reason_text
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import BatchEvent, BatchObserver, BatchPlanned, OutputPlanned, kind_of
from imgpipe.batches.forecast import Forecast, Forecaster
from imgpipe.batches.naming.renaming import Renaming
from imgpipe.batches.naming.suffixes import right_suffix
from imgpipe.batches.preparation import Prepared, prepare
from imgpipe.batches.progress.wording import (
    amount,
    failure_line,
    more_pages_line,
    one_line,
    passed_over_line,
)
from imgpipe.errors import ImgpipeError
from imgpipe.formats.opening import origin_of
from imgpipe.plurals import area, counted

__all__ = ["DryRun"]


class DryRun:
    """A batch whose plan is reported, and nothing is written.

    Parameters
    ----------
    choices : Choices
        Arguments of the batch.
    on_batch_event : callable
        Gets the events: the walk, each output, and the plan at the end, when all headers are read.

    Attributes
    ----------
    exit : int
        The exit code, once all lines are there: 3 if some files cannot be made.
    """

    def __init__(self, choices: Choices, on_batch_event: BatchObserver = lambda _: None) -> None:
        self._choices, self._on_batch_event = choices, on_batch_event
        self._plan: BatchPlanned | None = None
        self._foresight = Forecaster(choices)
        self._pixels: Counter[str] = Counter()
        self._memory: list[int] = []  # of the files that take most
        self._passes = self._failed = 0
        self._more_pages: Counter[str] = Counter()
        self.exit = 0

    def lines(self) -> Iterator[str]:
        """Yield a line for each output, and the sums.

        Raises
        ------
        UsageError
            If the batch would be refused.
        """
        with prepare(self._choices, self._observe, dry=True) as prepared:
            renaming = Renaming(prepared)
            for due in prepared.agenda.due:
                yield from self._due(prepared, due, renaming)
            for due in prepared.agenda.copies:
                yield self._line(prepared, due.found.path, due.outputs[0], "copy", due.reason)
            yield from self._skipped(prepared, prepared.agenda)
            for lost in prepared.lost:
                self._on_batch_event(
                    OutputPlanned(lost.path, lost.output, "fail", error=lost.error)
                )
                yield failure_line(lost)
            self._failed += len(prepared.lost)
            yield from self._sums(prepared)
        self.exit = 3 if self._failed else 0
        if self._plan is not None:
            pixels, memory = dict(self._pixels), self._peak()
            self._on_batch_event(replace(self._plan, pixels=pixels, peak_memory=memory))

    def _observe(self, event: BatchEvent) -> None:
        """Hold the plan back, until its sums are known."""
        if isinstance(event, BatchPlanned):
            self._plan = event
        else:
            self._on_batch_event(event)

    def _skipped(self, prepared: Prepared, agenda: Agenda) -> Iterator[str]:
        """Yield the lines of outputs that stay."""
        for found, output, reason in agenda.skipped:
            yield self._line(prepared, found.path, output, "skip", reason)

    def _due(self, prepared: Prepared, due: Due, renaming: Renaming) -> Iterator[str]:
        """Yield the lines of a file."""
        path = due.found.path
        try:
            if prepared.choices.renames and (suffix := right_suffix(origin_of(path), due.outputs)):
                agenda = renaming.agenda(due, suffix)
                yield from self._skipped(prepared, agenda)
                if not agenda.due:
                    return
                (due,) = agenda.due
            paths = [prepared.path(output) for output in due.outputs]
            seen = self._foresight.of(path, paths, due.tails, due.page)
        except ImgpipeError as error:
            self._failed += 1
            for output in due.outputs:
                yield self._line(prepared, path, output, "fail", due.reason, error=error)
            return
        self._add(path, paths, seen)
        for output, (height, width) in zip(due.outputs, seen.sizes, strict=True):
            size = {"height": height, "width": width}
            line = self._line(
                prepared, path, output, "make", due.reason, pixels=seen.pixels, passes=seen.passes,
                **size,
            )  # fmt: skip
            yield f"{line}, {_facts(seen, height, width)}"

    def _line(
        self, prepared: Prepared, path: str, output: str, action: str, reason: str, **facts: Any
    ) -> str:
        """Report the end of an output; return its line."""
        target = prepared.path(output)
        told = OutputPlanned(path, target, action, reason, **facts)
        self._on_batch_event(told)
        way = one_line(path if prepared.choices.in_place else f"{path} -> {target}")
        after = ", copied" if action == "copy" else ""
        if told.error is not None:
            error = str(told.error).removeprefix(f"{path}: ")  # which the line begins with
            after = f", will fail: {one_line(error)}"
        return f"{way}: {reason_text(reason)}{after}"

    def _add(self, path: str, outputs: list[str], seen: Forecast) -> None:
        for output in outputs:
            self._pixels[kind_of(path, output)] += seen.pixels // len(outputs)
        self._passes += seen.passes
        keep = heapq.heappush if len(self._memory) < self._foresight.workers else heapq.heappushpop
        keep(self._memory, seen.memory)
        if seen.more_pages:
            self._more_pages[os.path.splitext(outputs[0])[1].lower()] += 1

    def _peak(self) -> int:
        """Return the most memory that the batch takes."""
        return min(self._foresight.limit, self._foresight.processes + sum(self._memory))

    def _sums(self, prepared: Prepared) -> Iterator[str]:
        agenda = prepared.agenda
        due = agenda.reasons.total()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in agenda.reasons.most_common())
        made = f"{counted(due, 'image')} to make ({reasons})" if due else "nothing to make"
        left = f", {len(agenda.skipped):,} skipped" if agenda.skipped else ""
        noun = "source" if self._failed == 1 else "sources"
        fail = f"; {self._failed:,} {noun} will fail" if self._failed else ""
        over = passed_over_line(prepared.gathered.passed_over)
        yield f"{made}{left}{fail}{over and '; ' + over}"
        if agenda.due:
            if prepared.choices.accelerator.name != NONE:
                yield f"accelerator: {prepared.choices.accelerator}"
            pixels = area(sum(self._pixels.values()), "MP")
            limit = amount(self._foresight.limit)
            yield (
                f"{pixels} of sources in {counted(self._passes, 'pass')}, with up to "
                f"{amount(self._peak())} of memory (limit {limit})"
            )
        for suffix, count in self._more_pages.items():
            yield more_pages_line(count, suffix)


def _facts(seen: Forecast, height: int, width: int) -> str:
    """Return the size of an output, and of its source if it differs."""
    size = f"{width} x {height}"
    if (height, width) != (seen.height, seen.width):
        size += f" from {seen.width} x {seen.height}"
    passes = f", {seen.passes} passes" if seen.passes > 1 else ""
    return f"{size}, {area(seen.pixels, 'MP')}{passes}"
