"""Early steps: settings and processes that a command needs before it opens a file.

None of it changes the result: a wrong guess costs a process that is not used.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgpipe.chains.element import Element

__all__ = ["collect_garbage", "fork_early", "fork_for_many", "is_small", "one_thread_each"]

_WORTH_IT = 1_000_000  # bytes of an input; smaller ones are done by one process
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread_each() -> None:
    """Have libraries start no threads: the processors are shared out among workers already.

    They look at these variables when NumPy is imported.
    """
    for name in _THREADS:
        os.environ.setdefault(name, "1")


def collect_garbage() -> None:
    """Collect garbage from now on, but not in imported modules: that takes long."""
    gc.freeze()
    gc.enable()


def fork_early(
    chain: Iterable[Element],
    path: str,
    jobs: int | None,
    executor: str | None = None,
    *,
    output: str = "",
    format: str | None = None,
    light: bool = False,
    accelerator: str | None = None,
    max_memory: int | None = None,
) -> None:
    """Fork the fork server if this looks like a run that needs workers.

    It has all imported then that workers need for `output`. Libraries of C are loaded there while
    this process plans the run. A file of the user's may have begun anything when it was loaded, so
    workers for its functions come from a new interpreter. Threads will do if the codecs are `light`
    and an accelerator computes all filters.
    """
    # Errors here are found again, and reported, once workers are really needed.
    with contextlib.suppress(Exception):
        filters = [*chain]
        ours = executor in (None, "processes") and all(one.definition.ours for one in filters)
        if not ours or not _needs_workers(path, jobs):
            return
        if light and executor is None and _threads_will_do(filters, jobs, accelerator, max_memory):
            return
        _expect(filters, accelerator, max_memory)
        _fork(_codecs_for(output, format))


def fork_for_many(
    chains: Iterable[Iterable[Element]],
    executor: str | None = None,
    accelerator: str | None = None,
    max_memory: int | None = None,
) -> None:
    """Fork the fork server for a batch, which always has workers, if all filters are ours."""
    with contextlib.suppress(Exception):
        ours = all(one.definition.ours for chain in chains for one in chain)
        if executor in (None, "processes") and ours:
            _expect(itertools.chain.from_iterable(chains), accelerator, max_memory)
            _fork()


def is_small(path: str) -> bool:
    """Return whether a file is so small that one process does the work as quickly as several."""
    return os.path.isfile(path) and os.path.getsize(path) <= _WORTH_IT


def _fork(codecs: Iterable[str] = ()) -> None:
    import imgpipe.engine.worker  # noqa: F401, PLC0415 - workers need it
    from imgpipe.executors.processes.pool import fork_now  # noqa: PLC0415 - slow to import

    fork_now(codecs)


def _codecs_for(output: str, name: str | None) -> tuple[str, ...]:
    """Return the modules that workers load to write `output`, as far as it is known."""
    from imgpipe.errors import UsageError  # noqa: PLC0415
    from imgpipe.formats import formatchoice  # noqa: PLC0415 - takes NumPy along

    try:
        found = (
            formatchoice.format_for(output) if name is None else formatchoice.format_called(name)
        )
    except UsageError:
        return ()
    return found.codecs


def _expect(filters: Iterable[Element], accelerator: str | None, max_memory: int | None) -> None:
    """Have the fork server load the accelerator that these filters may need."""
    from imgpipe.acceleration import expect  # noqa: PLC0415 - takes NumPy along
    from imgpipe.accelerators.choice import asked_for, possible  # noqa: PLC0415

    asked = asked_for(accelerator, max_memory)
    expect(possible(asked, [one.name for one in filters]).name)


def _threads_will_do(
    filters: list[Element], jobs: int | None, accelerator: str | None, max_memory: int | None
) -> bool:
    from imgpipe.accelerators.choice import asked_for, threads_will_do  # noqa: PLC0415

    names = [one.name for one in filters]
    return threads_will_do(asked_for(accelerator, max_memory), names, jobs)


def _needs_workers(path: str, jobs: int | None) -> bool:
    if not os.path.isfile(path) or is_small(path):
        return False
    from imgpipe.machine import usable_processors  # noqa: PLC0415 - not for help

    return (jobs or usable_processors()) > 1
