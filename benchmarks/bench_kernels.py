"""Compare filter kernels on one core, in memory: `make bench-kernels`.

imgpipe's filters run chunk by chunk, exactly as its engine does it and with the chunks that its
plan chooses, by NumPy alone and with OpenCV as the accelerator; other libraries get the whole array
at once. Rounds alternate between all of them.
Measured is processor time, which other processes disturb less than the clock.
What is compared is in `kernels`, one family a file.
"""

# ruff: noqa: E402 - threads are limited before NumPy is imported

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import make_big
import numpy as np
import reporting
from kernels import edges, geometry, ranks, smoothing, tone
from kernels.base import TOOLS, Case, Kernel, Pixels, cv2, ndimage

from imgpipe.acceleration import NONE, using
from imgpipe.admission import admitted
from imgpipe.chains.chain import Filter
from imgpipe.chains.stages import Stage, compute, measure, resolve
from imgpipe.engine.costs import Footing
from imgpipe.engine.plan import make_plan
from imgpipe.engine.taskpixels import TaskPixels
from imgpipe.engine.tiler import Tiler
from imgpipe.executors.base import Traits
from imgpipe.formats.arrays import PlacedArraySink, RandomArray
from imgpipe.geometry import Box
from imgpipe.machine import keep_freed_memory

FAMILIES = (smoothing, edges, ranks, tone, geometry)
ONE_PROCESS = Traits(shares_memory=True, shares_files=True, isolates=False)
OURS, ACCELERATED = "imgpipe", "with OpenCV"


def cases() -> Iterator[Case]:
    """Yield everything that is compared."""
    for family in FAMILIES:
        yield from family.cases()


@dataclass
class Result:
    """Measurements of one kernel."""

    case: str
    dtype: str
    tool: str
    milliseconds: list[float]
    max_error: float = 0.0
    mean_error: float = 0.0

    @property
    def middle(self) -> float:
        """Return the median of milliseconds per megapixel."""
        return statistics.median(self.milliseconds)


def main() -> None:
    """Measure, compare, report."""
    chosen = arguments()
    code = reporting.fingerprint()
    on_one_core()
    picture = make_big.mosaic(chosen.size, chosen.size)
    results: list[Result] = []
    for one in cases():
        if chosen.only and not any(part in repr(one.filter) for part in chosen.only):
            continue
        for dtype in one.dtypes:
            found = compare(one, in_dtype(picture, dtype), chosen.rounds, chosen.seconds)
            for result in found:
                print(f"{result.case:38} {dtype:8} {result.tool:11} {result.middle:8.2f} ms/MP  "
                      f"max error {result.max_error:.2g}", flush=True)  # fmt: skip
            results += found
    megapixels = chosen.size**2 / 1e6
    reporting.write(
        "kernels",
        f"Filter kernels on one core, {megapixels:.1f} megapixels of RGB",
        [reporting.same_code(code), result_table(results)],
        {"results": [vars(result) for result in results]},
    )


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare filter kernels on one core.")
    parser.add_argument("--size", type=int, help="rows and columns; 2000 by default")
    parser.add_argument("--rounds", type=int, help="5 by default")
    parser.add_argument("--seconds", type=float, default=4, help="most for one kernel")
    parser.add_argument("--only", action="append", metavar="NAME", help="filters that have this")
    parser.add_argument("--quick", action="store_true", help="800 x 800, 2 rounds")
    chosen = parser.parse_args()
    chosen.size = chosen.size or (800 if chosen.quick else 2000)
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 5)
    if ndimage is None:
        parser.error("the exact results are computed with SciPy: pip install 'imgpipe[bench]'")
    return chosen


