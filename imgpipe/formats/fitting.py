"""Fitting of an image to a format: the one place that decides about conversions.

An image that fits is not converted. Conversions without a choice are made: colours behind alpha
where there is no alpha, inks where there is no CMYK, more bits than there are. A conversion with a
choice is refused, and the message names the element of a chain that makes it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from imgpipe.density import density_from_dpi
from imgpipe.errors import UsageError
from imgpipe.formats.declaration import Format, Layout
from imgpipe.image import Colour, ImageInfo
from imgpipe.inkprofiles import is_profiled
from imgpipe.plurals import counted, listed

__all__ = ["Fitting", "fitted", "fitting", "left_out"]

_HOLDS_ALL = ".tif or .npy"
_COLOURS = {"gray": 1, "rgb": 3, "cmyk": 4}
_BY_COUNT: dict[int, Colour] = {1: "gray", 3: "rgb"}
_WHITE = "#ffffff"
_PAINTED = {"#ffffff": "white", "#000000": "black"}
_BLOCKS = {
    "exif": "EXIF",
    "icc": "the ICC profile",
    "xmp": "XMP",
    "iptc": "IPTC",
    "geo": "the georeference",
}
_OF_SCREENS = [density_from_dpi(dpi, dpi) for dpi in (72, 96)]
"""Resolutions that programs write by default."""


class Fitting(NamedTuple):
    """The conversions that a target requires.

    Attributes
    ----------
    elements : tuple of str
        Elements of a chain, in order; none if the image fits.
    lost : str
        Their losses, in words; empty if there are none.
    """

    elements: tuple[str, ...] = ()
    lost: str = ""


def fitting(
    info: ImageInfo,
    format: Format,
    name: str,
    *,
    background: str | None = None,
    value_range: str | None = None,
) -> Fitting:
    """Return the conversions that make an image fit a format.

    Parameters
    ----------
    info : ImageInfo
        The image that is to be written.
    format : Format
        The format of the file.
    name : str
        The file, for messages.
    background : str, optional
        The colour behind alpha where the format has no alpha, ``#rrggbb``; white by default.
    value_range : str, optional
        Values that become black and white where floats or signed integers become others, or
        unsigned integers lose bits, in the words of ``astype``.

    Raises
    ------
    UsageError
        If the format cannot hold such an image, and no conversion follows from that alone.
    """
    elements, losses = _to_layout(info, format, name, background or _WHITE)
    converted, lost = _to_type(info, format, name, value_range)
    all_lost = [loss for loss in (*losses, lost, *_reduced(info, format)) if loss]
    return Fitting((*elements, *converted), "; ".join(all_lost))


def fitted(info: ImageInfo, format: Format, name: str) -> ImageInfo:
    """Return `info` as readers of the file will see it, where nothing has to be converted.

    Only the meaning of channels may change: a format whose files with four channels have one
    meaning gives it to any four channels.

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
        raise _of_type(info.dtype, format, name)
    layout = _layout(info, format)
    if layout is None and format.layouts is not None:
        raise _of_channels(info, format, name)
    if not all(0 < length <= (format.side or length) for length in (info.height, info.width)):
        most = f"; it holds up to {format.side:,} pixels a side" if format.side else ""
        raise UsageError(
            f"{name}: {format.name} cannot hold {info.width} x {info.height} pixels{most}; write "
            ".tif, .png or .npy"
        )
    return info if layout is None else replace(info, alpha=layout.alpha)


