"""Designs of Gaussians in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from imgpipe.kernels import gaussian_design
from imgpipe.kernels.gaussian import gaussian_radius
from imgpipe.kernels.gaussian_design import Lines, Pyramid, designed, spectrum
from imgpipe.kernels.lines import whole_weights
from imgpipe.kernels.pyramid import reach

SIGMAS = [0.3, 0.7, 1.0, 1.5, 1.99, 2.0, 2.06, 2.1, 2.39, 2.4, 3.7, 8.0, 8.1, 16.0, 100.0, 500.0]


@pytest.mark.parametrize("truncate", [1.0, 2.5, 3.5, 3.7, 4.0, 10.0])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_needs_no_more_than_the_halo(sigma: float, truncate: float) -> None:
    radius = gaussian_radius(sigma, truncate)
    if radius == 0:
        return
    design = designed(sigma, radius)
    if isinstance(design, Pyramid):
        assert reach(design.levels, design.taps) <= radius
    elif isinstance(design, Lines):
        assert design.taps // 2 <= radius
    else:
        assert sigma >= 2
        assert radius < 3.5 * sigma


@pytest.mark.parametrize("sigma", SIGMAS)
def test_has_weights_which_add_up_to_256(sigma: float) -> None:
    design = designed(sigma, gaussian_radius(sigma, 4))
    assert design is not None
    weights = whole_weights(design.taps, design.spread)
    assert min(weights) >= 0
    assert 2 * sum(weights) - weights[0] == 256


@pytest.mark.parametrize("sigma", [2.0, 3.7, 8.0, 8.1, 16.0])
def test_a_pyramid_blurs_by_its_sigma(sigma: float) -> None:
    design = designed(sigma, gaussian_radius(sigma, 4))
    assert isinstance(design, Pyramid)
    weights = np.array(whole_weights(design.taps, design.spread)) / 256
    variance = 2 * float(weights @ np.arange(len(weights)) ** 2)
    for _ in range(design.levels):
        variance = 4 * variance + 2
    assert np.sqrt(variance) == pytest.approx(sigma, rel=0.02)


def test_narrow_gaussians_are_lines_and_wide_ones_take_more_levels() -> None:
    def levels(sigma: float) -> int:
        design = designed(sigma, gaussian_radius(sigma, 4))
        return design.levels if isinstance(design, Pyramid) else 0

    assert [levels(sigma) for sigma in (1.99, 2.0, 8.0, 8.1, 16.1, 32.5)] == [0, 1, 1, 2, 3, 4]


def test_stored_designs_equal_those_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(gaussian_design._KNOWN)
    monkeypatch.setattr(gaussian_design, "_KNOWN", {})
    for (sigma, radius), design in known.items():
        assert designed.__wrapped__(sigma, radius) == design


def test_spectrum_is_that_of_scipy() -> None:
    impulse = np.zeros(256)
    impulse[0] = 1
    line = ndimage.gaussian_filter1d(impulse, 3, mode="wrap", truncate=4)
    np.testing.assert_allclose(spectrum(3, 12), np.fft.rfft(line).real, atol=1e-12)
