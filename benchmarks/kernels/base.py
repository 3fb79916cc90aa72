"""Cases: a filter, its exact result, and the functions of other libraries for the same."""

# ruff: noqa: PLW0108 - a lambda does not look into a library that is not there

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgpipe.chains.chain import Filter

Pixels = NDArray[Any]
Kernel = Callable[[Any], Any]
INTEGERS = ("uint8", "uint16")
ALL = ("uint8", "uint16", "float32")


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
    dtypes: tuple[str, ...] = (*ALL, "float64")


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
        Types of the images.
    peers : dict
        Names of `TOOLS`, and the call of each.
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


def by_planes(function: Kernel) -> Kernel:
    """Return a function of colours, made of one of gray."""
    return lambda a: np.stack([function(a[..., c]) for c in range(a.shape[2])], axis=2)


def white(pixels: Pixels) -> float:
    """Return the value that stands for white."""
    return 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)


def saturated(values: Pixels, top: float) -> Pixels:
    """Return values as far as integers can hold them; floats as they are."""
    return values.clip(0, top) if top > 1 else values


def smooth(pixels: Pixels, sigma: float) -> Pixels:
    """Return a Gaussian blur."""
    return np.asarray(ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest"))


def smooth_with_opencv(pixels: Pixels, sigma: float) -> Pixels:
    """Return a Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
