"""Batches in tests: every one is checked for the balances that hold for any batch."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    BatchRefused,
    BatchStarted,
    OutputEnded,
    SourceStarted,
)
from imgpipe.batches.results import BatchReport, Result
from imgpipe.batching import Batch
from imgpipe.engine.batch import CallsRequest, Request, image_turns
from imgpipe.engine.waitinglist import Outcome
from imgpipe.options import Options

__all__ = ["Made", "check_balances", "left_behind", "made", "make_images", "tree"]


@dataclass
class Made:
    """A batch that is over.

    Attributes
    ----------
    report : BatchReport
        Its report.
    results : list of Result
        All its results.
    events : list of BatchEvent
        All that it told.
    exit : int
        Its exit code.
    """

    report: BatchReport
    results: list[Result]
    events: list[BatchEvent] = field(default_factory=list)
    exit: int = 0

    @property
    def ended(self) -> BatchEnded:
        """The end of the batch."""
        last = self.events[-1]
        assert isinstance(last, BatchEnded)
        return last

    @property
    def failures(self) -> dict[str, str]:
        """The messages of the failures by the name of the source."""
        return {os.path.basename(each.path): str(each.error) for each in self.report.failures}


def made(*args: Any, **given: Any) -> Made:
    """Make a batch to its end, in this process unless `given` says otherwise; check its balances.

    The arguments are those of `imgpipe.Batch`.
    """
    events: list[BatchEvent] = []
    given = {"executor": "serial", "workers": 1} | given
    with Batch(*args, on_batch_event=events.append, **given) as batch:
        results = list(batch)
    found = Made(batch.report, results, events, batch.exit_code)
    check_balances(found)
    return found


def check_balances(batch: Made) -> None:
    """Check that every file that was seen has an end, and every output that is done is there."""
    report, results = batch.report, batch.results
    counts = Counter(each.status for each in results)
    assert (counts["done"], counts["failed"], counts["skipped"]) == (
        report.done, report.failed, report.skipped,
    )  # fmt: skip
    done = [each.output for each in results if each.status == "done"]
    assert len(set(map(os.path.abspath, done))) == report.done, "an output was made twice"
    assert all(map(os.path.exists, done)), "an output that is done is not there"
    assert [each for each in results if each.status == "failed"] == report.failures
    assert all(each.stage and each.error is not None for each in report.failures)
    _check_events(batch)


def _check_events(batch: Made) -> None:
    """Check the order of events, and that each file that was seen is in one of the counts."""
    first, *_, last = batch.events
    assert isinstance(first, BatchStarted)
    assert isinstance(last, BatchEnded | BatchRefused)
    told = [each.result for each in batch.events if isinstance(each, OutputEnded)]
    assert told == batch.results
    (plan,) = [each for each in batch.events if isinstance(each, BatchPlanned)]
    report = batch.report
    known = sum(not each.output for each in report.failures)  # names that led to no source
    ends = report.done + report.failed + report.skipped + report.left - known
    assert ends == plan.current + sum(plan.to_do.values())
    assert dict(plan.passed_over) == dict(report.passed_over)
    opened = [each.path for each in batch.events if isinstance(each, SourceStarted)]
    assert len(set(opened)) == len(opened), "a file was begun twice"
    outputs = Counter(each.path for each in batch.results if each.status == "done")
    assert outputs.keys() <= set(opened)


def make_images(
    requests: Iterable[Request | CallsRequest | None], options: Options, **given: Any
) -> Iterator[Outcome]:
    """Make images; yield each outcome as soon as it is known: see `image_turns`."""
    with contextlib.closing(image_turns(requests, options, **given)) as turns:
        yield from filter(None, turns)


def tree(folder: Any) -> dict[str, bytes]:
    """Return all files below a folder with their bytes, but for the journal."""
    found = {}
    for here, folders, names in os.walk(os.fspath(folder)):
        if ".imgpipe" in folders:
            folders.remove(".imgpipe")
        for name in names:
            path = os.path.join(here, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, os.fspath(folder))] = file.read()
    return found


def left_behind(folder: Any) -> list[str]:
    """Return the temporaries below a folder."""
    return [name for name in tree(folder) if os.path.basename(name).startswith(".")]
