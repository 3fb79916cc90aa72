"""Operands: the further images of filters, opened for a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from imgpipe.admission import admitted
from imgpipe.chains.stages import Stage, must_match, naming, seen
from imgpipe.errors import UsageError
from imgpipe.formats.arrays import RandomArray, SequentialArray
from imgpipe.formats.base import Source
from imgpipe.formats.opening import open_source

__all__ = ["opened_operand", "operands_of"]


def operands_of(stages: tuple[Stage, ...]) -> Iterator[tuple[Stage, Any]]:
    """Yield each further image of the filters as it was given, and its stage."""
    for stage in stages:
        keywords = stage.filter.keywords
        for name in stage.filter.operands:
            yield stage, keywords[name]


def opened_operand(given: Any, stage: Stage, *, isolated: bool, owner: str) -> Source:
    """Return the source of a further image for the image that is called `owner`.

    `isolated` if the workers are other processes.

    Raises
    ------
    UsageError
        If it is no image.
    """
    source: Source
    if isinstance(given, np.ndarray):
        image = admitted(given)
        kind = SequentialArray if isolated else RandomArray
        source = kind(image.info, image.pixels, "the second image")
    elif isinstance(given, (str, os.PathLike)):
        source = open_source(given)
    else:
        name = stage.filter.name
        raise UsageError(f"{name}: give the second image as the path of a file, or as an array")
    with naming(owner):
        must_match(stage, seen(source.info), source.name)
    return source
