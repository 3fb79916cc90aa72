"""Declarations of arrays and groups: the files ``zarr.json``."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from imgpipe.admission import type_refusal
from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.folder import FolderOrigin
from imgpipe.formats.wholedecoding import reason_of
from imgpipe.formats.zarr.codecs import Coding
from imgpipe.formats.zarr.shards import CODEC, Sharding
from imgpipe.records import dataclass

__all__ = [
    "MARK",
    "Array",
    "Dataset",
    "Multiscale",
    "array_of",
    "declaration",
    "multiscale_of",
    "of_damage",
]

of_damage = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Errors of a declaration that lacks something."""

MARK = "zarr.json"
"""The name of a declaration."""
_LARGEST = 1 << 24  # bytes of a declaration
_MOST_OVERSIZE = 4  # times the array, of a chunk
_LEAST_OVERSIZE = 1 << 26  # values
_LONGEST = 60  # letters of a word of a file in a message
_TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "bool", "complex64", "complex128")  # fmt: skip
_MICROMETRES = {
    "angstrom": Fraction(1, 10_000),
    "nanometer": Fraction(1, 1000),
    "micrometer": Fraction(1),
    "millimeter": Fraction(1000),
    "centimeter": Fraction(10_000),
    "decimeter": Fraction(100_000),
    "meter": Fraction(10**6),
    "kilometer": Fraction(10**9),
    "inch": Fraction(25_400),
    "foot": Fraction(304_800),
    "yard": Fraction(914_400),
    "mile": Fraction(1_609_344_000),
}


@dataclass(frozen=True)
class Array:
    """An array.

    Attributes
    ----------
    path : str
        Its folder within that of the image, with a slash at the end; empty if it is the image.
    shape : tuple of int
        Its size along each axis.
    file : tuple of int
        The size of the part of it that is one file.
    chunk : tuple of int
        The size of the part of it that is compressed by itself.
    dtype : numpy.dtype
        The type of its values.
    fill : Any
        The value where there is no chunk.
    prefix, separator : str
        The begin of the names of its files, and what stands between their numbers.
    coding : Coding or None
        The coding of a chunk; None if the package zarr has to decode it.
    sharding : Sharding or None
        The index of a file with many chunks.
    codecs : str
        Names of its codecs, for messages.
    axes : tuple of str
        Names of its axes, as far as they are known.
    """

    path: str
    shape: tuple[int, ...]
    file: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    prefix: str
    separator: str
    coding: Coding | None
    sharding: Sharding | None
    codecs: str
    axes: tuple[str, ...]

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk."""
        return math.prod(self.chunk) * self.dtype.itemsize

    def part(self, index: tuple[int, ...]) -> str:
        """Return the name of a file, by its number along each axis."""
        return self.path + self.separator.join([*filter(None, [self.prefix]), *map(str, index)])


class Dataset(NamedTuple):
    """A level of an image.

    Attributes
    ----------
    path : str
        The folder of its array.
    scale : tuple of float
        Size of a pixel along each axis.
    """

    path: str
    scale: tuple[float, ...]


class Multiscale(NamedTuple):
    """An image of OME-Zarr.

    Attributes
    ----------
    axes : tuple of str
        Names of its axes.
    units : tuple of (Fraction or None)
        Micrometres of the unit of each axis.
    datasets : tuple of Dataset
        Its levels, the full resolution first.
    """

    axes: tuple[str, ...]
    units: tuple[Fraction | None, ...]
    datasets: tuple[Dataset, ...]


def declaration(origin: FolderOrigin, path: str = "") -> dict[str, Any]:
    """Return the declaration in a folder of an image.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    name = f"{path}{MARK}"
    with origin.part(name).open() as file:
        text = file.read(_LARGEST)
    try:
        made = json.loads(text)
        if int(made["zarr_format"]) != 3 or not isinstance(made.get("attributes", {}), dict):
            raise ValueError
    except of_damage:
        raise damaged(origin, path, f"{name} is no declaration of Zarr 3") from None
    return dict(made)


def damaged(origin: FolderOrigin, path: str, reason: str) -> CorruptError:
    """Return the error about a part of an image that is damaged."""
    return CorruptError(f"{origin.name}: the file is damaged: {reason}; get a fresh copy")


def multiscale_of(made: dict[str, Any], origin: FolderOrigin) -> Multiscale:
    """Return the image that a group declares.

    Raises
    ------
    FormatError
        If it is no image of OME-Zarr.
    CorruptError
        If the declaration is damaged.
    """
    ome = made.get("attributes", {}).get("ome", {})
    images = ome.get("multiscales") if isinstance(ome, dict) else None
    if images is None:
        raise FormatError(
            f"{origin.name}: is a Zarr group that is no OME-Zarr image; give the path of an array "
            "or of an image within it, such as "
            f"{origin.name.rstrip('/')}/0"
        )
    try:
        image = images[0]
        axes = tuple(_word(axis["name"]) for axis in image["axes"])
        units = tuple(_MICROMETRES.get(axis.get("unit")) for axis in image["axes"])
        whole = _scale(image, len(axes))
        datasets = tuple(
            Dataset(
                _within(each["path"]),
                tuple(a * b for a, b in zip(_scale(each, len(axes)), whole, strict=True)),
            )
            for each in image["datasets"]
        )
        if not datasets:
            raise ValueError
    except of_damage:
        raise damaged(origin, "", "its multiscales are incomplete") from None
    return Multiscale(axes, units, datasets)


