"""What should begin before NumPy is imported, guessed from the command before it is parsed.

Options of a filter can be parsed only when the filter is imported, and that takes NumPy along.
A wrong guess costs a process that is not used; it changes nothing in what is done.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence

__all__ = ["start_early"]

_WORTH_IT = 1_000_000  # bytes of an input; smaller ones are done by one process
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def start_early(args: Sequence[str]) -> None:
    """Start the fork server if the command `args` looks as if it will need workers."""
    for name in _THREADS:
        os.environ.setdefault(name, "1")  # the processors are shared out among workers already
    # Whatever is wrong here is found, and told, once workers are really needed.
    with contextlib.suppress(Exception):
        if _needs_workers(args):
            from imgpipe.executors.processes import warm_up  # noqa: PLC0415

            warm_up()


def _needs_workers(args: Sequence[str]) -> bool:
    if {"-h", "--help", "--dry-run"} & {*args}:
        return False
    if re.search(r"(?:^|\0)(?:-j|--jobs)[\0=]?0*1(?:\0|$)", "\0".join(args)):
        return False
    if not any(os.path.isfile(arg) and os.path.getsize(arg) > _WORTH_IT for arg in args):
        return False
    from imgpipe.machine import usable_processors  # noqa: PLC0415

    return usable_processors() > 1 or any(arg.startswith(("-j", "--jobs")) for arg in args)
