"""Choice of the accelerator of a run, made without loading one."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from imgpipe.acceleration import NONE
from imgpipe.acceleratortable import ACCELERATED, SINCE
from imgpipe.arguments import shown
from imgpipe.errors import UsageError
from imgpipe.libraries import is_imported as is_loaded
from imgpipe.libraries import origin
from imgpipe.machine import usable_processors
from imgpipe.registry import ACCELERATORS

__all__ = [
    "AUTO",
    "Accelerating",
    "accelerating",
    "asked_for",
    "is_loaded",
    "possible",
    "threads_will_do",
]

AUTO = "auto"
_VARIABLE = "IMGPIPE_ACCELERATOR"

_WORTH_LOADING = 8_000_000
"""Pixels for which an accelerator saves as much time as its import takes: 25 ms."""

_ROOM = 256_000_000
"""Limit on the memory, in bytes, from which on an accelerator does not make others go without."""

_FEW_THREADS = 4
"""Workers that do not wait for the interpreter's lock, if an accelerator computes the filters."""

_lock = threading.Lock()
_seen = [0.0]  # pixels of the images of this process so far


class Accelerating(NamedTuple):
    """The accelerator of a run.

    Attributes
    ----------
    name : str
        Its name, or ``"none"``.
    filters : tuple of str
        The filters of the chain that it computes.
    """

    name: str = NONE
    filters: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == NONE:
            return NONE
        return f"{' '.join(filter(None, (self.name, _version(self.name))))} for " + ", ".join(
            self.filters
        )


def asked_for(given: Any, memory: int | None = None) -> str:
    """Return ``"none"``, ``"auto"`` or the name of an accelerator that is installed.

    Parameters
    ----------
    given : str or None
        One of these; by default the value of the environment variable IMGPIPE_ACCELERATOR, or else
        ``"auto"``.
    memory : int or None
        The limit on the memory, if there is one. If it is low, ``"auto"`` means ``"none"``: the
        images need the memory more than the library.

    Raises
    ------
    UsageError
        If there is no such accelerator, or its library is not installed.
    """
    asked = given if given is not None else os.environ.get(_VARIABLE) or AUTO
    if asked == AUTO and memory is not None and memory < _ROOM:
        return NONE
    if asked in (NONE, AUTO):
        return str(asked)
    origin = "accelerator" if given is not None else f"the environment variable {_VARIABLE}"
    if not isinstance(asked, str) or asked not in ACCELERATORS:
        known = ", ".join((NONE, AUTO, *sorted(ACCELERATORS)))
        raise UsageError(f"{origin} must be one of {known}, not {shown(asked)}")
    if not _is_installed(asked):
        member = ACCELERATORS[asked]
        raise UsageError(
            f"{origin}: {asked!r} needs {', '.join(member.needs)}, which is not installed; install "
            f"it with: pip install 'imgpipe[{member.extra}]'"
        )
    return asked


def accelerating(asked: str, work: Iterable[tuple[str, str]], pixels: float) -> Accelerating:
    """Choose an accelerator for a chain.

    An accelerator of another package is chosen only by its name: to search for it takes long.

    Parameters
    ----------
    asked : str
        Result of `asked_for`.
    work : iterable of (str, str)
        The name of each filter, and the type of the image that it gets.
    pixels : float
        Size of the image. ``"auto"`` loads an accelerator only if it saves more time than it costs.
    """
    found = _fitting(asked, [*work])
    if found.name == NONE or (asked == AUTO and not _is_worth_loading(found.name, pixels)):
        return Accelerating()
    return found


def possible(asked: str | None, filters: Iterable[str] | None = None) -> Accelerating:
    """Return the accelerator that may be chosen for these filters, for any type and size.

    Without filters, any filter may be in the chain.
    """
    asked = asked_for(asked)
    if filters is None:
        return Accelerating(next(filter(_is_installed, _candidates(asked)), NONE))
    return _fitting(asked, [(name, "") for name in filters])


def threads_will_do(asked: str | None, names: Collection[str], workers: int | None) -> bool:
    """Return whether threads are as good as processes: few, with all work outside Python.

    Parameters
    ----------
    asked : str or None
        The accelerator that the caller wants.
    names : collection of str
        The filters.
    workers : int or None
        The workers that the caller wants.
    """
    if not names:
        return True
    few = (workers or usable_processors()) <= _FEW_THREADS
    return few and {*names} <= {*possible(asked, names).filters}


def _is_worth_loading(name: str, pixels: float) -> bool:
    """Return whether images are large enough, or the library is loaded already."""
    if is_loaded(name):
        return True
    with _lock:
        _seen[0] = min(_seen[0] + pixels, _WORTH_LOADING)
        return _seen[0] >= _WORTH_LOADING


def _fitting(asked: str, work: list[tuple[str, str]]) -> Accelerating:
    """Return the first accelerator that computes one of these filters; the type "" is any type."""
    for name in _candidates(asked) if work else ():
        table = ACCELERATED.get(name)
        filters = [
            each
            for each, dtype in work
            if table is None or (_is_of(table, each, dtype) and _is_recent(name, each))
        ]
        if filters and _is_installed(name):
            return Accelerating(name, tuple(dict.fromkeys(filters)))
    return Accelerating()


def _is_of(table: Mapping[str, Sequence[str]], filter_: str, dtype: str) -> bool:
    return dtype in table.get(filter_, ()) or (not dtype and filter_ in table)


def _is_recent(name: str, filter_: str) -> bool:
    """Return whether the installed version of the library computes a filter of the table."""
    since = SINCE.get(name, {}).get(filter_, 0)
    major = _version(name).partition(".")[0] if since else ""
    return not since or (major.isdecimal() and int(major) >= since)


def _candidates(asked: str) -> Iterable[str]:
    if asked == NONE:
        return ()
    return tuple(ACCELERATORS.built_in) if asked == AUTO else (asked,)


_installed: set[str] = set()


def _is_installed(name: str) -> bool:
    if name not in _installed:
        for module in ACCELERATORS[name].needs:
            if sys.modules.get(module) is None and not origin(module):
                return False
        _installed.add(name)
    return True


def _version(name: str) -> str:
    """Return the version of the library, as its file says; empty if it has none."""
    for module in ACCELERATORS[name].needs:
        with contextlib.suppress(OSError, ValueError):
            folder = os.path.dirname(origin(module)) or os.devnull
            with open(os.path.join(folder, "version.py"), encoding="utf-8") as file:
                found = re.search(r"version\w* = [\"'](\d+(\.\d+)?(\.\d+)?)", file.read())
                return found[1] if found else ""
    return ""
