"""Texts that travel with an image."""

from __future__ import annotations

import re

from imgpipe.records import dataclass

__all__ = ["Text", "is_picture"]

_PICTURE = re.compile(
    rb"(?:\s|&#x?[0-9A-Fa-f]+;)*(?:data:image/[^,]{1,99},)?"
    rb"(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD)"
)
"""JPEG, PNG, WebP and GIF in base 64."""
_LEAST_PICTURE = 100  # bytes


@dataclass(frozen=True)
class Text:
    """One entry of text that travels with an image, such as an author or a title."""

    keyword: str
    text: str
    language: str = ""
    translated: str = ""


def is_picture(value: bytes) -> bool:
    """Return whether a text is a picture in base 64."""
    return len(value) >= _LEAST_PICTURE and _PICTURE.match(value) is not None
