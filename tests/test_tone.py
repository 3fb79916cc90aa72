"""Filters of one value at a time: what other libraries make, and what the formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageOps
from skimage import exposure

from imgpipe import filters
from imgpipe.chains.chain import Chain
from imgpipe.errors import ParameterError
from imgpipe.kernels.lookup import looked_up, pointwise
from tests.conftest import noise

LEVELS = {"uint8": 255, "uint16": 65535}
EVERY_LEVEL = {
    dtype: np.arange(top + 1, dtype=dtype).reshape(16, -1) for dtype, top in LEVELS.items()
}
FLOATS = np.array([[-1.5, -0.25, 0.0, 0.2, 0.5, 0.75, 1.0, 3.0, np.nan, np.inf]])

POINTWISE = [
    filters.invert(),
    filters.gamma(gamma=0.45, gain=1.1),
    filters.linear(scale=1.3, offset=-0.1),
    filters.levels(in_black=0.1, in_white=0.8, gamma=1.6, out_black=0.05, out_white=0.9),
    filters.posterize(bits=3),
    filters.solarize(threshold=0.4),
    filters.threshold(value=0.3),
]


def pillow(function, array, *args):
    return np.asarray(function(Image.fromarray(array), *args))


@pytest.mark.parametrize("dtype", LEVELS)
@pytest.mark.parametrize("one", POINTWISE, ids=lambda one: one.name)
def test_integers_and_doubles_agree(one: Chain, dtype: str) -> None:
    top, levels = LEVELS[dtype], EVERY_LEVEL[dtype]
    exact = one(levels / top)
    if one.name == "posterize":  # of floats steps of 1 / 8, of integers steps of 32 / 255
        exact = exact * ((top + 1) / top)
    assert one(levels).dtype == dtype
    assert_array_equal(one(levels), np.rint(np.clip(exact, 0, 1) * top))


@pytest.mark.parametrize("one", POINTWISE, ids=lambda one: one.name)
def test_single_and_double_precision_agree(one: Chain) -> None:
    values = np.linspace(-0.5, 1.5, 1000)[None] + 1e-4
    assert one(values).dtype == np.float64
    assert one(values.astype(np.float32)).dtype == np.float32
    assert_allclose(one(values.astype(np.float32)), one(values), atol=1e-6)


@pytest.mark.parametrize("one", POINTWISE, ids=lambda one: one.name)
def test_nan_and_infinity_do_no_harm(one: Chain) -> None:
    made = one(FLOATS)
    alone = one(np.where(np.isfinite(FLOATS), FLOATS, 0.25))
    assert_array_equal(made[:, :8], alone[:, :8])
    assert np.isnan(made[0, 8]) or one.name == "threshold"


@pytest.mark.parametrize("dtype", ["int16", "uint32", "float16"])
@pytest.mark.parametrize("one", POINTWISE, ids=lambda one: one.name)
def test_rarer_types_do_too(one: Chain, dtype: str) -> None:
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    values = np.linspace(0, 1, 500)[None]
    array = (values * top).astype(dtype)
    made = one(array)
    assert made.dtype == dtype
    exact = one(array / float(top))
    if (one.name, dtype) == ("invert", "int16"):
        exact = -array / float(top)
    if dtype != "float16":
        exact = np.clip(exact, np.iinfo(dtype).min / top, 1)
    assert_allclose(made / float(top), exact, atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1, 3), (5, 7, 2), (3, 5, 4), (4, 4, 5)])
@pytest.mark.parametrize("dtype", LEVELS)
def test_tables_of_one_channel_or_of_each(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    array = noise(shape if len(shape) == 3 else (*shape, 1), dtype)
    channels = array.shape[2]
    tables = rng.integers(0, LEVELS[dtype] + 1, (channels, LEVELS[dtype] + 1)).astype(dtype)
    expected = np.stack([tables[c][array[..., c]] for c in range(channels)], axis=2)
    wide = np.concatenate([array, array], axis=2)
    rows = np.concatenate([array, array], axis=1)
    for view in (array, wide[..., :channels], rows[:, : array.shape[1]], array[::1, ::1]):
        assert_array_equal(looked_up(view, tables), expected)
        assert_array_equal(looked_up(view, tables[:1]), tables[0][array])
    assert_array_equal(looked_up(array[::-1, ::-1], tables), expected[::-1, ::-1])


def test_a_table_longer_than_one_block_is_looked_up_to_its_end() -> None:
    array = noise((301, 457, 3), "uint8")
    assert_array_equal(pointwise(array, lambda values: 1 - values), 255 - array)


def test_only_colour_is_changed_under_alpha() -> None:
    array = noise((9, 11, 4), "uint8")
    for one in POINTWISE:
        made = one(array, alpha=3)
        assert_array_equal(made[..., 3], array[..., 3])
        assert_array_equal(made[..., :3], one(np.ascontiguousarray(array[..., :3])))


@pytest.mark.parametrize("gamma", [0, 0.3, 1, 2.2, 7])
@pytest.mark.parametrize("gain", [0.5, 1, 2])
def test_gamma_is_that_of_scikit_image(gamma: float, gain: float) -> None:
    one = filters.gamma(gamma=gamma, gain=gain)
    levels = EVERY_LEVEL["uint8"]
    assert_array_equal(one(levels), exposure.adjust_gamma(levels, gamma, gain))
    wide = EVERY_LEVEL["uint16"]
    exact = np.minimum(exposure.adjust_gamma(wide / 65535, gamma, gain), 1) * 65535
    assert_array_equal(one(wide), np.rint(exact))
    for dtype, tolerance in (("float32", 1e-6), ("float64", 1e-14)):
        values = np.linspace(0, 2, 333, dtype=dtype)[None]
        expected = exposure.adjust_gamma(values, gamma, gain)
        assert_allclose(one(values), expected, rtol=tolerance)


def test_gamma_of_what_is_below_black_is_mirrored() -> None:
    values = np.array([[-4.0, -0.25, 0.25, 4.0]])
    assert_array_equal(filters.gamma(gamma=0.5)(values), [[-2, -0.5, 0.5, 2]])


def test_linear_saturates_integers_and_not_floats() -> None:
    one = filters.linear(scale=2, offset=-0.5)
    assert_array_equal(one(np.array([[0, 64, 128, 255]], np.uint8)), [[0, 0, 128, 255]])
    assert_array_equal(one(np.array([[0.0, 0.25, 0.5, 1.0]])), [[-0.5, 0, 0.5, 1.5]])
    assert_array_equal(filters.linear(scale=1)(EVERY_LEVEL["uint16"]), EVERY_LEVEL["uint16"])


def test_levels_rescale_as_scikit_image_does() -> None:
    for levels, full in ((EVERY_LEVEL["uint8"], 255), (EVERY_LEVEL["uint16"], 65535)):
        ends, out = (0.2, 0.7), (0.1, 0.95)
        exact = exposure.rescale_intensity(levels / full, ends, out) * full
        made = filters.levels(in_black=0.2, in_white=0.7, out_black=0.1, out_white=0.95)(levels)
        assert_array_equal(made, np.rint(exact))
    values = np.array([[-1, 0.25, 0.375, 0.75, 2]])
    made = filters.levels(in_black=0.25, in_white=0.75, gamma=2)(values)
    assert_array_equal(made, [[0, 0, 0.5, 1, 1]])
    assert_array_equal(
        filters.levels(in_black=1.0, in_white=0.0)(EVERY_LEVEL["uint8"]),
        filters.invert()(EVERY_LEVEL["uint8"]),
    )
    with pytest.raises(ParameterError, match="in_black and in_white are both"):
        filters.levels(in_black=0.3, in_white=0.3)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_that_of_pillow(bits: int) -> None:
    array = noise((33, 21, 3), "uint8")
    assert_array_equal(filters.posterize(bits=bits)(array), pillow(ImageOps.posterize, array, bits))
    wide = array.astype(np.uint16) * 257
    assert_array_equal(filters.posterize(bits=bits)(wide) >> 8, filters.posterize(bits=bits)(array))


def test_posterize_of_floats_has_as_many_steps_as_bits_say() -> None:
    made = filters.posterize(bits=2)(np.linspace(-1, 2, 301)[None])
    assert_array_equal(np.unique(made), [0, 0.25, 0.5, 0.75])
    assert_array_equal(filters.posterize(bits=12)(EVERY_LEVEL["uint8"]), EVERY_LEVEL["uint8"])


@pytest.mark.parametrize("level", [0, 1, 100, 128, 255])
def test_solarize_is_that_of_pillow(level: int) -> None:
    array = noise((33, 21, 3), "uint8")
    made = filters.solarize(threshold=level / 255)(array)
    assert_array_equal(made, pillow(ImageOps.solarize, array, level))
    assert_array_equal(filters.solarize()(array), pillow(ImageOps.solarize, array))


def test_solarize_of_floats_is_exact() -> None:
    values = noise((40, 40), "float32")
    made = filters.solarize(threshold=0.25)(values)
    assert_array_equal(made, np.where(values < np.float32(0.25), values, 1 - values))
    assert not np.signbit(filters.solarize()(np.zeros((1, 1)))).any()


@pytest.mark.parametrize("dtype", LEVELS)
def test_threshold_is_above_and_not_equal(dtype: str) -> None:
    top, levels = LEVELS[dtype], EVERY_LEVEL[dtype]
    for level in (0, 1, top // 2, top - 1, top):
        made = filters.threshold(value=level / top)(levels)
        assert_array_equal(made, np.where(levels > level, top, 0))
    assert_array_equal(filters.threshold()(FLOATS), [[0, 0, 0, 0, 0, 1, 1, 1, 0, 1]])


@pytest.mark.parametrize("level", [0, 99, 254])
def test_threshold_is_that_of_opencv(level: int) -> None:
    cv2 = pytest.importorskip("cv2")
    array = noise((33, 21, 3), "uint8")
    _, expected = cv2.threshold(array, level, 255, cv2.THRESH_BINARY)
    assert_array_equal(filters.threshold(value=level / 255)(array), expected)


def test_invert_is_that_of_pillow() -> None:
    array = noise((33, 21, 3), "uint8")
    assert_array_equal(filters.invert()(array), pillow(ImageOps.invert, array))
    assert_array_equal(filters.invert()(np.array([[-128, -5, 7]], np.int8)), [[127, 4, -8]])


INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]


def ends(dtype):
    """The ends of a type of integers, the values next to them and to 0, and the middle."""
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    numbers = [low, low + 1, 0, 1, high // 2, high // 2 + 1, high - 1, high]
    return np.array([*numbers, *([-1, -2, low // 2] if low else [])], dtype)[None]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_invert_of_integers_is_one_to_one_and_undoes_itself(dtype: str) -> None:
    values, limits = ends(dtype), np.iinfo(dtype)
    made = filters.invert()(values)
    total = int(limits.min) + int(limits.max)
    assert made[0].tolist() == [total - int(value) for value in values[0]]
    assert_array_equal(filters.invert()(made), values)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_posterize_rounds_integers_down(dtype: str) -> None:
    values, step = ends(dtype), 2 ** (int(np.iinfo(dtype).max).bit_length() - 3)
    made = filters.posterize(bits=3)(values)
    assert made[0].tolist() == [int(value) // step * step for value in values[0]]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_threshold_is_exact_for_any_integers(dtype: str) -> None:
    values, top = ends(dtype), int(np.iinfo(dtype).max)
    above = [top if int(value) / top > 0.5 else 0 for value in values[0]]
    assert filters.threshold()(values)[0].tolist() == above
    mirrored = [top - int(v) if int(v) / top >= 0.5 else int(v) for v in values[0]]
    assert filters.solarize()(values)[0].tolist() == mirrored


@pytest.mark.parametrize("dtype", INTEGERS[:3] + INTEGERS[4:7])
def test_values_below_0_are_those_of_floats(dtype: str) -> None:
    values, top = ends(dtype), float(np.iinfo(dtype).max)
    for one in (
        filters.gamma(gamma=2),
        filters.linear(scale=-0.75, offset=0.25),
        filters.levels(in_white=0.75, gamma=2, out_black=0.25),
    ):
        exact = np.rint(one(values / top) * top)
        expected = np.clip(exact, np.iinfo(dtype).min, np.iinfo(dtype).max)
        assert_array_equal(one(values), expected.astype(dtype))


@pytest.mark.parametrize("name", ["linear", "levels"])
def test_a_filter_without_anything_to_do_is_refused(name: str) -> None:
    make = getattr(filters, name)
    with pytest.raises(ParameterError, match=f"{name}: .*give at least one of .*"):
        make()
    parameters = {p.name for p in make.definition.parameters}
    for only in parameters:
        array = noise((9, 9), "uint8")
        alone = {"in_black": 0, "in_white": 1, "out_black": 0, "out_white": 1, "gamma": 1}
        made = make(**{only: {"scale": 1, "offset": 0, **alone}[only]})(array)
        assert_array_equal(made, array)


def test_gamma_needs_its_exponent() -> None:
    with pytest.raises(ParameterError, match="gamma: needs a value for gamma"):
        filters.gamma(gain=2)


@pytest.mark.parametrize(
    ("level", "hint"),
    [
        (128, "128 of 255 is 0.502"),
        (255, "255 of 255 is 1"),
        (30000, "30000 of 65535 is 0.458"),
        (70000, "it is a fraction of white$"),
    ],
)
def test_a_level_in_place_of_a_fraction_is_explained(level: int, hint: str) -> None:
    for make in (filters.threshold, filters.solarize):
        with pytest.raises(ParameterError, match=hint):
            make(level)
    with pytest.raises(ParameterError, match=hint):
        filters.levels(in_black=level)
