"""Transparency: colour under alpha 0 reaches no visible pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from PIL import Image

import imgpipe
from imgpipe import filters as f
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Chain, Filter
from imgpipe.chains.decorator import filter
from imgpipe.chains.transparency import filled
from imgpipe.errors import DeclarationError, FilterError, UsageError
from imgpipe.registry import FILTERS
from imgpipe.testing.filters import must_see_no_hidden_colour
from imgpipe.testing.pictures import with_hidden
from imgpipe.values import full_scale
from tests.conftest import noise
from tests.test_conformance import RGB, refuses, required
from tests.test_conformance import filters as any_filter

Pixels = NDArray[Any]
TYPES = ["uint8", "uint16", "float32"]

# Which pixels are visible in an image of any size.
MASKS: dict[str, Callable[[int, int], Pixels]] = {
    "all": lambda rows, columns: np.ones((rows, columns), bool),
    "none": lambda rows, columns: np.zeros((rows, columns), bool),
    "half": lambda rows, columns: np.indices((rows, columns))[1] < columns // 2,
    "every fifth row": lambda rows, columns: np.indices((rows, columns))[0] % 5 == 0,
    "half of them": lambda rows, columns: np.random.default_rng(1).random((rows, columns)) < 0.5,
    "here and there": lambda rows, columns: np.random.default_rng(2).random((rows, columns)) < 0.05,
}


def picture(shape: tuple[int, int, int], dtype: str, seed: int = 0) -> Pixels:
    """Return colours from black to white, NaN and infinity among floats, and alpha above 0."""
    levels = np.random.default_rng(seed).random(shape)
    made = np.ceil(levels * full_scale(dtype)).astype(dtype)
    return made if np.dtype(dtype).kind != "f" else levels.astype(dtype) + np.float32(1e-3)


def assert_same_where_visible(one: Pixels, other: Pixels) -> None:
    assert_array_equal(one[..., -1], other[..., -1])
    visible = one[..., -1] != 0
    assert_array_equal(one[visible], other[visible])


# --- hidden colours do not show ---------------------------------------------------------


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=6)
@given(data=st.data())
def test_hidden_colours_decide_nothing_that_is_seen(name: str, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    colours, dtype = data.draw(st.sampled_from([3, 1])), data.draw(st.sampled_from(TYPES))
    shape = rows, columns, colours + 1
    if refuses(name, dtype, colours):
        return
    visible = MASKS[data.draw(st.sampled_from(sorted(MASKS)))](rows, columns)
    array, chunk = picture(shape, dtype), data.draw(st.sampled_from([4, (7, 11), 1000]))
    if data.draw(st.booleans()):
        array[..., -1] = full_scale(dtype)
    ones = [data.draw(any_filter(name, shape, dtype))]
    for operand in ones[0].operands:
        further, seen = picture(shape, dtype, 5), MASKS["half of them"](rows, columns)
        given = dict(ones[0].params)
        ones = [
            type(ones[0])(
                ones[0].definition,
                tuple({**given, operand: with_hidden(further, seen, seed)}.items()),
                ones[0].border,
            )
            for seed in (1, 2)
        ]
    must_see_no_hidden_colour(ones[0], array, visible, chunk, ones[-1])


@filter(halo=(1, 3))
def largest(chunk):
    """Maximum within one row and three columns; a user's filter without a rule for alpha."""
    assert chunk.shape[2] == 3
    windows = np.lib.stride_tricks.sliding_window_view(chunk, (3, 7), axis=(0, 1))
    return windows.max(axis=(3, 4))


@filter(halo=0, align=(4, 6))
def blocks(chunk):
    """Sets blocks to their largest value."""
    out = chunk.copy()
    for y in range(0, len(chunk), 4):
        for x in range(0, chunk.shape[1], 6):
            out[y : y + 4, x : x + 6] = chunk[y : y + 4, x : x + 6].max(axis=(0, 1))
    return out


@filter(
    halo=2,
    output=lambda size: (max(1, size[0] - 3), size[1]),
    region=lambda box, size: box.shift(3, 0),
)
def lowered(chunk, *, place):
    """Leaves out three rows, and takes the mean of a square of the others."""
    assert place.padded == place.box.shift(3, 0).grow((2, 2))
    windows = np.lib.stride_tricks.sliding_window_view(chunk, (5, 5), axis=(0, 1))
    return windows.mean(axis=(3, 4))


