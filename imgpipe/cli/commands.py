"""Commands: ``run``, and one for each registered filter; each is made when it is called."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from imgpipe.cli import signals
from imgpipe.cli.early import fork_early, one_thread_each
from imgpipe.cli.messages import log_to_stderr, printable, say
from imgpipe.cli.options import Pair, chain_options, common_options, filter_options, option_words
from imgpipe.cli.program import SETTINGS, write_examples
from imgpipe.errors import UsageError
from imgpipe.geometry import Halo

if TYPE_CHECKING:
    from imgpipe.filters.base import Chain, Definition, FilterFactory
    from imgpipe.filters.parameters import Parameter

__all__ = ["ChainCommand", "FilterCommand", "RunCommand", "all_declared"]


class ImageCommand(click.Command):
    """A command that makes an image of an image by a chain."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, some of which only a filter knows, and it takes NumPy along."""
        one_thread_each()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Make the image."""
        quiet, verbose = ctx.params["quiet"], ctx.params["verbose"]
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose contradict each other", ctx)
        log_to_stderr(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
        chain = self.chain(ctx)
        _make_image(chain, **ctx.params)

    def chain(self, ctx: click.Context) -> Chain:
        """Take from the parameters what describes the chain, and return it."""
        raise NotImplementedError


class FilterCommand(ImageCommand):
    """The command of a registered filter, whose options are read from its signature."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name, context_settings=SETTINGS, params=common_options(), short_help=summary
        )

    @cached_property
    def factory(self) -> FilterFactory:
        """The filter, imported."""
        from imgpipe.filters.loading import load_registered  # noqa: PLC0415 - takes NumPy along

        return load_registered(str(self.name))

    @cached_property
    def own_options(self) -> list[click.Option]:
        """The options of this filter alone."""
        return filter_options(self.factory.definition, self.params)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the filter, then those of every command."""
        return [*self.own_options, *super().get_params(ctx)]

    def chain(self, ctx: click.Context) -> Chain:
        """Return the filter with the values that were given."""
        return self.factory(**{str(o.name): ctx.params.pop(str(o.name)) for o in self.own_options})

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the filter does, in the words of its docstring."""
        text = inspect.getdoc(self.factory.definition.kernel) or str(self.short_help)
        self.help = re.split(r"\n+\w+\n---", text)[0].replace("``", "")
        super().format_help_text(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write an example."""
        import shlex  # noqa: PLC0415 - only for help

        words = shlex.join(_example_words(self.factory.definition))
        write_examples(formatter, f"imgpipe {self.name} photo.png -o out.png {words}".rstrip())


class ChainCommand(click.Command):
    """A command that is told in words which filters it is about.

    Where it is one filter only, its parameters are options of the command as well.
    """

    bare_halo: Halo | None = None  # of a bare function, where none is given
    _own: Sequence[click.Option] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, in which the text of the chain decides what else there may be."""
        one_thread_each()
        if not ctx.resilient_parsing:
            self._own = self._options_of(*self._glance(ctx, args))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the filter, then those of the command."""
        return [*self._own, *super().get_params(ctx)]

    def chain(self, ctx: click.Context) -> Chain:
        """Take from the parameters what describes the chain, and return it."""
        from imgpipe.filters.grammar import parse_chain  # noqa: PLC0415 - takes NumPy along

        text, halo = ctx.params.pop("chain"), ctx.params.pop("halo")
        given = {str(o.name): ctx.params.pop(str(o.name)) for o in self._own}
        written = {
            name: value
            for name, value in given.items()
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        }
        return parse_chain(text, halo=halo or self.bare_halo, more=written)

    def _glance(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any]:
        """Return the text of the chain and the halo, as far as can be told yet."""
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            found, _, _ = parser.parse_args(list(args))
        except click.UsageError:
            return None, None  # it will be told when all options are known
        return found.get("chain"), found.get("halo")

    def _options_of(self, text: Any, halo: Any) -> Sequence[click.Option]:
        if not isinstance(text, str):
            return ()
        from imgpipe.filters.grammar import definitions_in  # noqa: PLC0415 - takes NumPy along

        option = next(each for each in self.params if each.name == "halo")
        given = Pair().convert(halo, option, None) if halo else self.bare_halo
        definitions = definitions_in(text, given)
        if halo and all_declared(text):
            raise click.UsageError("--halo is for bare functions; every filter here declares its")
        if len(definitions) != 1:
            return ()
        options = filter_options(definitions[0], self.params, strict=False)
        for option in options:
            option.required = False  # the text may have it
        return options


def all_declared(text: str) -> bool:
    """Whether `text` names no bare function."""
    from imgpipe.filters.grammar import definitions_in  # noqa: PLC0415

    try:
        return bool(definitions_in(text))
    except UsageError:
        return False


class RunCommand(ChainCommand, ImageCommand):
    """The command that runs any chain."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            context_settings=SETTINGS,
            params=[*chain_options(), *common_options()],
            short_help=summary,
            help="Run CHAIN, filters separated by |, over an image in one pass. A filter is a "
            "registered one (see imgpipe filters), or a function of yours that is decorated with "
            "@imgpipe.filter, as FILE.py:FUNCTION or MODULE:FUNCTION. Values follow a colon: "
            "blur:sigma=2,border=wrap. Text with any of | : , = or blanks goes in quotes. Of a "
            "single filter they may be given as options too, after it.",
        )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            'imgpipe run "blur:sigma=2,border=reflect | grayscale" photo.png -o out.png',
            "imgpipe run my_filter.py:emboss photo.png -o out.png --strength 2",
            "imgpipe run package.module:function photo.png -o out.png --halo 3",
        )


def _make_image(
    chain: Chain,
    *,
    input_: str,
    output: str,
    jobs: int | None,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    from imgpipe.passes import Control  # noqa: PLC0415 - takes NumPy along
    from imgpipe.pipeline import plan_run, run  # noqa: PLC0415
    from imgpipe.progress import Bar  # noqa: PLC0415

    options["workers"] = jobs
    if not dry_run:
        fork_early(chain, input_, jobs)
    control = Control()
    with signals.stopping(control.stop):
        if dry_run:
            click.echo(printable(str(plan_run(input_, chain, output, **options))))
            return
        with Bar(hidden=quiet or verbose) as bar:
            report = run(input_, chain, output, on_event=bar, control=control, **options)
        signals.outcome(f"{output} was complete already")
    if verbose:
        say(f"executor: {report.executor}")
    if not quiet:
        say(str(report))


def _example_words(definition: Definition) -> Iterator[str]:
    """Yield the words of an example: for what must be given, else for the first parameter."""
    required = [p for p in definition.parameters if p.required]
    for parameter in required or definition.parameters[:1]:
        is_file = parameter.name in definition.operands
        yield from option_words(parameter, "other.png" if is_file else _example_value(parameter))


def _example_value(parameter: Parameter) -> str:
    if parameter.example or parameter.choices:
        return parameter.example or parameter.choices[-1]
    if parameter.kind is bool:
        return "false" if parameter.default is True else "true"
    if not parameter.required and parameter.default is not None:
        return str(parameter.default)
    if parameter.kind not in (int, float):
        return "text"
    low, high = (parameter.bounds.low, parameter.bounds.high) if parameter.bounds else (0, 100)
    return f"{max(low, min(100, high)):g}"
