"""Composition of animations from frames that are encoded one by one.

The workers encode each frame; its bytes wait in a scratch file until the last one is there. So an
animation of any length needs the memory of one frame.
"""

from __future__ import annotations

import os
from typing import Protocol

from imgpipe.errors import OutputError
from imgpipe.formats.base import Data
from imgpipe.formats.target import Target
from imgpipe.formats.unnamedfiles import NamelessFile
from imgpipe.formats.wholeencoding import EncodedSink, WholeEncoder
from imgpipe.image import ImageInfo
from imgpipe.publish import explained

__all__ = ["ComposedAlbum", "Composer"]


class Composer(Protocol):
    """A format of animations whose frames are images of their own."""

    def encoder(self, info: ImageInfo) -> WholeEncoder:
        """Return the encoder of a frame."""

    def part(self, number: int, info: ImageInfo, content: bytes) -> bytes:
        """Return the bytes of the animation for frame `number`, encoded as `content`."""

    def head(self, infos: tuple[ImageInfo, ...], size: int) -> bytes:
        """Return the bytes before the frames, which have `size` bytes together."""

    def tail(self, infos: tuple[ImageInfo, ...]) -> bytes:
        """Return the bytes after the frames."""


class ComposedAlbum:
    """An animation under construction.

    Parameters
    ----------
    target : Target
        Gets the bytes.
    composer : Composer
        The format.
    """

    def __init__(self, target: Target, composer: Composer) -> None:
        self._target, self._composer = target, composer
        self._infos: list[ImageInfo] = []
        self._store = NamelessFile()
        self._size = 0

    def frame(self, info: ImageInfo) -> EncodedSink:
        """Return the sink of the next frame."""
        return EncodedSink(
            _Frame(self, info, self._target.name), info, self._composer.encoder(info)
        )

    def keep(self, info: ImageInfo, content: bytes) -> None:
        """Take an encoded frame.

        Raises
        ------
        OutputError
            If there is no room for it.
        """
        view = memoryview(self._composer.part(len(self._infos), info, content))
        self._infos.append(info)
        self._size += len(view)
        try:
            while view:
                view = view[os.write(self._store.fd, view) :]
        except OSError as error:
            reason = explained(error, self._target.name)
            raise OutputError(f"{self._target.name}: no room for a frame: {reason}") from error

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""
        infos = tuple(self._infos)
        self._target.write(self._composer.head(infos, self._size))
        for piece in self._store.pieces():
            self._target.write(piece)
        self._target.write(self._composer.tail(infos))
        size = self._target.commit()
        self._store.close()
        return size

    def abort(self) -> None:
        """Leave nothing behind."""
        self._store.close()
        self._target.abort()


class _Frame:
    """The target of a frame, which becomes a part of the animation."""

    amends = False

    def __init__(self, album: ComposedAlbum, info: ImageInfo, name: str) -> None:
        self.name, self.size = name, 0
        self._album, self._info = album, info
        self._parts: list[bytes] = []

    def write(self, *parts: Data) -> None:
        """Append `parts`."""
        self._parts += map(bytes, parts)

    def amend(self, position: int, data: Data) -> None:
        """Change nothing: written bytes stay."""
        raise NotImplementedError("the bytes of a frame cannot be changed")

    def place(self, size: int) -> None:
        """Return nothing: there is no file."""

    def commit(self) -> int:
        """Give the frame to the animation."""
        content = b"".join(self._parts)
        self.abort()
        self._album.keep(self._info, content)
        return len(content)

    def abort(self) -> None:
        """Leave nothing behind."""
        self._parts.clear()
