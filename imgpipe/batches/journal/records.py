"""Records: ends of outputs, as lines of a journal."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from imgpipe.batches.journal.jsonlines import path_fields, path_in

__all__ = ["FORM", "Provenance", "Record", "Records", "add_line", "fields_of"]

FORM = 1
"""The number of the form of the lines."""


@dataclass(frozen=True)
class Provenance:
    """Digests of all that decides the bytes of an output, except its source.

    Attributes
    ----------
    chain : str
        Digest of the filters, the code of user filters included.
    options : str
        Digest of the options of reading and writing.
    versions : str
        Digest of the versions of imgpipe and of the codecs.
    """

    chain: str
    options: str
    versions: str


class Record(NamedTuple):
    """An output that is finished, has failed or was left out.

    Attributes
    ----------
    output : str
        Its path below the output folder.
    source : str
        The path of its source, below the place where the tree of the source begins.
    size, mtime_ns, ctime_ns : int
        Of the source.
    digest : str
        Of the bytes of the source; empty if it was not computed.
    out_size, out_mtime_ns : int
        Of the output; -1 unless it is finished.
    time_ns : int
        When the line was written.
    provenance : Provenance
        Digests of its filters, options and versions.
    failed : str
        The reason of a failure; empty if there was none.
    out_digest : str
        Of the bytes of the output; empty if it was not computed.
    left : str
        The reason why it was left out, such as ``not_smaller``; empty if it was not.
    renamed : bool
        Whether the output has the suffix of the content of its source, because its own is wrong.
    """

    output: str
    source: str
    size: int
    mtime_ns: int
    ctime_ns: int
    digest: str
    out_size: int
    out_mtime_ns: int
    time_ns: int
    provenance: Provenance
    failed: str = ""
    out_digest: str = ""
    left: str = ""
    renamed: bool = False


@dataclass
class Records:
    """The content of a journal.

    Attributes
    ----------
    done : dict
        The last record of each finished output, by its path.
    failed : dict
        The record of each output whose last attempt failed.
    left : dict
        The record of each output that was left out, and was not finished since.
    ours : set
        The outputs that were ever begun, without those that were only left out.
    begun : dict
        Temporary file of each output that was begun, and neither finished nor failed.
    renamed : dict
        The last record of each source whose output got another suffix then, by its path.
    versions : dict
        Versions by their digest: those of imgpipe and of the codecs, by name.
    damaged : int
        Number of lines that cannot be read, without a torn last one.
    """

    done: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, Record] = field(default_factory=dict)
    left: dict[str, Record] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)
    begun: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    damaged: int = 0

    def __bool__(self) -> bool:
        """Return whether there is anything about any output."""
        return bool(self.ours or self.failed or self.left)

    def __contains__(self, output: str) -> bool:
        """Return whether there is anything about an output."""
        return output in self.ours or output in self.failed or output in self.left

    def note(self, record: Record) -> None:
        """Take note of the end of an output."""
        output = record.output
        self.begun.pop(output, None)
        if record.renamed:
            self.renamed[record.source] = record
        elif self.renamed:
            self.renamed.pop(record.source, None)
        if record.failed:
            self.failed[output] = record
            return
        self.failed.pop(output, None)
        if record.left:
            self.left[output] = record
            if output not in self.done:
                self.ours.discard(output)
        else:
            self.left.pop(output, None)
            self.done[output] = record
            self.ours.add(output)

    def note_begun(self, output: str, temporary: str) -> None:
        """Take note of an output that is being made."""
        self.begun[output] = temporary
        self.ours.add(output)


def add_line(
    fields: dict[str, Any], records: Records, known: dict[tuple[str, str, str], Provenance]
) -> bool:
    """Add the record of a line to `records`; return whether it could be read.

    Parameters
    ----------
    fields : dict
        The fields of the line.
    records : Records
        The records of the lines before it.
    known : dict
        Each `Provenance` once, by its fields.
    """
    try:
        match fields["event"]:
            case "versions":
                records.versions[fields["versions"]] = dict(fields["of"])
            case "begin":
                records.note_begun(path_in(fields, "output"), path_in(fields, "temporary"))
            case "done" | "failed" | "skipped":
                key = fields["chain"], fields["options"], fields["versions"]
                records.note(_record(fields, known.setdefault(key, Provenance(*key))))
    except (KeyError, TypeError, ValueError):
        return False
    return True


def fields_of(record: Record) -> dict[str, Any]:
    """Return the fields of the line of a record."""
    fields: dict[str, Any] = {
        "v": FORM,
        "event": "failed" if record.failed else "skipped" if record.left else "done",
        **path_fields("path", record.source),
        **path_fields("output", record.output),
        **asdict(record.provenance),
        "size": record.size,
        "mtime_ns": record.mtime_ns,
        "ctime_ns": record.ctime_ns,
        "digest": record.digest,
        "time_ns": record.time_ns or time.time_ns(),
        **({"renamed": True} if record.renamed else {}),
    }
    if record.failed:
        return {**fields, "message": record.failed}
    if record.left:
        return {**fields, "reason": record.left}
    fields |= {"out_size": record.out_size, "out_mtime_ns": record.out_mtime_ns}
    return {**fields, "out_digest": record.out_digest} if record.out_digest else fields


def _record(fields: dict[str, Any], provenance: Provenance) -> Record:
    return Record(
        path_in(fields, "output"),
        path_in(fields, "path"),
        int(fields["size"]),
        int(fields["mtime_ns"]),
        int(fields["ctime_ns"]),
        str(fields["digest"]),
        int(fields.get("out_size", -1)),
        int(fields.get("out_mtime_ns", -1)),
        int(fields["time_ns"]),
        provenance,
        str(fields.get("message", "")),
        str(fields.get("out_digest", "")),
        str(fields.get("reason", "")),
        fields.get("renamed") is True,
    )
