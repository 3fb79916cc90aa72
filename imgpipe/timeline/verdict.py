"""Verdict: the bottleneck of a recording, in one sentence with the numbers that show it."""

from __future__ import annotations

from typing import NamedTuple

from imgpipe.plurals import listed
from imgpipe.timeline.recording import Recording

__all__ = ["Verdict", "verdict"]

_NOUNS = {
    "read": "Reading",
    "filter": "Filtering",
    "encode": "Encoding",
    "write": "Writing",
    "other": "Overhead",
}
_ENOUGH = 0.5  # of the time; lanes that are busy for less hold nothing up
_NEAR = 0.05  # workers that are busy this much less than the reader are as busy


class Verdict(NamedTuple):
    """The bottleneck.

    Attributes
    ----------
    bottleneck : str
        ``read``, ``filter``, ``encode``, ``write``, ``other`` or ``wait``; ``none`` if nothing ran.
    sentence : str
        The bottleneck in words, and the numbers.
    utilisation : float
        The share of the time that the workers were busy, from 0 to 1.
    """

    bottleneck: str
    sentence: str
    utilisation: float


def verdict(recording: Recording) -> Verdict:
    """Return the bottleneck of a recording."""
    found, sentence = _found(recording)
    return Verdict(found, sentence, recording.share("worker"))


def _found(recording: Recording) -> tuple[str, str]:
    if not any(lane.tasks for lane in recording.lanes):
        return "none", "Nothing was recorded: no task ran."
    reader, workers, writer = map(recording.share, ("reader", "worker", "writer"))
    if recording.workers <= 1 and reader + workers + writer <= 1 + _NEAR:
        return _one_by_one(recording)
    finishing = min(1.0, recording.finishing / recording.seconds) if recording.runs == 1 else 0.0
    enough = _ENOUGH * (1 - finishing)  # at the end all others have done their work
    if workers >= enough and workers >= max(reader, writer) - _NEAR:
        return _of_workers(recording, workers)
    if max(reader, writer) >= enough:
        one, share, other = (
            ("read", reader, "reader") if reader >= writer else ("write", writer, "writer")
        )
        return one, (
            f"{_NOUNS[one]} is the bottleneck: the {other} was busy {_percent(share)} of the time, "
            f"{_the_workers(recording)} {_percent(workers)}."
        )
    return "wait", _of_waiting(recording, reader, workers, writer)


def _one_by_one(recording: Recording) -> tuple[str, str]:
    """Return the longest stage where all stages run one after the other."""
    stages = recording.stages()
    order = sorted(stages, key=lambda name: -stages[name])
    first, *rest = ((name, stages[name] / recording.seconds) for name in order)
    known = sum(stages.values()) / recording.seconds
    if known < _ENOUGH:
        return "wait", _of_waiting(recording, *map(recording.share, ("reader", "worker", "writer")))
    others = [f"{_NOUNS[name].lower()} {_percent(share)}" for name, share in rest if share >= 0.01]
    ending = f", {listed(others)}" if others else ""
    return first[0], (
        f"{_NOUNS[first[0]]} is the bottleneck: it took {_percent(first[1])} of the time{ending}."
    )


def _of_workers(recording: Recording, share: float) -> tuple[str, str]:
    stages = recording.stages(["worker"])
    longest = max(stages, key=lambda name: stages[name])
    part = stages[longest] / sum(stages.values())
    doing = {"other": "on none of the stages"}.get(longest, _NOUNS[longest].lower())
    were = f"{_the_workers(recording)} {'was' if recording.workers == 1 else 'were'}"
    return longest, (
        f"{_NOUNS[longest]} is the bottleneck: {were} busy {_percent(share)} of the time, and "
        f"spent {_percent(part)} of that {doing}."
    )


def _of_waiting(recording: Recording, reader: float, workers: float, writer: float) -> str:
    tasks, count = recording.tasks, recording.workers
    if 0 < tasks < count:
        return (
            f"Waiting is the bottleneck: there {'was' if tasks == 1 else 'were'} only {tasks} "
            f"{'task' if tasks == 1 else 'tasks'} for {count} workers, which were busy "
            f"{_percent(workers)} of the time."
        )
    first = min(bar.start for lane in recording.lanes for bar in lane.bars) - recording.began
    if first / max(1e-9, recording.seconds) > max(reader, workers, writer):
        return (
            "Waiting is the bottleneck: the first step began after "
            f"{_percent(first / recording.seconds)} of the time, {first:.2f} s."
        )
    were = "was" if count == 1 else "were"
    return (
        f"Waiting is the bottleneck: {_the_workers(recording)} {were} busy {_percent(workers)} of "
        f"the time, the reader {_percent(reader)}, the writer {_percent(writer)}."
    )


def _the_workers(recording: Recording) -> str:
    return "the worker" if recording.workers == 1 else "the workers"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
