"""The house: imports point down only, and no file grows past what can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import imgpipe

PACKAGE = Path(imgpipe.__file__).parent

# From the bottom to the top. A module imports from its own line or from lines above it here.
FLOORS = [
    ["errors", "geometry", "tracebacks", "refusals", "streams"],
    [
        "workspace",
        "arguments",
        "callables",
        "parameters",
        "image",
        "items",
        "borders",
        "admission",
        "events",
        "progress",
        "observers",
        "registry",
        "machine",
        "publish",
        "cleanup",
    ],
    ["kernels", "values"],
    ["chains"],
    ["formats.base", "executors.base"],
    ["filters", "formats", "executors"],  # the members of the open sets
    ["options", "cli.stubs"],
    ["engine"],
    ["executors.processes.preload"],
    ["pipeline"],
    ["handles", "inmemory", "measuring", "iteration", "folder"],
    ["checking"],
    ["cli", "__main__"],
]
OBSERVERS = {"progress"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


def floor_of(module: str) -> int:
    floors = {name: level for level, names in enumerate(FLOORS) for name in names}
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in floors:
            return floors[name]
    raise AssertionError(f"{module} has no floor in the house: add it to FLOORS")


def imported(path: Path, *, at_the_top: bool) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_the_top else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imgpipe."):
            found.add(node.module.removeprefix("imgpipe."))
        elif isinstance(node, ast.ImportFrom) and node.module == "imgpipe":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {n.removeprefix("imgpipe.") for n in names if n.startswith("imgpipe.")}
    return found


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}
BUILT = {name: path for name, path in MODULES.items() if name != "__init__"}


def test_imports_point_down_only() -> None:
    upward = [
        f"{name} imports {other}"
        for name, path in BUILT.items()
        for other in imported(path, at_the_top=True)
        if other in BUILT and floor_of(other) > floor_of(name)
    ]
    assert not upward


def test_observers_know_only_events() -> None:
    for name in OBSERVERS:
        assert imported(MODULES[name], at_the_top=False) <= {"events"}


def test_no_file_is_longer_than_can_be_read() -> None:
    long = {
        name: lines
        for name, path in MODULES.items()
        if (lines := len(path.read_text().splitlines())) > 430
    }
    assert not long


def test_no_module_of_leftovers() -> None:
    names = {part for name in MODULES for part in name.split(".")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def test_no_public_name_is_that_of_a_module_beside_it() -> None:
    beside = {name for name in MODULES if "." not in name}
    clash = (set(imgpipe.__all__) & beside) - {"errors", "filters"}
    assert not clash


def test_every_public_name_can_be_had() -> None:
    for name in imgpipe.__all__:
        assert getattr(imgpipe, name) is not None
        assert name in dir(imgpipe)
