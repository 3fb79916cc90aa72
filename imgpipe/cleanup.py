"""Cleanup: code that Ctrl-C must not interrupt, such as a start or a release.

In a notebook or a script the interrupt arrives as a `KeyboardInterrupt` wherever the main thread
is just then. Within these contexts it waits until their end.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType

__all__ = ["CleanupStack", "uninterrupted"]


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back SIGINT; let it take effect afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if received and callable(before):
            before(*received[0])


class CleanupStack(contextlib.ExitStack):
    """An `ExitStack` that closes all its contexts before an interrupt takes effect."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Let go of everything."""
        with uninterrupted():
            return bool(super().__exit__(kind, error, trace))
