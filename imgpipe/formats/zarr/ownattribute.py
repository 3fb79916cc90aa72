"""Attribute `imgpipe` of an image: colours and metadata that OME-Zarr has no field for.

Blocks of bytes are in base 64. Numbers and texts are those of `imgpipe.metadata.Metadata`.
"""

from __future__ import annotations

import base64
import itertools
import json
import logging
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from imgpipe.geo import Geo
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata, Text

__all__ = ["OWN", "metadata_of", "own_of"]

OWN = "imgpipe"
"""The name of the attribute."""

_METADATA = "metadata"
_MOST = 4 << 20  # bytes of an entry: every reader of the image parses them
_NAMES = {"icc": "ICC profile", "exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "texts": "texts"}
_LARGEST = 1e6  # of numbers that describe colours
_log = logging.getLogger(__name__)


def own_of(info: ImageInfo, name: str) -> dict[str, Any]:
    """Return the attribute of an image that is written.

    Parameters
    ----------
    info : ImageInfo
        The image.
    name : str
        Its folder, for warnings.
    """
    made: dict[str, Any] = {"colour": info.colour}
    if info.alpha is not None:
        made["alpha"] = info.alpha
    if info.nodata is not None:  # text: JSON has no NaN
        made["nodata"] = str(info.nodata)
    entries = {}
    for field in fields(Metadata):
        value = getattr(info.metadata, field.name)
        if field.name not in _READERS or value == field.default:
            continue
        try:
            entries[field.name] = _held(value)
        except ValueError as error:
            noun = _NAMES.get(field.name, field.name)
            _log.warning("%s: left out the %s: %s", name, noun, error)
    return {**made, _METADATA: entries} if entries else made


def _held(value: Any) -> Any:
    """Return an entry of the metadata as JSON holds it, checked.

    Raises
    ------
    ValueError
        If it has too many bytes, or numbers without a value.
    """
    entry = _entry(value)
    try:
        size = len(json.dumps(entry, allow_nan=False))
    except ValueError:
        raise ValueError("JSON has finite numbers only") from None
    if size > _MOST:
        raise ValueError(f"the attributes of Zarr hold at most {_MOST >> 20} MB of it")
    return entry


def _entry(value: Any) -> Any:
    """Return an entry of the metadata as JSON holds it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Geo):
        return {str(number): given for number, given in value.tags().items()}
    if isinstance(value, Text):
        return {field.name: held for field in fields(Text) if (held := getattr(value, field.name))}
    return [_entry(each) for each in value] if isinstance(value, tuple) else value


def metadata_of(own: Any, name: str) -> dict[str, Any]:
    """Return the entries of `Metadata` that an attribute holds. Damaged ones are left out.

    Parameters
    ----------
    own : Any
        The attribute, as the file has it.
    name : str
        The folder of the image, for warnings.
    """
    given = own.get(_METADATA) if isinstance(own, dict) else None
    found = {}
    for key, value in given.items() if isinstance(given, dict) else ():
        if key in _READERS:
            try:
                found[key] = _READERS[key](value)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
                noun = _NAMES.get(key, key)
                _log.warning("%s: ignored the %s, which cannot be understood", name, noun)
    return found


def _numbers(count: int, lowest: float, highest: float, kind: type = float) -> Callable[[Any], Any]:
    """Return the reader of so many numbers between two bounds."""

    def read(given: Any) -> tuple[Any, ...]:
        made = tuple(kind(one) for one in given)
        if len(made) != count or not all(lowest <= one <= highest for one in made):
            raise ValueError
        return made

    return read


def _number(lowest: float, highest: float, kind: type = float) -> Callable[[Any], Any]:
    """Return the reader of a number between two bounds."""
    return lambda given: _numbers(1, lowest, highest, kind)([given])[0]


def _block(given: Any) -> bytes:
    return base64.b64decode(given, validate=True)


def _profile(given: Any) -> bytes:
    profile = _block(given)
    if profile[36:40] != b"acsp":
        raise ValueError
    return profile


def _geo(given: Any) -> Geo | None:
    made = Geo.of_tags({int(number): values for number, values in given.items()})
    if made is not None:
        made.text.encode("latin-1")
        points = itertools.chain.from_iterable(made.points)
        numbers = *(made.transform or ()), *points, *made.doubles
        if not all(map(math.isfinite, numbers)) or not set(made.keys) <= set(range(1 << 16)):
            raise ValueError
    return made


def _texts(given: Any) -> tuple[Text, ...]:
    made = tuple(Text(**each) for each in given)
    for text in made:
        for field in fields(Text):
            getattr(text, field.name).encode()
    return made


_READERS: dict[str, Callable[[Any], Any]] = {
    "icc": _profile,
    "exif": _block,
    "xmp": _block,
    "iptc": _block,
    "geo": _geo,
    "orientation": _number(1, 8, int),
    "pixel_aspect": _numbers(2, 1, 2**31 - 1, int),
    "gamma": _number(1e-5, 1e4),
    "srgb_intent": _number(0, 3, int),
    "chromaticities": _numbers(8, 0, _LARGEST),
    "cicp": _numbers(4, 0, 255, int),
    "mastering": _numbers(10, 0, _LARGEST),
    "light_levels": _numbers(2, 0, _LARGEST),
    "texts": _texts,
}
"""Readers of the entries. The resolution is not among them: it is the scale of the axes."""
