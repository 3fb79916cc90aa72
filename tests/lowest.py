"""Oldest releases that pyproject.toml allows, one requirement a line.

`make test-lowest` installs them into an environment of their own, and runs the tests marked
``lowest`` there.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

__all__ = ["lowest"]

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
EXTRAS = ("zarr", "heif", "fast", "watch", "test")
BOUND = re.compile(r"([A-Za-z0-9._-]+(?:\[[a-z,]+\])?)>=([0-9.]+)")


def lowest() -> list[str]:
    """Return the lower bound of every package that imgpipe or one of its tests uses.

    Raises
    ------
    ValueError
        If a requirement is anything else than a name and a lower bound.
    """
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    found = [*project["dependencies"], *(each for name in EXTRAS for each in extras[name])]
    pins = {}
    for requirement in found:
        if requirement.startswith("imgpipe["):
            continue
        bound = BOUND.fullmatch(requirement)
        if bound is None:
            raise ValueError(f"{requirement!r} has no lower bound alone, such as 'numpy>=1.26'")
        pins[bound[1]] = bound[2]
    return [f"{name}=={version}" for name, version in pins.items()]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest()) + "\n")
