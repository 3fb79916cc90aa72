"""Cascades that stand for long symmetric filters."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from imgpipe.kernels.cascade import Cascade, least_squares
from imgpipe.kernels.gaussian import gaussian_line, gaussian_samples

ERRORS = {"float32": 1.5e-7, "float64": 2.1e-11}
SHAPES = [(s, t) for s in (0.5, 2.0, 5.0, 9.3, 10.0, 20.0, 57.0) for t in (1.0, 2.0, 4.0, 8.0)]


def line(sigma: float, truncate: float, dtype: str, *, second: bool = False) -> Cascade:
    return gaussian_line(sigma, int(truncate * sigma + 0.5), np.dtype(dtype), second=second)


@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("second", [False, True])
def test_the_weights_of_all_levels_together_are_the_filter(dtype: str, second: bool) -> None:
    for sigma, truncate in SHAPES:
        one = line(sigma, truncate, dtype, second=second)
        half = gaussian_samples(sigma, one.reach, second=second)
        impulse = np.zeros(4 * one.reach + 1, dtype)
        impulse[2 * one.reach] = 1
        made = one.run(impulse, 1)[: 2 * one.reach + 1]
        whole = np.concatenate([half[:0:-1], half])
        off = np.abs(made - whole).sum() / max(1, np.abs(whole).sum())
        assert off <= ERRORS[dtype], (sigma, truncate)


@pytest.mark.parametrize("dtype", ERRORS)
def test_no_weight_is_negative_where_none_of_the_filter_is(dtype: str) -> None:
    for sigma, truncate in SHAPES:
        weights = [w for level in line(sigma, truncate, dtype).levels for _, w in level.taps]
        assert min(weights) >= 0


def test_a_wide_one_costs_a_fraction_of_the_plain_sum() -> None:
    for dtype, most in (("float32", 140), ("float64", 200)):
        assert line(100, 4, dtype).additions <= most  # the plain sum takes 1203


@pytest.mark.parametrize("unit", [1, 3])
def test_neighbours_may_lie_apart(unit: int) -> None:
    one, rng = line(10, 3, "float64"), np.random.default_rng(0)
    x = rng.random((200, unit))
    made = one.run(x.reshape(-1).copy(), unit)[: (200 - one.support) * unit].copy()
    for column in range(unit):
        alone = one.run(x[:, column].copy(), 1)[: 200 - one.support]
        np.testing.assert_array_equal(made[column::unit], alone)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_every_process_finds_the_same_weights(threads: str) -> None:
    code = (
        "import os; os.environ['OPENBLAS_NUM_THREADS'] = os.environ['OMP_NUM_THREADS'] = "
        f"{threads!r}; import numpy as np; from imgpipe.kernels.gaussian import gaussian_line; "
        "print(gaussian_line(33.0, 132, np.dtype('float64')).levels)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(line(33, 4, "float64").levels)


class TestLeastSquares:
    def test_is_that_of_numpy(self) -> None:
        rng = np.random.default_rng(4)
        rows, wanted = rng.random((7, 30)), rng.random(30)
        exact = np.linalg.lstsq(rows.T, wanted, rcond=None)[0]
        np.testing.assert_allclose(least_squares(rows, wanted), exact, rtol=1e-9)

    def test_a_row_that_others_make_up_gets_no_weight(self) -> None:
        rows = np.array([[1.0, 0, 0, 1], [0, 1, 0, 2], [1, 1, 0, 3]])
        np.testing.assert_allclose(least_squares(rows, rows[2]), [1, 1, 0], atol=1e-12)
