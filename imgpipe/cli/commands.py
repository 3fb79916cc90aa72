"""Commands: ``run``, and one for each registered filter, made at its call."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from imgpipe.cli import signals
from imgpipe.cli.completion import unseen
from imgpipe.cli.docstrings import description
from imgpipe.cli.early import collect_garbage, fork_early, one_thread_each
from imgpipe.cli.examples import example
from imgpipe.cli.messages import HELP_WITH, log_to_stderr, printable, say
from imgpipe.cli.options import FilterOption, Pair, chain_options, filter_options
from imgpipe.cli.pages import SETTINGS, write_examples
from imgpipe.cli.saving import (
    SAVE,
    SaveOption,
    Saving,
    image_options,
    standard_input,
    standard_output,
)
from imgpipe.errors import UsageError
from imgpipe.geometry import Halo

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain, FilterFactory
    from imgpipe.chains.definition import Definition
    from imgpipe.timeline import Timeline

__all__ = [
    "ChainCommand",
    "FilterCommand",
    "ImageCommand",
    "RunCommand",
    "all_declared",
    "timeline_at",
]

_OF_BARE = frozenset({"halo", "dtype"})  # options that declare something of bare functions
_SOME_HALO = (1, 1)  # stands for that of a bare function where nothing is run


class ImageCommand(click.Command):
    """A command that makes an image of an image by a chain."""

    saving: Saving | None = None  # options of the output format

    @property
    def is_open(self) -> bool:
        """Whether no filter is named yet: help and completion are quick then, without NumPy."""
        return False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, some of which only a filter or a format knows, and they need NumPy."""
        one_thread_each()
        with unseen(ctx):
            found = glance(self, ctx, args)
            self.saving = self.saving_of(found)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if self.saving is not None:
                self.saving.explain(error.option_name)
            raise

    def saving_of(self, found: dict[str, Any]) -> Saving:
        """Return the options of the output format, given the values that are known so far."""
        return Saving(found.get("output"), found.get("format"))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of every command and those of the output format."""
        return self.with_saving(ctx, super().get_params(ctx))

    def with_saving(
        self, ctx: click.Context, params: list[click.Parameter]
    ) -> list[click.Parameter]:
        """Return `params`, and the options of the output format after the one that gives any."""
        if self.saving is None:
            return params
        if self.is_open and (ctx.resilient_parsing or self.saving.output is None):
            return params
        place = 1 + [param.name for param in params].index(SAVE)
        return [*params[:place], *self.saving.options(params), *params[place:]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in sections."""
        from imgpipe.cli.sections import write_options  # noqa: PLC0415 - only for help

        params = [each for each in self.get_params(ctx) if not isinstance(each, SaveOption)]
        own = [each for each in params if each.name in _OF_BARE or isinstance(each, FilterOption)]
        others = [each for each in params if each not in own]
        saving = self.saving or Saving(None)
        of_format: tuple[str, list[tuple[str, str]]]
        if saving.output is None:
            of_format = saving.table(params)
        else:
            made = (each.get_help_record(ctx) for each in saving.options(params))
            of_format = saving.title, [record for record in made if record is not None]
        write_options(ctx, formatter, own, others, of_format)

    def invoke(self, ctx: click.Context) -> None:
        """Make the image."""
        self.begin(ctx)
        chain = self.chain(ctx)
        save = self.saving.given(ctx) if self.saving is not None else {}
        _make_image(chain, save=save or None, **ctx.params)

    def begin(self, ctx: click.Context) -> None:
        """Begin to tell as much as the options want."""
        quiet, verbose = ctx.params["quiet"], ctx.params["verbose"]
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose contradict each other", ctx)
        log_to_stderr(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)

    def chain(self, ctx: click.Context) -> Chain | None:
        """Take the chain out of the parameters, and return it; None if there is none."""
        raise NotImplementedError


