"""Lease: the shared memory that a flow holds for the tasks it has under way.

A flow never waits for the memory of another, so there is no deadlock to reason about.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from imgpipe.cleanup import CleanupStack
from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.engine.workernotes import NOTE_BYTES

__all__ = ["Lease", "TaskSlots"]


class TaskSlots(NamedTuple):
    """The slots of one task under way.

    Attributes
    ----------
    outputs : tuple of (Slot or None)
        For the encoded bytes of each branch.
    note : Slot or None
        For the whereabouts of the worker.
    """

    outputs: tuple[Slot | None, ...]
    note: Slot | None


class Lease:
    """The slots of `window` tasks, and more notes for tasks beside them.

    Parameters
    ----------
    window : int
        Largest number of tasks under way at once.
    payloads : tuple of int
        Bytes of the encoded output of a task, for each branch; 0 for none.
    notes : bool
        Whether workers note their whereabouts.
    held : CleanupStack
        Frees the memory.
    decoding : int
        Largest number of tasks that decode tiles at once.
    """

    def __init__(
        self,
        window: int,
        payloads: tuple[int, ...],
        *,
        notes: bool,
        held: CleanupStack,
        decoding: int = 0,
    ) -> None:
        outputs = [_slots(window, size, held) for size in payloads]
        noted = _slots(window + 1 + decoding, NOTE_BYTES if notes else 0, held)
        self.beside, *decoders = noted[window:]
        self.decoders = tuple(decoders)
        self._free = deque(
            TaskSlots(tuple(slots[at] for slots in outputs), noted[at]) for at in range(window)
        )

    def __bool__(self) -> bool:
        return bool(self._free)

    def take(self) -> TaskSlots:
        """Return the slots of one task."""
        return self._free.popleft()

    def give_back(self, slots: TaskSlots) -> None:
        """Take back the slots of a task."""
        self._free.append(slots)


def _slots(count: int, size: int, held: CleanupStack) -> tuple[Slot | None, ...]:
    if not size:
        return (None,) * count
    buffers = Buffers(count, size, shared=True)
    held.callback(buffers.close)
    return buffers.slots
