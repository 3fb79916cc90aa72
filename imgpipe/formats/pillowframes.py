"""Frames by a plugin of Pillow: a single one, or those of an animation in their order.

A frame may depend on those before it. So the place that was reached is kept from frame to frame,
unless the image is large; then every frame is decoded from the first one on.
"""

from __future__ import annotations

import importlib
import io
import threading
from typing import Any

import numpy as np

from imgpipe.formats.base import Check
from imgpipe.formats.lastfile import Identity, identity_of
from imgpipe.formats.origin import Origin
from imgpipe.formats.wholedecoding import DecodedSource, decoded, fill
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass

__all__ = ["FrameDecoder", "PlayedSource", "played"]

_KEPT_BYTES = 128 << 20  # of an animation that is kept open
_COPIES = 4  # of the pixels of a frame, with four channels: Pillow's own, and the way to NumPy
_LIBRARY_BYTES = 16 << 20


@dataclass(frozen=True)
class FrameDecoder:
    """Decoder of one frame of an animation.

    Attributes
    ----------
    info : ImageInfo
        The frame.
    plugin : str
        Module and class of Pillow's.
    page : int
        Number of the frame.
    frames : int
        Frames of the file.
    """

    info: ImageInfo
    plugin: tuple[str, str]
    page: int = 0
    frames: int = 1

    @property
    def work_bytes(self) -> int:
        """Memory of Pillow and of the decoder."""
        return _LIBRARY_BYTES + _COPIES * 4 * self.info.pixels

    def decode_into(self, data: bytes, out: Pixels) -> None:
        """Fill `out`."""
        self.play(_opened(self.plugin, data), out)

    def play(self, image: Any, out: Pixels) -> None:
        """Fill `out` from an open animation that has not passed the frame."""
        image.seek(self.page)
        image.load()
        if image.size != (out.shape[1], out.shape[0]):
            raise ValueError("its size is not that of its header")
        modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
        wanted = modes[out.shape[2]]
        shown = image if image.mode == wanted else image.convert(wanted)
        fill(out, np.asarray(shown))


@dataclass(frozen=True)
class PlayedSource(DecodedSource):
    """A frame of an animation, whose place is kept from frame to frame.

    Attributes
    ----------
    identity : tuple or None
        Tells the file from others, if it is one.
    """

    decoder: FrameDecoder
    identity: Identity | None = None

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Fill `out` with the frame; `check` is called before the decoder begins."""
        frame, key = self.decoder, self.identity or self.origin
        check()
        image = _taken(key, frame.page)
        if image is None:
            data = self.content()
            image = decoded(lambda: _opened(frame.plugin, data), self.name)
            del data
        decoded(lambda: frame.play(image, out), self.name)
        if frame.page + 1 < frame.frames and 4 * self.info.pixels + self.size <= _KEPT_BYTES:
            _keep(key, frame.page, image)
        check()


def played(
    info: ImageInfo, origin: Origin, plugin: tuple[str, str], page: int, frames: int, size: int
) -> PlayedSource:
    """Return a frame of an animation of so many bytes."""
    decoder = FrameDecoder(info, plugin, page, frames)
    with origin.open(0) as file:
        return PlayedSource(info, origin, decoder, size, identity_of(file))


_lock = threading.Lock()
_kept: list[tuple[Any, int, Any]] = []


def _taken(key: Any, page: int) -> Any:
    """Return an animation that has not passed `page`, for the caller alone, if one is kept."""
    with _lock:
        found = _kept.pop() if _kept else None
    return found[2] if found is not None and found[0] == key and found[1] <= page else None


def _keep(key: Any, page: int, image: Any) -> None:
    with _lock:
        _kept[:] = [(key, page, image)]


def _opened(plugin: tuple[str, str], data: bytes) -> Any:
    """Open an animation, whose size was checked: `PIL.Image.open` has another limit."""
    from PIL import Image  # noqa: PLC0415 - takes long, and is needed here alone

    module, name = plugin
    try:
        return getattr(importlib.import_module(module), name)(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ValueError(error) from None
