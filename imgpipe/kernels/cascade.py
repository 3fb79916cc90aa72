"""Cascades: long symmetric filters made of short ones, to a given accuracy.

A wide Gaussian is smooth in the middle, where a sum of a few wide splines approximates it. At its
two ends, where it is cut off, it jumps to zero. Level ``l`` of a cascade adds neighbours,
``x[i] + x[i + 2**l]``, several times. This smooths the signal by a B-spline, and the next level
needs only every second sample. The middle of the filter is a sum of the widest splines. Towards the
ends the splines become narrower; the last ones are single samples, which follow the jump. These are
splines with dense knots at the ends [1]_. Every level has a result for every sample, as in the
algorithme a trous [2]_.

The weights are a least-squares fit. A cascade is used if it costs less than the plain sum, and if
its measured error is within the given accuracy. If no weight of the filter is negative, no weight
of the cascade is negative: only rounding can take a result beyond the range of the samples. Every
result is the same sequence of additions and multiplications of the same samples, wherever a chunk
begins. Samples beyond the ends of the filter have no effect.

References
----------
.. [1] C. de Boor, A Practical Guide to Splines, Springer, 1978.
.. [2] M. Holschneider et al., "A real-time algorithm for signal analysis with the help of the
   wavelet transform", in Wavelets, Springer, 1989.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = ["Cascade", "cascade", "least_squares"]

_space = Workspace()

_Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

# Sum of the absolute errors of all weights of a filter whose own weights add up to about 1.
_TOLERANCE = {"float32": 1e-7, "float64": 2e-11}

# Taps that each level but the last has at the ends, beyond the order of its splines; splines of
# higher orders are tried where these tolerances ask for them; no order is above the last.
_MORE_TAPS = (-99, -4, -3, -2, -1, 0, 1, 2, 4)
_STRICTER = (0.25, 1e-2, 2e-4)
_HIGHEST = 16

# A row is taken for a sum of others where so little of it is left.
_DEPENDENT = 1e-7


class _Level(NamedTuple):
    """Taps on a smoothed signal, and the additions that smooth it further."""

    lead: int  # from the first sample of a sum to its middle
    taps: tuple[tuple[int, float], ...]  # how far from the middle, and the weight of both sides
    step: int = 1  # distance of the neighbours that are added, and how often
    times: int = 0


@dataclass(frozen=True)
class Cascade:
    """One direction of a separable filter; see `imgpipe.kernels.separable.Sweep`.

    Attributes
    ----------
    dtype : dtype
        float32 or float64.
    reach : int
        Samples on each side that take part.
    levels : tuple of _Level
        From single samples to the widest splines.
    """

    dtype: np.dtype[Any]
    reach: int
    levels: tuple[_Level, ...]

    @property
    def support(self) -> int:
        """Neighbours on both sides together."""
        return 2 * self.reach

    @property
    def additions(self) -> int:
        """Additions and multiplications for each sample."""
        return sum(level.times + 3 * len(level.taps) for level in self.levels)

    def run(self, x: Pixels, unit: int) -> Pixels:
        """Filter `x`, in which neighbours are `unit` samples apart."""
        total, here, there, term = (_space.array(n, self.dtype, x.size) for n in "abcd")
        size = x.size - self.support * unit
        to = total
        for level in self.levels:
            middle = (self.reach - level.lead) * unit
            for away, weight in level.taps:
                left, right = (x[middle + k * unit :][:size] for k in (-away, away))
                both = np.add(left, right, out=to[:size]) if away else left
                np.multiply(both, self.dtype.type(weight), out=to[:size])
                if to is term:
                    np.add(total[:size], to[:size], out=total[:size])
                to = term
            for _ in range(level.times):
                y = there[: x.size - level.step * unit]
                np.add(x[: y.size], x[level.step * unit :], out=y)
                x, here, there = y, there, here
        return total

    def finish(self, done: Pixels, out: Pixels) -> None:
        """Bring results into another type; integers are rounded and saturated."""
        settle(done, out)


def cascade(half: _Reals, scale: float, dtype: np.dtype[Any]) -> Cascade:
    """Return the cheapest cascade found that is as exact as `dtype` asks for.

    Parameters
    ----------
    half : ndarray of float64, shape (reach + 1,)
        Weights of the filter from its middle to its end, which has no more than single samples
        beyond it; about 1 in total.
    scale : float
        Width of the filter: the standard deviation of a Gaussian.
    dtype : dtype
        float32 or float64, what to compute in.
    """
    reach, tolerance = len(half) - 1, _TOLERANCE[dtype.name]
    plain = _Level(0, tuple((k, float(half[k])) for k in range(reach, -1, -1)))
    best = Cascade(dtype, reach, (plain,))
    for count in range(int(math.log2(max(1, reach / 8))), 0, -1):
        for stricter in _STRICTER:
            orders = _orders(scale, count, stricter * tolerance)
            if orders and sum(orders) + 3 * (reach >> count) < best.additions:
                best = min(best, _thinnest(orders, half, best), key=lambda one: one.additions)
    return best


def _thinnest(orders: list[int], half: _Reals, best: Cascade) -> Cascade:
    """Return the cascade of these orders with the fewest taps at the ends, or `best`."""
    low, high = 0, len(_MORE_TAPS)
    while low < high:
        middle = (low + high) // 2
        basis = _basis(orders, best.reach, _MORE_TAPS[middle])
        if basis is None or sum(orders) + 3 * len(basis.rows) >= best.additions:
            high = middle
        elif fit := _fitted(basis, half, orders, best.dtype):
            best, high = fit, middle
        else:
            low = middle + 1
    return best


def _orders(scale: float, count: int, tolerance: float) -> list[int]:
    """Return the number of additions of each level, as the next, coarser level asks.

    Of a wave that a Gaussian of standard deviation `scale` passes, ``w ~ 1 / scale``, n additions
    of neighbours at a distance of d let through ``(d / (pi scale))**n`` of what the coarser
    samples cannot tell from it; the mean of ``(w scale)**n`` is below ``sqrt(n!)``.
    """
    orders = []
    for level in range(count):
        ratio = 2**level / (math.pi * scale)
        errors = (2 * ratio**n * math.sqrt(math.factorial(n)) for n in range(2, _HIGHEST + 1, 2))
        wanted = [2 * i for i, error in enumerate(errors, 1) if error <= tolerance]
        if not wanted:
            return []
        orders.append(wanted[0])
    return orders


class _Basis(NamedTuple):
    """Half of the splines of each level, and where they are."""

    rows: _Reals
    places: tuple[tuple[int, int], ...]  # level, and how far from the middle
    leads: tuple[int, ...]


def _basis(orders: list[int], reach: int, more: int) -> _Basis | None:
    """Return the splines of all levels that may take part, none of which reaches beyond the end."""
    rows, places, leads, spline = [], [], [], np.ones(1)
    for level in range(len(orders) + 1):
        step, lead = 2**level, len(spline) // 2
        last = reach - lead
        if last < 0:
            return None
        aways = list(range(last // step * step, -1, -step))
        if level < len(orders):
            aways = aways[: max(0, orders[level] + more)]
        if aways and aways[0] < last:
            aways.insert(0, last)
        for away in aways:
            row = np.zeros(2 * reach + 1)
            for middle in {reach - away, reach + away}:
                row[middle - lead : middle + lead + 1] += spline
            rows.append(row[reach:])
            places.append((level, away))
        leads.append(lead)
        if level < len(orders):
            pair = np.zeros(step + 1)
            pair[[0, -1]] = 0.5
            for _ in range(orders[level]):
                spline = np.convolve(spline, pair)
    return _Basis(np.stack(rows), tuple(places), tuple(leads))


def _fitted(basis: _Basis, half: _Reals, orders: list[int], dtype: np.dtype[Any]) -> Cascade | None:
    """Return the cascade that is nearest to a filter, if it is near enough."""
    weights = least_squares(basis.rows, half)
    while half.min() >= 0 > weights.min():
        kept = np.flatnonzero(weights >= 0)
        basis = basis._replace(rows=basis.rows[kept], places=tuple(basis.places[i] for i in kept))
        weights = least_squares(basis.rows, half)
    off = np.abs(np.einsum("ij,i->j", basis.rows, weights) - half)
    if 2 * float(off.sum()) > _TOLERANCE[dtype.name]:
        return None
    levels, added = [], 0
    for level, lead in enumerate(basis.leads):
        times = orders[level] if level < len(orders) else 0
        here = zip(basis.places, weights.tolist(), strict=True)
        taps = tuple((away, w * 0.5**added) for (at, away), w in here if w and at == level)
        levels.append(_Level(lead, taps, 2**level, times))
        added += times
    return Cascade(dtype, len(half) - 1, tuple(levels))


def least_squares(rows: _Reals, wanted: _Reals) -> _Reals:
    """Return the weights of rows whose sum is nearest to the one wanted.

    By modified Gram-Schmidt, and without BLAS, whose results depend on the number of its threads:
    each process must find the same weights.
    """
    left, rest, count = rows.copy(), wanted.copy(), len(rows)
    shares, weights = np.zeros((count, count)), np.zeros(count)
    for i in range(count):
        length = math.sqrt(np.einsum("j,j", left[i], left[i]))
        shares[i, i] = length
        if length < _DEPENDENT * math.sqrt(np.einsum("j,j", rows[i], rows[i])):
            shares[i, i] = math.inf  # the rows before it make up this one
            continue
        one = left[i] / length
        shares[i, i + 1 :] = np.einsum("ij,j->i", left[i + 1 :], one)
        left[i + 1 :] -= shares[i, i + 1 :, None] * one
        weights[i] = np.einsum("j,j", rest, one)
        rest -= weights[i] * one
    for i in range(count - 1, -1, -1):
        known = np.einsum("j,j", shares[i, i + 1 :], weights[i + 1 :])
        weights[i] = (weights[i] - known) / shares[i, i]
    return weights
