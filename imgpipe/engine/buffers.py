"""Shared memory that the parent owns and frees, cut into slots that are used again and again.

A slot travels to a worker as a reference. The memory comes from the first of these that works:

1. a memory file (``memfd``): it has no name, so nothing can outlive the run;
2. `multiprocessing.shared_memory`, where there is no memfd;
3. a mapped temporary file.

It is allocated before it is used, so that a lack of memory is an error and not a SIGBUS.
Inside one process (``shared=False``) it is plain anonymous memory.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from imgpipe.errors import MemoryPlanError, WorkerError
from imgpipe.image import Pixels
from imgpipe.machine import available_memory
from imgpipe.publish import reserved
from imgpipe.records import dataclass
from imgpipe.refusals import refusal
from imgpipe.streams import keep_numbers_taken

__all__ = ["Buffers", "Slot", "let_go", "slot_of"]

_ALIGNMENT = 4096
_KEPT = 5
_names = itertools.count()
_attached: dict[str, Any] = {}
_owned: dict[str, tuple[Slot, int]] = {}  # memory that others may attach, and its address
_attaching = threading.Lock()


@dataclass(frozen=True)
class Slot:
    """A stretch of shared memory, by reference.

    Attributes
    ----------
    token : str
        Identifies the memory; the same in every process.
    path : str
        File to map, or name of a shared-memory segment after ``shm:``.
    file : (int, int)
        Device and number of that file: the path may lead to another one later.
    index, offset, size : int
        Number of the slot, its first byte, and its size in bytes.
    """

    token: str
    path: str
    file: tuple[int, int]
    index: int
    offset: int
    size: int

    def bytes(self) -> memoryview:
        """Return the memory of this slot, attached on first use and kept."""
        memory = _attached.get(self.token) or _attach(self)
        view = memory.view if isinstance(memory, (_Mapping, _Segment)) else memoryview(memory)
        return view[self.offset : self.offset + self.size]

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        """Return an array of `shape` at the start of this slot."""
        count = prod(shape)
        return np.frombuffer(self.bytes(), dtype, count).reshape(shape)


class Buffers:
    """`count` slots of `size` bytes each.

    Raises
    ------
    MemoryPlanError
        If there is not enough memory.
    """

    def __init__(self, count: int, size: int, *, shared: bool) -> None:
        step = -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT
        self.nbytes = count * step
        token = f"{os.getpid()}-{next(_names)}"
        keep_numbers_taken()
        makers = (_memfd, _segment, _temporary) if shared else (_anonymous,)
        path, memory, self._free = _first_that_works(makers, self.nbytes)
        self._token = token
        file = _file_at(path) if path.startswith("/") else (0, 0)
        with _attaching:
            _attached[token] = memory
            if shared:
                whole = Slot(token, path, file, 0, 0, self.nbytes)
                _owned[token] = whole, _address(np.frombuffer(memory, np.uint8))
        self.slots = tuple(Slot(token, path, file, i, i * step, step) for i in range(count))

    def close(self) -> None:
        """Free the memory. Arrays over it must not be used afterwards."""
        with _attaching:
            held = _attached.pop(self._token, None)
            _owned.pop(self._token, None)
        if held is not None:
            self._free()


def slot_of(array: Pixels) -> Slot | None:
    """Return the shared memory of this process that holds a contiguous array, if any does."""
    if array.flags.c_contiguous:
        at = _address(array)
        for whole, start in list(_owned.values()):
            if start <= at and at + array.nbytes <= start + whole.size:
                return replace(whole, offset=at - start, size=array.nbytes)
    return None


def _address(array: Pixels) -> int:
    return int(array.__array_interface__["data"][0])


Made = tuple[str, Any, Callable[[], None]]


def _first_that_works(makers: tuple[Callable[[int], Made], ...], size: int) -> Made:
    failures = []
    if size > available_memory():
        # Asking the system for more than there is would have it end other processes first.
        makers, failures = (), ["there is not that much"]
    for make in makers:
        try:
            return make(size)
        except (OSError, AttributeError, ValueError) as error:
            failures.append(str(error))
            if refusal(error):  # so would be the others, and not all of them tidily
                break
    raise MemoryPlanError(
        f"cannot allocate {size / 1e6:,.0f} MB of shared memory ({'; '.join(failures)}); "
        "free some, or lower the memory of this run (--max-memory, or max_memory= in Python)"
    )


def _memfd(size: int) -> Made:
    fd = os.memfd_create("imgpipe")
    try:
        os.posix_fallocate(fd, 0, size)
        memory = mmap.mmap(fd, size)
    except BaseException:
        os.close(fd)
        raise

    def free() -> None:
        # A worker may have it mapped until its next task. The pages are given back now.
        with contextlib.suppress(OSError, ValueError):
            memory.madvise(mmap.MADV_REMOVE)
        os.close(fd)
        _close_map(memory)

    return f"/proc/{os.getpid()}/fd/{fd}", memory, free


def _segment(size: int) -> Made:
    from multiprocessing import shared_memory  # noqa: PLC0415 - slow, and not needed on Linux

    segment = shared_memory.SharedMemory(create=True, size=size)

    def free() -> None:
        _close_segment(segment)
        segment.unlink()

    try:
        if hasattr(os, "posix_fallocate") and hasattr(segment, "_fd"):
            os.posix_fallocate(segment._fd, 0, size)
    except OSError:
        free()
        raise
    return f"shm:{segment.name}", segment.buf, free


def _temporary(size: int) -> Made:
    import tempfile  # noqa: PLC0415 - slow, and the last resort

    fd, path = tempfile.mkstemp(prefix="imgpipe-")

    def free() -> None:
        _close_map(memory)
        with contextlib.suppress(OSError):
            os.unlink(path)

    try:
        reserved(fd, size)
        memory = mmap.mmap(fd, size)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
    return path, memory, free


def _anonymous(size: int) -> Made:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        memory = mmap.mmap(-1, size)
    else:  # the system maps 512 pages at once, which it does for private memory alone
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # the kernel may be built without
            memory.madvise(mmap.MADV_HUGEPAGE)
    return "", memory, lambda: _close_map(memory)


def _close_map(memory: mmap.mmap) -> None:
    # A view that is still held keeps the mapping alive; it goes with the view.
    with contextlib.suppress(BufferError):
        memory.close()


def _close_segment(segment: Any) -> None:
    """Close a segment; a view that is still held keeps it mapped until the view ends."""
    with contextlib.suppress(BufferError):
        segment.close()
        return
    segment._buf = segment._mmap = None  # or its end would print the same error
    segment.close()


class _Mapping:
    """A mapped file, and its identity."""

    def __init__(self, path: str, file: tuple[int, int]) -> None:
        self._path, self._file = path, file
        if self.ended:  # it may be a file of another run by now, even its output
            raise WorkerError("the memory of this task is gone")
        fd = os.open(path, os.O_RDWR)
        try:
            if _file_at(fd) != file:
                raise WorkerError("the memory of this task is gone")
            self.view = memoryview(mmap.mmap(fd, 0))
        finally:
            os.close(fd)

    @property
    def ended(self) -> bool:
        """Return whether its owner has released it: the path is missing, or another file."""
        try:
            return _file_at(self._path) != self._file
        except OSError:
            return True


def _file_at(place: str | int) -> tuple[int, int]:
    found = os.stat(place)
    return found.st_dev, found.st_ino


class _Segment:
    """A shared-memory segment as a buffer; it stays open as long as this is kept."""

    ended = False  # as far as is known

    def __init__(self, name: str) -> None:
        from multiprocessing import shared_memory  # noqa: PLC0415 - as above

        self._segment = shared_memory.SharedMemory(name)
        self.view = memoryview(self._segment.buf or b"")

    def __del__(self) -> None:
        if hasattr(self, "_segment"):
            _close_segment(self._segment)


def _is_own(token: str) -> bool:
    return token.partition("-")[0] == str(os.getpid())


def _attach(slot: Slot) -> Any:
    with _attaching:
        if slot.token in _attached:
            return _attached[slot.token]
        _unmap()
        if slot.path.startswith("shm:"):
            memory: Any = _Segment(slot.path.removeprefix("shm:"))
        else:
            memory = _Mapping(slot.path, slot.file)
        _attached[slot.token] = memory
        return memory


def let_go() -> None:
    """Unmap ended memory of other processes that a worker has attached."""
    if any(not _is_own(token) for token in list(_attached)):
        with _attaching:
            _unmap()


def _unmap() -> None:
    others = {key: memory for key, memory in _attached.items() if not _is_own(key)}
    over = [key for key, memory in others.items() if memory.ended]
    # A flow has four kinds of slots; the end of a segment is not seen, so the last few are kept.
    segments = [key for key, memory in others.items() if isinstance(memory, _Segment)]
    for key in (*over, *segments[:-_KEPT]):
        del _attached[key]


def _forget() -> None:
    """Have a process that was forked attach anew, and free nothing of its parent."""
    global _attaching  # noqa: PLW0603 - another thread may have held it
    _attaching = threading.Lock()
    _attached.clear()
    _owned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
