"""Lines about a folder that is watched."""

from __future__ import annotations

import io

from imgpipe.batches.events import BatchEvent, Heartbeat, OutputEnded, WatchNotice
from imgpipe.batches.watch.watchlines import WatchLines
from tests.batchresults import done, ended, failed, planned, started

BEAT = Heartbeat(waiting=2, running=1, done=3, failed=0, present=True, polling=False)


def said(*events: BatchEvent, **given: bool) -> list[str]:
    file = io.StringIO()
    lines = WatchLines(file, "inbox", **given)
    for each in events:
        lines(each)
    return file.getvalue().splitlines()


def test_failures_and_notices_are_reported_at_once_and_outputs_are_not() -> None:
    lines = said(
        started(), planned([], sources=2, passed_over={"hidden": 1}),
        WatchNotice("polling", "inbox", "inbox: looking\nevery 5 s"),
        OutputEnded(done()), OutputEnded(failed()),
        ended([done(), failed()]),
    )  # fmt: skip
    assert lines[:3] == [
        "watching inbox: 2 files found; 1 passed over: 1 hidden",
        "inbox: looking\\nevery 5 s",
        "failed (read): b/z.png: is damaged",
    ]
    assert lines[3].startswith("1 done, 1 failed")


def test_outputs_are_reported_if_somebody_wants_to_see_them() -> None:
    assert said(OutputEnded(done()), verbose=True) == ["done: web/a/x.jpg"]


def test_counts_are_reported_once_until_they_change() -> None:
    more = Heartbeat(waiting=0, running=0, done=6, failed=1, present=True, polling=False)
    assert said(BEAT, BEAT, more, more) == [
        "3 done, 1 running, 2 waiting", "6 done, 1 failed",
    ]  # fmt: skip


def test_quiet_are_all_but_failures_and_notices() -> None:
    told = said(planned([]), BEAT, OutputEnded(failed()), ended([failed()]), quiet=True)
    assert told == ["failed (read): b/z.png: is damaged"]
