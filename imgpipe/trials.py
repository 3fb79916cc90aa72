"""Trials of accelerated kernels: small adversarial pictures, and the record of the outcome.

The record is a file in the user's cache, one line for each trial, so that every trial is made once
for a version of the library. Without a cache, every process makes its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgpipe.image import Pixels

__all__ = ["is_equal", "pictures"]

_log = logging.getLogger("imgpipe")
_lock = threading.Lock()
_known: dict[str, bool] = {}
_read: set[Path] = set()

# Rows and columns without the halo; widths are no multiples of what a processor does at once.
_SIZES = (1, 1), (2, 3), (3, 33), (16, 67), (31, 130)


def is_equal(
    library: str,
    name: str,
    other: Callable[[Pixels], Pixels | None],
    kernel: Callable[[Pixels], Pixels],
    call: tuple[Pixels, Pixels, object],
) -> bool:
    """Whether an accelerator gives the bits of a kernel, as far as was tried.

    Parameters
    ----------
    library : str
        The accelerator and its version.
    name : str
        The name of the kernel.
    other, kernel : callable
        The function of the accelerator and that of NumPy, with the parameters of the call.
    call : (ndarray, ndarray, object)
        A chunk, the result of the accelerator for it, and the parameters.
    """
    chunk, found, params = call
    path = _record(library)
    key = f"{path.name} {name} {chunk.dtype.name} {chunk.shape[2]} {_text(params)}"
    with _lock:
        _read_once(path)
        if key not in _known:
            equal = all(
                _same(other(picture), kernel(picture))
                for picture in pictures(chunk.dtype, _halo(chunk, found), chunk.shape[2])
            )
            _known[key] = equal
            _note(path, key, equal)
            if not equal:
                _log.warning(
                    "%s computes %s of %s otherwise than NumPy does; NumPy computes it",
                    library, name, chunk.dtype,
                )  # fmt: skip
        return _known[key]


def pictures(dtype: np.dtype[Any], halo: tuple[int, int], channels: int) -> Iterator[Pixels]:
    """Yield pictures with a halo: noise, black and white, close values, and single pixels."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    random = np.random.default_rng(5)
    for rows, columns in _SIZES:
        shape = rows + 2 * halo[0], columns + 2 * halo[1], channels
        yield random.integers(low, high, shape, dtype, endpoint=True)
        yield np.where(random.random(shape) < 0.5, low, high).astype(dtype)
        yield random.integers(high - 3, high, shape, dtype, endpoint=True)
        single = np.full(shape, low, dtype)
        single[shape[0] // 2, shape[1] // 2] = high
        yield single


def _same(one: Pixels | None, other: Pixels) -> bool:
    return one is not None and one.dtype == other.dtype and bool(np.array_equal(one, other))


def _halo(chunk: Pixels, found: Pixels) -> tuple[int, int]:
    """Return the halo of a chunk that has this result; there is none where pixels are moved."""
    down, along = ((chunk.shape[axis] - found.shape[axis]) // 2 for axis in (0, 1))
    return (0, 0) if min(down, along) < 0 else (down, along)


def _text(params: object) -> str:
    """Return parameters as text; arrays by their type and shape."""
    if isinstance(params, np.ndarray):
        return f"{params.dtype}{params.shape}"
    if isinstance(params, dict):
        return _text(sorted(params.items()))
    if isinstance(params, list | tuple):
        return f"({','.join(map(_text, params))})"
    return repr(params)


def _record(library: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    made_for = f"{np.__version__} {platform.machine()} {platform.processor()}"
    digest = hashlib.sha256(made_for.encode()).hexdigest()[:8]
    return Path(cache, "imgpipe", "accelerators", f"{library}-{digest}")


def _read_once(path: Path) -> None:
    if path in _read:
        return
    _read.add(path)
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        for line in file:
            outcome, _, key = line.rstrip("\n").partition(" ")
            if outcome in ("equal", "different"):
                _known[key] = outcome == "equal"


def _note(path: Path, key: str, equal: bool) -> None:  # noqa: FBT001
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab", buffering=0) as file:
            file.write(f"{'equal' if equal else 'different'} {key}\n".encode())
