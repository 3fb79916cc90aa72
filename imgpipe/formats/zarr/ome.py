"""Attributes of OME-Zarr 0.5: axes, levels and channels of an image that is written."""

from __future__ import annotations

from typing import Any

import numpy as np

from imgpipe.formats.zarr.ownattribute import OWN, own_of
from imgpipe.image import ImageInfo

__all__ = ["channels_of", "group_of"]

_PER_METRE = 1_000_000
_COLOURS = ("FF0000", "00FF00", "0000FF")
_NAMES = ("red", "green", "blue")


def group_of(info: ImageInfo, levels: int, name: str) -> dict[str, Any]:
    """Return the declaration of the group of an image.

    Parameters
    ----------
    info : ImageInfo
        The image.
    levels : int
        Number of its levels; each has half the size of the one before.
    name : str
        Its folder, for warnings.
    """
    density = info.metadata.pixels_per_metre
    scale, unit = (1.0, 1.0), {}
    if density is not None:
        x, y = (float(_PER_METRE / each) for each in density)
        scale, unit = (y, x), {"unit": "micrometer"}
    image = {
        "name": "image",
        "axes": [
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", **unit},
            {"name": "x", "type": "space", **unit},
        ],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transformations(scale, level)}
            for level in range(levels)
        ],
    }
    ome = {"version": "0.5", "multiscales": [image], **channels_of(info)}
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ome, OWN: own_of(info, name)},
    }


def _transformations(scale: tuple[float, float], level: int) -> list[dict[str, Any]]:
    """Return size and position of the pixels of a level, whose centres are at whole numbers."""
    factor = 2**level
    made: list[dict[str, Any]] = [
        {"type": "scale", "scale": [1.0, *(factor * each for each in scale)]}
    ]
    if level:
        shift = [0.0, *((factor - 1) / 2 * each for each in scale)]
        made.append({"type": "translation", "translation": shift})
    return made


def channels_of(info: ImageInfo) -> dict[str, Any]:
    """Return the display settings of the channels of an RGB image of integers."""
    if info.colour != "rgb" or info.dtype.kind not in "iu":
        return {}
    limits = np.iinfo(info.dtype)
    low, high = int(limits.min), int(limits.max)
    window = {"min": low, "max": high, "start": low, "end": high}
    shown = [
        {"label": name, "color": colour, "active": True, "window": window}
        for name, colour in zip(_NAMES, _COLOURS, strict=True)
    ]
    for at in range(3, info.channels):
        name = "alpha" if at == info.alpha else f"channel {at}"
        shown.append({"label": name, "color": "FFFFFF", "active": False, "window": window})
    return {"omero": {"channels": shown, "rdefs": {"model": "color"}}}
