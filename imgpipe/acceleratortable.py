"""Table of the filters that accelerators compute, by the types of the images.

It tells whether an accelerator is worth loading, without loading it. A test compares it with
the accelerators. An accelerator that is not in the table may compute any filter.
"""

from __future__ import annotations

__all__ = ["ACCELERATED", "SINCE"]

_BYTES = ("uint8",)
_LEVELS = ("uint8", "uint16")
_WORDS = ("uint16", "int16")
_COUNTED = ("uint8", "uint16", "int16")
_SMALL = ("uint8", "int8", "uint16", "int16")
_ALL = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")

ACCELERATED: dict[str, dict[str, tuple[str, ...]]] = {
    "opencv": {
        "adaptive_threshold": _SMALL,
        "autocontrast": _WORDS,
        "blackhat": _COUNTED,
        "blur": _BYTES,
        "box": _SMALL,
        "close": _COUNTED,
        "convolve": _BYTES,
        "dilate": _COUNTED,
        "emboss": _BYTES,
        "equalize": _WORDS,
        "erode": _COUNTED,
        "flip": _ALL,
        "gamma": ("uint16",),
        "grayscale": _BYTES,
        "laplace": _BYTES,
        "levels": ("uint16",),
        "linear": ("uint16",),
        "lut": ("uint16",),
        "maximum": _COUNTED,
        "median": _COUNTED,
        "minimum": _COUNTED,
        "mix_channels": _BYTES,
        "morphological_gradient": _COUNTED,
        "open": _COUNTED,
        "percentile": _COUNTED,
        "prewitt": _BYTES,
        "rotate": _ALL,
        "scharr": _BYTES,
        "sepia": _BYTES,
        "sobel": _BYTES,
        "tint": _BYTES,
        "tophat": _COUNTED,
    },
}

SINCE: dict[str, dict[str, int]] = {
    "opencv": dict.fromkeys(
        ("autocontrast", "equalize", "gamma", "levels", "linear", "lut"), 5
    ),  # tables of 16 bits
}
"""The first major version of the library that computes a filter, if others do not."""
