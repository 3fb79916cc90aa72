"""Refusals: resources that the system or an ending Python denies, and the advice for each.

A package of an incomplete installation counts as one.
"""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Iterator

from imgpipe.errors import WorkerError

__all__ = ["begin", "causes", "python_is_ending", "refusal", "refused"]

_ENDING = (
    "Python is about to end and starts no more workers or threads; wait for the threads that call "
    "imgpipe before the script ends (thread.join()), or use executor='serial'"
)
_THREAD = (
    "the system gave no thread; lower -j (workers=), end other programs, or raise the limits on "
    "processes and memory (ulimit -u, ulimit -v)"
)
_PROCESS = (
    "the system gave no process; lower -j (workers=), end other programs, or raise the limit on "
    "processes (ulimit -u)"
)
_MEMORY = (
    "the system gave no memory; lower --max-memory (max_memory=) or -j (workers=), or raise the "
    "limit on memory (ulimit -v)"
)
_FILE = (
    "the system opens no more files; lower -j (workers=), close some, or raise the limit on open "
    "files (ulimit -n)"
)
_SPACE = "the system gave no address space to load a library; raise the limit on it (ulimit -v)"
_BY_NUMBER = {
    errno.EAGAIN: _PROCESS,
    errno.ENOMEM: _MEMORY,
    errno.EMFILE: _FILE,
    errno.ENFILE: _FILE,
}
_BY_WORDS = {
    "can't start new thread": _THREAD,
    "interpreter shutdown": _ENDING,
    "atexit after shutdown": _ENDING,
    "failed to map segment": _SPACE,
    "cannot allocate memory": _SPACE,
    "Cannot allocate memory": _SPACE,
}
_PACKAGES = {
    "PIL": "pillow",
    **{
        name: name
        for name in ("imagecodecs", "isal", "simplejpeg", "OpenImageIO", "tifffile", "cloudpickle")
    },
}
"""Packages that imgpipe requires but loads late, by the names of their modules."""


def refusal(error: BaseException) -> str:
    """Return the refused resource and the remedy; "" if `error` is about something else.

    Libraries often say only that they could not be loaded, and keep the reason as the cause.
    """
    return next(filter(None, map(_refusal_of, causes(error))), "")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, then each error that led to the one before."""
    reason: BaseException | None = error
    seen = set[int]()  # causes of errors may form a circle
    while reason is not None and id(reason) not in seen:
        yield reason
        seen.add(id(reason))
        reason = reason.__cause__ or reason.__context__


def _refusal_of(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, ModuleNotFoundError):
        package = _PACKAGES.get((error.name or "").partition(".")[0])
        return f"the package {package} is not installed: pip install {package}" if package else ""
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0, "")
    if isinstance(error, (RuntimeError, ImportError)):
        return next((told for words, told in _BY_WORDS.items() if words in str(error)), "")
    return ""


def begin(thread: threading.Thread) -> None:
    """Start `thread`.

    Raises
    ------
    WorkerError
        If the system gives none.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise refused(error) or error from error


def refused(error: BaseException) -> WorkerError | None:
    """Return `error` as one of ours if it is a refusal, else None."""
    told = refusal(error)
    return WorkerError(told) if told else None


def python_is_ending() -> bool:
    """Return whether executors take no more tasks, because the main thread has ended.

    Threads that it does not wait for, and those that it is waiting for, go on for a while.
    """
    processes = sys.modules.get("concurrent.futures.process")
    if processes is not None:
        return bool(getattr(processes, "_global_shutdown", False))
    return bool(getattr(threading, "_SHUTTING_DOWN", False))  # it cannot be imported any more
