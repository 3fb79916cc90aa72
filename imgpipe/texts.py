"""Texts that travel with an image."""

from __future__ import annotations

from imgpipe.records import dataclass

__all__ = ["Text"]


@dataclass(frozen=True)
class Text:
    """One entry of text that travels with an image, such as an author or a title."""

    keyword: str
    text: str
    language: str = ""
    translated: str = ""
