"""Image runs: one image by one command, and its timeline."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from imgpipe.cli import signals
from imgpipe.cli.early import collect_garbage, fork_early
from imgpipe.cli.messages import printable, say
from imgpipe.cli.refusals import naming_options
from imgpipe.cli.saving import standard_input, standard_output
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain
    from imgpipe.events import Report
    from imgpipe.formats.opening import SourceLike, TargetLike
    from imgpipe.timeline import Timeline

__all__ = ["make_image", "timeline_at"]

_OF_WORKERS = "executor", "accelerator", "max_memory", "format"


def make_image(
    chain: Chain | None,
    *,
    input_: str,
    output: str,
    jobs: int | None,
    timeline: str | None,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    shows_progress: bool = True,
    **options: Any,
) -> None:
    """Make one image; tell progress and the end of it."""
    if not dry_run and not (chain is None and _may_be_copied(input_, output, options)):
        light = _is_for_threads(input_, output, options["save"], filters=chain is not None)
        of_workers = {name: options[name] for name in _OF_WORKERS}
        fork_early(chain or (), input_, jobs, **of_workers, output=output, light=light)

    # Imports of this process alone come while the fork server loads the libraries of C.
    from imgpipe.engine.control import Control  # noqa: PLC0415 - takes NumPy along
    from imgpipe.machine import dedicated, keep_freed_memory  # noqa: PLC0415
    from imgpipe.progress import Bar  # noqa: PLC0415

    plan, make = _makers(chain, standard_input(input_), standard_output(output))
    collect_garbage()
    keep_freed_memory()
    options["workers"] = jobs
    control = Control(samples_memory=not quiet)  # the memory is not shown
    with naming_options(), dedicated(), signals.stopping(control.stop):
        if dry_run:
            click.echo(printable(str(plan(**options))))
            return
        with (
            Bar(hidden=quiet or verbose or not shows_progress) as bar,
            timeline_at(timeline, input_, output) as drawing,
        ):
            report = make(on_event=[bar, *drawing], control=control, **options)
        if not report.skipped:
            signals.outcome(f"{report.destination} was complete already")
    if verbose:
        say(f"executor: {report.executor}")
    if not quiet:
        say(str(report))
        for one in drawing:
            say(f"{timeline}: {one.verdict.sentence}")


def _makers(
    chain: Chain | None, source: SourceLike, target: TargetLike
) -> tuple[Callable[..., object], Callable[..., Report]]:
    """Return the functions that plan and make the image."""
    if chain is None:
        from imgpipe.converting import convert, plan_conversion  # noqa: PLC0415

        return partial(plan_conversion, source, target), partial(convert, source, target)
    from imgpipe.running import plan_run, run  # noqa: PLC0415

    return partial(plan_run, source, chain, target), partial(run, source, chain, target)


@contextlib.contextmanager
def timeline_at(path: str | None, *ends: str) -> Iterator[list[Timeline]]:
    """Give the timeline that is wanted, which may not take the place of the image."""
    if path is None:
        yield []
        return
    from imgpipe.timeline import Timeline  # noqa: PLC0415 - only where it is wanted

    if os.path.realpath(path) in map(os.path.realpath, ends):
        raise UsageError(f"{path}: the timeline would replace the image; give it another name")
    with Timeline(path) as timeline:
        yield [timeline]


def _may_be_copied(input_: str, output: str, options: dict[str, Any]) -> bool:
    """Return whether a conversion seems to need no workers."""
    same = os.path.splitext(input_)[1].lower() == os.path.splitext(output)[1].lower()
    return same and not options["save"] and options["region"] is None


def _is_for_threads(input_: str, output: str, save: Any, *, filters: bool) -> bool:
    """Return whether threads seem to be enough for the codecs of both ends."""
    before, after = (os.path.splitext(path)[1].lower() for path in (input_, output))
    jpeg, tiff = (".jpg", ".jpeg"), (".tif", ".tiff")
    if before not in (*jpeg, ".png") and not (filters and before in tiff and after in tiff):
        return False
    method = str((save or {}).get("compression")).partition(":")[0]
    return after in jpeg or (after in tiff and method in ("none", "jpeg"))
