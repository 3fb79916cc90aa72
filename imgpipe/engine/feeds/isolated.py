"""Isolated decoding: in another process, which may crash or hang without harm.

The process writes the pixels into shared memory. If it ends or takes too long, this image fails
and no other.
"""

from __future__ import annotations

import itertools
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import TimeoutError as TooLate
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from imgpipe.engine.buffers import Buffers, Slot, slot_of
from imgpipe.errors import CorruptError, ImgpipeError
from imgpipe.formats.base import Check, SequentialSource, Source, WholeSource
from imgpipe.formats.rows import RowsOf
from imgpipe.formats.wrapper import Wrapper
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["IsolatedRows", "IsolatedSequential", "IsolatedWhole", "isolated_source"]

_LIMIT_SECONDS = 120.0  # for a few megabytes of pixels
_LOOK_SECONDS = 0.5
_TRIES = 20  # if other programs end the process

_keys = itertools.count()
_positions: dict[int, RowsOf] = {}  # in the process that decodes


def isolated_source(
    source: SequentialSource | WholeSource, reader: Any, limit: float = _LIMIT_SECONDS
) -> IsolatedSequential | IsolatedWhole:
    """Return a source with the pixels of `source`, decoded by a worker of `reader`.

    Parameters
    ----------
    source : SequentialSource or WholeSource
        The image; it can be pickled.
    reader : Executor
        A supervised executor with shared memory.
    limit : float
        Seconds that the worker may take for one call.
    """
    if source.access == "whole":
        return IsolatedWhole(source, reader, limit)
    return IsolatedSequential(source, reader, limit)


_Of = TypeVar("_Of", SequentialSource, WholeSource)


@dataclass(frozen=True, eq=False)
class _Isolated(Wrapper[_Of]):
    """A source that another process decodes."""

    reader: Any
    limit: float

    def __reduce__(self) -> tuple[Any, ...]:
        """Be the image itself in a worker, which has no need of another process."""
        return _itself, (self.source,)


class IsolatedSequential(_Isolated[SequentialSource]):
    """A sequential source whose rows another process decodes."""

    access: ClassVar[Literal["sequential"]] = "sequential"

    def rows(self, *, ahead: bool = False) -> IsolatedRows:
        """Return a new position at the first row."""
        return IsolatedRows(self)


class IsolatedWhole(_Isolated[WholeSource]):
    """A whole source that another process decodes."""

    access: ClassVar[Literal["whole"]] = "whole"

    def decode_into(self, out: Pixels, check: Check = lambda: None) -> None:
        """Have the other process fill `out`."""
        _fill(self, out, check, _decode, self.source)


def _itself(source: Source) -> Source:
    return source


class IsolatedRows:
    """A position in a sequential source, kept by another process."""

    def __init__(self, source: IsolatedSequential) -> None:
        self._source, self._key, self._next = source, next(_keys), 0

    def read_into(self, out: Pixels) -> None:
        """Have the other process fill `out` with the next rows."""
        first = self._next
        self._next += len(out)
        _fill(self._source, out, lambda: None, _read, self._source.source, self._key, first)

    def finish(self) -> None:
        """Have the other process check the bytes after the last row."""
        _asked(self._source, lambda: None, _finish, self._source.source, self._key, self._next)

    def close(self) -> None:
        """Have the other process let go of the file, if it still can."""
        try:
            self._source.reader.submit(_close, self._key)
        except RuntimeError:  # it has ended, and with it the position
            return


def _fill(
    source: IsolatedSequential | IsolatedWhole, out: Pixels, check: Check, *task: Any
) -> None:
    """Have `task` fill `out`: in shared memory, or by way of it."""
    slot = slot_of(out)
    if slot is not None:
        _asked(source, check, *task, slot, out.shape, out.dtype)
        return
    memory = Buffers(1, out.nbytes, shared=True)
    try:
        _asked(source, check, *task, memory.slots[0], out.shape, out.dtype)
        np.copyto(out, memory.slots[0].array(out.shape, out.dtype))
    finally:
        memory.close()


def _asked(source: IsolatedSequential | IsolatedWhole, check: Check, *task: Any) -> None:
    """Do a task in the process that decodes. If that process is killed, a new one does the task.

    Raises
    ------
    CorruptError
        If the process ends by its own fault, or takes too long.
    """
    reader, reason = source.reader, ""
    for _ in range(_TRIES):
        future = _submitted(reader, task)
        try:
            _wait(source, future, check)
        except BrokenExecutor:
            end = reader.rebuild(future)
            reason = end.reason.partition("\n")[0]
            if end.pid is not None and not end.outside:
                break
        else:
            return
    raise CorruptError(
        f"{source.name}: its decoder ended by {reason}; "
        "get a fresh copy, or convert it with another program"
    )


def _submitted(reader: Any, task: tuple[Any, ...]) -> Future[None]:
    try:
        future: Future[None] = reader.submit(*task)
    except BrokenExecutor as error:
        future = Future()
        future.set_exception(error)
    return future


def _wait(source: IsolatedSequential | IsolatedWhole, future: Future[None], check: Check) -> None:
    """Wait until a task is done; end the process if it takes too long, or the run is to end."""
    waited = 0.0
    while True:
        try:
            return future.result(_LOOK_SECONDS)
        except TooLate:
            waited += _LOOK_SECONDS
            source.reader.look_after()
        except ImgpipeError as error:
            raise error from None  # it tells all; its way from the process is no news
        try:
            check()
            _must_be_early(source, waited)
        except BaseException:
            source.reader.rebuild(future, wanted=True)
            raise


def _must_be_early(source: IsolatedSequential | IsolatedWhole, waited: float) -> None:
    if waited >= source.limit:
        raise CorruptError(
            f"{source.name}: its decoder did not finish within {source.limit:g} s; "
            "get a fresh copy, or convert it with another program"
        )


# --- in the process that decodes -----------------------------------------------------------


def _decode(source: WholeSource, slot: Slot, shape: tuple[int, ...], dtype: Any) -> None:
    source.decode_into(slot.array(shape, dtype))


def _read(
    source: SequentialSource,
    key: int,
    first: int,
    slot: Slot,
    shape: tuple[int, ...],
    dtype: Any,
) -> None:
    _position(source, key, first).read_into(slot.array(shape, dtype))


def _finish(source: SequentialSource, key: int, first: int) -> None:
    _position(source, key, first).finish()


def _close(key: int) -> None:
    if key in _positions:
        _positions.pop(key).close()


def _position(source: SequentialSource, key: int, first: int) -> RowsOf:
    """Return the position `key` of this process, at row `first`.

    Another process had it, and is gone, if this one does not have it there.
    """
    rows = _positions.get(key)
    if rows is None:
        rows = _positions[key] = RowsOf(source, lambda: None)
    rows.skip_to(first)
    return rows
