"""Trace files in the JSON format of Chrome, which ui.perfetto.dev and other viewers read.

Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imgpipe.timeline.bars import STAGES, Bar
from imgpipe.timeline.recording import KINDS, Lane, Recording
from imgpipe.timeline.verdict import Verdict

__all__ = ["trace_lines"]

_PROCESS = 1  # all lanes are shown as threads of one process


def trace_lines(recording: Recording, found: Verdict) -> Iterator[str]:
    """Yield the lines of a trace file."""
    facts = {**found._asdict(), "lost": recording.lost, "runs": recording.runs}
    yield f'{{"displayTimeUnit":"ms","otherData":{json.dumps(facts)},"traceEvents":[\n'
    first = {"name": "process_name", "ph": "M", "pid": _PROCESS, "args": {"name": "imgpipe"}}
    yield json.dumps(first)
    for event in _events(recording):
        yield ",\n" + json.dumps({"pid": _PROCESS, **event}, separators=(",", ":"))
    yield "\n]}\n"


def _events(recording: Recording) -> Iterator[dict[str, Any]]:
    began = recording.began
    for number, lane in enumerate(recording.lanes, 1):
        for key, value in ("name", lane.name), ("sort_index", number):
            yield {"name": f"thread_{key}", "ph": "M", "tid": number, "args": {key: value}}
        for event in _of_lane(lane, began):
            yield {"tid": number, **event}
    for time, text in recording.marks:
        yield {"name": text, "ph": "i", "s": "g", "tid": 0, "ts": _micro(time - began)}


def _of_lane(lane: Lane, began: float) -> Iterator[dict[str, Any]]:
    for time, text in lane.marks:
        yield {"name": text, "ph": "i", "s": "t", "ts": _micro(time - began)}
    end = began
    for bar in lane.bars:
        if lane.role == "worker" and bar.start > end:
            yield _slice("wait", end - began, bar.start - began)
        end = max(end, bar.end)
        stages = {name: spent for name, spent in zip(STAGES, bar.stages, strict=True) if spent}
        name = KINDS[bar.kind] if bar.number == 1 else f"{bar.number} x {KINDS[bar.kind]}"
        yield _slice(name, bar.start - began, bar.end - began, _facts(bar, stages))
        if lane.role == "worker" and bar.number == 1:
            at = bar.start - began
            for stage in (each for each in stages if each != "other"):
                yield _slice(stage, at, min(at + stages[stage], bar.end - began))
                at += stages[stage]


def _facts(bar: Bar, stages: dict[str, float]) -> dict[str, Any]:
    if bar.number > 1:
        return {"merged": bar.number, "seconds": {k: round(v, 6) for k, v in stages.items()}}
    facts: dict[str, Any] = {"run": bar.run}
    if not bar.box.empty:
        facts["rows"] = f"{bar.box.y0}-{bar.box.y1}"
        facts["columns"] = f"{bar.box.x0}-{bar.box.x1}"
    if KINDS[bar.kind] not in ("read", "write", "finish"):
        facts |= {"index": bar.task, "queued_us": _micro(bar.start - bar.made)}
    return facts


def _slice(name: str, start: float, end: float, args: dict[str, Any] | None = None) -> Any:
    at = _micro(start)
    duration = round(_micro(end) - at, 3)  # so that one slice ends where the next one begins
    made = {"name": name, "cat": "imgpipe", "ph": "X", "ts": at, "dur": duration}
    return {**made, "args": args} if args else made


def _micro(seconds: float) -> float:
    return round(1e6 * max(0.0, seconds), 3)
