"""Tracebacks for the author of a filter: only the author's own lines."""

from __future__ import annotations

import os
import re
import threading
import traceback

__all__ = [
    "FILTER_NOTE",
    "in_worker",
    "of_changing_the_input",
    "of_the_function",
    "user_traceback",
]

FILTER_NOTE = "in the filter "
"""Begin of the note that tells which filter raised an exception."""

_PACKAGE = os.path.dirname(__file__)


def user_traceback(error: BaseException) -> str:
    """Return the traceback of `error`, its causes included, without the frames of imgpipe."""
    told = traceback.TracebackException.from_exception(error)
    _leave_out_ours(told)
    return "".join(told.format()).rstrip()


def of_changing_the_input(error: BaseException) -> bool:
    """Return whether `error` is that of NumPy or OpenCV about writing into a read-only array."""
    return isinstance(error, Exception) and re.search("read-?only", str(error)) is not None


def of_the_function(error: BaseException) -> bool:
    """Return whether a function raised `error`, which is not a wish of the user's to end."""
    if isinstance(error, (Exception, SystemExit, GeneratorExit)):
        return True
    return in_worker() or threading.current_thread() is not threading.main_thread()


def in_worker() -> bool:
    """Return whether this process is a worker, whose parent waits for it."""
    from multiprocessing import parent_process  # noqa: PLC0415 - slow, and rarely needed

    return parent_process() is not None


def _leave_out_ours(told: traceback.TracebackException) -> None:
    theirs = [frame for frame in told.stack if not frame.filename.startswith(_PACKAGE)]
    told.stack = traceback.StackSummary.from_list(theirs)
    notes = [note for note in told.__notes__ or () if not note.startswith(FILTER_NOTE)]
    told.__notes__ = notes or None
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _leave_out_ours(other)
