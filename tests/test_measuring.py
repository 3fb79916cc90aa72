"""Reductions and iteration: an image seen chunk by chunk, and no image written."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.errors import FilterError, InputError, UsageError
from imgpipe.events import Finished, Started, TaskDone
from imgpipe.filters import blur, grayscale
from tests.conftest import noise

Pixels = np.ndarray[Any, Any]


@pytest.fixture(params=["in.png", "interlaced.png", "in.npy"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    pixels = noise((211, 173, 3), "uint8")
    if path.suffix == ".npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


def histogram(chunk: Pixels) -> Pixels:
    return np.bincount(chunk.ravel(), minlength=256)


def add(one: Any, other: Any) -> Any:
    return one + other


class TestMeasure:
    @pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
    def test_a_histogram(self, image: Path, executor: Any) -> None:
        found = imgpipe.measure(image, histogram, add, executor=executor, chunk=50)
        np.testing.assert_array_equal(found, histogram(imgpipe.read(image)))

    def test_lambdas_and_closures_travel_to_workers(self, image: Path) -> None:
        least = 200
        found = imgpipe.measure(
            image, lambda chunk: int((chunk > least).sum()), lambda a, b: a + b, workers=2
        )
        assert found == (imgpipe.read(image) > least).sum()

    def test_results_are_merged_in_the_order_of_the_image(self, tmp_path: Path) -> None:
        np.save(tmp_path / "rows.npy", np.arange(100, dtype=np.uint8)[:, None].repeat(9, 1))
        found = imgpipe.measure(
            tmp_path / "rows.npy", lambda c: c[:, 0, 0].tolist(), add, workers=2, chunk=(7, 9)
        )
        assert found == list(range(100))

    def test_of_what_filters_make(self, image: Path, pool: Executor) -> None:
        chain = blur(sigma=1) | grayscale()
        found = imgpipe.measure(image, histogram, add, filter=chain, chunk=31, executor=pool)
        np.testing.assert_array_equal(found, histogram(chain(imgpipe.read(image))))

    def test_of_an_array_alpha_included(self) -> None:
        array = noise((30, 40, 4), "uint16")
        assert imgpipe.measure(array, lambda c: int(c.max()), max) == array.max()
        assert imgpipe.measure(array[..., 0], lambda c: c.shape[2], max) == 1

    def test_writes_nothing_and_tells_what_happens(self, image: Path, pool: Executor) -> None:
        events: list[Any] = []
        before = os.listdir(image.parent)
        imgpipe.measure(image, histogram, add, on_event=events.append, executor=pool)
        assert os.listdir(image.parent) == before
        assert isinstance(events[0], Started)
        assert events[0].tasks == sum(isinstance(e, TaskDone) for e in events)
        assert isinstance(events[-1], Finished)

    def test_a_function_that_fails_is_named_with_file_and_chunk(
        self, image: Path, pool: Executor
    ) -> None:
        def broken(chunk: Pixels) -> int:
            raise KeyError("nobody is home")

        with pytest.raises(FilterError, match="nobody is home") as caught:
            imgpipe.measure(image, broken, add, executor=pool)
        assert image.name in str(caught.value)
        assert "chunk at rows " in str(caught.value)
        assert "imgpipe/engine/worker.py" not in str(caught.value)

    def test_a_function_that_cannot_travel_is_refused_before_anything_starts(
        self, image: Path
    ) -> None:
        lock, events = threading.Lock(), []
        with pytest.raises(UsageError, match="cannot be sent to the workers"):
            imgpipe.measure(
                image, lambda _: lock.locked(), max, executor="processes", on_event=events.append
            )
        assert not events

    def test_a_merge_that_fails_is_named(self, tmp_path: Path) -> None:
        np.save(tmp_path / "in.npy", np.zeros((3000, 2000, 3), np.uint8))
        with pytest.raises(FilterError, match="merge"):
            imgpipe.measure(tmp_path / "in.npy", lambda _: "a", lambda a, b: a - b)

    def test_the_input_may_not_be_changed(self, image: Path, pool: Executor) -> None:
        def changing(chunk: Pixels) -> int:
            chunk[:] = 0
            return 0

        with pytest.raises(FilterError, match="read-only"):
            imgpipe.measure(image, changing, add, executor=pool)


class TestIterChunks:
    @pytest.mark.parametrize("size", [50, (30, 400), (400, 30), 1000])
    @pytest.mark.parametrize("border", BORDERS)
    def test_gives_every_pixel_once_with_its_halo(
        self, image: Path, size: Any, border: Any
    ) -> None:
        pixels = imgpipe.read(image)
        padded = np.pad(pixels, ((3, 3), (5, 5), (0, 0)), border)
        seen = np.zeros(pixels.shape[:2], int)
        for box, chunk in imgpipe.iter_chunks(image, size, halo=(3, 5), border=border):
            seen[box.slices] += 1
            expected = padded[box.y0 : box.y1 + 6, box.x0 : box.x1 + 10]
            np.testing.assert_array_equal(chunk, expected)
        assert (seen == 1).all()

    def test_chunks_are_the_callers_own(self, image: Path) -> None:
        kept = [chunk for _, chunk in imgpipe.iter_chunks(image, 64)]
        for chunk in kept:
            chunk[:] = 0
        assert imgpipe.read(image).any()

    def test_may_be_left_early(self, image: Path) -> None:
        chunks = imgpipe.iter_chunks(image, 20)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]

    def test_wrong_arguments_are_refused_at_once(self, image: Path) -> None:
        for wrong in ({"size": 0}, {"halo": -1}, {"border": "nearest"}, {"size": 1.5}):
            with pytest.raises(UsageError, match=next(iter(wrong))):
                imgpipe.iter_chunks(image, **wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError):
            imgpipe.iter_chunks("missing.png")
