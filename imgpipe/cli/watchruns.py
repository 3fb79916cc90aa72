"""Watch runs: a folder that is watched by one command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from imgpipe.batches.events import BatchEvent, BatchObserver
from imgpipe.batches.progress.eventlines import EventLines
from imgpipe.batches.watch.inbox import WatchSettings
from imgpipe.batches.watch.watchlines import WatchLines
from imgpipe.batches.watch.watchrun import WatchRun
from imgpipe.cli import signals
from imgpipe.cli.batchruns import Work, choices_from
from imgpipe.cli.early import collect_garbage
from imgpipe.cli.messages import log_through
from imgpipe.cli.standard import events_only, no_input
from imgpipe.contexts import HoldingContext
from imgpipe.machine import dedicated, keep_freed_memory

__all__ = ["run_watch"]


def run_watch(
    params: Mapping[str, Any], work: Callable[[], Work], command: Sequence[str] = ()
) -> int:
    """Watch a folder until a signal comes, and return the exit code.

    Parameters
    ----------
    params : mapping
        The parameters of the command.
    work : callable
        Returns the work, for which filters are loaded.
    command : sequence of str
        The whole command, without the name of the program.
    """
    inbox = params["inputs"]
    given = {"inputs": (inbox,), "resume": True, "retry_failed": params["resume"]}
    settings = WatchSettings(
        params["settle"], params["poll"], params["move_done"], params["move_failed"]
    )
    with no_input(), _Audience(params, inbox) as audience:
        choices = choices_from({**params, **given}, work(), audience, command)
        collect_garbage()
        keep_freed_memory()
        run = WatchRun(choices, settings, audience)
        with dedicated(), signals.ending(run.control.stop):
            run.run()
            signals.outcome("what was finished is recorded")
    return run.exit


class _Audience(HoldingContext):
    """The observers of a watch."""

    def __init__(self, params: Mapping[str, Any], inbox: str) -> None:
        super().__init__()
        self._params = params
        self._people = WatchLines(
            sys.stderr, inbox, quiet=params["quiet"], verbose=params["verbose"]
        )
        self._observers: list[BatchObserver] = [self._people]
        self.timelines: list[Any] = []

    def __enter__(self) -> Self:
        if self._params["json"]:
            events = self._held.enter_context(events_only())
            lines = self._held.enter_context(EventLines(events, progress=False))
            self._observers.append(lines)
        self._held.enter_context(log_through(self._people.say))
        return self

    def __call__(self, event: BatchEvent) -> None:
        for observer in self._observers:
            observer(event)

    def begin_files(self) -> None:
        """Begin no files: a watch has no report."""
