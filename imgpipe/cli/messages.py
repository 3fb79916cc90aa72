"""Messages: lines on standard error, and exit codes of errors."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

import click

from imgpipe.cli.missing import missing
from imgpipe.cli.unknown import unknown
from imgpipe.errors import ImgpipeError, InputError, OutputError, UsageError
from imgpipe.refusals import refusal

__all__ = [
    "HELP_WITH",
    "explain",
    "explain_output",
    "help_of",
    "log_through",
    "log_to_stderr",
    "message_of",
    "printable",
    "say",
]

HELP_WITH = "imgpipe.cli.help_with"
"""Key, in the `meta` of a context of click, of the word that completes its help."""

_log = logging.getLogger("imgpipe")


def say(text: str) -> None:
    """Print `text` on standard error."""
    with contextlib.suppress(OSError, ValueError):  # the reader may be gone
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201


def printable(text: str) -> str:
    """Return `text` with control characters, which file names may hold, spelt out."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def explain(error: Exception) -> int:
    """Tell an error, and return its exit code."""
    _log.debug("where it happened", exc_info=error)
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        more = f"\nTry '{help_of(context)}' for help." if context else ""
        say(f"imgpipe: error: {message_of(error)}{more}")
        return error.exit_code
    if isinstance(error, InputError | OutputError):  # of a file, whose name may have several lines
        say("imgpipe: error: " + str(error).replace("\n", "\\n"))
        return 1
    if isinstance(error, ImgpipeError):
        say(f"imgpipe: error: {error}")
        return 2 if isinstance(error, UsageError) else 1
    if told := refusal(error):
        say(f"imgpipe: error: {told}")
        return 1
    if isinstance(error, OSError):
        say(f"imgpipe: error: the system refused: {error}; --verbose shows the request")
        return 1
    say(
        f"imgpipe: internal error: {type(error).__name__}: {error}; please report it, "
        "with the output of the same command and --verbose"
    )
    return 70


def message_of(error: click.ClickException) -> str:
    """Return the message of an error of click."""
    if isinstance(error, click.NoSuchOption):
        return unknown(error)
    if isinstance(error, click.MissingParameter):
        return missing(error)
    return error.format_message()


def explain_output(error: OSError) -> int:
    """Tell that standard output took no more, and return the exit code for it."""
    reason = (error.strerror or str(error)).lower()
    say(f"imgpipe: error: standard output: cannot write: {reason}; send it to another place")
    return 1


def help_of(context: click.Context, option: str = "--help") -> str:
    """Return the command that shows the help of `context`."""
    import shlex  # noqa: PLC0415 - only for errors

    word = context.meta.get(HELP_WITH)
    return " ".join([context.command_path, *([shlex.quote(word)] if word else []), option])


def log_to_stderr(level: int) -> None:
    """Show the log of imgpipe from `level` on, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    _log.handlers[:] = [handler]
    _log.setLevel(level)


@contextlib.contextmanager
def log_through(write: Callable[[str], object]) -> Iterator[None]:
    """Show the log by another function than that for standard error, which may hold bars."""
    before = _log.handlers[:]
    handler = _Through(write)
    handler.setFormatter(_Formatter())
    _log.handlers[:] = [handler]
    try:
        yield
    finally:
        _log.handlers[:] = before


class _Through(logging.Handler):
    def __init__(self, write: Callable[[str], object]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(f"imgpipe: {record.levelname.lower()}: {super().format(record)}")
