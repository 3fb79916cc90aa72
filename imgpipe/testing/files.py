"""Files for tests of formats: written without the engine, damaged, and read back."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from imgpipe.errors import InputError
from imgpipe.formats.base import (
    OrderedSink,
    PlacedSink,
    RandomSource,
    SequentialSource,
    Sink,
    Source,
    Tiles,
    WholeSource,
    aside_of,
    further_of,
)
from imgpipe.formats.opening import open_source
from imgpipe.formats.readwrite import Reading
from imgpipe.geometry import Box
from imgpipe.image import Pixels
from imgpipe.inmemory import read
from imgpipe.testing.suite import must, must_equal

__all__ = ["boxes_of", "must_report_damage", "parts_of", "put_back", "put_in", "taken_out"]


def put_in(sink: Sink, array: Pixels) -> None:
    """Give a sink all pixels of an image, as the engine does; do not commit.

    Encoder and placer are pickled on the way. Boxes are placed in any order, some of them twice.

    Parameters
    ----------
    sink : Sink
        A new sink for an image of that shape and type.
    array : ndarray, shape (rows, columns, channels)
        The image.
    """
    if sink.kind == "ordered":
        _append(sink, array)
    else:
        _place(sink, array)
    for source, level in further_of(sink):
        put_in(level, source.read(source.info.box))


def _append(sink: OrderedSink, array: Pixels) -> None:
    encoder = pickle.loads(pickle.dumps(sink.encoder))  # noqa: S301 - made here
    aside = pickle.loads(pickle.dumps(aside_of(sink)))  # noqa: S301 - made here
    for box in boxes_of(sink.unit, array):
        unit = np.ascontiguousarray(array[box.slices])
        context = min(encoder.context_rows, box.y0)
        above = array[box.y0 - context : box.y0, box.x0 : box.x1] if context else None
        data, facts = encoder.encode(unit, above)
        if aside is not None:
            aside.place(box, unit)
        size = memoryview(data).nbytes
        rows = sink.unit[0] if sink.unit[1] else box.height
        side_by_side = -(-array.shape[1] // (sink.unit[1] or array.shape[1]))
        bound = -(-encoder.bound(rows) // side_by_side)
        must(size <= bound, f"{box.height} rows became {size} bytes, bound() said {bound}")
        sink.append(data, facts)


def _place(sink: PlacedSink, array: Pixels) -> None:
    placer = pickle.loads(pickle.dumps(sink.placer))  # noqa: S301 - made here
    rows, columns = sink.unit
    boxes = list(
        boxes_of((-(-100 // rows) * rows, columns and -(-300 // columns) * columns), array)
    )
    for box in [*boxes[::-1], boxes[0]]:
        rows = placer.rows(box)
        if rows is not None:
            rows[...] = array[box.slices]
        placer.place(box, array[box.slices])
    placer.seal()


def boxes_of(unit: tuple[int, int], array: Pixels) -> Iterator[Box]:
    """Yield the boxes of an image on the grid of a unit, whose columns are 0 for whole rows."""
    rows, columns = unit
    height, width = array.shape[:2]
    yield from Box.of(height, width).cut(rows, columns or width)


def taken_out(source: Source, name: str) -> Pixels:
    """Return all pixels of an open source, having tried every other way to get at them.

    A random source is read in boxes too, and pickled; a sequential one twice, in several steps; a
    whole one twice.

    Parameters
    ----------
    source : Source
        An open source.
    name : str
        Its name, for messages.

    Returns
    -------
    ndarray, shape (rows, columns, channels)
        The image.

    Raises
    ------
    AssertionError
        If two ways give two images.
    """
    rows, columns = source.grain
    must(rows >= 1 and columns >= 0, f"{name}: the grain {source.grain} is none")
    if source.access == "random":
        return _anyhow(source, name)
    found = [
        _in_steps(source, step, ahead=ahead) if source.access == "sequential" else _at_once(source)
        for step, ahead in ((source.info.height, False), (7, False), (16, True))
    ]
    for other in found[1:]:
        must_equal(other, found[0], f"{name}, read once more")
    return found[0]


def _anyhow(source: RandomSource, name: str) -> Pixels:
    height, width = source.info.height, source.info.width
    expected = source.read(source.info.box)
    elsewhere = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
    rng = np.random.default_rng(0)
    for reader in (source, elsewhere):
        for _ in range(12):
            y0, x0 = (int(rng.integers(0, size)) for size in (height, width))
            y1, x1 = int(rng.integers(y0, height)) + 1, int(rng.integers(x0, width)) + 1
            box = Box(y0, x0, y1, x1)
            must_equal(reader.read(box), expected[box.slices], f"{name}, only {box}")
        if getattr(reader, "compressed", False):  # else it is read box by box
            _must_give_tiles(cast(Tiles, reader), expected, name)
    return expected


def _must_give_tiles(source: Tiles, expected: Pixels, name: str) -> None:
    """Claim that a source fills parts of a larger array with its tiles: the first and the last."""
    height, width = expected.shape[:2]
    rows, columns = source.grain[0], source.grain[1] or width
    for row, column in ((0, 0), ((height - 1) // rows, (width - 1) // columns)):
        box = Box(row * rows, column * columns, (row + 1) * rows, (column + 1) * columns)
        box = box.clip(height, width)
        out = np.zeros((box.height, box.width + 1, expected.shape[2]), expected.dtype)
        source.tile_into(row, column, out[:, 1:])
        must_equal(out[:, 1:], expected[box.slices], f"{name}, tile {row}, {column}")
        must(not out[:, 0].any(), f"{name}: tile {row}, {column} is written beside its place")


def _in_steps(source: SequentialSource, step: int, *, ahead: bool) -> Pixels:
    out = np.empty(source.info.shape, source.info.dtype)
    rows = source.rows(ahead=ahead)
    try:
        for y in range(0, len(out), step):
            rows.read_into(out[y : y + step])
        rows.finish()
    finally:
        rows.close()
    return out


def _at_once(source: WholeSource) -> Pixels:
    out = np.empty(source.info.shape, source.info.dtype)
    source.decode_into(out)
    return out


def must_report_damage(path: Path, cuts: list[int], flips: list[int]) -> None:
    """Claim that damage to a file is an `InputError` that names it, or changes no pixel.

    Parameters
    ----------
    path : Path
        An undamaged file; it is there again afterwards. Of a folder, the files in it are damaged,
        counted as if they followed each other.
    cuts : list of int
        Lengths that it is cut to.
    flips : list of int
        Positions of bytes that are changed; pixels may differ then.

    Raises
    ------
    AssertionError
        If reading a damaged file fails in another way, or does not fail where it must.
    """
    parts, expected = parts_of(path), read(path)
    for position in cuts:
        part, at = _part_at(parts, position)
        content = parts[part]
        part.write_bytes(content[:at])
        case = f"{part.name} of {path.name} cut to {at} of {len(content)} bytes"
        made = _read_damaged(path, case)
        if made is not None:
            must_equal(made, expected, case)
        part.write_bytes(content)
    for position, change in zip(flips, itertools.cycle((1, 0x80, 0xFF)), strict=False):
        part, at = _part_at(parts, position)
        damaged = bytearray(parts[part])
        damaged[at] ^= change
        part.write_bytes(damaged)
        _read_damaged(path, f"{part.name} of {path.name} with byte {at} changed")
        part.write_bytes(parts[part])


def must_salvage(path: Path, cuts: list[int], flips: list[int]) -> None:
    """Claim that every way to read a damaged file gives the same pixels, or an `InputError`.

    Parameters
    ----------
    path, cuts, flips
        As for `must_report_damage`.

    Raises
    ------
    AssertionError
        If two ways to read give two images, or reading fails in another way.
    """
    parts = parts_of(path)
    size = sum(map(len, parts.values()))
    for position in (*cuts, *flips):
        part, at = _part_at(parts, position)
        content = parts[part]
        changed = bytes((content[at] ^ 0x55,)) + content[at + 1 :] if position in flips else b""
        part.write_bytes(content[:at] + changed)
        case = f"{path.name}, damaged at byte {position:,} of {size:,}"
        try:
            taken_out(open_source(path, Reading(salvage=True)), case)
        except InputError:
            continue
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{case}: {error!r}, instead of an InputError") from error
        finally:
            part.write_bytes(content)


def parts_of(path: Path) -> dict[Path, bytes]:
    """Return the content of a file, or of each file in a folder."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return {one: one.read_bytes() for one in files}


def put_back(parts: dict[Path, bytes]) -> None:
    """Write files with their content, and the folders that they are in."""
    for path, content in parts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _part_at(parts: dict[Path, bytes], position: int) -> tuple[Path, int]:
    """Return the file with a position, and the position in it."""
    for path, content in parts.items():
        if position < len(content):
            return path, position
        position -= len(content)
    raise IndexError(position)


def _read_damaged(path: Path, case: str) -> Pixels | None:
    try:
        return read(path)
    except InputError as error:
        must(path.name in str(error), f"{case}: the error does not name the file: {error}")
    except Exception as error:
        raise AssertionError(f"{case}: {error!r}, instead of an InputError") from error
    return None
