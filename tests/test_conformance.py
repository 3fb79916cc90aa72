"""Conformance: what every filter, format and executor must do, by being registered."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Chain, Filter
from imgpipe.chains.formatting import format_chain
from imgpipe.cli import execute
from imgpipe.cli.filteroptions import option_words
from imgpipe.errors import CorruptError, ParameterError, UsageError
from imgpipe.formats.formatchoice import loaded
from imgpipe.parameters import Parameter
from imgpipe.registry import EXECUTORS, FILTERS, FORMATS
from imgpipe.testing import ExecutorSuite, FilterSuite, FormatSuite
from imgpipe.testing.files import must_report_damage, parts_of
from imgpipe.testing.filters import must_be_the_same_in_pieces, must_be_written_as_it_is
from tests.conftest import FarAwayExecutor, noise

SHAPE = (47, 59, 3)
FLOATS = ("float32", "float64")
RGB = ("grayscale", "sepia", "tint", "to_rgb", "mix_channels")


def required(name: str, shape: tuple[int, int, int], dtype: str) -> dict[str, Any]:
    """Return values for the parameters without a default."""
    levels = 256 if dtype in ("uint8", *FLOATS) else 65536
    return {
        "astype": {"dtype": dtype},
        "blend": {"other": noise(shape, dtype, 9)},
        "convolve": {"kernel": "1 2 3; 0 -4 1; 2 0 0.5"},
        "crop": {"x": shape[1] // 3, "y": shape[0] // 4, "width": 1, "height": shape[0] // 2 + 1},
        "gamma": {"gamma": 0.7},
        "levels": {"in_black": 0.1},
        "linear": {"scale": 1.2},
        "lut": {"table": np.arange(levels)[::-1]},
        "mix_channels": {"matrix": "0 1 0; 0.5 -0.3 0.9"},
        "resize": {"size": "70%"},
        "thumbnail": {"size": f"{max(1, shape[1] * 2 // 3)}"},
        "tint": {"colour": "#f80"},
    }.get(name, {})


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Draw values of a parameter, small ones, and now and then its default."""
    low, high = 0.0, 4.0
    if parameter.bounds is not None:
        low = max(parameter.bounds.low, -high)
        high = max(low, min(parameter.bounds.high, high))
    drawn: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(int(low), int(high)),
        float: st.floats(low, high),
    }
    some = drawn.get(parameter.kind, st.nothing())
    if parameter.choices:
        some = st.sampled_from([parameter.kind(choice) for choice in parameter.choices])
    return some | st.just(parameter.default)


@st.composite
def filters(
    draw: st.DrawFn, name: str, shape: tuple[int, int, int] = SHAPE, dtype: str = "uint8"
) -> Filter:
    """Draw a registered filter with any parameters that it takes."""
    factory, given = FILTERS.load(name), required(name, shape, dtype)
    for parameter in factory.definition.parameters:
        if parameter.name not in given:
            given[parameter.name] = draw(values(parameter))
    try:
        return factory(**given, border=draw(st.sampled_from(BORDERS)))
    except ParameterError:  # parameters that do not go together
        assume(False)
        raise


def refuses(name: str, dtype: str, colours: int) -> bool:
    """Return whether a filter has no meaning for such an image."""
    return (name == "lut" and dtype in FLOATS) or (
        name in RGB and colours != 3 and not (colours == 1 and name != "mix_channels")
    )


