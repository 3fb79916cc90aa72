"""Compare filter kernels on one core, in memory: `make bench-kernels`.

imgpipe's filters run chunk by chunk, exactly as its engine does it and with the chunks that its
plan chooses; other libraries get the whole array at once. Rounds alternate between all of them.
To add a filter, add a line to `cases`.
"""

# ruff: noqa: E402, PLW0108 - threads are limited before NumPy is imported, and a lambda does
# not look into a library that is not there

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import make_big
import numpy as np
import reporting
from numpy.typing import NDArray

from imgpipe.executors.base import Traits
from imgpipe.filters import (
    adaptive_threshold,
    autocontrast,
    bilateral,
    blur,
    box,
    convolve,
    difference_of_gaussians,
    emboss,
    equalize,
    erode,
    flip,
    gamma,
    gaussian_laplace,
    grayscale,
    invert,
    laplace,
    levels,
    linear,
    median,
    morphological_gradient,
    percentile,
    posterize,
    prewitt,
    resize,
    rotate,
    scharr,
    sepia,
    sobel,
    solarize,
    threshold,
    tophat,
    unsharp,
)
from imgpipe.filters import open as opening
from imgpipe.filters.base import Filter
from imgpipe.filters.stages import Stage, array_info, compute, measure, resolve
from imgpipe.formats.arrays import PlacedArraySink, RandomArray
from imgpipe.machine import keep_freed_memory
from imgpipe.plan import make_plan
from imgpipe.tiler import Tiler

Pixels = NDArray[Any]
Kernel = Callable[[Any], Any]
INTEGERS = ("uint8", "uint16")
ALL = ("uint8", "uint16", "float32")
ONE_PROCESS = Traits(shares_memory=True, shares_files=True, isolates=False)


