"""Report for people: a page that opens from disk and asks for nothing else.

The rows of the table are written as they come, as data of a script. The rest of the page comes
after them, and is there without scripts too. Names of files are text everywhere, and never part
of the page.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
import json
import logging
import shlex
from collections.abc import Mapping
from importlib import resources

from imgpipe.batches.agenda import reason_text
from imgpipe.batches.events import BatchEnded, BatchPlanned, BatchRefused, BatchStarted
from imgpipe.batches.progress.wording import duration, legible, one_line, passed_over_line
from imgpipe.batches.results import BatchReport, Result
from imgpipe.plurals import counted
from imgpipe.reportpages.choice import FAILURES, Choice, busy_seconds
from imgpipe.reportpages.pictures import Picture, Pictures

__all__ = ["Page"]

_log = logging.getLogger(__name__)

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_STEPS = ("read", "filter", "encode", "write")
_DONE = {
    None: ("ok", "finished"),
    "fail_fast": ("bad", "stopped at the first failure"),
    "max_failures": ("bad", "stopped by too many failures"),
    "no_space": ("bad", "stopped: the disk is full"),
    "output_lost": ("bad", "stopped: a folder is gone"),
    "signal": ("bad", "interrupted"),
}


class Page:
    """A page of HTML.

    Parameters
    ----------
    pictures : function
        Makes the small pictures.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._choice = Choice()
        self._between = "\n"
        self._started: BatchStarted | None = None
        self._sources = 0

    def begin(self, started: BatchStarted | None, plan: BatchPlanned | None) -> str:
        """Return the text before the rows."""
        self._started = started
        self._sources = 0 if plan is None else plan.sources
        title = "imgpipe batch" if started is None else f"imgpipe: {_text(started.chain)}"
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
            f"<title>{title}</title>\n<style>\n{_own('page.css')}</style>\n</head>\n<body>\n"
            '<script type="application/json" id="rows">['
        )

    def row(self, result: Result) -> str:
        """Return the row of an output, in the order that the script knows."""
        self._choice.add(result)
        between, self._between = self._between, ",\n"
        values = (
            result.status,
            _shown(result.path),
            _shown(result.output),
            _note(result),
            *((result.pixels, result.bytes_in, result.bytes_out) if result.status == "done"
              else (0, 0, 0)),
            round(busy_seconds(result), 3),
        )  # fmt: skip
        return between + _data(values)

    def end(self, end: BatchEnded | BatchRefused, seconds: float) -> str:
        """Return the text after the rows."""
        choice = self._choice
        choice.failures.sort(key=lambda each: each.path)
        pictures = {} if _in_a_hurry(end) else self._made()
        parts = [
            "\n]</script>\n<main>",
            self._header(end),
            _tiles(end.report, self._sources),
            _steps(choice.steps),
            _failures(choice, end.report, pictures),
            _slowest(choice.slowest, pictures),
            _own("table.html"),
            _sample(choice.sample, pictures),
            _footer(self._started, end),
            f"</main>\n<script>\n{_own('page.js')}</script>\n</body>\n</html>\n",
        ]
        return "\n".join(filter(None, parts))

    def _made(self) -> Mapping[str, Picture]:
        """Return the pictures; none after a request to stop."""
        try:
            return self._pictures(self._wanted())
        except KeyboardInterrupt:
            return {}
        except Exception as error:  # noqa: BLE001 - the page is made without pictures
            _log.warning("the report has no pictures: %s", error)
            return {}

    def _wanted(self) -> list[str]:
        """Return the files whose pictures are shown."""
        made = [*self._choice.slowest, *self._choice.sample]
        both = [path for each in made for path in (each.path, each.output)]
        return list(dict.fromkeys([*both, *(f.path for f in self._choice.failures[:FAILURES])]))

    def _header(self, end: BatchEnded | BatchRefused) -> str:
        started = self._started
        kind, said = _DONE[end.report.stopped_by]
        if isinstance(end, BatchRefused):
            kind, said = "bad", f"ended by an error: {_text(str(end.error))}"
        elif end.report.failed and kind == "ok":
            kind, said = "bad", f"finished, {counted(end.report.failed, 'output')} failed"
        resume = end.resume if isinstance(end, BatchEnded) else None
        chain = "Batch" if started is None else _text(started.chain)
        time, command = "", ""
        if started is not None:
            at = dt.datetime.fromtimestamp(started.time).astimezone()
            time = f"<p class=when>{at:%Y-%m-%d %H:%M:%S}, into <bdi>{_text(started.out)}</bdi></p>"
            command = f"<pre class=command>{_text(shlex.join(started.argv))}</pre>"
        go_on = f"<p>To go on: <code>{_text(resume)}</code></p>" if resume else ""
        return (
            f'<header><h1>{chain}</h1><p class="state {kind}">{said}</p>'
            f"{time}{command}{go_on}</header>"
        )