class FilterCommand(ImageCommand):
    """The command of a registered filter, whose options are read from its signature."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name, context_settings=SETTINGS, params=image_options(), short_help=summary
        )

    @cached_property
    def factory(self) -> FilterFactory:
        """The filter, imported."""
        from imgpipe.chains.loading import load_registered  # noqa: PLC0415 - takes NumPy along

        return load_registered(str(self.name))

    @cached_property
    def own_options(self) -> list[FilterOption]:
        """The options of this filter alone."""
        return filter_options(self.factory.definition, self.params)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the filter, then those of every command."""
        own: Sequence[FilterOption] = ()
        with unseen(ctx):
            own = self.own_options
        return self.with_saving(ctx, [*own, *click.Command.get_params(self, ctx)])

    def chain(self, ctx: click.Context) -> Chain:
        """Return the filter with the values that were given."""
        return self.factory(**{o.parameter: ctx.params.pop(str(o.name)) for o in self.own_options})

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description of the filter, from its docstring."""
        self.help = description(self.factory.definition.kernel) or self.short_help
        super().format_help_text(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write an example."""
        words = ["imgpipe", str(self.name), "photo.png", "-o", "out.png"]
        write_examples(formatter, example(words, self.factory.definition))


class ChainCommand(click.Command):
    """A command that is told in words which filters it is about.

    Where it is one filter only, its parameters are options of the command as well.
    """

    bare_halo: Halo | None = None  # of a bare function, where none is given
    text = ""  # of the chain
    one: Definition | None = None  # the filter, where it is only one
    _own: Sequence[FilterOption] = ()
    _replaced: frozenset[str] = frozenset()  # options of the command that the filter has itself

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, in which the text of the chain decides the other options."""
        one_thread_each()
        with unseen(ctx):
            self._look_ahead(ctx, args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not self.text or self.one is not None:
                raise
            where = (
                "before the filter; an option of the filter itself goes after it"
                if self.text.startswith("-")
                else "for several filters; give values in the text of the chain, as in blur:sigma=2"
            )
            message = f"No such option {error.option_name!r} {where}"
            raise click.NoSuchOption(
                error.option_name, message, error.possibilities, ctx
            ) from error

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the filter, then those of the command."""
        others = [p for p in super().get_params(ctx) if p.name not in self._replaced]
        return [*self._own, *others]

    def chain(self, ctx: click.Context) -> Chain:
        """Take the chain out of the parameters, and return it."""
        from imgpipe.chains.entry import chain_from  # noqa: PLC0415 - takes NumPy along

        given = {option: ctx.params.pop(str(option.name)) for option in self._own}
        written = {
            option.parameter: value
            for option, value in given.items()
            if ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        }
        text, dtype = ctx.params.pop("chain"), ctx.params.pop("dtype", None)
        halo = ctx.params.pop("halo", None)
        if halo is None and not all_declared(text):
            halo = self.bare_halo
        return chain_from(text, halo, dtype, written)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description of the filter, if it is one, and of the command."""
        if self.one is not None:
            self.help = self.about(self.one)
        super().format_help_text(ctx, formatter)

    def about(self, definition: Definition) -> str:
        """Return the description of a filter, and of the command."""
        return f"{description(definition.kernel)}\n\n{self.help}".strip()

    def _look_ahead(self, ctx: click.Context, args: list[str]) -> None:
        """Find out the options of the chain, if it is one filter."""
        found = glance(self, ctx, args)
        text, halo = found.get("chain"), found.get("halo")
        if not isinstance(text, str):
            return
        self.text = text
        if text.startswith("-"):  # an option that is not known here; else "--" was before it
            return
        help_option = self.get_help_option(ctx)
        help_wanted = help_option is not None and help_option.name in found
        will_run = not help_wanted and not ctx.resilient_parsing
        from imgpipe.chains.grammar import definitions_in  # noqa: PLC0415 - takes NumPy along

        option = next(each for each in self.params if each.name == "halo")
        given = Pair().convert(halo, option, None) if halo else self.bare_halo
        definitions = definitions_in(text, given or (None if will_run else _SOME_HALO))
        if len(definitions) == 1:
            self.one = definitions[0]
            ctx.meta[HELP_WITH] = text
            if not self.one.bare:
                self._replaced = _OF_BARE & {p.name for p in self.one.parameters}
            taken = [p for p in self.params if p.name not in self._replaced]
            self._own = filter_options(self.one, taken)
            for own in self._own:
                own.required &= help_wanted  # else it is not known yet: the text may have it
        if not any(each.bare for each in definitions):
            for name in _OF_BARE - self._replaced:
                if found.get(name):
                    raise click.UsageError(
                        f"--{name} is only for bare functions; all filters here declare their own"
                    )


def glance(command: click.Command, ctx: click.Context, args: list[str]) -> dict[str, Any]:
    """Return the values in `args` that are known while some options are not."""
    parser = command.make_parser(ctx)
    parser.ignore_unknown_options = True
    try:
        return parser.parse_args(list(args))[0]
    except click.UsageError:
        return {}  # it will be told when all options are known


def all_declared(text: str) -> bool:
    """Whether `text` needs no --halo."""
    from imgpipe.chains import grammar  # noqa: PLC0415 - takes NumPy along

    return grammar.all_declared(text)


class RunCommand(ImageCommand, ChainCommand):
    """The command that runs any chain."""

    chain = ChainCommand.chain

    @property
    def is_open(self) -> bool:
        """Whether no filter is named yet."""
        return not self.text

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            context_settings=SETTINGS,
            params=[*chain_options(), *image_options()],
            short_help=summary,
            help="Run CHAIN over an image in one pass. A chain is one filter, or several filters "
            "separated by |. A filter is a name from imgpipe filters, or your own function, "
            "written FILE.py:FUNCTION or MODULE:FUNCTION. Decorate your function with "
            "@imgpipe.filter; a function without it is a bare function and needs --halo. Values "
            "follow a colon: blur:sigma=2,border=wrap. Quote a text value that contains a blank or "
            "one of | : , =. A chain of one filter also takes its values as options.",
        )

    def about(self, definition: Definition) -> str:
        """Return the description of the filter, and the needs of a bare function."""
        text = description(definition.kernel) or str(self.help)
        if all_declared(self.text):
            return text
        return (
            f"{text}\n\n{definition.name} is a bare function, so --halo N must be given; "
            f"imgpipe check {self.text} finds the smallest halo."
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        if self.one is not None:
            halo = [] if all_declared(self.text) else ["--halo", "1"]
            words = ["imgpipe", "run", self.text, "photo.png", "-o", "out.png", *halo]
            write_examples(formatter, example(words, self.one))
            return
        write_examples(
            formatter,
            'imgpipe run "blur:sigma=2,border=reflect | grayscale" photo.png -o out.png',
            "imgpipe run my_filter.py:emboss photo.png -o out.png --strength 2",
            "imgpipe run package.module:function photo.png -o out.png --halo 3",
        )


def _make_image(
    chain: Chain | None,
    *,
    input_: str,
    output: str,
    jobs: int | None,
    timeline: str | None,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    from imgpipe.converting import convert, plan_conversion  # noqa: PLC0415
    from imgpipe.engine.control import Control  # noqa: PLC0415 - takes NumPy along
    from imgpipe.machine import dedicated, keep_freed_memory  # noqa: PLC0415
    from imgpipe.progress import Bar  # noqa: PLC0415
    from imgpipe.running import plan_run, run  # noqa: PLC0415

    collect_garbage()
    keep_freed_memory()
    options["workers"] = jobs
    if not dry_run and not (chain is None and _may_be_copied(input_, output, options)):
        light = chain is None and _is_for_threads(input_, output)
        fork_early(chain or (), input_, jobs, options["executor"], light=light)
    control = Control(samples_memory=not quiet)  # nobody is told
    ends = standard_input(input_), standard_output(output)
    plan, make = (partial(plan_conversion, *ends), partial(convert, *ends)) if chain is None else (
        partial(plan_run, ends[0], chain, ends[1]), partial(run, ends[0], chain, ends[1])
    )  # fmt: skip
    with dedicated(), signals.stopping(control.stop):
        if dry_run:
            click.echo(printable(str(plan(**options))))
            return
        with Bar(hidden=quiet or verbose) as bar, timeline_at(timeline, input_, output) as drawing:
            report = make(on_event=[bar, *drawing], control=control, **options)
        if not report.skipped:
            signals.outcome(f"{report.destination} was complete already")
    if verbose:
        say(f"executor: {report.executor}")
    if not quiet:
        say(str(report))
        for one in drawing:
            say(f"{timeline}: {one.verdict.sentence}")


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
    """Whether a conversion seems to need no workers."""
    same = os.path.splitext(input_)[1].lower() == os.path.splitext(output)[1].lower()
    return same and not options["save"] and options["region"] is None


def _is_for_threads(input_: str, output: str) -> bool:
    """Whether a conversion seems to be one of those that are made by threads."""
    ends = (os.path.splitext(path)[1].lower() for path in (input_, output))
    jpeg = ".jpg", ".jpeg"
    return next(ends) in (*jpeg, ".png") and next(ends) in jpeg
