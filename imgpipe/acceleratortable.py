"""Table of the filters that accelerators compute, by the types of the images.

It tells whether an accelerator is worth loading, without loading it. A test holds it against what
the accelerators do. One that is not in the table may compute anything.
"""

from __future__ import annotations

__all__ = ["ACCELERATED"]

_ORDERED = ("uint8", "uint16", "int16")
_SUMMED = (*_ORDERED, "int8")

ACCELERATED: dict[str, dict[str, tuple[str, ...]]] = {
    "opencv": {
        "adaptive_threshold": _SUMMED,
        "blackhat": _ORDERED,
        "box": _SUMMED,
        "close": _ORDERED,
        "dilate": _ORDERED,
        "erode": _ORDERED,
        "maximum": _ORDERED,
        "median": _ORDERED,
        "minimum": _ORDERED,
        "morphological_gradient": _ORDERED,
        "open": _ORDERED,
        "percentile": _ORDERED,
        "tophat": _ORDERED,
    },
}
