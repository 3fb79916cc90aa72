"""Accelerator: SciPy computes minima and maxima over squares, with the bits of NumPy."""

import numpy as np
import scipy
from scipy import ndimage

NAME = "SciPy"
VERSION = scipy.__version__


def extreme(chunk: np.ndarray, better: np.ufunc, radius: int, shape: str) -> np.ndarray | None:
    """Compute the kernel `extreme` for bytes; None for all else, which NumPy then computes."""
    if chunk.dtype != np.uint8 or shape != "square" or radius == 0:
        return None
    function = ndimage.minimum_filter if better is np.minimum else ndimage.maximum_filter
    made = function(chunk, size=(2 * radius + 1, 2 * radius + 1, 1))
    return made[radius:-radius, radius:-radius]


KERNELS = {"extreme": extreme}
