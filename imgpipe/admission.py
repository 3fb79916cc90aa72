"""Admission: the check of images in memory, in one place.

An image is any value that `numpy.asarray` understands: an array, a Pillow image, nested lists, an
object with ``__array__``. It has (rows, columns) or (rows, columns, channels), at least one pixel,
and integers of 8 to 64 bits or floats of 16 to 64 bits in any byte order; the engine works in that
of the machine. All else is refused by name, with the way out. The types of values are those of
``.npy`` files too.

Alpha is declared by the caller, and otherwise there is none.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Literal, TypeAlias

import numpy as np

from imgpipe.errors import UsageError
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels, guess_colour
from imgpipe.records import dataclass

__all__ = [
    "Admitted",
    "Alpha",
    "Nodata",
    "admitted",
    "alpha_channel",
    "as_array",
    "may_be_alpha",
    "native",
    "nodata_held",
    "nodata_meant",
    "shape_refusal",
    "type_refusal",
]

Alpha: TypeAlias = int | Literal["last", "none"] | None
"""Choice of the alpha channel by a caller; None is no choice, and then there is no alpha."""

Nodata: TypeAlias = float | str | None
"""The value of pixels without data, as a caller says it: a number, ``nan`` or ``none``."""

_TYPES = {
    "b": "which has no brightness; convert it first, for example by mask * np.uint8(255)",
    "c": "but values must be real numbers; use array.real, array.imag or np.abs(array)",
    "O": "which are not numbers; if they can be, convert them by array.astype(np.float64)",
    "U": "which are text; give numbers",
    "S": "which are text; give numbers",
    "M": "which are dates; convert them to numbers by array.astype(np.int64)",
    "m": "which are times; convert them to numbers by array.astype(np.int64)",
    "V": "which have no single brightness; use one of their fields, array['name']",
}
"""Kinds of types that are refused: the reason and the remedy."""

_OTHER = "which imgpipe does not support; convert them by array.astype(np.float64)"
_MODES = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
    "LAB": "",
}
"""Modes of Pillow whose numbers are no channel values, and modes to convert them to."""


@dataclass(frozen=True, eq=False)
class Admitted:
    """An image in memory.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns, channels)
        The array as it was given, in any memory layout and any byte order: a view, never a copy.
    info : ImageInfo
        Its properties; the dtype is in the byte order of the machine.
    flat : bool
        Whether it was given as (rows, columns).
    """

    pixels: Pixels
    info: ImageInfo
    flat: bool

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box` in the byte order of the machine; a view where they are."""
        return self.pixels[box.slices].astype(self.info.dtype, copy=False)


def admitted(
    given: Any, alpha: Alpha = None, name: str = "the image", nodata: Nodata = None
) -> Admitted:
    """Return a value as an image.

    Parameters
    ----------
    given : ndarray or anything that `numpy.asarray` understands
        The image.
    alpha : int, "last", "none" or None
        The alpha channel: the last one or none.
    name : str
        Its name in messages.
    nodata : float, "none" or None
        The value of pixels without data; none by default, and NaN is a value like others then.

    Raises
    ------
    UsageError
        If it is no image, or alpha is not its last channel.
    """
    array = as_array(given, name)
    refusal = shape_refusal(array.shape) or type_refusal(array.dtype)
    if refusal:
        raise UsageError(f"{name} {refusal}")
    pixels = array if array.ndim == 3 else array[:, :, None]
    height, width, channels = pixels.shape
    index = alpha_channel(alpha, channels)
    colour, usual = guess_colour(channels)
    colour = colour if usual == index else "other"
    dtype = native(array.dtype)
    missing = nodata_held(nodata_meant(nodata), dtype)
    info = ImageInfo(height, width, channels, dtype, index, colour, nodata=missing)
    return Admitted(pixels, info, array.ndim == 2)


def as_array(given: Any, name: str) -> Pixels:
    """Return `numpy.asarray` of `given`; of an array the very same.

    Raises
    ------
    UsageError
        If something would be lost on the way, or it is not understood.
    """
    if type(given) is np.ndarray:
        return given
    refusal = _refusal(given)
    if refusal:
        raise UsageError(f"{name} is {refusal}")
    try:
        array = np.asarray(given)
    except MemoryError:
        raise
    except Exception as error:  # __array__ of an object may raise anything
        reason = str(error).partition("\n")[0]
        way_out = (
            "give rows of the same length, all of numbers"
            if isinstance(given, (list, tuple))
            else "convert it to an array first"
        )
        raise UsageError(
            f"{name} is {_described(given)} that NumPy cannot convert to an array ({reason}); "
            f"{way_out}"
        ) from error
    if array.ndim == 0 and array.dtype == object:
        raise UsageError(f"{name} is {_described(given)}, not an array of numbers")
    return array


