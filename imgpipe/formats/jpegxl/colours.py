"""Meaning of colours in JPEG XL, from and to `imgpipe.metadata.Metadata`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from imgpipe.formats.jpegxl.container import Parts
from imgpipe.formats.jpegxl.header import (
    GRAY,
    LINEAR,
    PRIMARIES,
    RELATIVE,
    SRGB,
    WHITES,
    Colouring,
    Header,
)
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata

__all__ = ["colouring_of", "metadata_of", "with_loss"]

_log = logging.getLogger(__name__)

# White point and primaries of JPEG XL, and the primaries of ITU-T H.273.
_PRIMARIES = {(1, 1): 1, (1, 9): 9, (11, 11): 11, (1, 11): 12}
_OWN = 2  # white and primaries
_SRGB_GAMMA = 0.45455
_TRANSFERS = {1, LINEAR, SRGB, 16, 17, 18}


def metadata_of(header: Header, parts: Parts, profile: bytes | None, name: str) -> Metadata:
    """Return the metadata of a file, with the ICC profile that was found in it."""
    found = Metadata(exif=parts.exif, xmp=parts.xmp).completed(name, header.orientation)
    if header.colouring.has_profile:
        return found if profile is None else replace(found, icc=profile)
    return replace(found, **_meaning(header.colouring, floating=header.floating))


def _meaning(one: Colouring, *, floating: bool) -> dict[str, Any]:
    """Return the entries of metadata for the meaning of colours."""
    if one.places:
        gamma = one.gamma or {LINEAR: 1.0, SRGB: _SRGB_GAMMA}.get(one.transfer)
        return {"gamma": gamma, "chromaticities": one.places if len(one.places) == 8 else None}
    if one.is_srgb:
        return {"srgb_intent": one.intent if one.intent <= 3 else None}
    if one.gamma is not None:
        return {"gamma": one.gamma}
    primaries = _PRIMARIES.get((one.white, one.primaries))
    usual = floating and one.transfer == LINEAR and primaries == 1
    if usual or primaries is None or one.transfer not in _TRANSFERS:
        return {}
    return {"cicp": (primaries, one.transfer, 0, 1)}


def colouring_of(info: ImageInfo) -> Colouring:
    """Return the meaning of the colours of an image without profile; of integers sRGB."""
    known = info.metadata
    space = GRAY if info.colour == "gray" else 0
    intent = RELATIVE if known.srgb_intent is None else known.srgb_intent
    plain = Colouring(space, transfer=LINEAR if info.dtype.kind == "f" else SRGB, intent=intent)
    if known.cicp is not None:
        pair = {code: pair for pair, code in _PRIMARIES.items()}.get(known.cicp[0])
        if pair is not None and known.cicp[1] in _TRANSFERS:
            white, primaries = pair
            if space == GRAY:
                primaries = 1
            return replace(plain, white=white, primaries=primaries, transfer=known.cicp[1])
    if known.srgb_intent is not None:
        return plain
    places = known.chromaticities
    if places is not None and not space and not _is_usual(places):
        plain = replace(plain, white=_OWN, primaries=_OWN, places=places)
    if known.gamma is not None and 0.1 < known.gamma <= 1:
        linear = known.gamma == 1
        return replace(plain, transfer=LINEAR) if linear else replace(plain, gamma=known.gamma)
    return plain


def _is_usual(places: tuple[float, ...]) -> bool:
    """Return whether white and primaries are those of sRGB, or cannot be written."""
    usual = [*WHITES[1], *(value for one in PRIMARIES[1] for value in one)]
    near = all(abs(a - b) < 2e-4 for a, b in zip(places, usual, strict=True))
    return near or not all(0 <= value <= 1 for value in places)


def with_loss(info: ImageInfo, name: str) -> Colouring:
    """Return the meaning of the colours of a lossy file; log the losses.

    Pixels become XYB, and imagecodecs takes them for sRGB on the way.
    """
    profile, wanted = info.metadata.icc, colouring_of(info)
    space = GRAY if info.colour == "gray" else 0
    made = Colouring(space, transfer=LINEAR if info.dtype.kind == "f" else SRGB)
    is_srgb = profile is not None and (b"sRGB" in profile or b"s\0R\0G\0B" in profile)
    if profile is not None and not is_srgb:
        _log.warning(
            "%s: left out the ICC profile: JPEG XL keeps it where it is lossless only", name
        )
    elif profile is None and replace(wanted, intent=RELATIVE) != made:
        _log.warning("%s: colours are marked as sRGB, which JPEG XL takes with a quality", name)
    return made
