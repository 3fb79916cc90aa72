"""Acceleration: kernels that another library computes, where the result has the same bits.

A kernel is a function of a padded chunk, written in NumPy. One that is `accelerated` asks the
accelerator in use for the result first. An accelerator that does not cover the type or the
parameters returns nothing, and NumPy computes. Nobody else has to know which of the two did it.

The first result for a type and its parameters is a trial: an accelerator that differs from the
kernel anywhere in small adversarial pictures is not asked again, see `imgpipe.trials`.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Concatenate, ParamSpec, Protocol, cast

from imgpipe.errors import UsageError
from imgpipe.image import Pixels
from imgpipe.registry import ACCELERATORS
from imgpipe.trials import is_equal

__all__ = ["AUTO", "NONE", "Accelerator", "accelerated", "chosen", "using"]

AUTO, NONE = "auto", "none"
_VARIABLE = "IMGPIPE_ACCELERATOR"

P = ParamSpec("P")
Kernel = Callable[Concatenate[Pixels, P], Pixels]


class Accelerator(Protocol):
    """A library that computes kernels: a module of `imgpipe.accelerators`, or of another package.

    Attributes
    ----------
    NAME, VERSION : str
        The library and its version. What was tried of another version does not count.
    KERNELS : dict of str to callable
        For the name of each kernel a function with the parameters of the kernel. It returns an
        array with the bits of the kernel, or None if it does not cover a call.
    """

    NAME: str
    VERSION: str
    KERNELS: Mapping[str, Callable[..., Pixels | None]]


_in_use: ContextVar[Accelerator | None] = ContextVar("accelerator", default=None)


def accelerated(kernel: Kernel[P]) -> Kernel[P]:
    """Let the accelerator in use compute a kernel, a function of a padded chunk."""
    name = kernel.__name__

    @functools.wraps(kernel)
    def compute(chunk: Pixels, /, *args: P.args, **kwargs: P.kwargs) -> Pixels:
        accelerator = _in_use.get() if chunk.dtype.isnative else None
        function = None if accelerator is None else accelerator.KERNELS.get(name)
        found = None if function is None else function(chunk, *args, **kwargs)
        if accelerator is None or function is None or found is None:
            return kernel(chunk, *args, **kwargs)
        with using(NONE):  # kernels that this one calls are not on trial
            equal = is_equal(
                f"{accelerator.NAME}-{accelerator.VERSION}",
                name,
                lambda picture: function(picture, *args, **kwargs),
                lambda picture: kernel(picture, *args, **kwargs),
                (chunk, found, (args, kwargs)),
            )
        return found if equal else kernel(chunk, *args, **kwargs)

    return compute


def chosen(asked: str | None) -> str:
    """Return the name of the accelerator to use, or ``"none"``.

    Parameters
    ----------
    asked : str or None
        A name, ``"auto"`` for any that is installed, or ``"none"``; by default the value of the
        environment variable IMGPIPE_ACCELERATOR, or else ``"auto"``.

    Raises
    ------
    UsageError
        If there is no such accelerator, or its library is not installed.
    """
    given = asked or os.environ.get(_VARIABLE) or AUTO
    if given == NONE:
        return NONE
    if given == AUTO:
        return next(filter(_is_installed, ACCELERATORS), NONE)
    if given not in ACCELERATORS:
        known = ", ".join((NONE, AUTO, *sorted(ACCELERATORS)))
        where = "accelerator" if asked else f"the environment variable {_VARIABLE}"
        raise UsageError(f"{where} must be one of {known}, not {given!r}")
    if not _is_installed(given):
        member = ACCELERATORS[given]
        raise UsageError(
            f"the accelerator {given!r} needs {', '.join(member.needs)}, which is not installed; "
            f"install it with: pip install 'imgpipe[{member.extra}]'"
        )
    return given


@contextmanager
def using(name: str) -> Iterator[None]:
    """Have the kernels of this thread computed by an accelerator, or by ``"none"``."""
    found = None if name == NONE else cast(Accelerator, ACCELERATORS.load(name))
    token = _in_use.set(found)
    try:
        yield
    finally:
        _in_use.reset(token)


def _is_installed(name: str) -> bool:
    return all(importlib.util.find_spec(module) for module in ACCELERATORS[name].needs)
