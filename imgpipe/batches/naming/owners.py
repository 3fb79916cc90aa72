"""Owners: the source of each output. No other source replaces this output."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable

from imgpipe.batches.agenda import Agenda
from imgpipe.batches.inputs.files import Found
from imgpipe.batches.journal.records import Record, Records
from imgpipe.batches.naming.assignments import Assignment
from imgpipe.batches.naming.destination import Destination
from imgpipe.errors import UsageError

__all__ = ["Owners", "must_be_numbered"]


class Owners:
    """The source of each output, by names as the output folder tells them apart.

    Parameters
    ----------
    destination : Destination
        The output folder.
    known : iterable of (str, str)
        Outputs with their sources, by their paths below the folders. A later one counts.
    """

    def __init__(self, destination: Destination, known: Iterable[tuple[str, str]]) -> None:
        self._destination = destination
        self._fold = destination.name_rules.folded
        self._sources = {self._fold(output): source for output, source in known}

    @classmethod
    def of(cls, destination: Destination, records: Iterable[Record], agenda: Agenda) -> Owners:
        """Return the owners of planned outputs, and of recorded ones."""
        made = ((record.output, record.source) for record in records)
        work = itertools.chain(agenda.due, agenda.copies)
        due = ((output, one.found.below) for one in work for output in one.outputs)
        left = ((one.output, one.found.below) for one in agenda.skipped)
        return cls(destination, itertools.chain(made, due, left))

    def take(self, output: str, found: Found) -> None:
        """Make a file the source of an output."""
        self._sources[self._fold(output)] = found.below

    def other(self, output: str, found: Found) -> str | None:
        """Return the other source that an output has, unless both of them are gone."""
        owner = self._sources.get(self._fold(output), found.below)
        if owner == found.below:
            return None
        root = found.path[: -len(found.below)]
        there = os.path.lexists(self._destination.path(output))
        return owner if there or os.path.lexists(os.path.join(root, owner)) else None


def must_be_numbered(placed: Collection[Assignment], records: Records | None) -> None:
    """Raise if a file would get another number than before, which a resume takes for a new output.

    Raises
    ------
    UsageError
        If the journal does not hold the numbers of all files.
    """
    for each in placed:
        record = records and (records.done.get(each.output) or records.left.get(each.output))
        if not record or record.source != each.found.below:
            raise UsageError(
                f"{each.found.path}: {{index}} would be another number than in the journal, or is "
                "not in it; --resume needs a name without {index}"
            )
