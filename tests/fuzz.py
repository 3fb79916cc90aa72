"""Fuzzing: valid small files of every format, mutated, each read by a supervised process.

``python tests/fuzz.py --count 100000 --seed 1 --format tiff`` tries any number by hand. Every
outcome must be an image or one of imgpipe's errors in one line, within limits of time and memory.
A decoder that crashes or hangs takes the process that reads, and a new one goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import json
import logging
import math
import os
import resource
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from concurrent.futures import TimeoutError as TooLate
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import imgpipe
from imgpipe.errors import ImgpipeError, InputError
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.formats.folder import FolderOrigin
from imgpipe.formats.formatchoice import loaded
from imgpipe.formats.frames import Contents
from imgpipe.formats.losses import warn_of_damage
from imgpipe.formats.opening import contents_of, open_source
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.formats.readwrite import Reading
from imgpipe.formats.rows import decode
from imgpipe.registry import FORMATS
from tests.codestreams import YCC, indexed, subsampled

SECONDS = 20.0
"""The time that one file may take."""
MEGABYTES = 250
"""The memory that one file may take beside what the process had."""
MOST_PIXELS = 1 << 20
_FRAMES = 3
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Outcome(NamedTuple):
    """The end of one file: ``image``, ``error``, or else a fault of ours, and its text."""

    kind: str
    text: str = ""

    @property
    def good(self) -> bool:
        """Return whether it is an image, or an error that a person can use."""
        return self.kind in ("image", "error")


# --- files ---------------------------------------------------------------------------------

Content = bytes | dict[str, bytes]
"""The bytes of a file, or those of each file in a folder."""


@functools.cache
def samples(name: str) -> list[Content]:
    """Return valid small files of a format, of several kinds."""
    more: list[Content] = [*_MORE.get(name, list)()]
    made = [*_written(name), *_folders(name), *more]
    assert made, f"{name}: there is no sample"
    return made


def put(path: Path, content: Content) -> None:
    """Write a file or a folder."""
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def content_of(path: Path) -> Content:
    """Return the bytes that `put` writes."""
    if path.is_file():
        return path.read_bytes()
    parts = sorted(each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path)): each.read_bytes() for each in parts}


def _noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)[..., None]
    made = ramp + rng.integers(0, 20, shape)
    return (made / 256).astype(dtype) if dtype.startswith("f") else made.astype(dtype)


def _written(name: str) -> Iterator[bytes]:
    """Yield a file of each layout and type that imgpipe writes."""
    form = loaded(name)
    if form.write is None or form.marks:
        return
    layouts = form.layouts or loaded("png").layouts or ()
    for at, dtype in enumerate((form.dtypes or ("uint8", "float32"))[:3]):
        for layout in layouts if at == 0 else layouts[:1]:
            out = io.BytesIO()
            out.name = f"a{form.suffixes[0]}"  # type: ignore[misc] # for the format
            meant: dict[str, Any] = {"colour": "cmyk"} if layout.colour == "cmyk" else {}
            pixels = _noise(23, 29, layout.channels, dtype=dtype)
            imgpipe.write(pixels, out, alpha=layout.alpha, **meant)
            yield out.getvalue()


def _folders(name: str) -> Iterator[Content]:
    """Yield a folder for each of some options of a format whose images are folders."""
    with tempfile.TemporaryDirectory() as folder:
        for at, options in enumerate(_SAVES.get(name, ())):
            path = Path(folder, f"{at}{FORMATS[name].suffixes[0]}")
            imgpipe.write(_noise(23, 29, 3), path, save=options)
            yield content_of(path)


def _arrays() -> list[Content]:
    """Return arrays that the package zarr has to decode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import zarr

        made: list[Content] = []
        for options in (
            {"filters": zarr.codecs.TransposeCodec(order=(2, 1, 0))},
            {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
        ):
            with tempfile.TemporaryDirectory() as folder:
                zarr.create_array(
                    f"{folder}/a.zarr", data=_noise(23, 29, 3), chunks=(16, 16, 3), **options
                )
                made.append(content_of(Path(folder, "a.zarr")))
    return made


_SAVES: dict[str, list[dict[str, Any]]] = {
    "zarr": [
        {"tile": 16},
        {"tile": 16, "shard": 32, "pyramid": True},
        {"tile": 32, "compression": "gzip"},
        {"tile": 16, "compression": "blosc", "pyramid": True},
        {"tile": 16, "compression": "none"},
    ]
}


def _pillow(form: str, **options: object) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(_noise(40, 56, 3)).save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def _animated(form: str) -> bytes:
    from PIL import Image

    frames = [Image.fromarray(_noise(20, 24, 3) + np.uint8(40 * at)) for at in range(3)]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=50)
    return out.getvalue()


