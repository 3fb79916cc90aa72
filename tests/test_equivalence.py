"""Tiled equals whole, bit for bit: the contract on which everything else rests."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import reduce
from itertools import cycle
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Chain
from imgpipe.chains.decorator import filter
from imgpipe.chains.stages import compute, reads, resolve
from imgpipe.errors import UsageError
from imgpipe.filters import (
    autocontrast,
    bilateral,
    blur,
    box,
    crop,
    flip,
    grayscale,
    invert,
    laplace,
    median,
    resize,
    sobel,
)
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo
from tests.conftest import PicklingExecutor, noise

CHUNKS = [1, 7, 64, 1000]


@filter(halo=(2, 1), alpha="filter")
def asymmetric(chunk, *, weight: float = 0.25):
    """Looks two rows up and one column to the left; a user's filter."""
    wide = chunk.astype(np.float64)
    out = wide.copy()
    out[2:, 1:] += weight * wide[:-2, :-1]
    return np.clip(out, 0, np.iinfo(chunk.dtype).max if chunk.dtype.kind == "u" else np.inf)


@filter(halo=0)
def vignette(chunk, *, place):
    """A kernel that depends on its place, and declares that."""
    y = np.arange(place.box.y0, place.box.y1)[:, None, None] / place.height
    x = np.arange(place.box.x0, place.box.x1)[None, :, None] / place.width
    return chunk * (1 - 0.5 * ((y - 0.5) ** 2 + (x - 0.5) ** 2))


@filter(halo=1, align=lambda rows: (rows, 6))
def mosaic(chunk, *, place, rows: int = 4):
    """Sets every block of some rows and six columns to the mean of its first pixels."""
    assert place.box.y0 % rows == place.box.x0 % 6 == 0
    assert place.box.y1 % rows == 0 or place.box.y1 == place.height
    assert place.box.x1 % 6 == 0 or place.box.x1 == place.width
    inner = chunk[1:-1, 1:-1]
    corners = (inner[::rows, ::6].astype(float) + chunk[:-2:rows, :-2:6]) / 2
    return corners.repeat(rows, axis=0).repeat(6, axis=1)[: inner.shape[0], : inner.shape[1]]


CHAINS: dict[str, Chain] = {
    "blur": blur(sigma=1.3),
    "large blur": blur(sigma=6),
    "box": box(radius=3),
    "invert": invert(),
    "two halos": blur(sigma=0.8) | box(radius=2),
    "measured": blur(sigma=1) | autocontrast(cutoff=1),
    "user's own": asymmetric(weight=0.5) | vignette(),
    "geometry": flip(direction="vertical") | blur(sigma=1),
    "blocks": mosaic() | blur(sigma=1) | mosaic(rows=5, border="wrap"),
    "cropped": box(radius=4) | crop(x=5, y=3, width=17, height=11) | invert(),
}


def through_files(
    array: np.ndarray, chain: Chain, folder: Path, executor: Executor, chunk: int
) -> np.ndarray:
    """Run `chain` from a file to a file."""
    np.save(folder / "in.npy", array)
    imgpipe.run(folder / "in.npy", chain, folder / "out.npy", executor=executor, chunk=chunk)
    return np.load(folder / "out.npy").reshape(-1)


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", CHAINS)
def test_every_chain_in_every_chunk(name: str, chunk: int) -> None:
    array = noise((29, 37, 3), "uint8")
    made = imgpipe.apply(array, CHAINS[name], executor="serial", chunk=chunk)
    np.testing.assert_array_equal(made, CHAINS[name](array))


