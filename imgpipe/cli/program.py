"""The command ``imgpipe``: the names of all commands, without their imports."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from imgpipe import __version__
from imgpipe.cli.pages import SETTINGS, Context, write_examples
from imgpipe.cli.refusals import RefusingInEvents, refusal_in_events
from imgpipe.filtertable import OTHER_NAMES
from imgpipe.registry import FILTERS, filters_by_family
from imgpipe.suggestions import suggestion

__all__ = ["program"]

_COMMANDS = {
    "run": "Run a chain of filters, or your own function.",
    "convert": "Write an image in another format.",
    "watch": "Run a chain over images as they arrive in a folder.",
    "info": "Describe image files.",
    "check": "Check that a filter gives the same result in chunks; find its halo.",
    "filters": "List all filters with their parameters, or explain one.",
    "formats": "List all image formats with their options, or explain one.",
}


_FOR_FOLDERS = frozenset({
    "apply", "batch", "batches", "bulk", "dir", "directory", "files", "folder", "folders",
    "mogrify", "process",
})  # fmt: skip
"""Names that are tried for a command over a folder."""


class Program(RefusingInEvents, click.Group):
    """Lists the registered filters as commands, and imports none of them to do so."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*_COMMANDS, *(name for names in filters_by_family().values() for name in names)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        if cmd_name in _COMMANDS:
            from imgpipe.cli import (  # noqa: PLC0415 - not for help
                chaincommands,
                conversion,
                formatlist,
                infopage,
                inquiries,
                watchcommand,
            )

            made: dict[str, Callable[[str, str], click.Command]] = {
                "run": chaincommands.RunCommand,
                "convert": conversion.ConvertCommand,
                "watch": watchcommand.WatchCommand,
                "info": infopage.InfoCommand,
                "check": inquiries.CheckCommand,
                "filters": inquiries.FiltersCommand,
                "formats": formatlist.FormatsCommand,
            }
            return made[cmd_name](cmd_name, _COMMANDS[cmd_name])
        if cmd_name not in FILTERS:
            return None
        if cmd_name == "thumbnail":
            from imgpipe.cli.thumbnails import ThumbnailCommand  # noqa: PLC0415 - not for help

            return ThumbnailCommand(cmd_name, FILTERS[cmd_name].summary)
        from imgpipe.cli.commands import FilterCommand  # noqa: PLC0415 - not for help

        return FilterCommand(cmd_name, FILTERS[cmd_name].summary)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` begin with; suggest one where there is none."""
        with refusal_in_events(args):
            return self._resolved(ctx, args)

    def _resolved(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and (found := self.get_command(ctx, name)):
            return name, found, args[1:]  # it is made once, not again by the base class
        if name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        message = f"there is no command {name!r}"
        if name == "help":
            message += f"; write: imgpipe {' '.join([*args[1:2], '--help'])}"
        elif re.search(r"[:|]", name):
            message += f'; a chain is run by: imgpipe run "{name}"'
        elif name.lower() in _FOR_FOLDERS:
            message += "; every filter takes folders, for example: imgpipe blur photos/ -o out/"
        else:
            message += suggestion(name, self.list_commands(ctx), others=OTHER_NAMES)
        raise click.UsageError(message, ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the filters by family."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        width = max(map(len, FILTERS))
        with formatter.section("Filters (imgpipe FILTER --help explains one)"):
            for family, names in filters_by_family().items():
                with formatter.section(family):
                    formatter.write_dl([(f"{n:{width}}", FILTERS[n].summary) for n in names])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            "imgpipe blur photo.png -o out.png --sigma 2 -j 8",
            'imgpipe run "blur:sigma=2 | grayscale" photo.png -o out.png',
            "imgpipe run my_filter.py:relief:strength=2 photo.png -o out.png",
            "imgpipe blur --help",
            'eval "$(_IMGPIPE_COMPLETE=bash_source imgpipe)"  # completion; also zsh, fish',
        )


program = Program(
    "imgpipe",
    context_settings=SETTINGS,
    help="Apply filters to images of any size, on all cores and within a memory limit. The "
    "output is the same, byte for byte, for any number of workers.",
)
click.version_option(__version__, message="imgpipe %(version)s")(program)
