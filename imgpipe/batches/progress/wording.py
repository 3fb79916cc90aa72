"""Words for people: amounts, times and reasons, each in one line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from imgpipe.batches.results import BatchReport, Result

__all__ = [
    "amount",
    "duration",
    "failure_line",
    "legible",
    "more_pages_line",
    "one_line",
    "outcome_line",
    "passed_over_line",
    "summary_line",
]

_REASONS = {
    "not_image": ("not an image", "not images"),
    "other_suffix": ("of another suffix", "of other suffixes"),
    "hidden": ("hidden", "hidden"),
    "junk": ("junk of a system", "junk of systems"),
    "link_outside": ("link outside", "links outside"),
    "link_to_nothing": ("link to nothing", "links to nothing"),
    "link_to_folder": ("link to a folder", "links to folders"),
    "special_file": ("special file", "special files"),
    "same_file": ("the same file again", "the same files again"),
    "output": ("output of this batch", "outputs of this batch"),
    "earlier_output": ("folder of earlier outputs", "folders of earlier outputs"),
}
_FRAME = re.compile(r'^ *File "(.*)", line (\d+)', re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):"
_STOPPED = {
    "fail_fast": "stopped at the first failure",
    "max_failures": "stopped by too many failures",
    "no_space": "stopped, because the disk is full",
    "output_lost": "stopped, because a folder is gone",
    "signal": "interrupted",
}


def one_line(text: str) -> str:
    """Return `text` with control characters and bytes that are no text spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def legible(text: str) -> str:
    """Return `text` as UTF-8 can hold it: U+FFFD where a byte of a file name is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode(errors="surrogateescape").decode(errors="replace")
        except UnicodeEncodeError:  # half a character, which no file name gives
            return text.encode(errors="replace").decode()
    return text


def duration(seconds: float) -> str:
    """Return a time as ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def amount(size: int) -> str:
    """Return a number of bytes as ``1.9 GB``, ``24 MB`` or ``3 kB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return (
                f"{size / factor:,.1f} {unit}" if unit == "GB" else f"{size / factor:,.0f} {unit}"
            )
    return f"{size} B"


def more_pages_line(count: int, suffix: str) -> str:
    """Return the hint about files with more pages than their outputs hold."""
    noun = "file has" if count == 1 else "files have"
    return (
        f"{count:,} {noun} more pages than {suffix} files hold: --name "
        '"{stem}-{page}.{ext}" makes all'
    )


def passed_over_line(passed_over: Mapping[str, int]) -> str:
    """Return the counts of files passed over: ``312 passed over: 290 not images, 20 hidden``."""
    parts = [
        f"{count:,} {_REASONS.get(reason, (reason.replace('_', ' '),) * 2)[count != 1]}"
        for reason, count in sorted(passed_over.items(), key=lambda each: (-each[1], each[0]))
        if count
    ]
    return f"{sum(passed_over.values()):,} passed over: {', '.join(parts)}" if parts else ""


def failure_line(result: Result) -> str:
    """Return a failure with its file, stage and reason; of a traceback, the error and its place."""
    message = str(result.error) if result.error is not None else "failed"
    named = message if result.path in message else f"{result.path}: {message}"
    for name in (result.path, result.output):  # which may have several lines
        named = named.replace(name, one_line(name)) if name else named
    return f"failed ({result.stage or 'unknown stage'}): {_shortened(named)}"


def _shortened(message: str) -> str:
    """Return a message in one line, with only the innermost frame of a traceback."""
    head, *rest = message.split("\n")
    places = _FRAME.findall(message)
    if not places:
        return one_line(message.replace(".\n", ". ").replace("\n", ". "))
    innermost, error = places[-1], f": {rest[-1]}"
    if not message.partition(_TRACEBACK)[1]:  # a crash, whose innermost place comes first
        innermost, error = places[0], ""
    file, line = innermost
    return one_line(f"{head}{error} ({os.path.basename(file)}, line {line})")


def outcome_line(report: BatchReport) -> str:
    """Return the numbers of outputs that are done, skipped, failed or left."""
    counts = {"done": report.done, "skipped": report.skipped, "failed": report.failed,
              "left": report.left}  # fmt: skip
    return ", ".join(f"{n:,} {noun}" for noun, n in counts.items() if n) or "nothing to do"


def summary_line(report: BatchReport) -> str:
    """Return the end of a batch."""
    stopped = [_STOPPED[report.stopped_by]] if report.stopped_by else []
    if report.stopped_because:
        stopped = [one_line(f"stopped: {report.stopped_because}")]
    return "; ".join([*stopped, str(report)])
