"""Sameness: a file of a batch has the bytes that it has by itself, whichever way it is made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import imgpipe
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.work.answers import File, Made, Output, Recipe, Tail, TooLarge
from imgpipe.batches.work.heldfiles import publish
from imgpipe.batches.work.largefiles import LargeWork, request_of
from imgpipe.batches.work.smallfiles import make_files
from imgpipe.chains.chain import Chain
from imgpipe.chains.entry import chain_from
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.options import Options
from imgpipe.temporaries import temporary_beside
from tests.batches import make_images
from tests.conftest import noise
from tests.test_metadata_matrix import original
from tests.test_smallfiles import HERE


@dataclass(frozen=True)
class Case:
    """A file, and its outputs: the chain of each by its name."""

    source: Callable[[Path], Path]
    outputs: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)
    left: bool = False  # by one worker, to a crew
    copied: bool = False  # by one worker only


def pixels(suffix: str, shape: tuple[int, ...] = (70, 90, 3), dtype: str = "uint8") -> Any:
    def make(folder: Path) -> Path:
        path = folder / f"source{suffix}"
        imgpipe.write(noise(shape, dtype), path)
        return path

    return make


def everything(suffix: str) -> Any:
    """A file with all kinds of metadata that its format can hold, turned by 90 degrees."""

    def make(folder: Path) -> Path:
        path = folder / f"source{suffix}"
        imgpipe.convert(original(folder), path, autorotate=False, executor="serial")
        return path

    return make


def pages(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "source.tif") as file:
        for number in range(3):
            file.write(noise((40 + 30 * number, 50), "uint8", seed=number), metadata=None)
    return folder / "source.tif"


def animation(folder: Path) -> Path:
    frames = [Image.fromarray(noise((30, 40, 3), "uint8", seed=seed)) for seed in range(4)]
    frames[0].save(folder / "source.webp", save_all=True, append_images=frames[1:], lossless=True)
    return folder / "source.webp"


def pyramid(folder: Path) -> Path:
    imgpipe.write(noise((600, 700, 3), "uint8"), folder / "flat.png")
    imgpipe.run(folder / "flat.png", "invert", folder / "source.tif", save={"cog": True})
    return folder / "source.tif"


def torn(folder: Path) -> Path:
    path = pixels(".png", (200, 90, 3))(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    return path


def holes(folder: Path) -> Path:
    array = noise((60, 70, 1), "float32")
    array[20:30, 10:40] = np.nan
    np.save(folder / "source.npy", array)
    return folder / "source.npy"


SIZES = {f"{size}.{kind}": f"thumbnail:{size}" for kind in ("webp", "jpg") for size in (60, 20, 8)}
CASES = {
    "metadata of a PNG": Case(everything(".png"), {"out.tif": "blur:1"}),
    "metadata of a JPEG": Case(everything(".jpg"), {"out.jpg": "blur:1"}),
    "measuring": Case(pixels(".tif", dtype="uint16"), {"out.png": "autocontrast | blur:1"}),
    "fewer levels": Case(pixels(".png", (40, 50, 4), "uint16"), {"out.jpg": "invert"}),
    "floats": Case(holes, {"out.tif": "blur:1"}, {"nodata": -1.0}),
    "floats to integers": Case(
        pixels(".tif", dtype="float32"), {"out.png": "invert"}, {"value_range": "measured"}
    ),
    "several outputs": Case(everything(".jpg"), {"a.png": "blur:2", "b.webp": "resize:20x"}),
    "a thumbnail": Case(pixels(".jpg", (400, 600, 3)), {"out.jpg": "thumbnail:70"}),
    "thumbnails": Case(pixels(".jpg", (400, 600, 3)), SIZES),
    "pages": Case(pages, {"out.tif": "invert"}),
    "one page": Case(pages, {"out.png": "invert"}, {"page": 1}),
    "the first page": Case(pages, {"out.png": "invert"}),
    "an animation": Case(animation, {"out.png": "blur:1"}),
    "one frame for several": Case(animation, {"a.png": "blur:1", "b.gif": "invert"}),
    "salvage": Case(torn, {"out.png": "blur:1"}, {"salvage": True}),
    "a level": Case(pyramid, {"out.png": "invert"}, {"level": 1}),
    "to a pyramid": Case(
        pixels(".png", (600, 700, 3)), {"out.tif": "invert"}, {"save": {"cog": True}}, left=True
    ),
    "a folder": Case(pixels(".zarr"), {"out.png": "blur:1"}, left=True),
    "to a folder": Case(everything(".png"), {"out.zarr": "blur:1"}, left=True),
    "a second image": Case(pixels(".png"), {"out.png": "blend"}, left=True),
    "a copy": Case(everything(".jpg"), {"out.jpg": ""}, {"strip": True}, copied=True),
    "a copied folder": Case(pixels(".zarr"), {"out.zarr": ""}, copied=True),
    "a copy and another": Case(everything(".png"), {"a.png": "", "b.webp": ""}, copied=True),
}
READING = ("page", "level", "nodata", "salvage")


def recipe_of(case: Case, source: Path, folder: Path) -> Recipe:
    reading = {key: value for key, value in case.given.items() if key in READING}
    writing = {key: value for key, value in case.given.items() if key not in READING}
    tails = (
        Tail(chain_from(chain_of(text, folder)), Writing(**writing))
        for text in case.outputs.values()
    )
    return Recipe(tuple(tails), Reading(**reading), copies="" in case.outputs.values())


def chain_of(text: str, folder: Path) -> Any:
    if text != "blend":
        return text or Chain(())
    imgpipe.write(noise((70, 90, 3), "uint8", seed=9), folder / "other.png")
    from imgpipe.filters.colour import blend

    return blend(other=str(folder / "other.png"))


def file_in(source: Path, case: Case, out: Path) -> File:
    out.mkdir()
    each = (Output(str(out / name), temporary_beside(str(out / name))) for name in case.outputs)
    return File(str(source), tuple(each))


def alone(source: Path, case: Case, folder: Path, out: Path) -> None:
    """Make the outputs without a batch."""
    out.mkdir()
    given = case.given | {"executor": "serial", "workers": 1}
    if "" in case.outputs.values():
        for name in case.outputs:
            imgpipe.convert(source, out / name, **given)
    elif len(case.outputs) == 1:
        ((name, text),) = case.outputs.items()
        imgpipe.run(source, chain_of(text, folder), out / name, **given)
    else:
        imgpipe.run_all(source, {out / name: one for name, one in case.outputs.items()}, **given)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each case, a folder with its outputs: alone, by one worker and by two crews."""
    places: dict[str, Path] = {}
    works: dict[str, list[LargeWork]] = {"serial": [], "crew": []}
    for number, (name, case) in enumerate(CASES.items()):
        folder = places[name] = tmp_path_factory.mktemp(f"case{number}")
        source = case.source(folder)
        alone(source, case, folder, folder / "alone")
        recipe = recipe_of(case, source, folder)
        (answer,) = make_files(recipe, (file_in(source, case, folder / "small"),), HERE)
        assert isinstance(answer, TooLarge if case.left else Made), (name, answer)
        taken(answer, folder / "small")
        for way, each in works.items():
            if not case.copied:
                file = file_in(source, case, folder / way)
                each.append(request_of(file, recipe, Options(), lambda _: None))
    for way, each in works.items():
        executor = "serial" if way == "serial" else "processes"
        options = Options(workers=1 + (way == "crew"), executor=executor)
        for outcome in make_images([work.request for work in each], options):
            answer = each[outcome.turn].answer(outcome.error)
            assert isinstance(answer, Made), answer
            taken(answer, Path(answer.finished[0].output).parent)
    return places


def taken(answer: Any, out: Path) -> None:
    """Publish the outputs, and note the warnings."""
    if isinstance(answer, TooLarge):
        shutil.rmtree(out)
        return
    assert not publish(answer.finished)
    texts = sorted(text.replace(str(out), "") for text in answer.warnings)
    (out.parent / f"{out.name}.txt").write_text("\n".join(texts))


@pytest.mark.parametrize("name", CASES)
def test_every_way_gives_the_same_bytes_and_warnings(name: str, folders: dict[str, Path]) -> None:
    folder, case = folders[name], CASES[name]
    ways = [way for way in ("small", "serial", "crew") if (folder / way).exists()]
    assert len(ways) == (1 if case.copied else 2 if case.left else 3)
    wanted = {output: file_digest(str(folder / "alone" / output)) for output in case.outputs}
    for way in ways:
        made = {path.name: file_digest(str(path)) for path in (folder / way).iterdir()}
        assert made == wanted, way
    assert len({(folder / f"{way}.txt").read_text() for way in ways}) == 1
