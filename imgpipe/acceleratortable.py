"""Table of the filters that accelerators compute, by the types of the images.

It tells whether an accelerator is worth loading, without loading it. A test holds it against what
the accelerators do. One that is not in the table may compute anything.
"""

from __future__ import annotations

__all__ = ["ACCELERATED"]

_COUNTED = ("uint8", "uint16", "int16")

ACCELERATED: dict[str, dict[str, tuple[str, ...]]] = {
    "opencv": {
        "erode": _COUNTED,
        "dilate": _COUNTED,
    },
}
