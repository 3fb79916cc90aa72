"""Refusals of a command, written as an event if events are wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import click

from imgpipe.errors import ImgpipeError, UsageError

__all__ = ["RefusingInEvents", "refusal_in_events"]


class RefusingInEvents(click.Command):
    """A command that tells a refusal of its arguments as an event, if events are wanted."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse `args`; if events are wanted, tell a refusal as one of them."""
        with refusal_in_events(args):
            return super().make_context(info_name, args, parent, **extra)


@contextlib.contextmanager
def refusal_in_events(args: Sequence[str]) -> Iterator[None]:
    """If `args` ask for events, write an error of the block as the only event."""
    words = list(args)  # the parser takes them one by one
    try:
        yield
    except (click.ClickException, ImgpipeError, OSError) as error:
        if "--json" in words[: words.index("--") if "--" in words else None]:
            from imgpipe.batches.eventlines import EventLines  # noqa: PLC0415 - rarely needed
            from imgpipe.batches.happenings import BatchRefused  # noqa: PLC0415

            EventLines(1)(BatchRefused(2, _plain(error)))
        raise


def _plain(error: Exception) -> Exception:
    """Return an error of the command line as one of imgpipe's tree."""
    return UsageError(error.format_message()) if isinstance(error, click.ClickException) else error
