"""Plurals: numbers with their nouns, for messages."""

from __future__ import annotations

__all__ = ["area", "counted"]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as ``1 row``, ``2,000 rows`` or ``2 passes``."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending * (number != 1)}"


def area(pixels: int, unit: str = "megapixels") -> str:
    """Return a number of pixels, as ``13.5 megapixels``, or ``2,400 pixels`` of a tiny image."""
    few = pixels < 50_000  # which would be 0.0 megapixels
    return counted(pixels, "pixel") if few else f"{pixels / 1e6:,.1f} {unit}"
