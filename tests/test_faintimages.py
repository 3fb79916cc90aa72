"""Floats from 0 to 1 that become integers are told once, with the remedy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.filters import gaussian, sobel

import imgpipe
from imgpipe.cli import execute
from imgpipe.values import full_scale

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)
SIGNED = PHOTO.astype(np.int16) - 100


Warned = Callable[[], list[str]]


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    """Return a function that returns the warnings up to now."""
    caplog.set_level(logging.WARNING, "imgpipe")
    return lambda: [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


def ratio(chunk: Any) -> Any:
    return chunk / full_scale(chunk.dtype)


def difference(chunk: Any) -> Any:
    return (chunk / 255.0)[1:-1, 1:-1] - (chunk / 255.0)[2:, 1:-1]


def nothing(chunk: Any) -> Any:
    return chunk * 0.0


def bright_at_the_end(chunk: Any, *, place: Any) -> Any:
    """Return 0 to 1, but for the very last pixel of the image."""
    made = ratio(chunk)
    if place.box.y1 == place.height and place.box.x1 == place.width:
        made[-1, -1] = 200
    return made


def whole_numbers(chunk: Any) -> Any:
    return chunk // 255


def mask(chunk: Any) -> Any:
    return chunk > 100


class TestAWarning:
    def test_is_given_once_by_every_executor(self, executor: Executor, warned: Warned) -> None:
        imgpipe.apply(PHOTO, sobel, halo=1, executor=executor, chunk=16)
        (message,) = warned()
        assert message.startswith("array: all results of sobel are between 0 and 1")
        assert "--dtype float32" in message
        assert 'dtype="float32"' in message

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32"])
    def test_is_given_for_all_integers(self, dtype: str, warned: Warned) -> None:
        imgpipe.apply(PHOTO.astype(dtype), ratio, halo=0, executor="serial")
        assert len(warned()) == 1

    def test_names_every_filter_of_a_chain(self, warned: Warned) -> None:
        first = imgpipe.filter(ratio, halo=0, dtype="float32")()
        chain = first | imgpipe.filter(gaussian, halo=8)() | imgpipe.filters.invert()
        imgpipe.apply(PHOTO, chain, executor="serial", chunk=16)
        assert ["gaussian" in message for message in warned()] == [True]

    def test_is_given_by_every_way_in(self, tmp_path: Path, warned: Warned) -> None:
        imgpipe.write(PHOTO, tmp_path / "in.png")
        ends = tmp_path / "in.png", "skimage.filters:sobel:halo=1", tmp_path / "out.png"
        imgpipe.run(*ends, executor="serial")
        imgpipe.submit(*ends, executor="serial").result()
        imgpipe.measure(PHOTO, np.max, max, filter=sobel, halo=1, executor="serial")
        imgpipe.filter(sobel, halo=1)()(PHOTO)
        assert ["sobel" in message for message in warned()] == [True] * 4

    def test_is_a_line_of_the_command(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        np.save(tmp_path / "in.npy", PHOTO)
        ends = [str(tmp_path / "in.npy"), "-o", str(tmp_path / "out.npy"), "-j", "2"]
        assert execute(["run", "skimage.filters:sobel", *ends, "--halo", "1"]) == 0
        assert capsys.readouterr().err.count("warning: ") == 1
        assert np.load(tmp_path / "out.npy").max() <= 1
        words = ["run", "skimage.filters:sobel", *ends, "--halo", "1", "--dtype", "float32"]
        assert execute(words) == 0
        assert "warning" not in capsys.readouterr().err
        assert np.load(tmp_path / "out.npy").max() > 100

    def test_is_given_where_values_are_below_0_too(self, warned: Warned) -> None:
        imgpipe.apply(PHOTO, difference, halo=1, executor="serial")
        assert "are between -1 and 1" in warned()[0]


@pytest.mark.parametrize(
    ("image", "function", "declared"),
    [
        (PHOTO, ratio, {"dtype": "float32"}),
        (PHOTO, ratio, {"output_dtype": "float32"}),
        (PHOTO.astype("float32") / 255, np.sqrt, {}),
        (PHOTO, nothing, {}),
        (np.zeros_like(PHOTO), ratio, {}),
        (PHOTO // 255, np.sqrt, {}),
        (PHOTO, bright_at_the_end, {}),
        (PHOTO, whole_numbers, {}),
        (PHOTO, mask, {}),
        (PHOTO, lambda chunk: chunk / 200, {}),
        (SIGNED, lambda chunk: chunk / 50.0, {}),
    ],
    ids=[
        "works in floats", "makes floats", "of floats", "black is meant", "a black image",
        "a dark image", "one bright pixel", "whole numbers", "a mask", "a little more than 1",
        "far below 0",
    ],
)  # fmt: skip
def test_no_warning_is_given_where_nothing_is_wrong(
    image: Any, function: Any, declared: dict[str, Any], warned: Warned
) -> None:
    one = imgpipe.filter(function, halo=0, **declared)()
    imgpipe.apply(image, one, executor="threads", workers=2, chunk=16)
    assert not warned()


def test_a_filter_within_a_function_is_left_to_that(warned: Warned) -> None:
    inner = imgpipe.filter(ratio, halo=0)()
    imgpipe.apply(PHOTO, lambda c: inner(c) + c // 2, halo=0, executor="serial", chunk=16)
    assert not warned()


def test_our_own_filters_are_not_watched(warned: Warned) -> None:
    imgpipe.apply(PHOTO, imgpipe.filters.posterize(bits=1), executor="serial")
    assert not warned()
