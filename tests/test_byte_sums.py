"""Byte sums: every sum is exact, so that no order of adding shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from imgpipe.kernels import byte_sums
from imgpipe.kernels.axes import Axis
from imgpipe.kernels.resampling import resampled


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("before", "after"), [(97, 61), (97, 44), (97, 11), (97, 2), (41, 97)])
def test_the_largest_sums_are_exact(
    before: int, after: int, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Black where weights are negative, white where they are positive, and the reverse."""
    axis = Axis(before, after, method)
    for place in {0, after // 2, after - 1}:
        first, last = axis.footprint(np.array([place]))
        weights = np.zeros(before)
        weights[first[0] : last[0]] = axis.weights(place, place + 1)[0, : last[0] - first[0]]
        for white in (np.outer(weights, weights) > 0, np.outer(weights, weights) < 0):
            chunk = (white * 255).astype(np.uint8)[..., None]
            whole = axis, 0, after
            made = resampled(chunk, whole, whole)
            with monkeypatch.context() as exact:
                exact.setattr(byte_sums.np, "float32", np.float64)
                byte_sums._groups.cache_clear()
                wanted = resampled(chunk, whole, whole)
            byte_sums._groups.cache_clear()
            assert_array_equal(made, wanted)
