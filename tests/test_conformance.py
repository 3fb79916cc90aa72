"""What every filter and every format must do, by being registered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.errors import CorruptError, ImgpipeError, UsageError
from imgpipe.filters.base import Filter
from imgpipe.filters.borders import BORDERS
from imgpipe.filters.grammar import format_chain, parse_chain
from imgpipe.registry import FILTERS, FORMATS
from tests.conftest import noise

SHAPE = (47, 59, 3)

REQUIRED = {
    "blend": {"other": noise(SHAPE, "uint8", 9)},
    "convolve": {"kernel": "1 2 3; 0 -4 1; 2 0 0.5"},
    "crop": {"x": 3, "y": 5, "width": 40, "height": 31},
    "lut": {"table": np.arange(256)[::-1]},
    "mix_channels": {"matrix": "0 1 0; 0.5 -0.3 0.9"},
    "resize": {"size": "70%", "method": "lanczos"},
    "tint": {"colour": "#f80"},
}


def made(name: str, dtype: str, border: str = "edge") -> Filter:
    """Return a registered filter, with values for what has no default."""
    params = dict(REQUIRED.get(name, {}))
    if name == "blend":
        params["other"] = params["other"].astype(dtype)
    if name == "lut" and dtype == "uint16":
        params["table"] = np.arange(65536)[::-1]
    return FILTERS.load(name)(**params, border=border)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_exact_under_any_cut(name: str, dtype: str, tmp_path: Path) -> None:
    array = noise(SHAPE, dtype)
    one = made(name, dtype)
    if name == "lut" and dtype == "float32":  # which has no levels
        with pytest.raises(UsageError, match="lut"):
            one(array)
        return
    expected = one(array)
    if name == "blend":
        np.save(tmp_path / "other.npy", one.keywords["other"])
        one = FILTERS.load(name)(other=str(tmp_path / "other.npy"))
    np.save(tmp_path / "in.npy", array)
    for chunk in (7, (5, 64), 1000):
        imgpipe.run(tmp_path / "in.npy", one, tmp_path / "o.npy", executor="serial", chunk=chunk)
        out = np.load(tmp_path / "o.npy")
        np.testing.assert_array_equal(out.reshape(expected.shape), expected)
    assert expected.dtype == array.dtype


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("border", BORDERS)
def test_every_filter_leaves_its_input_alone(name: str, border: str) -> None:
    array = noise(SHAPE, "uint8")
    before = array.copy()
    out = made(name, "uint8", border)(array)
    assert not np.shares_memory(out, array)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("name", sorted(set(FILTERS) - {"blend"}))
def test_every_filter_can_be_written_down_and_read_back(name: str) -> None:
    one = made(name, "uint8", "reflect")
    assert parse_chain(format_chain(one)) == one


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_back_what_it_was_given(
    name: str, channels: int, dtype: str, tmp_path: Path
) -> None:
    suffix = FORMATS.load(name).SUFFIXES[0]
    for shape in ((1, 1), (1, 211), (211, 1), (97, 89)):
        array = noise((*shape, channels), dtype)
        np.save(tmp_path / "in.npy", array)
        for executor in ("serial", "threads"):
            out = tmp_path / f"o{suffix}"
            imgpipe.run(tmp_path / "in.npy", imgpipe.Chain(()), out, executor=executor)
            np.testing.assert_array_equal(imgpipe.read(out), array)
            assert imgpipe.info(out).shape == array.shape


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(data=st.data())
def test_every_format_tells_of_damage_in_its_own_words(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp(name)
    suffix = FORMATS.load(name).SUFFIXES[0]
    np.save(folder / "in.npy", noise((23, 19, 3), "uint8"))
    whole = folder / f"whole{suffix}"
    imgpipe.run(folder / "in.npy", imgpipe.Chain(()), whole)
    content = bytearray(whole.read_bytes())
    damaged = folder / f"damaged{suffix}"

    cut = data.draw(st.integers(0, len(content) - 1))
    damaged.write_bytes(content[:cut])
    with pytest.raises(ImgpipeError, match="damaged"):
        imgpipe.read(damaged)

    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    damaged.write_bytes(content)
    said = what_reading_says(damaged)
    assert not said or str(damaged) in said


def what_reading_says(path: Path) -> str:
    try:
        imgpipe.read(path)
    except ImgpipeError as error:
        return str(error)
    return ""


def test_a_truncated_array_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "in.npy"
    np.save(path, noise((9, 9, 3), "uint8"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="truncated"):
        imgpipe.info(path)
