"""Choice of a format: by content, by suffix, and loading one module only."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import CorruptError, FormatError, UsageError
from imgpipe.filters import blur, invert
from imgpipe.formats import formatchoice
from imgpipe.formats.formatchoice import format_for, format_of
from imgpipe.registry import FORMATS, Member, Registry
from tests.conftest import noise


def known(monkeypatch: pytest.MonkeyPatch, **more: Member) -> None:
    """Have more formats in the table."""
    registry = Registry("format", {**FORMATS.built_in, **more})
    monkeypatch.setattr(formatchoice, "FORMATS", registry)


MISSING = Member(
    "imgpipe.formats.no_such_module",
    "FITS.",
    name="FITS",
    suffixes=(".fits", ".fit"),
    magic=(b"SIMPLE  =",),
    needs=("no_such_library",),
    extra="imgpipe[fits]",
)


def test_a_format_whose_library_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known(monkeypatch, fits=MISSING)
    says = r"photo.fits: FITS needs no_such_library: pip install 'imgpipe\[fits\]'"
    (tmp_path / "photo.fits").write_bytes(b"SIMPLE  = and more")
    with pytest.raises(FormatError, match=says):
        imgpipe.read(tmp_path / "photo.fits")
    with pytest.raises(UsageError, match=says):
        imgpipe.write(np.zeros((2, 2), np.uint8), tmp_path / "photo.fits")
    assert list(formatchoice.usable([])) == list(FORMATS.built_in)


def test_the_most_bytes_that_agree_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    riff = Member("json", "", name="RIFF", magic=(b"RIFF",))
    webp = Member("imgpipe.formats.npy", "", name="WebP", magic=(b"RIFF????WEBP",))
    known(monkeypatch, riff=riff, webp=webp)
    assert format_of("a", b"RIFF1234WEBPVP8 ").name == "NPY"  # stands for the module of WebP
    with pytest.raises(FormatError, match="'riff' is incomplete: json declares no FORMAT"):
        format_of("a", b"RIFF1234WAVEfmt ")
    with pytest.raises(FormatError, match="a: is not an image that imgpipe reads"):
        format_of("a", b"RIFF1234WEB"[1:])


def test_content_goes_before_the_suffix_which_decides_without_magic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert format_of("a.npy", b"\x89PNG\r\n\x1a\n").name == "PNG"
    known(monkeypatch, raw=Member("imgpipe.formats.npy", "", name="RAW", suffixes=(".raw",)))
    assert format_of("a.raw", b"\x89PNG\r\n\x1a\n").name == "PNG"
    assert format_of("a.raw", b"no magic").name == "NPY"
    with pytest.raises(FormatError, match="is not an image"):
        format_of("a.png", b"no magic")


def test_the_longest_suffix_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    longer = Member("imgpipe.formats.npy", "", name="OME", suffixes=(".ome.png",))
    known(monkeypatch, ome=longer)
    assert format_for("a.OME.PNG").name == "NPY"
    assert format_for("a.PNG").name == "PNG"
    with pytest.raises(
        UsageError, match=r"has no suffix for its format; .* \.png, .* or \.ome\.png"
    ):
        format_for(".png")


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_one_module_is_loaded(suffix: str, tmp_path: Path) -> None:
    imgpipe.write(np.zeros((2, 2), np.uint8), tmp_path / f"a.{suffix}")
    code = (
        "import sys, imgpipe\n"
        "imgpipe.write(imgpipe.read(sys.argv[1]), sys.argv[1])\n"
        "others = {'imgpipe.formats.png', 'imgpipe.formats.npy', 'importlib.metadata'}\n"
        "print(*sorted(others & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / f"a.{suffix}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"imgpipe.formats.{suffix}\n"


def test_an_unknown_suffix_is_answered_by_one_suffix_of_each_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        imgpipe.write(np.zeros((2, 2), np.uint8), tmp_path / "a.xyz")
    told = str(caught.value)
    assert "no format has the suffix '.xyz'; the output must end in .png, .jpg, " in told
    assert told.endswith(".gif or .qoi, or another suffix that `imgpipe formats` lists")
    assert ".heic" not in told  # which is only read
    assert ".jpeg" not in told


@pytest.mark.parametrize("options", [{"executor": "serial"}, {"workers": 2}])
def test_a_format_is_one_file_and_one_line(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = Member(
        "tests.toy_format",
        "Toy.",
        name="Toy",
        suffixes=(".toy", ".tny"),
        magic=(b"T6\n", b"T5\n"),
    )
    known(monkeypatch, toy=line)
    photo = noise((61, 53, 3), "uint8")
    imgpipe.write(photo, tmp_path / "in.png")
    imgpipe.run(
        tmp_path / "in.png", blur(2), tmp_path / "a.tny", save={"comment": "hello"}, **options
    )
    content = (tmp_path / "a.tny").read_bytes()
    assert content == b"T6\n# hello 0.5\n53 61\n255\n" + blur(2)(photo).tobytes()
    imgpipe.run(tmp_path / "a.tny", invert(), tmp_path / "b.png", **options)
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "b.png"), 255 - blur(2)(photo))
    np.testing.assert_array_equal(imgpipe.read(io.BytesIO(content)), blur(2)(photo))
    with pytest.raises(UsageError, match="Toy supports 1 and 3 channels, not 4"):
        imgpipe.write(noise((3, 4, 4), "uint8"), tmp_path / "c.tny")
    with pytest.raises(CorruptError, match="ends within its header"):
        imgpipe.read(io.BytesIO(content[:20]))
