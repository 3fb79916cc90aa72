"""Watching: images are made as they arrive in a folder."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from imgpipe import arguments
from imgpipe.batches.events import BatchEvent, BatchObserver
from imgpipe.batches.results import BatchReport
from imgpipe.batches.watch.inbox import WatchSettings
from imgpipe.batches.watch.watchlines import WatchLines
from imgpipe.batches.watch.watchrun import WatchRun
from imgpipe.batching import choices_of
from imgpipe.chains.entry import FilterLike
from imgpipe.errors import UsageError

__all__ = ["watch"]

PathLike = str | os.PathLike[str]

_OPTIONS = frozenset({
    "name", "format", "hidden", "follow", "one_file_system", "max_depth", "include", "exclude",
    "suffixes", "resume", "overwrite", "checksum", "accept_version", "journal", "preserve",
    "if_smaller", "halo", "dtype", "alpha", "max_pixels", "autorotate", "page", "level", "nodata",
    "salvage", "compression", "save", "strip", "background", "value_range", "workers",
    "max_memory", "executor", "chunk", "timeout", "scratch", "accelerator", "on_event",
})  # fmt: skip


def watch(
    inbox: PathLike,
    filter: FilterLike | dict[str, FilterLike | None] | None,
    destination: PathLike,
    *,
    settle: float = 2.0,
    poll: float | None = None,
    move_done: PathLike | None = None,
    move_failed: PathLike | None = None,
    stop: threading.Event | None = None,
    progress: bool = False,
    on_batch_event: BatchObserver | None = None,
    **options: Any,
) -> BatchReport:
    """Run a filter or a chain over the files that are in a folder, and over those that arrive.

    A file is taken when it has not been written to for a while. The journal in the output folder
    tells after a restart which files are done. A file that fails is not tried again until it
    changes.

    Parameters
    ----------
    inbox : path
        The folder to watch, with all folders in it.
    filter : Filter, Chain, str, callable, dict or None
        The filters for each image, as for `Batch`.
    destination : path
        The folder of the outputs, which must be apart from `inbox`.
    settle : float, default 2
        Seconds that a file must be quiet before it is taken. One that is renamed into its place is
        taken at once.
    poll : float, optional
        Seconds between scans. By default events of the system name the changes; if it has none,
        the folder is scanned every 5 seconds.
    move_done, move_failed : path, optional
        The folders that files are moved to when all their outputs are done, or one has failed. They
        must be on the file system of `inbox`, and may be in it.
    stop : threading.Event, optional
        Ends the watch when it is set. Small images that are being made are finished if this
        takes less than 2 seconds.
    progress : bool, default False
        Write failures, notices and counts to standard error.
    on_batch_event : callable, optional
        Gets every event of the watch, see `imgpipe.batches.events`.
    **options
        As for `Batch`: `name`, `format`, `hidden`, `follow`, `one_file_system`, `max_depth`,
        `include`, `exclude`, `suffixes`, `overwrite`, `checksum`, `accept_version`, `journal`,
        `preserve`, `if_smaller`, and all options of `run`. `resume` tries files again
        that failed before the start.

    Returns
    -------
    BatchReport
        Counts, the latest failures, sizes and times.

    Raises
    ------
    UsageError
        If an argument is wrong, or the folders overlap; nothing was written.
    ImgpipeError
        If no file can be made, for want of memory or of workers. Finished outputs are kept.

    Examples
    --------
    >>> import imgpipe
    >>> imgpipe.watch("inbox", "resize:800x", "web", move_done="archive")  # doctest: +SKIP
    """
    if unknown := sorted(options.keys() - _OPTIONS):
        raise UsageError(f"{unknown[0]} is not an option of watch")
    settings = WatchSettings(
        settle=_seconds(settle, "settle", least=0.0),
        poll=None if poll is None else _seconds(poll, "poll", least=0.01),
        move_done=None if move_done is None else arguments.path(move_done, "move_done"),
        move_failed=None if move_failed is None else arguments.path(move_failed, "move_failed"),
    )
    if stop is not None and not hasattr(stop, "is_set"):
        raise UsageError(f"stop must be a threading.Event, not {arguments.shown(stop)}")
    retry = bool(options.pop("resume", False))
    folder = arguments.path(inbox, "inbox")
    choices = choices_of(
        folder, filter, destination, resume=True, retry_failed=retry, allow_empty=True, **options
    )
    observers = list(arguments.functions(on_batch_event, "on_batch_event", "an event"))
    if arguments.flag(progress, "progress"):
        observers.append(WatchLines(sys.stderr, folder))

    def observe(event: BatchEvent) -> None:
        for one in observers:
            one(event)

    run = WatchRun(choices, settings, observe, stop=stop)
    run.run()
    return run.report


def _seconds(given: float, name: str, *, least: float) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= least:
        raise UsageError(f"{name} must be at least {least:g} seconds, not {arguments.shown(given)}")
    return float(given)
