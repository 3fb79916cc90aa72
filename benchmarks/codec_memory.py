"""Memory of codecs of whole images and of tiles, beside the pixels: measured, and declared.

    python benchmarks/codec_memory.py [NAME ...] [--megapixels 4]

Each case runs in a process of its own, once with a photograph and once with noise, and the larger
growth of its resident memory counts. The pixels themselves do not, but the file does. Where files
have tiles, one tile or shard is encoded and decoded.
"""

from __future__ import annotations

import argparse
import io
import itertools
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from imgpipe.formats.declaration import RGB, Format, Layout
from imgpipe.formats.fitting import fitted
from imgpipe.formats.formatchoice import loaded
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.origin import FileOrigin, MemoryOrigin
from imgpipe.formats.target import MemoryTarget
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.inmemory import write
from imgpipe.testing.pictures import noise

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "jpegxl": [{}, {"effort": 3}, {"effort": 7}, {"quality": 90}, {"quality": 90, "effort": 7}],
    "webp": [{}, {"effort": 0}, {"lossless": True}, {"lossless": True, "effort": 0}],
    "avif": [{}, {"effort": 0}, {"lossless": True}],
    "gif": [{}],
    "qoi": [{}],
}

TILED: dict[str, list[dict[str, Any]]] = {
    "jpeg2000": [
        {"tile": 512}, {"tile": 1024}, {"tile": 2048}, {"tile": 512, "ht": True},
        {"tile": 2048, "ht": True}, {"tile": 512, "quality": 45}, {"tile": 2048, "quality": 45},
        {"tile": 2048, "alone": True},
    ],
    "zarr": [
        {}, {"compression": "zstd:9"}, {"compression": "zstd:22"}, {"compression": "blosc"},
        {"compression": "blosc:9"}, {"compression": "gzip"}, {"compression": "none"},
        {"tile": 4096}, {"tile": 2048, "compression": "zstd:15"}, {"shard": 4096},
        {"shard": 4096, "compression": "none"},
    ],
}  # fmt: skip


