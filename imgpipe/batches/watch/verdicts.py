"""Verdicts: decisions about arrived files. The journal decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from imgpipe.batches.agenda import Due
from imgpipe.batches.inputs.files import Files, Found
from imgpipe.batches.preparation import Prepared
from imgpipe.errors import ImgpipeError, OutputError

__all__ = ["Judge", "Verdict"]


class Verdict(NamedTuple):
    """Decision about a file.

    Attributes
    ----------
    kind : {"due", "done", "failed", "refused"}
        Make it; nothing, because its outputs are as they should be, or because it has failed and
        has not changed since; nothing, because it cannot have its outputs.
    due : tuple of Due
        Outputs that are to be made: one after another if each frame has outputs of its own.
    error : ImgpipeError or None
        Error of a refused file.
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
        self._owners = prepared.owners

    def knows(self, found: Found) -> bool:
        """Return whether the journal has anything about the outputs of a file."""
        naming = self._prepared.choices.naming
        if naming.needs_header:
            return True
        try:
            placed = naming.placed(Files([found]), lambda *_: {})
            return any(each.output in self._prepared.records for each in placed)
        except ImgpipeError:
            return False

    def of(self, found: Found) -> Verdict:
        """Return the decision about a file."""
        try:
            agenda = self._prepared.agenda_for([found])
            self._must_be_free(found, (output for due in agenda.due for output in due.outputs))
        except ImgpipeError as error:
            return Verdict("refused", error=error)
        if agenda.due:
            for output in (output for due in agenda.due for output in due.outputs):
                self._owners.take(output, found)
            return Verdict("due", tuple(agenda.due))
        failed = any(each.reason == "failed_before" for each in agenda.skipped)
        return Verdict("failed" if failed else "done")

    def _must_be_free(self, found: Found, outputs: Iterable[str]) -> None:
        """Raise if an output was made of another file."""
        for output in outputs:
            owner = self._owners.other(output, found)
            if owner is not None and not self._overwrite:
                raise OutputError(
                    f"{found.path}: its output {self._prepared.path(output)} is that of {owner}; "
                    'give every source an output of its own with --name "{name}.{ext}", or replace '
                    "it with --overwrite"
                )
