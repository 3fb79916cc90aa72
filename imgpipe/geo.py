"""Georeference: the map from pixels to places on the ground, as GeoTIFF stores it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imgpipe.records import dataclass

__all__ = ["GEO_TAGS", "Geo", "Move"]

Move = tuple[float, float, float, float, float, float]
"""Way of pixels to their place in another image: ``(a, b, c, d, e, f)`` is the map to column
``a * x + b * y + c`` and row ``d * x + e * y + f``, where (0, 0) is the corner of the first pixel.
"""

_PIXEL_SCALE, _TIEPOINT, _TRANSFORMATION = 33550, 33922, 34264
_KEYS, _DOUBLES, _ASCII = 34735, 34736, 34737
_RASTER_TYPE, _PIXEL_IS_POINT = 1025, 2

GEO_TAGS = (_PIXEL_SCALE, _TIEPOINT, _TRANSFORMATION, _KEYS, _DOUBLES, _ASCII)
"""Numbers of the tags of a TIFF file that `Geo.of_tags` reads and `Geo.tags` returns."""


@dataclass(frozen=True)
class Geo:
    """Georeference of an image.

    Attributes
    ----------
    transform : tuple of 16 float, or None
        Rows of the matrix that maps (column, row, height, 1) to the place (x, y, z, 1).
    points : tuple of 6-tuples of float
        Ground control points where there is no matrix: column, row, height, then x, y, z.
    keys : tuple of int
        The directory of GeoKeys, that defines the coordinate system.
    doubles : tuple of float
        The numbers that the directory refers to.
    text : str
        The text that the directory refers to.

    References
    ----------
    .. [1] OGC GeoTIFF Standard, version 1.1, OGC 19-008r4.
    """

    transform: tuple[float, ...] | None = None
    points: tuple[tuple[float, ...], ...] = ()
    keys: tuple[int, ...] = ()
    doubles: tuple[float, ...] = ()
    text: str = ""

    @classmethod
    def of_tags(cls, tags: Mapping[int, Any]) -> Geo | None:
        """Return the georeference that these tags of a TIFF file declare; None if there is none.

        Parameters
        ----------
        tags : mapping of int to sequences of numbers, text or bytes
            Values of tags by number. Those that are not of GeoTIFF are ignored.

        Raises
        ------
        ValueError
            If the tags contradict the standard.
        """
        found = {number: tags[number] for number in GEO_TAGS if number in tags}
        try:
            points = _points(_numbers(found.get(_TIEPOINT, ())))
            scale = _numbers(found.get(_PIXEL_SCALE, ()))
            transform = _numbers(found.get(_TRANSFORMATION, ())) or None
            keys = tuple(int(key) for key in found.get(_KEYS, ()))
            doubles = _numbers(found.get(_DOUBLES, ()))
        except (TypeError, ValueError, struct.error) as error:
            raise ValueError(f"its GeoTIFF tags are damaged: {error}") from None
        if transform is None and scale and len(points) == 1:
            transform = _scaled(scale, points[0])
        if transform is not None and len(transform) != 16:
            raise ValueError("its GeoTIFF transformation has no 16 numbers")
        if transform is None and not points and not keys:
            return None
        text = found.get(_ASCII, "")
        text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
        points = () if transform is not None else points
        return cls(transform, points, keys, doubles, text.rstrip("\0"))

    def tags(self) -> dict[int, tuple[float, ...] | tuple[int, ...] | str]:
        """Return the tags of a TIFF file that declare this, by number.

        The directory of keys is of 16-bit integers, all other numbers are of 64-bit floats.
        """
        found: dict[int, tuple[float, ...] | tuple[int, ...] | str] = {}
        if self.transform is not None:
            a, _, _, c, _, e, _, f, _, _, scale, z, *_ = self.transform
            plain = _scaled((a, -e, scale), (0.0, 0.0, 0.0, c, f, z))
            if a > 0 > e and plain == self.transform:
                found[_PIXEL_SCALE] = (a, -e, scale)
                found[_TIEPOINT] = (0.0, 0.0, 0.0, c, f, z)
            else:
                found[_TRANSFORMATION] = self.transform
        elif self.points:
            found[_TIEPOINT] = tuple(value for point in self.points for value in point)
        if self.keys:
            found[_KEYS] = self.keys
        if self.doubles:
            found[_DOUBLES] = self.doubles
        if self.text:
            found[_ASCII] = self.text
        return found

    @property
    def pixel_is_point(self) -> bool:
        """Return whether coordinates of pixels are counted from the centre of the first one."""
        entries = zip(*(iter(self.keys[4:]),) * 4, strict=False)
        return any(key == _RASTER_TYPE and value == _PIXEL_IS_POINT for key, _, _, value in entries)

    def moved(self, move: Move) -> Geo:
        """Return the georeference of an image to which `move` takes the pixels of this one."""
        a, b, c, d, e, f = move
        if self.pixel_is_point:
            c, f = c + (a + b - 1) / 2, f + (d + e - 1) / 2
        points = tuple(
            (a * p[0] + b * p[1] + c, d * p[0] + e * p[1] + f, *p[2:]) for p in self.points
        )
        if self.transform is None:
            return replace(self, points=points)
        return replace(self, transform=_before(self.transform, _inverse((a, b, c, d, e, f))))


def _numbers(given: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in given)


def _points(numbers: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    if len(numbers) % 6:
        raise ValueError("the tie points are not of six numbers each")
    return tuple(numbers[at : at + 6] for at in range(0, len(numbers), 6))


def _scaled(scale: tuple[float, ...], point: tuple[float, ...]) -> tuple[float, ...]:
    """Return the matrix of an image without rotation, of which one point is known."""
    sx, sy, sz = (*scale, 0.0)[:3]
    i, j, k, x, y, z = point
    return (
        *(sx, 0.0, 0.0, x - i * sx),
        *(0.0, -sy, 0.0, y + j * sy),
        *(0.0, 0.0, sz, z - k * sz),
        *(0.0, 0.0, 0.0, 1.0),
    )


def _inverse(move: Move) -> Move:
    a, b, c, d, e, f = move
    area = a * e - b * d
    ia, ib, id_, ie = e / area, -b / area, -d / area, a / area
    return ia, ib, -(ia * c + ib * f), id_, ie, -(id_ * c + ie * f)


def _before(transform: tuple[float, ...], move: Move) -> tuple[float, ...]:
    """Return the matrix that first does `move`, then `transform`."""
    a, b, c, d, e, f = move
    rows = (transform[at : at + 4] for at in range(0, 16, 4))
    made = ((x * a + y * d, x * b + y * e, z, x * c + y * f + one) for x, y, z, one in rows)
    return tuple(value + 0.0 for row in made for value in row)  # no negative zero
