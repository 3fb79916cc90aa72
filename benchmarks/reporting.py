"""Reports of benchmarks: the machine, a Markdown table, and JSON beside it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import imgpipe

__all__ = ["command_line", "fingerprint", "machine", "same_code", "table", "write"]

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "numpy", "pillow", "imagecodecs", "isal", "scipy", "scikit-image",
    "opencv-python-headless", "pyvips", "pyvips-binary", "click",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return what this machine is, and the versions of everything that is compared."""
    return {
        "processors": os.cpu_count(),
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "imgpipe": imgpipe.__version__,
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def fingerprint() -> str:
    """Return a digest of the code of imgpipe, as it is on disk now."""
    package = Path(imgpipe.__file__).parent
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return code.hexdigest()[:12]


def same_code(before: str) -> str:
    """Return which code was measured; say so if it was edited while that went on."""
    after = fingerprint()
    if before == after:
        return f"Code of imgpipe: {before}."
    return (
        f"**The code of imgpipe changed during this run, from {before} to {after}: the numbers "
        "mix versions and are not a result of either.**"
    )


def command_line() -> str:
    """Return the command that repeats this run."""
    script = Path(sys.argv[0]).name
    return shlex.join(["python", f"benchmarks/{script}", *sys.argv[1:]])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its columns aligned; the first to the left, others right."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]

    def ruled(line: Sequence[str]) -> str:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([ruled(lines[0]), ruled(rule), *(ruled(line) for line in lines[1:])])


def write(name: str, title: str, sections: Iterable[str], facts: dict[str, Any]) -> None:
    """Print a report and write it as Markdown and JSON."""
    about = machine()
    versions = ", ".join(f"{key} {value}" for key, value in about["versions"].items() if value)
    head = (
        f"# {title}\n\n"
        f"{about['processors']} processors ({about['processor']}), {about['memory']}, "
        f"{about['system']}, Python {about['python']}, imgpipe {about['imgpipe']}, {versions}.\n\n"
        f"Repeat with `{command_line()}`."
    )
    text = "\n\n".join([head, *sections]) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    facts = {"command": command_line(), "machine": about, **facts}
    (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(f"\n{text}")


def _line(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