def left_out(info: ImageInfo, format: Format) -> str:
    """Return the metadata of an image that a format cannot hold, in words; "" if it holds all.

    Parameters
    ----------
    info : ImageInfo
        The image that is to be written.
    format : Format
        The format of the file.
    """
    if format.metadata is None:
        return ""
    known, held = info.metadata, format.metadata
    words = [word for kind, word in _BLOCKS.items() if kind not in held and getattr(known, kind)]
    if known.texts and "texts" not in held:
        from imgpipe.exif import texts_left_out  # noqa: PLC0415 - rarely needed

        left = texts_left_out(known.exif, known.texts) if "exif" in held else known.texts
        texts = tuple(repr(text.keyword) for text in left)
        words += ["the text " + listed(texts)] if texts else []
    chosen = known.pixels_per_metre is not None and known.pixels_per_metre not in _OF_SCREENS
    if chosen and "resolution" not in held:
        words.append("the resolution")
    if info.nodata is not None and not math.isnan(info.nodata) and "nodata" not in held:
        words.append("the value of pixels without data")
    if "meaning" not in held and format.layouts is None:
        words += ["that the channels are CMYK"] if info.colour == "cmyk" else []
        words += ["that the last channel is alpha"] if info.alpha is not None else []
    return ", ".join(words)


# --- channels ---------------------------------------------------------------------------


def _layout(info: ImageInfo, format: Format) -> Layout | None:
    """Return the layout closest to the meaning of the channels; None if none holds them."""
    fit = [one for one in format.layouts or () if _holds(one, info)]
    if not fit:
        return None
    return max(fit, key=lambda one: (one.colour == info.colour, one.alpha == info.alpha))


def _holds(layout: Layout, info: ImageInfo) -> bool:
    """Return whether channels have this meaning, or none yet that would contradict it."""
    if layout.channels != info.channels:
        return False
    alike = layout.colour == info.colour and layout.alpha == info.alpha
    unsaid = info.alpha is None and info.channels != _COLOURS.get(info.colour)
    return alike or (layout.colour != "cmyk" and (unsaid or _similar(layout, info)))


def _similar(layout: Layout, info: ImageInfo) -> bool:
    """Return whether only the words differ: channels of an unknown colour before alpha."""
    return info.colour == "other" and layout.alpha == info.alpha


def _to_layout(
    info: ImageInfo, format: Format, name: str, background: str
) -> tuple[list[str], list[str]]:
    """Return the elements that bring channels to a layout of the format, and their losses."""
    if format.layouts is None or _layout(info, format) is not None:
        return [], []
    held = {(one.colour, one.alpha is not None) for one in format.layouts}
    colour, has_alpha = info.colour, info.alpha is not None
    if colour == "other":
        colour = _BY_COUNT.get(info.channels - has_alpha, "other")
    if info.channels - has_alpha != _COLOURS.get(colour):
        raise _of_channels(info, format, name)
    elements, losses = list[str](), list[str]()
    if has_alpha and not any(alpha for _, alpha in held):
        elements.append(f"flatten:colour={background}")
        losses.append(f"alpha is laid over {_PAINTED.get(background, background)}")
        has_alpha = False
    if (colour, has_alpha) not in held and ("rgb", has_alpha) in held and colour != "rgb":
        elements.append("to_rgb")
        if colour == "cmyk":
            way = "its colour profile" if is_profiled(info) else "a plain formula"
            losses.append(f"CMYK becomes RGB by {way}")
        colour = "rgb"
    if (colour, has_alpha) not in held:
        raise _of_channels(info, format, name)
    return elements, losses


def _of_channels(info: ImageInfo, format: Format, name: str) -> UsageError:
    """Return the refusal of channels that have no obvious conversion to the format."""
    assert format.layouts is not None
    wanted = {one.colour for one in format.layouts}
    if info.colour == "rgb" and info.alpha is None and wanted == {"gray"}:
        advice = "add grayscale to the chain"
    elif info.channels in (2, 4) and info.alpha is None and info.colour == "other":
        advice = 'give --alpha last (alpha="last" in Python) if the last one is alpha'
    else:
        advice = 'select some of them, for example by mix_channels:matrix="1 0 ..."'
    counts = sorted({layout.channels for layout in format.layouts})
    some = counts == list(range(counts[0], counts[-1] + 1)) and len(counts) > 2
    held = f"{counts[0]} to {counts[-1]}" if some else listed(tuple(map(str, counts)))
    noun = "channel" if counts == [1] else "channels"
    given = str(info.channels)
    if info.channels in counts:  # of another meaning
        held, noun = listed(tuple(map(str, format.layouts))), ""
        meaning = {"cmyk": "CMYK", "other": "unknown meaning"}.get(info.colour, info.colour)
        given = f"{counted(info.channels, 'channel')} of {meaning}"
    return UsageError(
        f"{name}: {format.name} supports {held}{noun and ' '}{noun}, not {given}; {advice}, "
        f"or {_advice(format)}"
    )


