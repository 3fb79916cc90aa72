"""Thumbnails: small images that fit into a size."""

from __future__ import annotations

import re
from typing import Annotated, Any

from imgpipe.chains.chain import Filter
from imgpipe.chains.decorator import filter
from imgpipe.chains.definition import Place
from imgpipe.chains.element import Element
from imgpipe.errors import ParameterError
from imgpipe.geometry import Box
from imgpipe.image import Metadata, Pixels
from imgpipe.kernels.axes import Axis, Method
from imgpipe.kernels.resampling import nearest, resampled
from imgpipe.parameters import Example, Through, is_whole

__all__ = ["after_reduction", "thumbnail", "thumbnail_size"]

_METHOD: Method = "bicubic"
_BOX = re.compile(r"[1-9][0-9]{0,9}x[1-9][0-9]{0,9}")

Size = tuple[int, int]
_Axes = tuple[Axis, Axis]


def thumbnail_size(before: Size, size: str, *, enlarge: bool) -> Size:
    """Return the rows and columns of the thumbnail of an image of those `before`.

    They are rounded to whole pixels, halves up, and are at least 1.
    """
    columns, _, rows = size.partition("x")
    height, width = before
    down, along = (int(rows or columns), height), (int(columns), width)
    after, full = down if down[0] * width < along[0] * height else along  # the smaller factor
    if after >= full and not enlarge:
        return before
    return _rounded(height * after, full), _rounded(width * after, full)


def _rounded(over: int, under: int) -> int:
    return max(1, (2 * over + under) // (2 * under))


def _written(size: Any) -> str:
    """Return a size as text: one number, or columns x rows."""
    if is_whole(size, at_least=1):
        return str(int(size))
    if isinstance(size, (tuple, list)) and len(size) == 2:
        rows, columns = size
        if is_whole(rows, at_least=1) and is_whole(columns, at_least=1):
            return f"{int(columns)}x{int(rows)}"
    if isinstance(size, str):
        text = size.strip()
        if _BOX.fullmatch(text) or re.fullmatch("[1-9][0-9]{0,9}", text):
            return text
    raise ParameterError(
        f"{size!r} is not the size of a thumbnail; give its longest side, such as 800, or columns "
        "x rows, such as 800x600"
    )


Part = tuple[int, int, int]
"""Length of an image along an axis, that which a pixel of a smaller image stands for, and by how
much the first one stands for less; see `Axis`."""


def _axes(before: Size, after: Size, down: Part = (0, 1, 0), along: Part = (0, 1, 0)) -> _Axes:
    return Axis(before[0], after[0], _METHOD, *down), Axis(before[1], after[1], _METHOD, *along)


def _needed(box: Box, axes: _Axes) -> Box:
    y0, y1 = axes[0].needs(box.y0, box.y1)
    x0, x1 = axes[1].needs(box.x0, box.x1)
    return Box(y0, x0, y1, x1)


def _made(chunk: Pixels, box: Box, axes: _Axes) -> Pixels:
    make = nearest if all(axis.copies for axis in axes) else resampled
    return make(chunk, (axes[0], box.y0, box.y1), (axes[1], box.x0, box.x1))


def _output(before: Size, /, *, size: str, enlarge: bool) -> Size:
    return thumbnail_size(before, size, enlarge=enlarge)


def _region(box: Box, before: Size, /, *, size: str, enlarge: bool) -> Box:
    return _needed(box, _axes(before, thumbnail_size(before, size, enlarge=enlarge)))


def _metadata(metadata: Metadata, before: Size, after: Size, /, *, keep_metadata: bool) -> Metadata:
    if not keep_metadata:
        return metadata.stripped()
    return metadata if after == before else metadata.resized(before, after, exact=False)


@filter(
    halo=0, alpha="premultiply", output=_output, region=_region, metadata=_metadata, in_order=True
)
def thumbnail(
    chunk: Pixels,
    *,
    place: Place,
    size: Annotated[
        str,
        Through(_written, "size"),
        Example("800"),
        "longest side in pixels, such as 800; or 800x600, which the image fits into",
    ],
    enlarge: Annotated[bool, "enlarge an image that is smaller than this size"] = False,
    exact: Annotated[bool, "decode the full size, never a smaller version"] = False,
    keep_metadata: Annotated[bool, "keep all metadata, not only those of colour"] = False,
) -> Pixels:
    """Make a small image that fits into a size.

    The aspect ratio is kept. A smaller image keeps its size, and is encoded like the others. The
    image is turned upright. Of its metadata only the ICC profile and other facts about colour are
    kept.

    The pixels are those of `resize`. If this filter is the first one of a run, imgpipe may decode
    a smaller version of the image: a JPEG at one to five eighths of its size, a file with a pyramid
    at one of its levels. This version has at least 1.5 times the size of the thumbnail, so the
    pixels are close to those of `resize`; docs/thumbnails.md has the measured difference. With
    `exact` imgpipe decodes all pixels.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Any type.
    size : int, str or (int, int)
        The longest side in pixels; or ``800x600`` for an image that fits into 800 columns and 600
        rows, which in Python is also the pair (rows, columns).
    enlarge : bool
        Enlarge an image that is smaller than this size.
    exact : bool
        Decode all pixels of the file.
    keep_metadata : bool
        Keep all metadata, not only those of colour.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated. With alpha, colours are weighted by
        alpha.

    References
    ----------
    .. [1] R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE
       Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981.
    """
    before = place.height, place.width
    after = thumbnail_size(before, size, enlarge=enlarge)
    return _made(chunk, place.box, _axes(before, after))


def after_reduction(one: Element, full: Size, down: Part, along: Part) -> Filter:
    """Return a `thumbnail` for an image that was reduced before.

    Parameters
    ----------
    one : Element
        The thumbnail.
    full : (int, int)
        Rows and columns of the image.
    down, along : (int, int, int)
        The axes of the smaller image.
    """
    given = one.keywords
    rows, columns = thumbnail_size(full, given["size"], enlarge=given["enlarge"])
    kept = given["keep_metadata"]
    return _of_reduced(rows=rows, columns=columns, down=down, along=along, keep_metadata=kept)


def _reduced_output(_before: Size, /, *, rows: int, columns: int) -> Size:
    return rows, columns


def _reduced_region(
    box: Box, before: Size, /, *, rows: int, columns: int, down: Part, along: Part
) -> Box:
    return _needed(box, _axes(before, (rows, columns), down, along))


@filter(
    name="thumbnail",
    halo=0,
    alpha="premultiply",
    output=_reduced_output,
    region=_reduced_region,
    metadata=_metadata,
    in_order=True,
)
def _of_reduced(
    chunk: Pixels,
    *,
    place: Place,
    rows: int,
    columns: int,
    down: Any,
    along: Any,
    keep_metadata: bool,
) -> Pixels:
    """Make a thumbnail of `rows` x `columns` pixels from an image that was reduced before."""
    axes = _axes((place.height, place.width), (rows, columns), down, along)
    return _made(chunk, place.box, axes)
