"""Pages of the documentation, cut into their blocks of code, and run as a reader would run them.

A block of a page is run according to its language:

- ``python``: the blocks of a page are one script.
- ``pycon``: an interactive session in that script, with its output, as `doctest` runs it.
- ``console``: commands after ``$``, each with its output. ``...`` stands for any text. Times,
  speeds, memory, workers and the sizes of new files may differ, so a page can show those of a run.
- ``sh``: commands; each must succeed.

A comment in front of a block makes an exception: ``<!-- not run: reason -->``, or
``<!-- file: name -->`` for the text of a file, which is written before anything runs. Blocks of
other languages are not code that a reader runs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ROOT",
    "Block",
    "Command",
    "blocks_of",
    "commands_in",
    "is_output",
    "pages",
    "run_shell",
    "script_of",
    "text_of",
    "write_files",
]

ROOT = Path(__file__).parent.parent
_MADE = ("docs/_build/", "docs/filters/")
FENCE = re.compile(
    r"(?:^ *<!-- (?P<note>not run|file): (?P<said>[^\n]+) -->\n\n?)?"
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
VARIES = re.compile(
    r"\d[\d.,]* (?=(?:s|MP/s|[kM]B (?:in|of|at most|even)|workers?)\b|MB;|MB \(limit)|"
    r"workers?\b|\.\.\."
)

_HEAD = """
def _session(text, line):
    import doctest, sys

    test = doctest.DocTestParser().get_doctest(text, globals(), {page!r}, {page!r}, line)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    if runner.run(test, clear_globs=False).failed:
        sys.exit("the session gives another output")
    globals().update(test.globs)
"""


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes
    ----------
    page : str
        Path of the page in the repository.
    line : int
        Line of its first line of code; 1 is the first of the page.
    language, text : str
        Its language, as the page names it, and its lines.
    runs : bool
        False if the page says that it is not run, or the text of a file.
    file : str
        Name of the file that it is the text of; empty if it is none.
    """

    page: str
    line: int
    language: str
    text: str
    runs: bool
    file: str


@dataclass(frozen=True)
class Command:
    """A command of a transcript, and its output."""

    line: int
    text: str
    output: str


def pages() -> list[str]:
    """Return the paths of all pages that are written by hand."""
    found = (path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", *sorted(each for each in found if not each.startswith(_MADE))]


def text_of(page: str) -> str:
    """Return a page without its blocks."""
    return FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines()]
        line = text.count("\n", 0, match.start("text")) + 1
        file = match["said"].strip() if match["note"] == "file" else ""
        code = "\n".join(lines) + "\n"
        found.append(Block(page, line, match["language"].strip(), code, not match["note"], file))
    return found


def write_files(page: str, folder: Path) -> None:
    """Write the files whose text a page shows into a folder."""
    for block in blocks_of(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def script_of(page: str) -> str:
    """Return a script of all Python on a page, which fails if a session gives another output."""
    parts = [_HEAD.format(page=page)]
    for block in blocks_of(page):
        if block.runs and block.language == "python":
            parts.append(block.text)
        elif block.runs and block.language == "pycon":
            parts.append(f"_session({block.text!r}, {block.line - 1})\n")
    return "\n".join(parts)


def commands_in(block: Block) -> list[Command]:
    """Return the commands of a transcript, each with its output."""
    found: list[tuple[int, list[str], list[str]]] = []
    for at, line in enumerate(block.text.splitlines()):
        if line.startswith("$ "):
            found.append((block.line + at, [line[2:]], []))
        elif found and not found[-1][2] and found[-1][1][-1].endswith("\\"):
            found[-1][1].append(line.removeprefix("> "))
        else:
            found[-1][2].append(line)
    return [Command(line, "\n".join(text), "\n".join(output)) for line, text, output in found]


def is_output(expected: str, got: str) -> bool:
    """Say whether an output is that of a page, except for matches of `VARIES`."""
    text, at, pattern = _lines(expected), 0, ""
    for found in VARIES.finditer(text):
        any_of_its_kind = {"...": ".*", "worker": "workers?", "workers": "workers?"}
        pattern += re.escape(text[at : found.start()])
        pattern += any_of_its_kind.get(found[0], r"\d[\d.,]* ")
        at = found.end()
    return re.fullmatch(pattern + re.escape(text[at:]), _lines(got), re.DOTALL) is not None


def run_shell(
    text: str, folder: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as in a terminal of 100 columns; its output and its errors are one text.

    Without `env` it finds the programs of this environment, and imgpipe in the source tree.
    """
    tools = Path(sys.executable).parent
    here = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env={**(env or os.environ | here), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _lines(text: str) -> str:
    """Return a text without blanks at the ends of its lines, nor empty lines around it."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
