"""Observers: delivery of every event to any number of them, even if one fails."""

from __future__ import annotations

import contextlib
import logging
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from imgpipe import arguments
from imgpipe.errors import Cancelled
from imgpipe.events import Observing
from imgpipe.progress import Bar

__all__ = ["Observers", "observed"]

_log = logging.getLogger("imgpipe")


class Observers:
    """An observer that tells several others, one after the other.

    An observer that raises an exception is switched off, and a warning is logged. An observer that
    raises `imgpipe.errors.Cancelled`, or an exception that is no `Exception` (`KeyboardInterrupt`,
    `SystemExit`), ends the run.

    Parameters
    ----------
    observers : iterable of callable
        Functions of one event, or of something else that happens.
    """

    def __init__(self, observers: Iterable[Callable[[Any], object]]) -> None:
        self._listening = tuple(observers)

    def __call__(self, event: Any) -> None:
        """Tell every observer that is not switched off."""
        for observer in self._listening:
            try:
                observer(event)
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001 - no error of an observer ends the run
                self._listening = tuple(each for each in self._listening if each is not observer)
                _log.warning(
                    "the observer %s is switched off: %s", _name(observer), _description_of(error)
                )
                _log.debug("where the observer failed", exc_info=error)


@contextlib.contextmanager
def observed(on_event: Observing | None, *, progress: bool) -> Iterator[Observers]:
    """Give an observer that tells those in `on_event`, and shows a bar if `progress`."""
    observers: tuple[Callable[..., Any], ...] = arguments.functions(
        on_event, "on_event", "an event"
    )
    with contextlib.ExitStack() as held:
        bar = [held.enter_context(Bar(always=True))] if progress else []
        yield Observers([*bar, *observers])


def _name(observer: Callable[[Any], object]) -> str:
    return str(getattr(observer, "__qualname__", type(observer).__qualname__))


def _description_of(error: Exception) -> str:
    """Return the text of `error`, in one line, and the place where it was raised."""
    said = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
    _, *theirs = traceback.extract_tb(error.__traceback__)
    place = [f" ({os.path.basename(each.filename)}, line {each.lineno})" for each in theirs[-1:]]
    return "".join([said, *place])
