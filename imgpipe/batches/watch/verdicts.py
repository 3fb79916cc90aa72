"""Verdicts: what is to be done about a file that has arrived. The journal decides."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal, NamedTuple

from imgpipe.batches.agenda import Due
from imgpipe.batches.files import Files, Found
from imgpipe.batches.preparing import Prepared
from imgpipe.batches.recorded import Records
from imgpipe.errors import ImgpipeError, OutputError

__all__ = ["Judge", "Verdict"]


class Verdict(NamedTuple):
    """What is to be done about a file.

    Attributes
    ----------
    kind : {"due", "done", "failed", "refused"}
        Make it; nothing, because its outputs are as they should be, or because it has failed and
        has not changed since; nothing, because it cannot have its outputs.
    due : tuple of Due
        What is to be made: one after another if each frame has outputs of its own.
    error : ImgpipeError or None
        Why it is refused.
    """

    kind: Literal["due", "done", "failed", "refused"]
    due: tuple[Due, ...] = ()
    error: ImgpipeError | None = None


class Judge:
    """Decides about files, one by one.

    Parameters
    ----------
    prepared : Prepared
        The output folder with its journal, which is open.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._overwrite = prepared.choices.policy.overwrite
        self._owners: dict[str, str] = {}  # the source of an output, by the path of the output
        for output, record in self._records.done.items():
            self._owners[self._folded(output)] = record.source

    @property
    def _records(self) -> Records:
        journal = self._prepared.journal
        assert journal is not None
        return journal.records

    def knows(self, found: Found) -> bool:
        """Whether the journal has anything about the outputs of a file."""
        naming = self._prepared.choices.naming
        if naming.needs_header:
            return True
        try:
            placed = naming.placed(Files([found]), lambda *_: {})
            return any(each.output in self._records for each in placed)
        except ImgpipeError:
            return False

    def of(self, found: Found) -> Verdict:
        """Return what is to be done about a file."""
        try:
            agenda = self._prepared.agenda_for([found])
            self._must_be_free(found, (output for due in agenda.due for output in due.outputs))
        except ImgpipeError as error:
            return Verdict("refused", error=error)
        if agenda.due:
            for output in (output for due in agenda.due for output in due.outputs):
                self._owners[self._folded(output)] = found.below
            return Verdict("due", tuple(agenda.due))
        failed = any(each.reason == "failed_before" for each in agenda.skipped)
        return Verdict("failed" if failed else "done")

    def _must_be_free(self, found: Found, outputs: Iterable[str]) -> None:
        """Raise if an output was made of another file."""
        for output in outputs:
            owner = self._owners.get(self._folded(output), found.below)
            if owner == found.below or self._overwrite:
                continue
            root = found.path[: -len(found.below)]
            path = self._prepared.path(output)
            if os.path.lexists(path) or os.path.lexists(os.path.join(root, owner)):
                raise OutputError(
                    f"{found.path}: its output {path} is that of {owner}; give every source an "
                    'output of its own with --name "{name}.{ext}", or replace it with --overwrite'
                )

    def _folded(self, output: str) -> str:
        return self._prepared.destination.distinguishes.folded(output)
