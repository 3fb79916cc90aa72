"""PNM, BMP and TGA: files of other programs are read, and files of imgpipe by other programs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.errors import CorruptError, FormatError, ImgpipeError, LimitError, UsageError
from imgpipe.filters import blur
from imgpipe.formats.opening import open_source
from imgpipe.geometry import Box

SEED = np.random.default_rng(5)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def picture(channels: int, dtype: Any = np.uint8, height: int = 13, width: int = 19) -> np.ndarray:
    top = np.iinfo(dtype).max
    pixels = SEED.integers(0, top, (height, width, channels), dtype, endpoint=True)
    return pixels if channels > 1 else pixels[..., 0]


def equal(path: Path, pixels: np.ndarray) -> None:
    """Check all pixels, a box, and the same from memory."""
    whole = pixels.reshape(*pixels.shape[:2], -1)
    source = open_source(path)
    assert source.info.dtype == pixels.dtype
    assert (imgpipe.read(path) == whole).all()
    height, width = pixels.shape[:2]
    box = Box(min(3, height - 1), min(5, width - 1), min(9, height), min(14, width))
    assert (imgpipe.read(path, box) == whole[box.slices]).all()
    assert (imgpipe.read(io.BytesIO(path.read_bytes())) == whole).all()


WRITTEN = [
    (".bmp", 1, "uint8"), (".bmp", 3, "uint8"), (".bmp", 4, "uint8"),
    (".tga", 1, "uint8"), (".tga", 2, "uint8"), (".tga", 3, "uint8"), (".tga", 4, "uint8"),
    (".pgm", 1, "uint8"), (".ppm", 3, "uint8"), (".pam", 2, "uint8"), (".pam", 4, "uint8"),
    (".pgm", 1, "uint16"), (".ppm", 3, "uint16"), (".pam", 2, "uint16"), (".pam", 4, "uint16"),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "channels", "dtype"), WRITTEN)
def test_round_trip(tmp_path: Path, suffix: str, channels: int, dtype: str) -> None:
    pixels = picture(channels, dtype)
    path = tmp_path / f"a{suffix}"
    imgpipe.write(pixels, path)
    equal(path, pixels)
    info = imgpipe.info(path)
    assert info.alpha == (channels - 1 if channels in (2, 4) else None)
    if suffix == ".pam":
        return  # the others here do not read it
    if dtype == "uint8":
        with Image.open(path) as image:
            assert (np.asarray(image.convert(MODES[channels])) == pixels).all()
    else:
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if found is not None and channels in (1, 3):
            assert ((found if channels == 1 else found[..., ::-1]) == pixels).all()


@pytest.mark.parametrize("suffix", [".bmp", ".tga", ".ppm"])
def test_same_bytes_for_any_way(tmp_path: Path, suffix: str) -> None:
    pixels = picture(3, height=90, width=71)
    imgpipe.write(pixels, tmp_path / "in.png")
    found = []
    for number, options in enumerate(({"workers": 1}, {"chunk": 7, "executor": "threads"})):
        out = tmp_path / f"o{number}{suffix}"
        imgpipe.run(tmp_path / "in.png", blur(), out, **options)
        found.append(out.read_bytes())
    memory = io.BytesIO()
    memory.name = f"o{suffix}"
    imgpipe.run(tmp_path / "in.png", blur(), memory)
    assert found[0] == found[1] == memory.getvalue()
    assert (imgpipe.read(tmp_path / f"o0{suffix}") == blur()(pixels)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "RGB;16", "RLE"])
def test_bmp_of_others(tmp_path: Path, mode: str) -> None:
    path, pixels = tmp_path / "a.bmp", picture(3)
    image = Image.fromarray(pixels)
    if mode == "RGB;16":
        fields = (pixels >> 3).astype(np.uint16)
        values = fields[..., 0] << 10 | fields[..., 1] << 5 | fields[..., 2]
        rows = np.zeros((13, 20), "<u2")
        rows[:, :19] = values[::-1]
        Image.new("RGB", (19, 13)).save(path)
        head = bytearray(path.read_bytes()[:54])
        head[28] = 16
        path.write_bytes(bytes(head) + rows.tobytes())
        equal(path, ((fields.astype(int) * 255 + 15) // 31).astype(np.uint8))
        return
    if mode == "RLE":
        path.write_bytes(run_lengths())
        assert imgpipe.read(path)[..., 0].tolist() == [[3, 3, 3, 3], [5, 5, 5, 5]]
        return
    if mode == "P":
        image = image.quantize(30)
    elif mode == "RGBA":
        image = Image.fromarray(picture(4))
    else:
        image = image.convert(mode)
    image.save(path)
    # Without a header of version 4, the fourth byte means nothing, and Pillow ignores it too.
    wanted = image.convert({"1": "L", "P": "RGB", "RGBA": "RGB"}.get(mode, mode))
    equal(path, np.asarray(wanted))


def run_lengths() -> bytes:
    """Return a BMP of 4 x 2 pixels with run lengths and a gray palette."""
    palette = b"".join(bytes((v, v, v, 0)) for v in range(256))
    data = bytes((4, 5, 0, 0, 4, 3, 0, 0, 0, 1))
    import struct

    head = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, 1, len(data), 0, 0, 256, 0)
    offset = 14 + 40 + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset) + head + palette + data


def test_bmp_from_top_to_bottom(tmp_path: Path) -> None:
    pixels = picture(3)
    path = tmp_path / "a.bmp"
    Image.fromarray(pixels[::-1].copy()).save(path)
    data = bytearray(path.read_bytes())
    data[22:26] = (-13).to_bytes(4, "little", signed=True)
    path.write_bytes(data)
    equal(path, pixels)


def test_bmp_keeps_the_resolution(tmp_path: Path) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "a.png", dpi=(300, 300))
    imgpipe.convert(tmp_path / "a.png", tmp_path / "a.bmp")
    assert imgpipe.info(tmp_path / "a.bmp").metadata.dpi == (300, 300)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("orientation", [-1, 1])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_tga_of_others(tmp_path: Path, mode: str, orientation: int, compression: Any) -> None:
    image = Image.fromarray(picture(4))
    image = image.convert("RGB").quantize(30) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.tga", orientation=orientation, compression=compression)
    equal(tmp_path / "a.tga", np.asarray(image.convert("RGB" if mode == "P" else mode)))


def test_tga_with_an_unusual_header_is_known_by_its_suffix(tmp_path: Path) -> None:
    pixels = picture(3)
    imgpipe.write(pixels, tmp_path / "a.tga")
    data = bytearray((tmp_path / "a.tga").read_bytes())
    data[7] = 24  # bits of the colours of a palette that is not there
    (tmp_path / "a.tga").write_bytes(data)
    assert (imgpipe.read(tmp_path / "a.tga") == pixels).all()


PLAIN = [
    (b"P2 # gray\n3 2\n#c\n255\n0 1 2\n3 4 255", [[0, 1, 2], [3, 4, 255]]),
    (b"P2\n2 1\n15\n15 7", [[255, 119]]),
    (b"P1\n3 2\n010\n1 0 1\n", [[255, 0, 255], [0, 255, 0]]),
    (b"P4\n10 1\n\x81\x40", [[0, *[255] * 6, 0, 255, 0]]),
    (b"P5 2 1 100 \x64\x32", [[255, 128]]),
    (b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\1\0", [[255, 0]]),
]


@pytest.mark.parametrize(("data", "wanted"), PLAIN)
def test_pnm_of_others(tmp_path: Path, data: bytes, wanted: list[list[int]]) -> None:
    (tmp_path / "a.pnm").write_bytes(data)
    equal(tmp_path / "a.pnm", np.array(wanted, np.uint8))


def test_pnm_of_12_bits_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(
        b"P5\n3 1\n4095\n" + np.array([0, 2048, 4095], ">u2").tobytes()
    )
    assert imgpipe.read(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 32776, 65535]


@pytest.mark.parametrize("suffix", [".bmp", ".tga", ".pgm"])
def test_every_truncated_file_is_an_error(tmp_path: Path, suffix: str) -> None:
    imgpipe.write(picture(1), tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    pixels_end = len(data) - (26 if suffix == ".tga" else 0)
    for size in {*range(1, 70), pixels_end - 2}:
        (tmp_path / f"a{suffix}").write_bytes(data[:size])
        with pytest.raises((CorruptError, FormatError)):
            imgpipe.read(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".bmp", ".tga", ".pgm"])
def test_damaged_headers_are_errors_or_images(tmp_path: Path, suffix: str) -> None:
    imgpipe.write(picture(1), tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    random = np.random.default_rng(1)
    for _ in range(150):
        changed = bytearray(data)
        for at in random.integers(2, 54, 3):
            changed[at] = random.integers(0, 256)
        (tmp_path / f"a{suffix}").write_bytes(changed)
        try:
            imgpipe.read(tmp_path / f"a{suffix}")
        except ImgpipeError:
            continue


def test_a_huge_declared_size_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 999999 999999 255 ")
    with pytest.raises(LimitError):
        imgpipe.read(tmp_path / "a.pgm")


def test_bmp_of_more_than_4_gb_is_refused(tmp_path: Path) -> None:
    from imgpipe.formats.opening import open_sink
    from imgpipe.image import ImageInfo

    info = ImageInfo(40_000, 40_000, 3, np.dtype(np.uint8), None, "rgb")
    with pytest.raises(UsageError, match="BMP holds up to 4 GB"):
        open_sink(tmp_path / "a.bmp", info)
