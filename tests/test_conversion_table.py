"""The table of conversions: what becomes of every kind of image in every format.

``=`` the same values; ``!`` the same ones or close, and a line tells what may be lost; ``+`` more
channels or bits, and nothing is lost; ``~`` a conversion that one line tells; ``-`` refused in one
line, before anything is read or written. The inputs are written
by Pillow and tifffile, and the expected values are computed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import imgpipe
from imgpipe.errors import UsageError
from imgpipe.formats.formatchoice import loaded
from imgpipe.registry import FORMATS
from imgpipe.testing.pictures import ramps

ROWS, COLUMNS = 24, 40
KINDS = [
    *("bit", "palette", "gray", "ga", "rgb", "rgba", "cmyk"),
    *("uint16", "int16", "uint32", "float16", "float32", "float64"),
]
TABLE = {
    "png": "= = = = = = ~ = - ~ - - -",
    "jpeg": "= = = ~ = ~ = ~ - ~ - - -",
    "tiff": "= = = = = = = = = = = = =",
    "npy": "= = = ! = ! ! = = = = = =",
    "zarr": "= = = = = = = = = = = = =",
    "pnm": "= = = = = = ~ = - ~ - - -",
    "bmp": "= = = + = = ~ ~ - ~ - - -",
    "tga": "= = = = = = ~ ~ - ~ - - -",
    "gif": "= ! = ~ ! ! ~ ~ - ~ - - -",
    "qoi": "+ = + + = = ~ ~ - ~ - - -",
    "webp": "+ = + + = = ~ ~ - ~ - - -",
    "avif": "= = = + = = ~ ~ - ~ - - -",
    "jpegxl": "= = = = = = ~ = - ~ + = ~",
    "jpeg2000": "= = = = = = ~ = - ~ - - -",
}
SAVE: dict[str, dict[str, Any]] = {
    "webp": {"lossless": True},
    "avif": {"lossless": True},
    "jpeg": {"quality": 100, "subsampling": "4:4:4"},
}
NEAR = {"jpeg": 4, "gif": 24}  # of 255: rounding, and the 256 colours of a palette


def pictures() -> dict[str, Any]:
    """Return the values of each kind, shape (rows, columns, channels)."""
    made: dict[str, Any] = {}
    for name, channels in (("gray", 1), ("ga", 2), ("rgb", 3), ("rgba", 4), ("cmyk", 4)):
        made[name] = ramps((ROWS, COLUMNS, channels), "uint8")
        if name in ("ga", "rgba"):
            made[name][..., -1] = 255 * (np.indices((ROWS, COLUMNS)).sum(axis=0) % 30 > 7)
    made["bit"] = np.where(made["gray"] > 99, 255, 0).astype(np.uint8)
    made["palette"] = made["rgb"] // 64 * 80
    for dtype in KINDS[7:]:
        kind = np.dtype(dtype).kind
        ramp = ramps((ROWS, COLUMNS, 1), dtype if kind in "iu" else "uint8")
        made[dtype] = ramp if kind in "iu" else (ramp / 300).astype(dtype)
    return made


PICTURES = pictures()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a file of every kind, as others write it."""
    folder = tmp_path_factory.mktemp("kinds")
    made = {kind: folder / f"{kind}.tif" for kind in KINDS}
    for kind, path in made.items():
        array, how = PICTURES[kind], {"photometric": "minisblack"}
        if kind == "bit":  # ink on paper: white is 0
            array, how = PICTURES[kind][..., 0] == 0, {"photometric": "miniswhite"}
        if kind in ("palette", "gray", "ga", "rgb", "rgba"):
            image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
            made[kind] = path.with_suffix(".png")
            (image.convert("P", palette=1) if kind == "palette" else image).save(made[kind])
            continue
        if kind == "cmyk":
            how = {"photometric": "separated"}
        tifffile.imwrite(path, array.squeeze(), metadata=None, software=False, **how)
    return made


def expected(kind: str, channels: int, dtype: np.dtype[Any]) -> Any:
    """Return the values of a kind in so many channels of a type."""
    made = PICTURES[kind].astype(np.float64)
    if kind == "cmyk" and channels == 3:
        made = (255 - made[..., :3]) * (255 - made[..., 3:]) / 255
    if kind in ("ga", "rgba") and channels in (1, 3):
        alpha = made[..., -1:] / 255
        made = made[..., :-1] * alpha + 255 * (1 - alpha)
    if made.shape[2] < 3 <= channels:
        made = np.concatenate([made[..., :1]] * 3 + [made[..., 1:]], axis=2)
    given = PICTURES[kind].dtype
    if dtype.kind == "u":
        made = np.rint(made / (np.iinfo(given).max // np.iinfo(dtype).max))
    return made.astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TABLE)
def test_every_kind_becomes_what_the_table_says(
    name: str, kind: str, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    what = TABLE[name].split()[KINDS.index(kind)]
    out = tmp_path / f"out{FORMATS[name].suffixes[-1 if name == 'pnm' else 0]}"
    if what == "-":
        with pytest.raises(UsageError, match=r"out\.\w+: .* not .*; say which values .* write"):
            imgpipe.convert(files[kind], out, save=SAVE.get(name), executor="serial")
        assert not list(tmp_path.iterdir())
        return
    imgpipe.convert(files[kind], out, save=SAVE.get(name), executor="serial")
    info, made, given = imgpipe.info(out), imgpipe.read(out), PICTURES[kind]
    assert len(caplog.messages) == (what in "~!"), caplog.messages
    same = (made.shape, made.dtype) == (given.shape, given.dtype)
    assert same == (what in "=!"), (made.shape, made.dtype)
    if loaded(name).says_alpha:
        assert (info.alpha is None) == (made.shape[2] in (1, 3) or info.colour == "cmyk")
        if what == "=":
            assert (info.colour == "cmyk") == (kind == "cmyk")
    wanted = expected(kind, made.shape[2], made.dtype)
    if info.alpha is not None:
        assert np.array_equal(made[..., -1], wanted[..., -1])
        made, wanted = (one * (one[..., -1:] > 0) for one in (made, wanted))
    most = np.abs(made.astype(np.float64) - wanted.astype(np.float64)).max()
    assert most <= NEAR.get(name, 0)


def test_adobe_jpeg_stores_inks_the_other_way_round(tmp_path: Path) -> None:
    inks, path = PICTURES["cmyk"], tmp_path / "in.jpg"
    Image.frombytes("CMYK", (COLUMNS, ROWS), inks.tobytes()).save(path, quality=100)
    assert np.abs(imgpipe.read(path).astype(int) - inks).max() <= 2
    imgpipe.convert(path, tmp_path / "out.tif", executor="serial")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages[0].photometric.name == "SEPARATED"  # type: ignore[union-attr]
        assert np.array_equal(file.asarray(), imgpipe.read(path))
    imgpipe.convert(tmp_path / "out.tif", tmp_path / "out.jpg", save=SAVE["jpeg"])
    with Image.open(tmp_path / "out.jpg") as image:
        assert np.abs(np.asarray(image).astype(int) - inks).max() <= 4
