"""Smoothing: filters that average over a neighbourhood."""

from __future__ import annotations

from typing import Annotated

from imgpipe.chains.decorator import filter
from imgpipe.chains.definition import Place
from imgpipe.image import Pixels
from imgpipe.kernels.gaussian import gaussian, gaussian_radius
from imgpipe.parameters import Between

__all__ = ["blur", "box"]


@filter(halo=gaussian_radius, alpha="premultiply", never_brighter=True)
def blur(
    chunk: Pixels,
    *,
    sigma: Annotated[float, Between(0.3, 500), "standard deviation in pixels"] = 2.0,
    truncate: Annotated[float, Between(1, 10), "radius in standard deviations"] = 4.0,
    place: Place,
    into: Pixels | None = None,
) -> Pixels:
    """Gaussian blur.

    Each channel is convolved with ``exp(-(x**2 + y**2) / (2 * sigma**2))``, cut off at a radius
    of ``int(truncate * sigma + 0.5)`` pixels and normalised to a sum of 1, as in
    ``scipy.ndimage.gaussian_filter`` with the same `truncate`.

    The error before rounding is at most 1e-10 of the largest absolute value in the neighbourhood
    for float64, signed integers, and integers of 32 and 64 bits. It is at most 1e-6 of this value
    for float16, float32 and uint16. For uint8 it is at most 3 levels, usually 1.

    For uint8 the result is defined in whole numbers. With a sigma below 2 there are two steps: a
    weighted sum down the columns, then a weighted sum along the rows. The weights are whole and add
    up to 256, and each sum becomes ``(sum + 128) >> 8``.

    With a sigma of 2 or more there are three steps. First the image is halved: the new pixels are
    sums of 5 x 5 pixels around even rows and columns, with the weights 1 4 6 4 1 both ways,
    ``(sum + 128) >> 8``. Large sigmas halve it again. Then the small image is blurred by the two
    steps above. Last it is doubled with the same weights, ``(sum + 32) >> 6``.

    Floating point is used instead if sigma is at least 2 and `truncate` is below 3.5, and for
    pixels near others that are not opaque.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    sigma : float
        Standard deviation in pixels, 0.3 to 500. The memory of a worker grows with its square.
    truncate : float
        Radius in standard deviations.

    Returns
    -------
    ndarray
        The same type; integers are rounded half to even. NaN, or infinities of both signs, in the
        neighbourhood give NaN. Infinities of one sign give that infinity.

    References
    ----------
    .. [1] R. C. Gonzalez, R. E. Woods, Digital Image Processing, 4th ed., section 3.5.
    .. [2] P. J. Burt, E. H. Adelson, The Laplacian pyramid as a compact image code, IEEE
       Transactions on Communications 31(4), 1983.
    """
    origin = place.padded.y0, place.padded.x0
    return gaussian(chunk, sigma=sigma, truncate=truncate, origin=origin, into=into)


@filter(halo=lambda radius: radius, alpha="premultiply", never_brighter=True)
def box(
    chunk: Pixels,
    *,
    radius: Annotated[int, Between(0, 1000), "pixels on each side of the centre"] = 2,
    into: Pixels | None = None,
) -> Pixels:
    """Box blur: the mean over a square.

    The square has ``2 * radius + 1`` pixels on a side, so ``n = (2 * radius + 1) ** 2`` pixels.
    Of integers the result is the whole number nearest to the exact mean: with the sum ``s`` it is
    ``(2 * s + n) // (2 * n)``. No mean lies halfway between two whole numbers, because ``n`` is
    odd.

    Floats are computed in their type, and float16 in float32.

    A sum of 2, 4, 8 … pixels is computed from two sums of half the length. So the time grows with
    the logarithm of the radius. From a radius of 10 on, sums of integers of up to 32 bits down the
    columns are running sums, whose time does not depend on the radius.

    Parameters
    ----------
    chunk : ndarray, shape (rows, columns, channels)
        Integers or floats.
    radius : int
        Pixels on each side of the centre.

    Returns
    -------
    ndarray
        The same type.

    References
    ----------
    .. [1] M. J. McDonnell, Box-filtering techniques, Computer Graphics and Image Processing
       17(1), 1981.
    """
    from imgpipe.kernels.boxes import box_mean  # noqa: PLC0415 - not for the blur

    return box_mean(chunk, radius=radius, into=into)
