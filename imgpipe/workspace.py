"""Workspaces: arrays that a module keeps from call to call, because fresh memory is slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from imgpipe.image import Pixels

__all__ = ["Workspace"]


class Workspace(threading.local):
    """The arrays of one module, in each thread its own.

    Every module that computes has one, so that its names are its own: a kernel that calls that of
    another module keeps its values. Two functions of a module that call each other need
    different names.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, str], Pixels] = {}

    def array(self, name: str, dtype: np.dtype[Any] | type, size: int) -> Pixels:
        """Lend the flat array `name`, until it is asked for again.

        Parameters
        ----------
        name : str
            One name for each array that is in use at the same time.
        dtype : dtype
            Arrays of one name and different types are different.
        size : int
            Number of values. The array keeps the largest size that was asked for.

        Returns
        -------
        ndarray, shape (size,)
            Contiguous. Its values are those of its last use.
        """
        dtype = np.dtype(dtype)
        key = name, dtype.char
        found = self._arrays.get(key)
        if found is None or found.size < size:
            found = self._arrays[key] = np.empty(size, dtype)
        return found[:size]

    @contextmanager
    def lent(self, name: str, dtype: np.dtype[Any] | type, size: int) -> Iterator[Pixels]:
        """Lend the flat array `name` for a context, in which a second borrower gets another one."""
        key = name, np.dtype(dtype).char
        array = self.array(name, dtype, size)
        whole = self._arrays.pop(key)
        try:
            yield array
        finally:
            self._arrays[key] = whole
