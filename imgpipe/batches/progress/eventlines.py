"""Events for programs: lines of JSON, schema version 1.

Every line is an object with ``v``, ``event`` and ``t``, the seconds since the start. The events are
``start``, ``plan``, ``progress``, ``done``, ``skipped``, ``failed`` and ``summary``, which is
always the last one. In a dry run there is ``foretold`` for each output, and then the plan. Where a
folder is watched, there are ``notice`` and ``heartbeat`` instead of ``progress``. A refusal is a
``summary`` and nothing else, so that ``start`` comes when the plan is made. Megapixels of ``plan``
and ``progress`` are those of sources; pixels of ``done`` and megapixels of ``summary`` are those of
outputs. A text that holds bytes of a file name that are no UTF-8 has U+FFFD in their place; a path
has its bytes in base64 beside it.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import select
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    BatchRefused,
    BatchStarted,
    Heartbeat,
    OutputEnded,
    OutputPlanned,
    WatchNotice,
)
from imgpipe.batches.journal.jsonlines import path_fields
from imgpipe.batches.progress.pace import Pace
from imgpipe.batches.progress.wording import legible
from imgpipe.batches.results import BatchReport, Result
from imgpipe.contexts import Context
from imgpipe.errors import Cancelled, ImgpipeError, UsageError

__all__ = ["EventLines", "start_fields", "summary_fields", "terminal_fields"]

_log = logging.getLogger(__name__)
_EVERY = 1.0  # seconds between two events of progress
_RUNNING = 8  # sources that an event of progress names


class EventLines(Context):
    """An observer that writes events.

    As a context it writes the summary where no event has ended the batch.

    Parameters
    ----------
    descriptor : int
        The number of an open file, for the lines. It is not closed.
    clock : function
        Returns seconds.
    progress : bool
        Whether there are events of progress.
    """

    def __init__(
        self,
        descriptor: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        progress: bool = True,
    ) -> None:
        self._descriptor, self._progresses = descriptor, progress
        self._clock = clock
        self._begun = clock()
        self._told = self._begun
        self._pace = Pace(clock)
        self._start: dict[str, Any] | None = None
        self._planned = self._ended = self._deaf = False
        self._report = BatchReport()

    def close(self, error: BaseException | None = None) -> None:
        """Write the last line, if the batch has not told its end."""
        if not self._ended:
            self(BatchRefused(_exit_code(error), error or Cancelled("ended early"), self._report))

    def __call__(self, event: BatchEvent) -> None:
        """Write the lines of `event`."""
        if self._ended:
            return
        self._pace(event)
        match event:
            case BatchStarted():
                self._start = start_fields(event)
            case BatchPlanned():
                self._plan(event)
            case OutputPlanned():
                self._begin()
                self._write(_foretold_fields(event, self._seconds()))
            case OutputEnded():
                self._report.add(event.result)
                self._report.failures.clear()  # they may be many, and only their number is told
                self._write(terminal_fields(event.result, self._seconds()))
            case WatchNotice() | Heartbeat():
                self._write(_watch_fields(event, self._seconds()))
            case BatchEnded() | BatchRefused():
                self._ended = True
                self._write(summary_fields(event, self._seconds()))
                return
        due = self._clock() - self._told >= _EVERY
        if self._planned and self._progresses and due:
            self._told = self._clock()
            self._write(self._progress())

    def _seconds(self) -> float:
        return round(self._clock() - self._begun, 3)

    def _begin(self) -> None:
        """Write the first event. It is held back, because a refusal is one line and no more."""
        if self._start is not None:
            self._write(self._start)
        self._start = None

    def _plan(self, plan: BatchPlanned) -> None:
        self._begin()
        self._planned = True
        self._told = self._clock()
        self._report.passed_over.update(dict(plan.passed_over))
        pixels = None if plan.pixels is None else round(sum(plan.pixels.values()) / 1e6, 3)
        fields = {
            "v": 1, "event": "plan", "t": self._seconds(),
            "sources": plan.sources, "passed_over": dict(plan.passed_over),
            "current": plan.current, "to_do": sum(plan.to_do.values()),
            "megapixels": pixels, "peak_memory": plan.peak_memory,
        }  # fmt: skip
        self._write(fields)

    def _progress(self) -> dict[str, Any]:
        pace = self._pace
        left = pace.remaining
        running = [path_fields("path", path) for path in islice(pace.running, _RUNNING)]
        fields = {
            "v": 1, "event": "progress", "t": self._seconds(),
            "done": pace.done, "failed": pace.failed, "skipped": pace.skipped, "files": pace.files,
            "megapixels_done": round(pace.megapixels_done, 3), "rate_mp_s": round(pace.rate, 3),
            "remaining_s": None if left is None else round(left, 1),
            "running": [each["path"] for each in running],
        }  # fmt: skip
        if any("path_bytes" in each for each in running):
            fields["running_bytes"] = [each.get("path_bytes") for each in running]
        return fields

    def _write(self, fields: dict[str, Any]) -> None:
        if self._deaf:
            return
        line = json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"
        view = memoryview(line.encode(errors="replace"))
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # the reader asked for a pipe that does not wait
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._deaf = True
                reason = (error.strerror or str(error)).lower()
                gone = "their reader went away" if isinstance(error, BrokenPipeError) else reason
                _log.warning("the events end here, the run goes on: %s", gone)
                return


def start_fields(started: BatchStarted) -> dict[str, Any]:
    """Return the event ``start``."""
    return {
        "v": 1, "event": "start", "time": _utc(started.time),
        "imgpipe": started.version, "argv": [legible(each) for each in started.argv],
        "chain": legible(started.chain), **path_fields("out", started.out),
        "workers": started.workers, "max_memory": started.max_memory, "pid": started.pid,
        "accelerator": started.accelerator,
    }  # fmt: skip


def terminal_fields(result: Result, seconds: float | None = None) -> dict[str, Any]:
    """Return the event that ends an output: ``done``, ``skipped`` or ``failed``."""
    stamp = {} if seconds is None else {"t": seconds}
    head = {
        "v": 1, "event": result.status, **stamp,
        **path_fields("path", result.path), **path_fields("output", result.output),
    }  # fmt: skip
    match result.status:
        case "done":
            return head | {
                "pixels": result.pixels, "bytes_in": result.bytes_in,
                "bytes_out": result.bytes_out,
                "seconds": {step: round(took, 4) for step, took in result.seconds.items()},
                "warnings": [legible(each) for each in result.warnings],
            }  # fmt: skip
        case "skipped":
            return head | {"reason": result.reason}
    failure = {} if result.error is None else _error_fields(result.error)
    return head | {"stage": result.stage, **failure, "attempts": result.attempts}


def _foretold_fields(told: OutputPlanned, seconds: float) -> dict[str, Any]:
    """Return the event ``foretold`` of a dry run."""
    return {
        "v": 1, "event": "foretold", "t": seconds,
        **path_fields("path", told.path), **path_fields("output", told.output),
        "action": told.action, "reason": told.reason or None,
        "height": told.height or None, "width": told.width or None,
        "source_pixels": told.pixels or None, "passes": told.passes or None,
        **({} if told.error is None else _error_fields(told.error)),
    }  # fmt: skip


def summary_fields(end: BatchEnded | BatchRefused, seconds: float) -> dict[str, Any]:
    """Return the event ``summary``."""
    if isinstance(end, BatchRefused) and end.exit == 2:
        return {"v": 1, "event": "summary", "exit": end.exit, **_error_fields(end.error)}
    report = end.report
    fields = {
        "v": 1, "event": "summary", "t": seconds, "exit": end.exit,
        "interrupted": None, "stopped_by": report.stopped_by,
        "done": report.done, "skipped": report.skipped, "failed": report.failed,
        "left": report.left, "passed_over": dict(report.passed_over),
        "megapixels": round(report.pixels / 1e6, 3),
        "bytes_in": report.bytes_in, "bytes_out": report.bytes_out,
        "peak_pss": report.peak_memory or None,
        "utilisation": None, "bottleneck": None, "resume": None,
    }  # fmt: skip
    if isinstance(end, BatchRefused):
        fields["interrupted"] = getattr(end.error, "signal_name", None)
        return fields | _error_fields(end.error)
    return fields | {
        "interrupted": end.interrupted,
        "utilisation": None if end.utilisation is None else round(end.utilisation, 3),
        "bottleneck": end.bottleneck,
        "resume": None if end.resume is None else legible(end.resume),
    }


def _utc(seconds: float) -> str:
    """Return a time, in seconds since 1970, as text."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _watch_fields(event: WatchNotice | Heartbeat, seconds: float) -> dict[str, Any]:
    """Return the event of a folder that is watched."""
    if isinstance(event, WatchNotice):
        return {
            "v": 1, "event": "notice", "t": seconds, "kind": event.kind,
            **path_fields("path", event.path), "message": legible(event.message),
        }  # fmt: skip
    return {
        "v": 1, "event": "heartbeat", "t": seconds, "time": _utc(time.time()),
        "waiting": event.waiting, "running": event.running, "done": event.done,
        "failed": event.failed, "present": event.present, "polling": event.polling,
    }  # fmt: skip


def _error_fields(error: BaseException) -> dict[str, str]:
    return {"error": type(error).__name__, "message": legible(str(error))}


def _exit_code(error: BaseException | None) -> int:
    """Return the exit code of a command that ends with an error."""
    for attribute in ("exit_code", "code"):  # of click and of SystemExit
        if isinstance(code := getattr(error, attribute, None), int):
            return code
    if isinstance(error, UsageError):
        return 2
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 1 if isinstance(error, ImgpipeError | OSError | SystemExit | None) else 70
