"""The page of a timeline: one HTML file that asks for no other."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from typing import Any

from imgpipe.plurals import counted
from imgpipe.timeline.bars import STAGES, Bar
from imgpipe.timeline.recording import KINDS, Lane, Recording
from imgpipe.timeline.verdict import Verdict

__all__ = ["page"]

_LARGEST = 5_000_000  # bytes of a page
_FEWEST = 8  # bars of a lane on the fullest page


def page(recording: Recording, found: Verdict, title: str = "", outcome: str = "") -> str:
    """Return the HTML of a recording; its bars are thinned until it has at most 5 MB.

    `title` and `outcome` are those of a batch, of which the runs of large images are only a part.
    """
    template = (files("imgpipe.timeline") / "page.html").read_text("utf-8")
    lanes = recording.lanes
    while True:
        data = json.dumps(_data(recording, lanes), separators=(",", ":"))
        most = max((len(lane.bars) for lane in lanes), default=0)
        if len(data) + len(template) < 0.9 * _LARGEST or most <= _FEWEST:
            break
        for lane in lanes:
            lane.bars.thin(most // 2)
    parts = {
        "title": html.escape(title or _title(recording)),
        "verdict": html.escape(found.sentence),
        "facts": html.escape(_facts(recording, found, outcome)),
        "rows": "\n".join(_row(recording, lane) for lane in lanes),
        "stages": _stage_rows(recording),
        "merged": html.escape(_merged(lanes)),
        "data": data.replace("<", "\\u003c"),  # else a name could end the script
    }
    pieces = template.split("@@")  # text, name, text, name, …
    pieces[1::2] = [parts[name] for name in pieces[1::2]]
    return "".join(pieces)


def _title(recording: Recording) -> str:
    source, destination = recording.names
    if recording.runs > 1:
        return f"{source} and {recording.runs - 1:,} more"
    return f"{source} → {destination}" if recording.runs else "no run"


def _facts(recording: Recording, found: Verdict, outcome: str) -> str:
    unfinished = recording.runs - recording.finished
    facts = [
        f"{recording.seconds:,.2f} s",
        counted(recording.workers, "worker"),
        counted(recording.tasks, "task"),
        f"workers busy {100 * found.utilisation:.0f} % of the time",
    ]
    if outcome:
        facts.insert(0, outcome)
    elif recording.runs > 1:
        facts.insert(0, counted(recording.runs, "image"))
    if unfinished and not outcome:
        facts.append(
            "not finished" if recording.runs == 1 else f"{unfinished:,} of them not finished"
        )
    if recording.lost:
        facts.append(f"workers lost {counted(recording.lost, 'time')}")
    return " · ".join(facts)


def _row(recording: Recording, lane: Lane) -> str:
    """Return the label of a lane, its utilisation, and its stages as a small bar."""
    total = max(1e-9, recording.seconds)
    shares = [(name, 100 * spent / total) for name, spent in zip(STAGES, lane.stages, strict=True)]
    parts = "".join(
        f'<i class="{name}" style="width:{share:.2f}%"></i>' for name, share in shares if share
    )
    told = ", ".join(f"{name} {share:.0f} %" for name, share in shares if share >= 0.5)
    busy = 100 * lane.busy / total
    return (
        f'<div class="row" title="{html.escape(lane.name)}: {told or "idle"}">'
        f"<span>{html.escape(lane.name)}</span><b>{busy:.0f} %</b><u>{parts}</u></div>"
    )


def _stage_rows(recording: Recording) -> str:
    """Return the rows of the table of stages, in seconds of all lanes of a role."""
    columns = [recording.stages([role]) for role in ("reader", "worker", "writer")]
    wait = max(0.0, recording.seconds * recording.workers - sum(columns[1].values()))
    rows = [(name, *(column[name] for column in columns)) for name in STAGES]
    rows.append(("wait", 0.0, wait, 0.0))
    return "\n".join(
        f'<tr><th><i class="{name}"></i>{name}</th>'
        + "".join(f"<td>{f'{spent:,.2f}' if spent else ''}</td>" for spent in spents)
        + "</tr>"
        for name, *spents in rows
    )


def _merged(lanes: list[Lane]) -> str:
    merged = [bar.number for lane in lanes for bar in lane.bars if bar.number > 1]
    if not merged:
        return "Every task, read and write has a bar of its own."
    return (
        f"{sum(merged):,} short bars are merged into {len(merged):,}, which are lower: their "
        "height is the share of the time that they were busy. All numbers are of all bars."
    )


def _data(recording: Recording, lanes: list[Lane]) -> dict[str, Any]:
    began = recording.began
    return {
        "seconds": recording.seconds,
        "stages": STAGES,
        "kinds": KINDS,
        "marks": [_mark(*mark, began) for mark in recording.marks],
        "lanes": [
            {
                "name": lane.name,
                "role": lane.role,
                "marks": [_mark(*mark, began) for mark in lane.marks],
                "bars": _numbers(lane, began),
            }
            for lane in lanes
        ],
    }


def _mark(time: float, text: str, began: float) -> tuple[int, str]:
    return _micro(time - began), text


def _numbers(lane: Lane, began: float) -> list[list[int]]:
    """Return each bar in few digits: microseconds, the start as the time since the last end."""
    rows: list[list[int]] = []
    end = 0
    for bar in lane.bars:
        start, length = _micro(bar.start - began), _micro(bar.end - bar.start)
        rows.append([start - end, length, *map(_micro, bar.stages), *_details(bar)])
        end = start + length
    return rows


def _details(bar: Bar) -> list[int]:
    if bar.number > 1:
        return [bar.number]
    box = [] if bar.box.empty else [bar.box.y0, bar.box.x0, bar.box.y1, bar.box.x1]
    return [1, bar.kind, bar.run, bar.task, _micro(bar.start - bar.made), *box]


def _micro(seconds: float) -> int:
    return round(1e6 * seconds)
