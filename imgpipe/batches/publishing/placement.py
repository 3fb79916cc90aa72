"""Placement: outputs on the disk move to their places, and the journal gets their lines.

Beside its source an output appears first, and then its line. In place the line comes first: see
`inplace`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from imgpipe.batches.choices import Choices
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.filestatus import Status, status_at
from imgpipe.batches.journal.journal import Journal
from imgpipe.batches.journal.records import Record
from imgpipe.batches.publishing.attributes import preserve
from imgpipe.batches.publishing.inplace import keep
from imgpipe.batches.work.heldfiles import Finished, publish, remove
from imgpipe.errors import ImgpipeError, InputError, OutputError
from imgpipe.publish import explained

__all__ = ["Placement", "Ready"]


class Ready(NamedTuple):
    """An output that is complete and on the disk.

    Attributes
    ----------
    source : str
        Its source.
    status : Status
        Properties of the source when it was read.
    finished : Finished
        The output.
    record : Record
        Its line.
    """

    source: str
    status: Status
    finished: Finished
    record: Record


class Placement:
    """Puts the outputs of a batch in their places.

    Parameters
    ----------
    choices : Choices
        Arguments of the batch.
    journal : Journal
        Its journal.
    """

    def __init__(self, choices: Choices, journal: Journal) -> None:
        self._choices, self._journal = choices, journal

    def described(self, source: str, finished: Finished) -> tuple[Finished, str]:
        """Return an output with the times of its source, if it is to have them, and its digest.

        The digest is empty unless the output replaces its source, or contents are compared.
        """
        try:
            if self._choices.preserve:
                written = preserve(source, finished.temporary)
                finished = finished._replace(mtime_ns=written)
            wanted = self._choices.in_place or self._choices.checksum
            return finished, file_digest(finished.temporary) if wanted else ""
        except OSError as error:
            raise _cannot(finished, error) from error

    def place(self, ready: Sequence[Ready]) -> dict[str, ImgpipeError]:
        """Put outputs in their places; return the errors by output.

        Raises
        ------
        OutputError
            If the journal cannot be written. Then nothing was put in its place.
        """
        if self._choices.in_place:
            return self._replace(ready)
        self._journal.sync()
        return publish([one.finished for one in ready])

    def _replace(self, ready: Sequence[Ready]) -> dict[str, ImgpipeError]:
        """Put outputs in the places of their sources; return the errors by output.

        A source that has changed is found before its line, and again directly before it would be
        replaced: the disk may take its time in between.
        """
        errors = {one.finished.output: error for one in ready if (error := _changed(one))}
        going = {one.finished.output: one for one in ready if one.finished.output not in errors}
        self._journal.finished([one.record for one in going.values()])
        self._journal.sync()
        refused, kept = self._kept(list(going.values()))
        files = [one.finished for output, one in going.items() if output not in refused]
        refused |= publish(files, lambda file: _changed(going[file.output]))
        for output in kept.keys() & refused.keys():
            remove(kept[output])  # its source is where it was
        return errors | refused

    def note(self, ready: Sequence[Ready]) -> None:
        """Write the lines of outputs that are in their places.

        Raises
        ------
        OutputError
            If the journal cannot be written.
        """
        if not self._choices.in_place:
            self._journal.finished([one.record for one in ready])

    def _kept(self, ready: Sequence[Ready]) -> tuple[dict[str, ImgpipeError], dict[str, str]]:
        """Keep the sources that are about to be replaced.

        Returns
        -------
        errors : dict
            The errors by output.
        kept : dict
            The paths of the sources that were not kept before, by output.
        """
        errors: dict[str, ImgpipeError] = {}
        kept: dict[str, str] = {}
        for one in ready if self._choices.backup is not None else ():
            assert self._choices.backup is not None
            path = os.path.join(self._choices.backup, one.record.output)
            try:
                if keep(one.finished.target, path):
                    kept[one.finished.output] = path
            except OutputError as error:
                errors[one.finished.output] = error
        return errors, kept


def _changed(one: Ready) -> ImgpipeError | None:
    """Return the error of a source that has changed since it was read."""
    try:
        found, was = status_at(one.finished.target), one.status
        if found._replace(ctime_ns=0) == was._replace(ctime_ns=0):  # a link to keep it changes that
            return None
    except OSError as error:
        return _cannot(one.finished, error)
    return InputError(f"{one.source}: changed while it was made; run again when it is complete")


def _cannot(finished: Finished, error: OSError) -> OutputError:
    told = OutputError(f"{finished.output}: cannot write: {explained(error, finished.target)}")
    told.__cause__ = error
    return told
