"""Refusals of a command: as an event if events are wanted, with options by their names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import click

from imgpipe.errors import ImgpipeError, UsageError

__all__ = ["RefusingInEvents", "naming_options", "refusal_in_events"]

_CHECKED_LATER = ("accelerator", "alpha", "background", "chunk", "nodata", "scratch", "value_range")
"""Options of which imgpipe's functions check the values, and name them as in Python."""


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
    """Write an error of the block as the only event, if `args` ask for events."""
    words = list(args)  # the parser takes them one by one
    try:
        yield
    except (click.ClickException, ImgpipeError, OSError) as error:
        if "--json" in words[: words.index("--") if "--" in words else None]:
            from imgpipe.batches.events import BatchRefused  # noqa: PLC0415
            from imgpipe.batches.progress.eventlines import EventLines  # noqa: PLC0415 - rarely needed

            EventLines(1)(BatchRefused(2, _plain(error)))
        raise


@contextlib.contextmanager
def naming_options(*names: str) -> Iterator[None]:
    """Name options as the command line does, in a refusal of the block.

    Parameters
    ----------
    *names : str
        Names in Python of options that the refusal lists. By default it is about the value of one.
    """
    listed = rf"\b({'|'.join(names)})\b"
    of_value = rf"(?:^|(?<=: ))({'|'.join(_CHECKED_LATER)})(?= must | is |: )"
    try:
        yield
    except UsageError as error:
        text = re.sub(listed if names else of_value, _option, str(error))
        if text == str(error):
            raise
        raise UsageError(text) from error


def _option(name: re.Match[str]) -> str:
    return "--" + name[1].replace("_", "-")


def _plain(error: Exception) -> Exception:
    """Return an error of the command line as one of imgpipe's tree."""
    if not isinstance(error, click.ClickException):
        return error
    from imgpipe.cli.messages import message_of  # noqa: PLC0415 - not for help

    return UsageError(message_of(error))
