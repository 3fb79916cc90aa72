"""Designs of Gaussians of bytes: whole weights that come close, of which some take few additions.

A design is one or two numbers more than a Gaussian has: the number of weights and the standard
deviation that they are made from, see `imgpipe.kernels.lines`. A pyramid also blurs while it takes
every second sample and fills them in again. Both steps have the weights ``1 4 6 4 1``, of
variance 1. So the blur of every second sample needs a quarter of the variance of the Gaussian
beyond 2.
Its even and odd samples have responses of their own, and each must be close to the Gaussian's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.kernels.lines import SUM, additions, whole_weights

__all__ = ["Lines", "Pyramid", "designed"]

_Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

# Below this sigma, every second sample tells too little.
_PYRAMID = 2.0
# Up to this sigma, one level is enough.
_LEVEL = 8.0
# A Gaussian cut off before so many standard deviations has edges, which need all samples.
_LONG = 3.5

# Errors that count as one: of the response to a unit step, and to a sine wave (a level is 0.0039).
_STEP_ERROR, _SINE_ERROR = 0.0016, 0.0176
# Cost of an operation, or of a weight, in such errors; and the largest distance of a design from
# the lowest error.
_OPERATION, _NEAR = 0.03, 0.6

_OMEGA = np.linspace(0, math.pi, 129)


class Lines(NamedTuple):
    """Weights of all samples."""

    taps: int
    spread: float


class Pyramid(NamedTuple):
    """Weights of the samples that are kept; the parameters of `imgpipe.kernels.pyramid.pyramid`."""

    levels: int
    taps: int
    spread: float


# The search takes as long as blurring a small picture: its result for the default.
_KNOWN = {(2.0, 8): Pyramid(1, 5, 0.7029)}


@functools.lru_cache(maxsize=64)
def designed(sigma: float, radius: int) -> Lines | Pyramid | None:
    """Choose a design that needs no more than a radius; none if none is close."""
    known = _KNOWN.get((sigma, radius))
    if known is not None:
        return known
    if sigma < _PYRAMID:
        return Lines(*_best(_fits(sigma, radius, spectrum(sigma, radius)))[1:])
    return _pyramid(sigma, radius) if radius >= _LONG * sigma else None


def _pyramid(sigma: float, radius: int) -> Pyramid:
    levels = 1
    while sigma > _LEVEL:
        levels, sigma = levels + 1, math.sqrt(sigma**2 - 2) / 2
    target = spectrum(sigma, math.ceil(4 * sigma))
    even, odd = (3 + np.cos(2 * _OMEGA)) / 4, np.cos(_OMEGA)
    around = np.cos(_OMEGA / 2) ** 4 * np.stack([even, odd])
    most = (radius + 4 >> levels) - 4
    _, taps, spread = _best(_fits(math.sqrt(sigma**2 - 2) / 2, most, target, around))
    return Pyramid(levels, taps, spread)


def spectrum(sigma: float, radius: int) -> _Reals:
    """Return the response of a Gaussian that is cut off at a radius."""
    g = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    g[1:] *= 2
    return _response(g / g.sum())


def _response(weights: _Reals, distance: int = 1) -> _Reals:
    """Return the response of symmetrical weights, of which all but the first count twice."""
    waves = np.cos(distance * np.outer(np.arange(weights.shape[-1]), _OMEGA))
    return np.asarray(np.einsum("...i,ij->...j", weights, waves), np.float64)


class _Fit(NamedTuple):
    error: float
    taps: int
    spread: float


def _fits(sigma: float, most: int, target: _Reals, around: _Reals | None = None) -> Iterator[_Fit]:
    """Yield weights near a Gaussian of ``sigma``, up to a radius of `most`.

    Parameters
    ----------
    sigma, most : float and int
        In samples of the last level.
    target : ndarray
        The response wanted.
    around : ndarray, shape (2, frequencies), optional
        Responses of the rest of a pyramid, at even and at odd samples.
    """
    least = min(most, max(1, int(1.6 * sigma)))
    for half in range(least, min(most, math.ceil(3.5 * sigma) + 1) + 1):
        taps = 2 * half + 1
        spreads: dict[tuple[int, ...], list[float]] = {}
        for spread in np.linspace(0.92 * sigma, 1.1 * sigma + 0.05, 150):
            weights = whole_weights(taps, float(spread))
            if min(weights) >= 0:
                spreads.setdefault(weights, []).append(float(spread))
        sums = np.array(list(spreads)) / SUM
        sums[:, 1:] *= 2
        if around is None:
            off = (_response(sums) - target)[:, None]
        else:
            off = _response(sums, 2)[:, None] * around - target
        for error, same in zip(_error(off), spreads.values(), strict=True):
            # The middle one, so that rounding elsewhere does not make other weights of it.
            yield _Fit(float(error), taps, round(same[len(same) // 2], 4))


def _best(fits: Iterator[_Fit]) -> _Fit:
    """Return the fit of the lowest error, unless another one takes less time."""
    found = list(fits)
    lowest = min(found).error

    def cost(fit: _Fit) -> float:
        operations = additions(whole_weights(fit.taps, fit.spread)).operations
        return fit.error + _OPERATION * (operations + fit.taps // 2)

    return min((fit for fit in found if fit.error <= lowest + _NEAR), key=cost)


def _error(off: _Reals) -> _Reals:
    """Return the errors of the responses to a step and to a sine."""
    impulse = np.fft.fftshift(np.fft.irfft(off, axis=-1), axes=-1)
    step = np.abs(impulse.cumsum(axis=-1)).max(axis=(-1, -2))
    sine = np.abs(off).max(axis=(-1, -2))
    return np.asarray(step / _STEP_ERROR + sine / _SINE_ERROR, np.float64)
