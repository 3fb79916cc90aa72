"""Freshness: comparison of an output on the disk with its source and the command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.filestatus import Status, status_at
from imgpipe.batches.journal.records import Provenance, Record, Records
from imgpipe.records import dataclass

__all__ = ["FRESHNESS", "Freshness", "FreshnessCheck", "unchanged"]

Freshness = Literal[
    "current",
    "new",
    "source changed",
    "options changed",
    "filter changed",
    "version changed",
    "output missing",
    "output altered",
    "failed before",
    "not smaller",
    "foreign",
]
FRESHNESS: tuple[Freshness, ...] = get_args(Freshness)

_RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class FreshnessCheck:
    """Compares outputs with their records.

    Attributes
    ----------
    records : Records
        The content of the journal.
    provenance : tuple of Provenance
        Present digests of each output of a file.
    checksum : bool
        Whether the bytes of sources are compared, and not only their sizes and times; those of
        outputs too, if the record has their digest.
    accept_version : bool
        Whether outputs of other versions are up to date.
    retry_failed : bool
        Whether failed outputs are made again, although their sources are the same.
    in_place : bool
        Whether an output has taken the place of its source.
    digest : callable
        Returns the digest of the file at a path.
    """

    records: Records
    provenance: tuple[Provenance, ...]
    checksum: bool = False
    accept_version: bool = False
    retry_failed: bool = True
    in_place: bool = False
    digest: Callable[[str], str] = file_digest

    def knows(self, output: str) -> bool:
        """Return whether an output that is there is ours to replace."""
        records = self.records
        return self.in_place or output in records.ours or output in records.left

    def of(self, output: str, path: str, source: str, tail: int = 0) -> Freshness:
        """Return the freshness of an output.

        Parameters
        ----------
        output : str
            Its path below the output folder, as in the journal.
        path : str
            Its path.
        source : str
            The path of its source.
        tail : int
            The number of the output among those of a source.
        """
        records = self.records
        there = _status(path)
        if there is not None and not self.knows(output):
            return "foreign"
        if (failure := records.failed.get(output)) is not None:
            return "failed before" if _is_same(failure, _status(source)) else "source changed"
        if output in records.begun and not self.in_place:
            return "new"
        return self._recorded(output, path, there, source, self.provenance[tail])

    def _recorded(
        self, output: str, path: str, there: Status | None, source: str, now: Provenance
    ) -> Freshness:
        """Return the freshness of an output by its last records."""
        records = self.records
        left = records.left.get(output)
        if left is not None and self._made_of(left, source, now) == "current":
            return "not smaller"
        record = records.done.get(output)
        if self.in_place:
            return self._in_place(record, path, there, now)
        if record is not None:
            return self._beside(record, path, there, source, now)
        if there is not None and output not in records.ours:
            return "foreign"
        return "new" if left is None else self._made_of(left, source, now)

    def _beside(
        self, record: Record, path: str, there: Status | None, source: str, now: Provenance
    ) -> Freshness:
        """Return the freshness of an output beside its source, if there is one."""
        if there is None:
            return "output missing"
        if self._altered(record, path, there):
            return "output altered"
        return self._made_of(record, source, now)

    def _altered(self, record: Record, path: str, there: Status) -> bool:
        """Return whether an output is another than that of its record."""
        if there.size != record.out_size:
            return True
        if self.checksum and record.out_digest:
            return not self._has_bytes(record, path)
        return there.mtime_ns != record.out_mtime_ns

    def _has_bytes(self, record: Record, path: str) -> bool:
        """Return whether a file has the bytes of the output of a record."""
        try:
            return bool(record.out_digest) and self.digest(path) == record.out_digest
        except OSError:
            return False

    def _made_of(self, record: Record, source: str, now: Provenance) -> Freshness:
        was = record.provenance
        if self._changed(record, source):
            return "source changed"
        if was.chain != now.chain:
            return "filter changed"
        if was.options != now.options:
            return "options changed"
        if was.versions != now.versions and not self.accept_version:
            return "version changed"
        return "current"

    def _in_place(
        self, record: Record | None, path: str, there: Status | None, now: Provenance
    ) -> Freshness:
        """Return the freshness of an output that has replaced its source, if there is one.

        Its record was written before it took that place. Other versions do not matter: what it was
        made of is gone.
        """
        if record is None or there is None:
            return "new"
        if not self._is_output(record, path, there):
            return "new" if _is_same(record, there) else "source changed"
        if record.provenance.chain != now.chain:
            return "filter changed"
        return "current" if record.provenance.options == now.options else "options changed"

    def _is_output(self, record: Record, path: str, there: Status) -> bool:
        """Return whether a file is the output of a record; its bytes are read if in doubt."""
        if there.size != record.out_size:
            return False
        alike = (record.size, record.mtime_ns) == (record.out_size, record.out_mtime_ns)
        if there.mtime_ns == record.out_mtime_ns and not alike and not self.checksum:
            return True
        return self._has_bytes(record, path)

    def _changed(self, record: Record, source: str) -> bool:
        """Return whether the source differs from that of a record; if in doubt, read its bytes."""
        status = _status(source)
        if status is None or status.size != record.size:
            return True
        same = _is_same(record, status)
        racy = record.time_ns - max(record.mtime_ns, record.ctime_ns) < _RACY_NS
        if same and not racy and not self.checksum:
            return False
        try:
            return not record.digest or self.digest(source) != record.digest
        except OSError:
            return True


def unchanged(record: Record, source: str) -> bool:
    """Return whether a source looks like that of a record, without a look at its bytes."""
    return _is_same(record, _status(source))


def _is_same(record: Record, status: Status | None) -> bool:
    return status is not None and (status.size, status.mtime_ns, status.ctime_ns) == (
        record.size, record.mtime_ns, record.ctime_ns,
    )  # fmt: skip


def _status(path: str) -> Status | None:
    try:
        return status_at(path)
    except OSError:
        return None
