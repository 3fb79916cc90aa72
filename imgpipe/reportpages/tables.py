"""Reports for programs: JSON and CSV, with a row for every output."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from imgpipe.batches.events import BatchEnded, BatchPlanned, BatchRefused, BatchStarted
from imgpipe.batches.journal.jsonlines import path_fields
from imgpipe.batches.progress.eventlines import start_fields, summary_fields, terminal_fields
from imgpipe.batches.progress.wording import legible
from imgpipe.batches.results import Result

__all__ = ["CommaTable", "JsonTable"]

_STEPS = ("wait", "read", "filter", "encode", "write")


class JsonTable:
    """An object with ``start``, ``results`` and ``summary``; a result is as in the events."""

    def __init__(self) -> None:
        self._between = "\n"

    def begin(self, started: BatchStarted | None, plan: BatchPlanned | None) -> str:
        """Return the text before the rows."""
        head = None if started is None else start_fields(started)
        return f'{{"v":1,"start":{_json(head)},\n"results":['

    def row(self, result: Result) -> str:
        """Return the row of an output."""
        between, self._between = self._between, ",\n"
        fields = terminal_fields(result)
        del fields["v"]
        return between + _json(fields)

    def end(self, end: BatchEnded | BatchRefused, seconds: float) -> str:
        """Return the text after the rows."""
        fields = summary_fields(end, seconds)
        del fields["v"]
        return f'\n],\n"summary":{_json(fields)}}}\n'


class CommaTable:
    """A table whose first row has the names of the columns.

    ``path_bytes`` and ``output_bytes`` hold names in base64 where they are no UTF-8.
    """

    def begin(self, started: BatchStarted | None, plan: BatchPlanned | None) -> str:
        """Return the text before the rows."""
        names = "path output status reason stage error message attempts pixels bytes_in bytes_out"
        return _comma(
            [*names.split(), *(f"seconds_{step}" for step in _STEPS), "warnings", "path_bytes",
             "output_bytes"]
        )  # fmt: skip

    def row(self, result: Result) -> str:
        """Return the row of an output."""
        path, output = path_fields("name", result.path), path_fields("name", result.output)
        error = result.error
        made = result.status == "done"
        return _comma(
            [
                path["name"],
                output["name"],
                result.status,
                result.reason,
                result.stage,
                None if error is None else type(error).__name__,
                None if error is None else legible(str(error)),
                None if result.status == "skipped" else result.attempts,
                *((result.pixels, result.bytes_in, result.bytes_out) if made else ("", "", "")),
                *(
                    round(result.seconds[step], 4) if step in result.seconds else None
                    for step in _STEPS
                ),
                legible("; ".join(result.warnings)),
                path.get("name_bytes"),
                output.get("name_bytes"),
            ]
        )

    def end(self, end: BatchEnded | BatchRefused, seconds: float) -> str:
        """Return the text after the rows: nothing."""
        return ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _comma(values: list[Any]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(values)
    return out.getvalue()
