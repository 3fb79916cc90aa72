"""Inks with a colour profile: converted as LittleCMS does, in pieces as in one, and told."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import imgpipe
from imgpipe.filters import blur, to_rgb
from imgpipe.image import ImageInfo, Metadata
from imgpipe.inkprofiles import is_profiled, rgb_by_profile
from tests.conftest import noise

GRID = 5


def profile() -> bytes:
    """Return a profile of inks on yellowish paper, put together by hand: a table of CIELAB."""
    cyan, magenta, yellow, black = np.meshgrid(*[np.linspace(0, 1, GRID)] * 4, indexing="ij")
    paper = 1 - black
    light = 96 * paper * (1 - 0.4 * cyan) * (1 - 0.5 * magenta) * (1 - 0.1 * yellow)
    a = 60 * (magenta - 0.6 * cyan) * paper
    b = (4 + 80 * yellow - 40 * cyan) * paper
    lab = np.stack([light * 652.8, (a + 128) * 256, (b + 128) * 256], axis=-1)
    one = struct.pack(">i", 65536)
    table = b"mft2" + bytes(4) + bytes((4, 3, GRID, 0))
    table += b"".join(one if at % 4 == 0 else bytes(4) for at in range(9))
    table += struct.pack(">HH8H", 2, 2, *[0, 65535] * 4)
    table += np.clip(np.rint(lab), 0, 65535).astype(">u2").tobytes()
    table += struct.pack(">6H", *[0, 65535] * 3)
    white = struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + white,
        b"A2B0": table,
    }
    start = 132 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        index += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", start + len(body), b"none", 0x02400000, b"prtr",
                       b"CMYK", b"Lab ", bytes(12), b"acsp")  # fmt: skip
    return (head + bytes(28) + white).ljust(128, b"\0") + index + body


PROFILE = profile()
KNOWN = ImageInfo(31, 23, 4, np.dtype(np.uint8), None, "cmyk", Metadata(icc=PROFILE))


def by_pillow(inks: Any) -> Any:
    image = Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes())
    profiles = ImageCms.ImageCmsProfile(io.BytesIO(PROFILE)), ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    made = ImageCms.profileToProfile(image, *profiles, 1, "RGB", flags=flags)
    return np.asarray(made)


def test_the_result_is_that_of_littlecms() -> None:
    inks = noise((31, 23, 4), "uint8", 1)
    made = rgb_by_profile(inks, PROFILE)
    assert np.array_equal(made, by_pillow(inks))
    fine = rgb_by_profile(inks.astype(np.uint16) * 257, PROFILE)
    assert fine.dtype == np.uint16
    assert np.abs(fine / 257 - made).max() < 2
    for cut in (slice(0, 7), slice(7, 31)):
        assert np.array_equal(rgb_by_profile(inks[cut, ::2], PROFILE), made[cut, ::2])


def test_0_is_no_ink() -> None:
    made = rgb_by_profile(np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]], np.uint8), PROFILE)
    assert made.tolist() == [[[255, 255, 255], [0, 0, 0]]]


def test_only_sound_profiles_of_inks_are_used() -> None:
    assert is_profiled(KNOWN)
    assert is_profiled(replace(KNOWN, dtype=np.dtype(np.uint16)))
    assert not is_profiled(replace(KNOWN, dtype=np.dtype(np.float32)))
    assert not is_profiled(replace(KNOWN, colour="rgb"))
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (None, b"", rgb, PROFILE[:150], PROFILE[:16] + b"RGB " + PROFILE[20:]):
        assert not is_profiled(replace(KNOWN, metadata=Metadata(icc=icc)))


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_a_target_without_inks_gets_srgb_and_not_their_profile(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / f"in{suffix}", tmp_path / "out.png"
    inks = noise((31, 23, 4), "uint8", 1)
    Image.frombytes("CMYK", (23, 31), inks.tobytes()).save(path, icc_profile=PROFILE)
    read = imgpipe.read(path)
    for executor in ("serial", "threads"):
        imgpipe.convert(path, out, executor=executor, workers=2, chunk=9)
        assert np.array_equal(imgpipe.read(out), by_pillow(read))
        assert imgpipe.info(out).metadata.icc is None
    assert f"{out}: converted for PNG: CMYK becomes RGB by its colour profile" in caplog.messages
    imgpipe.run(path, blur(1), tmp_path / "kept.tif", executor="serial")
    assert imgpipe.info(tmp_path / "kept.tif").metadata.icc == PROFILE
    imgpipe.run(path, blur(1) | to_rgb(), tmp_path / "chain.tif", executor="serial")
    assert np.array_equal(imgpipe.read(tmp_path / "chain.tif"), by_pillow(blur(1)(read)))
