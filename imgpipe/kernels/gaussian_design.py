"""Designs of Gaussians for 8-bit images: as few additions as are accurate enough.

A Gaussian of standard deviation sigma is separable: one sweep down the columns, one along
the rows. Each is a chain of pairs, which make a generalised binomial, and of one symmetric filter,
which bends it into a Gaussian, see `imgpipe.kernels.steps`.

Large sigmas climb octaves, as in the algorithme a trous (M. Holschneider et al., "A
real-time algorithm for signal analysis with the help of the wavelet transform", in
Wavelets, Springer, 1989): after a few ``Pair(1)`` the signal is smooth enough that the
rest may step by 2, after a few ``Pair(2)`` by 4, and so on.  Nothing is decimated, so
that a pixel's value does not depend on where a chunk begins.

Images are filtered in 16-bit integers, and what is left of a wide Gaussian between thinning out and
filling in is filtered in floating point; either way every pixel is the same sequence of additions
and multiplications of the same inputs, whatever the size or the place of the chunk. Exact sums are
those of `imgpipe.kernels.cascade`.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.kernels.steps import ROOM, Chain, Fir, Pair, fixed_point

__all__ = ["LONG", "chains", "coarse_chain", "response", "spectrum", "stress"]

_Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


# --- choosing the steps -----------------------------------------------------------------


class _Design(NamedTuple):
    """One symmetric filter of sum 1, and pairs, each at half weight."""

    offsets: tuple[int, ...]
    weights: tuple[float, ...]
    pairs: tuple[int, ...] = ()

    def response(self, omega: _Reals) -> _Reals:
        total = np.full_like(omega, self.weights[0])
        for offset, weight in zip(self.offsets, self.weights[1:], strict=True):
            total += 2 * weight * response(offset, omega)
        for distance in self.pairs:
            total *= response(distance / 2, omega)
        return total


# From this radius on, in standard deviations, the tails are too low to need taps of their own.
LONG = 3.5

# The search takes longer than blurring a small picture: its result for the default.
_KNOWN = {(2.0, 8): _Design((1, 3), (0.078125, 0.3671875, 0.09375), (1,) * 6)}


@functools.lru_cache(maxsize=64)
def chains(sigma: float, radius: int) -> tuple[Chain, Chain] | None:
    """Choose the chains down the columns and along the rows; none if it is cut off early."""
    if sigma < _FEW_TAPS:
        return _few_taps(sigma, radius)
    design = _KNOWN.get((sigma, radius)) or _integer_design(sigma, radius)
    return None if design is None else _fixed_point(design)


def coarse_chain(sigma: float, radius: int) -> Chain:
    """Choose the chain of a Gaussian in float32, within 2e-4 of the range of its input."""
    design = _real_design(sigma, radius, least=1.3)
    scale = 0.5 ** len(design.pairs)
    fir = Fir(design.offsets, tuple(scale * w for w in design.weights))
    pairs = map(Pair, sorted(design.pairs, reverse=True))
    return Chain(np.dtype(np.float32), (fir, *pairs))


def _samples(sigma: float, radius: int) -> _Reals:
    """Sample at 0, 1, ..., radius; the sum is 1 if all but the first count twice."""
    g = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return np.asarray(g / (g[0] + 2 * math.fsum(g[1:])), np.float64)


def response(distance: float, omega: _Reals) -> _Reals:
    """Return the response of two samples, of half weight each, at plus and minus ``distance``."""
    return np.asarray(np.cos(distance * omega), np.float64)


def spectrum(sigma: float, radius: int, omega: _Reals) -> _Reals:
    """Return the response of a Gaussian that is cut off at ``radius``."""
    g = _samples(sigma, radius)
    waves = np.cos(np.outer(omega, np.arange(1, radius + 1)))
    return np.asarray(g[0] + 2 * waves @ g[1:], np.float64)


def stress(sigma: float, omega: _Reals) -> _Reals:
    """Return how much errors count: a step edge shows low frequencies most."""
    return np.asarray(0.3 + 1 / np.maximum(omega * sigma, 0.3), np.float64)


class _Octaves(NamedTuple):
    pairs: tuple[int, ...]
    step: int
    sigma: float
    reach: float

    @classmethod
    def climb(cls, sigma: float, radius: int, least: float, many: float) -> _Octaves:
        """Pairs to begin with; the step they allow; sigma and reach left, in that step.

        ``n`` pairs take ``n / 4`` of the variance, and of what a step of 2 would alias
        leave ``(sqrt(n) / (2 sigma)) ** n * exp(-n / 2)``: below a sigma of ``many``, four
        are needed where otherwise two are enough.
        """
        here = cls((), 1, sigma, radius)
        while True:
            n = 4 if here.sigma < many else 2
            left = math.sqrt(max(0.0, here.sigma**2 - n / 4)) / 2
            if left < least:
                return here
            here = cls(here.pairs + n * (here.step,), 2 * here.step, left, (here.reach - n / 2) / 2)


def _real_design(sigma: float, radius: int, least: float) -> _Design:
    """Octaves of pairs, then the least-squares fit of the rest of the Gaussian."""
    pairs, step, rest, reach = _Octaves.climb(sigma, radius, least, many=math.inf)
    if not pairs or radius < LONG * sigma:
        return _Design(tuple(range(1, radius + 1)), tuple(_samples(sigma, radius).tolist()))
    offsets = [step * k for k in range(1, min(int(reach), math.ceil(4.5 * rest)) + 1)]
    last = int(step * min(reach, 4.5 * rest))
    if last > offsets[-1]:
        # The last tap reaches for the end of the tail, unless two would be too close.
        offsets[len(offsets) - (last < offsets[-1] + step / 2) :] = [last]
    omega = np.linspace(0, math.pi, 4 * radius)
    before = np.prod([response(d / 2, omega) for d in pairs], axis=0)
    scale = stress(sigma, omega)
    columns = [2 * before * (response(k, omega) - 1) * scale for k in offsets]
    wanted = (spectrum(sigma, radius, omega) - before) * scale
    from imgpipe.kernels.cascade import least_squares  # noqa: PLC0415 - for wide ones

    weights = least_squares(np.stack(columns), wanted).tolist()
    return _Design(tuple(offsets), (1 - 2 * math.fsum(weights), *weights), pairs)


# --- 8-bit images -----------------------------------------------------------------------

# Below this sigma, plain weights; a binomial would be too wide.
_FEW_TAPS = 1.3
_SMALL = 10.0

# A design is good enough when its response to a unit step, and to any sine wave, is this
# close to the Gaussian's (a level is 0.0039).  Beyond _USELESS it is not taken at all;
# above a sigma of _SMALL more is allowed.
_STEP_ERROR, _SINE_ERROR = 0.0013, 0.0036
_USELESS, _USELESS_LARGE = 0.0015, 0.0025

_WEIGHT_BITS = (6, 7)  # of fitted weights

# The share of the variance, times four, that pairs take in designs worth looking at.
_PAIRS_FROM, _PAIRS_TO = 1.4, 3.2


def _few_taps(sigma: float, radius: int) -> tuple[Chain, Chain]:
    """Plain weights: of 8 bits in 16, then of 11 bits in 32, both exact until the last shift."""
    down = Chain(np.dtype(np.uint16), (_whole_weights(sigma, radius, ROOM),))
    fir = _whole_weights(sigma, radius, 11)
    return down, Chain(np.dtype(np.uint32), (fir,), add=2 ** (ROOM + 10), bits=ROOM + 11)


def _whole_weights(sigma: float, radius: int, bits: int) -> Fir:
    """Return the Gaussian in whole weights that add up to ``2**bits``."""
    # Rounding the sum beyond each tap keeps the error of a step below half a unit.
    g = _samples(sigma, radius)
    beyond = np.rint(np.cumsum(g[:0:-1])[::-1] * 2**bits).astype(int)
    weights = (beyond - np.append(beyond[1:], 0)).tolist()
    taps = {k: w for k, w in enumerate(weights, 1) if w}
    return Fir(tuple(taps), (2**bits - 2 * sum(weights), *taps.values()))


def _fixed_point(design: _Design) -> tuple[Chain, Chain]:
    """Fit a design into 16 bits: 8 of the sample, up to 8 of fraction.

    Shifts between steps round down; the last one gives back the average loss.
    It is less than half a level, so that a flat image stays as it is.
    """
    bits = next(b for b in range(1, ROOM) if all((w * 2**b).is_integer() for w in design.weights))
    fir = Fir(design.offsets, tuple(int(w * 2**bits) for w in design.weights))
    down, fraction, lost = fixed_point(fir, design.pairs, bits)
    along, last, more = fixed_point(fir, design.pairs, ROOM)
    # Between the sweeps, room for the weights.
    shift = fraction - (ROOM - bits)
    add = round((0.5 + lost + more) * 2**last)
    kind = np.dtype(np.uint16)
    return Chain(kind, down, 2 ** (shift - 1), shift), Chain(kind, along, add, last)


def _integer_design(sigma: float, radius: int) -> _Design | None:
    """Find a cheap good design; else the best; for a Gaussian cut short, none."""
    best, found = (_USELESS if sigma <= _SMALL else _USELESS_LARGE), None
    omega = np.linspace(0, math.pi, 4 * radius + 1)
    # More pairs in an octave alias less, but leave less of the reach.
    for many in (8, 16):
        octaves = _Octaves.climb(sigma, radius, least=2.2, many=many)
        design = _base_design(octaves)
        error = float(_error((design.response(omega) - spectrum(sigma, radius, omega))[None])[0])
        if error < best:
            best, found = error, design
        if best <= _STEP_ERROR:
            break
    return found


def _base_design(octaves: _Octaves) -> _Design:
    """Complete octaves by the cheapest design that is good enough, or else by the best."""
    pairs, step, sigma, reach = octaves
    best = (math.inf, _Design((), (1.0,)))
    sizes = itertools.product(range(2, 12), (1, 2), _WEIGHT_BITS)
    for count, taps, bits in sorted(sizes, key=lambda c: (1.25 * c[0] + 3 * c[1], c[2])):
        best = min(best, _best_fit(sigma, int(reach), count, taps, bits))
        if best[0] <= _STEP_ERROR:
            break
    base = best[1]
    return _Design(
        tuple(step * k for k in base.offsets),
        base.weights,
        pairs + tuple(step * d for d in base.pairs),
    )


def _best_fit(sigma: float, radius: int, count: int, taps: int, bits: int) -> tuple[float, _Design]:
    """Among all designs of so many pairs and taps, the nearest to the Gaussian.

    The weights of the taps are a least-squares fit, rounded each way.
    """
    omega = np.linspace(0, math.pi, 49)
    target, scale = spectrum(sigma, radius, omega), stress(sigma, omega)
    best = (math.inf, _Design((), (1.0,)))
    choices = [
        c
        for c in itertools.combinations_with_replacement(range(1, min(round(sigma), 4) + 1), count)
        if sum(c) % 2 == 0 and _PAIRS_FROM < sum(d * d for d in c) / sigma**2 < _PAIRS_TO
    ]
    if not choices:
        return best
    waves = {d: response(d / 2, omega) for d in range(1, 5)}
    before = np.array([np.prod([waves[d] for d in c], axis=0) for c in choices])
    reach = np.array([sum(c) // 2 for c in choices])
    for offsets in itertools.combinations(range(1, math.ceil(2.2 * sigma) + 1), taps):
        bends = np.array([2 * (response(k, omega) - 1) for k in offsets])
        columns = before[:, None] * bends * scale
        normal = columns @ columns.transpose(0, 2, 1) + 1e-12 * np.eye(taps)
        wanted = columns @ ((target - before) * scale)[..., None]
        weights = np.floor(np.linalg.solve(normal, wanted)[..., 0] * 2**bits)
        for up in itertools.product((0, 1), repeat=taps):
            w = (weights + up) / 2**bits
            fits = (w > 0).all(1) & (2 * w.sum(1) < 1) & (reach + offsets[-1] <= radius)
            if not fits.any():
                continue
            error = _error(before[fits] * (1 + w[fits] @ bends) - target)
            i = int(error.argmin())
            if error[i] < best[0]:
                side = w[fits][i].tolist()
                chosen = choices[np.flatnonzero(fits)[i]]
                best = float(error[i]), _Design(offsets, (1 - 2 * sum(side), *side), chosen)
    return best


def _error(difference: _Reals) -> _Reals:
    """How far responses are off: to a step, or to a sine on the scale of a step."""
    impulse = np.fft.fftshift(np.fft.irfft(difference, axis=1), axes=1)
    step = np.abs(impulse.cumsum(axis=1)).max(axis=1)
    sine = np.abs(difference).max(axis=1) * (_STEP_ERROR / _SINE_ERROR)
    return np.asarray(np.maximum(step, sine), np.float64)
