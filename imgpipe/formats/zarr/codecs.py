"""Codecs of chunks: from pixels to the bytes of a file, and back."""

from __future__ import annotations

import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
from isal import isal_zlib

from imgpipe.formats.compression import Compression
from imgpipe.image import Pixels

__all__ = ["CODEC_ERRORS", "Coding", "declared", "packed", "packing_bytes"]

CODEC_ERRORS: tuple[type[Exception], ...] = (ValueError, RuntimeError, TypeError, isal_zlib.error)  # type: ignore[assignment]
"""Errors of codecs about damaged data."""

_GZIP = 31  # bits of the window of zlib, with the header of gzip
_OWN = ("zstd", "gzip", "blosc")
_BLOSC_HEADER = 16
_SURPLUS_BYTES = 1 << 16
_GZIP_BYTES, _BLOSC_BYTES = 1 << 20, (4 << 20, 24 << 20)  # of blosc below level 9, and at it
_ZSTD_TABLES = ((3, 2 << 20), (6, 4 << 20), (12, 32 << 20), (19, 80 << 20), (22, 640 << 20))
"""Levels, up to the first number, and the most bytes of their tables."""
_ZSTD_SHARE = 16  # bytes of a table for a byte of pixels, at the most


class Coding(NamedTuple):
    """The codecs of a chunk.

    Attributes
    ----------
    order : {"<", ">"}
        The byte order of values.
    packers : tuple of str
        Names of the compressions, in the order in which they were applied.
    """

    order: Literal["<", ">"] = "<"
    packers: tuple[str, ...] = ()

    @classmethod
    def of(cls, codecs: list[Any]) -> Coding | None:
        """Return the coding that a file declares; None if the package zarr has to decode it.

        Raises
        ------
        KeyError, TypeError
            If it is none.
        """
        first, *packers = codecs
        names = tuple(str(each["name"]) for each in packers)
        if first["name"] != "bytes" or any(name not in _OWN for name in names):
            return None
        endian = (first.get("configuration") or {}).get("endian", "little")
        return cls(">" if endian == "big" else "<", names)

    def decoded(self, data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        """Return the values of a chunk, in the byte order of the file.

        Raises
        ------
        ValueError, RuntimeError, TypeError, isal_zlib.error
            If the data is damaged.
        """
        size = int(np.prod(shape)) * dtype.itemsize
        for at, name in reversed(list(enumerate(self.packers))):
            data = _unpacked(name, data, size if at == 0 else 2 * size + _SURPLUS_BYTES)
        if len(data) != size:
            raise ValueError(f"{len(data):,} bytes where {size:,} are needed")
        return np.frombuffer(data, dtype.newbyteorder(self.order)).reshape(shape)


def _unpacked(name: str, data: Any, limit: int) -> Any:
    """Return the bytes of compressed data, at most `limit`."""
    if name == "gzip":
        inflate = isal_zlib.decompressobj(wbits=_GZIP)
        made = inflate.decompress(data, limit + 1)
        if not inflate.eof:
            raise ValueError("the stream has no end within the chunk")
        return made
    import imagecodecs  # noqa: PLC0415 - only for this

    if name == "zstd":
        return imagecodecs.zstd_decode(data, out=limit)
    if len(data) < _BLOSC_HEADER:
        raise ValueError("the header is truncated")
    declared, _, coded = np.frombuffer(data[4:_BLOSC_HEADER], "<u4").tolist()
    if declared > limit or coded != len(data):
        raise ValueError("the header is damaged")
    return imagecodecs.blosc_decode(data, out=declared, numthreads=1)


def packed(pixels: Pixels, compression: Compression) -> Any:
    """Return the compressed bytes of a chunk, C-contiguous and little-endian."""
    data, effort = pixels.data.cast("B"), compression.effort
    if compression.method == "none":
        return data
    if compression.method == "gzip":
        deflate = zlib.compressobj(effort or 0, zlib.DEFLATED, _GZIP)
        return deflate.compress(data) + deflate.flush()
    import imagecodecs  # noqa: PLC0415 - only for this

    if compression.method == "zstd":
        return imagecodecs.zstd_encode(data, effort)  # type: ignore[arg-type] # any buffer
    return imagecodecs.blosc_encode(
        pixels,  # type: ignore[arg-type] # any buffer; its itemsize is that of the header
        effort,
        compressor="zstd",
        typesize=pixels.itemsize,
        shuffle="shuffle" if pixels.itemsize > 1 else "noshuffle",
        numthreads=1,
    )


def packing_bytes(compression: Compression, size: int) -> int:
    """Return the memory that `packed` needs for `size` bytes, the result included, in bytes.

    Measured by ``benchmarks/codec_memory.py zarr``.
    """
    method, effort = compression
    if method == "none":
        return 0
    tables = _GZIP_BYTES
    if method == "blosc":
        tables = _BLOSC_BYTES[(effort or 0) == 9]
    elif method == "zstd":
        most = next(most for last, most in _ZSTD_TABLES if (effort or 0) <= last)
        tables = min(_ZSTD_SHARE * size, most)
    return 3 * size + tables


def declared(compression: Compression, itemsize: int) -> list[dict[str, Any]]:
    """Return the codecs of such chunks, as a file declares them."""
    first = {"name": "bytes", "configuration": {"endian": "little"}}
    method, effort = compression
    configuration: dict[str, dict[str, Any]] = {
        "zstd": {"level": effort, "checksum": False},
        "gzip": {"level": effort},
        "blosc": {
            "typesize": itemsize,
            "cname": "zstd",
            "clevel": effort,
            "shuffle": "shuffle" if itemsize > 1 else "noshuffle",
            "blocksize": 0,
        },
    }
    if method == "none":
        return [first]
    return [first, {"name": method, "configuration": configuration[method]}]