def optional(module: str, package: str) -> Any:
    """Import a library to compare with; say so and go on without it if it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"without {package}: {error}; to compare with it, pip install {package}")
        return None


cv2 = optional("cv2", "opencv-python-headless")
ndimage = optional("scipy.ndimage", "scipy")
skexposure = optional("skimage.exposure", "scikit-image")
skfilters = optional("skimage.filters", "scikit-image")
skrank = optional("skimage.filters.rank", "scikit-image")
skrestoration = optional("skimage.restoration", "scikit-image")
skmorphology = optional("skimage.morphology", "scikit-image")
sktransform = optional("skimage.transform", "scikit-image")
skutil = optional("skimage.util", "scikit-image")
Image = optional("PIL.Image", "pillow")
ImageEnhance = optional("PIL.ImageEnhance", "pillow")
ImageFilter = optional("PIL.ImageFilter", "pillow")
ImageOps = optional("PIL.ImageOps", "pillow")


@dataclass(frozen=True)
class Tool:
    """A library, and how it wants its images: conversion is not timed."""

    there: bool
    prepare: Kernel = np.asarray
    dtypes: tuple[str, ...] = ALL


TOOLS = {
    "opencv": Tool(cv2 is not None),
    "scipy": Tool(ndimage is not None),
    "skimage": Tool(skfilters is not None),
    "pillow": Tool(Image is not None, lambda pixels: Image.fromarray(pixels), ("uint8",)),
}


@dataclass(frozen=True)
class Case:
    """A filter, its exact result, and what other libraries do for the same.

    Attributes
    ----------
    filter : Filter
        Ours.
    exact : callable
        The result in double precision, of an image in double precision; the largest value of
        its dtype is the second argument.
    dtypes : tuple of str
        What is tried.
    peers : dict
        Names of `TOOLS`, and what each calls.
    """

    filter: Filter
    exact: Callable[[Pixels, float], Pixels]
    dtypes: tuple[str, ...] = ("uint8",)
    peers: dict[str, Kernel] = field(default_factory=dict)


def case(
    one: Filter, exact: Callable[[Pixels, float], Pixels], *dtypes: str, **peers: Kernel
) -> Case:
    """Return a case, in one line."""
    return Case(one, exact, dtypes or ("uint8",), peers)


def cases() -> Iterator[Case]:
    """Yield everything that is compared."""
    for sigma in (1, 2, 5, 20, 100):
        yield blur_case(sigma)
    for radius in (1, 2, 10, 50):
        yield box_case(radius)
    yield from tone_cases()
    yield from gradient_cases()
    yield from detail_cases()
    yield from kernel_cases()
    yield from colour_cases()
    yield from adaptive_cases(5)
    for radius in (1, 2, 10, 50):
        yield erosion_case(radius, "square")
    yield erosion_case(10, "disk")
    yield from morphology_cases(3)
    for radius in (1, 2, 5, 10):
        yield from median_cases(radius)
    yield percentile_case(2, 90)
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


def tone_cases() -> Iterator[Case]:
    """Yield filters of one value at a time."""
    curve = np.rint(np.linspace(0, 1, 256) ** 0.45 * 255).astype(np.uint8)
    yield case(
        invert(),
        lambda a, top: top - a,
        *ALL,
        opencv=lambda a: cv2.bitwise_not(a) if a.dtype.kind == "u" else cv2.subtract(1, a),
        skimage=lambda a: skutil.invert(a),
        pillow=lambda image: ImageOps.invert(image),
    )

    def brightened(pixels: Pixels, top: float) -> Pixels:
        return np.asarray(top * (pixels / top) ** 0.45)

    yield case(
        gamma(gamma=0.45),
        brightened,
        opencv=lambda a: cv2.LUT(a, curve),
        skimage=lambda a: skexposure.adjust_gamma(a, 0.45),
        pillow=lambda image: image.point(curve.tolist() * 3),
    )
    yield case(
        gamma(gamma=0.45),
        brightened,
        "uint16",
        "float32",
        skimage=lambda a: skexposure.adjust_gamma(a, 0.45),
    )
    yield case(
        linear(scale=1.2, offset=-0.1),
        lambda a, top: np.clip(1.2 * a - 0.1 * top, 0, top),
        opencv=lambda a: cv2.convertScaleAbs(a, alpha=1.2, beta=-25.5),
        pillow=lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    )
    yield case(
        levels(in_black=0.1, in_white=0.9),
        lambda a, top: np.clip((a - 0.1 * top) / 0.8, 0, top),
        *ALL,
        skimage=lambda a: skexposure.rescale_intensity(
            a, (0.1 * white(a), 0.9 * white(a)), (0, white(a))
        ),
    )
    yield case(
        solarize(),
        lambda a, top: np.where(a < top / 2, a, top - a),
        *ALL,
        pillow=lambda image: ImageOps.solarize(image),
    )
    yield case(
        posterize(bits=4),
        lambda a, top: np.floor(a / ((top + 1) / 16)) * ((top + 1) / 16),
        *INTEGERS,
        pillow=lambda image: ImageOps.posterize(image, 4),
    )
    yield case(
        threshold(),
        lambda a, top: np.where(a > top / 2, top, 0),
        *ALL,
        opencv=lambda a: cv2.threshold(a, white(a) / 2, white(a), cv2.THRESH_BINARY)[1],
    )
    yield case(
        autocontrast(),
        stretched,
        *ALL,
        pillow=lambda image: ImageOps.autocontrast(image),
    )
    yield case(
        autocontrast(cutoff=1),
        lambda a, top: stretched(a, top, 1),
        *INTEGERS,
        pillow=lambda image: ImageOps.autocontrast(image, 1),
    )
    yield case(
        equalize(),
        equalized,
        opencv=lambda a: cv2.merge([cv2.equalizeHist(plane) for plane in cv2.split(a)]),
        skimage=lambda a: np.stack([skexposure.equalize_hist(a[..., c]) for c in range(3)], 2),
        pillow=lambda image: ImageOps.equalize(image),
    )
    yield case(
        equalize(),
        equalized,
        "uint16",
        skimage=lambda a: np.stack([skexposure.equalize_hist(a[..., c]) for c in range(3)], 2),
    )


def colour_cases() -> Iterator[Case]:
    """Yield filters that mix channels."""
    brown = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    twelve = tuple(np.hstack([brown, np.zeros((3, 1))]).ravel().tolist())
    yield case(
        grayscale(),
        lambda a, _: a @ np.array([[0.299], [0.587], [0.114]]),
        *ALL,
        opencv=lambda a: cv2.cvtColor(a, cv2.COLOR_RGB2GRAY),
        pillow=lambda image: image.convert("L"),
    )
    yield case(
        sepia(),
        lambda a, top: np.minimum(a @ brown.T, top) if top > 1 else a @ brown.T,
        *ALL,
        opencv=lambda a: cv2.transform(a, brown),
        pillow=lambda image: image.convert("RGB", twelve),
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


def by_planes(function: Kernel) -> Kernel:
    """Return a function of colours, made of one of gray."""
    return lambda a: np.stack([function(a[..., c]) for c in range(a.shape[2])], axis=2)


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
    for radius in (1, 2, 5, 20):
        yield unsharp_case(radius)
    yield case(
        bilateral(sigma_color=0.1, sigma_spatial=1),
        lambda a, top: bilateral(sigma_color=0.1, sigma_spatial=1)(a / top) * top,
        "uint8",
        "float32",
        opencv=lambda a: cv2.bilateralFilter(a, 7, 0.1 * white(a), 1),
        skimage=lambda a: skrestoration.denoise_bilateral(
            a, sigma_color=0.1, sigma_spatial=1, mode="edge", channel_axis=2
        ),
    )


def laplacian_case(sigma: float) -> Case:
    """Compare Laplacians of Gaussians."""

    def log(pixels: Pixels, kind: Any = np.float32) -> Pixels:
        one = partial(ndimage.gaussian_laplace, sigma=sigma, output=kind, mode="nearest")
        return np.asarray(by_planes(one)(pixels))

    return case(
        gaussian_laplace(sigma=sigma),
        lambda a, top: log(a, np.float64) + top / 2,
        *ALL,
        scipy=lambda a: log(a) + white(a) / 2,
    )


def smooth(pixels: Pixels, sigma: float) -> Pixels:
    """Return a Gaussian blur."""
    return np.asarray(ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest"))


def smooth_with_opencv(pixels: Pixels, sigma: float) -> Pixels:
    """Return a Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def difference_case(sigma: float) -> Case:
    """Compare differences of Gaussians."""
    wide = 1.6 * sigma
    return case(
        difference_of_gaussians(low_sigma=sigma),
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


def saturated(values: Pixels, top: float) -> Pixels:
    """Return values as far as integers can hold them; floats as they are."""
    return values.clip(0, top) if top > 1 else values


def white(pixels: Pixels) -> float:
    """Return the value that stands for white."""
    return 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)


