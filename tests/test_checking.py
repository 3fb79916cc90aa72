"""Check: what a filter would do wrong in pieces is found, and what to declare is said."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy import ndimage, signal

import imgpipe
from imgpipe.errors import UsageError
from imgpipe.registry import FILTERS

Pixels = np.ndarray[Any, Any]


def shifted(chunk: Pixels) -> Pixels:
    """Look two rows up and three columns to the left."""
    return chunk + 0.5 * np.roll(chunk, (2, 3), (0, 1))


def recursive(chunk: Pixels) -> Pixels:
    return signal.lfilter([0.05], [1, -0.95], chunk.astype(float), axis=1)


def fading(chunk: Pixels) -> Pixels:
    return signal.lfilter([0.5], [1, -0.5], chunk.astype(float), axis=0)


def less_the_mean(chunk: Pixels) -> Pixels:
    return chunk - chunk.mean()


def patterned(chunk: Pixels) -> Pixels:
    return chunk // 2 + (np.arange(chunk.shape[1]) % 256 // 2)[None, :, None]


def grainy(chunk: Pixels) -> Pixels:
    return chunk + np.random.default_rng().normal(0, 3, chunk.shape)


def grainy_with_a_seed(chunk: Pixels) -> Pixels:
    return chunk + np.random.default_rng(1).normal(0, 3, chunk.shape)


calls = []


def counting(chunk: Pixels) -> Pixels:
    calls.append(1)
    return chunk // 2 + len(calls) % 100


def in_place(chunk: Pixels) -> Pixels:
    chunk += 1
    return chunk


def too_small(chunk: Pixels) -> Pixels:
    return chunk[:-3]


@pytest.mark.parametrize("halo", [(2, 3), 3, 9])
def test_a_good_filter_passes_and_nothing_is_claimed(halo: Any) -> None:
    found = imgpipe.check(imgpipe.filter(halo=halo)(shifted))
    assert found
    assert found.ok
    assert found.smallest_halo == 3
    assert str(found).startswith("shifted: no difference was found in 6 pictures, each whole")


def test_a_halo_that_is_larger_than_needed_is_mentioned() -> None:
    assert "nor with a halo of 3" in str(imgpipe.check(imgpipe.filter(halo=9)(shifted)))


@pytest.mark.parametrize("halo", [0, 2, (1, 3), (2, 2)])
def test_a_halo_too_small_by_one_is_found_and_the_right_one_said(halo: Any) -> None:
    found = imgpipe.check(imgpipe.filter(halo=halo)(shifted))
    assert not found
    assert found.difference > 0
    assert found.smallest_halo == 3
    assert "declare halo=3" in str(found)
    assert found.seams is not None
    assert 0 < found.seams.mean() < 0.9


def test_the_halo_of_a_bare_function_is_found() -> None:
    found = imgpipe.check(shifted)
    assert not found
    assert found.smallest_halo == 3
    assert "declare halo=3" in str(found)


def test_the_halo_of_functions_of_other_libraries_is_found() -> None:
    def median(chunk: Pixels) -> Pixels:
        return ndimage.median_filter(chunk, (5, 5, 1))

    assert imgpipe.check(median).smallest_halo == 2


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (recursive, "as in recursive filters"),
        (fading, "declare halo=|as in recursive filters"),
        (less_the_mean, "statistics of its chunk .* declare measure= and merge="),
        (patterned, "depends on where its chunk begins .* keyword place"),
        (grainy_with_a_seed, "depends on where its chunk begins"),
        (grainy, "something else when called again"),
        (counting, "something else when called again"),
        (in_place, "changes its input; work on a copy"),
        (too_small, "returned 210 x 309 pixels"),
    ],
)
def test_what_no_halo_mends_is_told_apart(function: Any, says: str) -> None:
    found = imgpipe.check(imgpipe.filter(halo=2 if function is not too_small else 1)(function))
    assert not found
    assert re.search(says, str(found))


def test_a_measurement_that_depends_on_the_cut_is_found() -> None:
    def measured_mean(chunk: Pixels) -> float:
        return float(chunk.mean())

    @imgpipe.filter(halo=0, measure=measured_mean, merge=lambda a, b: (a + b) / 2)
    def centred(chunk: Pixels, *, measured: float) -> Pixels:
        return chunk - measured

    assert "differs when the picture is cut in two" in str(imgpipe.check(centred))


def test_a_picture_of_the_caller_is_tried_too() -> None:
    @imgpipe.filter(halo=0)
    def bright_rows(chunk: Pixels) -> Pixels:
        """Go wrong only where a value is above 255."""
        return np.where(chunk.max() > 255, chunk - chunk[:1], chunk)

    picture = np.random.default_rng(0).integers(0, 65535, (700, 600, 3), np.uint16)
    assert imgpipe.check(bright_rows)
    found = imgpipe.check(bright_rows, picture)
    assert not found
    assert "your picture" in found.where


def test_what_is_no_single_filter_is_refused() -> None:
    with pytest.raises(UsageError, match="one at a time"):
        imgpipe.check(imgpipe.filters.blur() | imgpipe.filters.invert())
    with pytest.raises(UsageError, match="a function of an array"):
        imgpipe.check("blur")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(set(FILTERS) & {"blur", "box", "invert", "autocontrast"}))
def test_filters_of_our_own_pass(name: str) -> None:
    assert imgpipe.check(FILTERS.load(name))
