"""Plurals: numbers with their nouns, for messages."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as ``1 row`` or ``2,000 rows``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
