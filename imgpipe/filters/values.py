"""Values: how they become the declared type, and how colour is tied to alpha.

Integers hold 0 to their maximum, floats 0 to 1 for what integers hold (and more).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from imgpipe.errors import FilterError
from imgpipe.filters.separable import scratch
from imgpipe.image import Pixels

__all__ = ["as_declared", "full_scale", "premultiplied", "rescaled", "unpremultiplied"]


def full_scale(dtype: np.dtype[Any] | type | str) -> float:
    """Return the value that stands for white, or for opaque: the maximum, 1 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0


def as_declared(values: Pixels, dtype: np.dtype[Any], name: str) -> Pixels:
    """Return what a kernel made as the type that was declared.

    Numbers are rounded half to even and saturated; booleans become 0 and the maximum.

    Raises
    ------
    FilterError
        If NaN or infinity would become an integer, or what was made are no real numbers.
    """
    if values.dtype == dtype:
        return values
    if values.dtype.kind not in "buif":
        raise FilterError(
            f"{name}: made values of type {values.dtype}, which cannot become {dtype}; "
            "return real numbers"
        )
    if values.dtype.kind == "b":
        white = np.iinfo(dtype).max if dtype.kind in "iu" else 1
        return cast(Pixels, np.multiply(values, white, dtype=dtype))
    if dtype.kind == "f":
        return values.astype(dtype)
    out = np.empty(values.shape, dtype)
    if not _saturate(values, out):
        raise FilterError(
            f"{name}: made a NaN or an infinity, which {dtype} cannot hold; "
            "guard the division or the logarithm it comes from"
        )
    return out


def _saturate(values: Pixels, out: Pixels) -> bool:
    """Round and saturate to the integers of `out`; return whether all values were finite."""
    limits = np.iinfo(out.dtype)
    low, high = limits.min, limits.max
    if values.dtype.kind == "f":
        finite = scratch("finite", np.dtype(bool), values.size).reshape(values.shape)
        if not np.isfinite(values, out=finite).all():
            return False
        working = np.result_type(values, np.float32)
        rounded = scratch("rounded", working, values.size).reshape(values.shape)
        np.rint(values, out=rounded)
        np.clip(rounded, low, high, out=rounded)
        np.copyto(out, rounded, casting="unsafe")
        return True
    given = np.iinfo(values.dtype)
    inside = scratch("inside", values.dtype, values.size).reshape(values.shape)
    np.clip(values, max(low, given.min), min(high, given.max), out=inside)
    np.copyto(out, inside, casting="unsafe")
    return True


def rescaled(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Return `values` in another type, so that the maximum of one is that of the other."""
    if values.dtype == dtype:
        return values
    scale = full_scale(dtype) / full_scale(values.dtype)
    if dtype.kind == "f":
        scaled: Pixels = values.astype(dtype)
        scaled *= dtype.type(scale)
        return scaled
    return np.clip(np.rint(values * scale), 0, full_scale(dtype)).astype(dtype)


def premultiplied(pixels: Pixels) -> Pixels:
    """Return colour times alpha, and alpha on the same scale.

    For uint8 both are uint16 and exact: ``colour * alpha`` and ``255 * alpha``. For uint16 they
    are float64 and exact too. Floats stay what they are.
    """
    dtype = pixels.dtype
    wider = {"uint8": "uint16", "float32": "float32"}.get(dtype.name, "float64")
    wide: Pixels = pixels.astype(wider)
    alpha: Pixels = wide[..., -1:].copy()
    np.multiply(wide[..., :-1], alpha, out=wide[..., :-1])
    np.multiply(alpha, wide.dtype.type(full_scale(dtype)), out=wide[..., -1:])
    return wide


def unpremultiplied(mixed: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Undo `premultiplied` after colours and alpha were mixed. Colour under alpha 0 is 0."""
    full = full_scale(dtype)
    wide: Pixels = mixed.astype(np.float64 if dtype.itemsize > 1 else np.float32)
    alpha: Pixels = wide[..., -1:]
    ratio = np.zeros_like(alpha)
    np.divide(full, alpha, where=np.greater(alpha, 0), out=ratio)
    np.multiply(wide[..., :-1], ratio, out=wide[..., :-1])
    np.divide(alpha, full, out=alpha)
    out: Pixels = wide.astype(dtype, copy=False)
    if dtype.kind != "f":
        out = np.clip(np.rint(wide), 0, full).astype(dtype)
    np.multiply(out[..., :-1], out[..., -1:] > 0, out=out[..., :-1])
    return out
