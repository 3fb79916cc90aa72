"""Renaming: outputs that get the suffix of the content of their source instead of its own."""

from __future__ import annotations

import itertools
from functools import cached_property

from imgpipe.batches.agenda import Agenda, Due, agenda_of
from imgpipe.batches.misnaming import with_suffix
from imgpipe.batches.placed import Placed
from imgpipe.batches.preparing import Prepared
from imgpipe.batches.recorded import Records
from imgpipe.errors import UsageError

__all__ = ["Renaming"]


class Renaming:
    """The new names of outputs, of which each is still that of one source.

    Parameters
    ----------
    prepared : Prepared
        The batch.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def agenda(self, due: Due, suffix: str) -> Agenda:
        """Return the work for a file whose outputs get another suffix than that of its name.

        Raises
        ------
        UsageError
            If another source has such an output, or something is in the way.
        """
        prepared, name = self._prepared, due.found.name
        placed = [
            Placed(due.found, with_suffix(output, name, suffix), tail, due.page)
            for output, tail in zip(due.outputs, due.tails, strict=True)
        ]
        records = prepared.journal.records if prepared.journal else Records()
        for each in placed:
            before = records.done.get(each.output) if prepared.choices.policy.resume else None
            folded = prepared.destination.distinguishes.folded(each.output)
            owner = self._taken.setdefault(folded, before.source if before else due.found.below)
            if owner != due.found.below:
                raise UsageError(
                    f"{due.found.path}: the suffix of its content is {suffix}, and another source "
                    f"has the output {prepared.path(each.output)}; rename this source"
                )
        standings = prepared.standings(records)
        return agenda_of(placed, prepared.destination, prepared.choices.policy, standings)

    @cached_property
    def _taken(self) -> dict[str, str]:
        """The source of each output that was planned, as the output folder tells them apart."""
        agenda, fold = self._prepared.agenda, self._prepared.destination.distinguishes.folded
        due = itertools.chain(agenda.due, agenda.copies)
        planned = {fold(output): one.found.below for one in due for output in one.outputs}
        return planned | {fold(one.output): one.found.below for one in agenda.skipped}
