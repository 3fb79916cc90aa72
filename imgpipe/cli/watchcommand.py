"""The command ``watch``, which makes images as they arrive in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from imgpipe.cli.batchoptions import BatchOption
from imgpipe.cli.chaincommands import RunCommand
from imgpipe.cli.commands import glance
from imgpipe.cli.pages import write_examples
from imgpipe.cli.saving import Saving
from imgpipe.cli.sections import Argument
from imgpipe.cli.valuetypes import Seconds
from imgpipe.errors import UsageError

if TYPE_CHECKING:
    from imgpipe.chains.chain import Chain
    from imgpipe.chains.definition import Definition

__all__ = ["WatchCommand"]

CONVERT = "convert"
"""Stands for no filter at all."""

_SECTION = "Watch"
_NOT_HERE = frozenset({
    "allow_empty", "backup", "base", "copy_others", "dry_run", "fail_fast", "failed_to",
    "files_from", "ignore_existing", "in_place", "max_failures", "null", "order", "progress",
    "region", "report", "retry_failed", "seed", "skip_existing", "timeline", "update",
})  # fmt: skip
_HELP = {
    "output": "Folder of the outputs; not INBOX or a folder in it.",
    "resume": "Try failed files again at the start. [default: only when they change]",
    "overwrite": "Replace outputs that exist and are not in the journal.",
    "json": "Write events as JSON lines to standard output, with a heartbeat every minute.",
}


class WatchCommand(RunCommand):
    """The command that runs a chain over the files that arrive in a folder."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, summary)
        self.help = (
            "Run a chain of filters over all images in a folder and the folders below it, then "
            "over each new image that arrives there, until Ctrl-C or a signal ends it.\n\n"
            "A file is taken when it has not changed for a while. An output keeps the path of its "
            "file below INBOX. After a restart only the files that are not done are processed."
        )
        self.params = [*map(_adapted, self.params), *_watch_options()]

    def saving_of(self, found: dict[str, Any]) -> Saving:
        """Return the options of the output format, given the values that are known so far."""
        name = found.get("format")
        return Saving(None, name, mixed=name is None)

    def invoke(self, ctx: click.Context) -> None:
        """Watch the folder until it is enough."""
        from imgpipe.cli.refusals import refusal_in_events  # noqa: PLC0415 - not for help
        from imgpipe.cli.watchruns import run_watch  # noqa: PLC0415 - takes the engine along

        with refusal_in_events(["--json"] if ctx.params["json"] else []):
            self.begin(ctx)
            for option in self.params:
                given = ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
                if option.name in _NOT_HERE and given:
                    raise UsageError(f"{option.opts[-1]} is not an option of watch")
        ctx.exit(run_watch(ctx.params, lambda: self.work(ctx), ctx.obj or ()))

    def chain(self, ctx: click.Context) -> Chain | None:  # type: ignore[override]
        """Take the chain out of the parameters, and return it; None if there is no filter."""
        if ctx.params["chain"] == CONVERT:
            return None
        return super().chain(ctx)

    def about(self, definition: Definition, *, short: bool) -> str:
        """Return the description of the command."""
        return str(self.help)

    def _look_ahead(self, ctx: click.Context, args: list[str]) -> None:
        if glance(self, ctx, args).get("chain") == CONVERT:
            self.text = CONVERT
        else:
            super()._look_ahead(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            'imgpipe watch "resize:800x | unsharp" inbox/ -o web/',
            "imgpipe watch convert scans/ -o pages/ --format webp --move-done scanned/",
            "imgpipe watch blur:2 inbox/ -o out/ --json --poll 10",
        )


def _adapted(param: click.Parameter) -> click.Parameter:
    """Return a parameter of ``run`` as one of ``watch``."""
    if param.name == "inputs":
        return Argument(
            ["inputs"], "Folder to watch.", metavar="INBOX", type=click.Path(readable=False)
        )
    if isinstance(param, Argument):
        param.text += f" {CONVERT}: no filter."
    if isinstance(param, click.Option):
        param.hidden = param.hidden or param.name in _NOT_HERE
        param.help = _HELP.get(str(param.name), param.help)
    return param


def _watch_options() -> list[click.Parameter]:
    folder = click.Path(readable=False)
    return [
        BatchOption(["--settle"], _SECTION, type=Seconds(may_be_zero=True), metavar="SECONDS",
                    default=2.0, show_default=True, help="Take a file when it has not changed "
                    "for this time. A file that is renamed into INBOX is taken at once."),
        BatchOption(["--poll"], _SECTION, type=Seconds(), metavar="SECONDS", help="Scan at this "
                    "interval and use no events of the system. [default: 5, only if there are no "
                    "events, as on NFS]"),
        BatchOption(["--move-done"], _SECTION, type=folder, metavar="DIR", help="Move files there "
                    "when all their outputs are done."),
        BatchOption(["--move-failed"], _SECTION, type=folder, metavar="DIR", help="Move files "
                    "there when an output has failed."),
    ]  # fmt: skip