@pytest.mark.parametrize("name", FILTERS)
class TestFilters(FilterSuite):
    @pytest.fixture(autouse=True)
    def _subject(self, name: str, pool: Executor) -> None:
        given = required(name, SHAPE, "uint8")
        self.filter = FILTERS.load(name)(**given | dict.fromkeys(given.keys() & {"other"}))
        self.executor = pool
        # Of other types, and of parameters without number, the tests below draw some.
        self.dtypes = ("uint8",) if name == "lut" else ("uint8", "float32")
        self.channels = tuple(n for n in self.channels if not refuses(name, "uint8", n))

    def test_sees_no_hidden_colour(self) -> None:
        """Parameters of all kinds are tried in `test_transparency`."""

    def test_halo_is_honest(self) -> None:
        if self.filter.name in ("blur", "box", "invert", "autocontrast"):  # it takes a second
            super().test_halo_is_honest()


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=15)
@given(data=st.data())
def test_every_filter_is_exact_under_any_cut(name: str, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    colours, alpha = data.draw(st.sampled_from([1, 3, 3, 5])), data.draw(st.booleans())
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "float32", "float64"]))
    shape = rows, columns, colours + alpha
    array, which = noise(shape, dtype), colours if alpha else None
    one = data.draw(filters(name, shape, dtype))
    if refuses(name, dtype, colours):
        with pytest.raises(UsageError, match=name):
            one(array, alpha=which)
        return
    chunk = data.draw(st.tuples(st.integers(2, 50), st.integers(3, 50)))
    must_be_the_same_in_pieces(one, array, which, chunk)


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=25)
@given(data=st.data())
def test_every_filter_can_be_written_down_and_read_back(name: str, data: st.DataObject) -> None:
    one = data.draw(filters(name))
    if name == "blend":  # an array has no text
        one = FILTERS.load(name)(other="a|b.png", amount=one.keywords["amount"], border=one.border)
    must_be_written_as_it_is(one)
    assert str(one | one) == f"{format_chain(one)} | {format_chain(one)}"
    assert pickle.loads(pickle.dumps(one)) == one
    assert from_command_line(one) == one


def from_command_line(one: Filter) -> Chain:
    """Return the filter that a command line gets which asks for `one`."""
    words = [one.name, "in.png", "-o", "out.png", "--border", one.border]
    for parameter, (_, value) in zip(one.definition.parameters, one.params, strict=True):
        if value is not None:
            words += option_words(parameter, str(value))
    asked: list[Chain] = []

    def run(source: str, chain: Chain, output: str, **options: object) -> NoReturn:
        asked.append(chain)
        raise UsageError("only asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgpipe.running.run", run)
        execute(words)
    return asked[0]


@pytest.mark.lowest
@pytest.mark.parametrize("name", FORMATS)
class TestFormats(FormatSuite):
    @pytest.fixture(autouse=True)
    def _subject(self, name: str, pool: Executor) -> None:
        self.format, self.executor = name, pool
        if loaded(name).write is None:
            self.sample = sample(name)


def sample(name: str) -> bytes:
    """Return a file of a format that is only read."""
    out = io.BytesIO()
    if name == "heif":
        pillow_heif.from_bytes("RGB", (67, 61), noise((61, 67, 3), "uint8").tobytes()).save(out)
        return out.getvalue()
    tifffile.imwrite(out, noise((61, 67, 3), "uint8"), tile=(16, 32), compression="deflate")
    return out.getvalue()


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=30)
@given(data=st.data())
def test_every_format_tells_of_damage_in_its_own_words(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp(name) / f"image{FORMATS[name].suffixes[0]}"
    if loaded(name).write is None:
        path.write_bytes(sample(name))
    else:
        imgpipe.write(noise((23, 19, 3), "uint8"), path)
    size = sum(map(len, parts_of(path).values()))
    at = st.lists(st.integers(0, size - 1), max_size=3)
    must_report_damage(path, cuts=data.draw(at), flips=data.draw(at))


def test_a_truncated_array_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "in.npy"
    np.save(path, noise((9, 9, 3), "uint8"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="truncated"):
        imgpipe.info(path)


class Kept(Executor):
    """An executor that is not ended with a test."""

    def __init__(self, inner: FarAwayExecutor) -> None:
        self.traits, self.submit = inner.traits, inner.submit


@pytest.mark.parametrize("name", [*EXECUTORS, "far away"])
@pytest.mark.usefixtures("pool")  # keeps the fork server of all pools
class TestExecutors(ExecutorSuite):
    @pytest.fixture(autouse=True)
    def _subject(self, name: str, request: pytest.FixtureRequest) -> None:
        self.executor = name
        if name == "far away":
            self.make = lambda _: Kept(request.getfixturevalue("far_away"))

    @pytest.mark.slow
    def test_survives_the_death_of_a_worker(self) -> None:
        super().test_survives_the_death_of_a_worker()
