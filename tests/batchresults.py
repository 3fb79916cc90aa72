"""Results of batches that never ran, for tests of how they are seen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imgpipe.batches.events import BatchEnded, BatchPlanned, BatchStarted, OutputEnded, kind_of
from imgpipe.batches.results import BatchReport, Result
from imgpipe.errors import CorruptError

__all__ = ["Clock", "done", "ended", "failed", "odd_names", "planned", "skipped", "started", "told"]


class Clock:
    """A clock that goes on call."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def odd_names() -> list[str]:
    """Return names that have broken reports of other programs."""
    return [
        "caf\udce9.jpg",
        "two\nlines.jpg",
        "<script>alert(1)<!--.jpg",
        "</script>'\"&amp;.jpg",
        '=1+1,";".jpg',
        "-\u202egpj.jpg",
        "{name}%s$HOME`~*?[1].jpg",
        "cafe\u0301\u2028.jpg",
        "\r.jpg",
        "n" * 251 + ".jpg",
    ]


def done(path: str = "a/x.jpg", output: str = "", **facts: Any) -> Result:
    seconds = facts.pop("seconds", {"wait": 9.0, "read": 0.25, "filter": 0.5})
    facts = {"pixels": 3_000_000, "bytes_in": 1000, "bytes_out": 500} | facts
    return Result(path, output or f"web/{path}", "done", seconds=seconds, **facts)


def failed(path: str = "b/z.png", message: str = "is damaged", **facts: Any) -> Result:
    error = CorruptError(f"{path}: {message}")
    return Result(path, f"web/{path}", "failed", stage="read", error=error, **facts)


def skipped(path: str = "a/y.jpg", reason: Any = "current") -> Result:
    return Result(path, f"web/{path}", "skipped", reason=reason)


def started(**facts: Any) -> BatchStarted:
    known: dict[str, Any] = {
        "time": 1_790_000_000.25, "version": "0.1", "argv": ("imgpipe", "blur", "photos"),
        "chain": "blur", "out": "web", "workers": 2, "max_memory": 1 << 30, "pid": 4711,
    }  # fmt: skip
    return BatchStarted(**known | facts)


def planned(results: list[Result], **facts: Any) -> BatchPlanned:
    """Return the plan of a batch that will have `results`."""
    left = [each for each in results if each.status == "skipped" and each.reason != "not_smaller"]
    work = [each for each in results if each not in left]
    to_do = Counter(kind_of(each.path, each.output) for each in work)
    known: dict[str, Any] = {
        "sources": len(results), "passed_over": {}, "current": len(left), "to_do": to_do,
    }  # fmt: skip
    return BatchPlanned(**known | facts)


def ended(results: list[Result], exit: int = 0, **facts: Any) -> BatchEnded:
    """Return the end of a batch with `results`."""
    report = BatchReport(
        seconds=facts.pop("seconds", 2.0), stopped_by=facts.pop("stopped_by", None)
    )
    for each in results:
        report.add(each)
    return BatchEnded(exit, report, **facts)


def told(observer: Any, results: list[Result], **facts: Any) -> None:
    """Tell an observer of a batch with `results`, from its start to its end."""
    observer(started())
    observer(planned(results))
    for each in results:
        observer(OutputEnded(each, each.pixels))
    observer(ended(results, **facts))