def type_refusal(dtype: np.dtype[Any]) -> str:
    """Return the reason why images have no `dtype`, and the remedy; else nothing."""
    if dtype.kind in "iuf" and dtype.itemsize <= 8 and native(dtype) == dtype.newbyteorder("="):
        return ""
    name = {"O": "objects", "V": "structures"}.get(dtype.kind, f"{dtype} values")
    return f"holds {'bool' if dtype.kind == 'b' else name}, {_TYPES.get(dtype.kind, _OTHER)}"


def shape_refusal(shape: tuple[int, ...]) -> str:
    """Return the reason why no image has `shape`; empty if one may."""
    if len(shape) in (2, 3) and 0 not in shape:
        return ""
    return (
        f"has the shape {shape}; an image is an array of (rows, columns) or (rows, columns, "
        "channels) with at least one pixel"
    )


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of integers or floats in the byte order of the machine, and nothing more."""
    return np.dtype(f"{dtype.kind}{dtype.itemsize}")


def may_be_alpha(given: object) -> bool:
    """Return whether `given` can say which channel is alpha, in some image."""
    if isinstance(given, str):
        return given in ("last", "none")
    number = isinstance(given, (int, np.integer)) and not isinstance(given, bool)
    return given is None or number


def alpha_channel(alpha: Alpha, channels: int, name: str = "") -> int | None:
    """Return the number of the alpha channel of an image with `channels` channels, if there is one.

    Raises
    ------
    UsageError
        If it is not the last channel, or there is no other.
    """
    prefix = f"{name}: " if name else ""
    last = channels - 1
    if not may_be_alpha(alpha) or not (isinstance(alpha, str) or alpha in (None, last, -1)):
        raise UsageError(
            f"{prefix}alpha must be the last channel ({last} or 'last') or 'none', not {alpha!r}"
        )
    if alpha is None or alpha == "none":
        return None
    if channels == 1:
        raise UsageError(f"{prefix}an image of one channel has no alpha; leave out alpha")
    return last


def nodata_meant(given: Nodata) -> Nodata:
    """Return the value of pixels without data that a caller means: a float, "none" or None.

    Raises
    ------
    UsageError
        If it is no number.
    """
    if given is None or given == "none":
        return given
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(
            f"nodata must be a number such as -9999, nan, or none, not {given!r}"
        ) from None


def nodata_held(nodata: Nodata, dtype: np.dtype[Any]) -> float | None:
    """Return the value of pixels without data as values of `dtype` have it; None if none can."""
    if nodata is None or nodata == "none":
        return None
    value = float(nodata)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    limits = np.iinfo(dtype)
    held = value.is_integer() and limits.min <= value <= limits.max
    return value if held else None


def _refusal(given: Any) -> str:
    """Return the fault of a value that `numpy.asarray` takes without a word; else nothing."""
    if isinstance(given, (str, os.PathLike)):
        return (
            f"the path {os.fspath(given)!r}; use imgpipe.run for "
            "files, or imgpipe.read(path) for an array"
        )
    if isinstance(given, (bytes, bytearray)):
        return (
            "bytes, which have no rows and columns; give an array, or the path of a file "
            "as text to imgpipe.read"
        )
    masked = sys.modules.get("numpy.ma")  # slow to import, unless it is loaded
    if masked is not None and isinstance(given, masked.MaskedArray):
        return "a masked array, whose mask would be lost; fill it first: array.filled(value)"
    if hasattr(given, "toarray") and not hasattr(given, "__array__"):
        return "a sparse matrix; convert it first: matrix.toarray()"
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(given, pillow.Image) and given.mode in _MODES:
        return _mode_refusal(given.mode)
    return ""


def _mode_refusal(mode: str) -> str:
    better = _MODES[mode]
    convert = f"give image.convert({better!r})" if better else "convert it by PIL.ImageCms"
    as_it_is = "" if mode == "1" else "; or np.array(image) to keep its numbers"
    return (
        f"a Pillow image of mode {mode!r}, whose numbers are not gray, RGB or alpha; "
        f"{convert}{as_it_is}"
    )


def _described(given: Any) -> str:
    return "None" if given is None else f"a {type(given).__name__}"
