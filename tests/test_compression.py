"""Compression: a method, its effort, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import ParameterError
from imgpipe.formats.compression import Compression, Method, one_of
from imgpipe.parameters import Parameter
from imgpipe.signatures import parameters_of

METHODS = Method("deflate", 0, 9, usual=1), Method("zstd", 1, 22, usual=3), Method("lzw")
USUAL = Compression("deflate", 1)


def writer(
    target: object, info: object, *, compression: Annotated[Any, one_of(*METHODS), "How."] = USUAL
) -> None: ...


(OPTION,) = parameters_of(writer, after=2)


@pytest.mark.parametrize(
    ("given", "method", "effort"),
    [
        (6, "deflate", 6),
        (np.uint8(6), "deflate", 6),
        ("6", "deflate", 6),
        ("zstd", "zstd", 3),
        (" ZSTD:22 ", "zstd", 22),
        ("deflate:0", "deflate", 0),
        ("lzw", "lzw", None),
        (Compression("zstd", 1), "zstd", 1),
    ],
)
def test_it_is_a_method_its_effort_or_both(given: Any, method: str, effort: int | None) -> None:
    assert OPTION.check(given, "o.toy") == Compression(method, effort)
    assert OPTION.parse(str(given), "o.toy") == Compression(method, effort)


@pytest.mark.parametrize(
    "given",
    ["", "best", "none", "10", 10, -1, "-1", "deflate:10", "zstd:0", "zstd:", ":3", "lzw:1", "6:6",
     "zstd:1:2", 1.5, 6.0, True, None, b"zstd", ["zstd"], Compression("lzw", 1), ("zstd", 3)],
)  # fmt: skip
def test_all_else_is_refused_with_what_the_format_knows(given: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        OPTION.check(given, "o.toy")
    known = "o.toy: compression: must be deflate[:0-9], zstd[:1-22] or lzw, or 0-9 for deflate, not"
    assert str(caught.value) == f"{known} {given!r}"


def test_a_format_whose_only_method_has_no_effort_says_so() -> None:
    option = Parameter("compression", object, through=one_of(Method("none")))
    with pytest.raises(ParameterError, match="compression: must be none, not 3"):
        option.check(3, "o.toy")


def test_the_default_is_written_as_it_is_given() -> None:
    assert str(OPTION.default) == "deflate:1"
    assert str(Compression("lzw")) == "lzw"
    assert OPTION.parse(str(OPTION.default), "o.toy") == OPTION.default


def test_png_knows_deflate_and_none(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    for one, other in ((9, "deflate:9"), ("0", "none"), (2, "deflate")):
        files = []
        for compression in (one, other):
            imgpipe.write(pixels, tmp_path / "o.png", compression=compression)
            files.append((tmp_path / "o.png").read_bytes())
        assert files[0] == files[1]
