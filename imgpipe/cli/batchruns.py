"""Batch runs: many images by one command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import Any, NamedTuple, Protocol

import click

from imgpipe.batches.agenda import Policy
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import BatchEnded, BatchRefused
from imgpipe.batches.inputs.namelists import names_in
from imgpipe.batches.inputs.patterns import Pattern
from imgpipe.batches.inputs.walk import Rules, image_suffixes
from imgpipe.batches.naming.outputnames import OutputNames
from imgpipe.batches.naming.template import Template
from imgpipe.batches.results import BatchReport
from imgpipe.batches.work.answers import Recipe, Tail
from imgpipe.chains.chain import Chain
from imgpipe.cli import signals
from imgpipe.cli.audience import Audience
from imgpipe.cli.early import collect_garbage, fork_for_many, is_small
from imgpipe.cli.messages import explain, printable
from imgpipe.cli.refusals import naming_options
from imgpipe.cli.scope import STANDARD
from imgpipe.cli.standard import no_input
from imgpipe.errors import MemoryPlanError, UsageError
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.options import Options
from imgpipe.timeline import Timeline

__all__ = ["Work", "choices_from", "run_batch"]


class Work(NamedTuple):
    """The work on every image.

    Attributes
    ----------
    chains : tuple of Chain
        The filters for each size.
    save : dict
        Options of the output format.
    formats : tuple of str
        The formats of the outputs; empty for those of the sources.
    sizes : tuple of str
        The sizes, where there are several.
    copies : bool
        Whether coded pixels are copied where they can be.
    """

    chains: tuple[Chain, ...]
    save: Mapping[str, Any]
    formats: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    copies: bool = False


class Audiences(Protocol):
    """The observers of a command."""

    @property
    def timelines(self) -> Sequence[Timeline]:
        """Observers of the engine."""

    def begin_files(self) -> None:
        """Begin the files that are wanted."""


def run_batch(
    params: Mapping[str, Any], work: Callable[[], Work], command: Sequence[str] = ()
) -> int:
    """Make all images by one command, and return the exit code.

    Parameters
    ----------
    params : mapping
        The parameters of the command.
    work : callable
        Returns the work, for which filters are loaded.
    command : sequence of str
        The whole command, without the name of the program.
    """
    asks = STANDARD in (*params["inputs"], *params["files_from"])
    with nullcontext() if asks else no_input(), Audience(params) as audience:
        choices = choices_from(params, work(), audience, command)
        if params["dry_run"]:
            return _planned(choices, audience, quiet=params["json"])
        return _made(choices, audience)


def _made(choices: Choices, audience: Audience) -> int:
    from imgpipe.batches.batchrun import BatchRun  # noqa: PLC0415 - takes the engine along
    from imgpipe.machine import dedicated, keep_freed_memory  # noqa: PLC0415

    collect_garbage()
    keep_freed_memory()
    run = BatchRun(choices, audience)

    def stop(signal: str) -> None:
        if not audience.planned:  # nothing is written yet
            raise signals.Signalled.of(signal)
        run.control.stop(signal)

    with dedicated(), signals.ending(stop), closing(run.results()) as results:
        try:
            for _ in results:
                pass
        except MemoryPlanError as error:  # no file would fit: the batch is refused
            explain(error)
        if audience.planned:
            signals.outcome("what was finished is recorded")
    return run.exit


def _planned(choices: Choices, audience: Audience, *, quiet: bool) -> int:
    from imgpipe.batches.batchrun import started_of  # noqa: PLC0415 - takes the engine along
    from imgpipe.batches.dryrun import DryRun  # noqa: PLC0415
    from imgpipe.machine import dedicated  # noqa: PLC0415

    audience(started_of(choices))
    run = DryRun(choices, audience)
    try:
        with dedicated(), signals.raising():
            for line in run.lines():
                if not quiet:
                    click.echo(printable(line))
    except MemoryPlanError as error:
        audience(BatchRefused(2, error))
        explain(error)
        return 2
    audience(BatchEnded(run.exit, BatchReport()))
    return run.exit


@naming_options()
def choices_from(
    params: Mapping[str, Any], work: Work, audience: Audiences, command: Sequence[str] = ()
) -> Choices:
    """Return the choices of a batch, with the observers of the engine at work."""
    if params["region"] is not None:
        raise UsageError("--region is for one output; for many images put crop into the chain")
    if STANDARD in params["inputs"]:
        raise UsageError(
            "standard input has no name; give an output file (-o out.png), or files as INPUT"
        )
    executor = params["executor"] or ("serial" if _is_little(params, work) else None)
    if not params["dry_run"]:
        fork_for_many(work.chains, executor, params["accelerator"], params["max_memory"])
        audience.begin_files()
    return Choices(
        sources=tuple(params["inputs"]),
        folder=_folder(params),
        recipe=_recipe(params, work),
        naming=OutputNames(
            template=None if params["name"] is None else Template(params["name"]),
            formats=work.formats,
            sizes=work.sizes,
            filters="-".join(one.definition.name for one in work.chains[0]),
        ),
        lists=tuple(names_in(path, null=params["null"]) for path in params["files_from"]),
        rules=_rules(params),
        policy=_policy(params),
        command=tuple(command),
        options=Options(
            workers=params["jobs"],
            executor=executor,
            on_event=list(audience.timelines),
            **{name: params[name] for name in _OF_RUNS},
        ),
        if_smaller=params.get("if_smaller", False),
        **{name: params[name] for name in _AS_THEY_ARE},
    )


_OF_RUNS = ("max_memory", "chunk", "timeout", "scratch", "accelerator")
_AS_THEY_ARE = (
    *("base", "allow_empty", "checksum", "accept_version", "retry_failed", "journal", "in_place"),
    *("backup", "copy_others", "preserve", "order", "seed", "fail_fast", "max_failures"),
)
_OF_READING = ("max_pixels", "alpha", "autorotate", "page", "level", "nodata", "salvage")
_OF_WRITING = ("strip", "background", "value_range")


def _is_little(params: Mapping[str, Any], work: Work) -> bool:
    """Return whether this is one small file with our filters: a process takes too long."""
    files = params["inputs"]
    if len(files) != 1 or params["files_from"] or params["timeout"] or not is_small(files[0]):
        return False
    return all(one.definition.ours for chain in work.chains for one in chain)


def _folder(params: Mapping[str, Any]) -> str:
    """Return the output folder; empty if the sources are replaced."""
    folder: str = params["output"] or ""
    if folder == STANDARD:
        raise UsageError("standard output holds one image; for several give a folder: -o DIR/")
    named = os.path.splitext(folder)[1].lower() in image_suffixes() and not os.path.isdir(folder)
    if named or os.path.isfile(folder):
        files = params["inputs"]
        given = f", but there are {len(files)} inputs ({_shortened(files)})" if files[1:] else ""
        raise UsageError(
            f"{folder}: is not the name of a folder{given}; for several outputs give -o DIR/"
        )
    return folder


def _shortened(files: Sequence[str]) -> str:
    return f"{', '.join(files[:3])}{', ...' * (len(files) > 3)}"


def _recipe(params: Mapping[str, Any], work: Work) -> Recipe:
    writing = {name: params[name] for name in _OF_WRITING}
    tails = [
        Tail(chain, Writing(save=_save_of(name, work), format=name, **writing))
        for name in work.formats or (None,)
        for chain in work.chains
    ]
    reading = Reading(**{name: params[name] for name in _OF_READING} | {"page": _page(params)})
    return Recipe(tuple(tails), reading, copies=work.copies, chunk=params["chunk"])


def _page(params: Mapping[str, Any]) -> int | None:
    """Return the number of the frame that is wanted; None for all that an output holds."""
    page: int | str | None = params["page"]
    if page != "all":
        return page if page is None else int(page)
    if params["name"] is None or "page" not in Template(params["name"]).names:
        raise UsageError(
            "--page all gives every frame an output of its own; put {page} into the name: --name "
            '"{stem}-{page}.{ext}"'
        )
    return None


def _save_of(format: str | None, work: Work) -> dict[str, Any]:
    """Return the options for outputs of a format; all of them where it is not known."""
    if format is None or len(work.formats) == 1:
        return dict(work.save)
    from imgpipe.formats.formatchoice import format_called  # noqa: PLC0415 - only for several formats

    names = {each.name for each in format_called(format).options}
    return {key: value for key, value in work.save.items() if key in names}


def _rules(params: Mapping[str, Any]) -> Rules:
    return Rules(
        hidden=params["hidden"],
        follow=params["follow"],
        one_file_system=params["one_file_system"],
        max_depth=params["max_depth"],
        suffixes=params["ext"],
        include=tuple(map(Pattern, params["include"])),
        exclude=tuple(map(Pattern, params["exclude"])),
    )


def _policy(params: Mapping[str, Any]) -> Policy:
    with naming_options("resume", "update", "skip_existing", "overwrite"):
        return Policy(
            resume=params["resume"],
            update=params["update"],
            skip=params["skip_existing"] or params["ignore_existing"],
            overwrite=params["overwrite"],
        )
