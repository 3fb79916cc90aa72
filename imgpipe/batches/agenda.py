"""Agenda: the work of a batch, decided before anything is written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import field
from functools import partial
from itertools import repeat
from typing import Literal, NamedTuple, cast, get_args

from imgpipe.batches.inputs.files import Found, MadeLater, suffix_of
from imgpipe.batches.journal.freshness import Freshness, FreshnessCheck
from imgpipe.batches.journal.records import Records
from imgpipe.batches.naming.assignments import Assignment, RenamedAssignments
from imgpipe.batches.naming.destination import Destination
from imgpipe.errors import UsageError
from imgpipe.plurals import counted, listed
from imgpipe.records import dataclass

__all__ = ["Agenda", "Due", "Policy", "Reason", "Skipped", "agenda_of", "reason_text"]

Reason = Literal["current", "exists", "source_older", "not_smaller", "failed_before"]
"""Reason to leave an output as it is."""
_LEFT = frozenset(get_args(Reason))
_TEXTS = {"current": "up to date", "exists": "already there"}
_TRUE: dict[Freshness, Reason] = {"current": "current", "not smaller": "not_smaller"}

_TAILS = {number: (number,) for number in range(-1, 16)}  # each tuple once

_WINDOW_NS = 2_000_000_000  # the times of FAT are even seconds


def reason_text(reason: str) -> str:
    """Return a reason to make an output, or to leave it, for people."""
    return _TEXTS.get(reason, reason.replace("_", " "))


@dataclass(frozen=True)
class Policy:
    """Rule for outputs that exist; without any rule, the batch is refused.

    Attributes
    ----------
    resume : bool
        Make outputs that are missing or out of date.
    update : bool
        The same; also make an output that no journal knows, if it is older than its source.
    skip : bool
        Make missing outputs.
    overwrite : bool
        Make everything; with `resume`, also replace files that no journal knows.
    """

    resume: bool = False
    update: bool = False
    skip: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        names = {"resume": "resume", "update": "update", "skip": "skip_existing"}
        given = [name for field_, name in names.items() if getattr(self, field_)]
        if self.overwrite and given not in ([], ["resume"]):
            given.append("overwrite")
        if len(given) > 1:
            raise UsageError(f"give only one of {listed(given)}")


class Due(NamedTuple):
    """A file that is to be made.

    Attributes
    ----------
    found : Found
        The source.
    outputs : tuple of str
        Its outputs, below the output folder.
    reason : str
        The reason; the first one, if there are several outputs.
    tails : tuple of int
        The number of each of these outputs among all those of a file.
    page : int or None
        The frame of the source that they are made of, where each has an output.
    """

    found: Found
    outputs: tuple[str, ...]
    reason: Freshness
    tails: tuple[int, ...] = (0,)
    page: int | None = None


_due = partial(tuple.__new__, Due)  # without a call of Python for each of many files


class Skipped(NamedTuple):
    """An output that is left as it is."""

    found: Found
    output: str
    reason: Reason


@dataclass
class Agenda:
    """The work of a batch.

    Attributes
    ----------
    due : collection of Due
        Outputs that are to be made.
    copies : list of Due
        Files that are no images, and are to be copied.
    skipped : list of Skipped
        Outputs that are left as they are.
    reasons : Counter
        Number of outputs by the reason why they are to be made.
    suffixes : Counter
        The same by the suffixes of source and output.
    """

    due: Collection[Due] = ()
    copies: list[Due] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    reasons: Counter[Freshness] = field(default_factory=Counter)
    suffixes: Counter[tuple[str, str]] = field(default_factory=Counter)


class _New(MadeLater[Due]):
    """Files of which nothing is there yet."""

    def __init__(self, of: RenamedAssignments) -> None:
        self._of = of

    def __len__(self) -> int:
        return len(self._of.files)

    def __iter__(self) -> Iterator[Due]:
        of = self._of
        return map(_due, zip(of.files, of.outputs, repeat("new"), repeat(of.tails), repeat(None)))


def agenda_of(
    placed: Collection[Assignment],
    destination: Destination,
    policy: Policy,
    freshness_check: FreshnessCheck | None = None,
) -> Agenda:
    """Return the work of a batch.

    Parameters
    ----------
    placed : collection of Assignment
        Sources with their outputs, of which no two are the same; those of a source stand together.
    destination : Destination
        The output folder.
    policy : Policy
        Rule for outputs that exist.
    freshness_check : FreshnessCheck, optional
        Compares outputs with the journal; None if there is none.

    Raises
    ------
    UsageError
        If outputs are in the way. Nothing was written.
    """
    existing = destination.existing(placed)
    beside = freshness_check is None or not freshness_check.in_place
    if beside and existing and policy == Policy():
        destination.must_hold_no_source(placed, existing)
        raise UsageError(_in_the_way(placed, existing, destination, freshness_check))
    records = freshness_check.records if freshness_check is not None else Records()
    if isinstance(placed, RenamedAssignments) and not (existing or records):
        return _all_new(placed)
    skipped: list[Skipped] = []
    chosen: list[tuple[Assignment, Freshness]] = []
    foreign: list[str] = []
    for each in placed:
        there = each.output in existing
        if not (there or each.output in records):
            chosen.append((each, "new"))
            continue
        reason = _reason_of(each, destination, policy, freshness_check, exists=there)
        if reason == "foreign":
            foreign.append(destination.path(each.output))
        elif reason in _LEFT:
            skipped.append(Skipped(each.found, each.output, cast(Reason, reason)))
        else:
            chosen.append((each, cast(Freshness, reason)))
    if beside:
        current = {each.output for each in skipped if each.reason == "current"}
        destination.must_hold_no_source(placed, existing - current)
    if foreign:
        exist, such_as = ("exists", ":") if len(foreign) == 1 else ("exist", ", such as")
        raise UsageError(
            f"{counted(len(foreign), 'output')} {exist} without a record in the journal{such_as} "
            f"{foreign[0]}; to replace your own files too, add --overwrite"
        )
    return _agenda(chosen, skipped)


def _all_new(placed: RenamedAssignments) -> Agenda:
    """Return the agenda where nothing is there yet: this is quick."""
    agenda = Agenda(_New(placed), reasons=Counter({"new": len(placed)} if placed else {}))
    for old, count in placed.files.suffixes.items():
        for new in placed.suffixes[old]:
            agenda.suffixes[old, new] += count
    return agenda


def _agenda(chosen: Iterable[tuple[Assignment, Freshness]], skipped: list[Skipped]) -> Agenda:
    """Return the agenda with outputs that are to be made; those of one source stand together."""
    due, copies = list[Due](), list[Due]()
    agenda = Agenda(due, copies, skipped)
    for (found, output, tail, page), reason in chosen:
        agenda.reasons[reason] += 1
        agenda.suffixes[suffix_of(found.name), suffix_of(os.path.basename(output))] += 1
        kind = due if tail >= 0 else copies
        last = kind[-1] if kind else None
        if last is not None and last.found is found and last.page == page:
            outputs, tails = (*last.outputs, output), (*last.tails, tail)
            kind[-1] = last._replace(outputs=outputs, tails=tails)
        else:
            kind.append(Due(found, (output,), reason, _TAILS.get(tail, (tail,)), page))
    return agenda


def _reason_of(
    each: Assignment,
    destination: Destination,
    policy: Policy,
    freshness_check: FreshnessCheck | None,
    *,
    exists: bool,
) -> Freshness | Reason:
    """Return the reason to make an output, or to leave it."""
    if policy.skip and exists:
        return "exists"
    path, source = destination.path(each.output), each.found.path
    if freshness_check is None or (exists and not freshness_check.knows(each.output)):
        return _foreign_reason(path, source, policy)
    freshness = freshness_check.of(each.output, path, source, each.tail)
    if freshness == "foreign":
        return _foreign_reason(path, source, policy)
    if freshness in _TRUE:
        return "new" if policy.overwrite and not policy.resume else _TRUE[freshness]
    if freshness == "failed before" and not freshness_check.retry_failed:
        return "failed_before"
    return freshness


def _foreign_reason(path: str, source: str, policy: Policy) -> Freshness | Reason:
    """Return the reason to make or to leave an output that no journal knows."""
    if policy.overwrite:
        return "new"
    if policy.update:
        return "source_older" if _is_newer(path, source) else "source changed"
    return "foreign"


def _is_newer(output: str, source: str) -> bool:
    """Return whether an output is as new as its source, by a clock with even seconds only."""
    try:
        return os.stat(output).st_mtime_ns + _WINDOW_NS > os.stat(source).st_mtime_ns
    except OSError:
        return False


def _in_the_way(
    placed: Collection[Assignment],
    existing: set[str],
    destination: Destination,
    freshness_check: FreshnessCheck | None,
) -> str:
    """Return the message about outputs that exist."""
    ours = ""
    if freshness_check is not None:
        current = sum(_is_current(each, destination, freshness_check) for each in placed
                      if each.output in existing)  # fmt: skip
        ours = f" ({current:,} of them up to date)" if current else ""
    exist, such_as = ("exists", ":") if len(existing) == 1 else ("exist", ", such as")
    return (
        f"{len(existing):,} of {counted(len(placed), 'output')} {exist}{ours}{such_as} "
        f"{destination.path(min(existing))}; add --resume or --update (make those missing or "
        "out of date), --skip-existing (make those missing) or --overwrite (make all)"
    )


def _is_current(
    each: Assignment, destination: Destination, freshness_check: FreshnessCheck
) -> bool:
    path = destination.path(each.output)
    return freshness_check.of(each.output, path, each.found.path, each.tail) == "current"