def _reduced(info: ImageInfo, format: Format) -> list[str]:
    """Return the losses of an image in a format of few colours."""
    if format.colours is None:
        return []
    lost = [] if info.colour == "gray" else [f"at most {format.colours} colours are kept"]
    return [*lost, "alpha becomes 0 or 1"] if info.alpha is not None else lost


# --- types ------------------------------------------------------------------------------


def _to_type(
    info: ImageInfo, format: Format, name: str, value_range: str | None
) -> tuple[tuple[str, ...], str]:
    """Return the element that brings values to a type of the format, and its losses."""
    dtype = info.dtype
    if format.dtypes is None or str(dtype) in format.dtypes:
        return (), ""
    held = [np.dtype(one) for one in format.dtypes]
    wanted = _nearest(dtype, [one for one in held if one.kind == dtype.kind])
    if wanted is None and dtype.kind == "u":
        wanted = _nearest(dtype, [one for one in held if one.kind == "f"])
    narrower = wanted is not None and wanted.kind == "u" and wanted.itemsize < dtype.itemsize
    if wanted is not None and not (narrower and value_range):
        return (f"astype:{wanted}",), _loss(dtype, wanted)
    if value_range is None:
        raise _of_type(dtype, format, name)
    wanted = max(held, key=lambda one: (one.kind == "u", one.itemsize))
    element, (black, white) = f'astype:{wanted},range="{value_range}"', _ends(value_range, dtype)
    if info.nodata is not None and math.isnan(info.nodata):
        element, black = f"{element},nan=0", f"{black} and NaN"
    return (element,), f"{dtype} becomes {wanted}, with {black} as black and {white} as white"


def _ends(value_range: str, dtype: np.dtype[Any]) -> tuple[str, str]:
    """Return the values that become black and white, in words."""
    if value_range == "measured":
        return "its minimum", "its maximum"
    if value_range == "full":
        return "0", str(np.iinfo(dtype).max if dtype.kind in "iu" else 1)
    low, _, high = value_range.partition("..")
    return low, high


def _nearest(dtype: np.dtype[Any], held: list[np.dtype[Any]]) -> np.dtype[Any] | None:
    """Return the smallest type that is no smaller, else the largest."""
    enough = [one for one in held if one.itemsize >= dtype.itemsize]
    if enough:
        return min(enough, key=lambda one: one.itemsize)
    return max(held, key=lambda one: one.itemsize, default=None)


def _loss(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> str:
    if wanted.kind == "f" and np.can_cast(dtype, wanted):
        return ""
    lossless = wanted.kind == dtype.kind and wanted.itemsize >= dtype.itemsize
    return "" if lossless else f"{dtype} becomes {wanted}"


def _of_type(dtype: np.dtype[Any], format: Format, name: str) -> UsageError:
    """Return the refusal of a type that has no range."""
    assert format.dtypes is not None
    unsigned = [one for one in format.dtypes if one.startswith("u")]
    wanted = (unsigned or format.dtypes)[-1]
    if not wanted.startswith("u"):
        way = f"convert the image first, for example by astype:{wanted}"
    else:
        some = "0..1" if dtype.kind == "f" else "0..4000"
        way = (
            f"say which values become black and white by --value-range {some} (value_range= in "
            f"Python), --value-range measured, or astype:{wanted},range={some} in the chain"
        )
    return UsageError(
        f"{name}: {format.name} supports {listed(format.dtypes)}, not {dtype}; {way}, "
        f"or {_advice(format)}"
    )


def _advice(format: Format) -> str:
    """Return the alternative: an option or a format that holds more."""
    narrow = any(suffix in _HOLDS_ALL for suffix in format.suffixes)
    return "choose another compression" if narrow else f"write {_HOLDS_ALL}"
