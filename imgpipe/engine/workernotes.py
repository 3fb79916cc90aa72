"""Notes of workers for their parent: the item, the chunk and the filter of the present work.

A worker that dies leaves no exception. Its last note names the chunk and the filter, and the item
of a call. The parent uses the note too: it asks for the end of a call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from imgpipe.engine.buffers import Slot
from imgpipe.geometry import Box

__all__ = [
    "NOTE_BYTES",
    "asked_back",
    "at_chunk",
    "at_item",
    "call_back",
    "chunk_at",
    "filter_noted",
    "forget",
    "item_noted",
    "last_noted",
    "note_filters",
    "reading",
    "sign",
    "signed_by",
    "was_reading",
]

_NAMES_BYTES = 256  # of the filters of a call
_FIELDS = np.dtype(
    [
        ("stage", "i8"),
        ("worker", "i8"),
        ("item", "i8"),
        ("back", "i8"),
        ("box", "i8", 4),
        ("filters", f"S{_NAMES_BYTES}"),
    ]
)
_NOWHERE, _READING = -1, -2

NOTE_BYTES = _FIELDS.itemsize
"""Size of the slot that a task needs."""


def chunk_at(box: Box) -> str:
    """Return the name of the chunk of `box` in messages."""
    return f"chunk at rows {box.y0}-{box.y1}, columns {box.x0}-{box.x1}"


@contextmanager
def at_chunk(slot: Slot | None, box: Box) -> Iterator[Callable[[int], None]]:
    """Give a function that notes the present stage of the chunk of `box`.

    One more than the last stage stands for the merging of what that measures.
    """
    if slot is None:
        yield lambda _: None
        return
    note = slot.array((1,), _FIELDS)[0]
    note["box"] = box.y0, box.x0, box.y1, box.x1

    def entering(stage: int) -> None:
        note["stage"] = stage

    yield entering
    note["stage"] = _NOWHERE


@contextmanager
def at_item(slot: Slot | None, number: int) -> Iterator[None]:
    """Note the item of a call that is under way."""
    if slot is None:
        yield
        return
    note = slot.array((1,), _FIELDS)
    note["item"] = number
    yield
    note["item"] = _NOWHERE


def item_noted(slot: Slot | None) -> int | None:
    """Return the number of the item that a call was last at; None if at none."""
    number = _NOWHERE if slot is None else int(slot.array((1,), _FIELDS)["item"][0])
    return None if number == _NOWHERE else number


@contextmanager
def reading(slot: Slot | None) -> Iterator[None]:
    """Note that the image is being read."""
    if slot is None:
        yield
        return
    note = slot.array((1,), _FIELDS)
    note["stage"] = _READING
    yield
    note["stage"] = _NOWHERE


def was_reading(slot: Slot | None) -> bool:
    """Return whether a task was last reading the image."""
    return slot is not None and int(slot.array((1,), _FIELDS)["stage"][0]) == _READING


def note_filters(slot: Slot | None, names: Iterable[str]) -> None:
    """Note the name of each stage of an item, because the parent knows only the item."""
    if slot is not None:
        text = "\n".join(name.replace("\n", " ") for name in names) + "\n"
        slot.array((1,), _FIELDS)["filters"] = text.encode()[:_NAMES_BYTES]


def filter_noted(slot: Slot | None) -> str:
    """Return the filter that an item was last at; empty if at none, or if it is not known."""
    at = last_noted(slot)
    if slot is None or at is None:
        return ""
    *names, _ = bytes(slot.array((1,), _FIELDS)["filters"][0]).decode(errors="replace").split("\n")
    return names[at[1]] if at[1] < len(names) else ""


def forget(slot: Slot | None) -> None:
    """Clear a slot of an earlier task, or of the same task in another worker."""
    if slot is not None:
        note = slot.array((1,), _FIELDS)
        note["stage"], note["item"], note["worker"], note["back"] = _NOWHERE, _NOWHERE, 0, 0
        note["filters"] = b""


def call_back(slot: Slot | None) -> None:
    """Ask a worker to give back the items of a call that it has not begun."""
    if slot is not None:
        slot.array((1,), _FIELDS)["back"] = 1


def asked_back(slot: Slot | None) -> bool:
    """Return whether the worker of a call was asked to give back the items not begun."""
    return slot is not None and bool(slot.array((1,), _FIELDS)["back"][0])


def sign(slot: Slot | None) -> None:
    """Note that this process has taken up the task of `slot`."""
    if slot is not None:
        slot.array((1,), _FIELDS)["worker"] = os.getpid()


def signed_by(slot: Slot | None) -> int | None:
    """Return the process that took up a task, 0 for none; None if none could have noted it."""
    return None if slot is None else int(slot.array((1,), _FIELDS)["worker"][0])


def last_noted(slot: Slot | None) -> tuple[Box, int] | None:
    """Return the chunk, and the number of the stage, that a task was last at; None if at none."""
    if slot is None:
        return None
    note = slot.array((1,), _FIELDS)[0]
    stage = int(note["stage"])
    return None if stage < 0 else (Box(*map(int, note["box"])), stage)
