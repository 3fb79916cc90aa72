"""A filter is a frozen value; what it declares and what it takes is checked early."""

from __future__ import annotations

import itertools
import pickle
from typing import Any, Optional

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from imgpipe import filters
from imgpipe.chains.chain import Chain, FilterFactory, as_chain
from imgpipe.chains.decorator import filter
from imgpipe.errors import (
    DeclarationError,
    FilterError,
    ParameterError,
    ShapeError,
    UsageError,
)
from imgpipe.iteration import iter_chunks
from imgpipe.registry import FILTERS, OF_OTHER_PACKAGES, Member, Registry, filters_by_family
from tests.conftest import noise


@filter(halo=lambda reach: reach)
def spread(chunk, *, reach: int = 2, name: str | None = None, strong: bool = False):
    """Do nothing, with parameters of every kind."""
    return chunk


def test_a_filter_is_a_value() -> None:
    one, same, other = spread(reach=3), spread(3), spread(4)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.digest == same.digest != other.digest
    assert repr(one) == "spread(reach=3, name=None, strong=False)"
    assert repr(spread(border="wrap")).endswith("border='wrap')")
    assert one.halo == (3, 3)
    with pytest.raises(AttributeError):
        one.border = "wrap"
    assert pickle.loads(pickle.dumps(one | other)) == one | other


def test_a_filter_of_an_array_is_a_value() -> None:
    @filter(halo=0)
    def weighted(chunk, *, weights):
        return chunk * weights

    one, same, other = (weighted(np.full((900, 3), n)) for n in (1, 1, 2))
    assert one == same != other
    assert hash(one) == hash(same)
    assert one.digest == same.digest != other.digest
    assert repr(one) == "weighted(weights=<array 900 x 3 int64>)"


def test_a_bar_chains() -> None:
    chain = spread() | spread(3) | spread(4)
    assert isinstance(chain, Chain)
    assert [one.keywords["reach"] for one in chain] == [2, 3, 4]
    assert (spread() | spread(3)) | spread(4) == spread() | (spread(3) | spread(4))


@pytest.mark.parametrize(
    "bad",
    [
        {"reach": 1.5},
        {"reach": "2"},
        {"reach": True},
        {"reach": None},
        {"nothing": 1},
        {"name": 3},
        {"strong": 1},
        {"border": "mirror"},
    ],
)
def test_bad_parameters_are_refused_when_the_filter_is_made(bad: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match="spread"):
        spread(**bad)
    with pytest.raises(ParameterError, match="too many"):
        spread(1, None, False, 4)
    with pytest.raises(ParameterError, match="twice"):
        spread(1, reach=2)


@pytest.mark.parametrize("sigma", [float("nan"), float("inf"), 0, -1, 501, "2", None])
def test_a_sigma_that_makes_no_sense_is_refused(sigma: object) -> None:
    with pytest.raises(ParameterError, match="sigma must be a number between"):
        filters.blur(sigma=sigma)


def test_impossible_declarations_are_refused() -> None:
    with pytest.raises(DeclarationError, match="halo"):
        filter(lambda chunk: chunk)
    with pytest.raises(DeclarationError, match="halo"):
        filter()(lambda chunk: chunk)
    for wrong in (
        {"border": "mirror"},
        {"alpha": "no"},
        {"measure": len},
        {"output": len},
        {"operands": ("other",)},
        {"size": 3},
        {"output_dtype": "zzz"},
        {"colour": "cmyk"},
        {"channels": "3"},
        {"channels": 2.5},
        {"channels": 0},
        {"operands": "chunk"},
    ):
        with pytest.raises(DeclarationError, match="own: "):
            filter(halo=0, name="own", **wrong)(lambda chunk: chunk)
    with pytest.raises(DeclarationError, match=r"own: 'border' is a parameter of every"):
        filter(halo=0, name="own")(lambda chunk, *, border=1: chunk)
    with pytest.raises(DeclarationError, match="a function of an array, not 3"):
        filter(halo=0)(3)
    for halo in (-1, 1.5, (1, 2, 3), "2"):
        with pytest.raises(DeclarationError, match="halo must be"):
            filter(halo=halo)(lambda chunk: chunk)()
    for grid in (0, 1.5, (8, -8), "8"):
        with pytest.raises(DeclarationError, match="align must be"):
            filter(halo=0, align=grid)(lambda chunk: chunk)()


