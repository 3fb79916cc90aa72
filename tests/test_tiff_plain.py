"""Plain TIFF pages: read without tifffile, and exactly as with it."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import imgpipe
from imgpipe.errors import ImgpipeError
from imgpipe.formats.opening import open_sink
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.formats.tiff import contents, open_source, pages, plainpages
from imgpipe.image import ImageInfo, Metadata
from imgpipe.metadata import density_from_dpi
from imgpipe.testing.files import put_in
from tests.conftest import noise

CORPUS = sorted(Path(os.environ.get("IMGPIPE_CORPORA", "/nowhere")).glob("libtiffpic/**/*.tif"))
INFO = {"icc": bytes(36) + b"acsp" + bytes(90), "pixels_per_metre": density_from_dpi(300, 240)}


def saved(pixels: np.ndarray, metadata: Metadata | None = None, **save: Any) -> bytes:
    out = io.BytesIO()
    out.name = "o.tif"
    colour = "rgb" if pixels.shape[2] in (3, 4) else "gray"
    info = ImageInfo(
        *pixels.shape, pixels.dtype, 3 if pixels.shape[2] == 4 else None, colour,
        metadata or Metadata(),
    )  # fmt: skip
    sink = open_sink(out, info, save)
    put_in(sink, pixels)
    sink.commit()
    return out.getvalue()


def by_tifffile(pixels: np.ndarray, **given: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, software=False, **given)
    return out.getvalue()


def by_pillow(pixels: np.ndarray, **given: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "TIFF", **given)
    return out.getvalue()


def plain_files() -> dict[str, bytes]:
    found = {}
    for dtype in ("uint8", "int16", "uint32", "float16", "float64"):
        for channels in (1, 3, 4):
            found[f"{dtype} {channels}"] = saved(noise((40, 70, channels), dtype), compression=0)
    rgb = noise((300, 200, 3), "uint8")
    for compression in ("none", "deflate", "lzw", "jpeg"):
        found[compression] = saved(rgb, compression=compression, tile=16)
        if compression != "jpeg":
            found[f"{compression} strips"] = saved(rgb, compression=compression, tile="strips")
    found["metadata"] = saved(rgb, Metadata(**INFO))
    found["big-endian"] = by_tifffile(rgb, byteorder=">", photometric="rgb")
    found["planes"] = by_tifffile(
        np.moveaxis(rgb, 2, 0), planarconfig="separate", photometric="rgb", tile=(32, 48)
    )
    found["a row a strip"] = by_tifffile(rgb, rowsperstrip=1, photometric="rgb")
    found["white is zero"] = by_tifffile(rgb[..., 0], photometric="miniswhite")
    found["resolution"] = by_tifffile(rgb, resolution=(72, 72), resolutionunit="CENTIMETER")
    found["Pillow"] = by_pillow(rgb)
    found["Pillow, CMYK"] = by_pillow(noise((50, 60, 4), "uint8"), dpi=(300, 300))
    return found


def others() -> dict[str, bytes]:
    rgb = noise((40, 50, 3), "uint8")
    two = io.BytesIO()
    with tifffile.TiffWriter(two) as writer:
        for _ in range(2):
            writer.write(rgb, metadata=None, software=False, photometric="rgb")
    return {
        "described": by_tifffile(rgb, description="a text"),
        "an unknown tag": by_tifffile(rgb, extratags=[(65001, 4, 1, 7, True)]),
        "two pages": two.getvalue(),
        "BigTIFF": by_tifffile(rgb, bigtiff=True),
        "zstd": saved(rgb, compression="zstd"),
        "1 bit": by_pillow(rgb[..., 0] > 99),
        "a pyramid": saved(noise((300, 300, 1), "uint8"), pyramid=True),
    }


def outcome(data: bytes) -> Any:
    """Return all that is known of a file, or its error."""
    origin = MemoryOrigin(data)
    try:
        source = open_source(origin)
        return source.description, source.access, contents(MemoryOrigin(data))
    except ImgpipeError as error:
        return type(error), str(error)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return whether a file was plain, its outcome, and that of tifffile."""

    def call(data: bytes) -> tuple[bool, Any, Any]:
        seen = []

        def noted(*given: Any) -> Any:
            seen.append(plainpages.plain_page(*given))
            return seen[-1]

        with monkeypatch.context() as patch:
            patch.setattr(pages, "plain_page", noted)
            ours = outcome(data)
            patch.setattr(pages, "plain_page", lambda *_: None)
            return any(seen), ours, outcome(data)

    return call


def test_plain_files_are_described_as_by_tifffile(both: Any) -> None:
    for name, data in plain_files().items():
        was_plain, ours, theirs = both(data)
        assert was_plain, name
        assert isinstance(ours[1], str), name
        assert ours == theirs, name


def test_all_others_are_left_to_tifffile(both: Any) -> None:
    for name, data in others().items():
        was_plain, ours, theirs = both(data)
        assert not was_plain, name
        assert ours == theirs, name


@pytest.mark.parametrize("name", ["none", "jpeg", "deflate strips", "planes", "metadata"])
def test_damaged_directories_have_the_same_outcome(name: str, both: Any) -> None:
    whole, chance = plain_files()[name], random.Random(name)
    order = "<" if whole[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", whole, 4)
    (count,) = struct.unpack_from(f"{order}H", whole, place)
    were_plain = 0
    for _ in range(40):
        data = bytearray(whole)
        at = place + 2 + 12 * chance.randrange(count) + chance.choice((0, 2, 4, 8, 9, 10))
        data[at] = chance.choice((0, 1, 2, 3, 5, 6, 7, 8, 16, 255, data[at] ^ 1))
        was_plain, ours, theirs = both(bytes(data))
        were_plain += was_plain and data != whole
        assert ours == theirs, (name, at - place)
    assert were_plain


@pytest.mark.skipif(not CORPUS, reason="the pictures of libtiff are not here")
def test_the_pictures_of_libtiff_are_described_as_by_tifffile(both: Any) -> None:
    for path in CORPUS:
        _, ours, theirs = both(path.read_bytes())
        assert ours == theirs, path.name


def test_a_plain_file_does_not_load_tifffile(tmp_path: Path) -> None:
    imgpipe.write(noise((40, 50, 3), "uint8"), tmp_path / "in.tif", save={"compression": "none"})
    code = (
        "import sys; from imgpipe.formats.opening import open_source;"
        "open_source(sys.argv[1]); assert 'tifffile' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "in.tif"], check=True)
