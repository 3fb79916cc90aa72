"""The command ``thumbnail``: one output, or several of one decode in a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from imgpipe.cli import signals
from imgpipe.cli.commands import FilterCommand
from imgpipe.cli.early import collect_garbage, fork_early
from imgpipe.cli.filteroptions import FilterOption
from imgpipe.cli.imageruns import timeline_at
from imgpipe.cli.messages import printable, say
from imgpipe.cli.pages import write_examples
from imgpipe.cli.saving import Saving
from imgpipe.cli.valuetypes import MemberName
from imgpipe.errors import OutputError, UsageError
from imgpipe.registry import FORMATS, format_name

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain
    from imgpipe.formats.declaration import Format

__all__ = ["ThumbnailCommand"]

_STANDARD = "-"


class _Formats(MemberName):
    """Names of formats, separated by commas."""

    name = "name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the names, separated by commas."""
        convert = super().convert
        return ",".join(convert(one.strip(), param, ctx) for one in str(value).split(","))


class _Sizes(click.ParamType):  # type: ignore[type-arg] # it takes none at run time before 8.4
    """Sizes of thumbnails, separated by commas."""

    name = "size,..."

    def __init__(self, one: click.ParamType) -> None:  # type: ignore[type-arg]
        self._one = one

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the sizes."""
        texts = value if isinstance(value, list) else str(value).split(",")
        made = [self._one.convert(text.strip(), param, ctx) for text in texts]
        return list(dict.fromkeys(made))


class _SavingAll(Saving):
    """The options of several formats."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(_STANDARD)
        self._names = names

    @property
    def _formats(self) -> list[Format]:
        from imgpipe.formats import choosing  # noqa: PLC0415 - takes NumPy along

        return [choosing.format_called(name) for name in self._names]

    def explain(self, option_name: str) -> None:
        """Say that no format has such an option, if other formats have it."""
        key = option_name.lstrip("-").replace("-", "_")
        if Saving(None).has(key):
            names = ", ".join(one.name for one in self._formats)
            raise UsageError(f"none of {names} has an option {key!r}")

    def _parsed(self, key: str, text: str) -> Any:
        for one in self._formats:
            if any(each.name == key for each in one.options):
                return one.option(key, one.name).parse(text, one.name)
        return text  # the run will refuse it


