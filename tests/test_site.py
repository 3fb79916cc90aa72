"""The site of the documentation: it builds without a warning, is complete, and needs no network."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import types
import urllib.parse
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

import imgpipe
from tests.browser import browser
from tests.pages import ROOT, blocks_of, pages

sphinx_inventory = pytest.importorskip("sphinx.util.inventory")

REFERENCE = (  # modules whose public names are in the reference
    *("errors", "events", "batches.events", "testing", "executors.base"),
    *("formats.base", "formats.declaration", "formats.frames", "formats.origin"),
    *("formats.raw", "formats.target"),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does, where no network can be reached."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"),
            *("-d", str(folder / "read"), str(ROOT / "docs"), str(folder / "html")),
        ],
        env={**os.environ, **nowhere, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


class Links(HTMLParser):
    """The ids of an HTML file, the targets of its links, and the files that it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.ids, self.targets, self.loaded = set[str](), list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a":
            self.targets += [given[name] for name in ("href",) if name in given]
        else:
            found = [given[name] for name in ("src", "href", "data", "poster") if name in given]
            self.loaded += [] if given.get("rel") == "canonical" else found


@cache
def links_of(file: Path) -> Links:
    made = Links()
    made.feed(file.read_text(encoding="utf-8"))
    return made


def html_files(site: Path) -> list[Path]:
    """Return the pages of a site; `_static` has templates of the theme besides."""
    return [path for path in sorted(site.rglob("*.html")) if path.parent.name != "_static"]


def is_outside(target: str) -> bool:
    return bool(re.match(r"[a-z]+:|//", target))


def test_every_page_is_in_the_site(site: Path) -> None:
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    written = [path for path in sources if path.parts[0] != "_build"]
    assert len(written) > 30
    assert not [page for page in written if not (site / page.with_suffix(".html")).is_file()]


def test_every_page_can_be_reached_from_the_first(site: Path) -> None:
    first = site / "index.html"
    reached, to_do = {first}, [first]
    while to_do:
        file = to_do.pop()
        for target in links_of(file).targets:
            path = target.partition("#")[0]
            if path and not is_outside(path):
                found = (file.parent / urllib.parse.unquote(path)).resolve()
                if found.suffix == ".html" and found.is_file() and found not in reached:
                    reached.add(found)
                    to_do.append(found)
    of_sphinx = {"genindex.html", "search.html", "py-modindex.html"}
    missed = {path for path in html_files(site) if path.name not in of_sphinx} - reached
    assert not missed


def test_no_page_links_to_a_file_or_a_section_that_is_not_there(site: Path) -> None:
    missing = []
    for file in html_files(site):
        links = links_of(file)
        for target in {*links.targets, *links.loaded}:
            if is_outside(target):
                continue
            path, _, section = target.partition("#")
            path = path.partition("?")[0]
            found = (file.parent / urllib.parse.unquote(path)).resolve() if path else file
            if not found.is_file():
                missing.append(f"{file.relative_to(site)}: {target}")
            elif section and found.suffix == ".html":
                known = urllib.parse.unquote(section) in links_of(found).ids
                missing += [] if known else [f"{file.relative_to(site)}: {target}"]
    assert not missing


def test_no_page_loads_anything_from_a_network(site: Path) -> None:
    for file in html_files(site):
        assert not [target for target in links_of(file).loaded if is_outside(target)], file
    for file in site.rglob("*.css"):
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), file


@pytest.mark.parametrize("page", ["index", "formats", "filters/index", "reference/running"])
def test_a_page_works_in_a_browser_and_on_a_phone(site: Path, tmp_path: Path, page: str) -> None:
    """It asks for files alone, its scripts do not fail, and it need not be moved sideways."""
    with browser(tmp_path) as shown:
        shown.open(site / f"{page}.html", width=400)
        assert not [each for each in shown.requests if not each.startswith(("file:", "data:"))]
        assert not shown.errors
        assert shown.value("document.documentElement.scrollWidth") <= 400


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    known = names_in(site)
    names = [f"imgpipe.{name}" for name in imgpipe.__all__]
    for module in REFERENCE:
        found = importlib.import_module(f"imgpipe.{module}")
        names += [f"imgpipe.{module}.{name}" for name in found.__all__]
    missing = [name for name in names if name not in known and not is_elsewhere(name)]
    assert not missing


def test_every_name_that_an_example_imports_is_in_the_reference(site: Path) -> None:
    texts = [block.text for page in pages() for block in blocks_of(page)]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "examples").rglob("*.py")]
    imported = set[str]()
    for text in texts:
        for module, names in re.findall(r"from (imgpipe(?:\.\w+)*) import ([\w, ]+)", text):
            imported |= {f"{module}.{name.strip()}" for name in names.split(",")}
    assert len(imported) > 20
    assert not imported - names_in(site)


def names_in(site: Path) -> set[str]:
    with (site / "objects.inv").open("rb") as file:
        inventory = sphinx_inventory.InventoryFile.loads(file.read(), uri="")
    return {name for kind in inventory.data for name in inventory.data[kind] if kind[:3] == "py:"}


def is_elsewhere(name: str) -> bool:
    """Say whether the reference has a name under another one."""
    module, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(module), last)
    if isinstance(found, types.ModuleType):  # each filter has a page
        return name == "imgpipe.filters"
    return name in {"imgpipe.ImgpipeError", "imgpipe.formats.base.Pixels"}