def _tiles(report: BatchReport, sources: int) -> str:
    """Return the totals."""
    skipped = ", ".join(
        f"{n:,} {_text(reason_text(reason))}" for reason, n in report.reasons.items()
    )
    speed = report.pixels / 1e6 / report.seconds if report.seconds else 0
    counts = [
        ("done", f"{report.done:,}", f"of {counted(report.outputs, 'output')}"),
        ("failed", f"{report.failed:,}", "bad" if report.failed else ""),
        ("skipped", f"{report.skipped:,}", skipped),
        *([("left", f"{report.left:,}", "not tried")] if report.left else []),
        ("time", duration(report.seconds), f"{speed:,.1f} MP/s"),
        ("source pixels", f"{report.pixels / 1e6:,.1f} MP", ""),
    ]
    tiles = "".join(
        f'<div class="tile {"bad" if note == "bad" else ""}"><b>{value}</b><span>{name}</span>'
        f"<small>{'' if note == 'bad' else note}</small></div>"
        for name, value, note in counts
    )
    over = passed_over_line(report.passed_over)
    facts = [
        counted(sources, "source") if sources else "",
        _text(over),
        f"peak memory {_bytes(report.peak_memory)}" if report.peak_memory else "",
    ]
    line = "; ".join(filter(None, facts))
    return f"<section class=tiles>{tiles}</section>{_sizes(report)}<p class=facts>{line}</p>"


def _sizes(report: BatchReport) -> str:
    """Return the bytes before and after, as two bars."""
    before, after = report.bytes_in, report.bytes_out
    if not before and not after:
        return ""
    most = max(before, after)
    change = _percent(before, after)
    bars = "".join(
        f"<div class=size><span>{name}</span><i><u style='width:{100 * size / most:.1f}%'></u></i>"
        f"<b>{_bytes(size)}{more}</b></div>"
        for name, size, more in (("before", before, ""), ("after", after, change))
    )
    return f"<section class=sizes>{bars}</section>"


def _steps(steps: dict[str, float]) -> str:
    """Return the seconds of the workers in each step, as one bar."""
    known = [(step, steps[step]) for step in _STEPS if steps.get(step)]
    total = sum(took for _, took in known)
    if not total:
        return ""
    parts = "".join(
        f"<u class={step} style='width:{100 * took / total:.2f}%'></u>" for step, took in known
    )
    legend = "".join(
        f"<span><u class={step}></u>{step} {duration(took) if took >= 10 else f'{took:.1f} s'} "
        f"({took / total:.0%})</span>"
        for step, took in known
    )
    return (
        "<section><h2>Time of the workers</h2>"
        f"<div class=steps>{parts}</div><p class=legend>{legend}</p></section>"
    )


def _failures(choice: Choice, report: BatchReport, pictures: Mapping[str, Picture]) -> str:
    if not report.failed:
        return ""
    kinds = "".join(
        f"<li>{count:,} &times; {_text(error)} in {_text(stage) or 'an unknown stage'}</li>"
        for (stage, error), count in choice.failed.most_common(12)
    )
    rows = "".join(
        _failure(each, pictures if number < FAILURES else {})
        for number, each in enumerate(choice.failures)
    )
    shown = len(choice.failures)
    more = f"<p class=facts>The first {shown:,}; the table below has all.</p>"
    return (
        f"<section><h2>Failures</h2><ul class=kinds>{kinds}</ul><ol class=failures>{rows}</ol>"
        f"{more if report.failed > shown else ''}</section>"
    )


def _failure(result: Result, pictures: Mapping[str, Picture]) -> str:
    reason = str(result.error).removeprefix(f"{result.path}: ")
    attempts = f", {result.attempts} attempts" if result.attempts > 1 else ""
    return (
        f"<li>{_image(pictures, result.path)}<div><b><bdi>{_text(result.path)}</bdi></b>"
        f"<p>{_text(reason)}</p><small>{_text(result.stage or '')}{attempts}</small></div></li>"
    )


