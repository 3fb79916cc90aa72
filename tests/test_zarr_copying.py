"""Copies of Zarr images: chunks as they are, with or without metadata."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.errors import CorruptError
from imgpipe.formats import opening
from imgpipe.formats.soundness import Extent

PIXELS = np.random.default_rng(0).integers(0, 256, (150, 100, 3), np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return an image with three smaller levels, metadata, and chunks in shards."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Secret", 3
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif, dpi=(300, 300))
    path = tmp_path / "a.zarr"
    save = {"pyramid": True, "tile": 32, "shard": 64}
    imgpipe.convert(tmp_path / "a.png", path, save=save, autorotate=False, workers=1)
    return path


def files(path: Path) -> dict[str, bytes]:
    parts = (each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path)): each.read_bytes() for each in parts}


def convert(path: Path, *, copied: bool = True, **options: Any) -> Path:
    out = path.with_name("out.zarr")
    report = imgpipe.convert(path, out, workers=1, **options)
    assert ("copied as it is stored" in str(report)) is copied
    assert not [each for each in path.parent.iterdir() if each.name.startswith(".")]
    return out


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    made = json.loads(path.read_text())
    change(made)
    path.write_text(json.dumps(made))


def test_all_files_are_copied(image: Path) -> None:
    out = convert(image)
    assert files(out) == files(image)
    assert len(files(image)) > 15
    imgpipe.convert(image, image)
    assert files(image) == files(out)


def test_without_metadata_chunks_are_copied_and_declarations_are_new(image: Path) -> None:
    for level in range(4):
        rewritten(image / f"{level}/zarr.json", lambda made: made["attributes"].update(a="Secret"))
    rewritten(image / "zarr.json", lambda made: made["attributes"].update(b="Secret"))
    before, after = files(image), files(convert(image, strip=True))
    assert {part for part in before if before[part] != after[part]} == {
        part for part in before if part.endswith("zarr.json")
    }
    assert before.keys() == after.keys()
    assert b"Secret" not in b"".join(after.values())
    out = image.with_name("out.zarr")
    found = imgpipe.info(out)
    assert (found.metadata.dpi, found.metadata.texts) == (None, ())
    assert imgpipe.info(out, autorotate=False).metadata.orientation == 3
    for level in range(4):
        assert (imgpipe.read(out, level=level) == imgpipe.read(image, level=level)).all()
    again = image.with_name("again.zarr")
    imgpipe.convert(image, again, strip=True, autorotate=False, workers=1,
                    save={"pyramid": True, "tile": 32, "shard": 64})  # fmt: skip
    assert files(again) == after, "as if it had been encoded again"


def test_the_scales_of_levels_are_kept_but_not_the_size_of_a_pixel(image: Path) -> None:
    def change(made: dict[str, Any]) -> None:
        (one,) = made["attributes"]["ome"]["multiscales"]
        one["name"] = "Secret"
        for at, each in enumerate(one["datasets"]):
            scale = [1, 0.5 * 2**at, 0.5 * 2**at]
            each["coordinateTransformations"] = [{"type": "scale", "scale": scale}]

    rewritten(image / "zarr.json", change)
    (one,) = json.loads(files(convert(image, strip=True))["zarr.json"])["attributes"]["ome"][
        "multiscales"
    ]
    assert one["name"] == "image"
    assert not any("unit" in axis for axis in one["axes"])
    scales = [each["coordinateTransformations"][0]["scale"] for each in one["datasets"]]
    assert scales == [[1, 2**at, 2**at] for at in range(4)]


@pytest.mark.parametrize("strip", [False, True])
def test_an_array_is_copied_as_an_array(image: Path, *, strip: bool) -> None:
    rewritten(image / "0/zarr.json", lambda made: made["attributes"].update(a="Secret"))
    out = convert(image / "0", strip=strip).with_name("out.zarr")
    before, after = files(image / "0"), files(out)
    assert {part for part in before if before[part] != after[part]} == {"zarr.json"} & (
        {*after} if strip else set()
    )
    assert (b"Secret" in after["zarr.json"]) is not strip
    assert (imgpipe.read(out) == imgpipe.read(image / "0")).all()


def test_files_that_are_no_chunks_are_left_out(image: Path) -> None:
    before = files(image)
    for name in ("note.txt", "0/c/0/0/99", "0/c/0/0/00", "0/c/0/name"):
        (image / name).write_bytes(b"Secret")
    assert files(convert(image)) == before


def test_an_empty_chunk_does_not_become_a_missing_one(image: Path, monkeypatch: Any) -> None:
    (image / "0/c/0/0/0").write_bytes(b"")
    with pytest.raises(CorruptError):
        convert(image)

    def unchecked(_: Any, source: Any, *__: Any) -> Extent:
        return Extent(1, source.info.pixels, source.info)

    monkeypatch.setattr("imgpipe.converting.must_be_sound", unchecked)
    assert files(convert(image))["0/c/0/0/0"] == b""


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        ({"shard": 128, "tile": 32}, "the checksum of the index of the shard"),
        ({"compression": "none"}, "the chunk is truncated"),
        ({}, "the chunk is truncated"),
    ],
)
def test_files_that_are_cut_off_are_noticed_without_decoding(
    save: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: Any
) -> None:

    def nothing_decoded(_: Any, source: Any, *__: Any) -> tuple[Extent, bool]:
        return Extent(1, source.info.pixels, source.info), False

    monkeypatch.setattr("imgpipe.formats.soundness._decoded", nothing_decoded)
    path = tmp_path / "a.zarr"
    imgpipe.write(PIXELS, path, save=save)
    convert(path)
    shutil.rmtree(tmp_path / "out.zarr")
    part = path / "0/c/2/0/0"
    part.write_bytes(part.read_bytes()[:-1] if save else b"")
    with pytest.raises(CorruptError, match=f"0/c/2/0/0: the file is damaged: {reason}"):
        convert(path)
    assert os.listdir(tmp_path) == ["a.zarr"]


# ------------------------------------------------------------------ decoded and encoded again


def _linked(image: Path) -> None:
    (image / "0/c/0/0/0").rename(image.with_name("chunk"))
    (image / "0/c/0/0/0").symlink_to(image.with_name("chunk"))


def _linked_level(image: Path) -> None:
    (image / "1").rename(image.with_name("level"))
    (image / "1").symlink_to(image.with_name("level"), target_is_directory=True)


def _labelled(image: Path) -> None:
    shutil.copytree(image / "0", image / "labels/0")


def _array_among_chunks(image: Path) -> None:
    shutil.copy(image / "0/zarr.json", image / "0/c/0/zarr.json")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_linked, "links, such as 0/c/0/0/0"),
        (_linked_level, "links, such as 1"),
        (_labelled, "more than the image, such as labels"),
        (_array_among_chunks, "more than the image, such as 0/c/0/zarr.json"),
    ],
)
@pytest.mark.parametrize("strip", [False, True])
def test_an_image_that_is_not_plain_is_decoded(
    change: Callable[[Path], None],
    reason: str,
    image: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    strip: bool,
) -> None:
    change(image)
    out = convert(image, copied=False, strip=strip)
    (line,) = caplog.messages
    assert line == f"{image}: decoded and encoded again, because it holds {reason}"
    assert (imgpipe.read(out) == imgpipe.read(image)).all()
    assert not any(each.is_symlink() for each in out.rglob("*"))


@pytest.mark.parametrize("options", [{"alpha": "last"}, {"level": 1}, {"compression": "gzip"}])
def test_options_that_ask_for_something_else_are_not_ignored(
    options: dict[str, Any], image: Path, caplog: pytest.LogCaptureFixture
) -> None:
    convert(image, copied=False, **options)
    assert not caplog.messages


def test_nothing_is_left_after_an_interrupt(image: Path, monkeypatch: Any) -> None:
    pieces_of, count = opening.pieces_of, 0

    def pieces(origin: Any) -> Any:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return pieces_of(origin)

    monkeypatch.setattr("imgpipe.formats.zarr.copying.pieces_of", pieces)
    before = sorted(os.listdir(image.parent))
    with pytest.raises(KeyboardInterrupt):
        convert(image)
    assert sorted(os.listdir(image.parent)) == before
