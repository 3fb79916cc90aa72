"""Wanted outputs of an image: stages, sink and options of each."""

from __future__ import annotations

from typing import NamedTuple

from imgpipe.chains.stages import Stage
from imgpipe.formats.base import Sink

__all__ = ["WantedOutput"]


class WantedOutput(NamedTuple):
    """An output that is wanted of an image.

    Attributes
    ----------
    stages : tuple of Stage
        The filters.
    sink : Sink
        Takes the pixels.
    destination : str
        The name of the sink, for people.
    """

    stages: tuple[Stage, ...]
    sink: Sink
    destination: str