class ThumbnailCommand(FilterCommand):
    """The command of the filter ``thumbnail``, which also makes several outputs."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, summary)
        for option in self.params:
            if option.name == "format":
                option.type = _Formats(FORMATS)
                option.help = (
                    "Formats of the outputs, such as avif,webp,jpg. [default: that of the suffix, "
                    "or of the input if the output is a folder]"
                )
            if option.name == "output":
                option.help = (
                    "Output file, or a folder, which is made. In a folder the names are "
                    "STEM.EXT, and STEM-SIZE.EXT for several sizes."
                )

    @property
    def own_options(self) -> list[FilterOption]:
        """The options of the filter, of which the size may be several."""
        made = super().own_options
        for option in made:
            if option.parameter == "size" and not isinstance(option.type, _Sizes):
                option.type = _Sizes(option.type)
                option.help = (
                    "Longest side in pixels, such as 800, or 800x600 to fit into. Several sizes "
                    "are separated by commas: 400,800,1600."
                )
        return made

    def saving_of(self, found: dict[str, Any]) -> Saving:
        """Return the options of all formats that are made."""
        output, names = found.get("output"), (found.get("format") or "").split(",")
        if len(names) > 1:
            return _SavingAll([format_name(name.strip()) for name in names])
        if not names[0] and output is not None and _is_folder(output):
            return Saving(found.get("input_"))
        return super().saving_of(found)

    def invoke(self, ctx: click.Context) -> None:
        """Make the outputs."""
        output, sizes = ctx.params["output"], ctx.params["size"]
        formats = (ctx.params["format"] or "").split(",")
        many = len(sizes) > 1 or len(formats) > 1
        if not many and not _is_folder(output):
            super().invoke(ctx)
            return
        self.begin(ctx)
        chains = self._chains(ctx)
        save = self.saving.given(ctx) if self.saving is not None else {}
        _make_all(chains, formats, save=save or None, **ctx.params)

    def chain(self, ctx: click.Context) -> Chain:
        """Return the filter for the only size."""
        (chain,) = self._chains(ctx).values()
        return chain

    def _chains(self, ctx: click.Context) -> dict[str, Chain]:
        """Return the filter for each size."""
        values = {o.parameter: ctx.params.pop(str(o.name)) for o in self.own_options}
        return {size: self.factory(**values | {"size": size}) for size in values["size"]}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            "imgpipe thumbnail photo.jpg -o web/ --size 400,800,1600 --format avif,webp,jpg",
            "imgpipe thumbnail photo.png -o out.png --size 800",
        )


def _is_folder(output: str) -> bool:
    return output.endswith((os.sep, "/")) or os.path.isdir(output)


def _targets(input_: str, output: str, sizes: list[str], formats: list[str]) -> dict[str, str]:
    """Return the size of each output by its path."""
    from imgpipe.formats.choosing import format_called, format_for  # noqa: PLC0415

    if _STANDARD in (output, input_):
        raise UsageError("several outputs need files: give a file as INPUT, and a folder as -o")
    stem, suffix = os.path.splitext(os.path.basename(input_))
    suffixes = [format_called(name).suffixes[0] for name in formats if name]
    if not suffixes:
        if format_for(input_).read_only:
            raise UsageError(
                f"{input_}: its format cannot be written; give another one by --format"
            )
        suffixes = [suffix]
    elif not _is_folder(output) and os.path.splitext(output)[1]:
        raise UsageError(f"{output}: is not the name of a folder; for several outputs give -o DIR/")
    names = {
        (f"{stem}-{size}" if len(sizes) > 1 else stem) + end: size
        for size in sizes
        for end in suffixes
    }
    made = {os.path.join(output, name): size for name, size in names.items()}
    for path in made:
        if os.path.exists(path) and os.path.samefile(path, input_):
            raise UsageError(f"{path}: is the input; choose another folder")
    return made


@contextlib.contextmanager
def _folder(path: str) -> Iterator[None]:
    """Make a folder for outputs; remove it again if it stays empty."""
    made = not os.path.lexists(path)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{path}: cannot be made: {reason}; choose another folder") from error
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(path)


def _make_all(
    chains: dict[str, Chain],
    formats: list[str],
    *,
    input_: str,
    output: str,
    jobs: int | None,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    timeline: str | None,
    **options: Any,
) -> None:
    from imgpipe.engine.control import Control  # noqa: PLC0415 - takes NumPy along
    from imgpipe.machine import dedicated, keep_freed_memory  # noqa: PLC0415
    from imgpipe.progress import Bar  # noqa: PLC0415
    from imgpipe.several import plan_all, run_all  # noqa: PLC0415

    collect_garbage()
    keep_freed_memory()
    if options.pop("region", None) is not None:
        raise UsageError("--region is for one output; crop the image first")
    options.pop("format")
    options["workers"] = jobs
    targets = _targets(input_, output, list(chains), formats)
    outputs: dict[Any, Any] = {path: chains[size] for path, size in targets.items()}
    if not dry_run:
        fork_early(next(iter(chains.values())), input_, jobs, options["executor"])
    control = Control(samples_memory=not quiet)
    with _folder(output), dedicated(), signals.stopping(control.stop):
        if dry_run:
            for plan in plan_all(input_, outputs, **options):
                click.echo(printable(str(plan)))
            return
        drawn = timeline_at(timeline, input_, *outputs)
        with Bar(hidden=quiet or verbose) as bar, drawn as drawing:
            observers = [bar, *drawing]
            reports = run_all(input_, outputs, on_event=observers, control=control, **options)
        signals.outcome(f"all outputs in {output} were complete already")
    if not quiet:
        for report in reports:
            say(str(report))
