"""Acceleration: kernels that another library computes, where the result has the same bits.

A kernel is a function of a padded chunk, written in NumPy. A kernel that is `accelerated` first
asks the accelerator in use for the result. If the accelerator does not cover the type or the
parameters, it returns None, and NumPy computes. The rest of imgpipe does not know which of the two
computed.

The first result for a type and its parameters starts a trial on small adversarial pictures. If the
accelerator differs from the kernel in one bit, it is not asked again; see `imgpipe.trials`.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol

import numpy as np

from imgpipe.image import Pixels
from imgpipe.libraries import described, import_accelerator
from imgpipe.registry import ACCELERATORS

__all__ = [
    "NONE",
    "Accelerator",
    "Loaded",
    "accelerated",
    "expect",
    "expected",
    "get_ready",
    "remark",
    "remarks",
    "using",
]

NONE = "none"

P = ParamSpec("P")
Kernel = Callable[Concatenate[Pixels, P], Pixels]

_log = logging.getLogger("imgpipe")
_MOST_KNOWN = 4096  # outcomes of trials that a process keeps


class Accelerator(Protocol):
    """A library that computes kernels: a module of `imgpipe.accelerators`, or of another package.

    Attributes
    ----------
    NAME, VERSION : str
        The library and its version. Trials of other versions do not count.
    KERNELS : dict of str to callable
        For the name of each kernel a function with the parameters of the kernel. It returns a new
        array with the bits of the kernel, or None if it does not cover a call. This may depend on
        the type, the channels and the parameters, but not on the number of rows and columns. Of
        parameters that are arrays, it may depend on the type and shape.
    BUILD : str, optional
        Other marks that identify the library. Trials of other builds do not count.
    """

    NAME: str
    VERSION: str
    KERNELS: Mapping[str, Callable[..., Pixels | None]]


class Loaded(NamedTuple):
    """An accelerator in this process.

    Attributes
    ----------
    accelerator : Accelerator
        The module.
    title : str
        The library and its version, for people.
    kernels : dict of str to callable
        Its functions.
    placing : frozenset of str
        The names of those that have the keyword `into`.
    known : dict
        Whether it gives the bits of the kernel, for each kind of call that was tried.
    """

    accelerator: Accelerator
    title: str
    kernels: Mapping[str, Callable[..., Pixels | None]]
    placing: frozenset[str]
    known: dict[Any, bool]


_in_use: ContextVar[Loaded | None] = ContextVar("imgpipe_accelerator", default=None)
_remarks: ContextVar[list[str] | None] = ContextVar("imgpipe_remarks", default=None)
_loaded: dict[str, Loaded | str] = {}  # or the reason why not
_told: set[str] = set()
_lock = threading.RLock()
_expected: list[str] = [NONE]


def _after_fork() -> None:
    """Make a new lock: a thread that holds the old one does not exist in the fork."""
    globals()["_lock"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def accelerated(kernel: Kernel[P]) -> Kernel[P]:
    """Let the accelerator in use compute a kernel, a function of a padded chunk.

    The kernel may have a keyword `into`: an array with room for the padded chunk. The result may
    be written to its inside, and is a view of that then; the halo may be overwritten. It is not
    the memory of the chunk.
    """
    name = kernel.__name__

    @functools.wraps(kernel)
    def compute(chunk: Pixels, /, *args: P.args, **kwargs: P.kwargs) -> Pixels:
        loaded = _in_use.get()
        function = None if loaded is None else loaded.kernels.get(name)
        if loaded is None or function is None or chunk.ndim != 3 or not chunk.dtype.isnative:
            return kernel(chunk, *args, **kwargs)
        params = {key: value for key, value in kwargs.items() if key != "into"}
        call = name, chunk.dtype, chunk.shape[2], args, *params.items()
        try:
            equal = loaded.known.get(call)
        except TypeError:  # an array; only its type and shape count
            call = name, chunk.dtype, chunk.shape[2], _plain(args), *_plain(params.items())
            equal = loaded.known.get(call)
        writes = name in loaded.placing
        given: dict[str, Any] = kwargs if writes else params
        found = None
        if equal is None:
            tried = _writing(function) if writes else function
            equal = _may_be_trusted(loaded, call, (tried, kernel), (args, params), chunk)
        if equal:
            found = _result(loaded, call, function, (args, given), chunk)
        return kernel(chunk, *args, **kwargs) if found is None else found

    return compute


def _writing(function: Callable[..., Pixels | None]) -> Callable[..., Pixels | None]:
    """Return a function that must give the same result in an array of its own and in a place."""

    def both(chunk: Pixels, *args: Any, **params: Any) -> Pixels | None:
        made = function(chunk, *args, **params)
        if made is None:
            return None
        rows, columns, _ = chunk.shape
        room = np.empty((rows, columns + 3, made.shape[2]), made.dtype)[:, 3:]
        placed = function(chunk, *args, **params, into=room)
        if placed is None or not np.array_equal(made, placed):
            raise ValueError("another result in a place")
        return placed

    return both


@contextmanager
def using(name: str) -> Iterator[None]:
    """Let an accelerator compute the kernels of this thread; ``"none"`` for NumPy.

    If it cannot be loaded, one warning says so, and NumPy computes.
    """
    token = _in_use.set(None if name == NONE else _load(name))
    try:
        yield
    finally:
        _in_use.reset(token)


@contextmanager
def remarks() -> Iterator[list[str]]:
    """Collect the remarks about accelerators of this context, to send them to another process."""
    found: list[str] = []
    token = _remarks.set(found)
    try:
        yield found
    finally:
        _remarks.reset(token)


def remark(text: str) -> None:
    """Collect a remark about an accelerator, or log it, once in this process."""
    collected = _remarks.get()
    if collected is not None:
        if text not in collected:
            collected.append(text)
        return
    with _lock:
        new = text not in _told
        _told.add(text)
    if new:
        _log.warning("%s", text)


def expect(name: str) -> None:
    """Note the accelerator that the next workers will need, or ``"none"``."""
    _expected[:] = [name]


def expected() -> str:
    """Return the accelerator that new workers will need; empty for none."""
    (name,) = _expected
    return name if name in ACCELERATORS and ACCELERATORS[name].module else ""


def get_ready(name: str) -> None:
    """Load an accelerator and the modules of its trials; a failure is reported at its use."""
    if name != NONE:
        with remarks(), suppress(Exception, SystemExit):
            _load(name)
            importlib.import_module("imgpipe.trials")


def _load(name: str) -> Loaded | None:
    """Return an accelerator, or None if it cannot be loaded; a failure is not repeated."""
    held = _loaded.get(name)
    if isinstance(held, str):
        remark(held)
        return None
    try:
        if held is not None:
            module = ACCELERATORS.load(name)
        else:
            with _lock:
                module = import_accelerator(name)
        if held is None or held.accelerator is not module:
            kernels, title = _kernels(module), f"{module.NAME} {module.VERSION}"
            held = Loaded(module, title, kernels, _placing(kernels), {})
    except BaseException as error:  # a library may raise anything
        if _is_wanted(error):
            raise
        reason = f"the accelerator {name!r} cannot be loaded ({described(error)})"
        _loaded[name] = f"{reason}; NumPy computes instead"
        return _load(name)
    _loaded[name] = held
    return held


def _kernels(module: Any) -> Mapping[str, Callable[..., Pixels | None]]:
    if not isinstance(module.KERNELS, Mapping):
        raise TypeError("KERNELS is not a mapping")
    return module.KERNELS


def _placing(kernels: Mapping[str, Callable[..., Pixels | None]]) -> frozenset[str]:
    """Return the names of the functions that have the keyword `into`."""
    return frozenset(
        name
        for name, function in kernels.items()
        if "into" in (getattr(function, "__kwdefaults__", None) or ())
    )


def _is_wanted(error: BaseException) -> bool:
    """Return whether the error is a request to stop this process, not a fault of the library."""
    return isinstance(error, KeyboardInterrupt) or type(error).__module__.startswith("imgpipe.cli")


def _may_be_trusted(
    loaded: Loaded,
    call: tuple[Any, ...],
    functions: tuple[Callable[..., Pixels | None], Callable[..., Pixels]],
    parameters: tuple[tuple[Any, ...], dict[str, Any]],
    chunk: Pixels,
) -> bool:
    """Return whether the results of a new kind of call have the bits of NumPy."""
    from imgpipe.trials import is_equal  # noqa: PLC0415 - only for new kinds of calls

    # Kernels that this one calls are not on trial; their faults show in the result.
    with _lock, using(NONE), np.errstate(all="ignore"):
        equal = loaded.known.get(call)
        if equal is None:
            equal, fault = is_equal(loaded.accelerator, call, functions, parameters, chunk)
            if fault:
                _switch_off(loaded, call, fault)
            _note(loaded, call, equal=equal)
    return equal


def _result(
    loaded: Loaded,
    call: tuple[Any, ...],
    function: Callable[..., Pixels | None],
    parameters: tuple[tuple[Any, ...], dict[str, Any]],
    chunk: Pixels,
) -> Pixels | None:
    """Return the result of a function; None if it has none or fails."""
    args, kwargs = parameters
    try:
        return function(chunk, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 - NumPy needs nothing of it
        _switch_off(loaded, call, f"fails ({described(error)})")
        return None


def _switch_off(loaded: Loaded, call: tuple[Any, ...], reason: str) -> None:
    _note(loaded, call, equal=False)
    remark(
        f"the accelerator {loaded.title} {reason} in the kernel {call[0]!r} of {call[1]}; NumPy "
        "computes it instead"
    )


def _note(loaded: Loaded, call: tuple[Any, ...], *, equal: bool) -> None:
    if len(loaded.known) >= _MOST_KNOWN:
        loaded.known.clear()
    loaded.known[call] = equal


def _plain(value: Any) -> Any:
    """Return parameters that can be a key: of arrays, their type and shape."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape
    if isinstance(value, str | bytes):
        return value
    try:
        return tuple(map(_plain, value))
    except TypeError:
        return value
