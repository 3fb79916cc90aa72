"""Facts about a batch that its command does not tell, printed as JSON.

    batch_probe.py until-done input output jobs name
    batch_probe.py growth input output jobs first last
    batch_probe.py plan input output

`until-done` gives the seconds until all files but the one of this name are done, `growth` the
memory after that many files, `plan` the seconds for the walk, the names and the collisions.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time

import measure

import imgpipe
from imgpipe.filters import blur

AROUND = 100  # files up to the counted one, over which memory is sampled


def until_done(source: str, out: str, jobs: str, giant: str) -> dict[str, float]:
    """Return when the files were done, all of them and those without the giant."""
    began, last = time.perf_counter(), 0.0
    with imgpipe.Batch(source, blur(sigma=2), out, workers=int(jobs)) as batch:
        for result in batch:
            if os.path.basename(result.path) != giant:
                last = time.perf_counter() - began
    return {"small": last, "all": time.perf_counter() - began}


def growth(source: str, out: str, jobs: str, first: str, last: str) -> dict[str, float]:
    """Return the median memory of all processes before two counts of files, in bytes."""
    counts, sizes = (int(first), int(last)), dict[int, list[int]]()
    with imgpipe.Batch(source, blur(sigma=2), out, workers=int(jobs)) as batch:
        for number, _ in enumerate(batch, 1):
            for count in counts:
                if count - AROUND < number <= count and number % 5 == 0:
                    sizes.setdefault(count, []).append(measure.memory_of_tree(os.getpid()))
    return {name: statistics.median(sizes[int(name)]) for name in (first, last)}


def plan(source: str, out: str) -> dict[str, float]:
    """Return the seconds of the work before the first file is opened, and the memory."""
    from imgpipe.batches.choices import Choices
    from imgpipe.batches.preparation import prepare
    from imgpipe.batches.work.answers import Recipe, Tail
    from imgpipe.chains.chain import Chain

    recipe = Recipe((Tail(Chain((blur(sigma=2),))),))
    began = time.perf_counter()
    with prepare(Choices((source,), out, recipe), dry=True) as prepared:
        seconds, due = time.perf_counter() - began, len(prepared.agenda.due)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak": peak, "due": due}


if __name__ == "__main__":
    measure.inherit_orphans()
    ways = {"until-done": until_done, "growth": growth, "plan": plan}
    print(json.dumps(ways[sys.argv[1]](*sys.argv[2:])))
