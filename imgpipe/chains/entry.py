"""Entry: the chain of any value that a caller may give as a filter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from imgpipe import arguments
from imgpipe.callables import name_of
from imgpipe.chains.chain import Chain, FilterFactory, as_chain
from imgpipe.chains.declarations import WORKS
from imgpipe.chains.definition import PairLike, Works
from imgpipe.errors import UsageError

__all__ = ["FilterLike", "chain_from"]

FilterLike = Chain | str | Callable[..., Any]
"""A filter, a chain, the text of one, a decorated function, or a bare one with its halo."""


def chain_from(
    given: FilterLike,
    halo: PairLike | None = None,
    dtype: Works | None = None,
    more: Mapping[str, Any] | None = None,
) -> Chain:
    """Return the chain that a caller means.

    Parameters
    ----------
    given : Filter, Chain, str or callable
        Text is that of `imgpipe run`: ``"blur:2 | grayscale"``.
    halo : int or (int, int), optional
        For bare functions, in text as well: the pixels that they look at on each side.
    dtype : {"keep", "float32"}, optional
        For bare functions: the type that they work in, as in `imgpipe.filter`.
    more : dict, optional
        Parameters of the only filter of a text that are given elsewhere.

    Raises
    ------
    UsageError
        If it is none of these, or `halo` or `dtype` are given where no function is bare.
    """
    halo = halo if halo is None or callable(halo) else arguments.pair(halo, "halo", at_least=0)
    dtype = None if dtype is None else _works(dtype)
    if isinstance(given, str):
        from imgpipe.chains.grammar import parse_chain  # noqa: PLC0415 - only for text

        chain = parse_chain(given, halo=halo, dtype=dtype, more=more)
    elif isinstance(given, (Chain, FilterFactory)) or not callable(given):
        chain = as_chain(given)
    elif halo is None:
        raise _without_halo(given)
    else:
        from imgpipe.chains.loading import declared_for  # noqa: PLC0415 - only for this

        chain = declared_for(given, name_of(given), halo, dtype)()
    for name, value in (("halo", halo), ("dtype", dtype)):
        if value is not None and not any(one.definition.bare for one in chain):
            raise UsageError(
                f"{name} is only for bare functions; every filter of this chain declares its own"
            )
    return chain


def _works(given: Any) -> Works:
    """Return the word for the type that a function works in, given NumPy's name or type."""
    with contextlib.suppress(TypeError):
        given = given if isinstance(given, str) else np.dtype(given).name
    for word in WORKS:
        if given == word:
            return word
    raise UsageError(f"dtype must be one of {', '.join(WORKS)}, not {given!r}")


def _without_halo(function: Callable[..., Any]) -> UsageError:
    """Return the error that a bare function without a halo is."""
    name = name_of(function)
    return UsageError(
        f"{name}: a bare function has no declared halo; give halo=N, where N is the number of "
        "pixels that it needs on each side of a pixel (0 for none), or write "
        f"@imgpipe.filter(halo=N) above it; imgpipe.check({name}) finds the smallest halo"
    )
