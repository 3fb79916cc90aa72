"""Designs of Gaussians for 8-bit images: as few additions as are accurate enough.

A Gaussian of standard deviation sigma is separable: one sweep down the columns, one along
the rows.  Each sweep is a chain of three kinds of steps, chosen once per sigma:

``_Pair(d)``
    ``y[i] = x[i] + x[i + d]``.  One addition, no multiplication; a chain of them is a
    generalised binomial, of variance ``d ** 2 / 4`` each and frequency response
    ``cos(d w / 2)``.
``_Fir(offsets, weights)``
    ``y[i] = w0 x[i] + sum_j wj (x[i - oj] + x[i + oj])``, the symmetric filter that bends
    the binomial into a Gaussian.
``_Shift(bits)``
    ``y[i] = x[i] >> bits``, makes room for more additions in integers.

Large sigmas climb octaves, as in the algorithme a trous (M. Holschneider et al., "A
real-time algorithm for signal analysis with the help of the wavelet transform", in
Wavelets, Springer, 1989): after a few ``_Pair(1)`` the signal is smooth enough that the
rest may step by 2, after a few ``_Pair(2)`` by 4, and so on.  Nothing is decimated, so
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
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.image import Pixels
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = ["LONG", "chains", "coarse_chain"]

_space = Workspace()

_Reals: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


class _Pair(NamedTuple):
    distance: int

    @property
    def support(self) -> int:
        return self.distance


class _Fir(NamedTuple):
    offsets: tuple[int, ...]
    weights: tuple[float, ...]  # the centre first

    @property
    def support(self) -> int:
        return 2 * max(self.offsets, default=0)


class _Shift(NamedTuple):
    bits: int
    support: int = 0


@dataclass(frozen=True)
class _Chain:
    """Steps of one sweep; in the end, integers become ``(x + add) >> bits``."""

    dtype: np.dtype[Any]
    steps: tuple[_Pair | _Fir | _Shift, ...]
    add: int = 0
    bits: int = 0

    @property
    def support(self) -> int:
        return sum(step.support for step in self.steps)

    def run(self, x: Pixels, unit: int) -> Pixels:
        here, there, spare = (_space.array(name, self.dtype, x.size) for name in "abc")
        for step in self.steps:
            y = there[: x.size - step.support * unit]
            if isinstance(step, _Pair):
                np.add(x[: y.size], x[step.distance * unit :], out=y)
            elif isinstance(step, _Fir):
                _fir(step, x, unit, y, spare[: y.size])
            else:
                np.right_shift(x, step.bits, out=y)
            x, here, there = y, there, here
        return here

    def finish(self, done: Pixels, out: Pixels) -> None:
        if self.add:
            np.add(done, self.add, out=done)
        if self.bits and out.dtype == done.dtype:
            np.right_shift(done, self.bits, out=out)
            return
        if self.bits:
            np.right_shift(done, self.bits, out=done)
        elif done.dtype.kind == "f":
            settle(done, out)
            return
        np.copyto(out, done, casting="unsafe")


def _fir(step: _Fir, x: Pixels, unit: int, out: Pixels, spare: Pixels) -> None:
    n, middle = out.size, step.support // 2 * unit
    np.multiply(x[middle : middle + n], step.weights[0], out=out)
    for offset, weight in zip(step.offsets, step.weights[1:], strict=True):
        shift = offset * unit
        np.add(x[middle - shift :][:n], x[middle + shift :][:n], out=spare)
        if weight != 1:
            np.multiply(spare, weight, out=spare)
        np.add(out, spare, out=out)


# --- choosing the steps -----------------------------------------------------------------


class _Design(NamedTuple):
    """One symmetric filter of sum 1, and pairs, each at half weight."""

    offsets: tuple[int, ...]
    weights: tuple[float, ...]
    pairs: tuple[int, ...] = ()

    def response(self, omega: _Reals) -> _Reals:
        total = np.full_like(omega, self.weights[0])
        for offset, weight in zip(self.offsets, self.weights[1:], strict=True):
            total += 2 * weight * _response(offset, omega)
        for distance in self.pairs:
            total *= _response(distance / 2, omega)
        return total


# From this radius on, in standard deviations, the tails are too low to need taps of their own.
LONG = 3.5

# The search takes longer than blurring a small picture: its result for the default.
_KNOWN = {(2.0, 8): _Design((1, 3), (0.078125, 0.3671875, 0.09375), (1,) * 6)}


@functools.lru_cache(maxsize=64)
def chains(sigma: float, radius: int) -> tuple[_Chain, _Chain] | None:
    """Choose the chains down the columns and along the rows; none if it is cut off early."""
    if sigma < _FEW_TAPS:
        return _few_taps(sigma, radius)
    design = _KNOWN.get((sigma, radius)) or _integer_design(sigma, radius)
    return None if design is None else _fixed_point(design)


def coarse_chain(sigma: float, radius: int) -> _Chain:
    """Choose the chain of a Gaussian in float32, within 2e-4 of the range of its input."""
    design = _real_design(sigma, radius, least=1.3)
    scale = 0.5 ** len(design.pairs)
    fir = _Fir(design.offsets, tuple(scale * w for w in design.weights))
    pairs = map(_Pair, sorted(design.pairs, reverse=True))
    return _Chain(np.dtype(np.float32), (fir, *pairs))


def _samples(sigma: float, radius: int) -> _Reals:
    """Sample at 0, 1, ..., radius; the sum is 1 if all but the first count twice."""
    g = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return np.asarray(g / (g[0] + 2 * math.fsum(g[1:])), np.float64)


def _response(distance: float, omega: _Reals) -> _Reals:
    """Of two samples, of half weight each, at plus and minus ``distance``."""
    return np.asarray(np.cos(distance * omega), np.float64)


def _spectrum(sigma: float, radius: int, omega: _Reals) -> _Reals:
    g = _samples(sigma, radius)
    waves = np.cos(np.outer(omega, np.arange(1, radius + 1)))
    return np.asarray(g[0] + 2 * waves @ g[1:], np.float64)


def _stress(sigma: float, omega: _Reals) -> _Reals:
    """Low frequencies: a step edge shows them, so errors there count for more."""
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
    before = np.prod([_response(d / 2, omega) for d in pairs], axis=0)
    stress = _stress(sigma, omega)
    columns = [2 * before * (_response(k, omega) - 1) * stress for k in offsets]
    wanted = (_spectrum(sigma, radius, omega) - before) * stress
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

# Bits of fraction that 16 bits have room for beside a sample, and that a sample keeps
# between pairs; bits of fitted weights.
_ROOM, _FRACTION = 8, 4
_WEIGHT_BITS = (6, 7)

# The share of the variance, times four, that pairs take in designs worth looking at.
_PAIRS_FROM, _PAIRS_TO = 1.4, 3.2


def _few_taps(sigma: float, radius: int) -> tuple[_Chain, _Chain]:
    """Plain weights: of 8 bits in 16, then of 11 bits in 32, both exact until the last shift."""
    down = _Chain(np.dtype(np.uint16), (_whole_weights(sigma, radius, _ROOM),))
    fir = _whole_weights(sigma, radius, 11)
    return down, _Chain(np.dtype(np.uint32), (fir,), add=2 ** (_ROOM + 10), bits=_ROOM + 11)


def _whole_weights(sigma: float, radius: int, bits: int) -> _Fir:
    """Return the Gaussian in whole weights that add up to ``2**bits``."""
    # Rounding the sum beyond each tap keeps the error of a step below half a unit.
    g = _samples(sigma, radius)
    beyond = np.rint(np.cumsum(g[:0:-1])[::-1] * 2**bits).astype(int)
    weights = (beyond - np.append(beyond[1:], 0)).tolist()
    taps = {k: w for k, w in enumerate(weights, 1) if w}
    return _Fir(tuple(taps), (2**bits - 2 * sum(weights), *taps.values()))


def _fixed_point(design: _Design) -> tuple[_Chain, _Chain]:
    """Fit a design into 16 bits: 8 of the sample, up to 8 of fraction.

    Shifts between steps round down; the last one gives back the average loss.
    It is less than half a level, so that a flat image stays as it is.
    """
    bits = next(b for b in range(1, _ROOM) if all((w * 2**b).is_integer() for w in design.weights))
    fir = _Fir(design.offsets, tuple(int(w * 2**bits) for w in design.weights))
    down, fraction, lost = _steps(fir, design.pairs, bits)
    along, last, more = _steps(fir, design.pairs, _ROOM)
    # Between the sweeps, room for the weights.
    shift = fraction - (_ROOM - bits)
    add = round((0.5 + lost + more) * 2**last)
    kind = np.dtype(np.uint16)
    return _Chain(kind, down, 2 ** (shift - 1), shift), _Chain(kind, along, add, last)


def _steps(
    fir: _Fir, pairs: tuple[int, ...], fraction: int
) -> tuple[tuple[_Fir | _Pair | _Shift, ...], int, float]:
    """Put pairs behind a filter that leaves ``fraction`` bits, and shifts to make room.

    Returns also the bits of fraction in the end, and the average loss of the shifts.
    """
    steps: list[_Fir | _Pair | _Shift] = [fir]
    lost = 0.0
    todo = sorted(pairs)
    while todo:
        if fraction == _ROOM:
            keep = max(_FRACTION, _ROOM - len(todo))
            lost += (2.0**-keep - 2.0**-fraction) / 2
            steps.append(_Shift(fraction - keep))
            fraction = keep
        # The widest first, so that the others have less to do.
        steps.append(_Pair(todo.pop()))
        fraction += 1
    return tuple(steps), fraction, lost


def _integer_design(sigma: float, radius: int) -> _Design | None:
    """Find a cheap good design; else the best; for a Gaussian cut short, none."""
    best, found = (_USELESS if sigma <= _SMALL else _USELESS_LARGE), None
    omega = np.linspace(0, math.pi, 4 * radius + 1)
    # More pairs in an octave alias less, but leave less of the reach.
    for many in (8, 16):
        octaves = _Octaves.climb(sigma, radius, least=2.2, many=many)
        design = _base_design(octaves)
        error = float(_error((design.response(omega) - _spectrum(sigma, radius, omega))[None])[0])
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
    target, stress = _spectrum(sigma, radius, omega), _stress(sigma, omega)
    best = (math.inf, _Design((), (1.0,)))
    choices = [
        c
        for c in itertools.combinations_with_replacement(range(1, min(round(sigma), 4) + 1), count)
        if sum(c) % 2 == 0 and _PAIRS_FROM < sum(d * d for d in c) / sigma**2 < _PAIRS_TO
    ]
    if not choices:
        return best
    waves = {d: _response(d / 2, omega) for d in range(1, 5)}
    before = np.array([np.prod([waves[d] for d in c], axis=0) for c in choices])
    reach = np.array([sum(c) // 2 for c in choices])
    for offsets in itertools.combinations(range(1, math.ceil(2.2 * sigma) + 1), taps):
        bends = np.array([2 * (_response(k, omega) - 1) for k in offsets])
        columns = before[:, None] * bends * stress
        normal = columns @ columns.transpose(0, 2, 1) + 1e-12 * np.eye(taps)
        wanted = columns @ ((target - before) * stress)[..., None]
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
