"""Fuzzing: valid small files of every format, mutated, each read by a supervised process.

The bytes of a format that is a folder are the pickled files of the folder, of which one is mutated.

``python tests/fuzz.py --count 100000 --seed 1 --format tiff`` tries any number by hand. Every
outcome must be an image or one of imgpipe's errors in one line, within limits of time and memory.
A decoder that crashes or hangs takes the process that reads, and a new one goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import pickle
import re
import resource
import struct
import sys
import tempfile
import time
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
from imgpipe.formats.choosing import loaded
from imgpipe.formats.ends import Reading
from imgpipe.formats.folder import FolderOrigin
from imgpipe.formats.frames import Contents
from imgpipe.formats.opening import contents_of, open_source
from imgpipe.formats.origin import MemoryOrigin, Origin
from imgpipe.formats.rows import decode
from imgpipe.registry import FORMATS

SECONDS = 20.0
"""The time that one file may take."""
MEGABYTES = 250
"""The memory that one file may take beside what the process had."""
MOST_PIXELS = 1 << 20
_FRAMES = 3
_FOLDERS = tuple(FORMATS[name].suffixes[0] for name in FORMATS.built_in if FORMATS[name].marks)
_VALUES = (b"0", b"-1", b"3", b"2147483648", b"1e999", b"null", b'"x"', b"[]", b"[1, 2]", b"{}")
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Outcome(NamedTuple):
    """The end of one file: ``image``, ``error``, or else a fault of ours, and its text."""

    kind: str
    text: str = ""

    @property
    def good(self) -> bool:
        """Whether it is an image, or an error that a person can use."""
        return self.kind in ("image", "error")


# --- files ---------------------------------------------------------------------------------


def samples(name: str) -> list[bytes]:
    """Return valid small files of a format, of several kinds."""
    made = [*_written(name), *_MORE.get(name, list)()]
    assert made, f"{name}: there is no sample"
    return made


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


def _heifs() -> list[bytes]:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_bytes("RGB", (56, 40), _noise(40, 56, 3).tobytes()).save(out)
    return [out.getvalue()]


def _zarrs() -> list[bytes]:
    made = []
    for options in ({}, {"compression": "blosc"}, {"compression": "gzip"}, {"shard": 16}):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.zarr")
            imgpipe.convert(_array(_noise(24, 32, 3)), path, save={"tile": 16, **options})
            parts = sorted(one for one in path.rglob("*") if one.is_file())
            made.append(
                pickle.dumps({str(one.relative_to(path)): one.read_bytes() for one in parts})
            )
    return made


def _array(pixels: np.ndarray) -> io.BytesIO:
    out = io.BytesIO()
    np.save(out, pixels)
    return out


_MORE: dict[str, Callable[[], list[bytes]]] = {
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
    "zarr": _zarrs,
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
    """Set what may be a size or a length to an extreme value."""
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


def cases(name: str, seed: int, count: int) -> Iterator[bytes]:
    """Yield mutated files of a format, the same ones for the same seed."""
    valid = samples(name)
    change = _folder_mutated if FORMATS[name].marks else mutated
    rng = np.random.default_rng((seed, *name.encode()))
    for at in range(count):
        other = valid[int(rng.integers(len(valid)))]
        yield change(rng, valid[at % len(valid)], other)


def _folder_mutated(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Return the files of a folder with one of them mutated, often a declaration, or missing."""
    parts, others = pickle.loads(data), pickle.loads(other)
    names = sorted(parts)
    declared = [name for name in names if name.endswith(".json")]
    chosen = declared if rng.integers(2) else names
    name = chosen[int(rng.integers(len(chosen)))]
    if rng.integers(20) == 0:
        del parts[name]
    elif name in declared and rng.integers(3):
        parts[name] = _declared_otherwise(rng, parts[name])
    else:
        parts[name] = mutated(rng, parts[name], others.get(name, b""))
    return pickle.dumps(parts)


def _declared_otherwise(rng: np.random.Generator, data: bytes) -> bytes:
    """Set one of the numbers, texts and names in JSON to another value."""
    found = list(re.finditer(rb'-?\d+(\.\d+)?|"\w*"', data))
    chosen = found[int(rng.integers(len(found)))]
    value = _VALUES[int(rng.integers(len(_VALUES)))]
    return data[: chosen.start()] + value + data[chosen.end() :]


# --- in the process that reads ---------------------------------------------------------------


def read(name: str, data: bytes) -> Outcome:
    """Read a file as imgpipe does: its description, then every one of its first frames."""
    before = _limited()
    try:
        with _log_watched() as said, _origin(name, data) as origin:
            outcome = _read(origin)
        unclear = [text for text in said if not _is_clear(name, text)]
        outcome = Outcome("unclear warning", unclear[0]) if unclear else outcome
    except InputError as error:
        text = str(error)
        outcome = Outcome("error" if _is_clear(name, text) else "unclear error", text)
    except ImgpipeError as error:
        outcome = Outcome("error of another kind", repr(error))
    except BaseException as error:  # noqa: BLE001 - whatever it is
        outcome = Outcome("plain exception", f"{_where(error)}: {error!r}")
    grown = (_peak() - before) >> 20
    return Outcome("too much memory", f"{grown} MB") if grown > MEGABYTES else outcome


@contextlib.contextmanager
def _origin(name: str, data: bytes) -> Iterator[Origin]:
    """Give the origin of a file; of a folder, whose files are written meanwhile."""
    if not name.endswith(_FOLDERS):
        yield MemoryOrigin(data, name)
        return
    with tempfile.TemporaryDirectory() as folder:
        for part, content in pickle.loads(data).items():
            path = Path(folder, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield FolderOrigin(name, folder)


def _read(origin: Origin) -> Outcome:
    found: Contents = contents_of(origin)
    for page in range(min(found.frames, _FRAMES)):
        source = open_source(origin, Reading(MOST_PIXELS, page=page))
        if source.access == "random":
            source.read(source.info.box)
        else:
            decode(source, np.empty(source.info.shape, source.info.dtype))
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

    def read(self, name: str, data: bytes, seconds: float = SECONDS) -> Outcome:
        """Return the outcome of a file."""
        future = self._pool.submit(read, name, data)
        try:
            return future.result(seconds)
        except TooLate:
            self._pool.rebuild(future, wanted=True)
            return Outcome("hang", f"more than {seconds:g} s")
        except BrokenExecutor:
            return Outcome("crash", self._pool.rebuild(future).reason.partition("\n")[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def main() -> int:
    """Try as many files as are asked for; print and keep those that end badly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="files of each format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", action="append", choices=list(FORMATS), help="or all")
    parser.add_argument("--keep", metavar="FOLDER", help="folder for the files that end badly")
    given = parser.parse_args()
    bad = 0
    with Reader() as reader:
        for form in given.format or FORMATS:
            name, seen, began = f"a{FORMATS[form].suffixes[0]}", Counter[str](), time.monotonic()
            for at, data in enumerate(cases(form, given.seed, given.count)):
                outcome = reader.read(name, data)
                seen[outcome.kind] += 1
                if not outcome.good:
                    bad += 1
                    print(f"{form} {at}: {outcome.kind}: {outcome.text}", flush=True)
                    if given.keep:
                        os.makedirs(given.keep, exist_ok=True)
                        Path(given.keep, f"{given.seed}-{at}-{name}").write_bytes(data)
            seconds = time.monotonic() - began
            print(f"{form}: {dict(seen)} in {seconds:.1f} s", flush=True)
    return bool(bad)


if __name__ == "__main__":
    from tests.fuzz import main  # workers import what they run

    sys.exit(main())
