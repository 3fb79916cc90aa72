"""Expansion of stored samples to pixels: palettes, few bits, white as zero, colour times alpha."""

from __future__ import annotations

from typing import Any

import numpy as np

from imgpipe.formats.tiff.layout import InFile
from imgpipe.formats.tiff.ycbcr import YCbCr
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["Expansion"]


@dataclass(frozen=True)
class Expansion:
    """The way from stored samples to pixels.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of the pixels.
    bits : int
        Bits of a stored sample.
    palette : InFile or None
        Red, green and blue of every index, one after the other, in 16 bits.
    inverted : bool
        Whether 0 is white.
    premultiplied : bool
        Whether colours are stored multiplied by alpha, the last sample.
    ycbcr : YCbCr or None
        Meaning of samples that are YCbCr instead of RGB.
    """

    dtype: np.dtype[Any]
    bits: int
    palette: InFile | None = None
    inverted: bool = False
    premultiplied: bool = False
    ycbcr: YCbCr | None = None

    @property
    def is_needed(self) -> bool:
        """Return whether pixels are anything but the stored samples."""
        other = self.palette is not None or self.ycbcr is not None
        return other or self.bits < 8 or self.inverted or self.premultiplied

    def expanded(self, samples: Pixels, palette: Pixels | None) -> Pixels:
        """Return the pixels of samples.

        Parameters
        ----------
        samples : ndarray, shape (rows, columns, samples)
            As stored.
        palette : ndarray, shape (3 * entries,), or None
            The numbers of the palette.

        Returns
        -------
        ndarray, shape (rows, columns, channels)
            The pixels.
        """
        if palette is not None:
            colours = (palette.reshape(3, -1).T >> 8).astype(np.uint8)
            index = samples[..., 0]
            pixels = colours[np.minimum(index, len(colours) - 1)]
            return pixels if samples.shape[2] == 1 else self._with_alpha(pixels, samples)
        if self.ycbcr is not None:
            return self.ycbcr.as_rgb(samples)
        if self.inverted:
            samples = _inverse(samples, self.bits)
        if self.bits < 8:
            most = (1 << self.bits) - 1
            table = (np.arange(256) * 255 + most // 2) // most
            samples = table.astype(np.uint8)[samples]
        if self.premultiplied:
            return _divided(samples)
        return samples

    @staticmethod
    def _with_alpha(pixels: Pixels, samples: Pixels) -> Pixels:
        return np.concatenate([pixels, samples[..., 1:].astype(np.uint8, copy=False)], axis=2)


def _inverse(samples: Pixels, bits: int) -> Pixels:
    """Return samples with white and black exchanged."""
    if samples.dtype.kind == "i":
        return ~samples
    return (2**bits - 1 - samples) if samples.dtype.itemsize < 8 else ~samples


def _divided(pixels: Pixels) -> Pixels:
    """Return pixels whose colours are not multiplied by alpha, their last channel, any more."""
    alpha = pixels[..., -1:]
    out = pixels.copy()
    if pixels.dtype.kind == "f":
        with np.errstate(all="ignore"):
            np.divide(pixels[..., :-1], alpha, out=out[..., :-1], where=alpha != 0)
    else:
        most = np.iinfo(pixels.dtype).max
        wide = np.uint32 if pixels.dtype.itemsize == 1 else np.uint64
        whole: Pixels = pixels[..., :-1].astype(wide) * most
        opaque: Pixels = np.maximum(alpha, 1).astype(wide)
        out[..., :-1] = np.minimum((whole + opaque // 2) // opaque, most)
    out[..., :-1][np.broadcast_to(alpha == 0, out[..., :-1].shape)] = 0
    return out
