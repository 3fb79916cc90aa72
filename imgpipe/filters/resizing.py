"""Resizing: the text of a size, and the filter that makes an image of that size."""

from __future__ import annotations

import operator
import re
from fractions import Fraction
from numbers import Integral, Real
from typing import Annotated, Any

from imgpipe.chains.decorator import filter
from imgpipe.chains.definition import Place
from imgpipe.errors import ParameterError, UsageError
from imgpipe.geometry import Box
from imgpipe.image import Metadata, Pixels
from imgpipe.kernels.axes import Axis, Method
from imgpipe.kernels.resampling import nearest, resampled
from imgpipe.parameters import Example, Through, is_whole

__all__ = ["new_size", "resize"]

_SIZE = re.compile(r"([0-9]{0,10})x([0-9]{0,10})(!?)|([0-9]{1,10}(?:\.[0-9]{1,10})?)%")
_MOST = (1 << 31) - 1


def new_size(before: tuple[int, int], size: str) -> tuple[int, int]:
    """Return the rows and columns that `size` asks for, of an image of those `before`.

    ============  ===================================================================
    ``800x600``   fits into 800 columns and 600 rows, with its aspect ratio kept
    ``800x``      800 columns, and as many rows as keep the aspect ratio
    ``x600``      600 rows, and as many columns as keep the aspect ratio
    ``50%``       half of the columns, half of the rows; or 12.5%, or 200%
    ``800x600!``  800 columns and 600 rows, whatever becomes of the aspect ratio
    ============  ===================================================================

    A side that is worked out is rounded to a whole pixel, halves up, and at least 1.

    Raises
    ------
    ParameterError
        If `size` is none of these, or has no pixels.
    """
    found = _SIZE.fullmatch(size)
    if found is None or size in ("x", "x!"):
        hint = f"; for {size} columns write {size}x" if size.isdecimal() else ""
        raise ParameterError(
            f"{size!r} is not a size; write 800x600, 800x or x600 (columns x rows), 50%, or "
            f"800x600! to ignore the aspect ratio{hint}"
        )
    sides = [Fraction(side) for side in found.groups()[:2] if side]
    if found[3] and len(sides) < 2:
        raise ParameterError(f"{size!r} has one side; before ! give columns and rows")
    if 0 in sides or (found[4] and not float(found[4])):
        raise ParameterError(f"{size!r} has no pixels; give at least one column and one row")
    columns, rows, exactly, percent = found.groups()
    if exactly:
        return int(rows), int(columns)
    height, width = before
    factors = [Fraction(int(columns), width)] if columns else []
    factors += [Fraction(int(rows), height)] if rows else []
    factor = min(factors) if factors else Fraction(percent) / 100
    half = Fraction(1, 2)
    return max(1, int(height * factor + half)), max(1, int(width * factor + half))


def _written(size: Any) -> str:
    """Return `size` as text; complain of one that could be of no image."""
    text = size if isinstance(size, str) else _as_text(size)
    new_size((1, 1), text)
    return text


def _as_text(size: Any) -> str:
    """Return the text of a factor, or of a pair (rows, columns): one of them may be None."""
    if isinstance(size, Real) and not isinstance(size, Integral) and 0 < float(size) < _MOST:
        return f"{100 * float(size):.10f}".rstrip("0").rstrip(".") + "%"
    pair = tuple(size) if isinstance(size, (tuple, list)) else ()
    sides = [side for side in pair if side is not None]
    if len(pair) == 2 and sides and all(is_whole(side, at_least=1) for side in sides):
        rows, columns = ("" if side is None else str(operator.index(side)) for side in pair)
        return f"{columns}x{rows}" + "!" * (len(sides) == 2)
    raise ParameterError(
        f"{size!r} is not a size; give text such as 800x600 (columns x rows), a factor such as "
        "0.5, or a pair (rows, columns), one of which may be None"
    )


def _resized(before: tuple[int, int], /, *, size: str, method: str) -> tuple[int, int]:
    rows, columns = new_size(before, size)
    if max(rows, columns) > _MOST:
        raise UsageError(f"resize: {size!r} makes {columns} x {rows} pixels; ask for fewer")
    return rows, columns


def _axes(before: tuple[int, int], size: str, method: Method) -> tuple[Axis, Axis]:
    rows, columns = new_size(before, size)
    return Axis(before[0], rows, method), Axis(before[1], columns, method)


def _made_from(box: Box, before: tuple[int, int], /, *, size: str, method: Method) -> Box:
    rows, columns = _axes(before, size, method)
    y0, y1 = rows.needs(box.y0, box.y1)
    x0, x1 = columns.needs(box.x0, box.x1)
    return Box(y0, x0, y1, x1)


def _resized_metadata(
    metadata: Metadata,
    before: tuple[int, int],
    after: tuple[int, int],
    /,
    *,
    size: str,
    method: str,
) -> Metadata:
    return metadata.resized(before, after, exact=size.endswith("!"))


@filter(
    halo=0,
    alpha="premultiply",
    output=_resized,
    region=_made_from,
    metadata=_resized_metadata,
    in_order=True,
)
def resize(
    chunk: Pixels,
    *,
    place: Place,
    size: Annotated[
        str,
        Through(_written),
        Example("800x600"),
        "new size: 800x600 (the image fits into it), 800x, x600, 50%, or 800x600! (distorts)",
    ],
    method: Annotated[Method, "interpolation method"] = "bicubic",
) -> Pixels:
    """Resize the image.

    Every pixel is a weighted mean of the input pixels around its position, first along the
    columns, then along the rows. The weight of an input pixel is ``f(x / s)``, where ``x`` is the
    distance between the centres of both pixels, in input pixels. ``s`` is 1 for enlarging. For
    reducing it is the reduction factor, such as 2 for half the size, which avoids aliasing. Weights
    beyond the border are left out, and the sum of the others is normalised.

    ``f`` is 0 beyond a radius. Up to this radius it is ``1 - |x|`` for ``bilinear`` (radius 1), the
    cubic convolution with ``a = -1/2`` for ``bicubic`` (radius 2), and ``sinc(x) * sinc(x / 3)``
    for ``lanczos`` (radius 3).

    ``nearest`` takes the input pixel at the centre of the new pixel.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    size : str, float or (int, int)
        ``800x600`` fits the image into 800 columns and 600 rows. ``800x`` and ``x600`` give one
        side only. All three keep the aspect ratio. ``50%`` is a factor. ``800x600!`` is exactly
        this size. In Python also a factor such as 0.5, or a pair (rows, columns) for an exact
        size; with one of the two None, the aspect ratio is kept.
    method : {"nearest", "bilinear", "bicubic", "lanczos"}
        The interpolation method.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated. For uint8 within 0.65 levels of
        the exact mean. With alpha, colours are weighted by alpha, and are 0 where alpha is 0.

    References
    ----------
    .. [1] R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE
       Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981.
    .. [2] C. E. Duchon, Lanczos filtering in one and two dimensions, Journal of Applied
       Meteorology 18(8), 1979.
    """
    down, along = _axes((place.height, place.width), size, method)
    rows, columns = (down, place.box.y0, place.box.y1), (along, place.box.x0, place.box.x1)
    make = nearest if method == "nearest" else resampled
    return make(chunk, rows, columns)