@pytest.mark.parametrize(("name", "chunk"), list(zip(CHAINS, cycle(CHUNKS))))
def test_every_chain_on_every_executor(
    name: str, chunk: int, executor: Executor, tmp_path: Path
) -> None:
    array = noise((29, 37, 3), "uint8")
    expected = CHAINS[name](array)
    made = through_files(array, CHAINS[name], tmp_path, executor, chunk)
    np.testing.assert_array_equal(made, expected.reshape(-1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("make", [blur, box])
def test_every_border_and_type(make: object, border: str, dtype: str, tmp_path: Path) -> None:
    chain = make(border=border) | make(border=border)
    array = noise((53, 41, 2), dtype)
    expected = chain(array)
    for chunk in (7, 16, 1000):
        made = imgpipe.apply(array, chain, executor="serial", chunk=chunk)
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_of_any_sign_becomes_the_same_bits(dtype: str) -> None:
    """The sign of a sum of two NaN depends on their places in memory; inf - inf makes -NaN."""
    kinds = np.array([0.5, np.nan, -np.nan, np.inf, -np.inf], dtype)
    array = np.random.default_rng(2).choice(kinds, (45, 61, 3), p=[0.92, 0.02, 0.02, 0.02, 0.02])
    own = filter(lambda c: np.copysign(c, -1), halo=0)
    for one in (laplace(), sobel(), bilateral(), resize("60%"), grayscale(), own()):
        whole = one(array)
        assert not np.signbit(whole[np.isnan(whole)]).any()
        for chunk in (7, (5, 64), 16):
            made = imgpipe.apply(array, one, chunk=chunk, executor="serial")
            assert made.tobytes() == whole.tobytes(), one


@pytest.mark.parametrize("border", BORDERS)
def test_images_smaller_than_their_halo(border: str) -> None:
    chain = blur(sigma=3, border=border) | box(radius=9, border=border)
    for shape in ((1, 1, 1), (1, 13, 3), (13, 1, 3), (5, 3, 1)):
        array = noise(shape, "uint16")
        for executor in ("serial", PicklingExecutor(shares_files=False)):
            made = imgpipe.apply(array, chain, executor=executor, chunk=2)
            np.testing.assert_array_equal(made, chain(array))


def test_an_image_smaller_than_its_halo_is_read_once_for_all_its_repetitions() -> None:
    one, asked, whole = np.array([[[7]]], "uint8"), list[Box](), Box.of(1, 1)
    chain = blur(sigma=3, border="wrap") | box(radius=9, border="wrap")
    stages = resolve(chain, ImageInfo(1, 1, 1, one.dtype))

    def read(part: Box) -> np.ndarray:
        asked.append(part)
        return one[part.slices]

    np.testing.assert_array_equal(compute(stages, whole, read), one)
    assert asked == [whole]
    assert reads(stages, whole) == [[whole]]


def test_filters_that_wrap_around_a_small_image_are_called_once() -> None:
    array = noise((5, 3, 1), "uint8")
    chain = reduce(or_, [blur(sigma=3, border="wrap")] * 6)
    stages, called = resolve(chain, ImageInfo(5, 3, 1, array.dtype)), list[int]()
    compute(stages, Box.of(5, 3), lambda part: array[part.slices], called.append)
    assert called == [0, 1, 2, 3, 4, 5]


def test_the_corner_of_an_image_that_wraps_needs_four_boxes_of_each_filter() -> None:
    array, called = noise((90, 80, 1), "uint8"), list[int]()
    chain = reduce(or_, [box(radius=2, border="wrap")] * 6)
    stages, corner = resolve(chain, ImageInfo(90, 80, 1, array.dtype)), Box.of(10, 10)
    boxes = reads(stages, corner)[0]
    assert len(boxes) == 4

    def read(part: Box) -> np.ndarray:
        assert part in boxes
        return array[part.slices]

    made = compute(stages, corner, read, called.append)
    np.testing.assert_array_equal(made, chain(array)[corner.slices])
    assert [called.count(number) for number in range(6)] == [4, 4, 4, 4, 4, 1]


@pytest.mark.parametrize("border", BORDERS)
def test_chains_on_random_small_images(border: str) -> None:
    """Each filter alone, on an image that NumPy has padded, makes the same bits."""
    numbers = np.random.default_rng(7)
    filters = [blur(border=border), box(radius=6, border=border), median(border=border)]
    for _ in range(12):
        height, width = map(int, numbers.integers(1, 20, 2))
        array = noise((height, width, 2), "uint8")
        chosen = [filters[number] for number in numbers.integers(0, 3, 3)]
        expected = array
        for one in chosen:
            padded = np.pad(expected, ((16, 16), (16, 16), (0, 0)), mode=border)
            expected = one(padded)[16 : 16 + height, 16 : 16 + width]
        chain, chunk = reduce(or_, chosen), int(numbers.integers(1, 9))
        np.testing.assert_array_equal(chain(array), expected)
        made = imgpipe.apply(array, chain, executor="serial", chunk=chunk)
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("border", BORDERS)
def test_borders_are_those_of_numpy(border: str) -> None:
    array = noise((6, 5, 1), "uint8")

    @filter(halo=(11, 13))
    def corner(chunk):
        assert (chunk[..., 0] == np.pad(array[..., 0], ((11, 11), (13, 13)), mode=border)).all()
        return chunk

    corner(border=border)(array)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("alpha", [False, True])
def test_alpha_and_channels(channels: int, alpha: bool) -> None:
    if alpha and channels == 1:
        return
    array = noise((31, 23, channels), "uint8")
    which = channels - 1 if alpha else None
    for chain in (blur(), box(), invert(), blur() | invert() | box()):
        made = imgpipe.apply(array, chain, alpha=which, executor="serial", chunk=7)
        np.testing.assert_array_equal(made, chain(array, alpha=which))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    chunk=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    sigma=st.floats(0.3, 4),
    radius=st.integers(0, 6),
    borders=st.tuples(st.sampled_from(BORDERS), st.sampled_from(BORDERS)),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
)
def test_any_cut_of_any_image(rows, columns, chunk, sigma, radius, borders, dtype) -> None:
    chain = blur(sigma=sigma, border=borders[0]) | box(radius=radius, border=borders[1])
    array = noise((rows, columns, 2), dtype)
    made = imgpipe.apply(array, chain, executor="serial", chunk=chunk)
    np.testing.assert_array_equal(made, chain(array))


def test_the_result_may_replace_the_array(executor: Executor) -> None:
    array = noise((97, 61, 3), "uint8")
    expected = box(radius=4)(array)
    assert imgpipe.apply(array, box(radius=4), out=array, executor=executor, chunk=7) is array
    np.testing.assert_array_equal(array, expected)


def test_a_second_image_is_cut_like_the_first(executor: Executor, tmp_path: Path) -> None:
    from imgpipe.filters import blend

    one, other = noise((43, 31, 3), "uint8", 1), noise((43, 31, 3), "uint8", 2)
    np.save(tmp_path / "one.npy", one)
    np.save(tmp_path / "other.npy", other)
    chain = blur(sigma=1) | blend(other=str(tmp_path / "other.npy"), amount=0.3)
    imgpipe.run(tmp_path / "one.npy", chain, tmp_path / "o.npy", executor=executor, chunk=9)
    expected = (blur(sigma=1) | blend(other=other, amount=0.3))(one)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), expected)


