"""Rereading: an image that several passes read from top to bottom.

It is decoded again for each pass, or the first pass keeps its rows in a scratch file: the cheaper
way of the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe.chains.stages import input_box
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.formats.arrays import Nowhere
from imgpipe.formats.base import Source, decode_ms_of
from imgpipe.formats.unnamedfiles import scratch_folder
from imgpipe.geometry import Box
from imgpipe.machine import available_memory, lies_in_memory

__all__ = ["worth_keeping"]

# Measured, in milliseconds of one core per megabyte of pixels.
_WRITING = 0.25
_READING = 0.1

_LEAST_MS = 20.0  # to be saved: small images are not worth a file
_CACHED_SHARE = 2  # of the free memory: a file that fits is read from the cache of the system
_FREE_SHARE = 2  # of the free disk, at most


def worth_keeping(source: Source, goals: tuple[WantedOutput, ...]) -> bool:
    """Return whether a scratch file is cheaper than decoding `source` for every pass."""
    passes = list(_passes(source, goals))
    info, again = source.info, len(passes) - 1
    if again < 1 or not all(passes[0].y0 <= box.y0 and box.y1 <= passes[0].y1 for box in passes):
        return False
    decoding = again * decode_ms_of(source) * info.pixels / 1e6
    filing = (_WRITING + again * _READING) * info.nbytes / 1e6
    if decoding - filing < _LEAST_MS or info.nbytes > available_memory() // _CACHED_SHARE:
        return False
    import shutil  # noqa: PLC0415 - slow, and rarely needed

    folder = scratch_folder()
    free = shutil.disk_usage(folder).free
    return not lies_in_memory(folder) and info.nbytes <= free // _FREE_SHARE


def _passes(source: Source, goals: tuple[WantedOutput, ...]) -> Iterator[Box]:
    """Yield the part of the source that each pass reads, in order."""
    for goal in goals:
        for at, stage in enumerate(goal.stages):
            if stage.filter.measures:
                yield input_box(goal.stages[:at], stage.before.box, source.info)
    boxes = [
        input_box(goal.stages, goal.sink.info.box, source.info)
        for goal in goals
        if not isinstance(goal.sink, Nowhere)
    ]
    if boxes:
        top, bottom = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
        yield Box(top, 0, bottom, source.info.width)