def _tiffs() -> list[bytes]:
    import tifffile

    made = []
    kinds = ["deflate", "zstd", "lzw", "packbits", "lzma", "jpeg", "jpegxl", "jpeg2000", "webp"]
    for kind in [None, *kinds]:
        for layout in ({"tile": (16, 32)}, {"rowsperstrip": 16}):
            for options in ({}, {"predictor": True, "byteorder": ">", "bigtiff": True}):
                if options and kind not in ("deflate", "lzw", "zstd"):
                    continue
                out = io.BytesIO()
                tifffile.imwrite(out, _noise(40, 48, 3), photometric="rgb", metadata=None,
                                 compression=kind, **layout, **options)  # fmt: skip
                made.append(out.getvalue())
    for kind in ("group4", "group3", "tiff_ccitt"):
        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(_noise(40, 48, 1)[..., 0] > 90).save(out, "TIFF", compression=kind)
        made.append(out.getvalue())
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        for _ in range(3):
            file.write(_noise(20, 24, 1)[..., 0], metadata=None)
    return [*made, out.getvalue()]


def _codestreams() -> list[bytes]:
    luma, steps = _noise(24, 32, 1)[..., 0], [(1, 1), (2, 2), (2, 2)]
    return [
        _pillow("JPEG2000", tile_size=(16, 32), num_resolutions=3, irreversible=True),
        _pillow("JPEG2000", no_jp2=True),
        indexed(luma, _noise(256, 3, 1)[..., 0], tile=(16, 16)),
        subsampled([luma, luma[::2, ::2], luma[::2, ::2]], steps, YCC),
    ]


def _heifs() -> list[bytes]:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_bytes("RGB", (56, 40), _noise(40, 56, 3).tobytes()).save(out)
    return [out.getvalue()]


