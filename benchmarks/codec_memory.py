"""Memory of codecs that take the whole image, beside its pixels: measured, and declared.

    python benchmarks/codec_memory.py [NAME ...] [--megapixels 4]

Each case runs in a process of its own, once with a photograph and once with noise, and the larger
growth of its resident memory counts. The pixels themselves do not, but the file does.
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

from imgpipe.formats.choosing import loaded
from imgpipe.formats.declaration import Format, Layout
from imgpipe.formats.fitting import fitted
from imgpipe.formats.origin import FileOrigin, MemoryOrigin
from imgpipe.formats.target import MemoryTarget
from imgpipe.image import ImageInfo, Pixels
from imgpipe.testing.pictures import noise

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "jpegxl": [{}, {"effort": 3}, {"effort": 7}, {"quality": 90}, {"quality": 90, "effort": 7}],
    "webp": [{}, {"effort": 0}, {"lossless": True}, {"lossless": True, "effort": 0}],
    "avif": [{}, {"effort": 0}, {"lossless": True}],
    "gif": [{}],
    "qoi": [{}],
}


def main() -> None:
    """Measure what was asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(OPTIONS))
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
        for options, dtype, layout in itertools.product(
            OPTIONS[name], form.dtypes or (), form.layouts or ()
        ):
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
    with tempfile.NamedTemporaryFile() as file:
        rest = [name, options, dtype, f"{layout}/{kind}", file.name]
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
    side = int((most * 1e6) ** 0.5)
    shape = side, side, chosen.channels
    info = ImageInfo(*shape, np.dtype(dtype), chosen.alpha, chosen.colour)
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