def _slowest(slowest: list[Result], pictures: Mapping[str, Picture]) -> str:
    slow = [each for each in slowest if busy_seconds(each)]
    if not slow:
        return ""
    most = busy_seconds(slow[0])
    # Without it, the bars of outputs that have no pictures are longer than those of others.
    place = "<div class=pair><figure></figure><figure></figure></div>" if pictures else ""
    rows = ""
    for each in slow:
        bars = "".join(
            f"<u class={step} style='width:{100 * each.seconds[step] / most:.2f}%'></u>"
            for step in _STEPS
            if each.seconds.get(step)
        )
        rows += (
            f"<li>{_pair(each, pictures) or place}<div><b><bdi>{_text(each.output)}</bdi></b>"
            f"<div class=steps>{bars}</div><small>{busy_seconds(each):.2f} s; "
            f"{_change(each)}</small></div></li>"
        )
    return f"<section><h2>Slowest</h2><ol class=slowest>{rows}</ol></section>"


def _sample(sample: list[Result], pictures: Mapping[str, Picture]) -> str:
    cards = "".join(
        f"<li>{_pair(each, pictures)}<b><bdi>{_text(each.output)}</bdi></b>"
        f"<small>{_dimensions(each, pictures)}{_change(each)}</small></li>"
        for each in sample
    )
    heading = "<h2>Before and after</h2>"
    return f"<section>{heading}<ul class=sample>{cards}</ul></section>" if cards else ""


def _footer(started: BatchStarted | None, end: BatchEnded | BatchRefused) -> str:
    facts = [] if started is None else [
        f"imgpipe {_text(started.version)}", counted(started.workers, "worker"),
        f"memory limit {_bytes(started.max_memory)}",
        f"accelerator: {_text(started.accelerator)}",
    ]  # fmt: skip
    if isinstance(end, BatchEnded):
        if end.utilisation is not None:
            facts.append(f"workers busy {end.utilisation:.0%}")
        if end.bottleneck:
            facts.append(f"bottleneck: {_text(end.bottleneck)}")
    return f"<footer>{'; '.join(facts)}</footer>"


def _pair(result: Result, pictures: Mapping[str, Picture]) -> str:
    """Return the pictures of source and output; one where they are the same file."""
    before = "" if result.path == result.output else _image(pictures, result.path, "before")
    both = before + _image(pictures, result.output, "after")
    return f"<div class=pair>{both}</div>" if both else ""


def _image(pictures: Mapping[str, Picture], path: str, name: str = "") -> str:
    picture = pictures.get(path)
    if picture is None or not picture.data:
        return ""
    code = base64.b64encode(picture.data).decode("ascii")
    return f'<figure><img alt="{name}" src="data:image/jpeg;base64,{code}"></figure>'


def _dimensions(result: Result, pictures: Mapping[str, Picture]) -> str:
    sizes = [
        f"{pictures[path].width:,} &times; {pictures[path].height:,}"
        for path in dict.fromkeys((result.path, result.output))
        if path in pictures
    ]
    return f"{' → '.join(dict.fromkeys(sizes))}<br>" if sizes else ""


def _change(result: Result) -> str:
    before, after = result.bytes_in, result.bytes_out
    return f"{_bytes(before)} → {_bytes(after)}{_percent(before, after)}"


def _percent(before: int, after: int) -> str:
    change = f" ({(after - before) / before:+.0%})" if before else ""
    return change.replace("-", "&minus;")


def _note(result: Result) -> str:
    """Return the reason of a skipped or failed output, or the warnings of a finished one."""
    match result.status:
        case "skipped":
            return reason_text(str(result.reason))
        case "failed":
            return _shown(f"{result.stage}: {result.error}")
    return _shown("; ".join(result.warnings))


def _in_a_hurry(end: BatchEnded | BatchRefused) -> bool:
    return isinstance(end, BatchRefused) or end.interrupted is not None


def _shown(text: str) -> str:
    return one_line(legible(text))


def _text(text: str) -> str:
    """Return `text` as a page can hold it."""
    return html.escape(_shown(text))


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:,} B"


def _data(values: tuple[object, ...]) -> str:
    """Return JSON that may stand in a page."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _own(name: str) -> str:
    """Return the text of a file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