_MORE: dict[str, Callable[[], list[Any]]] = {
    "png": lambda: [
        _pillow("PNG", dpi=(300, 300), icc_profile=b"x" * 200),
        _animated("PNG"),
    ],
    "jpeg": lambda: [
        _pillow("JPEG", progressive=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
        _pillow("JPEG", restart_marker_rows=1, quality=60),
        _pillow("JPEG", subsampling=0, optimize=True),
    ],
    "tiff": _tiffs,
    "webp": lambda: [_pillow("WEBP", lossless=True), _animated("WEBP")],
    "avif": lambda: [_animated("AVIF")],
    "gif": lambda: [_animated("GIF"), _pillow("GIF", interlace=1)],
    "heif": _heifs,
    "zarr": _arrays,
    "jpeg2000": _codestreams,
    "bmp": lambda: [_pillow("BMP")],
    "tga": lambda: [_pillow("TGA", compression="tga_rle")],
}
"""Files of other programs, or that imgpipe does not write; a new format needs a line at most."""


# --- mutations -----------------------------------------------------------------------------


def mutated(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Return `data` with one to three mutations; `other` is a file to take parts of."""
    for _ in range(int(rng.integers(1, 4))):
        data = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))](rng, data, other)
    return data


def _place(rng: np.random.Generator, data: bytes) -> int:
    """Return a position: as often in the first bytes, where headers are, as anywhere."""
    most = min(len(data), 200) if rng.integers(2) else len(data)
    return int(rng.integers(0, max(most, 1)))


def _flips(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 5)) if data else 0):
        made[_place(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(made)


def _bytes(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    at, size = _place(rng, data), int(rng.integers(1, 9))
    return data[:at] + rng.bytes(size) + data[at + size :]


def _cut(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    return data[: int(rng.integers(0, len(data) + 1))]


def _splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    at = int(rng.integers(0, min(len(data), len(other)) + 1))
    return data[:at] + other[at:]


def _field(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    """Set bytes that may be a size or a length to an extreme value."""
    kind = ["<H", ">H", "<I", ">I", "B", "<Q", ">Q"][int(rng.integers(7))]
    size = struct.calcsize(kind)
    at = _place(rng, data)
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))] & ((1 << 8 * size) - 1)
    return (data[:at] + struct.pack(kind, value) + data[at + size :])[: max(len(data), 1)]


def _nudge(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    made, step = bytearray(data), int(rng.integers(-3, 4))
    if made:
        at = _place(rng, data)
        made[at] = (made[at] + step) & 255
    return bytes(made)


def _without(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + int(rng.integers(1, 65)) :]


def _twice(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    at = _place(rng, data)
    block = data[at : at + int(rng.integers(1, 129))]
    return data[: at + len(block)] + block * int(rng.integers(1, 4)) + data[at + len(block) :]


_MUTATIONS = (_flips, _flips, _bytes, _cut, _splice, _field, _field, _nudge, _without, _twice)


def _mutated_folder(rng: np.random.Generator, parts: dict[str, bytes]) -> dict[str, bytes]:
    """Return a folder with one file mutated or removed; half the time a declaration."""
    names = sorted(parts)
    declaring = [name for name in names if name.endswith(".json")]
    chosen = declaring if declaring and rng.integers(2) else names
    name, other = (chosen[int(rng.integers(len(chosen)))] for _ in range(2))
    if rng.integers(20) == 0:
        return {one: data for one, data in parts.items() if one != name}
    if name in declaring and rng.integers(3):
        return {**parts, name: _mutated_json(rng, parts[name])}
    return {**parts, name: mutated(rng, parts[name], parts[other])}


def _mutated_json(rng: np.random.Generator, data: bytes) -> bytes:
    """Return JSON with one or two of its values, at any depth, set to something else."""
    made = {"": json.loads(data)}
    for _ in range(int(rng.integers(1, 3))):
        places = list(_places(made))
        holder, key = places[int(rng.integers(len(places)))]
        if rng.integers(8) == 0 and holder is not made:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(_VALUES[int(rng.integers(len(_VALUES)))])
    return json.dumps(made[""]).encode()


def _places(made: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or dictionary with each of its keys."""
    for key in list(range(len(made)) if isinstance(made, list) else made):
        yield made, key
        if isinstance(made[key], list | dict):
            yield from _places(made[key])


_VALUES = (None, True, 0, 1, -1, 7, 0.5, 1e308, math.nan, 1 << 20, 1 << 40, 1 << 70, "", "x", "1",
           "../a", "\ud800", [], [1], [1, 1, 1], [16, 16, 3], {}, {"name": "zstd"})  # fmt: skip


def cases(name: str, seed: int, count: int) -> Iterator[Content]:
    """Yield mutated files of a format, the same ones for the same seed."""
    valid = samples(name)
    rng = np.random.default_rng((seed, *name.encode()))
    for at in range(count):
        one, other = valid[at % len(valid)], valid[int(rng.integers(len(valid)))]
        if isinstance(one, bytes):
            assert isinstance(other, bytes)
            yield mutated(rng, one, other)
        else:
            yield _mutated_folder(rng, one)


# --- in the process that reads ---------------------------------------------------------------


def salvage(name: str, data: bytes | str) -> Outcome:
    """Read the readable parts of a file."""
    return read(name, data, salvaged=True)


def read(name: str, data: bytes | str, *, salvaged: bool = False) -> Outcome:
    """Read a file as imgpipe does: its description, then every one of its first frames.

    The data are the bytes of a file, or the path of a folder.
    """
    before = _limited()
    origin = FolderOrigin(name, data) if isinstance(data, str) else MemoryOrigin(data, name)
    try:
        with _log_watched() as said:
            outcome = _read(origin, Reading(MOST_PIXELS, salvage=salvaged))
        unclear = [text for text in said if not _is_clear(name, text)]
        outcome = Outcome("unclear warning", unclear[0]) if unclear else outcome
    except InputError as error:
        text = str(error)
        outcome = Outcome("error" if _is_clear(name, text) else "unclear error", text)
    except ImgpipeError as error:
        outcome = Outcome("error of another kind", repr(error))
    except BaseException as error:  # noqa: BLE001 - any error is an outcome
        outcome = Outcome("plain exception", f"{_where(error)}: {error!r}")
    grown = (_peak() - before) >> 20
    return Outcome("too much memory", f"{grown} MB") if grown > MEGABYTES else outcome


def _read(origin: MemoryOrigin | FolderOrigin, reading: Reading) -> Outcome:
    found: Contents = contents_of(origin)
    for page in range(min(found.frames, _FRAMES)):
        source = open_source(origin, reading.of_page(page))
        if source.access == "random":
            source.read(source.info.box)
        else:
            decode(source, np.empty(source.info.shape, source.info.dtype))
        warn_of_damage(source)
    return Outcome("image")


def _is_clear(name: str, text: str) -> bool:
    return text.startswith((f"{name}: ", f"{name}/")) and text.isprintable()


@contextlib.contextmanager
def _log_watched() -> Iterator[list[str]]:
    """Give the warnings that are logged meanwhile; they go nowhere else."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("imgpipe")
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


def _where(error: BaseException) -> str:
    at, last = error.__traceback__, ""
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        if "imgpipe/" in name:
            last = f"{name.rpartition('imgpipe/')[2]}:{at.tb_lineno}"
        at = at.tb_next
    return last


def _limited() -> int:
    """Begin to watch the memory of this process, and let it have no more than some."""
    size, held = (int(word) * 4096 for word in Path("/proc/self/statm").read_text().split()[:2])
    most = size + (MEGABYTES << 21)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    return held


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


# --- in the process that asks ------------------------------------------------------------------


class Reader:
    """Processes that read files, one after the other; one that dies or hangs is replaced."""

    def __init__(self) -> None:
        self._pool = ProcessExecutor(1)
        self._folder = tempfile.TemporaryDirectory()

    def read(
        self, name: str, data: Content, seconds: float = SECONDS, *, salvaged: bool = False
    ) -> Outcome:
        """Return the outcome of a file or a folder, or of its readable parts."""
        given = data if isinstance(data, bytes) else self._written(name, data)
        future = self._pool.submit(salvage if salvaged else read, name, given)
        try:
            return future.result(seconds)
        except TooLate:
            self._pool.rebuild(future, wanted=True)
            return Outcome("hang", f"more than {seconds:g} s")
        except BrokenExecutor:
            return Outcome("crash", self._pool.rebuild(future).reason.partition("\n")[0])

    def _written(self, name: str, content: Content) -> str:
        """Return the path of a folder with this content, which replaces the last one."""
        path = Path(self._folder.name, name)
        for each in path.rglob("*"):  # folders in it may stay: to remove them takes long
            if each.is_file():
                each.unlink()
        put(path, content)
        return str(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._folder.cleanup()


def main() -> int:
    """Try the wanted number of files; print and keep the ones that end badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="files of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="or all")
    parser.add_argument("--salvage", action="store_true", help="read what can be read")
    parser.add_argument("--keep", metavar="FOLDER", help="folder for the files that end badly")
    given = parser.parse_args()
    bad = 0
    with Reader() as reader:
        for form in given.format or FORMATS:
            name, seen, began = f"a{FORMATS[form].suffixes[0]}", Counter[str](), time.monotonic()
            for at, data in enumerate(cases(form, given.seed, given.count)):
                outcome = reader.read(name, data, salvaged=given.salvage)
                seen[outcome.kind] += 1
                if not outcome.good:
                    bad += 1
                    print(f"{form} {at}: {outcome.kind}: {outcome.text!a}", flush=True)
                    if given.keep:
                        os.makedirs(given.keep, exist_ok=True)
                        put(Path(given.keep, f"{given.seed}-{at}-{name}"), data)
            seconds = time.monotonic() - began
            print(f"{form}: {dict(seen)} in {seconds:.1f} s", flush=True)
    return bool(bad)


if __name__ == "__main__":
    from tests.fuzz import main  # workers import the function that they run

    sys.exit(main())