class TestDeclaredFunctions:
    """A declared function gets the parameters that it names, and its errors name it."""

    def test_get_the_parameters_that_they_name(self) -> None:
        def doubled(size, /, *, reach):
            return size[0] * reach, size[1]

        @filter(halo=0, output=doubled, region=lambda box, size, **params: (box, params))
        def stretched(chunk, *, reach: int = 2, size: int = 7):
            return chunk

        assert stretched(3).declared("output", (4, 5)) == (12, 5)
        box, params = stretched(3).declared("region", "box", (4, 5))
        assert (box, params) == ("box", {"reach": 3})  # size is given by position

    @pytest.mark.parametrize("what", ["halo", "align", "channels", "output", "region", "metadata"])
    def test_that_fail_are_named(self, what: str) -> None:
        def failing(*_):
            raise TypeError("a bad idea")

        needed = {"halo": 0, "output": len, "region": len}
        with pytest.raises(DeclarationError, match=f"own: its {what} failed: TypeError: a bad"):
            filter(**{**needed, what: failing}, name="own")(lambda chunk: chunk)().declared(what)

    def test_may_refuse_an_image_in_their_own_words(self) -> None:
        with pytest.raises(UsageError, match=r"^grayscale: needs an image of 1 or 3 colours"):
            filters.grayscale().channels_after(5)

    @pytest.mark.parametrize("made", [0, -1, 2.5, "3", None, True])
    def test_channels_are_a_whole_number(self, made: object) -> None:
        one = filter(halo=0, channels=lambda given: made, name="own")(lambda chunk: chunk)()
        with pytest.raises(DeclarationError, match="own: its channels must be a whole number"):
            one.channels_after(3)


def test_values_become_the_declared_type() -> None:
    made = np.array([[0.5, 1.5, 2.5, -3.0, 300.0]])

    @filter(halo=0)
    def fixed(chunk):
        return made

    @filter(halo=0, output_dtype="uint16")
    def mask(chunk):
        return chunk > 2

    array = np.arange(5, dtype=np.uint8)[None]
    assert_array_equal(fixed()(array), [[0, 2, 2, 0, 255]])
    assert_array_equal(mask()(array), np.array([[0, 0, 0, 65535, 65535]], np.uint16))


@pytest.mark.parametrize("kind", [complex, "datetime64[s]", str])
def test_values_that_cannot_become_the_declared_type_are_refused(kind: Any) -> None:
    @filter(halo=0)
    def odd(chunk):
        return chunk.astype(kind)

    for dtype in ("uint8", "float32"):
        with pytest.raises(FilterError, match=f"odd: made values of .* cannot become {dtype}"):
            odd()(np.ones((3, 3, 1), dtype))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("policy", ["keep", "premultiply", "filter"])
def test_a_filter_may_work_in_floats_from_0_to_1(dtype: str, policy: str) -> None:
    seen = []

    @filter(halo=0, dtype="float32", alpha=policy)
    def halved(chunk):
        seen.append((chunk.dtype, chunk.max()))
        return chunk * np.float32(0.5)

    maximum = np.iinfo(dtype).max if dtype.startswith("u") else 1.0
    array = np.full((3, 4, 2), maximum, dtype)
    out = halved()(array, alpha=1)
    assert seen == [(np.float32, 1)]
    assert out.dtype == array.dtype
    expected = {"keep": (0.5, 1), "premultiply": (1, 0.5), "filter": (0.5, 0.5)}[policy]
    scaled = np.multiply(expected, maximum)
    assert_array_equal(out[0, 0], np.rint(scaled) if dtype.startswith("u") else scaled)


def test_alpha_keeps_its_meaning_in_another_type() -> None:
    @filter(halo=0, output_dtype="uint16")
    def wider(chunk):
        return chunk.astype(np.uint16) * 257

    out = wider()(np.array([[[10, 255]]], np.uint8), alpha=1)
    assert_array_equal(out, np.array([[[2570, 65535]]], np.uint16))


