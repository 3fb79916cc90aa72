"""Edges and convolutions."""

# ruff: noqa: PLW0108 - a lambda does not look into a library that is not there

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from imgpipe.chains.chain import Filter
from imgpipe.filters import (
    convolve,
    difference_of_gaussians,
    emboss,
    gaussian_laplace,
    laplace,
    prewitt,
    scharr,
    sobel,
)
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
    saturated,
    skfilters,
    smooth,
    smooth_with_opencv,
    white,
)


def cases() -> Iterator[Case]:
    """Yield derivatives of every order, and kernels of any numbers."""
    yield from gradient_cases()
    yield from detail_cases()
    yield from kernel_cases()


def gradient_cases() -> Iterator[Case]:
    """Yield the strength of edges; where others leave out a factor, it takes one more pass."""

    def with_scipy(derivative: Kernel, weight: int) -> Kernel:
        factor = np.float32(0.5**0.5 / weight)
        one = partial(derivative, output=np.float32, mode="nearest")
        return by_planes(lambda a: np.hypot(one(a, axis=0), one(a, axis=1)) * factor)

    def with_opencv(derivative: Kernel, weight: int) -> Kernel:
        one = partial(derivative, ddepth=cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)
        factor = np.float32(0.5**0.5 / weight)
        return lambda a: cv2.magnitude(one(a, dx=1, dy=0), one(a, dx=0, dy=1)) * factor

    def with_skimage(name: str) -> Kernel:
        one = partial(getattr(skfilters, name), mode="nearest")
        return lambda a: by_planes(one)(a.astype(np.float32))

    yield case(
        sobel(),
        lambda a, _: gradient(a, (1, 2, 1)),
        *ALL,
        opencv=lambda a: with_opencv(cv2.Sobel, 4)(a),
        scipy=with_scipy(ndimage.sobel, 4),
        skimage=lambda a: with_skimage("sobel")(a),
    )
    yield case(
        scharr(),
        lambda a, _: gradient(a, (3, 10, 3)),
        *ALL,
        opencv=lambda a: with_opencv(cv2.Scharr, 16)(a),
        skimage=lambda a: with_skimage("scharr")(a),
    )
    yield case(
        prewitt(),
        lambda a, _: gradient(a, (1, 1, 1)),
        *ALL,
        scipy=with_scipy(ndimage.prewitt, 3),
        skimage=lambda a: with_skimage("prewitt")(a),
    )
    along = by_planes(partial(ndimage.sobel, axis=1, mode="nearest"))
    single = by_planes(partial(ndimage.sobel, axis=1, output=np.float32, mode="nearest"))
    middle = ImageFilter.Kernel((3, 3), (-1, 0, 1, -2, 0, 2, -1, 0, 1), 4, 127.5)
    yield case(
        sobel(axis="x"),
        lambda a, top: saturated(along(a) / 4 + top / 2, top),
        *ALL,
        opencv=lambda a: cv2.Sobel(
            a, -1, 1, 0, None, 3, 0.25, white(a) / 2, borderType=cv2.BORDER_REPLICATE
        ),
        scipy=lambda a: single(a) / 4 + white(a) / 2,
        pillow=lambda image: image.filter(middle),
    )


def gradient(pixels: Pixels, weights: tuple[int, ...]) -> Pixels:
    """Return the magnitude of the derivatives, smoothed across."""
    smooth = np.array(weights) / sum(weights)
    total = np.zeros_like(pixels)
    for axis in (0, 1):
        step = ndimage.correlate1d(pixels, [-1, 0, 1], axis, mode="nearest")
        total += ndimage.correlate1d(step, smooth, 1 - axis, mode="nearest") ** 2
    return np.asarray(np.sqrt(total / 2))


def detail_cases() -> Iterator[Case]:
    """Yield second derivatives, differences of scales, and sharpening."""
    laplacian = by_planes(partial(ndimage.laplace, mode="nearest"))
    middle = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), 1, 127.5)
    yield case(
        laplace(),
        lambda a, top: saturated(laplacian(a) + top / 2, top),
        *ALL,
        opencv=lambda a: cv2.Laplacian(
            a, -1, None, 1, 1, white(a) / 2, borderType=cv2.BORDER_REPLICATE
        ),
        scipy=lambda a: by_planes(partial(ndimage.laplace, output=np.float32))(a) + white(a) / 2,
        skimage=lambda a: white(a) / 2 - by_planes(skfilters.laplace)(a.astype(np.float32)),
        pillow=lambda image: image.filter(middle),
    )
    for sigma in (1, 2, 5, 20):
        yield laplacian_case(sigma)
    for sigma in (1, 2, 5):
        yield difference_case(sigma)


def laplacian_case(sigma: float) -> Case:
    """Compare Laplacians of Gaussians."""

    def log(pixels: Pixels, kind: Any = np.float32) -> Pixels:
        one = partial(ndimage.gaussian_laplace, sigma=sigma, output=kind, mode="nearest")
        return np.asarray(by_planes(one)(pixels))

    return case(
        gaussian_laplace(sigma=sigma, gain=1),
        lambda a, top: log(a, np.float64) + top / 2,
        *ALL,
        scipy=lambda a: log(a) + white(a) / 2,
    )


def difference_case(sigma: float) -> Case:
    """Compare differences of Gaussians."""
    wide = 1.6 * sigma
    return case(
        difference_of_gaussians(low_sigma=sigma, gain=1),
        lambda a, top: smooth(a, sigma) - smooth(a, wide) + top / 2,
        *ALL,
        opencv=lambda a: cv2.addWeighted(
            smooth_with_opencv(a, sigma), 1, smooth_with_opencv(a, wide), -1, white(a) / 2
        ),
        skimage=lambda a: (
            skfilters.difference_of_gaussians(a.astype(np.float32), sigma, wide, channel_axis=2)
            + white(a) / 2
        ),
    )


def kernel_cases() -> Iterator[Case]:
    """Yield convolutions of several sizes, of whole numbers and of fractions."""
    relief = np.array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]])
    yield convolution_case(emboss(), relief[::-1, ::-1], 0.5)
    binomial = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])
    yield convolution_case(convolve(kernel=binomial, scale=256), binomial / 256, 0)
    for side in (3, 5, 15):
        kernel = np.random.default_rng(side).random((side, side)).round(3)
        kernel /= kernel.sum()
        yield convolution_case(convolve(kernel=kernel), kernel, 0)


def convolution_case(one: Filter, kernel: Pixels, offset: float) -> Case:
    """Compare convolutions; Pillow's kernels are of 3 x 3 or 5 x 5."""
    weights, turned = kernel[..., None], np.ascontiguousarray(kernel[::-1, ::-1], np.float32)

    peers: dict[str, Kernel] = {
        "opencv": lambda a: cv2.filter2D(
            a, -1, turned, None, (-1, -1), offset * white(a), cv2.BORDER_REPLICATE
        ),
        "scipy": lambda a: ndimage.convolve(a, weights, np.float32, "nearest") + offset * white(a),
    }
    if len(kernel) <= 5:
        flat = ImageFilter.Kernel(kernel.shape, kernel[:, ::-1].ravel().tolist(), 1, 255 * offset)
        peers["pillow"] = lambda image: image.filter(flat)
    return case(
        one,
        lambda a, top: saturated(ndimage.convolve(a, weights, mode="nearest") + offset * top, top),
        *ALL,
        **peers,
    )
