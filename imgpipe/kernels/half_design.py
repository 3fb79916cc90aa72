"""Designs of Gaussians by way of every second row, see `imgpipe.kernels.half_rows`.

Down the columns there are three filters, one after the other: the first makes even rows of all
rows, the second is among even rows, and the third fills in the rows between. The third is given.
So even and odd rows have responses of their own, and each must be close to the Gaussian's. The
even weights of the first filter add up to half of all: then it leaves nothing of alternating
rows. The second filter is a fit, and pairs. Along the rows, the steps are those of
`gaussian_design`.

A Gaussian leaves ``exp(-(pi * sigma)**2 / 8)`` of a wave with a period of 4 rows, but odd rows that
are filled in have nothing of one whose even rows alternate. With a sigma of 1.8 this is 0.018, or 3
levels of black and white rows. Therefore sigma is at least 2. With a sigma above 4.4 the pairs
would be too many.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.kernels.gaussian_design import chains, response, spectrum, stress
from imgpipe.kernels.steps import ROOM, Fir, Pair, Shift, Step, fixed_point

__all__ = ["FILL", "FRACTION", "HalfRows", "half_rows"]

_Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

# Weights of even rows that make an even row, at distances of 0 and 2 rows, and an odd row, at 1 and
# 3: those of the binomial of seven, whose response to alternating rows is 0.
FILL = (10, 3), (15, 1)
FRACTION = 3  # bits that a sample has when rows are filled in

_LEAST, _MOST = 2.0, 4.4  # sigma
# A design is good enough when its response to a unit step, and to any sine wave, is this close to
# the Gaussian's (a level is 0.0039).
_STEP_ERROR, _SINE_ERROR = 0.0016, 0.0088
_DEFAULT = 4.0  # standard deviations
_OMEGA = np.linspace(0, math.pi, 65)

# What is tried: weights of the first filter, of 256, at distances of 2 and of 3 rows; then how many
# pairs, and at which distances, in even rows, the second filter has how many bits of weights.
_FAR = range(4, 32)
_NO_THIRD, _THIRDS = range(1), range(1, 9)
_PAIRS = range(0, 14, 2)
_TAPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2), (1, 3))
_WEIGHT_BITS = 3, 4, 5, 6
# Parts of the errors that are allowed, one after the other; weights at 3 rows take longer.
_ATTEMPTS = (
    (_NO_THIRD, 0.8),
    (_NO_THIRD, 1.0),
    (_THIRDS, 0.8),
    (_THIRDS, 1.0),
    (_NO_THIRD, 1.25),
    (_THIRDS, 1.25),
)


class HalfRows(NamedTuple):
    """The filters of one Gaussian.

    ``down`` has the weights at distances of 0, 1, 2 and perhaps 3 rows; ``apart`` steps among even
    rows, ``along`` steps along the rows. At last, values become ``(x + add) >> bits``. ``around``
    is the even rows that the second filter needs on each side, ``aside`` the columns.
    """

    down: tuple[int, ...]
    apart: tuple[Step, ...]
    along: tuple[Step, ...]
    add: int
    bits: int
    around: int
    aside: int

    @property
    def reach(self) -> int:
        """Rows needed on each side, of a row that is filled in."""
        return len(FILL) + 2 * self.around + len(self.down)


# The result of a longer search, for the default: the sums of the weights need not be powers of two,
# but their product (254 * 6 * 43 is 2**16 less 0.006 %). So weights can be smaller, and fewer.
_KNOWN: dict[tuple[float, int], tuple[tuple[int, ...], tuple[Step, ...], tuple[Step, ...]]] = {
    (2.0, 8): (
        (88, 63, 20),
        (Shift(3), Fir((1,), (4, 1)), Shift(5)),
        (Fir((1, 3), (5, 16, 3)), Shift(4), *4 * [Pair(1)], Shift(4), *4 * [Pair(1)]),
    )
}  # fmt: skip


@functools.lru_cache(maxsize=64)
def half_rows(sigma: float, radius: int) -> HalfRows | None:
    """Choose the filters; none if no choice is close enough to the Gaussian."""
    if not _LEAST <= sigma <= _MOST:
        return None
    radius = min(radius, int(_DEFAULT * sigma + 0.5))  # what is beyond does not show in 8 bits
    known = _KNOWN.get((sigma, radius))
    if known is not None:
        return _finished(*known)
    both = chains(sigma, radius)
    design = _design(sigma, radius)
    if both is None or design is None:
        return None
    along = both[1].steps
    room = ROOM - _bits(along[0])
    fir = Fir(design.offsets, design.weights)
    steps, fraction, _ = fixed_point(fir, (1,) * design.pairs, ROOM)
    first = (Shift(_bits(fir)), fir) if design.offsets else ()
    # This shift loses most, and a loss of half a level in all would show in black.
    last = Shift(fraction - room, 2 ** (fraction - room - 1))
    return _finished(design.down, (*first, *steps[1:], last), along)


def _finished(down: tuple[int, ...], apart: tuple[Step, ...], along: tuple[Step, ...]) -> HalfRows:
    """Add the last shift, and before it half a level and what shifts lose on average."""
    level, lost = float(2 * sum(down) - down[0]), 0.5
    for step in (*apart, *along):
        if isinstance(step, Shift):
            level /= 2**step.bits
            lost += ((1 - 0.5**step.bits) / 2 - step.add / 2**step.bits) / level
        else:
            level *= _gain(step)
    bits = round(math.log2(level)) - FRACTION
    lost += (2**bits - 1) / 2 / level
    around, aside = (sum(step.support for step in steps) // 2 for steps in (apart, along))
    return HalfRows(down, apart, along, int(lost * level + 0.5), bits, around, aside)


def _gain(step: Step) -> float:
    return 2 * sum(step.weights) - step.weights[0] if isinstance(step, Fir) else 2


def _bits(step: Step) -> int:
    return round(math.log2(_gain(step)))


# --- the search ---------------------------------------------------------------------------


class _Design(NamedTuple):
    """The filter of weights ``down``, and of taps and pairs among even rows."""

    down: tuple[int, ...]
    offsets: tuple[int, ...] = ()
    weights: tuple[int, ...] = (1,)
    pairs: int = 0


def _design(sigma: float, radius: int) -> _Design | None:
    """Find the cheapest design that is good enough."""
    target, scale = spectrum(sigma, radius, _OMEGA), stress(sigma, _OMEGA)
    fill = np.stack(
        [
            (FILL[0][0] + 2 * FILL[0][1] * response(2, _OMEGA)) / 16,
            (FILL[1][0] * response(1, _OMEGA) + FILL[1][1] * response(3, _OMEGA)) / 16,
        ]
    )
    sizes = sorted(
        itertools.product(_PAIRS, _TAPS), key=lambda c: (c[0] + 3 * len(c[1]), len(c[1]))
    )
    for third, allowed in _ATTEMPTS:
        down = [
            (128 - 2 * far, 64 - three, far, *((three,) if three else ()))
            for far in _FAR
            for three in third
        ]
        first = _first(down)[:, None] * fill
        for pairs, offsets in sizes:
            reach = len(FILL) + pairs + 2 * max(offsets, default=0) + len(down[0])
            if reach > radius:
                continue
            found = _fit(first * response(1, _OMEGA) ** pairs, target, scale, offsets, allowed)
            if found is not None:
                at, weights = found
                return _Design(down[at], offsets, weights, pairs)
    return None


def _first(down: list[tuple[int, ...]]) -> _Reals:
    """Return the responses of first filters, one for each row."""
    waves = [(2 if k else 1) * response(k, _OMEGA) for k in range(len(down[0]))]
    return np.asarray(np.einsum("ij,jk->ik", np.array(down), np.stack(waves)) / 2**ROOM, np.float64)


def _fit(
    before: _Reals, target: _Reals, scale: _Reals, offsets: tuple[int, ...], allowed: float
) -> tuple[int, tuple[int, ...]] | None:
    """Return which of the responses before it a filter makes good enough, and the filter."""
    bends = np.array([2 * (response(2 * k, _OMEGA) - 1) for k in offsets])
    bends = bends.reshape(len(offsets), len(_OMEGA))
    fitted = _least_squares(before[:, None] * bends[:, None] * scale, (target - before) * scale)
    for bits in _WEIGHT_BITS if offsets else (0,):
        best: tuple[float, int, tuple[int, ...]] = (allowed, 0, ())
        for up in itertools.product((0, 1), repeat=len(offsets)):
            sides = np.floor(fitted * 2**bits) + up
            good = (sides > 0).all(axis=1) & (2 * sides.sum(axis=1) < 2**bits)
            bent = 1 + np.einsum("ij,jk->ik", sides / 2**bits, bends)
            off = np.where(good, _error(before * bent[:, None] - target), math.inf)
            i = int(off.argmin())
            if off[i] < best[0]:
                chosen = [int(w) for w in sides[i]]
                best = float(off[i]), i, (2**bits - 2 * sum(chosen), *chosen)
        if best[2]:
            return best[1:]
    return None


def _least_squares(columns: _Reals, wanted: _Reals) -> _Reals:
    """Return the weights of no, one or two columns, for each row.

    Without BLAS, whose results depend on the number of its threads: each process must find the same
    filters.
    """
    normal = np.einsum("rikl,rjkl->rij", columns, columns)
    right = np.einsum("rikl,rkl->ri", columns, wanted)
    if columns.shape[1] < 2:
        return np.asarray(right / normal.reshape(right.shape), np.float64)
    (a, b), (_, c) = normal.transpose(1, 2, 0)
    p, q = right.T
    weights = np.stack([c * p - b * q, a * q - b * p], axis=1) / (a * c - b * b)[:, None]
    return np.asarray(weights, np.float64)


def _error(difference: _Reals) -> _Reals:
    """Return the worse error of even and odd rows, as a part of the one that is allowed."""
    impulse = np.fft.fftshift(np.fft.irfft(difference, axis=-1), axes=-1)
    step = np.abs(impulse.cumsum(axis=-1)).max(axis=(-1, -2))
    sine = np.abs(difference).max(axis=(-1, -2))
    return np.asarray(np.maximum(step / _STEP_ERROR, sine / _SINE_ERROR), np.float64)
