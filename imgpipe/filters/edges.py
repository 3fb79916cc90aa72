"""Edges: filters made of the differences of neighbours."""

from __future__ import annotations

from typing import Annotated, Literal

from imgpipe.chains.decorator import filter
from imgpipe.image import Pixels
from imgpipe.kernels.gradients import derivative, magnitude
from imgpipe.kernels.neighbourhood import weighted_sum
from imgpipe.parameters import Between
from imgpipe.values import full_scale

__all__ = [
    "emboss",
    "laplace",
    "prewitt",
    "scharr",
    "sobel",
]

Axis = Literal["magnitude", "x", "y"]

_GAIN_HELP = "factor on the result"
_AXIS_HELP = "strength of the edge, or the derivative along x or along y"
_OFFSET_HELP = "added to the result, as a fraction of white"

_LAPLACE = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
_RELIEF = ((-1, -1, 0), (-1, 0, 1), (0, 1, 1))


@filter(halo=1)
def sobel(
    chunk: Pixels,
    *,
    axis: Annotated[Axis, _AXIS_HELP] = "magnitude",
    offset: Annotated[
        float | None, Between(-1, 1, of_white=True), _OFFSET_HELP + "; 0.5 for x and y by default"
    ] = None,
    into: Pixels | None = None,
) -> Pixels:
    """Find edges with the Sobel operator.

    ``sqrt((dx**2 + dy**2) / 2)``, where ``dx`` is ``value[x + 1] - value[x - 1]`` averaged over
    three rows with the weights ``(1, 2, 1) / 4``, and ``dy`` the same with rows and columns
    exchanged. An edge from black to white has a ``dx`` of white.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    axis : {"magnitude", "x", "y"}
        ``magnitude``; or one derivative alone: ``x`` for ``dx``, ``y`` for ``dy``.
    offset : float, optional
        Added to the result, as a fraction of white: 0 by default for the magnitude, and 0.5
        for ``dx`` and ``dy``, whose negative values unsigned integers cannot hold.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated.

    References
    ----------
    .. [1] I. Sobel, An isotropic 3x3 image gradient operator, in Machine Vision for
       Three-Dimensional Scenes, 1990.
    """
    return _edges(chunk, (1, 2), axis, offset, into)


@filter(halo=1)
def scharr(
    chunk: Pixels,
    *,
    axis: Annotated[Axis, _AXIS_HELP] = "magnitude",
    offset: Annotated[
        float | None, Between(-1, 1, of_white=True), _OFFSET_HELP + "; 0.5 for x and y by default"
    ] = None,
    into: Pixels | None = None,
) -> Pixels:
    """Find edges with the Scharr operator.

    ``sqrt((dx**2 + dy**2) / 2)``, where ``dx`` is ``value[x + 1] - value[x - 1]`` averaged over
    three rows with the weights ``(3, 10, 3) / 16``, and ``dy`` the same with rows and columns
    exchanged. With these weights edges of every angle have nearly the same strength.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    axis : {"magnitude", "x", "y"}
        ``magnitude``; or one derivative alone: ``x`` for ``dx``, ``y`` for ``dy``.
    offset : float, optional
        Added to the result, as a fraction of white: 0 by default for the magnitude, and 0.5
        for ``dx`` and ``dy``, whose negative values unsigned integers cannot hold.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated.

    References
    ----------
    .. [1] H. Scharr, Optimal operators in digital image processing, thesis, Heidelberg, 2000.
    """
    return _edges(chunk, (3, 10), axis, offset, into)


@filter(halo=1)
def prewitt(
    chunk: Pixels,
    *,
    axis: Annotated[Axis, _AXIS_HELP] = "magnitude",
    offset: Annotated[
        float | None, Between(-1, 1, of_white=True), _OFFSET_HELP + "; 0.5 for x and y by default"
    ] = None,
    into: Pixels | None = None,
) -> Pixels:
    """Find edges with the Prewitt operator.

    ``sqrt((dx**2 + dy**2) / 2)``, where ``dx`` is ``value[x + 1] - value[x - 1]`` averaged over
    three rows with the same weight for each, and ``dy`` the same with rows and columns exchanged.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    axis : {"magnitude", "x", "y"}
        ``magnitude``; or one derivative alone: ``x`` for ``dx``, ``y`` for ``dy``.
    offset : float, optional
        Added to the result, as a fraction of white: 0 by default for the magnitude, and 0.5
        for ``dx`` and ``dy``, whose negative values unsigned integers cannot hold.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated.

    References
    ----------
    .. [1] J. M. S. Prewitt, Object enhancement and extraction, in Picture Processing and
       Psychopictorics, 1970.
    """
    return _edges(chunk, (1, 1), axis, offset, into)


@filter(halo=1)
def laplace(
    chunk: Pixels,
    *,
    gain: Annotated[float, Between(-1e6, 1e6), _GAIN_HELP] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
    into: Pixels | None = None,
) -> Pixels:
    """Laplacian: the sum of the second differences along both axes.

    ``gain * (up + down + left + right - 4 * centre) + offset * white``, where white is
    the maximum for integers and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    gain : float
        Factor of the result.
    offset : float
        Added to the result, as a fraction of white. The default shifts 0 to the middle,
        so that unsigned integers can hold both signs.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.6.
    """
    add = offset * full_scale(chunk.dtype)
    return weighted_sum(chunk, _LAPLACE, gain=gain, add=add, into=into)


@filter(halo=1)
def emboss(
    chunk: Pixels,
    *,
    strength: Annotated[
        float, Between(-100, 100), "depth; negative values invert the relief"
    ] = 1.0,
    offset: Annotated[float, Between(-1, 1, of_white=True), _OFFSET_HELP] = 0.5,
    into: Pixels | None = None,
) -> Pixels:
    """Emboss: a relief of the image, lit from the top left.

    ``strength * (right + below + lower_right - left - above - upper_left) + offset * white`` of
    the neighbours of a pixel, where white is the maximum for integers and 1 for floats.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    strength : float
        Depth of the relief; negative values invert it.
    offset : float
        The value of flat areas, as a fraction of white.

    Returns
    -------
    ndarray
        The same type; integers are rounded and saturated.

    References
    ----------
    .. [1] J. C. Russ, The Image Processing Handbook, CRC Press, 2011.
    """
    add = offset * full_scale(chunk.dtype)
    return weighted_sum(chunk, _RELIEF, gain=strength, add=add, into=into)


def _edges(
    chunk: Pixels,
    weights: tuple[int, int],
    axis: Axis,
    offset: float | None,
    into: Pixels | None,
) -> Pixels:
    """Return derivatives smoothed across with the weights (side, centre, side)."""
    white = full_scale(chunk.dtype)
    if axis == "magnitude":
        return magnitude(chunk, *weights, add=(offset or 0.0) * white, into=into)
    add = (0.5 if offset is None else offset) * white
    return derivative(chunk, *weights, axis, add=add, into=into)
