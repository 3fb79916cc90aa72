"""Small pictures for a page, made by a process of their own.

Damaged and hostile files are among those that are shown. What a library does with them happens in
another process, which has limits on time and memory. A file that ends it has no picture.

This file is the program of that process too. It imports nothing of imgpipe then.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

__all__ = ["Picture", "Pictures", "small_pictures"]

_SECONDS = 10.0  # for all pictures
_MEMORY = 1 << 30  # bytes of address space beyond that of the libraries
_SIDE = 224  # pixels of the longer side
_BYTES = 15_000  # of a picture: as a data URI, which takes 4/3 of it, it stays below 20 KB
_PIXELS = 40_000_000  # of a source that has to be decoded whole
_HEAD = struct.Struct(">III")
_DEATHS = 3


class Picture(NamedTuple):
    """A small picture: size of the image in pixels, and a JPEG file, empty if it has none."""

    width: int
    height: int
    data: bytes


Pictures = Callable[[Sequence[str]], Mapping[str, Picture]]
"""Returns pictures of files; those that cannot be shown are left out."""


def small_pictures(paths: Sequence[str], seconds: float = _SECONDS) -> dict[str, Picture]:
    """Return small pictures of image files.

    Parameters
    ----------
    paths : sequence of str
        The files.
    seconds : float
        The time that all of them may take. Files that are not reached have no picture.
    """
    made: dict[str, Picture] = {}
    left = list(dict.fromkeys(paths))
    end = time.monotonic() + seconds
    for _ in range(_DEATHS):
        if not left or time.monotonic() >= end:
            break
        answers = list(_answers(left, end - time.monotonic()))
        made |= {path: each for path, each in zip(left, answers, strict=False) if each.width}
        left = left[len(answers) + 1 :]  # the next one ended the process
    return made


def _answers(paths: list[str], seconds: float) -> list[Picture]:
    """Return the answers of a process for `paths`, up to its end."""
    asked = b"\0".join(os.fsencode(os.path.abspath(path)) for path in paths)
    try:
        process = subprocess.Popen(  # noqa: S603 - the program is this file
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        return []
    with process:
        try:
            told, _ = process.communicate(asked, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            told, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    return _pictures_in(told)


def _pictures_in(told: bytes) -> list[Picture]:
    found = []
    at = 0
    while at + _HEAD.size <= len(told):
        width, height, size = _HEAD.unpack_from(told, at)
        at += _HEAD.size + size
        if at > len(told):
            break
        found.append(Picture(width, height, told[at - size : at]))
    return found


def _answer(asked: BinaryIO, told: BinaryIO) -> None:
    """Write a picture for each path that is asked for."""
    import warnings  # noqa: PLC0415 - the parent needs none of this

    from PIL import Image  # noqa: PLC0415

    warnings.simplefilter("ignore")
    Image.init()
    _limit_memory()
    for path in filter(None, asked.read().split(b"\0")):
        picture = Picture(0, 0, b"")
        with contextlib.suppress(Exception):
            picture = _picture(path)
        told.write(_HEAD.pack(picture.width, picture.height, len(picture.data)) + picture.data)
        told.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not on Windows

        with open("/proc/self/statm", encoding="ascii") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, taken + _MEMORY))


def _picture(path: bytes) -> Picture:
    from PIL import Image, ImageOps  # noqa: PLC0415 - as above

    Image.MAX_IMAGE_PIXELS = None  # the limit is below
    with Image.open(path) as image:
        width, height = image.size
        if image.format != "JPEG" and width * height > _PIXELS:
            return Picture(width, height, b"")  # even its EXIF may stand behind all pixels
        turned = image.getexif().get(0x0112, 1) in {5, 6, 7, 8}
        size = (height, width) if turned else (width, height)
        image.draft("RGB", (2 * _SIDE, 2 * _SIDE))
        if image.width * image.height > _PIXELS:
            return Picture(*size, b"")
        try:
            small = ImageOps.exif_transpose(_displayed(image))
        except Exception:  # noqa: BLE001 - a damaged file may raise anything
            return Picture(*size, b"")
        small.thumbnail((_SIDE, _SIDE))
        return Picture(*size, _encoded(small))


def _displayed(image: Any) -> Any:
    """Return an image in eight bits of grey or RGB."""
    from PIL import Image  # noqa: PLC0415 - as above

    if image.mode.startswith("I") or image.mode == "F":
        image.thumbnail((2 * _SIDE, 2 * _SIDE), Image.Resampling.NEAREST)
        low, high = image.getextrema()
        wide = image.convert("F")
        scale = 255 / ((high - low) or 1)
        return wide.point(lambda value: value * scale - low * scale).convert("L")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        image.thumbnail((2 * _SIDE, 2 * _SIDE))
        ground = Image.new("RGBA", image.size, (200, 200, 200, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def _encoded(small: Any) -> bytes:
    """Return a JPEG file of at most `_BYTES`."""
    for quality in (80, 65, 50, 35, 20):
        out = io.BytesIO()
        small.save(out, "JPEG", quality=quality)
        if out.tell() <= _BYTES:
            return out.getvalue()
    small.thumbnail((_SIDE // 2, _SIDE // 2))
    return _encoded(small)


if __name__ == "__main__":
    _answer(sys.stdin.buffer, sys.stdout.buffer)
