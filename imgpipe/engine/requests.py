"""Requests of a batch: the images that are to be made, and calls for many small items."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Any

from imgpipe.engine.calls import Dispatcher
from imgpipe.engine.control import Control
from imgpipe.engine.frames import Frames
from imgpipe.engine.jobs import CallJob
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.events import Observer
from imgpipe.formats.base import Source
from imgpipe.records import dataclass

__all__ = ["CallsRequest", "Request"]


@dataclass(frozen=True)
class Request:
    """An image that is to be made.

    Attributes
    ----------
    source : callable
        Opens the image.
    goals : callable
        Opens the outputs of an open image; they are aborted if the image fails.
    control : Control
        Stops the image.
    on_event : callable
        Gets its events.
    may_be_alone : callable or None
        Whether one worker may make it while the others have enough else to do. By default that is
        so if as many images are known as there are workers.
    frames : callable
        Opens all frames, if the file has several and they are to be made; None if it has not. It
        is called first; source and goals are not needed then.
    then : callable
        Returns images that are made after the first one, one after another, each with its outputs:
        such as thumbnails of a thumbnail in memory.
    last : callable or None
        Called when all outputs are complete, in a thread of its own where others go on.
    within : callable
        Returns the context in which all of these are called, and the pixels are passed on.
    """

    source: Callable[[], Source]
    goals: Callable[[Source], tuple[WantedOutput, ...]]
    control: Control = field(default_factory=Control)
    on_event: Observer = lambda _: None
    may_be_alone: Callable[[], bool] | None = None
    frames: Callable[[], Frames | None] = lambda: None
    then: Callable[[], Sequence[tuple[Source, tuple[WantedOutput, ...]]]] = tuple
    last: Callable[[], None] | None = None
    within: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext


@dataclass(frozen=True)
class CallsRequest:
    """Many small items that are to be made beside the images, by calls.

    Attributes
    ----------
    job : callable
        Returns the function, and what is common to all calls, for the bytes of memory that a call
        may take. The options of the batch have the timeout.
    dispatcher : Dispatcher
        Gives the items and takes the answers.
    allowance : int
        The most memory that a call can use, in bytes. It gets no more than its share of half of
        the memory.
    control : Control
        Stops the calls.
    on_event : callable
        Gets their events.
    """

    job: Callable[[int], CallJob]
    dispatcher: Dispatcher
    allowance: int
    control: Control = field(default_factory=Control)
    on_event: Observer = lambda _: None
