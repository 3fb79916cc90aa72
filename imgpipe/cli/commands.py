"""Commands that make images: their base, and one for each registered filter, made at its call."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from imgpipe.cli.completion import unseen
from imgpipe.cli.docstrings import description
from imgpipe.cli.early import one_thread_each
from imgpipe.cli.examples import example
from imgpipe.cli.filteroptions import FilterOption, filter_options
from imgpipe.cli.imageruns import make_image
from imgpipe.cli.messages import log_to_stderr
from imgpipe.cli.pages import write_examples
from imgpipe.cli.refusals import RefusingInEvents, refusal_in_events
from imgpipe.cli.saving import SAVE, SaveOption, Saving, image_options
from imgpipe.cli.scope import (
    STANDARD,
    is_batch,
    must_be_complete,
    must_suit_one_image,
    seems_batch,
    without_batch,
)
from imgpipe.cli.sections import Sectioned, all_wanted, write_options
from imgpipe.cli.standard import no_input
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain, FilterFactory
    from imgpipe.cli.batchruns import Work

__all__ = ["OF_BARE", "FilterCommand", "ImageCommand", "glance"]

OF_BARE = frozenset({"halo", "dtype"})
"""Options that declare something of bare functions."""


class ImageCommand(RefusingInEvents, Sectioned):
    """A command that makes an image of an image by a chain."""

    saving: Saving | None = None  # options of the output format

    @property
    def is_open(self) -> bool:
        """Return whether no filter is named yet: then help and completion need no NumPy."""
        return False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`, some of which only a filter or a format knows, and they need NumPy."""
        one_thread_each()
        with unseen(ctx):
            found = glance(self, ctx, args)
            self.saving = self.saving_of(found)
        try:
            left = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if self.saving is not None:
                self.saving.explain(error.option_name)
            raise
        if not ctx.resilient_parsing:
            must_be_complete(ctx)
        return left

    def saving_of(self, found: dict[str, Any]) -> Saving:
        """Return the options of the output format, given the values that are known so far."""
        output, name = found.get("output"), found.get("format")
        if seems_batch(found):
            return Saving(None, name, mixed=name is None)
        return Saving(output, name)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of every command and those of the output format."""
        return self.with_saving(ctx, super().get_params(ctx))

    def with_saving(
        self, ctx: click.Context, params: list[click.Parameter]
    ) -> list[click.Parameter]:
        """Return `params`, with the options of the output format after the option ``-O``."""
        if self.saving is None:
            return params
        unknown = self.saving.output is None and not self.saving.mixed
        if self.is_open and (ctx.resilient_parsing or unknown):
            return params
        place = 1 + [param.name for param in params].index(SAVE)
        return [*params[:place], *self.saving.options(params), *params[place:]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in sections."""
        params = [each for each in self.shown(ctx) if not isinstance(each, SaveOption)]
        own = [each for each in params if isinstance(each, FilterOption)]
        others = [each for each in params if each not in own]
        saving = self.saving or Saving(None)
        of_format: tuple[str, list[tuple[str, str]]]
        if saving.output is None:
            of_format = saving.table(params)
        else:
            made = (each.get_help_record(ctx) for each in saving.options(params))
            of_format = saving.title, [record for record in made if record is not None]
        write_options(ctx, formatter, own, others, of_format, all_too=all_wanted(ctx))

    def shown(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the arguments and options for help."""
        return self.get_params(ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the words of the line of usage, the output among them."""
        return [*super().collect_usage_pieces(ctx), "-o OUTPUT"]

    def invoke(self, ctx: click.Context) -> None:
        """Make the image, or all of them."""
        many = self.makes_many(ctx)
        with refusal_in_events(["--json"] if ctx.params["json"] else []):
            self.begin(ctx)
            if not many:
                must_suit_one_image(ctx)
        if many:
            from imgpipe.cli.batchruns import run_batch  # noqa: PLC0415 - not for one image

            ctx.exit(run_batch(ctx.params, lambda: self.work(ctx), ctx.obj or ()))
        chain = self.chain(ctx)
        save = self.saving.given(ctx) if self.saving is not None else {}
        (one,) = ctx.params.pop("inputs")
        with contextlib.nullcontext() if one == STANDARD else no_input():
            make_image(chain, input_=one, save=save or None, **without_batch(ctx))

    def makes_many(self, ctx: click.Context) -> bool:
        """Return whether there may be several images, or the output is a folder."""
        return is_batch(ctx.params)

    def begin(self, ctx: click.Context) -> None:
        """Begin to tell as much as the options want."""
        quiet, verbose = ctx.params["quiet"], ctx.params["verbose"]
        if quiet and verbose:
            raise click.UsageError("give only one of --quiet and --verbose", ctx)
        log_to_stderr(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)

    def chain(self, ctx: click.Context) -> Chain | None:
        """Take the chain out of the parameters, and return it; None if there is none."""
        raise NotImplementedError

    def work(self, ctx: click.Context) -> Work:
        """Take the work on each of many images out of the parameters, and return it."""
        from imgpipe.chains.chain import Chain  # noqa: PLC0415 - takes NumPy along
        from imgpipe.cli.batchruns import Work  # noqa: PLC0415 - not for one image

        chain, name = self.chain(ctx), ctx.params["format"]
        save = self.saving.given(ctx) if self.saving is not None else {}
        chains = (Chain(()) if chain is None else chain,)
        return Work(chains, save, () if name is None else (name,), copies=chain is None)


class FilterCommand(ImageCommand):
    """The command of a registered filter, whose options are read from its signature."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, params=image_options(), short_help=summary)

    def invoke(self, ctx: click.Context) -> None:
        """Make the image, or all of them."""
        try:
            super().invoke(ctx)
        except UsageError as error:
            if self.name != "threshold" or not ctx.params.get("level"):
                raise
            text = f"{error}; --level is a level of the image pyramid, and --value the threshold"
            raise UsageError(text) from error

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
        kernel = self.factory.definition.kernel
        self.help = description(kernel, short=not all_wanted(ctx)) or self.short_help
        super().format_help_text(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, for a file and for a folder."""
        ends = ("photo.png", "-o", "out.png"), ("photos/", "-o", "out/")
        definition = self.factory.definition
        made = (example(["imgpipe", str(self.name), *each], definition) for each in ends)
        write_examples(formatter, *made)


def glance(command: click.Command, ctx: click.Context, args: list[str]) -> dict[str, Any]:
    """Return the values in `args` that are known while some options are not."""
    parser = command.make_parser(ctx)
    parser.ignore_unknown_options = True
    try:
        return parser.parse_args(list(args))[0]
    except click.UsageError:
        return {}  # it will be told when all options are known
