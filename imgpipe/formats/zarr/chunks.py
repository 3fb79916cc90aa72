"""Chunks of arrays as they are read: from a file, from a shard, or by the package zarr."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from imgpipe.errors import CorruptError, FormatError, InputError
from imgpipe.formats.damage import damage
from imgpipe.formats.folder import FolderOrigin
from imgpipe.formats.origin import FileOrigin, size_of
from imgpipe.formats.wholedecoding import reason_of
from imgpipe.formats.zarr.codecs import CODEC_ERRORS
from imgpipe.formats.zarr.declarations import MARK, Array
from imgpipe.formats.zarr.shards import Sharding
from imgpipe.image import Pixels

if TYPE_CHECKING:
    import zarr

__all__ = ["must_be_complete", "open_by_zarr", "read_region"]

Region = tuple[slice, ...]


def read_region(origin: FolderOrigin, array: Array, region: Region) -> Pixels:
    """Return a part of an array, in the byte order of the machine.

    Parameters
    ----------
    origin : FolderOrigin
        The folder of the image.
    array : Array
        The array.
    region : tuple of slice
        First and last index along each axis.

    Raises
    ------
    CorruptError
        If a chunk is damaged.
    """
    if array.coding is None:
        return _by_zarr(origin, array, region)
    out = np.full([part.stop - part.start for part in region], array.fill, array.dtype)
    for number in _numbers(region, array.file):
        start = tuple(n * size for n, size in zip(number, array.file, strict=True))
        for at, pixels in _chunks(origin, array, number, region):
            inner = tuple(a + b for a, b in zip(start, at, strict=True))
            _copy(out, region, pixels, inner)
    return out


def _numbers(region: Region, size: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the numbers of the parts of `size` that a region has a share in."""
    return itertools.product(
        *(range(part.start // n, -(-part.stop // n)) for part, n in zip(region, size, strict=True))
    )


def _copy(out: Pixels, region: Region, pixels: Pixels, at: tuple[int, ...]) -> None:
    """Copy that part of `pixels`, which begin at `at`, that is in a region."""
    source, place = [], []
    for part, first, count in zip(region, at, pixels.shape, strict=True):
        low, high = max(part.start, first), min(part.stop, first + count)
        source.append(slice(low - first, high - first))
        place.append(slice(low - part.start, high - part.start))
    out[tuple(place)] = pixels[tuple(source)]


def _chunks(
    origin: FolderOrigin, array: Array, number: tuple[int, ...], region: Region
) -> Iterator[tuple[tuple[int, ...], Pixels]]:
    """Yield the chunks of a file with a share in a region, and where in the file they begin."""
    part = origin.part(array.part(number))
    if not os.path.exists(part.path):  # it holds nothing but the fill value
        if not os.path.exists(origin.part(f"{array.path}{MARK}").path):
            raise InputError(f"{origin.name}: was removed while it was read; get a fresh copy")
        return
    assert array.coding is not None
    with part.open(0) as file:
        try:
            for at, data in _coded(file, array, number, region):
                yield at, array.coding.decoded(data, array.chunk, array.dtype)
        except CODEC_ERRORS as error:
            reason = reason_of(error)
            raise CorruptError(
                f"{part.name}: the file is damaged: {reason}; get a fresh copy"
            ) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"{part.name}: cannot be read: {reason}; check the disk") from error


def _coded(
    file: BinaryIO, array: Array, number: tuple[int, ...], region: Region
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Yield the coded chunks of an open file, and where in its part of the array they begin."""
    size, sharding = size_of(file), array.sharding
    if sharding is None:
        yield (0,) * len(array.shape), file.read(_most(array, size))
        return
    index = _index(file, sharding, size)
    start = [n * length for n, length in zip(number, array.file, strict=True)]
    local = tuple(
        slice(max(part.start - first, 0), min(part.stop - first, length))
        for part, first, length in zip(region, start, array.file, strict=True)
    )
    for inner in _numbers(local, array.chunk):
        place = sharding.place(index[inner], size)
        if place is not None:
            file.seek(place[0])
            data = file.read(_most(array, place[1]))
            yield tuple(n * length for n, length in zip(inner, array.chunk, strict=True)), data


def _index(file: BinaryIO, sharding: Sharding, size: int) -> Pixels:
    """Return the index of an open shard of `size` bytes."""
    if size < sharding.size:
        raise ValueError("the shard is truncated")
    file.seek(size - sharding.size if sharding.at_end else 0)
    return sharding.positions(file.read(sharding.size))


def must_be_complete(part: FileOrigin, array: Array) -> None:
    """Refuse a file of chunks that is cut off, as far as that is known without decoding.

    Raises
    ------
    CorruptError
        If it is.
    """
    if array.coding is None:
        return
    damaged = damage(part.name, "the file is damaged: {}")
    with damaged, part.open(0) as file:
        size, sharding = size_of(file), array.sharding
        if sharding is not None:
            for entry in _index(file, sharding, size).reshape(-1, 2):
                sharding.place(entry, size)
        elif not size or (not array.coding.packers and size != array.chunk_bytes):
            raise ValueError("the chunk is truncated")


def _most(array: Array, size: int) -> int:
    """Return the bytes of a coded chunk, checked."""
    if size > 2 * array.chunk_bytes + (1 << 20):
        raise ValueError(f"a chunk of {size:,} bytes for {array.chunk_bytes:,} bytes of pixels")
    return size


def _by_zarr(origin: FolderOrigin, array: Array, region: Region) -> Pixels:
    opened = open_by_zarr(origin, array)
    try:
        return np.asarray(opened[region]).astype(array.dtype, copy=False)
    except Exception as error:
        reason = reason_of(error)
        raise CorruptError(
            f"{origin.name}: the file is damaged ({reason}); get a fresh copy"
        ) from error


def open_by_zarr(origin: FolderOrigin, array: Array) -> zarr.Array[Any]:
    """Return an array as the package zarr opens it.

    Raises
    ------
    FormatError
        If zarr is not installed, or does not know the codecs.
    """
    try:
        import zarr  # noqa: PLC0415 - an extra, and slow
    except ImportError:
        raise FormatError(
            f"{origin.name}: its codecs ({array.codecs}) need zarr: pip install 'imgpipe[zarr]'"
        ) from None
    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
    try:
        return zarr.open_array(os.path.join(origin.path, array.path), mode="r", zarr_format=3)
    except Exception as error:
        reason = reason_of(error)
        raise FormatError(
            f"{origin.name}: zarr does not read its codecs, {array.codecs} ({reason}); "
            "rewrite it with zstd or blosc"
        ) from error
