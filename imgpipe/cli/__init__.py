"""The command line: its entry point, and the exit codes of signals and errors.

====  ========================================================
0     done, or left as it is
1     it failed; a batch was stopped, such as by a full disk
2     the command itself is wrong, or refused: nothing was done
3     some files of a batch failed
70    a bug in imgpipe
129   the terminal went away (SIGHUP)
130   interrupted (Ctrl-C)
143   terminated (SIGTERM)
====  ========================================================

Nothing is imported before it is needed: help comes without NumPy.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from types import CodeType

from imgpipe.cli import crashes, signals
from imgpipe.streams import fill_in_streams

__all__ = ["execute", "main"]

_COMPLETE = "_IMGPIPE_COMPLETE"


def main() -> int:
    """Run the command that this process was started with; return its exit code, in any case."""
    code: int | None = None
    atexit.register(lambda: _end(code))  # first, and so the last that is called
    try:
        fill_in_streams()
        with crashes.reporting_crashes():
            signals.install()
            code = execute(sys.argv[1:])
    except signals.Signalled as stop:
        from imgpipe.cli.messages import say  # noqa: PLC0415

        say(f"imgpipe: {stop}")
        code = stop.exit_code
    finally:
        signals.ignore()  # all that is left is the end of the interpreter
    return code


def _end(code: int | None) -> None:
    """End the process, once threads have ended and all functions of `atexit` have been called.

    The interpreter would still take itself and every library apart, which takes longer than many
    an image.
    """
    if code is None:  # an exception ends it
        return
    with contextlib.suppress(Exception):  # the interpreter fails in the same way, and tells
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def execute(args: Sequence[str]) -> int:
    """Run the command `args`; tell errors in a line of text and return the exit code."""
    gc.disable()  # until the command begins: imported modules are no garbage
    try:
        return _executed(args)
    finally:
        gc.unfreeze()
        gc.enable()


def _executed(args: Sequence[str]) -> int:
    import click  # noqa: PLC0415 - once the signals are taken care of

    from imgpipe.cli.program import program  # noqa: PLC0415

    try:
        if instruction := os.environ.get(_COMPLETE):
            from click.shell_completion import shell_complete  # noqa: PLC0415

            import imgpipe.cli.completion  # noqa: F401, PLC0415 - tells click of our bash

            return shell_complete(program, {}, "imgpipe", _COMPLETE, instruction)
        words = list(args) or ["--help"]
        with program.make_context("imgpipe", words, obj=tuple(words)) as context:
            program.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        _drop_output()  # the reader has seen enough
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost place there is
        from imgpipe.cli.messages import explain, explain_output  # noqa: PLC0415 - not for help

        printing = _innermost(error) in (click.echo.__code__, _executed.__code__)
        if not (printing and isinstance(error, OSError)):
            return explain(error)
        _drop_output()
        return explain_output(error)
    return 0


def _drop_output() -> None:
    """Drop output that was not printed yet, which must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _innermost(error: BaseException) -> CodeType | None:
    """Return the code that raised `error`."""
    found, trace = None, error.__traceback__
    while trace is not None:
        found, trace = trace.tb_frame.f_code, trace.tb_next
    return found
