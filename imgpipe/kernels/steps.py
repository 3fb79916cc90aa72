"""Sweeps made of steps: a chain of the simplest filters there are.

``Pair(d)``
    ``y[i] = x[i] + x[i + d]``. One addition, no multiplication; a chain of them is a generalised
    binomial, of variance ``d ** 2 / 4`` each and frequency response ``cos(d w / 2)``.
``Fir(offsets, weights)``
    ``y[i] = w0 x[i] + sum_j wj (x[i - oj] + x[i + oj])``, a symmetric filter.
``Shift(bits, add)``
    ``y[i] = (x[i] + add) >> bits``, makes room for more additions in integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass
from imgpipe.values import settle
from imgpipe.workspace import Workspace

__all__ = ["ROOM", "Chain", "Fir", "Pair", "Shift", "Step", "fixed_point", "run"]

_space = Workspace()

# Bits of fraction that 16 bits have room for beside a sample, and that a sample keeps
# between pairs.
ROOM, _FRACTION = 8, 4


class Pair(NamedTuple):
    """Sums of two."""

    distance: int

    @property
    def support(self) -> int:
        """Neighbours needed, on both sides together."""
        return self.distance


class Fir(NamedTuple):
    """A symmetric filter."""

    offsets: tuple[int, ...]
    weights: tuple[float, ...]  # the centre first

    @property
    def support(self) -> int:
        """Neighbours needed, on both sides together."""
        return 2 * max(self.offsets, default=0)


class Shift(NamedTuple):
    """Division by a power of two, rounded down."""

    bits: int
    add: int = 0
    support: int = 0


Step: TypeAlias = "Pair | Fir | Shift"


@dataclass(frozen=True)
class Chain:
    """Steps of one sweep; in the end, integers become ``(x + add) >> bits``."""

    dtype: np.dtype[Any]
    steps: tuple[Step, ...]
    add: int = 0
    bits: int = 0

    @property
    def support(self) -> int:
        """Neighbours needed, on both sides together."""
        return sum(step.support for step in self.steps)

    def run(self, x: Pixels, unit: int) -> Pixels:
        """Filter, see `imgpipe.kernels.separable.Sweep`."""
        buffers = [_space.array(name, self.dtype, x.size) for name in "abc"]
        run(self.steps, x, unit, buffers)
        return buffers[0]

    def finish(self, done: Pixels, out: Pixels) -> None:
        """Bring results into another type, see `imgpipe.kernels.separable.Sweep`."""
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


def run(steps: Iterable[Step], x: Pixels, unit: int, buffers: list[Pixels]) -> Pixels:
    """Run steps over an array, which may lie in the first of three buffers; so does the result.

    For that, the buffers are put into another order. A shift is never the first step, unless `x`
    lies in a buffer.
    """
    for step in steps:
        if isinstance(step, Shift):
            if step.add:
                np.add(x, step.add, out=x)
            np.right_shift(x, step.bits, out=x)
            continue
        here, there, spare = buffers
        y = there[: x.size - step.support * unit]
        if isinstance(step, Pair):
            np.add(x[: y.size], x[step.distance * unit :], out=y)
        else:
            _fir(step, x, unit, y, spare[: y.size])
        x, buffers[:2] = y, (there, here)
    return x


def _fir(step: Fir, x: Pixels, unit: int, out: Pixels, spare: Pixels) -> None:
    n, middle = out.size, step.support // 2 * unit
    np.multiply(x[middle : middle + n], step.weights[0], out=out)
    for offset, weight in zip(step.offsets, step.weights[1:], strict=True):
        shift = offset * unit
        np.add(x[middle - shift :][:n], x[middle + shift :][:n], out=spare)
        if weight != 1:
            np.multiply(spare, weight, out=spare)
        np.add(out, spare, out=out)


def fixed_point(
    fir: Fir, pairs: tuple[int, ...], fraction: int
) -> tuple[tuple[Step, ...], int, float]:
    """Put pairs behind a filter that leaves ``fraction`` bits, and shifts to make room.

    Returns also the bits of fraction in the end, and the average loss of the shifts.
    """
    steps: list[Step] = [fir]
    lost = 0.0
    todo = sorted(pairs)
    while todo:
        if fraction == ROOM:
            keep = max(_FRACTION, ROOM - len(todo))
            lost += (2.0**-keep - 2.0**-fraction) / 2
            steps.append(Shift(fraction - keep))
            fraction = keep
        # The widest first, so that the others have less to do.
        steps.append(Pair(todo.pop()))
        fraction += 1
    return tuple(steps), fraction, lost
