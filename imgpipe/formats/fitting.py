"""Fitting of an image to the types and channels that a format declares, or its refusal.

Values are never converted here. Only the meaning of channels may change: a format whose files with
four channels have one meaning gives it to any four channels.
"""

from __future__ import annotations

from dataclasses import replace

from imgpipe.errors import UsageError
from imgpipe.formats.declaration import Format, Layout
from imgpipe.image import ImageInfo

__all__ = ["fitted"]

_HOLDS_ALL = ".npy"


def fitted(info: ImageInfo, format: Format, name: str) -> ImageInfo:
    """Return `info` as readers of the file will see it.

    Parameters
    ----------
    info : ImageInfo
        The image that is to be written.
    format : Format
        The format of the file.
    name : str
        The file, for messages.

    Raises
    ------
    UsageError
        If the format cannot hold such an image.
    """
    if format.dtypes is not None and str(info.dtype) not in format.dtypes:
        raise UsageError(
            f"{name}: {format.name} supports {_listed(format.dtypes)}, not {info.dtype}; convert "
            f"the image first, for example by {_conversions(format.dtypes)}, or write {_HOLDS_ALL}"
        )
    layout = _layout(info, format, name)
    if not all(0 < length <= (format.side or length) for length in (info.height, info.width)):
        raise UsageError(
            f"{name}: {format.name} cannot hold {info.width} x {info.height} pixels; "
            f"write {_HOLDS_ALL}"
        )
    return info if layout is None else replace(info, alpha=layout.alpha)


def _layout(info: ImageInfo, format: Format, name: str) -> Layout | None:
    """Return the layout closest to the meaning of the channels; None if none is needed."""
    if format.layouts is None:
        return None
    fit = [layout for layout in format.layouts if layout.channels == info.channels]
    if not fit:
        counts = sorted({layout.channels for layout in format.layouts})
        some = counts == list(range(counts[0], counts[-1] + 1)) and len(counts) > 2
        held = f"{counts[0]} to {counts[-1]}" if some else _listed(tuple(map(str, counts)))
        noun = "channel" if counts == [1] else "channels"
        raise UsageError(
            f"{name}: {format.name} supports {held} {noun}, not {info.channels}; select some of "
            f"them, or write {_HOLDS_ALL}"
        )
    return max(fit, key=lambda one: (one.colour == info.colour, one.alpha == info.alpha))


def _listed(words: tuple[str, ...]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _conversions(dtypes: tuple[str, ...]) -> str:
    """Return the elements of a chain that convert to a type that is held."""
    plain = f"astype:{dtypes[-1]}"
    return f"{plain} or astype:{dtypes[0]},measured" if dtypes[0].startswith("u") else plain
