"""Quiet codecs: messages of C libraries stay off the terminal."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from imgpipe.cleanup import uninterrupted
from imgpipe.tracebacks import in_worker

__all__ = ["codecs_quiet"]

_lock = threading.Lock()
_users = 0
_terminal = -1


@contextlib.contextmanager
def codecs_quiet() -> Iterator[None]:
    """Discard the output of C code on standard error, for as long as the block lasts.

    For calls of codecs that print. In a worker process nothing has to be done: standard error of
    its C code is the log of the pool. Elsewhere file descriptor 2 leads to the null device
    meanwhile, for all threads and for Python too, so the block is to be short.
    """
    if in_worker():
        yield
        return
    try:
        with uninterrupted():  # or standard error could stay silent
            _begin()
        yield
    finally:
        with uninterrupted():
            _end()


def _begin() -> None:
    global _users, _terminal  # noqa: PLW0603 - file descriptor 2 is as global
    with _lock:
        _users += 1
        if _users > 1:
            return
        with contextlib.suppress(OSError):  # it is closed, and silent anyway
            _terminal = os.dup(2)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.close(null)


def _end() -> None:
    global _users, _terminal  # noqa: PLW0603
    with _lock:
        _users -= 1
        if _users or _terminal < 0:
            return
        os.dup2(_terminal, 2)
        os.close(_terminal)
        _terminal = -1
