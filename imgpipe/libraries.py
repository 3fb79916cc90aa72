"""Libraries of accelerators: their first import, which may fail in any way.

A library of C may print while it is imported, end the process, or never return. What it prints in
a process of imgpipe goes nowhere. An import that ends a process is noted like a trial (see
`imgpipe.trialrecords`), so that it is not repeated for ever.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from imgpipe.errors import UsageError
from imgpipe.machine import is_helper, is_own_process
from imgpipe.registry import ACCELERATORS, Member
from imgpipe.trialrecords import record_of

__all__ = ["described", "import_accelerator", "is_imported", "origin"]

_MOST = 200  # characters of an error


def import_accelerator(name: str) -> Any:
    """Return the module of an accelerator.

    Raises
    ------
    Exception
        Any exception of the import; `UsageError` if it has ended two processes.
    """
    member = ACCELERATORS[name]
    if is_imported(name) or not member.module:
        return ACCELERATORS.load(name)
    record, key = record_of(name), _key(name, member)
    if record.outcome(key):
        with _silence():
            return ACCELERATORS.load(name)
    with record.trial(key) as may_begin:
        if not may_begin:
            raise UsageError(
                f"its import has ended two processes; repair or remove the library, or delete "
                f"{record.path} to try again"
            )
        with _silence():
            module = ACCELERATORS.load(name)
        record.note(key, equal=True)
        return module


def is_imported(name: str) -> bool:
    """Return whether the libraries of an accelerator are in this process."""
    needs = ACCELERATORS[name].needs
    return bool(needs) and all(sys.modules.get(module) is not None for module in needs)


def origin(module: str) -> str:
    """Return the file of a module that is not in a package; empty if it cannot be imported.

    A folder without Python files, which Python imports too, is no module.
    """
    with contextlib.suppress(ImportError, ValueError, AttributeError):  # blocked, or half removed
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and spec.loader is not None:
            return spec.origin
    return ""


def described(error: BaseException) -> str:
    """Return an error of a library in one line."""
    text = error if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    line = line.removesuffix(":")
    return line if len(line) <= _MOST else f"{line[:_MOST]}..."


def _key(name: str, member: Member) -> str:
    """Return the key of the import: the files of the library, and when they were changed."""
    found = [f"import {name}", sys.version.partition(" ")[0]]
    for module in (*member.needs, member.module.partition(".")[0]):
        path = origin(module)
        with contextlib.suppress(OSError, ValueError):
            status = os.stat(path)
            found.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return " ".join(" ".join(found).split())


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discard all output, in a process of imgpipe.

    In a command, only what Python code prints: the file descriptors may be in use by the result.
    """
    with contextlib.ExitStack() as held:
        if is_own_process():
            held.enter_context(contextlib.redirect_stdout(io.StringIO()))
            held.enter_context(contextlib.redirect_stderr(io.StringIO()))
            held.enter_context(warnings.catch_warnings(action="ignore"))
        if is_helper():
            for number in (1, 2):
                with contextlib.suppress(OSError):
                    held.callback(_give_back, number, os.dup(number))
            null = os.open(os.devnull, os.O_WRONLY)
            for number in (1, 2):
                os.dup2(null, number)
            os.close(null)
        yield


def _give_back(number: int, kept: int) -> None:
    os.dup2(kept, number)
    os.close(kept)
