"""The packages that users install: their contents, their metadata, and a run without the source."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import imgpipe
from tests import test_pages
from tests.lowest import lowest
from tests.pages import ROOT, blocks_of, commands_in, is_output, run_shell, script_of, write_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

given, folder = test_pages.given, test_pages.folder


def run(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    built = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", built, ROOT, cwd=built)
    return built


@pytest.fixture
def wheel(built: Path) -> Path:
    return built / f"imgpipe-{imgpipe.__version__}-py3-none-any.whl"


@pytest.fixture
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.slow
def test_a_wheel_holds_the_package_alone(wheel: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "imgpipe").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"imgpipe/py.typed", "imgpipe/filters/__init__.pyi"} <= files
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"imgpipe-{imgpipe.__version__}.dist-info"
    assert {name for name in names if not name.startswith(info)} == files
    assert f"{info}/licenses/LICENSE" in names


@pytest.mark.slow
def test_an_sdist_holds_what_its_tests_need(built: Path) -> None:
    top = f"imgpipe-{imgpipe.__version__}"
    with tarfile.open(built / f"{top}.tar.gz") as archive:
        names = {name.removeprefix(f"{top}/") for name in archive.getnames()}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile"} <= names
    for folder in ("tests", "docs", "examples"):
        written = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob("*.[pmi]*")}
        assert written
        assert written <= names
    generated = ("docs/_build", "docs/filters", "benchmarks/data", "benchmarks/results")
    assert not [name for name in names if name.startswith(generated) or ".venv" in name]


@pytest.mark.slow
def test_the_metadata_are_complete(metadata: Message) -> None:
    assert metadata["Name"] == "imgpipe"
    assert metadata["Version"] == imgpipe.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_every_package_that_is_imported_is_required() -> None:
    """What is imported is a dependency, or one of an extra for users."""
    imported = {name for path in (ROOT / "imgpipe").rglob("*.py") for name in imports_of(path)}
    imported -= {"imgpipe", *sys.stdlib_module_names}
    names = packages_distributions()
    extras = PROJECT["optional-dependencies"]
    required = PROJECT["dependencies"] + [each for name in USERS for each in extras[name]]
    known = {plain(re.split(r"[>\[]", each)[0]) for each in required}
    unknown = {each for each in imported if not known & {plain(n) for n in names.get(each, [])}}
    assert unknown <= FOUND_ELSEWHERE


USERS = ("zarr", "heif", "fast", "watch")
FOUND_ELSEWHERE = {"pytest"}  # imgpipe.testing uses it if the caller's tests do


def plain(name: str) -> str:
    """Return the name of a distribution as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_requirement_has_a_lower_bound() -> None:
    pins = dict(pin.split("==") for pin in lowest())
    assert pins["numpy"] == "1.26"
    assert {plain(name) for name in pins} >= {"opencv-python-headless", "pillow-heif", "watchdog"}


@pytest.fixture
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an empty environment, in which nothing but the wheel was installed.

    The packages that it requires are those of this environment. Its own imgpipe, which is the
    source tree, is not visible: a path file is not read within a path file.
    """
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


@pytest.mark.slow
def test_an_installed_wheel_runs_the_readme(installed: Path, folder: Path) -> None:
    env = {**os.environ, "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    origin = run_shell("python -c 'import imgpipe; print(imgpipe.__file__)'", folder, env)
    assert Path(origin.stdout.strip()).is_relative_to(installed.parent)

    write_files("README.md", folder)
    for block in blocks_of("README.md"):
        if block.language == "sh" and block.runs:
            done = run_shell(f"set -e\n{block.text}", folder, env)
            assert done.returncode == 0, f"{block.line}\n{done.stdout}"
        elif block.language == "console" and block.runs:
            for command in commands_in(block):
                got = run_shell(command.text, folder, env).stdout
                assert is_output(command.output, got), f"{command.line}\n{got}"
    (folder / "script.py").write_text(script_of("README.md"), encoding="utf-8")
    done = run_shell("python script.py 2>&1 >script.txt; echo $?", folder, env)
    assert done.stdout == "0\n", done.stdout