def blur_case(sigma: float) -> Case:
    """Compare Gaussian blurs, each of a radius that the library finds right."""

    def gaussian(pixels: Pixels, _: float = 0) -> Pixels:
        return np.asarray(ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest"))

    return case(
        blur(sigma=sigma),
        gaussian,
        *ALL,
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


def stretched(exact: Pixels, top: float, cutoff: float = 0) -> Pixels:
    """Return an image with each channel stretched to the full range."""
    low = np.percentile(exact, cutoff, axis=(0, 1), method="higher")
    high = np.percentile(exact, 100 - cutoff, axis=(0, 1), method="lower")
    return np.asarray(np.clip((exact - low) * (top / (high - low)), 0, top))


def equalized(exact: Pixels, top: float) -> Pixels:
    """Return an image with the histogram of each channel equalized."""
    planes = []
    for channel in range(exact.shape[2]):
        values = exact[..., channel]
        planes.append(np.searchsorted(np.sort(values, axis=None), values, "right") / values.size)
    return np.stack(planes, axis=2) * top


@dataclass
class Result:
    """What was measured of one kernel."""

    case: str
    dtype: str
    tool: str
    milliseconds: list[float]
    max_error: float = 0.0
    mean_error: float = 0.0

    @property
    def middle(self) -> float:
        """Return the median of milliseconds per megapixel."""
        return statistics.median(self.milliseconds)


def main() -> None:
    """Measure, compare, report."""
    chosen = arguments()
    code = reporting.fingerprint()
    on_one_core()
    picture = make_big.mosaic(chosen.size, 8)
    results: list[Result] = []
    for one in cases():
        if chosen.only and not any(part in repr(one.filter) for part in chosen.only):
            continue
        for dtype in one.dtypes:
            found = compare(one, in_dtype(picture, dtype), chosen.rounds, chosen.seconds)
            for result in found:
                print(f"{result.case:38} {dtype:8} {result.tool:8} {result.middle:8.2f} ms/MP  "
                      f"max error {result.max_error:.2g}", flush=True)  # fmt: skip
            results += found
    megapixels = chosen.size**2 / 1e6
    reporting.write(
        "kernels",
        f"Filter kernels on one core, {megapixels:.1f} megapixels of RGB",
        [reporting.same_code(code), result_table(results)],
        {"results": [vars(result) for result in results]},
    )


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare filter kernels on one core.")
    parser.add_argument("--size", type=int, help="rows and columns; 2000 by default")
    parser.add_argument("--rounds", type=int, help="5 by default")
    parser.add_argument("--seconds", type=float, default=4, help="most for one kernel")
    parser.add_argument("--only", action="append", metavar="NAME", help="filters that have this")
    parser.add_argument("--quick", action="store_true", help="800 x 800, 2 rounds")
    chosen = parser.parse_args()
    chosen.size = chosen.size or (800 if chosen.quick else 2000)
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 5)
    if ndimage is None:
        parser.error("the exact results are computed with SciPy: pip install 'imgpipe[bench]'")
    return chosen


def on_one_core() -> None:
    """Keep this process, and every thread that a library may start, on one processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    keep_freed_memory()
    if cv2 is not None:
        cv2.setNumThreads(1)


def in_dtype(picture: Pixels, dtype: str) -> Pixels:
    """Return a picture of 8 bits in another dtype; floats from 0 to 1."""
    if dtype == "uint16":
        low_bits = np.random.default_rng(0).integers(0, 256, picture.shape)
        return (picture * np.uint16(256) + low_bits).astype(np.uint16)
    return picture / np.float32(255) if dtype == "float32" else picture


def compare(one: Case, pixels: Pixels, rounds: int, seconds: float) -> list[Result]:
    """Run our kernel and all others in turn, round by round, and compare with the exact result."""
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    exact = one.exact(pixels.astype(np.float64), top)
    contenders: dict[str, tuple[Kernel, Any]] = {"imgpipe": (chunked(one.filter, pixels), pixels)}
    for name, kernel in one.peers.items():
        tool = TOOLS[name]
        if tool.there and pixels.dtype.name in tool.dtypes:
            contenders[name] = kernel, tool.prepare(pixels)
    results = {name: Result(repr(one.filter), pixels.dtype.name, name, []) for name in contenders}
    spent = dict.fromkeys(contenders, 0.0)
    for turn in range(-1, rounds):  # the first warms up, and counts if there is no time for more
        for name, (kernel, given) in contenders.items():
            if spent[name] > seconds:
                continue
            began = time.perf_counter()
            made = kernel(given)
            took = time.perf_counter() - began
            spent[name] += took
            result = results[name]
            if turn < 0:
                result.max_error, result.mean_error = errors(made, exact)
            if turn >= 0 or took > seconds:
                result.milliseconds.append(took * 1e9 / (pixels.shape[0] * pixels.shape[1]))
    return list(results.values())


def errors(made: Any, exact: Pixels) -> tuple[float, float]:
    """Return the largest and the mean error."""
    error = np.abs(np.asarray(made, np.float64).reshape(exact.shape) - exact)
    return float(error.max()), float(error.mean())


def chunked(one: Filter, pixels: Pixels) -> Kernel:
    """Return a function that runs a filter over an array as the engine does in one process."""
    source = RandomArray(array_info(pixels, None), pixels)
    stages = resolve(one, source.info)
    out = np.empty(stages[-1].after.shape, stages[-1].after.dtype)
    plan = make_plan(
        source, stages, PlacedArraySink(stages[-1].after, out), destination="array",
        traits=ONE_PROCESS, workers=1, executor="serial", max_memory=None, chunk=None,
    )  # fmt: skip

    def run(_: Pixels) -> Pixels:
        (stage,) = stages
        if one.definition.measure is not None:
            stage = replace(stage, measured=measured(stage, plan.tiler, source))
        for box_ in plan.tiler.boxes():
            for chunk in plan.tiler.chunks(box_):
                out[chunk.box.slices] = compute((stage,), chunk.box, source.read)
        return out

    return run


def measured(stage: Stage, tiler: Tiler, source: RandomArray) -> Any:
    """Return what a filter measures before it starts, folded over all chunks."""
    merge = stage.filter.definition.merge
    assert merge is not None
    found = None
    for box_ in tiler.boxes():
        for chunk in tiler.chunks(box_):
            part = measure(stage, source.read(chunk.box))
            found = part if found is None else merge(found, part)
    return found


def result_table(results: list[Result]) -> str:
    """Return one line for each kernel."""
    ours = {(one.case, one.dtype): one.middle for one in results if one.tool == "imgpipe"}
    rows = [
        [
            one.case,
            one.dtype,
            one.tool,
            f"{one.middle:.2f}",
            f"{one.middle / ours[one.case, one.dtype]:.2f}",
            f"{one.max_error:.2g}",
            f"{one.mean_error:.2g}",
        ]
        for one in results
    ]
    heads = ["filter", "dtype", "tool", "ms/MP", "of imgpipe", "max error", "mean error"]
    note = (
        "Medians; errors in levels, for floats on a scale from 0 to 1, against the result in "
        "double precision."
    )
    return f"{reporting.table(heads, rows)}\n\n{note}"


if __name__ == "__main__":
    main()
