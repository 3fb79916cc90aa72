"""Colours in words: names, hexadecimal digits and numbers, as a caller writes them."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["hexadecimal", "parts_of"]

_NAMES = {
    "black": "#000000",
    "silver": "#c0c0c0",
    "gray": "#808080",
    "grey": "#808080",
    "white": "#ffffff",
    "maroon": "#800000",
    "red": "#ff0000",
    "purple": "#800080",
    "fuchsia": "#ff00ff",
    "magenta": "#ff00ff",
    "green": "#008000",
    "lime": "#00ff00",
    "olive": "#808000",
    "yellow": "#ffff00",
    "navy": "#000080",
    "blue": "#0000ff",
    "teal": "#008080",
    "aqua": "#00ffff",
    "cyan": "#00ffff",
    "orange": "#ffa500",
}
"""The colours of HTML 4, and some usual ones more."""

_WHITE = 255


def hexadecimal(colour: Any) -> str:
    """Return a colour as ``#rrggbb``.

    Parameters
    ----------
    colour : str, int or sequence of int
        A name such as ``white``; ``#rrggbb`` or ``#rgb``; one number for gray or three for red,
        green and blue, 0 to 255, as numbers or as text such as ``255,128,0``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    text = colour.strip().lower() if isinstance(colour, str) else ""
    if text in _NAMES:
        return _NAMES[text]
    if re.fullmatch("#([0-9a-f]{3}){1,2}", text):
        digits = text[1:]
        return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))
    levels = _levels(re.split(r"\s*[,/ ]\s*", text) if text else colour)
    if len(levels) in (1, 3):
        return "#" + "".join(f"{level:02x}" for level in (levels * 3)[:3])
    raise ValueError(
        f"{colour!r} is not a colour; give a name such as white, #rrggbb, #rgb, or one or three "
        "numbers from 0 to 255, such as 255,128,0"
    )


def parts_of(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of ``#rrggbb``, 0 to 255."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def _levels(given: Any) -> list[int]:
    """Return numbers from 0 to 255; none if something else is among them."""
    try:
        items = list(given) if isinstance(given, (list, tuple)) else [given]
        numbers = [int(item) for item in items]
        exact = all(isinstance(n, str) or n == m for n, m in zip(items, numbers, strict=True))
    except (TypeError, ValueError, OverflowError):
        return []
    return numbers if exact and all(0 <= n <= _WHITE for n in numbers) else []