def main() -> None:
    """Measure what was asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*OPTIONS, *TILED])
    parser.add_argument("--megapixels", type=float, default=4)
    parser.add_argument("--case", nargs=6)
    args = parser.parse_args()
    if args.case:
        one(*args.case, args.megapixels)
        return
    print(f"{'format, options':44}{'type':9}{'channels':9}{'encode':>18}{'decode':>18}")
    print(f"{'':62}{'bytes a pixel: measured (declared)':>36}")
    for name in args.names:
        form = loaded(name)
        types, layouts = form.dtypes or ("uint8", "float32"), form.layouts or (RGB,)
        if name in TILED:
            layouts = (RGB,)
        for options, dtype, layout in itertools.product({**OPTIONS, **TILED}[name], types, layouts):
            found = [
                measured(name, repr(options), dtype, repr(layout), kind, args.megapixels)
                for kind in ("photo", "noise")
            ]
            best = [max(pair) for pair in zip(*found, strict=True)]
            shown = f"{name} {options or ''}"
            print(
                f"{shown:44}{dtype:9}{layout.channels:<9}"
                f"{best[0]:9.1f} ({best[1]:5.1f}) {best[2]:9.1f} ({best[3]:5.1f})"
            )


def measured(
    name: str, options: str, dtype: str, layout: str, kind: str, megapixels: float
) -> list[float]:
    """Return the bytes a pixel of encoder and decoder, measured and declared."""
    with tempfile.TemporaryDirectory() as folder:
        rest = [name, options, dtype, f"{layout}/{kind}", f"{folder}/file"]
        words = [ran("encode", rest, megapixels), ran("decode", rest, megapixels)]
    return [float(word) for line in words for word in line.split()]


def ran(what: str, rest: list[str], megapixels: float) -> str:
    """Return what a process prints that measures one case."""
    command = [sys.executable, __file__, "--megapixels", str(megapixels), "--case", what, *rest]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def one(what: str, name: str, options: str, dtype: str, rest: str, path: str, most: float) -> None:
    """Measure one case in this process."""
    layout, kind = rest.split("/")
    form, chosen = loaded(name), eval(layout, {"Layout": Layout})
    given = eval(options)
    side = given.get("shard", given.get("tile", 512)) if name in TILED else int((most * 1e6) ** 0.5)
    shape = side, side, chosen.channels
    info = ImageInfo(*shape, np.dtype(dtype), chosen.alpha, chosen.colour)
    if name in TILED:
        print(*tile(what, form, picture(shape, dtype, kind), given, path))
        return
    if what == "encode":
        pixels = picture(shape, dtype, kind)
        warm(form, info, given)
        encode, declared = encoder(form, info, given)
        before = reset()
        content = bytes(encode(pixels))
        grown = peak() - before
        with open(path, "wb") as file:
            file.write(content)
    else:
        warm(form, info, given)
        source: Any = form.read(FileOrigin(path), None)  # type: ignore[misc]
        out = np.ones(source.info.shape, source.info.dtype)
        before = reset()
        source.decode_into(out)
        grown, declared = peak() - before, source.decode_bytes
    print(grown / info.pixels, declared / info.pixels)


def tile(what: str, form: Format, pixels: Pixels, options: dict[str, Any], path: str) -> Any:
    """Return growth and declared memory of a tile for a pixel, with those of the library.

    The image is two tiles, or one that is `alone`.
    """
    height, width, channels = pixels.shape
    options, where = dict(options), f"{path}{form.suffixes[0]}"
    count = 1 if options.pop("alone", False) else 2
    if what == "encode":
        info = ImageInfo(height, count * width, channels, pixels.dtype, None, "rgb")
        sink: Any = open_sink(where, info, options)
        before = reset()
        if sink.kind == "ordered":
            sink.encoder.encode(pixels, None)
            declared = sink.encoder.work_bytes + sink.encoder.bound(height) // count
        else:
            sink.placer.place(Box(0, 0, height, width), pixels)
            declared = sink.place_bytes
        grown = peak() - before
        sink.abort()
        write(np.concatenate([pixels] * count, axis=1), where, save=options)
        return grown / pixels[..., 0].size, declared / pixels[..., 0].size
    source: Any = open_source(where)
    rows, columns = source.grain if source.access == "random" else source.info.shape[:2]
    out = np.ones((rows, columns, channels), pixels.dtype)
    before = reset()
    if source.access == "random":
        source.tile_into(0, 0, out)
    else:
        source.decode_into(out)
    return (peak() - before) / (rows * columns), source.decode_bytes / (rows * columns)


def encoder(form: Format, info: ImageInfo, options: dict[str, Any]) -> Any:
    """Return the function that encodes, and its declared memory."""
    assert form.write is not None
    sink: Any = form.write(MemoryTarget(io.BytesIO()), fitted(info, form, "x"), **options)
    made = sink.placer.encoder
    sink.abort()
    return made.encode, made.work_bytes


def warm(form: Format, info: ImageInfo, options: dict[str, Any]) -> None:
    """Load libraries and tables, which take memory once."""
    small = np.zeros((64, 64, info.channels), info.dtype)
    about = ImageInfo(64, 64, info.channels, info.dtype, info.alpha, info.colour)
    content = bytes(encoder(form, about, options)[0](small))
    source = form.read(MemoryOrigin(content), None)  # type: ignore[misc]
    assert source.access == "whole"
    source.decode_into(np.empty(source.info.shape, source.info.dtype))


def picture(shape: tuple[int, int, int], dtype: str, kind: str) -> Pixels:
    """Return noise, or something as smooth as a photograph."""
    if kind == "noise":
        return (
            noise(shape, dtype)
            if dtype[0] == "u"
            else np.random.default_rng(0).random(shape, np.float32)
        )
    rng, out = np.random.default_rng(0), np.zeros(shape, np.float32)
    for step in (1, 4, 16, 64):
        small = rng.random((shape[0] // step + 1, shape[1] // step + 1, shape[2]), np.float32)
        out += step * small.repeat(step, 0).repeat(step, 1)[: shape[0], : shape[1]]
    out /= 85
    return out if dtype[0] == "f" else (out * np.iinfo(dtype).max).astype(dtype)


def reset() -> int:
    """Forget the highest resident memory; return that of now, in bytes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return peak()


def peak() -> int:
    """Return the highest resident memory since then, in bytes."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    main()
