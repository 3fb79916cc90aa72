"""Machine: the processors and the memory that a process may use here."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from imgpipe.cleanup import uninterrupted

__all__ = [
    "PeakMemory",
    "allow_open_files",
    "available_memory",
    "dedicated",
    "held_memory",
    "is_dedicated",
    "is_helper",
    "is_own_process",
    "keep_freed_memory",
    "mark_own_process",
    "memory_kills",
    "private_memory",
    "tree_memory",
    "usable_processors",
]

_MEMORY_SYSTEMS = "tmpfs", "ramfs", "devtmpfs", "hugetlbfs"
_CGROUP = "/sys/fs/cgroup"
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP_BYTES = 256 << 20
_dedicated: list[bool] = []
_own: list[bool] = []
_USUAL_BYTES = 60 << 20  # of Python with NumPy, where the system does not tell


def usable_processors() -> int:
    """Return the number of processors that this process may use: affinity, then group quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(count, int(quota + 0.999)) if quota else count)


def available_memory() -> int:
    """Return the bytes that can be allocated without swapping, as far as the system tells."""
    found = [4 << 30]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = _read("/proc/meminfo").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable"))
        found = [int(line.split()[1]) * 1024]
    with contextlib.suppress(OSError, ValueError):
        limit = int(_read(_own_cgroup(), "memory.max"))
        used = int(_read(_own_cgroup(), "memory.current"))
        found.append(max(0, limit - used))
    return min(found)


def tree_memory(pids: set[int]) -> int:
    """Return the summed proportional set size of `pids` in bytes; 0 where it is not told."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = _read(f"/proc/{pid}/smaps_rollup")
            total += int(text.partition("\nPss:")[2].split()[0]) * 1024
    return total


def memory_kills() -> int | None:
    """Return the number of processes that the system has ended for want of memory, if known.

    It is the sum over the system and over the control group of this process.
    """
    found = []
    for path in (("/proc/vmstat",), (_own_cgroup(), "memory.events")):
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split() for line in _read(*path).splitlines())
            if "oom_kill" in fields:
                found.append(int(fields["oom_kill"]))
    return sum(found) if found else None


def allow_open_files(more: int) -> None:
    """Raise the soft limit of open files, as far as the system lets, if `more` are to be opened."""
    try:
        import resource  # noqa: PLC0415 - POSIX only
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = len(os.listdir("/dev/fd")) + more
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def held_memory() -> int:
    """Return the bytes that this process has in memory, shared libraries included."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(_read("/proc/self/statm").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return _USUAL_BYTES


def private_memory() -> tuple[int, int]:
    """Return the bytes that only this process has: written ones, and of files; 0 if not told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = _read("/proc/self/smaps_rollup")
        written, read = (
            int(text.partition(f"\nPrivate_{kind}:")[2].split()[0]) * 1024
            for kind in ("Dirty", "Clean")
        )
        return written, read
    return 0, 0


@contextlib.contextmanager
def dedicated() -> Iterator[None]:
    """Note that this process has no other work in this context, so that all it holds counts."""
    _dedicated.append(True)
    try:
        yield
    finally:
        _dedicated.pop()


def is_dedicated() -> bool:
    """Return whether this process has no other work."""
    return bool(_dedicated)


def mark_own_process() -> None:
    """Note that this process was started by imgpipe: settings of libraries may be changed here."""
    _own.append(True)


def is_own_process() -> bool:
    """Return whether this process is imgpipe's: a worker, a fork server, or a command at work."""
    return bool(_own or _dedicated)


def is_helper() -> bool:
    """Return whether this process was started by imgpipe: a worker or a fork server."""
    return bool(_own)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory: fresh pages cost more than most filters.

    NumPy frees and asks again for arrays of the same few sizes all the time. By default each of
    them is mapped anew, and the system clears every page of it again.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # noqa: PLC0415 - costs more than the rest of this module

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)


def lies_in_memory(folder: str) -> bool:
    """Return whether files of `folder` take memory instead of room on a disk."""
    with contextlib.suppress(OSError, ValueError):
        device = os.stat(folder).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        for line in _read("/proc/self/mountinfo").splitlines():
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == number:
                return kind.split()[0] in _MEMORY_SYSTEMS
    return False


class PeakMemory:
    """Samples the memory of a set of processes from a thread of its own.

    Walking the page tables costs a millisecond or two for each process, so it is done a few
    times a second, which is often enough for a run that holds its buffers from start to end.
    """

    def __init__(self, interval: float = 0.4) -> None:
        self.pids = {os.getpid()}
        self.bytes = 0
        self._stop = threading.Event()
        self._interval = interval
        self._thread = threading.Thread(target=self._watch, name="imgpipe-memory", daemon=True)
        try:
            # Where there is no thread, two samples must do.
            with uninterrupted(), contextlib.suppress(RuntimeError):
                self._thread.start()
        except BaseException:
            self._end()
            raise

    def stop(self) -> int:
        """Take a last sample, unless that is done, and return the highest."""
        if not self._stop.is_set():
            self._end()
            self._sample()
        return self.bytes

    def _end(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        self.bytes = max(self.bytes, tree_memory(self.pids | _helpers()))


def _helpers() -> set[int]:
    """Return the process that Python starts beside any pool of processes, if it has."""
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    pid = getattr(getattr(tracker, "_resource_tracker", None), "_pid", None)
    return {pid} if pid else set()


def _own_cgroup() -> str:
    with contextlib.suppress(OSError):
        for line in _read("/proc/self/cgroup").splitlines():
            if line.startswith("0::"):
                return os.path.join(_CGROUP, line[3:].lstrip("/"))
    return _CGROUP


def _quota() -> float:
    """Return the processors that the control group grants, 0 for no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = _read(_own_cgroup(), "cpu.max").split()
        if quota != "max":
            return int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota_us = int(_read(_CGROUP, "cpu/cpu.cfs_quota_us"))
        if quota_us > 0:
            return quota_us / int(_read(_CGROUP, "cpu/cpu.cfs_period_us"))
    return 0.0


def _read(*path: str) -> str:
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()
