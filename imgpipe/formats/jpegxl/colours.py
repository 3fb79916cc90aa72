"""Meaning of colours in JPEG XL, from and to `imgpipe.metadata.Metadata`."""

from __future__ import annotations

import logging
from dataclasses import replace

from imgpipe.formats.jpegxl.container import Parts
from imgpipe.formats.jpegxl.header import GRAY, LINEAR, RELATIVE, SRGB, Colouring, Header
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata

__all__ = ["colouring_of", "metadata_of", "with_loss"]

_log = logging.getLogger(__name__)

# White point and primaries of JPEG XL, and the primaries of ITU-T H.273.
_PRIMARIES = {(1, 1): 1, (1, 9): 9, (11, 11): 11, (1, 11): 12}
_TRANSFERS = {1, LINEAR, SRGB, 16, 17, 18}


def metadata_of(header: Header, parts: Parts, profile: bytes | None, name: str) -> Metadata:
    """Return the metadata of a file, with the ICC profile that was found in it."""
    one = header.colouring
    found = Metadata(exif=parts.exif, xmp=parts.xmp).completed(name, header.orientation)
    if one.has_profile:
        return found if profile is None else replace(found, icc=profile)
    if one.is_srgb:
        return replace(found, srgb_intent=one.intent if one.intent <= 3 else None)
    if one.gamma is not None:
        return replace(found, gamma=one.gamma)
    primaries = _PRIMARIES.get((one.white, one.primaries))
    if header.floating and one.transfer == LINEAR and primaries == 1:
        return found  # as floats are usually
    if primaries is None or one.transfer not in _TRANSFERS:
        return found
    return replace(found, cicp=(primaries, one.transfer, 0, 1))


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
    if known.srgb_intent is None and known.gamma is not None and 0.1 < known.gamma <= 1:
        linear = known.gamma == 1
        return replace(plain, transfer=LINEAR) if linear else replace(plain, gamma=known.gamma)
    return plain


def with_loss(info: ImageInfo, name: str) -> Colouring:
    """Return the meaning of the colours of a lossy file; say what is lost.

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
