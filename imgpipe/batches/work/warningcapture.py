"""Capture of warnings about one file: they go into its answer instead of the log."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["captured_warnings", "capturing"]

_logger = logging.getLogger("imgpipe")
_lock = threading.Lock()
_collected: ContextVar[list[str] | None] = ContextVar("imgpipe_warnings", default=None)
_capture: _Capture | None = None


class _Capture(logging.Handler):
    """The only handler of imgpipe's warnings while a thread collects them.

    Warnings of other threads go on to the handlers before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.users = 0
        self._before, self._propagates = _logger.handlers, _logger.propagate
        _logger.handlers, _logger.propagate = [self], False

    def end(self) -> None:
        """Have the handlers before it in place again."""
        _logger.handlers, _logger.propagate = self._before, self._propagates

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        warnings = _collected.get()
        if warnings is not None:
            if record.levelno >= logging.WARNING:
                warnings.append(record.getMessage())
            return
        for handler in self._before:
            if record.levelno >= handler.level:
                handler.handle(record)
        if self._propagates and _logger.parent is not None:
            _logger.parent.callHandlers(record)


@contextlib.contextmanager
def capturing() -> Iterator[None]:
    """Collect warnings in the meantime, in any thread."""
    global _capture  # noqa: PLW0603 - the logger is as global
    with _lock:
        _capture = _capture or _Capture()
        _capture.users += 1
    try:
        yield
    finally:
        with _lock:
            _capture.users -= 1
            if not _capture.users:
                _capture.end()
                _capture = None


@contextlib.contextmanager
def captured_warnings(warnings: list[str] | None = None) -> Iterator[list[str]]:
    """Collect the warnings of this thread in `warnings`; they are not logged."""
    warnings = [] if warnings is None else warnings
    with capturing():
        token = _collected.set(warnings)
        try:
            yield warnings
        finally:
            _collected.reset(token)
