"""Painting: a filter that makes a photograph look painted."""

from typing import Annotated

import numpy as np

import imgpipe
from imgpipe import Between


@imgpipe.filter(halo=lambda radius: radius)
def kuwahara(
    chunk: np.ndarray, *, radius: Annotated[int, Between(1, 20), "side of a square, less one"] = 3
) -> np.ndarray:
    """Smooth areas and keep edges, like a brush.

    Each pixel is a corner of four squares. It becomes the mean of the square that varies least
    (M. Kuwahara et al., 1976), in each channel.
    """
    exact = chunk.dtype.kind in "iu" and chunk.itemsize <= 2
    values = chunk.astype(np.int64 if exact else np.float64)
    rows, columns = (size - radius for size in chunk.shape[:2])
    total, squares = np.zeros((2, rows, columns, chunk.shape[2]), values.dtype)
    for y in range(radius + 1):  # each square by itself: the result does not depend on the chunk
        for x in range(radius + 1):
            part = values[y : y + rows, x : x + columns]
            total += part
            squares += part * part
    count = (radius + 1) ** 2
    varies = squares * count - total * total
    corners = [
        (slice(y, y + rows - radius), slice(x, x + columns - radius))
        for y in (0, radius)
        for x in (0, radius)
    ]
    least = np.argmin([varies[corner] for corner in corners], axis=0)
    return np.choose(least, [total[corner] for corner in corners]) / count
