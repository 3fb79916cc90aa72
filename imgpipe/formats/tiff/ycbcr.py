"""YCbCr samples that are not coded as JPEG: subsampled ones are spread out, then they become RGB.

References
----------
TIFF Revision 6.0, Adobe 1992, section 21; ITU-R BT.601.
"""

from __future__ import annotations

import numpy as np

from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["YCbCr", "size_of", "spread"]


@dataclass(frozen=True)
class YCbCr:
    """The meaning of YCbCr samples of 8 bits.

    Attributes
    ----------
    luma : tuple of 3 float
        Shares of red, green and blue in Y.
    reference : tuple of 6 float
        Values of Y for black and white, then of Cb and Cr for no and full colour.
    """

    luma: tuple[float, ...] = (0.299, 0.587, 0.114)
    reference: tuple[float, ...] = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)

    def as_rgb(self, samples: Pixels) -> Pixels:
        """Return samples of shape (rows, columns, 3) as red, green and blue."""
        black, white, *chroma = self.reference
        y = (samples[..., 0].astype(np.float32) - black) * (255 / ((white - black) or 255))
        cb, cr = (
            (samples[..., at + 1].astype(np.float32) - chroma[2 * at])
            * (127 / ((chroma[2 * at + 1] - chroma[2 * at]) or 127))
            for at in range(2)
        )
        red_share, green_share, blue_share = self.luma
        red = y + cr * (2 - 2 * red_share)
        blue = y + cb * (2 - 2 * blue_share)
        green = (y - red_share * red - blue_share * blue) / green_share
        rgb = np.stack([red, green, blue], axis=-1)
        return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)


def size_of(rows: int, columns: int, sampling: tuple[int, int]) -> int:
    """Return the bytes of subsampled rows.

    Parameters
    ----------
    rows, columns : int
        Pixels.
    sampling : (int, int)
        Pixels across and down that share a Cb and a Cr.
    """
    across, down = sampling
    return -(-rows // down) * -(-columns // across) * (across * down + 2)


def spread(raw: Pixels, rows: int, columns: int, sampling: tuple[int, int]) -> Pixels:
    """Return subsampled pixels one by one.

    Parameters
    ----------
    raw : ndarray, shape (size_of(rows, columns, sampling),), uint8
        For each unit all its Y, row by row, then Cb and Cr.
    rows, columns, sampling
        As for `size_of`.

    Returns
    -------
    ndarray, shape (rows, columns, 3), uint8
        Y, Cb and Cr; neighbours have the same Cb and Cr.
    """
    across, down = sampling
    units = raw.reshape(-(-rows // down), -(-columns // across), across * down + 2)
    high, wide = units.shape[:2]
    out = np.empty((high * down, wide * across, 3), np.uint8)
    luma = units[..., :-2].reshape(high, wide, down, across)
    out[..., 0] = luma.swapaxes(1, 2).reshape(high * down, wide * across)
    for at in (1, 2):
        out[..., at] = units[..., at - 3].repeat(down, axis=0).repeat(across, axis=1)
    return out[:rows, :columns]
