"""Batches: many image files through a chain, by one crew of workers."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Self

from imgpipe import arguments
from imgpipe.admission import Alpha, Nodata
from imgpipe.argumentnames import naming_arguments
from imgpipe.batches.agenda import Policy
from imgpipe.batches.batchrun import BatchRun
from imgpipe.batches.choices import Choices, Order
from imgpipe.batches.events import BatchObserver
from imgpipe.batches.inputs.patterns import Pattern
from imgpipe.batches.inputs.walk import Rules
from imgpipe.batches.naming.outputnames import OutputNames
from imgpipe.batches.naming.template import Template
from imgpipe.batches.progress.display import display_for
from imgpipe.batches.results import BatchReport, Result
from imgpipe.batches.stopping import BatchControl
from imgpipe.batches.work.answers import Recipe, Tail
from imgpipe.chains.chain import Chain
from imgpipe.chains.definition import Works
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.contexts import Context
from imgpipe.errors import UsageError
from imgpipe.events import Observing
from imgpipe.executors.choice import ExecutorLike
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.geometry import Halo
from imgpipe.observers import Observers
from imgpipe.options import Options

__all__ = ["Batch", "batch", "choices_of"]

PathLike = str | os.PathLike[str]


class Batch(Context):
    """A batch of image files, and an iterator that gives a `Result` for each output.

    ::

        with imgpipe.Batch("photos", "blur:2", "out") as batch:
            for result in batch:
                print(result.status, result.output)
        print(batch.report)

    The work is done while the loop asks for results. A file that fails is a result like the others,
    and no exception. Leaving the loop, or the context, ends the batch: finished outputs stay, and
    no output is half done.

    Parameters
    ----------
    sources : path or sequence of paths
        Files, folders and patterns such as ``"scans/**/*.tif"``. The output of a file keeps its
        path below the folder that was given, or below the part of a pattern before its first
        wildcard.
    filter : Filter, Chain, str, callable, dict or None
        The filters for each image, as for `run`; None converts it. A dict makes several outputs
        of each file, which is decoded once: its keys are names as for `name`, its values filters.
    destination : path, optional
        The folder of the outputs; None with `in_place`.
    files_from : iterable of str, optional
        Names of further files, which keep their path below the current folder.
    base : path, optional
        The folder where all trees begin.
    name : str, optional
        The names of outputs, such as ``"{stem}-{width}.{ext}"``. Without a ``/``, the file is in
        its own folder of the tree.
    format : str or sequence of str, optional
        The format of the outputs, or several; by default that of the source.
    hidden, follow, one_file_system : bool, default False
        Take hidden files; follow links; stay on the file system of each folder.
    max_depth : int, optional
        Folders to enter below those that were given; 0 for none.
    include, exclude : str or sequence of str, optional
        Patterns of the files to take, and to leave out.
    suffixes : str or sequence of str, optional
        Suffixes of the files to take, such as ``["jpg", "tif"]``.
    allow_empty : bool, default False
        Whether a folder or pattern without images is no error.
    resume, update, skip_existing, overwrite : bool, default False
        The rule for outputs that exist; without any of these, the batch is refused. `resume`
        makes outputs that are missing, out of date or failed, by the journal in the output folder,
        and refuses outputs that are not in it. `update` does the same, but makes an output that is
        not in the journal if it is older than its source. `skip_existing` makes missing ones,
        `overwrite` all. `resume` and `overwrite` together also replace outputs that are not in the
        journal.
    checksum, accept_version : bool, default False
        With `resume`: compare the contents of sources, and of outputs that were made with
        `checksum`, and not only sizes and times; accept outputs of other versions.
    retry_failed : bool, default True
        With `resume` or `update`: try outputs again that failed before.
    journal : path, optional
        The folder of the journal; by default a folder in the output folder.
    in_place : bool, default False
        Replace the sources.
    backup : path, optional
        With `in_place`: where the replaced sources are kept.
    copy_others : bool, default False
        Copy all other files as well.
    preserve : bool, default False
        Give outputs the times and modes of their sources.
    if_smaller : bool, default False
        Keep an output only if it has fewer bytes than its source.
    order : {"round-robin", "fifo", "largest-first", "random"}
        The order of the files. By default they begin in the order of their names, but large ones
        as early as possible.
    seed : int, optional
        Makes the random order the same each time.
    fail_fast : bool, default False
        End after the first failure.
    max_failures : int or str, optional
        End after so many failures, or at a share of the files such as ``"5%"``.
    halo, dtype, alpha, max_pixels, autorotate, page, level, nodata, salvage
        As for `run`; they hold for every file.
    compression, save, strip, background, value_range
        As for `run`; they hold for every output.
    workers, max_memory, executor, chunk, timeout, scratch, accelerator, on_event
        As for `run`; they hold for all files together.
    progress : bool, default False
        Show the progress on standard error.
    on_batch_event : callable, optional
        Gets every event of the batch, see `imgpipe.batches.events`. Like those of
        `on_event`, it is switched off if it raises an exception, but for
        `imgpipe.errors.Cancelled`, which ends the batch.

    Attributes
    ----------
    report : BatchReport
        Facts about the batch so far.

    Raises
    ------
    UsageError
        If an argument is wrong. In the loop, if the batch is refused, such as for outputs that
        exist; nothing was written.
    ImgpipeError
        In the loop, if the journal cannot be written, or if no file can be made for want of memory
        or of workers. What is done is kept.
    """

    def __init__(
        self,
        sources: PathLike | Sequence[PathLike],
        filter: FilterLike | Mapping[str, FilterLike | None] | None,
        destination: PathLike | None = None,
        *,
        files_from: Iterable[str] | None = None,
        base: PathLike | None = None,
        name: str | None = None,
        format: str | Sequence[str] | None = None,
        hidden: bool = False,
        follow: bool = False,
        one_file_system: bool = False,
        max_depth: int | None = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        suffixes: str | Sequence[str] | None = None,
        allow_empty: bool = False,
        resume: bool = False,
        update: bool = False,
        skip_existing: bool = False,
        overwrite: bool = False,
        checksum: bool = False,
        accept_version: bool = False,
        retry_failed: bool = True,
        journal: PathLike | None = None,
        in_place: bool = False,
        backup: PathLike | None = None,
        copy_others: bool = False,
        preserve: bool = False,
        if_smaller: bool = False,
        order: Order = "round-robin",
        seed: int | None = None,
        fail_fast: bool = False,
        max_failures: int | str | None = None,
        halo: int | Halo | None = None,
        dtype: Works | None = None,
        alpha: Alpha = None,
        max_pixels: int | str | None = None,
        autorotate: bool = True,
        page: int | None = None,
        level: int = 0,
        nodata: Nodata = None,
        salvage: bool = False,
        compression: int | str | None = None,
        save: Mapping[str, Any] | None = None,
        strip: bool = False,
        background: str | int | tuple[int, int, int] | None = None,
        value_range: str | tuple[float, float] | None = None,
        workers: int | None = None,
        max_memory: int | str | None = None,
        executor: ExecutorLike = None,
        chunk: int | tuple[int, int] | None = None,
        accelerator: str | None = None,
        timeout: float | None = None,
        scratch: PathLike | None = None,
        on_event: Observing | None = None,
        progress: bool = False,
        on_batch_event: BatchObserver | None = None,
    ) -> None:
        given = dict(locals())
        self._begin(_choices(given), _observer(on_batch_event, progress=progress))

    @classmethod
    def of(
        cls,
        choices: Choices,
        on_batch_event: BatchObserver = lambda _: None,
        control: BatchControl | None = None,
    ) -> Self:
        """Return the batch of choices that were made elsewhere."""
        made = cls.__new__(cls)
        made._begin(choices, on_batch_event, control)
        return made

    def _begin(
        self, choices: Choices, on_batch_event: BatchObserver, control: BatchControl | None = None
    ) -> None:
        self._run = BatchRun(choices, on_batch_event, control)
        self._results = _named(self._run.results())

    @property
    def report(self) -> BatchReport:
        """Facts about the batch so far."""
        return self._run.report

    @property
    def exit_code(self) -> int:
        """The exit code of a command for this batch, after its end."""
        return self._run.exit

    def __iter__(self) -> Iterator[Result]:
        return self._results

    def __next__(self) -> Result:
        return next(self._results)

    def stop(self) -> None:
        """Have the batch end soon. Any thread may call this."""
        self._run.control.stop()

    def close(self, error: BaseException | None = None) -> None:
        """End the batch now; finished outputs are kept."""
        self._results.close()


def batch(
    sources: PathLike | Sequence[PathLike],
    filter: FilterLike | Mapping[str, FilterLike | None] | None,
    destination: PathLike | None = None,
    **options: Any,
) -> BatchReport:
    """Run a filter or a chain over many image files.

    No file raises an exception: its failure is in the report.

    Parameters
    ----------
    sources, filter, destination, **options
        As for `Batch`.

    Returns
    -------
    BatchReport
        Counts, failures, sizes and times. `raise_for_failures` raises if there are any.

    Raises
    ------
    UsageError
        If an argument is wrong, or the batch is refused; nothing was written.
    ImgpipeError
        If the journal cannot be written, or if no file can be made for want of memory or of
        workers. What is done is kept.

    Examples
    --------
    >>> import imgpipe
    >>> report = imgpipe.batch("photos", "blur:2", "out", resume=True)  # doctest: +SKIP
    >>> report.raise_for_failures()  # doctest: +SKIP
    """
    with Batch(sources, filter, destination, **options) as made:
        for _ in made:
            pass
    return made.report


def choices_of(*sources: Any, **options: Any) -> Choices:
    """Return the choices that the arguments of `Batch` make."""
    given = inspect.signature(Batch).bind(*sources, **options)
    given.apply_defaults()
    return _choices(given.arguments)


def _choices(given: dict[str, Any]) -> Choices:
    """Return the choices that the arguments of `Batch` make."""
    with naming_arguments(_names(), _FLAGS):
        return _checked(given)


def _named(results: Generator[Result, None, None]) -> Generator[Result, None, None]:
    """Yield `results`. A method would keep a batch alive whose loop was left."""
    with naming_arguments(_names(), _FLAGS):
        yield from results


def _names() -> Collection[str]:
    return inspect.signature(Batch).parameters


def _checked(given: dict[str, Any]) -> Choices:
    for name in _FLAGS:
        given[name] = arguments.flag(given[name], name)
    for name in ("base", "journal", "backup"):
        given[name] = None if given[name] is None else arguments.path(given[name], name)
    if given["max_depth"] is not None:
        given["max_depth"] = arguments.whole(given["max_depth"], "max_depth", at_least=0)
    if given["suffixes"] is not None:
        given["suffixes"] = tuple(map(str.lower, arguments.texts(given["suffixes"], "suffixes")))
    folder, listed = given["destination"], given["files_from"]
    if isinstance(listed, str | bytes) or not isinstance(listed, Iterable | None):
        raise UsageError(f"files_from must be a list of names, not {arguments.shown(listed)}")
    naming, tails = _outputs(given)
    return Choices(
        **_of(Choices, given, leave=_MADE_HERE),
        sources=arguments.paths(given["sources"], "sources"),
        folder="" if folder is None else arguments.path(folder, "destination"),
        recipe=Recipe(tails, Reading(**_of(Reading, given)), copies=given["filter"] is None),
        naming=naming,
        lists=() if listed is None else (_listed(listed),),
        rules=Rules(
            **_of(Rules, given, leave=("include", "exclude")),
            include=tuple(map(Pattern, arguments.texts(given["include"], "include"))),
            exclude=tuple(map(Pattern, arguments.texts(given["exclude"], "exclude"))),
        ),
        policy=Policy(given["resume"], given["update"], given["skip_existing"], given["overwrite"]),
        options=Options(**_of(Options, given, leave=("progress",))),
    )


_FLAGS = (
    "hidden", "follow", "one_file_system", "allow_empty", "resume", "update", "skip_existing",
    "overwrite", "checksum", "accept_version", "retry_failed", "in_place", "copy_others",
    "preserve", "if_smaller", "fail_fast", "progress",
)  # fmt: skip
_MADE_HERE = "sources", "options"


def _of(kind: type[Any], given: dict[str, Any], leave: Sequence[str] = ()) -> dict[str, Any]:
    """Return the arguments that are fields of `kind`."""
    names = {each.name for each in fields(kind)} - set(leave)
    return {name: given[name] for name in names if name in given}


def _outputs(given: dict[str, Any]) -> tuple[OutputNames, tuple[Tail, ...]]:
    """Return the names of the outputs of a file, and the way to each."""
    wanted, name = given["filter"], given["name"]
    formats = () if given["format"] is None else arguments.texts(given["format"], "format")
    writing = Writing(**_of(Writing, given, leave=("format",)))

    def chain(one: FilterLike | None) -> Chain:
        return Chain(()) if one is None else chain_from(one, given["halo"], given["dtype"])

    def tail(one: Chain, wanted: str | None) -> Tail:
        return Tail(one, replace(writing, format=wanted))

    if isinstance(wanted, Mapping):
        if name is not None or len(formats) > 1:
            raise UsageError("with several filters, each has a name of its own; leave out name")
        if not wanted:
            raise UsageError("filter has no filters; give None to convert files")
        templates = tuple(Template(arguments.text(one, "a key of filter")) for one in wanted)
        named = OutputNames(formats=formats, templates=templates)
        only_format = formats[0] if formats else None
        return named, tuple(tail(chain(one), only_format) for one in wanted.values())
    only = chain(wanted)
    template = None if name is None else Template(arguments.text(name, "name"))
    named = OutputNames(template, formats, filters="-".join(each.name for each in only))
    return named, tuple(tail(only, each) for each in formats or (None,))


def _observer(on_batch_event: BatchObserver | None, *, progress: bool) -> BatchObserver:
    """Return one observer for all observers of the batch."""
    observers = arguments.functions(on_batch_event, "on_batch_event", "an event")
    return Observers([*observers, *([display_for("auto", sys.stderr)] if progress else [])])


def _listed(given: Any) -> Iterator[str]:
    """Yield the names of a list, which is read once the batch begins."""
    for each in given:
        yield arguments.path(each, "a name in files_from")
