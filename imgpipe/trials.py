"""Trials of accelerated kernels, on small adversarial pictures.

A trial is made once for a build of the library, a version of imgpipe and of NumPy, and a
processor; `imgpipe.trialrecords` keeps the outcome.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from imgpipe.image import Pixels
from imgpipe.libraries import described
from imgpipe.trialrecords import record_of

__all__ = ["is_equal", "pictures"]

_SAMPLES = 400_000  # of all pictures, halo included, unless few pictures have more
_LEAST = 2  # pictures at least, even with a large halo
_SECONDS = 0.02  # after which a trial ends
_FEW = 4  # pictures at least, even with a slow kernel
_KINDS = 8  # of pictures; it shares no divisor with the number of sizes
_DIFFERS, _FAILS = "differs from NumPy", "fails"

# Rows and columns without the halo. No width is a multiple of the vector length of a processor.
_SIZES = (16, 67), (3, 33), (31, 130), (2, 3), (1, 1)

_VERSION = str(getattr(sys.modules["imgpipe"], "__version__", ""))


def is_equal(
    accelerator: Any,
    call: tuple[Any, ...],
    functions: tuple[Callable[..., Pixels | None], Callable[..., Pixels]],
    parameters: tuple[tuple[Any, ...], dict[str, Any]],
    chunk: Pixels,
) -> tuple[bool, str]:
    """Return whether an accelerator gives the bits of a kernel, and the fault, if any.

    Parameters
    ----------
    accelerator : Accelerator
        The accelerator.
    call : tuple
        Name of the kernel, type, channels and parameters: the key of the outcome.
    functions : (callable, callable)
        The function of the accelerator, and the kernel.
    parameters : (tuple, dict)
        The parameters of the call, by place and by name.
    chunk : ndarray, shape (rows, columns, channels)
        The chunk of the call.

    Returns
    -------
    (bool, str)
        The fault is empty if there is none, if the outcome was known, or if the accelerator does
        not cover the call.
    """
    (function, kernel), (args, kwargs) = functions, parameters
    title = f"{accelerator.NAME} {accelerator.VERSION}"
    key = " ".join((title, call[0], _text(call[1:]), _circumstances(accelerator, kernel)))
    key = " ".join(key.split())
    record = record_of(accelerator.NAME)
    known = record.outcome(key)
    if known is not None:
        return known, ""
    with record.trial(key) as may_begin:
        if not may_begin:
            record.note(key, equal=False)
            return False, "has ended two processes"
        try:
            found = function(chunk.copy(), *args, **kwargs)  # it may change its input
        except Exception as error:  # noqa: BLE001 - NumPy needs nothing of it
            return False, f"{_FAILS} ({described(error)})"
        if found is None:
            return False, ""
        if not _is_image(found):
            return False, "gives no array of three axes"
        fault = _fault(
            lambda picture: function(picture, *args, **kwargs),
            lambda picture: kernel(picture, *args, **kwargs),
            pictures(chunk.dtype, _halo(chunk.shape, found.shape), chunk.shape[2]),
        )
        if not fault.startswith(_FAILS):  # it may be for want of memory
            record.note(key, equal=not fault)
        return not fault, fault


def pictures(dtype: np.dtype[Any], halo: tuple[int, int], channels: int) -> Iterator[Pixels]:
    """Yield pictures with a halo that reveal differences of a kernel.

    Noise and single pixels reveal other weights, axes and channels. Black and white reveal
    overflow. Levels that differ by one reveal another rounding, also close to both ends of the
    range. Small and odd sizes reveal errors at borders and at the ends of rows.
    """
    taken = 0
    for number in range(len(_SIZES) * _KINDS):  # each kind in each size
        rows, columns = _SIZES[number % len(_SIZES)]
        shape = rows + 2 * halo[0], columns + 2 * halo[1], channels
        taken += math.prod(shape)
        if number >= _LEAST and taken > _SAMPLES:
            return
        yield _picture(number % _KINDS, shape, dtype, np.random.default_rng(number))


def _picture(
    kind: int, shape: tuple[int, int, int], dtype: np.dtype[Any], random: np.random.Generator
) -> Pixels:
    if dtype.kind == "f":  # any bits: not a number, infinite and nearly 0 too
        whole = np.dtype(f"u{dtype.itemsize}")
        return random.integers(0, np.iinfo(whole).max, shape, whole, endpoint=True).view(dtype)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    middle = (low + high) // 2
    if kind in (0, 1, 2, 3):  # noise of all levels; and of two, for sums close to a half
        first, last = ((low, high), (high - 1, high), (middle, middle + 1), (low, low + 1))[kind]
        return random.integers(first, last, shape, dtype, endpoint=True)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    if kind == 4:
        made = np.where(random.random(shape) < 0.5, dtype.type(low), dtype.type(high))
    elif kind == 5:  # four fields, white and black
        field = (rows < shape[0] // 2) != (columns < shape[1] // 2)
        made = np.repeat(np.where(field, dtype.type(high), dtype.type(low))[..., None], shape[2], 2)
    elif kind == 6:  # a slope of its own in each channel
        slope = (np.arange(shape[2]) * 11 + (7 * rows + 3 * columns)[..., None]) % 251
        made = slope + min(middle // 2, high - 250)
    else:  # one pixel of each channel, at a place of its own
        made = np.full(shape, low, dtype)
        for channel in range(shape[2]):
            y, x = shape[0] // 2 + channel, shape[1] // 2 + 2 * channel
            made[y % shape[0], x % shape[1], channel] = high - channel
    return np.asarray(made, dtype)


def _fault(
    function: Callable[[Pixels], Pixels | None],
    kernel: Callable[[Pixels], Pixels],
    pictures: Iterator[Pixels],
) -> str:
    """Return the fault of a function whose results differ from the kernel's in any bit.

    It must cover one picture at least, change none, and return arrays of its own.
    """
    begun, last = time.thread_time(), None
    for number, picture in enumerate(pictures):
        if number >= _FEW and time.thread_time() - begun > _SECONDS:
            break  # the kernel is slow
        try:
            wanted = kernel(picture)
        except Exception:  # noqa: BLE001, S112 - not a picture for this kernel
            continue
        lent = np.may_share_memory(wanted, picture)
        for laid in (picture, _laid_out(picture, number)):
            before = laid.copy()
            try:
                found = function(laid)
            except Exception as error:  # noqa: BLE001 - it would fail in a run too
                return f"{_FAILS} ({described(error)})"
            if fault := _fault_of(found, wanted, laid, before):
                return fault
            if found is None:
                continue
            if np.may_share_memory(found, laid) and not lent:
                return "returns its input"
            if last is not None and np.may_share_memory(found, last):
                return "uses its array again"
            last = found
    return _DIFFERS if last is None else ""


def _fault_of(found: Pixels | None, wanted: Pixels, given: Pixels, before: Pixels) -> str:
    if not _same(given, before):
        return "changes its input"
    if found is not None and not (_is_image(found) and _same(found, wanted)):
        return _DIFFERS
    return ""


def _is_image(found: Any) -> bool:
    return isinstance(found, np.ndarray) and found.ndim == 3


def _laid_out(picture: Pixels, number: int) -> Pixels:
    """Return the same picture as a part of a larger one, in rows or in channels."""
    rows, columns, channels = picture.shape
    more = ((0, 5, 0), (1, 0, 1), (2, 3, 0))[number % 3]
    held = np.full((rows + more[0], columns + more[1], channels + more[2]), 77, picture.dtype)
    part = held[more[0] :, :columns, :channels]
    part[...] = picture
    return part


def _same(one: Pixels, other: Pixels) -> bool:
    """Return whether two arrays have the same bits."""
    alike = one.dtype == other.dtype and one.shape == other.shape
    return alike and one.tobytes() == other.tobytes()


def _halo(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int]:
    """Return the halo of a kernel, from the sizes of a chunk and of its result."""
    rows, columns = before[0] - after[0], before[1] - after[1]
    if min(rows, columns) < 0:  # another geometry
        return 0, 0
    return -(-rows // 2), -(-columns // 2)


# --- the key of an outcome -------------------------------------------------------------------


def _circumstances(accelerator: Any, kernel: Callable[..., Any]) -> str:
    """Return a digest of all that may change the bits of the function or the kernel."""
    theirs = str(getattr(accelerator, "__file__", None) or accelerator)
    ours = kernel.__globals__ if hasattr(kernel, "__globals__") else {}
    made_for = (
        _processor(),
        str(getattr(accelerator, "BUILD", "")),
        *(f"{key}={value}" for key, value in sorted(os.environ.items()) if _decides(key)),
        *_sources(theirs),
        *_sources(str(ours.get("__file__", ""))),
    )
    return hashlib.sha256("\n".join(made_for).encode(errors="replace")).hexdigest()[:16]


def _decides(variable: str) -> bool:
    return variable.startswith(("OPENCV_", "NPY_"))


@functools.cache
def _processor() -> str:
    """Return the versions of the code, and the features of the processor that it runs on."""
    found = np.show_config(mode="dicts")
    features = [_VERSION, np.__version__, sys.platform, str(found.get("SIMD Extensions"))]
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = file.read(8192).splitlines()  # the first processor, of maybe many
        said = ("model name", "flags", "Features", "CPU part")
        features += [next((one for one in lines if one.startswith(name)), "") for name in said]
    return "\n".join(features)


@functools.cache
def _sources(path: str) -> tuple[str, ...]:
    """Return the sizes and times of a module and of those beside it, if it is in a package."""
    folder, found = os.path.dirname(path), list[str]()
    with contextlib.suppress(OSError):
        package = os.path.isfile(os.path.join(folder, "__init__.py"))
        with os.scandir(folder) as entries:
            for one in entries:
                if one.name.endswith(".py") and (package or one.path == path):
                    status = one.stat()
                    found.append(f"{one.name} {status.st_size} {status.st_mtime_ns}")
    return tuple(sorted(found))


def _text(params: Any) -> str:
    """Return parameters as text that is the same in every process."""
    if isinstance(params, tuple | list):
        return f"({','.join(map(_text, params))})"
    if isinstance(params, dict):
        return _text(sorted(params.items()))
    if isinstance(params, np.dtype):
        return params.str
    if callable(params) and not isinstance(params, np.ufunc):
        return f"{params.__module__}.{params.__qualname__}"
    return " ".join(repr(params).split())