def _scale(given: dict[str, Any], axes: int) -> tuple[float, ...]:
    """Return the factors of the transformations of an image or a level."""
    for each in given.get("coordinateTransformations") or ():
        if each["type"] == "scale":
            made = tuple(float(factor) for factor in each["scale"])
            if len(made) != axes:
                raise ValueError
            return made
    return (1.0,) * axes


def _within(path: Any) -> str:
    """Return the folder of a level; a `ValueError` if it is not in that of the image."""
    parts = str(path).strip("/").split("/")
    if not isinstance(path, str) or not path.isprintable() or path.startswith("/"):
        raise ValueError
    if {"", ".", ".."} & set(parts):
        raise ValueError
    return "/".join(parts) + "/"


def array_of(made: dict[str, Any], origin: FolderOrigin, path: str = "") -> Array:
    """Return the array that a folder declares.

    Raises
    ------
    FormatError
        If it is of a kind that is not supported.
    CorruptError
        If the declaration is damaged.
    """
    try:
        return _array(made, origin.name, path)
    except of_damage as error:
        reason = f"{path}{MARK} declares no array ({reason_of(error)})"
        raise damaged(origin, path, reason) from None


def _array(made: dict[str, Any], name: str, path: str) -> Array:
    if made["node_type"] != "array":
        raise ValueError("it is of another kind")
    dtype = _dtype(made["data_type"], name)
    shape = _lengths(made["shape"])
    if made.get("storage_transformers"):
        raise FormatError(
            f"{name}: uses storage transformers, which imgpipe does not read; rewrite it by zarr "
            "without them"
        )
    grid, keys = made["chunk_grid"], made["chunk_key_encoding"]
    if grid["name"] != "regular" or keys["name"] not in ("default", "v2"):
        raise FormatError(
            f"{name}: uses the chunk grid {grid['name']!r} or the names {keys['name']!r}, which "
            "imgpipe does not read; rewrite the array by zarr with a regular grid"
        )
    file = _lengths(grid["configuration"]["chunk_shape"], len(shape))
    default = keys["name"] == "default"
    separator = (keys.get("configuration") or {}).get("separator", "/" if default else ".")
    if separator not in ("/", "."):
        raise ValueError("its separator is none")
    chunk, coding, sharding, names = _codecs(made["codecs"], file)
    decoded = chunk if coding is not None else file
    if math.prod(decoded) > max(_LEAST_OVERSIZE, _MOST_OVERSIZE * math.prod(shape)):
        raise ValueError("its chunks are far larger than the array")
    axes = made.get("dimension_names") or ()
    return Array(
        path,
        shape,
        file,
        chunk,
        dtype,
        _fill(made["fill_value"], dtype),
        "c" if default else "",
        separator,
        coding,
        sharding,
        names,
        tuple(_word(axis).lower() for axis in axes) if len(axes) == len(shape) else (),
    )


def _codecs(
    codecs: list[Any], file: tuple[int, ...]
) -> tuple[tuple[int, ...], Coding | None, Sharding | None, str]:
    """Return the chunk, its coding, the index of a file of chunks, and the names of codecs."""
    if codecs[0]["name"] != CODEC:
        names = ", ".join(_word(each["name"]) for each in codecs if each["name"] != "bytes")
        return file, Coding.of(codecs), None, names
    about = codecs[0]["configuration"]
    chunk = _lengths(about["chunk_shape"], len(file))
    if any(whole % part for whole, part in zip(file, chunk, strict=True)):
        raise ValueError("its shards are no whole chunks")
    inner = [_word(each["name"]) for each in about["codecs"]]
    names = ", ".join(each for each in inner if each != "bytes")
    index = [str(each["name"]) for each in about["index_codecs"]]
    ours = len(codecs) == 1 and CODEC not in inner and index in (["bytes"], ["bytes", "crc32c"])
    order = (about["index_codecs"][0].get("configuration") or {}).get("endian", "little")
    counts = tuple(whole // part for whole, part in zip(file, chunk, strict=True))
    at_end = about.get("index_location", "end") == "end"
    coding = Coding.of(about["codecs"]) if ours and order == "little" else None
    return chunk, coding, Sharding(counts, at_end, len(index) > 1), names


def _dtype(given: Any, name: str) -> np.dtype[Any]:
    if not isinstance(given, str) or given not in _TYPES:
        raise FormatError(
            f"{name}: holds values of the type {given!r}, which imgpipe does not read; convert "
            "them by zarr to integers or floats"
        )
    dtype = np.dtype(given)
    refusal = type_refusal(dtype)
    if refusal:
        raise FormatError(f"{name}: {refusal}")
    return dtype


def _word(given: Any) -> str:
    """Return a word of a file in a form that fits a message."""
    text = str(given)[:_LONGEST]
    return text if text.isprintable() else ascii(text)


def _lengths(given: Any, count: int | None = None) -> tuple[int, ...]:
    if not isinstance(given, list) or not given or (count is not None and len(given) != count):
        raise ValueError("its shape is none")
    if not all(type(one) is int and 0 < one < 1 << 48 for one in given):
        raise ValueError("its shape is none")
    return tuple(given)


def _fill(given: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value of a fill value; bits of floats are written as hexadecimal text."""
    if isinstance(given, str) and given.startswith("0x"):
        return np.array(int(given, 16), f"u{dtype.itemsize}").view(dtype)[()]
    made = np.array(float(given) if isinstance(given, str) else given, dtype)
    if made.ndim:
        raise ValueError("its fill value is none")
    return made[()]
