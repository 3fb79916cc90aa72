"""Commands that are told in words which filters they are about: their base, and ``run``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from imgpipe.cli.commands import OF_BARE, ImageCommand, glance
from imgpipe.cli.completion import unseen
from imgpipe.cli.docstrings import description
from imgpipe.cli.early import one_thread_each
from imgpipe.cli.examples import example
from imgpipe.cli.filteroptions import FilterOption, filter_options
from imgpipe.cli.messages import HELP_WITH
from imgpipe.cli.options import chain_options
from imgpipe.cli.pages import write_examples
from imgpipe.cli.saving import image_options
from imgpipe.cli.sections import HELP_ALL, Sectioned, all_wanted, write_options
from imgpipe.cli.unknown import MisplacedOption
from imgpipe.cli.valuetypes import Pair
from imgpipe.geometry import Halo

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain
    from imgpipe.chains.definition import Definition

__all__ = ["ChainCommand", "RunCommand", "all_declared"]

_OF_CHAIN = 'Filters to run, such as "blur:sigma=2 | grayscale" or my_filter.py:relief.'
_SOME_HALO = (1, 1)  # stands for that of a bare function where nothing is run


class ChainCommand(Sectioned):
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
            place = (
                "before the filter; write an option of the filter after it"
                if self.text.startswith("-")
                else "for several filters; write values into the chain, as in blur:sigma=2"
            )
            message = f"there is no option {error.option_name!r} {place}"
            raise MisplacedOption(error.option_name, message, ctx=ctx) from error

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
            self.help = self.about(self.one, short=not all_wanted(ctx))
        super().format_help_text(ctx, formatter)

    def about(self, definition: Definition, *, short: bool) -> str:
        """Return the description of a filter, and of the command."""
        return f"{description(definition.kernel, short=short)}\n\n{self.help}".strip()

    def shown(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the arguments and options for help: those of a bare function where it may be."""
        known = {"chain"} if self.one is not None else set[str]()
        if self.one is not None and not self.one.bare:
            known |= OF_BARE - self._replaced
        return [each for each in self.get_params(ctx) if each.name not in known]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in sections."""
        params = self.shown(ctx)
        own = [each for each in params if isinstance(each, FilterOption)]
        others = [each for each in params if each not in own]
        write_options(ctx, formatter, own, others, all_too=True)

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
        help_wanted = HELP_ALL in found or (help_option is not None and help_option.name in found)
        will_run = not help_wanted and not ctx.resilient_parsing
        from imgpipe.chains.grammar import definitions_in  # noqa: PLC0415 - takes NumPy along

        option = next(each for each in self.params if each.name == "halo")
        given = Pair().convert(halo, option, None) if halo else self.bare_halo
        definitions = definitions_in(text, given or (None if will_run else _SOME_HALO))
        if len(definitions) == 1:
            self.one = definitions[0]
            ctx.meta[HELP_WITH] = text
            if not self.one.bare:
                self._replaced = OF_BARE & {p.name for p in self.one.parameters}
            taken = [p for p in self.params if p.name not in self._replaced]
            self._own = filter_options(self.one, taken)
            for own in self._own:
                own.required &= help_wanted  # else it is not known yet: the text may have it
        if not any(each.bare for each in definitions):
            for name in OF_BARE - self._replaced:
                if found.get(name):
                    raise click.UsageError(
                        f"--{name} is only for bare functions; every filter of this chain "
                        "declares its own"
                    )


def all_declared(text: str) -> bool:
    """Return whether `text` needs no --halo."""
    from imgpipe.chains import grammar  # noqa: PLC0415 - takes NumPy along

    return grammar.all_declared(text)


class RunCommand(ImageCommand, ChainCommand):
    """The command that runs any chain."""

    chain = ChainCommand.chain
    shown = ChainCommand.shown

    @property
    def is_open(self) -> bool:
        """Return whether no filter is named yet."""
        return not self.text

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            params=[*chain_options(_OF_CHAIN), *image_options()],
            short_help=summary,
            help="Run a chain of filters over an image in one pass.\n\n"
            'A chain is one filter, or several filters separated by |: "blur:sigma=2 | grayscale". '
            "The parameters of a filter follow a colon: blur:sigma=2,border=wrap. A chain of one "
            "filter also takes them as options: blur --sigma 2. Quote a text value that contains a "
            "blank or one of | : , =.\n\n"
            "A filter is a name from `imgpipe filters`, or your own function: FILE.py:FUNCTION or "
            "MODULE:FUNCTION. Decorate it with @imgpipe.filter. A function without this decorator "
            "is called a bare function, and needs --halo.",
        )

    def about(self, definition: Definition, *, short: bool) -> str:
        """Return the description of the filter, and the needs of a bare function."""
        text = description(definition.kernel, short=short) or str(self.help)
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
            'imgpipe run "resize:800x | unsharp" photos/ -o web/ --format webp',
            "imgpipe run my_filter.py:relief photo.png -o out.png --strength 2",
            "imgpipe run package.module:function photo.png -o out.png --halo 3",
        )
