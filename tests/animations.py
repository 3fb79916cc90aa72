"""Tests that all formats of animations share."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from imgpipe.formats.declaration import Format
from imgpipe.formats.frames import Contents, Timing
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.formats.target import MemoryTarget
from imgpipe.image import ImageInfo, guess_colour
from imgpipe.metadata import Metadata
from imgpipe.testing.files import put_in, taken_out


def filmed(form: Format, frames: list[Any], timing: Timing | None, **options: Any) -> bytes:
    """Return an animation of these frames."""
    out = io.BytesIO()
    assert form.album is not None
    infos = tuple(map(about, frames))
    album = form.album(MemoryTarget(out), infos, timing, **options)
    for each in frames:
        sink = album.frame(about(each))
        put_in(sink, each)
        sink.commit()
        sink.abort()  # as after an error elsewhere
        assert not out.getvalue(), "a frame was published by itself"
    assert album.commit() == len(out.getvalue())
    album.abort()
    return out.getvalue()


def about(array: Any, known: Metadata | None = None) -> ImageInfo:
    """Return the kind of an image, by its channels."""
    colour, alpha = guess_colour(array.shape[2])
    return ImageInfo(*array.shape, array.dtype, alpha, colour, known or Metadata())


def written(form: Format, array: Any, known: Metadata | None = None, **options: Any) -> bytes:
    """Return a file of one image."""
    out = io.BytesIO()
    assert form.write is not None
    sink = form.write(MemoryTarget(out), about(array, known), **options)
    put_in(sink, array)
    sink.commit()
    return out.getvalue()


def source_of(form: Format, content: bytes, page: int = 0) -> Any:
    """Open a frame of a file."""
    assert form.read is not None
    origin = MemoryOrigin(content)
    return form.read(origin, None) if form.contents is None else form.read(origin, None, page)


def read_back(form: Format, content: bytes, page: int = 0) -> Any:
    """Return a frame of a file."""
    return taken_out(source_of(form, content, page), form.name)


def contents_of(form: Format, content: bytes) -> Contents:
    """Return the contents of a file."""
    assert form.contents is not None
    return form.contents(MemoryOrigin(content))


def must_play_in_any_order(form: Format, content: bytes, expected: list[Any]) -> None:
    """Claim that every frame is as expected, whichever was read before."""
    last = len(expected) - 1
    for page in (*range(len(expected)), last, 0, last // 2, 1, 1):
        np.testing.assert_array_equal(read_back(form, content, page), expected[page], f"{page}")
