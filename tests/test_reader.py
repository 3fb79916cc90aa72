"""Reading ends when the run does: a piece is finished, and no more than that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.engine import scratchcopy
from imgpipe.engine.control import Control
from imgpipe.errors import Cancelled, CorruptError
from imgpipe.filters import blend, blur, crop, flip
from imgpipe.formats import npy, rows
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.png import reading, smallfiles
from tests.conftest import PicklingExecutor, noise
from tests.test_png import END, data_of, header, png_file

PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def interlaced(array: np.ndarray, path: Path) -> None:
    """Write `array` as an interlaced PNG, its rows unfiltered."""
    raw = b"".join(
        b"\0" + row.tobytes() for y, x, down, right in PASSES for row in array[y::down, x::right]
    )
    height, width = array.shape[:2]
    png_file(path, header(width, height, 8, 2, interlace=1), data_of(raw), END)


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the pieces that are read of a file, which are made small."""
    for module in (reading, npy):
        monkeypatch.setattr(module, "_PIECE_BYTES", 1000)
    for module in (rows, scratchcopy):
        monkeypatch.setattr(module, "COPY_BYTES", 1000)
    return []


@pytest.fixture
def at_piece(
    pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, Callable[[], None]], None]:
    """Have something done when a certain piece is read."""

    def install(number: int, action: Callable[[], None]) -> None:
        def watched(read: Any) -> Any:
            def reading(*args: Any, **kwargs: Any) -> Any:
                pieces.append(args[1].nbytes)
                if len(pieces) == number:
                    action()
                return read(*args, **kwargs)

            return reading

        monkeypatch.setattr(smallfiles, "_MOST_BYTES", 0)  # else a small file is decoded at once
        monkeypatch.setattr(reading.PngRows, "read_into", watched(reading.PngRows.read_into))
        monkeypatch.setattr(npy, "read_fully", watched(npy.read_fully))

    return install


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same image in files that are read in different ways."""
    array = noise((240, 90, 3), "uint8")
    np.save(tmp_path / "transposed.npy", np.asfortranarray(array))
    imgpipe.write(array, tmp_path / "rows.png")
    interlaced(array, tmp_path / "interlaced.png")
    return {path.stem: path for path in tmp_path.iterdir()}


WAYS: dict[str, tuple[str, Chain]] = {
    "interlaced, whole": ("interlaced", Chain((blur(sigma=1),))),
    "transposed, whole": ("transposed", Chain((blur(sigma=1),))),
    "rows, to a scratch file": ("rows", Chain((flip(),))),
    "rows that are passed over": ("rows", Chain((crop(x=0, y=200, width=90, height=40),))),
}


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_is_stopped_reads_no_further(
    way: str, executor: Any, files: dict[str, Path], pieces: list[int], at_piece: Any, pool: Any
) -> None:
    name, chain = WAYS[way]
    control = Control()
    at_piece(4, control.stop)
    out = files[name].with_name("o.png")
    with pytest.raises(Cancelled):
        imgpipe.run(
            files[name], chain, out, executor=pool if executor == "processes" else executor,
            control=control,
        )  # fmt: skip
    assert len(pieces) == 4
    assert not out.exists()


def test_a_whole_image_that_is_copied_for_others_can_be_stopped(
    files: dict[str, Path], pieces: list[int], at_piece: Any
) -> None:
    control = Control()
    at_piece(4, control.stop)
    with pytest.raises(Cancelled):
        imgpipe.run(
            files["interlaced"], blur(), files["rows"].with_name("o.png"),
            executor=PicklingExecutor(shares_files=True), control=control,
        )  # fmt: skip
    assert len(pieces) == 4


def test_a_second_image_that_is_copied_can_be_stopped_too(
    files: dict[str, Path], pieces: list[int], at_piece: Any
) -> None:
    control = Control()
    at_piece(4, control.stop)
    chain = blend(other=files["interlaced"], amount=0.5)
    with pytest.raises(Cancelled):
        imgpipe.run(files["rows"], chain, files["rows"].with_name("o.png"), control=control)
    assert len(pieces) == 4


def test_cancel_returns_once_the_run_has_ended_and_not_when_all_is_read(
    files: dict[str, Path], pieces: list[int], at_piece: Any
) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert cancelled.wait(60)

    at_piece(4, wait)
    handle = imgpipe.submit(files["interlaced"], blur(), files["rows"].with_name("o.png"))
    assert begun.wait(60)
    stop = handle._control.stop
    handle._control.stop = lambda: (stop(), cancelled.set())
    assert handle.cancel()
    assert handle.done()
    assert len(pieces) == 4


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<f8"])
@pytest.mark.parametrize("shape", [(7, 5), (61, 53, 3), (1, 300, 4), (300, 1, 2)])
def test_arrays_in_fortran_order_are_read_piece_by_piece(
    shape: tuple[int, ...], dtype: str, tmp_path: Path, pieces: list[int]
) -> None:
    array = noise(shape, np.dtype(dtype).newbyteorder("=").str).astype(dtype)
    np.save(tmp_path / "in.npy", np.asfortranarray(array))
    read = imgpipe.read(tmp_path / "in.npy")
    np.testing.assert_array_equal(read, array.reshape(read.shape))
    assert read.dtype.isnative


def test_an_array_in_fortran_order_that_is_cut_short_meanwhile_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "in.npy"
    np.save(path, np.asfortranarray(noise((61, 53, 3), "uint8")))
    source = npy.open_source(FileOrigin(str(path)))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CorruptError, match=r"in\.npy: ended before its last row"):
        source.decode_into(np.empty(source.info.shape, source.info.dtype))
