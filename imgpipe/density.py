"""Density: resolutions as exact numbers of pixels per metre."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["METRES_PER_INCH", "Density", "density_from_dpi", "density_from_metres"]

Density = tuple[Fraction, Fraction]
"""Pixels per metre along x and y."""

METRES_PER_INCH = Fraction(254, 10_000)

_ROUNDED = Fraction(1, 50)  # pixels per metre: a resolution so near to a whole number was rounded


def density_from_dpi(x: float | Fraction, y: float | Fraction) -> Density:
    """Return `x` and `y` pixels per inch in pixels per metre, exactly.

    A resolution that was once rounded to whole pixels per metre is the whole number of pixels per
    inch that it was rounded from: 299.9994 is 300.
    """
    return _from_inches(x), _from_inches(y)


def density_from_metres(x: float | Fraction, y: float | Fraction) -> Density:
    """Return a resolution in pixels per metre; 11811 is 300 dpi, as for `density_from_dpi`."""
    return density_from_dpi(Fraction(x) * METRES_PER_INCH, Fraction(y) * METRES_PER_INCH)


def _from_inches(given: float | Fraction) -> Fraction:
    dpi = Fraction(given)
    if isinstance(given, float):
        dpi = dpi.limit_denominator(1_000_000)
    exact, whole = dpi / METRES_PER_INCH, round(dpi) / METRES_PER_INCH
    was_rounded = abs(exact - round(exact)) <= _ROUNDED and 0 < round(exact) == round(whole)
    return whole if was_rounded else exact
