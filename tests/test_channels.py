"""Channels: a function that mixes them is noted by the check, with a remedy that was tried."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters

import imgpipe
from imgpipe.checking.channels import note_on_channels
from imgpipe.checking.pictures import Picture, kinds
from imgpipe.cli import execute

Pixels = np.ndarray[Any, Any]

PICTURES = [sample for kind in (kinds()[0], kinds()[4]) for sample in kind.samples()]
"""Two pictures of 8-bit RGB, and of float RGB."""


def note(function: Callable[..., Any], pictures: list[Picture] = PICTURES, **params: Any) -> str:
    """Return the note on a bare function, with a halo of 8."""
    declared = {key: params.pop(key) for key in ("dtype", "channels", "colour") if key in params}
    one = imgpipe.filter(function, halo=8, **declared)(**params)
    return note_on_channels(one, pictures, 60)


EACH = "each channel of the result depends on other channels: if this is not meant, "


@pytest.mark.parametrize(
    ("function", "params", "remedy"),
    [
        (scipy.ndimage.gaussian_filter, {"sigma": 2}, "--sigma 2,2,0 (sigma=(2, 2, 0) in Python)"),
        (scipy.ndimage.gaussian_filter, {"sigma": (2, 1, 1)}, "--sigma 2,1,0 "),
        (scipy.ndimage.uniform_filter, {}, "--size 3,3,1 (size=(3, 3, 1) in Python)"),
        (scipy.ndimage.median_filter, {"size": 3}, "--size 3,3,1 "),
        (scipy.ndimage.median_filter, {"size": [3, 5, 3]}, "--size 3,5,1 (size=(3, 5, 1) in"),
        (scipy.ndimage.gaussian_filter1d, {"sigma": 2}, "--axis 0 (axis=0 in Python)"),
        (
            skimage.filters.gaussian,
            {"sigma": 1.5, "dtype": "float32"},
            "--channel-axis -1 (channel_axis=-1 in Python)",
        ),
    ],
)
def test_a_parameter_that_keeps_channels_apart_is_named(
    function: Callable[..., Any], params: dict[str, Any], remedy: str
) -> None:
    assert note(function, **params).startswith(f"{EACH}give {remedy}")


def averaged(chunk: Pixels, *, channel_axis: int | None = None) -> Pixels:
    """Know the last axis by its number only, as `skimage.filters.unsharp_mask` does."""
    return scipy.ndimage.uniform_filter(chunk, (3, 3, 1 if channel_axis == 2 else 3))


def squared(chunk: Pixels, *, sigma=2) -> Pixels:  # type: ignore[no-untyped-def]
    """Do something else on axes of sigma 0."""
    made = scipy.ndimage.gaussian_filter(chunk, sigma)
    return made if np.ndim(sigma) == 0 else 255 - made


def declared(chunk: Pixels, *, sigma: float = 2.0) -> Pixels:
    return scipy.ndimage.gaussian_filter(chunk, sigma)


def gray(chunk: Pixels) -> Pixels:
    return chunk.mean(axis=2, keepdims=True).repeat(chunk.shape[2], axis=2)


def less_the_mean(chunk: Pixels) -> Pixels:
    return chunk / 2 + chunk.mean() / 4


def of_colour(chunk: Pixels) -> Pixels:
    if chunk.shape[2] != 3:
        raise ValueError("only RGB")
    return scipy.ndimage.uniform_filter(chunk, 3)


@pytest.mark.parametrize("function", [squared, declared, gray, less_the_mean, of_colour])
def test_without_such_a_parameter_the_advice_is_general(function: Callable[..., Any]) -> None:
    assert note(function) == f"{EACH}call the function for each channel alone"


def test_a_remedy_that_does_not_help_is_not_named() -> None:
    found = note(scipy.ndimage.gaussian_gradient_magnitude, sigma=1.5)
    assert found.startswith(EACH)
    assert "--sigma" not in found  # it would add the square of the blurred image
    assert note(averaged) == f"{EACH}give --channel-axis 2 (channel_axis=2 in Python)"


def test_channels_that_depend_on_others_are_named_if_not_all_do() -> None:
    def swapped(chunk: Pixels) -> Pixels:
        return chunk[..., [1, 0, *range(2, chunk.shape[2])]]

    def tinted(chunk: Pixels) -> Pixels:
        made = chunk // 2
        made[..., 2] += chunk[..., 0] // 2
        return made

    assert note(swapped).startswith("channels 0 and 1 of the result depend on other channels: ")
    assert note(tinted).startswith("channel 2 of the result depends on other channels: ")


def blurred(chunk: Pixels) -> Pixels:
    return scipy.ndimage.gaussian_filter(chunk, (2, 2, 0))


def first_two(chunk: Pixels) -> Pixels:
    return chunk[..., :2]


def unlike_alone(chunk: Pixels) -> Pixels:
    """Refuse single channels, and treat each of several alone."""
    if chunk.shape[2] == 1:
        raise ValueError("not for gray")
    return 255 - chunk


def transformed(chunk: Pixels) -> Pixels:
    """Mix the last bits of channels, and no more."""
    return np.fft.ifftn(np.fft.fftn(chunk)).real


@pytest.mark.parametrize(
    ("function", "declarations"),
    [
        (np.invert, {}),
        (blurred, {}),
        (unlike_alone, {}),
        (transformed, {}),
        (first_two, {"channels": lambda channels: min(2, channels)}),
        (lambda chunk: chunk.mean(axis=2), {"channels": 1}),
        (gray, {"colour": "rgb"}),
        (gray, {"channels": lambda channels: channels}),
    ],
)
def test_there_is_no_note_without_mixing_or_if_it_is_declared(
    function: Callable[..., Any], declarations: dict[str, Any]
) -> None:
    pictures = PICTURES if function is not np.invert else PICTURES[:2]
    assert note(function, pictures, **declarations) == ""


def test_there_is_none_if_results_change_between_calls() -> None:
    calls = itertools.count()
    assert note(lambda chunk: chunk // (1 + next(calls) // 3)) == ""


def test_there_is_none_on_gray_images_and_on_alpha() -> None:
    others = [sample for kind in (kinds()[1], kinds()[5]) for sample in kind.samples()]
    assert note(scipy.ndimage.uniform_filter, others) == ""


def test_there_is_none_on_filters_of_imgpipe() -> None:
    assert note_on_channels(imgpipe.filters.sepia(), PICTURES, 60) == ""


class TestCheck:
    def test_has_it_and_is_true(self) -> None:
        found = imgpipe.check(imgpipe.filter(halo=0)(gray))
        assert found, str(found)
        assert found.notes == (f"{EACH}call the function for each channel alone",)
        assert f"\n  note: {EACH}" in str(found)

    def test_has_it_beside_a_wrong_halo(self) -> None:
        averaging = imgpipe.filter(halo=0)(scipy.ndimage.minimum_filter)(size=3)
        found = imgpipe.check(averaging)
        assert not found
        assert found.notes == (f"{EACH}give --size 3,3,1 (size=(3, 3, 1) in Python)",)

    def test_has_none_beside_a_fault_that_no_halo_mends(self) -> None:
        assert note(less_the_mean)
        found = imgpipe.check(imgpipe.filter(halo=0)(less_the_mean))
        assert not found
        assert not found.notes

    @pytest.mark.parametrize(
        ("name", "code", "noted"), [("mixing", 0, True), ("of_three", 3, True), ("apart", 0, False)]
    )
    def test_keeps_its_exit_codes(
        self, name: str, code: int, noted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "own.py").write_text(
            "def mixing(chunk):\n    return chunk[..., ::-1]\n"
            "def of_three(chunk):\n    red, green, blue = (chunk[..., c] for c in range(3))\n"
            "    assert chunk.shape[2] == 3\n    return chunk[..., ::-1]\n"
            "def apart(chunk):\n    return chunk // 2\n"
        )
        assert execute(["check", f"{tmp_path / 'own.py'}:{name}"]) == code
        said = " ".join(capsys.readouterr().out.split())
        assert ("note: channels 0 and 2 of the result depend on other channels" in said) is noted
