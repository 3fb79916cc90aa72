"""Outputs of earlier runs, which are no sources."""

from __future__ import annotations

import os
from collections.abc import Container

from imgpipe.batches.inputs.files import Found

__all__ = ["EarlierOutputs"]


class EarlierOutputs:
    """Tells the files that are outputs of earlier runs.

    Parameters
    ----------
    folder : str
        The output folder.
    ours : container of str
        The outputs in its journal.
    """

    def __init__(self, folder: str, ours: Container[str]) -> None:
        self._root, self._ours = os.path.realpath(folder), ours
        self._begins: dict[str, str | None] = {}  # the path of each folder below that of outputs

    def __call__(self, found: Found) -> bool:
        """Return whether a file is one of them."""
        path = found.folder.path
        if path not in self._begins:
            below = os.path.relpath(os.path.realpath(path or os.curdir), self._root)
            outside = below.split(os.sep, 1)[0] == os.pardir
            self._begins[path] = None if outside else "" if below == os.curdir else below
        begin = self._begins[path]
        return begin is not None and os.path.join(begin, found.name) in self._ours