def test_only_what_alpha_policy_grants_is_seen() -> None:
    seen: dict[str, tuple[int, str]] = {}
    array = noise((4, 4, 4), "uint8")
    for policy in ("keep", "premultiply", "filter"):

        @filter(halo=0, alpha=policy)
        def look(chunk, *, policy: str = policy):
            seen[policy] = chunk.shape[2], str(chunk.dtype)
            return chunk

        out = look()(array, alpha=3)
        assert_array_equal(out[..., 3], array[..., 3])
    assert seen == {"keep": (3, "uint8"), "premultiply": (4, "float32"), "filter": (4, "uint8")}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_premultiplying_and_back_is_exact_where_alpha_is_not_small(dtype: str) -> None:
    from imgpipe.chains.transparency import premultiplied, unpremultiplied

    array = noise((50, 50, 4), "uint16").astype(np.float64) / 65535
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1.0
    array = np.rint(array * full).astype(dtype) if full > 1 else array.astype(dtype)
    back = unpremultiplied(premultiplied(array), array.dtype, array.dtype, "test")
    assert_array_equal(back[array[..., 3] == 0][:, :3], 0)
    opaque = array[..., 3] > 0
    np.testing.assert_allclose(back[opaque], array[opaque], rtol=1e-6)


def test_gray_invert_and_stretch() -> None:
    array = noise((9, 9, 3), "uint8")
    luma = np.rint(array @ np.array([0.299, 0.587, 0.114]))
    assert np.abs(filters.grayscale()(array)[..., 0] - luma).max() <= 1
    assert_array_equal(filters.invert()(array), 255 - array)
    assert_array_equal(filters.invert()(array / np.float32(255)), 1 - array / np.float32(255))
    stretched = filters.autocontrast()(array // 4 + 50)
    assert (stretched.min((0, 1)).tolist(), stretched.max((0, 1)).tolist()) == ([0] * 3, [255] * 3)
    flat = np.full((3, 3, 1), 77, np.uint8)
    assert_array_equal(filters.autocontrast()(flat), flat)
    with pytest.raises(UsageError, match="1 or 3 colours"):
        filters.grayscale()(array[..., :2])


@pytest.mark.parametrize("name", FILTERS)
def test_the_table_that_help_is_printed_from_is_true(name: str) -> None:
    factory = FILTERS.load(name)
    assert isinstance(factory, FilterFactory)
    assert factory.definition.name == name
    assert factory.definition.summary == FILTERS[name].summary
    assert getattr(filters, name) is factory
    assert name in dir(filters)


def test_every_filter_has_a_family() -> None:
    families = filters_by_family()
    assert 8 <= len(families) <= 12
    assert sorted(itertools.chain(*families.values())) == sorted(FILTERS)
    assert all(FILTERS[name].family == each for each, names in families.items() for name in names)
    assert all(len(names) > 1 for names in families.values())


def test_filters_of_other_packages_are_a_family_of_their_own() -> None:
    with FILTERS.with_member("another", filters.blur):
        assert list(filters_by_family().items())[-1] == (OF_OTHER_PACKAGES, ["another"])


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_documented(name: str) -> None:
    text = FILTERS.load(name).__doc__
    for section in ("Parameters\n", "Returns\n", "References\n", "chunk : ndarray, shape ("):
        assert section in text
    for parameter in FILTERS.load(name).definition.parameters:
        assert f"{parameter.name}" in text
        assert parameter.text, f"{name}: {parameter.name} has no line of help"


def test_a_member_that_fails_to_load_does_not_break_the_others() -> None:
    registry = Registry(
        "thing", {"good": Member("json", "", "dumps"), "bad": Member("no.such", "")}
    )
    assert registry.load("good")
    with pytest.raises(UsageError, match="fails to load"):
        registry.load("bad")
    with pytest.raises(UsageError, match="there is no thing 'none'; there are: bad, good"):
        registry.load("none")
    with pytest.raises(UsageError, match=r"there is no thing 'godo'; did you mean 'good'\?$"):
        registry.load("godo")


def test_a_filter_that_a_worker_cannot_find_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import imgpipe.filters.tone as module

    sent = pickle.dumps(module.invert())
    monkeypatch.delattr(module, "invert")
    with pytest.raises(DeclarationError, match="tone:invert cannot be found"):
        pickle.loads(sent)


def test_a_decorated_function_stands_for_the_filter_with_its_defaults() -> None:
    assert as_chain(spread) == spread()
    assert spread | filters.blur == spread() | filters.blur()
    assert filters.blur() | spread == filters.blur() | spread()


def test_an_error_about_a_value_that_is_no_filter_says_how_to_make_one() -> None:
    with pytest.raises(ParameterError, match=r"call it: crop\(width=\.\.\., height=\.\.\.\)"):
        as_chain(filters.crop)
    with pytest.raises(UsageError, match=r"a bare function has no declared halo; write @imgpipe"):
        as_chain(lambda chunk: chunk)
    with pytest.raises(UsageError, match=r"spread is a filter .*; call it: spread\(\)"):
        spread(np.zeros((3, 3)))
    with pytest.raises(UsageError, match=r"a filter or a chain, not ndarray$"):
        filters.blur() | np.zeros((300, 3))
    with pytest.raises(ParameterError, match=r"not an array of shape \(3,\)$"):
        spread(reach=np.zeros(3))


def test_optional_and_mixed_numbers() -> None:
    @filter(halo=0)
    def own(chunk, *, often: Optional[int] = 3, much: float | int = 1):  # noqa: UP045, PYI041
        return chunk

    often, much = own.definition.parameters
    assert often.parse("none", "own") is None
    assert often.parse("4", "own") == 4
    assert own(often=None).keywords["often"] is None
    assert much.parse("2.5", "own") == own(much=2.5).keywords["much"] == 2.5


def test_numbers_with_commas_are_a_tuple_where_no_type_is_declared() -> None:
    (size,) = filter(halo=0)(lambda chunk, size=None: chunk).definition.parameters
    assert size.parse("3,3,1", "own") == (3, 3, 1)
    assert size.parse("0.5, 2", "own") == (0.5, 2)
    assert size.parse("3", "own") == 3
    assert size.parse("a,b", "own") == "a,b"
    assert size.parse("3,", "own") == "3,"


def test_chunks_of_an_array() -> None:
    array = noise((5, 7, 3), "uint8")
    boxes = dict(iter_chunks(array, np.int64(4), halo=np.int32(1)))
    assert len(boxes) == 4
    for box, pixels in boxes.items():
        assert_array_equal(pixels[1:-1, 1:-1], array[box.slices])
    with pytest.raises(UsageError, match="size must be a whole number"):
        iter_chunks(array, True)


def test_declarations_may_depend_on_parameters() -> None:
    def must_be_even(size: int) -> None:
        if size % 2:
            raise ParameterError(f"size must be even, not {size}")

    @filter(
        halo=0,
        validate=must_be_even,
        output_dtype=lambda kind: kind,
        measure=lambda chunk: int(chunk.max()),
        merge=max,
        measure_if=lambda size: size > 2,
    )
    def numbered(chunk, *, measured, kind: str = "uint16", size: int = 2):
        return chunk + (measured or 0)

    array = np.array([[1, 200]], np.uint8)
    assert numbered()(array).dtype == np.uint16
    assert numbered(kind="float32")(array).dtype == np.float32
    assert_array_equal(numbered(size=2)(array), [[1, 200]])
    assert_array_equal(numbered(size=4)(array.astype(int)), [[201, 400]])
    with pytest.raises(ParameterError, match="size must be even, not 3"):
        numbered(size=3)
    with pytest.raises(DeclarationError, match="measure_if says when to measure"):
        filter(halo=0, measure_if=lambda: True)(lambda chunk: chunk)


def test_a_result_with_another_number_of_channels_is_refused() -> None:
    first = filter(halo=0)(lambda chunk: chunk[..., :1])
    with pytest.raises(ShapeError, match="returned 1 channel in place of 3; declare the number"):
        first()(np.zeros((4, 5, 3), np.uint8))
