"""Standing: whether an output still is what its source and the command would make of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, get_args

from imgpipe.batches.digests import file_digest
from imgpipe.batches.journal import MadeBy, Record, Records
from imgpipe.records import dataclass

__all__ = ["STANDINGS", "Standing", "Standings"]

Standing = Literal[
    "current",
    "new",
    "source changed",
    "options changed",
    "filter changed",
    "version changed",
    "output missing",
    "output altered",
    "failed before",
    "foreign",
]
STANDINGS: tuple[Standing, ...] = get_args(Standing)

_RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class Standings:
    """Compares outputs with their records.

    Attributes
    ----------
    records : Records
        The content of the journal.
    made_by : MadeBy
        What would make the outputs now.
    checksum : bool
        Whether the bytes of sources are compared, and not only their sizes and times.
    accept_version : bool
        Whether outputs of other versions are current.
    digest : callable
        Returns the digest of the file at a path.
    """

    records: Records
    made_by: MadeBy
    checksum: bool = False
    accept_version: bool = False
    digest: Callable[[str], str] = file_digest

    def of(self, output: str, path: str, source: str) -> Standing:
        """Return the standing of an output.

        Parameters
        ----------
        output : str
            Its path below the output folder, as in the journal.
        path : str
            Its path.
        source : str
            The path of its source.
        """
        records = self.records
        there = _status(path)
        if there is not None and output not in records.ours:
            return "foreign"
        if output in records.failed:
            return "failed before"
        record = records.done.get(output)
        if record is None or output in records.begun:
            return "new"
        if there is None:
            return "output missing"
        if (there.st_size, there.st_mtime_ns) != (record.out_size, record.out_mtime_ns):
            return "output altered"
        return self._made_of(record, source)

    def _made_of(self, record: Record, source: str) -> Standing:
        was, now = record.made_by, self.made_by
        if self._changed(record, source):
            return "source changed"
        if was.chain != now.chain:
            return "filter changed"
        if was.options != now.options:
            return "options changed"
        if was.versions != now.versions and not self.accept_version:
            return "version changed"
        return "current"

    def _changed(self, record: Record, source: str) -> bool:
        """Whether the source is another than that of a record; its bytes are read if in doubt."""
        status = _status(source)
        if status is None or status.st_size != record.size:
            return True
        same = (status.st_mtime_ns, status.st_ctime_ns) == (record.mtime_ns, record.ctime_ns)
        racy = record.time_ns - max(record.mtime_ns, record.ctime_ns) < _RACY_NS
        if same and not racy and not self.checksum:
            return False
        try:
            return not record.digest or self.digest(source) != record.digest
        except OSError:
            return True


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