CHAINS: dict[str, Chain] = {
    "a halo": largest(),
    "a halo that wraps": largest(border="wrap"),
    "blocks": blocks(),
    "blocks that wrap": blocks(border="wrap"),
    "a region with a halo": lowered(),
    "hidden from the middle on": f.invert() | largest() | f.crop(x=3, y=2, width=19, height=13),
    "cropped first": f.crop(x=3, y=2, width=19, height=13) | f.median(radius=2) | blocks(),
    "measured at last": f.median() | f.resize(size="60%") | largest() | f.autocontrast(),
    "measured after hiding": f.flip(direction="vertical") | f.equalize() | f.sobel(),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", CHAINS)
def test_nor_in_chains_nor_in_filters_that_say_nothing_of_alpha(
    name: str, dtype: str, mask: str
) -> None:
    visible, array = MASKS[mask](23, 29), picture((23, 29, 4), dtype)
    one, other = (with_hidden(array, visible, seed) for seed in (3, 4))
    with np.errstate(all="ignore"):
        expected = CHAINS[name](one, alpha=3)
        assert_same_where_visible(CHAINS[name](other, alpha=3), expected)
        made = imgpipe.apply(other, CHAINS[name], alpha=3, executor="serial", chunk=(6, 9))
    assert_same_where_visible(made, expected)


@pytest.mark.parametrize("name", ["a halo that wraps", "cropped first", "measured after hiding"])
def test_nor_on_any_executor(name: str, executor: Executor, tmp_path: Path) -> None:
    visible, array = MASKS["half"](47, 59), picture((47, 59, 4), "uint8")
    visible[:30] = False  # in some chunks nothing is visible
    Image.fromarray(with_hidden(array, visible, 3)).save(tmp_path / "in.png")
    for chunk in (11, 1000):
        imgpipe.run(
            tmp_path / "in.png", CHAINS[name], tmp_path / "o.png", executor=executor, chunk=chunk
        )
        expected = CHAINS[name](with_hidden(array, visible, 4), alpha=3)
        assert_same_where_visible(imgpipe.read(tmp_path / "o.png"), expected)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", FILTERS)
def test_an_opaque_image_has_the_colours_of_one_without_alpha(name: str, border: Any) -> None:
    one = FILTERS.load(name)(**required(name, (23, 29, 3), "uint8"), border=border)
    mixes = one.definition.alpha == "premultiply" and border == "constant"
    if mixes or one.definition.alpha == "filter" or name in ("resize", "thumbnail", "blend"):
        return  # where alpha is mixed too, a border of 0 is transparent
    array = noise((23, 29, 4), "uint8")
    array[..., 3] = 255
    assert_array_equal(one(array, alpha=3)[..., :-1], one(array[..., :3]))


@pytest.mark.parametrize("dtype", [*TYPES, "int64"])
@pytest.mark.parametrize("one", [f.blur(sigma=1.2), f.blur(sigma=16, truncate=1), f.bilateral()])
def test_results_of_opaque_pixels_are_those_without_alpha(one: Filter, dtype: str) -> None:
    array = noise((90, 99, 4), dtype)
    array[..., 3] = np.iinfo(dtype).max if dtype != "float32" else 1
    expected, (halo, _) = one(array[..., :3]), one.halo
    array[40:, 50:, 3] //= 2
    made = one(array, alpha=3)
    assert_array_equal(made[: 40 - halo, :, :3], expected[: 40 - halo])
    assert_array_equal(made[:, : 50 - halo, :3], expected[:, : 50 - halo])
    assert (made[42:, 52:, 3] < array[0, 0, 3]).all()
    for chunk in (13, (40, 50)):
        cut = imgpipe.apply(array, one, alpha=3, executor="serial", chunk=chunk)
        assert_array_equal(cut, made)


# --- one colour stays one colour --------------------------------------------------------

SMOOTHING = [
    *(f.blur(sigma=sigma) for sigma in (0.3, 1, 2, 3.7, 6, 10, 15, 30)),
    f.blur(sigma=2, truncate=8),
    *(f.box(radius=radius) for radius in (1, 4, 10, 25)),
    *(
        f.resize(size=size, method=method)
        for size in ("50%", "300%", "40x90!")
        for method in ("nearest", "bilinear", "bicubic", "lanczos")
    ),
    f.bilateral(),
    f.bilateral(sigma_color=5, sigma_spatial=2),
    f.unsharp(radius=2, amount=3),
    f.unsharp(radius=5, threshold=0.05),
    f.median(),
    f.median(radius=12),
    f.percentile(radius=2, percentile=10),
    f.convolve(kernel="1 2 1; 2 4 2; 1 2 1", scale=16),
    *(
        getattr(f, name)(radius=2, shape="disk")
        for name in ("minimum", "maximum", "erode", "dilate", "open", "close")
    ),
]
EDGES = [
    *(getattr(f, name)() for name in ("sobel", "scharr", "prewitt", "laplace", "emboss")),
    f.gaussian_laplace(),
    f.difference_of_gaussians(),
    f.convolve(kernel="0 1 0; 1 -4 1; 0 1 0"),
    *(getattr(f, name)(radius=2) for name in ("tophat", "blackhat", "morphological_gradient")),
]


def one_colour(dtype: str) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield a colour, and an image whose visible pixels all have it."""
    rows, columns = 61, 67
    for name in ("half", "half of them", "here and there"):
        visible = MASKS[name](rows, columns)
        for soft in (False, True):
            array = picture((rows, columns, 4), dtype)
            colour = array[0, 0, :3].copy()
            array[..., :3] = colour
            if not soft:
                array[..., 3] = full_scale(dtype)
            yield colour, with_hidden(array, visible, 1)


@pytest.mark.parametrize("dtype", [*TYPES, "int16", "float64"])
@pytest.mark.parametrize("one", SMOOTHING, ids=repr)
def test_one_colour_beside_nothing_keeps_its_value(one: Filter, dtype: str) -> None:
    for colour, array in one_colour(dtype):
        made = one(array, alpha=3)
        seen = made[made[..., 3] != 0][:, :3]
        assert seen.size
        tolerance = {"float32": 1e-5, "float64": 1e-9}.get(dtype, 0)
        assert_allclose(seen.astype(float), np.broadcast_to(colour, seen.shape), atol=tolerance)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("one", EDGES, ids=repr)
def test_one_colour_beside_nothing_has_no_edge(one: Filter, dtype: str) -> None:
    for colour, array in one_colour(dtype):
        made = one(array, alpha=3)
        flat = one(np.broadcast_to(colour, (61, 67, 3)).copy())
        visible = array[..., 3] != 0
        assert_allclose(made[visible][:, :3], flat[visible], atol=1e-6)
        assert_array_equal(made[..., 3], array[..., 3])


# --- how they are filled ----------------------------------------------------------------


def test_the_nearest_visible_colour_along_the_row_then_along_the_column() -> None:
    shown = np.array([list("....."), list("a...b"), list("....."), list("....."), list("..c..")])
    visible = shown != "."
    pixels = np.stack([shown.view(np.uint32), visible.astype(np.uint32)], axis=2)
    padded = np.pad(pixels, ((2, 2), (2, 2), (0, 0)))
    found = filled(padded, padded[..., 1] != 0, (2, 2))
    letters = np.vectorize(lambda code: chr(code) if code else ".")(found[..., 0])
    assert ["".join(row) for row in letters] == ["aaabb", "aaabb", "aaabb", "ccccc", "ccccc"]


def test_filters_of_neighbourhoods_make_0_of_hidden_pixels() -> None:
    array = np.full((9, 9, 4), 200, np.uint8)
    array[3:6, 3:6, 3] = 0
    for one in (f.median(), f.emboss(), f.blur(sigma=0.3)):
        made = one(array, alpha=3)
        assert (made[4, 4] == 0).all()
    assert (f.invert()(array, alpha=3)[4, 4] == [55, 55, 55, 0]).all()


def test_a_filter_that_changes_the_size_says_what_becomes_of_alpha() -> None:
    @filter(
        halo=0,
        output=lambda size: (size[0] // 2, size[1] // 2),
        region=lambda box, size: imgpipe.Box(2 * box.y0, 2 * box.x0, 2 * box.y1, 2 * box.x1),
    )
    def halved(chunk):
        return chunk[::2, ::2]

    assert halved()(np.zeros((8, 8, 4), np.uint8)).shape == (4, 4, 4)
    with pytest.raises(DeclarationError, match=r"halved: .* does not declare alpha"):
        halved()(np.zeros((8, 8, 4), np.uint8), alpha=3)


def test_a_nan_that_cannot_be_seen_is_no_error() -> None:
    array = np.array([[[np.nan, 0], [0.5, 1], [-1, 0]]], np.float32)
    assert_array_equal(f.astype(dtype="uint8")(array, alpha=1)[..., 1], [[0, 255, 0]])

    @filter(halo=0, output_dtype="uint8")
    def logarithm(chunk):
        return np.log2(chunk) + 9

    with np.errstate(all="ignore"):
        assert_array_equal(logarithm()(array, alpha=1), [[[0, 0], [8, 255], [0, 0]]])
        array[..., 1] = 1
        with pytest.raises(FilterError, match="NaN"):
            logarithm()(array, alpha=1)


def test_alpha_that_is_no_number_is_visible_and_no_integer() -> None:
    array = np.array([[[0.5, np.nan], [0.25, 0]]], np.float32)
    assert_array_equal(f.maximum()(array, alpha=1), [[[0.5, np.nan], [0, 0]]])
    with pytest.raises(FilterError, match="NaN"):
        f.astype(dtype="uint8")(array, alpha=1)


# --- further images ---------------------------------------------------------------------


def test_blending_weights_colours_by_alpha() -> None:
    one = np.array([[[9, 255], [9, 0], [100, 255]]], np.uint8)
    other = np.array([[[77, 0], [50, 255], [200, 255]]], np.uint8)
    made = f.blend(other=other, amount=0.5)(one, alpha=1)
    assert_array_equal(made, [[[9, 128], [50, 128], [150, 255]]])
    for amount, expected in ((0, one), (1, other)):
        assert_same_where_visible(f.blend(other=other, amount=amount)(one, alpha=1), expected)


def test_an_image_to_blend_needs_the_same_channels() -> None:
    one = np.zeros((4, 4, 4), np.uint8)
    for other in (one[..., :3], one.astype(np.uint16)):
        with pytest.raises(
            UsageError, match=r"blend: .* the same type and number of channels, alpha included"
        ):
            f.blend(other=other)(one, alpha=3)


def test_hidden_colours_of_further_images_are_not_seen() -> None:
    @filter(halo=1, operands=("other",))
    def brighter(chunk, *, other):
        assert other.shape == chunk.shape
        return np.maximum(chunk, other)

    array, further = (picture((20, 20, 4), "uint8", seed) for seed in (1, 2))
    visible = MASKS["half of them"](20, 20)
    one, other = (
        brighter(other=with_hidden(further, visible, seed))(array, alpha=3) for seed in (3, 4)
    )
    assert_array_equal(one, other)


# --- measuring --------------------------------------------------------------------------


def half_transparent(colour: int) -> Pixels:
    """Return levels 50, 100 and 150, and as much again of a hidden colour."""
    array = np.full((3, 6, 2), colour, np.uint8)
    array[..., 1] = 0
    array[:, :3, 0], array[:, :3, 1] = [50, 100, 150], 255
    return array


@pytest.mark.parametrize("hidden", [0, 100, 255])
def test_only_what_can_be_seen_is_measured(hidden: int) -> None:
    array = half_transparent(hidden)
    expected = {"autocontrast": [0, 128, 255], "equalize": [85, 170, 255], "otsu": [0, 255, 255]}
    for name, levels in expected.items():
        made = getattr(f, name)()(array, alpha=1)
        assert_array_equal(made[:, :3, 0], [levels] * 3)
        assert_array_equal(made[..., 1], array[..., 1])
    made = f.autocontrast(cutoff=1)(array, alpha=1)
    assert_array_equal(made[:, :3, 0], [[0, 128, 255]] * 3)
    made = f.astype(dtype="uint16", range="measured")(array, alpha=1)
    assert_array_equal(made[:, :3, 0], [[0, 32768, 65535]] * 3)


def test_a_little_alpha_counts_as_much_as_any() -> None:
    array = half_transparent(0)
    array[:, :3, 1] = [1, 3, 254]
    assert_array_equal(f.autocontrast()(array, alpha=1)[:, :3, 0], [[0, 128, 255]] * 3)


@pytest.mark.parametrize("policy", ["keep", "premultiply"])
def test_a_measurement_of_your_own_gets_what_can_be_seen(
    policy: str, executor: Executor, tmp_path: Path
) -> None:
    def total(chunk: Pixels) -> int:
        assert chunk.ndim == 3
        assert chunk.size
        return int(chunk[..., 0].astype(np.int64).sum())

    @filter(halo=0, alpha=policy, measure=total, merge=lambda a, b: a + b)
    def summed(chunk, *, measured: int):
        white = 255 * (255 if policy == "premultiply" else 1)
        assert measured == 40 * 7 * (255 if policy == "premultiply" else 1)
        return np.full_like(chunk, white)

    array = np.full((200, 20, 2), 7, np.uint8)
    array[..., 1] = np.indices((200, 20))[0] >= 198  # most tasks see nothing
    array[..., 1] *= 255
    np.save(tmp_path / "in.npy", array)
    imgpipe.run(
        tmp_path / "in.npy", summed(), tmp_path / "o.npy", executor=executor, chunk=30, alpha=1
    )
    assert (np.load(tmp_path / "o.npy")[198:] == 255).all()


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in RGB])
def test_an_image_without_a_visible_pixel_is_no_error(name: str) -> None:
    array = noise((13, 17, 4), "uint8")
    array[..., 3] = 0
    one = FILTERS.load(name)(**required(name, array.shape, "uint8"))
    made = one(array, alpha=3)
    assert name in ("blend", "flatten") or (made[..., 3] == 0).all()


def test_measure_sees_all_channels_of_all_pixels() -> None:
    def count(chunk: Pixels) -> int:
        return chunk.size

    array = half_transparent(3)
    assert imgpipe.measure(array, count, lambda a, b: a + b, alpha=1) == array.size
