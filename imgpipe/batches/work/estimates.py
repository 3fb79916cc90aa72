"""Estimates: the pixels of a file, from its size in bytes and from similar files."""

from __future__ import annotations

import os
from collections import Counter

from imgpipe.batches.work.job import Job

__all__ = ["PixelEstimates"]

_LOSSY = frozenset({".jpg", ".jpeg", ".webp", ".avif", ".heic", ".jxl", ".jp2"})
_OF_LOSSY, _OF_OTHERS = 4.0, 0.5  # pixels for each byte, as long as no file is known


class PixelEstimates:
    """The pixels that files have for each byte, by suffix."""

    def __init__(self) -> None:
        self._pixels: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def learn(self, job: Job, pixels: int) -> None:
        """Take note of the size of a file."""
        if pixels and job.size:
            suffix = _suffix_of(job)
            self._pixels[suffix] += pixels
            self._bytes[suffix] += job.size

    def of(self, job: Job) -> int:
        """Return about how many pixels a file has."""
        if job.pixels:
            return job.pixels
        suffix = _suffix_of(job)
        if self._bytes[suffix]:
            return job.size * self._pixels[suffix] // self._bytes[suffix]
        return round(job.size * (_OF_LOSSY if suffix in _LOSSY else _OF_OTHERS))


def _suffix_of(job: Job) -> str:
    return os.path.splitext(job.due.found.name)[1].lower()
