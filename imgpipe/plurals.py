"""Plurals: numbers with their nouns, and lists of words, for messages."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["area", "counted", "listed"]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as ``1 row``, ``2,000 rows`` or ``2 passes``."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending * (number != 1)}"


def area(pixels: int, unit: str = "megapixels") -> str:
    """Return a number of pixels, as ``13.5 megapixels``, or ``2,400 pixels`` of a tiny image."""
    few = pixels < 50_000  # which would be 0.0 megapixels
    return counted(pixels, "pixel") if few else f"{pixels / 1e6:,.1f} {unit}"


def listed(words: Iterable[str]) -> str:
    """Return one word or several as text: ``a``, ``a and b`` or ``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
