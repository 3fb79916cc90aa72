"""Handles: a run in the background that can be followed, awaited and really stopped."""

from __future__ import annotations

import os
import threading
from typing import Any

from imgpipe import arguments
from imgpipe.events import Report
from imgpipe.filters.entry import FilterLike
from imgpipe.passes import Control
from imgpipe.pipeline import run

__all__ = ["Handle", "submit"]


class Handle:
    """A run that goes on in a thread of its own. Made by `submit`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._control = Control()
        self._report: Report | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._work, args=(args, kwargs), name="imgpipe-run", daemon=True
        )
        self._thread.start()

    @property
    def progress(self) -> float:
        """How much is done, from 0 to 1."""
        return 1.0 if self._report is not None else self._control.progress

    def done(self) -> bool:
        """Whether the run has ended, one way or another."""
        return not self._thread.is_alive()

    def result(self, timeout: float | None = None) -> Report:
        """Wait for the end and return the report.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        TimeoutError
            If the run goes on after `timeout` seconds.
        Cancelled
            If it was cancelled.
        ImgpipeError
            What it failed with; a `UsageError` also if `timeout` is no time.
        """
        if timeout is not None:
            timeout = arguments.seconds(timeout, "timeout", or_none_at_all=True)
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError("the run is not done yet")
        if self._error is not None:
            raise self._error
        assert self._report is not None
        return self._report

    def cancel(self) -> bool:
        """Stop the run: workers are ended, nothing is written. Returns once that is done.

        Returns
        -------
        bool
            False if the run had ended already.
        """
        if self.done():
            return False
        self._control.stop()
        self._thread.join()
        return self._report is None

    def _work(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._report = run(*args, control=self._control, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error


def submit(
    src: str | os.PathLike[str], filter: FilterLike, dst: str | os.PathLike[str], **options: Any
) -> Handle:
    """Start a run in the background.

    Parameters
    ----------
    src, filter, dst, **options
        As for `imgpipe.run`. Events are told in the thread of the run.

    Returns
    -------
    Handle
        With ``result()``, ``done()``, ``progress`` and ``cancel()``.
    """
    return Handle(src, filter, dst, **options)
