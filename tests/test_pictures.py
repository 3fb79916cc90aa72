"""Small pictures: of any file, however bad, within a second or so."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgpipe.reportpages import pictures
from imgpipe.reportpages.pictures import small_pictures


def save(path: Path, image: np.ndarray, **options: object) -> str:
    Image.fromarray(image).save(path, **options)  # type: ignore[arg-type]
    return str(path)


def test_pictures_are_small_and_tell_the_size_of_the_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (900, 1200, 3), np.uint8)  # the worst for JPEG
    deep = (rng.random((300, 200)) * 65535).astype(np.uint16)
    floats = rng.random((30, 20)).astype(np.float32)
    clear = rng.integers(0, 256, (50, 60, 4), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    expected = {
        save(tmp_path / "noise.png", noise): (1200, 900),
        save(tmp_path / "turned.jpg", noise, exif=turned): (900, 1200),
        save(tmp_path / "deep.png", deep): (200, 300),
        save(tmp_path / "floats.tif", floats): (20, 30),
        save(tmp_path / "clear.webp", clear): (60, 50),
        save(tmp_path / "caf\udce9\n.png", clear): (60, 50),
    }
    made = small_pictures(list(expected))
    assert {path: (each.width, each.height) for path, each in made.items()} == expected
    for each in made.values():
        assert 0 < len(each.data) <= 15_000
        small = Image.open(io.BytesIO(each.data))
        assert max(small.size) <= 224
        assert (small.width > small.height) == (each.width > each.height)
        assert np.ptp(np.asarray(small)) > 50


def test_a_file_that_is_no_image_has_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    good = save(tmp_path / "good.png", np.zeros((9, 9), np.uint8))
    whole = Path(good).read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[:-30])
    bad = [str(tmp_path / name) for name in ("text.jpg", "torn.png", "gone.png")]
    made = small_pictures([*bad, good])
    assert made[good].data
    assert not any(made[path].data for path in bad if path in made)


def test_a_large_file_is_not_decoded(tmp_path: Path) -> None:
    large = save(tmp_path / "large.png", np.zeros((4001, 10_000), np.bool_))
    assert small_pictures([large]) == {large: (10_000, 4001, b"")}
    head = tmp_path / "head.png"
    head.write_bytes(Path(large).read_bytes()[:60])  # where the pixels begin: none are decoded
    assert small_pictures([str(head)]) == {str(head): (10_000, 4001, b"")}


def test_the_file_that_ends_the_process_has_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [save(tmp_path / f"{number}.png", np.zeros((9, 9), np.uint8)) for number in range(4)]
    program = Path(pictures.__file__).read_text()
    broken = tmp_path / "program.py"
    killing = "def _picture(path: bytes) -> Picture:\n    if b'/1.png' in path: os._exit(1)\n"
    broken.write_text(program.replace("def _picture(path: bytes) -> Picture:\n", killing))
    monkeypatch.setattr(pictures, "__file__", str(broken))
    assert sorted(small_pictures(names)) == [names[0], names[2], names[3]]


def test_no_time_gives_no_picture(tmp_path: Path) -> None:
    assert small_pictures([os.fspath(tmp_path / "a.png")], seconds=0) == {}
