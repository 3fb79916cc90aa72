"""Renaming: outputs get the suffix of the content of their source, not that of its name."""

from __future__ import annotations

from functools import cached_property

from imgpipe.batches.agenda import Agenda, Due, agenda_of
from imgpipe.batches.naming.assignments import Assignment
from imgpipe.batches.naming.destination import Identity, sources_by_identity
from imgpipe.batches.naming.suffixes import with_suffix
from imgpipe.batches.preparation import Prepared
from imgpipe.errors import UsageError

__all__ = ["Renaming"]


class Renaming:
    """The new names of outputs, each still of one source.

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
            If another source has such an output, or something is in the way, such as a source.
        """
        prepared, found = self._prepared, due.found
        placed = [
            Assignment(found, with_suffix(output, found.name, suffix), tail, due.page)
            for output, tail in zip(due.outputs, due.tails, strict=True)
        ]
        owners, replaces = prepared.owners, prepared.later and prepared.choices.policy.overwrite
        for each in placed:
            if owners.other(each.output, found) is not None and not replaces:
                raise UsageError(
                    f"{found.path}: the suffix of its content is {suffix}, and another source "
                    f"has the output {prepared.path(each.output)}; rename this source"
                )
        freshness_check = prepared.freshness_check(prepared.records)
        policy = prepared.policy
        agenda = agenda_of(placed, prepared.destination, policy, freshness_check)
        for one in agenda.due:
            prepared.destination.must_be_no_source(one.outputs, self._sources)
        for each in placed:
            owners.take(each.output, found)
        return agenda

    @cached_property
    def _sources(self) -> dict[Identity, str]:
        """All sources of the batch, which no output may be."""
        return sources_by_identity(self._prepared.gathered.files)