def test_a_second_image_belongs_to_its_place_in_the_chain(
    executor: Executor, tmp_path: Path
) -> None:
    from imgpipe.filters import blend

    one, other = noise((2900, 201, 3), "uint8", 1), noise((1300, 60, 3), "uint8", 2)
    np.save(tmp_path / "one.npy", one)
    np.save(tmp_path / "other.npy", other)

    def chain(second: object) -> Chain:
        cropped = flip(direction="vertical") | crop(x=110, y=1500, width=60, height=1300)
        return cropped | blend(other=second, border="wrap") | box(radius=2, border="wrap")

    expected = chain(other)(one)
    for second in (other, str(tmp_path / "other.npy")):
        imgpipe.run(tmp_path / "one.npy", chain(second), tmp_path / "o.npy", executor=executor)
        np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), expected)
    np.testing.assert_array_equal(
        imgpipe.apply(one, chain(other), executor=executor, chunk=99), expected
    )
    with pytest.raises(UsageError, match="201 x 2900, the image at this point 60 x 1300"):
        imgpipe.apply(one, chain(one), executor=executor)


def test_a_further_image_may_be_left_out_where_its_default_is_none(executor: Executor) -> None:
    one, dark, flat = (noise((43, 31, 3), "uint8", seed) for seed in (1, 2, 3))

    @filter(halo=1, operands=("dark", "flat"))
    def developed(chunk: Any, *, dark: Any = None, flat: Any) -> Any:
        return (chunk if dark is None else np.maximum(chunk, dark) - dark) // (1 + flat % 4)

    for others in ({"flat": flat}, {"flat": flat, "dark": dark}):
        made = imgpipe.apply(one, developed(**others), executor=executor, chunk=9)
        np.testing.assert_array_equal(made, developed(**others)(one))
    np.testing.assert_array_equal(developed(flat=flat)(one), one // (1 + flat % 4))
    with pytest.raises(UsageError, match="give the second image as"):
        imgpipe.apply(one, developed(flat=None), executor=executor)


def test_pixels_from_the_far_side_reach_workers_that_share_nothing(tmp_path: Path) -> None:
    array = noise((9000, 211, 3), "uint8")
    np.save(tmp_path / "in.npy", array)
    chain = box(radius=3, border="wrap") | blur(sigma=1, border="wrap")
    executor = PicklingExecutor(shares_files=False)
    imgpipe.run(
        tmp_path / "in.npy", chain, tmp_path / "o.npy", executor=executor, max_memory=150_000_000
    )
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), chain(array))


def test_files_have_the_same_bytes_however_they_were_made(
    photo: np.ndarray, executor: Executor, tmp_path: Path
) -> None:
    from PIL import Image

    tall = np.tile(photo, (12, 3, 1))  # several encode units
    Image.fromarray(tall).save(tmp_path / "in.png")
    chain = blur(sigma=2) | grayscale()
    reference = tmp_path / "reference.png"
    imgpipe.run(tmp_path / "in.png", chain, reference, executor="serial")
    for chunk, memory in ((None, None), (50, None), (None, 150_000_000)):
        out = tmp_path / "out.png"
        imgpipe.run(
            tmp_path / "in.png", chain, out, executor=executor, chunk=chunk, max_memory=memory
        )
        assert out.read_bytes() == reference.read_bytes()
    np.testing.assert_array_equal(np.array(Image.open(out)), chain(tall)[..., 0])


def test_a_region_is_the_crop_of_the_whole(
    photo: np.ndarray, executor: Executor, tmp_path: Path
) -> None:
    from PIL import Image

    Image.fromarray(photo).save(tmp_path / "in.png")
    region = imgpipe.Box(90, 33, 181, 200)
    imgpipe.run(
        tmp_path / "in.png", blur(sigma=3), tmp_path / "o.png", executor=executor, region=region
    )
    made = np.array(Image.open(tmp_path / "o.png"))
    np.testing.assert_array_equal(made, blur(sigma=3)(photo)[region.slices])
