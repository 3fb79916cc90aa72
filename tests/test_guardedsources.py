"""Decoders of other packages: an exception of theirs is an error that names file and format."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import CorruptError
from imgpipe.formats.opening import open_source
from imgpipe.formats.readwrite import Reading
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.registry import FORMATS
from tests.toy_format import FORMAT

INFO = ImageInfo(20, 30, 1, np.dtype("uint8"), colour="gray")
SAYS = r"a\.bad: cannot be read as Toy \(KeyError: 'oops'\)"


@dataclass(frozen=True)
class Bad:
    """A source of any access whose decoder is wrong."""

    origin: Any
    info: ImageInfo = INFO
    grain: tuple[int, int] = (1, 0)
    decode_bytes: int = 0
    compressed: bool = True

    @property
    def name(self) -> str:
        return str(self.origin.name)

    def read(self, box: Box) -> Pixels:
        raise KeyError("oops")

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        raise KeyError("oops")

    def decode_into(self, out: Pixels, check: Any = None) -> None:
        raise KeyError("oops")

    def rows(self, *, ahead: bool = False) -> Any:
        return self

    def read_into(self, out: Pixels) -> None:
        raise KeyError("oops")

    def close(self) -> None:
        pass


class Random(Bad):
    access: ClassVar[str] = "random"


class Sequential(Bad):
    access: ClassVar[str] = "sequential"


class Whole(Bad):
    access: ClassVar[str] = "whole"


@pytest.mark.parametrize("kind", [Random, Sequential, Whole])
@pytest.mark.parametrize("way", [{"executor": "serial"}, {"executor": "threads", "workers": 2}])
def test_pixels_that_cannot_be_decoded(kind: Any, way: dict[str, Any], tmp_path: Path) -> None:
    bad = replace(FORMAT, suffixes=(".bad",), magic=(), read=lambda origin, most: kind(origin))
    path = tmp_path / "a.bad"
    path.write_bytes(b"bad!")
    with FORMATS.with_member("bad", bad):
        with pytest.raises(CorruptError, match=SAYS):
            imgpipe.read(path)
        with pytest.raises(CorruptError, match=SAYS):
            imgpipe.run(path, "invert", tmp_path / "out.png", **way)
        assert not (tmp_path / "out.png").exists()


def test_a_header_that_cannot_be_read(tmp_path: Path) -> None:
    def fails(origin: Any, most: int | None) -> Any:
        raise KeyError("oops")

    path = tmp_path / "a.bad"
    path.write_bytes(b"bad!")
    bad = replace(FORMAT, suffixes=(".bad",), magic=(), read=fails)
    with FORMATS.with_member("bad", bad), pytest.raises(CorruptError, match=SAYS):
        imgpipe.info(path)


def test_a_guarded_source_is_the_source_in_all_else(tmp_path: Path) -> None:
    path = tmp_path / "a.toy"
    with FORMATS.with_member("toy", FORMAT):
        imgpipe.write(np.arange(12, dtype=np.uint8).reshape(3, 4), path)
        source = pickle.loads(pickle.dumps(open_source(path, Reading())))
    assert type(source).__name__.startswith("Guarded")
    assert source.origin.path == str(path)
    assert source.read(source.info.box).ravel().tolist() == list(range(12))
