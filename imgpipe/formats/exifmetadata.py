"""EXIF for containers with no other place for resolution, orientation and texts."""

from __future__ import annotations

import logging

from imgpipe import exif
from imgpipe.metadata import Metadata

__all__ = ["exif_of"]

_log = logging.getLogger(__name__)


def exif_of(known: Metadata, name: str) -> bytes | None:
    """Return the EXIF block that also says resolution, orientation and texts of an image.

    Parameters
    ----------
    known : Metadata
        The metadata of the image.
    name : str
        The file, for warnings.
    """
    block = known.exif
    try:
        if known.pixels_per_metre is not None:
            block = exif.with_density(block, known.pixels_per_metre)
        if known.orientation != (1 if block is None else exif.orientation(block)):
            block = exif.oriented(block, known.orientation)
        block = exif.with_texts(block, known.texts)
    except ValueError as error:
        _log.warning("%s: left out damaged EXIF: %s", name, error)
        return None
    return block
