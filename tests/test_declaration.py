"""Declarations of formats: the table of the registry says the same, and options are parameters."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

import imgpipe
from imgpipe import Between
from imgpipe.cli.saving import help_of
from imgpipe.errors import ParameterError, UsageError
from imgpipe.filters import invert
from imgpipe.formats import png
from imgpipe.formats.declaration import Format
from imgpipe.formats.formatchoice import loaded
from imgpipe.parameters import Parameter
from imgpipe.registry import FORMATS


@pytest.mark.parametrize("name", FORMATS.built_in)
def test_the_table_says_what_the_format_declares(name: str) -> None:
    known, declared = FORMATS.built_in[name], loaded(name)
    for what in ("name", "suffixes", "magic", "marks", "needs", "extra", "read_only"):
        assert getattr(known, what) == getattr(declared, what)
    assert known.options == tuple(map(help_of, declared.options))
    assert known.summary.endswith(".")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_declares_what_others_need(name: str) -> None:
    declared = loaded(name)
    assert declared.read, "formats that are only written are of no use"
    assert all(suffix.startswith(".") and suffix.islower() for suffix in declared.suffixes)
    assert all(option.text for option in declared.options), "every option has a line of help"
    assert not any(option.required for option in declared.options)
    if declared.album is not None:  # an option holds for files of several frames too
        taken = inspect.signature(declared.album).parameters.values()
        rest = any(each.kind is each.VAR_KEYWORD for each in taken)
        assert rest or {each.name for each in declared.options} <= {each.name for each in taken}
    if declared.unless:  # the option that makes a file lossy or lossless exists
        assert declared.unless.split()[0] in {f"--{option.name}" for option in declared.options}


def write(
    target: Any,
    info: Any,
    *,
    quality: Annotated[int, Between(1, 100), "Quality."] = 90,
    mode: Annotated[Literal["fast", "small"], "How."] = "fast",
) -> Any:
    raise NotImplementedError


TOY = Format("Toy", (".toy",), write=write)


def test_options_are_read_from_the_signature_of_the_writer() -> None:
    assert TOY.options == (
        Parameter("quality", int, 90, bounds=Between(1, 100), text="Quality."),
        Parameter("mode", str, "fast", choices=("fast", "small"), text="How."),
    )
    assert [option.name for option in png.FORMAT.options] == ["compression"]


def test_an_option_that_is_not_there_is_refused_by_naming_what_is() -> None:
    with pytest.raises(
        ParameterError, match=r"a.toy: Toy has no option 'speed'; its options: qual"
    ):
        TOY.option("speed", "a.toy")


SOURCE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize(
    ("name", "save", "says"),
    [
        ("o.png", {"compression": 10}, "o.png: compression: must be deflate[:0-9] or none, or 0-9"),
        ("o.png", {"compression": "zstd"}, "or 0-9 for deflate, not 'zstd'"),
        ("o.png", {"quality": 3}, "o.png: PNG has no option 'quality'; its options: compression"),
        ("o.npy", {"compression": 3}, "o.npy: NPY has no option 'compression'; it has no options"),
        ("o.png", ["compression"], "save must be the options of the output format by name"),
    ],
)
def test_options_are_refused_before_anything_is_read(
    name: str, save: Any, says: str, tmp_path: Path
) -> None:
    (tmp_path / "in.png").write_text("no image")
    with pytest.raises(UsageError) as caught:
        imgpipe.run(tmp_path / "in.png", invert(), tmp_path / name, save=save)
    assert says in str(caught.value)
    with pytest.raises(UsageError, match=r"o\.npy|save"):
        imgpipe.write(SOURCE, tmp_path / "o.npy", save=save)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_options_reach_the_writer_under_either_spelling(tmp_path: Path) -> None:
    imgpipe.write(SOURCE, tmp_path / "in.npy")
    files = {}
    for name, given in {
        "save": {"save": {"compression": 0}},
        "alone": {"compression": 0},
        "usual": {},
    }.items():
        imgpipe.run(tmp_path / "in.npy", invert(), tmp_path / f"{name}.png", **given)
        files[name] = (tmp_path / f"{name}.png").read_bytes()
    assert files["save"] == files["alone"] != files["usual"]
    with pytest.raises(UsageError, match="compression is given twice"):
        imgpipe.write(SOURCE, tmp_path / "o.png", compression=1, save={"compression": 1})
