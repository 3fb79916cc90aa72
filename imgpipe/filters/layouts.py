"""Layouts: filters that change the meaning of channels: gray, alpha and inks to colours."""

from __future__ import annotations

from typing import Annotated, Any, cast

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.colours import hexadecimal, parts_of
from imgpipe.errors import UsageError
from imgpipe.image import Colour, ImageInfo, Pixels
from imgpipe.inkprofiles import is_profiled, rgb_by_profile
from imgpipe.kernels.inks import ink_of, rgb_of_inks
from imgpipe.kernels.mixing import luma
from imgpipe.parameters import Example, Through
from imgpipe.plurals import counted
from imgpipe.values import full_scale, rescaled

__all__ = ["flatten", "to_rgb"]

_ROWS = 64  # at once: products are wider than pixels


def _without_alpha(info: ImageInfo, /) -> tuple[int, int | None, Colour]:
    return info.channels - (info.alpha is not None), None, info.colour


@filter(halo=0, alpha="filter", layout=_without_alpha)
def flatten(
    chunk: Pixels,
    *,
    about: ImageInfo,
    colour: Annotated[
        str,
        Through(hexadecimal),
        Example("black"),
        "colour behind the image: a name, #rrggbb, or 0 to 255 for gray or for r,g,b",
    ] = "#ffffff",
) -> Pixels:
    """Lay the image over a background of one colour.

    ``alpha * value + (1 - alpha) * background`` with alpha from 0 to 1. The result has no alpha.
    An image without alpha stays as it is. A gray image gets the gray value of the background, as
    `grayscale` makes it; a CMYK image gets its inks.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    colour : str
        The colour behind the image: a name such as ``white``, ``#rrggbb``, one number from 0 to
        255 for gray, or three for red, green and blue.

    Returns
    -------
    ndarray, shape (rows, columns, channels without alpha)
        The same type. Integers of up to 32 bits are exact, rounded to the nearest; others are
        computed in float64. Colours under alpha 0 are not used.

    References
    ----------
    .. [1] T. Porter, T. Duff, Compositing digital images, SIGGRAPH 1984: over.
    """
    if about.alpha is None:
        return chunk
    behind = _background(colour, about.colour, chunk.shape[2] - 1, chunk.dtype)
    out = np.empty((*chunk.shape[:2], chunk.shape[2] - 1), chunk.dtype)
    for y in range(0, len(chunk), _ROWS):
        part, made = chunk[y : y + _ROWS], out[y : y + _ROWS]
        if about.dtype.kind == "f" or about.dtype.itemsize > 4:
            _lay_reals(part, behind, made)
        else:
            _lay_integers(part, behind, made)
    return out


def _background(text: str, colour: Colour, channels: int, dtype: np.dtype[Any]) -> Pixels:
    """Return the background as values of an image, shape (channels,)."""
    parts = parts_of(text)
    if colour == "rgb":
        levels = np.array(parts, np.uint8)
    elif colour == "cmyk":
        levels = np.array(ink_of(parts), np.uint8)
    else:
        levels = np.full(channels, luma(np.array([[parts]], np.uint8)).item(), np.uint8)
    return rescaled(levels, dtype)


def _lay_integers(part: Pixels, background: Pixels, out: Pixels) -> None:
    """Lay integers of up to 32 bits over a background: exact, rounded to the nearest."""
    white = np.iinfo(part.dtype).max
    kind = part.dtype.kind
    wide = np.dtype(f"{kind}{min(8, 2 * part.dtype.itemsize)}").type
    alpha = np.maximum(part[..., -1], 0).astype(wide)
    clear = wide(white) - alpha
    for channel in range(out.shape[2]):
        sums = alpha * part[..., channel]
        sums += clear * wide(background[channel])
        sums += wide(white // 2)  # white is odd: there are no halves
        np.floor_divide(sums, wide(white), out=sums)
        np.copyto(out[..., channel], sums, casting="unsafe")


def _lay_reals(part: Pixels, background: Pixels, out: Pixels) -> None:
    """Lay floats, or integers of 64 bits, over a background."""
    alpha = np.clip(part[..., -1].astype(np.float64) / full_scale(part.dtype), 0, 1)
    hidden, opaque = part[..., -1] <= 0, alpha == 1
    for channel in range(out.shape[2]):
        values, behind = part[..., channel], background[channel]
        with np.errstate(invalid="ignore"):
            sums = values * alpha + (1 - alpha) * float(behind)
        if out.dtype.kind in "iu":  # between two values, so it cannot overflow but by rounding
            limits = np.iinfo(out.dtype)
            below = np.nextafter(float(limits.max), 0)
            sums = np.clip(np.rint(sums), limits.min, below)
        np.copyto(out[..., channel], sums, casting="unsafe")
        np.copyto(out[..., channel], values, where=opaque)
        np.copyto(out[..., channel], behind, where=hidden)


def _rgb(info: ImageInfo, /) -> tuple[int, int | None, Colour]:
    colours = info.channels - (info.alpha is not None)
    if colours not in (1, 3) and info.colour != "cmyk":
        raise UsageError(
            f"to_rgb: needs a gray, RGB or CMYK image, not {counted(colours, 'channel')}"
        )
    return 3 + (info.alpha is not None), None if info.alpha is None else 3, "rgb"


@filter(halo=0, layout=_rgb)
def to_rgb(chunk: Pixels, *, about: ImageInfo) -> Pixels:
    """Convert gray or CMYK to RGB.

    Gray becomes red, green and blue of the same value. Inks of 8 or 16 bits with a colour profile
    become sRGB as the profile says. Other inks become ``(1 - ink) * (1 - black)``: what they look
    like on ideal paper. The profile of the inks is left out. An RGB image stays as it is.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, 1, 3 or 4)
        Any type.

    Returns
    -------
    ndarray, shape (rows, columns, 3)
        The same type. Without a profile, integers of up to 32 bits are exact, rounded to the
        nearest; others are computed in float64.

    References
    ----------
    .. [1] ISO 32000-1:2008, section 10.3.5: conversion of DeviceCMYK to DeviceRGB, as a product.
    """
    if is_profiled(about):
        return rgb_by_profile(chunk, cast(bytes, about.metadata.icc))
    if about.colour == "cmyk":
        return rgb_of_inks(chunk)
    return cast(Pixels, np.repeat(chunk, 3, axis=2)) if chunk.shape[2] == 1 else chunk
