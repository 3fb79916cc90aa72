"""Tone and colour: filters that look at one pixel at a time."""

# ruff: noqa: PLW0108 - a lambda does not look into a library that is not there

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgpipe.filters import (
    autocontrast,
    equalize,
    gamma,
    grayscale,
    invert,
    levels,
    linear,
    posterize,
    sepia,
    solarize,
    threshold,
)
from kernels.base import (
    ALL,
    INTEGERS,
    Case,
    ImageEnhance,
    ImageOps,
    Pixels,
    case,
    cv2,
    skexposure,
    skutil,
    white,
)


def cases() -> Iterator[Case]:
    """Yield filters of one value at a time, and those that mix channels."""
    yield from tone_cases()
    yield from colour_cases()


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
