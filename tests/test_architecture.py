"""The house: imports point down only, lazy ones included, and every file can be read."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import imgpipe
from imgpipe.registry import ACCELERATORS, EXECUTORS, FILTERS, FORMATS

PACKAGE = Path(imgpipe.__file__).parent

VOCABULARY = {
    "acceleration",
    "acceleratortable",
    "admission",
    "argumentnames",
    "arguments",
    "borders",
    "callables",
    "cleanup",
    "contexts",
    "colours",
    "density",
    "errors",
    "events",
    "filtertable",
    "formattable",
    "exif",
    "geo",
    "geometry",
    "image",
    "inkprofiles",
    "iptc",
    "items",
    "libraries",
    "machine",
    "metadata",
    "trialrecords",
    "parameters",
    "plurals",
    "publish",
    "records",
    "refusals",
    "registry",
    "sidefile",
    "signatures",
    "streams",
    "suggestions",
    "temporaries",
    "texts",
    "tracebacks",
    "trials",
    "values",
    "workspace",
    "xmp",
}
OBSERVERS = {"observers", "progress", "timeline"}
WAYS_IN = {
    "__main__",
    "adapting",
    "batches",
    "batching",
    "cascading",
    "checking",
    "cli",
    "converting",
    "describing",
    "handles",
    "inmemory",
    "iteration",
    "measuring",
    "paging",
    "reportpages",
    "running",
    "severaloutputs",
    "reduceddecoding",
    "testing",
    "watching",
}
MEMBERS = {
    ".".join(member.module.split(".")[1:3])
    for registry in (FORMATS, EXECUTORS, ACCELERATORS)
    for member in registry.values()
    if member.module.startswith("imgpipe.")
}
"""Members of the open sets, such as formats.png; all else in a set is its base."""

# The rooms that each room may know, beside itself.
KNOWS = {
    "vocabulary": set[str](),
    "accelerators": {"vocabulary"},
    "observers": {"vocabulary"},
    "kernels": {"vocabulary"},
    "chains": {"vocabulary"},
    "filters": {"vocabulary", "chains", "kernels"},
    "formats": {"vocabulary"},
    "executors": {"vocabulary"},
    "options": {"vocabulary", "formats", "executors", "accelerators", "observers"},
    "engine": {"vocabulary", "chains", "formats", "executors", "accelerators", "options"},
    "ways in": {
        "vocabulary",
        "observers",
        "chains",
        "filters",
        "formats",
        "executors",
        "accelerators",
        "options",
        "engine",
    },
}


def room_of(module: str) -> str:
    head = module.partition(".")[0]
    named = {"vocabulary": VOCABULARY, "observers": OBSERVERS, "ways in": WAYS_IN}
    found = [room for room, names in named.items() if head in names]
    if not found and head in KNOWS:
        return head
    assert found, f"{module} has no room in the house: add it to one of {', '.join(named)}"
    return found[0]


def member_of(module: str) -> str | None:
    """Return the member of an open set that a module belongs to."""
    return next((m for m in MEMBERS if f"{module}.".startswith(f"{m}.")), None)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imports_of(path: Path) -> set[str]:
    """Return all modules of the package that a file imports: at the top, lazily, or for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            if node.module is not None and node.module.partition(".")[0] == "imgpipe":
                home = node.module.removeprefix("imgpipe").removeprefix(".")
                inner = (f"{home}.{alias.name}".removeprefix(".") for alias in node.names)
                found |= {name if name in MODULES else home or "__init__" for name in inner}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {n.removeprefix("imgpipe.") for n in names if n.startswith("imgpipe.")}
    return found


@functools.cache
def all_imports() -> dict[str, set[str]]:
    """Return the modules that each module imports."""
    return {name: imports_of(path) for name, path in MODULES.items() if name != "__init__"}


def pairs() -> list[tuple[str, str]]:
    """Return every module with every one that it imports."""
    return [
        (one, other)
        for one, others in sorted(all_imports().items())
        for other in sorted(others - {"__init__"})
    ]


def test_every_room_knows_only_the_rooms_below() -> None:
    wrong = [
        f"{one} imports {other}"
        for one, other in pairs()
        if room_of(other) != room_of(one) and room_of(other) not in KNOWS[room_of(one)]
    ]
    assert not wrong


def test_observers_know_only_events() -> None:
    """A page also knows how to write a file; none knows the engine, or another observer."""
    ends = {"contexts", "events"}
    known = ends, ends | {"arguments", "errors", "geometry", "plurals", "sidefile"}
    for name, imported in all_imports().items():
        own = name.partition(".")[0]
        if own in OBSERVERS - {"observers"}:  # which delivers the events to the others
            others = {each for each in imported if each.partition(".")[0] != own}
            assert others <= known[own == "timeline"]


def test_no_room_knows_a_member_of_an_open_set() -> None:
    """All but the ways in know members through the registry alone, and no member another."""
    wrong = [
        f"{one} imports {other}"
        for one, other in pairs()
        if member_of(other) not in (None, member_of(one)) and room_of(one) != "ways in"
    ]
    assert not wrong


def test_modules_of_filters_know_no_other_one() -> None:
    modules = {member.module.removeprefix("imgpipe.") for member in FILTERS.values()}
    assert modules <= set(MODULES)
    assert not [(one, other) for one, other in pairs() if {one, other} <= modules]


def test_there_is_no_circle() -> None:
    left = {name: others & set(all_imports()) for name, others in all_imports().items()}
    while free := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in free}
    assert not left, "these modules import each other, or some that do"


def test_no_file_is_longer_than_can_be_read() -> None:
    long = {
        name: lines
        for name, path in MODULES.items()
        if (lines := len(path.read_text().splitlines())) > 430
    }
    assert not long


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of a file: of the module, of classes, functions and values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(body := getattr(node, "body", None), list):
            texts = (each.value for each in body if isinstance(each, ast.Expr))
            constants = (text.value for text in texts if isinstance(text, ast.Constant))
            yield from (text for text in constants if isinstance(text, str))


def test_docstrings_begin_with_a_noun_or_a_verb_and_not_with_a_clause() -> None:
    clause = r"(what|whatever|how|where|which|who|whoever|whose|why|that|those)\b"
    begins = re.compile(rf"\s*(return |yield )?{clause}", re.IGNORECASE)
    wrong = [
        f"{name}: {text.splitlines()[0]}"
        for name, path in MODULES.items()
        for text in docstrings(path)
        if begins.match(text)
    ]
    assert not wrong


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
