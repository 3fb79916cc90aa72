"""Smoothing, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from imgpipe.filters import adaptive_threshold, bilateral, blur, box, unsharp
from kernels.base import (
    ALL,
    Case,
    ImageFilter,
    Pixels,
    case,
    cv2,
    ndimage,
    saturated,
    skfilters,
    skrestoration,
    smooth,
    smooth_with_opencv,
    white,
)


def cases() -> Iterator[Case]:
    """Yield means, Gaussians, and what is made of them."""
    for sigma in (1, 2, 3, 5, 10, 20, 50, 100):
        yield blur_case(sigma)
    for radius in (1, 2, 10, 50):
        yield box_case(radius)
    for radius in (1, 2, 5, 20):
        yield unsharp_case(radius)
    yield bilateral_case()
    yield from adaptive_cases(5)


def blur_case(sigma: float) -> Case:
    """Compare Gaussian blurs, each of a radius that the library finds right."""

    def gaussian(pixels: Pixels, _: float = 0) -> Pixels:
        return np.asarray(ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest"))

    return case(
        blur(sigma=sigma),
        gaussian,
        *ALL,
        "float64",
        opencv=lambda a: cv2.GaussianBlur(a, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE),
        scipy=gaussian,
        skimage=lambda a: skfilters.gaussian(a, sigma, preserve_range=True, channel_axis=2),
        pillow=lambda image: image.filter(ImageFilter.GaussianBlur(sigma)),
    )


def box_case(radius: int) -> Case:
    """Compare means over squares."""
    side = 2 * radius + 1

    def uniform(pixels: Pixels, _: float = 0) -> Pixels:
        return np.asarray(ndimage.uniform_filter(pixels, (side, side, 1), mode="nearest"))

    return case(
        box(radius=radius),
        uniform,
        *ALL,
        opencv=lambda a: cv2.blur(a, (side, side), borderType=cv2.BORDER_REPLICATE),
        scipy=uniform,
        pillow=lambda image: image.filter(ImageFilter.BoxBlur(radius)),
    )


def unsharp_case(radius: float) -> Case:
    """Compare unsharp masks."""
    return case(
        unsharp(radius=radius),
        lambda a, top: saturated(2 * a - smooth(a, radius), top),
        *ALL,
        opencv=lambda a: cv2.addWeighted(a, 2, smooth_with_opencv(a, radius), -1, 0),
        skimage=lambda a: skfilters.unsharp_mask(a, radius, preserve_range=True, channel_axis=2),
        pillow=lambda image: image.filter(ImageFilter.UnsharpMask(radius, 100, 0)),
    )


def bilateral_case() -> Case:
    """Compare bilateral filters; what is exact is ours in floats."""
    one = bilateral(sigma_color=0.1, sigma_spatial=1)
    return case(
        one,
        lambda a, top: one(a / top) * top,
        "uint8",
        "float32",
        opencv=lambda a: cv2.bilateralFilter(a, 7, 0.1 * white(a), 1),
        skimage=lambda a: skrestoration.denoise_bilateral(
            a, sigma_color=0.1, sigma_spatial=1, mode="edge", channel_axis=2
        ),
    )


def adaptive_cases(radius: int) -> Iterator[Case]:
    """Yield thresholds from the neighbourhood; OpenCV's are for planes of 8 bits."""
    side = 2 * radius + 1

    def above(method: str) -> Callable[[Pixels, float], Pixels]:
        def local(pixels: Pixels, top: float = 1) -> Pixels:
            mean = skfilters.threshold_local(pixels, (side, side, 1), method, mode="nearest")
            return np.where(pixels > mean, top, 0)

        return local

    def by_planes(pixels: Pixels) -> Pixels:
        planes = [cv2.adaptiveThreshold(p, 255, 0, 0, side, 0) for p in cv2.split(pixels)]
        return np.asarray(cv2.merge(planes))

    mean, weighted = above("mean"), above("gaussian")
    yield case(adaptive_threshold(radius=radius), mean, opencv=by_planes, skimage=mean)
    yield case(adaptive_threshold(radius=radius), mean, "uint16", "float32", skimage=mean)
    gaussian = adaptive_threshold(radius=radius, method="gaussian")
    yield case(gaussian, weighted, *ALL, skimage=weighted)
