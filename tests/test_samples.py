"""The sample pictures are what they claim to be, can be made again, and go through a run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.filters import blur

SAMPLES = Path(__file__).parents[1] / "sample_images"
PICTURES = {
    "landscape": ((480, 720, 3), np.uint8),
    "emblem": ((512, 512, 4), np.uint8),
    "relief": ((480, 480, 1), np.uint16),
}


@pytest.fixture(scope="module")
def make_samples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


@pytest.mark.parametrize("name", PICTURES)
def test_a_sample_is_small_and_of_the_kind_it_stands_for(name: str) -> None:
    path = SAMPLES / f"{name}.png"
    shape, dtype = PICTURES[name]
    info = imgpipe.info(path)
    assert path.stat().st_size <= 400_000
    assert (info.shape, info.dtype) == (shape, dtype)
    pixels = pixels_of(path)
    assert pixels.dtype == dtype
    assert pixels.min() < 0.05 * np.iinfo(dtype).max
    assert pixels.max() > 0.98 * np.iinfo(dtype).max


def test_the_emblem_has_soft_edges_and_a_clear_ground() -> None:
    alpha = pixels_of(SAMPLES / "emblem.png")[..., 3]
    assert imgpipe.info(SAMPLES / "emblem.png").alpha == 3
    assert alpha[0].max() == 0
    assert alpha.max() == 255
    assert len(np.unique(alpha)) > 200


def test_the_relief_needs_its_16_bits() -> None:
    pixels = pixels_of(SAMPLES / "relief.png")
    assert len(np.unique(pixels)) > 20_000
    assert len(np.unique(pixels & 255)) == 256


@pytest.mark.parametrize("name", PICTURES)
def test_a_sample_can_be_made_again(name: str, make_samples: ModuleType) -> None:
    made = getattr(make_samples, name)().astype(np.int64)
    kept = pixels_of(SAMPLES / f"{name}.png")
    assert made.shape == kept.shape
    # Sines and powers differ in their last bit from processor to processor, and where a crest
    # hides what is behind, that may show in a pixel.
    assert np.mean(np.abs(made - kept) > 1) < 1e-3


def test_before_and_after_share_their_left_half(make_samples: ModuleType) -> None:
    kept = pixels_of(SAMPLES / "before_after.png")
    landscape = pixels_of(SAMPLES / "landscape.png")
    half = kept.shape[1] // 2
    assert (kept[:, : half - 1] == landscape[:, : half - 1]).all()
    assert (kept[:, half - 1 : half + 1] == 255).all()
    made = make_samples.before_after(SAMPLES / "landscape.png").astype(np.int64)
    assert np.abs(made - kept).max() <= 2  # a blur is as exact as its kernel


@pytest.mark.parametrize("name", PICTURES)
def test_a_sample_goes_through_a_run(name: str, tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    source, output = SAMPLES / f"{name}.png", tmp_path / "out.png"
    imgpipe.run(source, blur(sigma=2), output)
    alpha = imgpipe.info(source).alpha
    expected = blur(sigma=2)(pixels_of(source), alpha=alpha)
    np.testing.assert_array_equal(imagecodecs.png_decode(output.read_bytes()), expected)
    np.testing.assert_array_equal(pixels_of(output), expected)
