"""Pixel data inflated: by the thread that asks for it, or by another one ahead of it.

Inflating and unfiltering are most of the work of reading a PNG, so they run side by side if a core
is free.
"""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Iterator
from typing import Any

from isal import isal_zlib

from imgpipe.formats.deflate import Buffer, InflateError
from imgpipe.refusals import begin

__all__ = ["Ahead", "Content", "Inflated", "Salvaged", "ShortError"]

_CONTENT_BYTES = 512 << 10
_STEP_BYTES = 1 << 10  # of damaged data, which are looked at one by one
_HEADER_BYTES = 2
_AHEAD = 4  # contents that may wait, 2 MB


class ShortError(Exception):
    """The compressed data ended before the rows did."""


class Inflated:
    """The content of a zlib stream that comes in pieces.

    Attributes
    ----------
    surplus : int
        Bytes that followed the end of the stream, once all pieces have been taken.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.surplus = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content.

        Raises
        ------
        ShortError
            If the pieces end before the stream does.
        """
        stream = isal_zlib.decompressobj()
        while not stream.eof:
            piece = stream.unconsumed_tail or next(self._pieces, b"")
            # Without input, the rest of the stream comes out.
            content = stream.decompress(piece, _CONTENT_BYTES)
            if content:
                yield content
            elif not piece and not stream.eof:
                raise ShortError
        # The bytes after the stream have checksums too, so they are read to the end.
        self.surplus = len(stream.unused_data) + sum(map(len, self._pieces))


class Salvaged:
    """The content of a zlib stream that may be damaged: all of it, up to the first wrong code.

    Attributes
    ----------
    suspect : int or None
        Bytes of the content before the first one that is made of data with a wrong checksum.
    right : bool or None
        Whether the checksum of the content is right; None if the end was not found.
    surplus : int
        0: nothing is known of what follows the stream.
    """

    surplus = 0

    def __init__(self, pieces: Iterator[tuple[bytes, bool]]) -> None:
        self._pieces = pieces
        self.suspect: int | None = None
        self.right: bool | None = None
        self._count, self._adler = 0, 1

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content.

        Raises
        ------
        ShortError
            If it ends before the stream does.
        InflateError
            If there is a code that does not exist.
        """
        stream, skipped, end = zlib.decompressobj(-zlib.MAX_WBITS), _HEADER_BYTES, b""
        for piece, wrong in self._pieces:
            if wrong and self.suspect is None and not stream.eof:
                self.suspect = self._count
            data = piece[skipped:]
            skipped -= len(piece) - len(data)
            for at in range(0, len(data), _STEP_BYTES):
                if stream.eof:
                    end += data[at : at + _STEP_BYTES][: 4 - len(end)]
                    continue
                yield from self._counted(stream, data[at : at + _STEP_BYTES])
                end = stream.unused_data[:4]
        if not stream.eof:
            raise ShortError
        if len(end) == 4:
            self.right = int.from_bytes(end, "big") == self._adler

    def _counted(self, stream: Any, data: bytes) -> Iterator[bytes]:
        """Yield the content of a few bytes; of damaged ones as far as it goes."""
        before = stream.copy()
        try:
            content = stream.decompress(data)
        except zlib.error:
            yield from self._until_damage(before, data)
        if content:
            self._note(content)
            yield content

    def _until_damage(self, stream: Any, data: bytes) -> Iterator[bytes]:
        """Yield the content of damaged bytes, one after the other."""
        for at in range(len(data)):
            try:
                content = stream.decompress(data[at : at + 1])
            except zlib.error as error:
                raise InflateError(str(error)) from None
            if content:
                self._note(content)
                yield content
        raise InflateError("it is damaged")

    def _note(self, content: bytes) -> None:
        self._adler = zlib.adler32(content, self._adler)
        self._count += len(content)


class Content:
    """Contents handed out in the sizes that are asked for."""

    def __init__(self, contents: Iterator[bytes]) -> None:
        self._contents = contents
        self._held = memoryview(b"")
        self.count = 0

    def read(self, size: int) -> list[Buffer]:
        """Return the next `size` bytes, in parts.

        Raises
        ------
        ShortError
            If there are less.
        """
        parts: list[Buffer] = []
        missing = size
        while missing > len(self._held):
            if self._held:
                parts.append(self._held)
            missing -= len(self._held)
            self.count += len(self._held)
            self._held = memoryview(next(self._contents, b""))
            if not self._held:
                raise ShortError
        parts.append(self._held[:missing])
        self._held = self._held[missing:]
        self.count += missing
        return parts

    def finish(self) -> int:
        """Read to the end; return the number of bytes that were left."""
        return len(self._held) + sum(map(len, self._contents))


class Ahead(Iterator[bytes]):
    """Contents made by a thread of their own, a few ahead of the one that is asked for."""

    def __init__(self, contents: Iterator[bytes]) -> None:
        self._contents = contents
        self._made: queue.Queue[bytes | Exception | None] = queue.Queue(_AHEAD)
        self._stopped = False
        self._thread = threading.Thread(target=self._make, name="imgpipe-inflate", daemon=True)
        begin(self._thread)

    def __next__(self) -> bytes:
        """Return the next content, or raise the exception that came instead."""
        made = self._made.get()
        if isinstance(made, bytes):
            return made
        self._made.put(made)  # the end remains the end
        if made is None:
            raise StopIteration
        raise made

    def close(self) -> None:
        """End the thread."""
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._made.get(timeout=0.01)
            except queue.Empty:
                continue

    def _make(self) -> None:
        try:
            for content in self._contents:
                self._made.put(content)
                if self._stopped:
                    return
        except Exception as error:  # noqa: BLE001 - raised again where the content is asked for
            self._made.put(error)
        else:
            self._made.put(None)
