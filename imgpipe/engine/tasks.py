"""Tasks: pieces of work for a worker, by reference.

A task makes a part of the output for each branch of its flow. Pixels come from one image, and from
the further images of the filters.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from imgpipe.engine.buffers import Slot
from imgpipe.formats.base import RandomSource, Tiles
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = [
    "Decoding",
    "Direct",
    "Inline",
    "Input",
    "JobRef",
    "Part",
    "Shared",
    "Task",
    "Tiled",
]


class Input(Protocol):
    """The pixels that a task reads, by reference."""

    def hold(self, box: Box) -> tuple[Pixels, Box]:
        """Return an array that holds at least `box`, and the box that it holds."""

    def read(self, box: Box) -> Pixels:
        """Return the pixels of any other box."""


class Shared(NamedTuple):
    """Pixels of `box` in shared memory."""

    slot: Slot
    box: Box
    channels: int
    dtype: np.dtype[Any]

    def hold(self, box: Box) -> tuple[Pixels, Box]:
        """Return all that is held, without a copy."""
        pixels = self.slot.array((*self.box.shape, self.channels), self.dtype)
        pixels.flags.writeable = False
        return pixels, self.box

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`, which must be held."""
        return self.hold(box)[0][box.within(self.box)]


class Inline(NamedTuple):
    """Pixels of some boxes, carried along: for executors that share neither memory nor files."""

    pieces: tuple[tuple[Pixels, Box], ...]

    def hold(self, box: Box) -> tuple[Pixels, Box]:
        """Return the pixels of the box that holds `box`."""
        return next(piece for piece in self.pieces if piece[1].contains(box))

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`, which must be carried."""
        pixels, held = self.hold(box)
        return pixels[box.within(held)]


class Direct(NamedTuple):
    """A source that the worker reads itself."""

    source: RandomSource

    def hold(self, box: Box) -> tuple[Pixels, Box]:
        """Read `box` once, for all chunks of a task."""
        return self.source.read(box), box

    def read(self, box: Box) -> Pixels:
        """Read `box`."""
        return self.source.read(box)


class Ring(NamedTuple):
    """Rows of an image in a ring of shared memory.

    Attributes
    ----------
    memory : Slot
        The memory.
    shape : (int, int, int)
        Rows that there is room for, columns and channels.
    dtype : dtype
        Type of the pixels.
    """

    memory: Slot
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    def pixels(self, box: Box) -> Pixels:
        """Return the place of `box`; a copy, if that is at both ends of the memory."""
        begin, rows = box.y0 % self.shape[0], self.memory.array(self.shape, self.dtype)
        columns = rows[:, box.x0 : box.x1]
        end = begin + box.height
        if end <= len(rows):
            return columns[begin:end]
        return np.concatenate([columns[begin:], columns[: end - len(rows)]])


class Tiled(NamedTuple):
    """Pixels in a ring of rows.

    Attributes
    ----------
    number : int
        The turn of the task that they are for.
    ring : Ring
        Has them all.
    """

    number: int
    ring: Ring

    def hold(self, box: Box) -> tuple[Pixels, Box]:
        """Return the pixels of `box`."""
        return self.read(box), box

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`."""
        pixels = self.ring.pixels(box)
        pixels.flags.writeable = False
        return pixels


class Decoding(NamedTuple):
    """Tiles to be decoded.

    Attributes
    ----------
    source : Tiles
        The image.
    tiles : tuple of ((int, int), Box)
        Row and column of each tile, and its pixels.
    ring : Ring
        Takes the pixels.
    """

    source: Tiles
    tiles: tuple[tuple[tuple[int, int], Box], ...]
    ring: Ring


class JobRef(NamedTuple):
    """A reference to the job of a flow, which is pickled once.

    The worker looks in `slot` for `size` bytes, or takes `data` where no memory is shared. They
    begin with `key`, which no other job has.
    """

    key: str
    slot: Slot | None
    size: int
    data: bytes = b""


class Part(NamedTuple):
    """The share of one branch in a task.

    Attributes
    ----------
    branch : int
        Number of the branch in the job.
    turn : int
        Its turn within the branch.
    box : Box
        The output pixels to be made.
    operands : tuple of Input
        The further images of the filters.
    output : Slot or None
        Takes the encoded bytes; None to send them along.
    """

    branch: int
    turn: int
    box: Box
    operands: tuple[Input, ...] = ()
    output: Slot | None = None


@dataclass(frozen=True)
class Task:
    """A unit of work: references and boxes, never pixels where memory or files are shared.

    Doing a task twice is the same as doing it once.

    Attributes
    ----------
    kind : str
        ``chunks`` makes pixels, ``measure`` makes a measurement, ``merge`` makes one of several,
        ``decode`` decodes tiles, ``seal`` finishes a file, ``call`` calls a function of imgpipe.
    flow : int
        The flow that it belongs to.
    index : int
        Its turn within the flow.
    job : JobRef
        The common part of all tasks of the flow.
    parts : tuple of Part
        Its share of the output of each branch; a branch may have none.
    image : Input or None
        The pixels of the image.
    note : Slot or None
        Takes the whereabouts of the worker.
    values : tuple
        The measurements that a task of merging merges, or the items of a call.
    decoding : Decoding or None
        The tiles that a task of decoding decodes.
    made : float
        Time at which it was made, in seconds of `time.monotonic`.
    """

    kind: str
    flow: int
    index: int
    job: JobRef
    parts: tuple[Part, ...] = ()
    image: Input | None = None
    note: Slot | None = None
    values: tuple[Any, ...] = ()
    decoding: Decoding | None = None
    made: float = 0.0

    @property
    def box(self) -> Box:
        """The output pixels of its first part, or the first tile that it decodes."""
        if self.decoding is not None:
            return self.decoding.tiles[0][1]
        return self.parts[0].box if self.parts else Box(0, 0, 0, 0)
