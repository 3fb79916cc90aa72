"""Minima, maxima, medians and percentiles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.filters import erode, median, morphological_gradient, percentile, tophat
from imgpipe.filters import open as opening
from kernels.base import (
    ALL,
    Case,
    ImageFilter,
    Kernel,
    Pixels,
    by_planes,
    case,
    cv2,
    ndimage,
    skmorphology,
    skrank,
)


def cases() -> Iterator[Case]:
    """Yield what puts the values of a neighbourhood in order."""
    for radius in (1, 2, 10, 50):
        yield erosion_case(radius, "square")
    yield erosion_case(10, "disk")
    yield from morphology_cases(3)
    for radius in (1, 2, 5, 10):
        yield from median_cases(radius)
    yield percentile_case(2, 90)


def erosion_case(radius: int, shape: str) -> Case:
    """Compare minima over squares and disks."""
    side = 2 * radius + 1
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = ((shape == "square") | (x * x + y * y <= radius * radius)).astype(np.uint8)
    footprint = inside[..., None]

    def eroded(pixels: Pixels, _: float = 0) -> Pixels:
        return np.asarray(ndimage.minimum_filter(pixels, footprint=footprint, mode="nearest"))

    peers: dict[str, Kernel] = {
        "opencv": lambda a: cv2.erode(a, inside, borderType=cv2.BORDER_REPLICATE),
        "scipy": eroded,
        "skimage": lambda a: skmorphology.erosion(a, footprint),
    }
    if shape == "square" and radius < 10:
        peers["pillow"] = lambda image: image.filter(ImageFilter.MinFilter(side))
    return Case(erode(radius=radius, shape=shape), eroded, ALL, peers)


def morphology_cases(radius: int) -> Iterator[Case]:
    """Yield what is made of minima and maxima. OpenCV and scikit-image treat the border apart."""
    size = 2 * radius + 1, 2 * radius + 1, 1
    inside = np.ones(size, np.uint8)
    yield case(
        opening(radius=radius, border="symmetric"),
        lambda a, _: ndimage.grey_opening(a, size),
        *ALL,
        opencv=lambda a: cv2.morphologyEx(a, cv2.MORPH_OPEN, inside[..., 0]),
        scipy=lambda a: ndimage.grey_opening(a, size),
        skimage=lambda a: skmorphology.opening(a, inside),
    )
    yield case(
        tophat(radius=radius, border="symmetric"),
        lambda a, _: ndimage.white_tophat(a, size),
        *ALL,
        opencv=lambda a: cv2.morphologyEx(a, cv2.MORPH_TOPHAT, inside[..., 0]),
        scipy=lambda a: ndimage.white_tophat(a, size),
        skimage=lambda a: skmorphology.white_tophat(a, inside),
    )
    yield case(
        morphological_gradient(radius=radius, border="symmetric"),
        lambda a, _: ndimage.morphological_gradient(a, size),
        *ALL,
        opencv=lambda a: cv2.morphologyEx(a, cv2.MORPH_GRADIENT, inside[..., 0]),
        scipy=lambda a: ndimage.morphological_gradient(a, size),
    )


def median_cases(radius: int) -> Iterator[Case]:
    """Yield medians over squares; other libraries take fewer types, or sides, than ours."""
    side = 2 * radius + 1

    def middle(pixels: Pixels, _: float = 0) -> Pixels:
        return np.asarray(ndimage.median_filter(pixels, (side, side, 1), mode="nearest"))

    yield case(
        median(radius=radius),
        middle,
        opencv=lambda a: cv2.medianBlur(a, side),
        scipy=middle,
        skimage=by_planes(lambda plane: skrank.median(plane, np.ones((side, side)))),
        pillow=lambda image: image.filter(ImageFilter.MedianFilter(side)),
    )
    peers: dict[str, Kernel] = {"scipy": middle}
    if radius <= 2:
        peers["opencv"] = lambda a: cv2.medianBlur(a, side)
    yield Case(median(radius=radius), middle, ("uint16", "float32"), peers)


def percentile_case(radius: int, percent: float) -> Case:
    """Compare percentiles over squares."""
    side = 2 * radius + 1

    def ranked(pixels: Pixels, _: float = 0) -> Pixels:
        return np.asarray(
            ndimage.percentile_filter(pixels, percent, (side, side, 1), mode="nearest")
        )

    rank = int(side * side * percent / 100)
    return case(
        percentile(radius=radius, percentile=percent),
        ranked,
        scipy=ranked,
        pillow=lambda image: image.filter(ImageFilter.RankFilter(side, rank)),
    )
