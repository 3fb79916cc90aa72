"""Jobs: the common part of all tasks of a flow, and its way to the workers.

A job is pickled once. Workers of other processes find it in shared memory, or in the task where no
memory is shared, and keep it for the tasks to come. Workers of this process have it as it is.
"""

from __future__ import annotations

import itertools
import os
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from imgpipe.acceleration import NONE
from imgpipe.chains.serialization import by_value
from imgpipe.chains.stages import Stage
from imgpipe.cleanup import CleanupStack
from imgpipe.engine.buffers import Buffers
from imgpipe.engine.tasks import JobRef
from imgpipe.engine.tiler import Tiler
from imgpipe.errors import WorkerError
from imgpipe.executors.base import Traits
from imgpipe.formats.base import Aside, Encoder, Placer
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Branch", "CallJob", "Job", "job_of", "must_travel", "published"]

_KEPT = 8  # jobs of flows that go on at once
_HERE = "here-"
_KEY_BYTES = 16

_jobs: dict[str, Job | CallJob] = {}
_lock = threading.Lock()  # several threads of a worker may work on several runs
_numbers = itertools.count()


class Branch(NamedTuple):
    """The stages of a flow from the source to one sink.

    Attributes
    ----------
    tiler : Tiler
        The cut of tasks into chunks, and the stages that chunks go through.
    unit : (int, int)
        Rows and columns that are encoded or placed at once; 0 columns for whole rows.
    encoder, placer : Encoder, Placer or None
        Encodes or places the pixels; neither in a pass of measuring.
    aside : Aside or None
        Uses pixels that are encoded.
    """

    tiler: Tiler
    unit: tuple[int, int] = (1, 0)
    encoder: Encoder | None = None
    placer: Placer | None = None
    aside: Aside | None = None

    @property
    def after(self) -> ImageInfo:
        """The image that the stages make."""
        return self.tiler.stages[-1].after if self.tiler.stages else self.tiler.info

    @property
    def places_chunks(self) -> bool:
        """Return whether every chunk is placed by itself, as it is made of whole units."""
        sides = zip(self.tiler.chunk, self.unit, strict=True)
        whole = min(self.unit) > 1 and not any(side % step for side, step in sides)
        return self.placer is not None and whole


@dataclass(frozen=True)
class Job:
    """The common part of all tasks of a flow.

    Attributes
    ----------
    name : str
        The input file, for messages.
    branches : tuple of Branch
        The branches of the flow.
    measured_stage : Stage or None
        The stage that measures the result of the stages of the branch.
    timeout : float or None
        Seconds that a chunk may take, in a process that may be ended.
    accelerator : str
        The accelerator of the kernels, or ``"none"``.
    """

    name: str
    branches: tuple[Branch, ...]
    measured_stage: Stage | None = None
    timeout: float | None = None
    accelerator: str = NONE

    @property
    def all_stages(self) -> tuple[Stage, ...]:
        """The stages whose functions the workers call, branch by branch."""
        measured = () if self.measured_stage is None else (self.measured_stage,)
        return sum((branch.tiler.stages for branch in self.branches), ()) + measured

    @property
    def ours(self) -> bool:
        """Return whether all functions are imgpipe's."""
        return all(stage.filter.definition.ours for stage in self.all_stages)

    def first_stage(self, branch: int) -> int:
        """Return the number of the first stage of `branch` among `all_stages`."""
        return sum(len(one.tiler.stages) for one in self.branches[:branch])


@dataclass(frozen=True)
class CallJob:
    """The common part of all calls of a flow.

    Attributes
    ----------
    name : str
        The work, for messages.
    function : callable
        A function of imgpipe's. It gets `common`, the items of the call and a `CallContext`, and
        returns an answer for each item. Fewer answers give the last items back.
    common : object
        Its first argument, which is sent once.
    ours : bool
        Whether all functions within `common` are imgpipe's.
    timeout : float or None
        Seconds that an item may take, in a process that may be ended.
    stopped : callable or None
        Whether calls are to end after the item under way, for workers in this process. A call
        that holds up the loop of the crew cannot be called back by it. It is not sent.
    check : callable or None
        Raises `Cancelled` if the item under way is to end, likewise. It is not sent.
    accelerator : str
        The accelerator that items may choose: ``"none"``, ``"auto"`` or a name.
    """

    name: str
    function: Callable[[Any, tuple[Any, ...], Any], Sequence[Any]]
    common: Any
    ours: bool = True
    timeout: float | None = None
    stopped: Callable[[], bool] | None = None
    check: Callable[[], None] | None = None
    accelerator: str = NONE


def published(job: Job | CallJob, traits: Traits, held: CleanupStack) -> JobRef:
    """Return a reference to `job` for the workers of an executor, valid until `held` is closed.

    Raises
    ------
    UsageError
        If a function cannot be sent to another process.
    MemoryPlanError
        If there is no memory for it.
    """
    if not traits.isolates:
        ref = JobRef(f"{_HERE}{next(_numbers)}", None, 0)
        with _lock:
            _jobs[ref.key] = job
        held.callback(_forget, ref)
        return ref
    key = os.urandom(_KEY_BYTES // 2).hex()
    data = key.encode() + _pickled(job)
    if not traits.shares_memory:
        return JobRef(key, None, len(data), data)
    buffers = Buffers(1, len(data), shared=True)
    held.callback(buffers.close)
    buffers.slots[0].bytes()[: len(data)] = data
    return JobRef(key, buffers.slots[0], len(data))


def job_of(ref: JobRef) -> Job | CallJob:
    """Return the job that `ref` refers to, in a worker.

    Raises
    ------
    WorkerError
        If the flow is over.
    """
    job = _jobs.get(ref.key)
    if job is None:
        data = memoryview(ref.data if ref.slot is None else ref.slot.bytes())[: ref.size]
        if data[:_KEY_BYTES] != ref.key.encode():  # the flow is over, and its memory another's
            raise WorkerError("the job of this task is gone")
        job = pickle.loads(data[_KEY_BYTES:])  # noqa: S301 - the parent of this very run wrote it
        with _lock:
            for old in [key for key in _jobs if not key.startswith(_HERE)][: 1 - _KEPT]:
                del _jobs[old]
            job = _jobs.setdefault(ref.key, job)
    return job


def must_travel(stages: tuple[Stage, ...]) -> bytes:
    """Return the functions that are not ours as bytes; none if all are.

    Raises
    ------
    UsageError
        If they cannot be sent to another process, with the reason.
    """
    if all(stage.filter.definition.ours for stage in stages):
        return b""
    return by_value(stages, "a filter")


def _forget(ref: JobRef) -> None:
    with _lock:
        _jobs.pop(ref.key, None)


def _pickled(job: Job | CallJob) -> bytes:
    """Return `job` as bytes that a worker can load; its functions may be of any module."""
    if job.ours:
        return pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
    return by_value(job, "a filter")
