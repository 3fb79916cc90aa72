"""Geometry: pixels that move."""

# ruff: noqa: PLW0108 - a lambda does not look into a library that is not there

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.filters import flip, resize, rotate
from kernels.base import (
    ALL,
    INTEGERS,
    Case,
    Image,
    ImageOps,
    Kernel,
    Pixels,
    case,
    cv2,
    ndimage,
    sktransform,
)


def cases() -> Iterator[Case]:
    """Yield flips, turns and changes of size; nothing is computed but by the last."""
    yield case(
        flip(direction="horizontal"),
        lambda a, _: a[:, ::-1],
        *INTEGERS,
        opencv=lambda a: cv2.flip(a, 1),
        pillow=lambda image: ImageOps.mirror(image),
    )
    yield case(
        rotate(angle=90),
        lambda a, _: np.rot90(a),
        *INTEGERS,
        opencv=lambda a: cv2.rotate(a, cv2.ROTATE_90_COUNTERCLOCKWISE),
        pillow=lambda image: image.transpose(Image.Transpose.ROTATE_90),
    )
    for percent in (5, 50, 150):
        for method in ("nearest", "bilinear", "bicubic", "lanczos"):
            yield resize_case(percent, method)


def resize_case(percent: int, method: str) -> Case:
    """Compare ways to resize; OpenCV's and SciPy's alias what shrinks, but OpenCV's by areas."""
    order = {"nearest": 0, "bilinear": 1, "bicubic": 3}.get(method)
    smooth = method != "nearest" and percent < 100

    def size(length: int) -> int:
        return length * percent // 100

    def exact(pixels: Pixels, top: float) -> Pixels:
        found = resize(size=f"{percent}%", method=method)(pixels)
        return np.asarray(np.clip(found, 0, top))

    def opencv(pixels: Pixels) -> Pixels:
        ways = (cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR, 0, cv2.INTER_CUBIC)
        way = cv2.INTER_LANCZOS4 if order is None else ways[order]
        shape = size(pixels.shape[1]), size(pixels.shape[0])
        return np.asarray(
            cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA if smooth else way)
        )

    def skimage(pixels: Pixels) -> Pixels:
        shape = size(pixels.shape[0]), size(pixels.shape[1])
        made = sktransform.resize(
            pixels, shape, order=order, anti_aliasing=smooth, preserve_range=True
        )
        return np.asarray(made)

    peers: dict[str, Kernel] = {
        "opencv": opencv,
        "pillow": lambda image: image.resize(
            (size(image.width), size(image.height)), getattr(Image.Resampling, method.upper())
        ),
    }
    if order is not None:
        factor = percent / 100
        peers["scipy"] = lambda a: ndimage.zoom(
            a, (factor, factor, 1), order=order, mode="nearest", grid_mode=True
        )
        peers["skimage"] = skimage
    return case(resize(size=f"{percent}%", method=method), exact, *ALL, **peers)
