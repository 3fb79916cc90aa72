"""Copy of an image in a scratch file, which is a random source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from imgpipe.engine.costs import Cost
from imgpipe.formats.base import Check, Source
from imgpipe.formats.rows import COPY_BYTES, RowsOf
from imgpipe.geometry import Box

if TYPE_CHECKING:
    from imgpipe.formats.scratch import Scratch

__all__ = ["copied_to_scratch", "cost_of_copying"]


def cost_of_copying(source: Source) -> Cost:
    """Return the memory that copying takes: a few rows, or the whole image."""
    if source.access == "whole":
        return Cost(shared=source.info.nbytes + source.decode_bytes)
    return Cost(shared=2 * max(COPY_BYTES, source.info.row_bytes) + source.decode_bytes)


def copied_to_scratch(
    source: Source,
    copied: Callable[[Box], None],
    check: Check,
    tile: tuple[int, int] = (0, 0),
    folder: str | None = None,
) -> Scratch:
    """Return a scratch file with the pixels of `source`, in tiles of `tile` if that is given.

    `copied` is called with every box that has been copied, `check` more often; both may raise to
    stop it.
    """
    from imgpipe.formats.scratch import Scratch  # noqa: PLC0415 - only for this

    info = source.info
    step = tile[0] or max(1, COPY_BYTES // info.row_bytes)
    scratch = Scratch(info, folder, tile)
    try:
        if source.access == "whole":
            pixels = np.empty(info.shape, info.dtype)
            source.decode_into(pixels, check)
            for box in info.box.cut(step, info.width):
                scratch.placer.place(box, pixels[box.slices])
                copied(box)
        elif source.access == "sequential":
            pixels = np.empty((step, *info.shape[1:]), info.dtype)
            with contextlib.closing(RowsOf(source, check)) as rows:
                for box in info.box.cut(step, info.width):
                    part = pixels[: box.height]
                    rows.read_into(part)
                    scratch.placer.place(box, part)
                    copied(box)
                rows.finish()
    except BaseException:
        scratch.abort()
        raise
    return scratch