def on_one_core() -> None:
    """Keep this process, and every thread that a library may start, on one processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    keep_freed_memory()
    if cv2 is not None:
        cv2.setNumThreads(1)


def in_dtype(picture: Pixels, dtype: str) -> Pixels:
    """Return a picture of 8 bits in another dtype; floats from 0 to 1."""
    if dtype == "uint16":
        low_bits = np.random.default_rng(0).integers(0, 256, picture.shape)
        return (picture * np.uint16(256) + low_bits).astype(np.uint16)
    return picture if dtype == "uint8" else picture / np.dtype(dtype).type(255)


def compare(one: Case, pixels: Pixels, rounds: int, seconds: float) -> list[Result]:
    """Run our kernel and all others in turn, round by round, and compare with the exact result."""
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    exact = one.exact(pixels.astype(np.float64), top)
    contenders: dict[str, tuple[Kernel, Any]] = {OURS: (chunked(one.filter, pixels), pixels)}
    if cv2 is not None:
        contenders[ACCELERATED] = chunked(one.filter, pixels, "opencv"), pixels
    for name, kernel in one.peers.items():
        tool = TOOLS[name]
        if tool.there and pixels.dtype.name in tool.dtypes:
            contenders[name] = kernel, tool.prepare(pixels)
    results = {name: Result(repr(one.filter), pixels.dtype.name, name, []) for name in contenders}
    spent = dict.fromkeys(contenders, 0.0)
    for turn in range(-1, rounds):  # the first warms up, and counts if there is no time for more
        for name, (kernel, given) in contenders.items():
            if spent[name] > seconds:
                continue
            began = time.process_time()
            made = kernel(given)
            took = time.process_time() - began
            spent[name] += took
            result = results[name]
            if turn < 0:
                result.max_error, result.mean_error = errors(made, exact)
            if turn >= 0 or took > seconds:
                result.milliseconds.append(took * 1e9 / (pixels.shape[0] * pixels.shape[1]))
    return list(results.values())


def errors(made: Any, exact: Pixels) -> tuple[float, float]:
    """Return the largest and the mean error."""
    error = np.abs(np.asarray(made, np.float64).reshape(exact.shape) - exact)
    return float(error.max()), float(error.mean())


def chunked(one: Filter, pixels: Pixels, accelerator: str = NONE) -> Kernel:
    """Return a function that runs a filter over an array as the engine does in one process."""
    source = RandomArray(admitted(pixels).info, pixels)
    stages = resolve(one, source.info)
    after = stages[-1].after
    out = np.empty(after.shape, after.dtype)
    plan = make_plan(
        source, stages, PlacedArraySink(after, out), destination="array",
        traits=ONE_PROCESS, workers=1, executor="serial", max_memory=None, chunk=None,
        footing=Footing(),
    )  # fmt: skip

    room = plan.tiler.room
    more = room[0] if room else 0
    memory = np.empty((after.height + 2 * more, after.width, after.channels), after.dtype)

    def run(_: Pixels) -> Pixels:
        (stage,) = stages
        with using(accelerator):
            if one.definition.measure is not None:
                stage = replace(stage, measured=measured(stage, plan.tiler, source))
            for box_ in plan.tiler.boxes():
                # A strip of its own for each task, as for a file that is encoded.
                rows = memory[box_.y0 : box_.y1 + 2 * more, box_.x0 : box_.x1]
                strip = TaskPixels(box_, room, rows)
                for chunk in plan.tiler.chunks(box_, apart=accelerator != NONE):
                    strip.put(chunk, partial(_computed, (stage,), chunk, source))
        return memory[more : more + after.height]

    return run


def _computed(
    stages: tuple[Stage, ...], box_: Box, source: RandomArray, into: Pixels | None
) -> Pixels:
    return compute(stages, box_, source.read, into=into)


def measured(stage: Stage, tiler: Tiler, source: RandomArray) -> Any:
    """Return what a filter measures before it starts, folded over all chunks."""
    merge = stage.filter.definition.merge
    assert merge is not None
    found = None
    for box_ in tiler.boxes():
        for chunk in tiler.chunks(box_):
            part = measure(stage, source.read(chunk))
            found = part if found is None else merge(found, part)
    return found


def result_table(results: list[Result]) -> str:
    """Return one line for each kernel and type, with the time of each library as a ratio."""
    found: dict[tuple[str, str], dict[str, Result]] = {}
    for one in results:
        found.setdefault((one.case, one.dtype), {})[one.tool] = one
    rows = [
        [shortened(case), dtype, f"{tools[OURS].middle:.1f}", *accelerated_cells(tools)]
        + [in_multiples(tools, tool, OURS) for tool in TOOLS]
        + [f"{tools[t].max_error:.2g}" if t in tools else "" for t in (OURS, *TOOLS)]
        for (case, dtype), tools in found.items()
    ]
    heads = ["filter", "dtype", "imgpipe ms/MP", "with OpenCV ms/MP", "of OpenCV's own call"]
    heads += [f"{tool} takes" for tool in TOOLS] + [f"error {t}" for t in (OURS, *TOOLS)]
    note = (
        "Medians; other libraries in multiples of imgpipe's time with NumPy alone. With OpenCV: "
        "imgpipe with OpenCV as its accelerator, also in multiples of OpenCV's own call on the "
        "whole array. Largest errors in levels, for floats on a scale from 0 to 1, against the "
        "result in double precision; with OpenCV they are the same."
    )
    return f"{reporting.table(heads, rows)}\n\n{note}"


def accelerated_cells(tools: dict[str, Result]) -> list[str]:
    """Return the time with OpenCV as the accelerator, and in multiples of OpenCV's own call."""
    if ACCELERATED not in tools:
        return ["", ""]
    own = in_multiples(tools, ACCELERATED, "opencv")
    return [f"{tools[ACCELERATED].middle:.2f}", own]


def in_multiples(tools: dict[str, Result], tool: str, of: str) -> str:
    """Return the time of one in multiples of that of another, if both were measured."""
    return f"{tools[tool].middle / tools[of].middle:.2f}" if {tool, of} <= tools.keys() else ""


def shortened(text: str) -> str:
    """Return text with long values cut."""
    return re.sub(r"'([^']{12})[^']*'", r"'\1...'", text)


if __name__ == "__main__":
    main()
