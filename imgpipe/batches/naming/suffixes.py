"""Suffixes: the right one for outputs of a source with a wrong one."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping

from imgpipe.batches.inputs.walk import image_suffixes
from imgpipe.batches.journal.freshness import unchanged
from imgpipe.batches.journal.records import Record, Records
from imgpipe.batches.naming.assignments import Assignment
from imgpipe.formats.opening import format_at
from imgpipe.formats.origin import Origin

__all__ = ["as_recorded", "is_renamed", "right_suffix", "warn_of_suffix", "with_suffix"]

_log = logging.getLogger("imgpipe")


def right_suffix(origin: Origin, outputs: Iterable[str]) -> str:
    """Return the right suffix for outputs that have the wrong suffix of their source.

    Parameters
    ----------
    origin : Origin
        The source.
    outputs : iterable of str
        Its outputs.

    Returns
    -------
    str
        The suffix of its content; empty if the names are right, or were chosen.
    """
    own, content = os.path.splitext(origin.name)[1], format_at(origin)
    if own.lower() in content.suffixes or content.write is None or content.marks:
        return ""
    chosen = own.lower() not in image_suffixes() or not all(one.endswith(own) for one in outputs)
    return "" if chosen else content.suffixes[0]


def with_suffix(output: str, source: str, suffix: str) -> str:
    """Return the name of an output with another suffix than that of its source."""
    return output.removesuffix(os.path.splitext(source)[1]) + suffix


def is_renamed(output: str, source: str) -> bool:
    """Return whether an output has another suffix than its source."""
    own = os.path.splitext(source)[1]
    return own.lower() in image_suffixes() and not output.endswith(own)


def as_recorded(placed: Collection[Assignment], records: Records) -> Collection[Assignment]:
    """Return the sources with the outputs of an earlier run, where these got another suffix.

    A source that has changed since may have changed its format too, and is not among them.
    """
    known = records.renamed
    return [_recorded(each, known) for each in placed] if known else placed


def _recorded(each: Assignment, known: Mapping[str, Record]) -> Assignment:
    found = each.found
    record = known.get(found.below)
    own = os.path.splitext(found.name)[1]
    if record is None or not each.output.endswith(own) or not unchanged(record, found.path):
        return each
    suffix = os.path.splitext(record.output)[1]
    return each._replace(output=with_suffix(each.output, found.name, suffix))


def warn_of_suffix(origin: Origin, outputs: Iterable[str]) -> None:
    """Warn that the suffix of a source does not fit its content, and name the output."""
    suffix, content = os.path.splitext(origin.name)[1].lower(), format_at(origin)
    if suffix in content.suffixes or suffix not in image_suffixes():
        return
    for output in outputs:
        if os.path.splitext(output)[1].lower() in content.suffixes:
            _log.warning("%s: is a %s file; the output is %s", origin.name, content.name, output)
            return
    text = "%s: is a %s file; the name of the output selects another format"
    _log.warning(text, origin.name, content.name)
