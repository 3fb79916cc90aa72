"""The package in examples/ is complete: installed, it adds all that its page shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT, Block, blocks_of, commands_in, is_output, run_shell, write_files
from tests.test_pages import folder, given

__all__ = ["folder", "given"]  # the files that pages name

PAGE = "docs/plugins.md"
PACKAGE = ROOT / "examples" / "imgpipe-example"
SHOWN = [block for block in blocks_of(PAGE) if block.file]


def must_succeed(*command: str | Path, **more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the package is installed from a wheel that was built without a network."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    must_succeed("build", "--wheel", "--no-isolation", "--outdir", wheels, PACKAGE)
    (wheel,) = wheels.glob("*.whl")
    must_succeed("pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel)
    return site


@pytest.mark.parametrize("block", SHOWN, ids=[block.file for block in SHOWN])
def test_the_page_shows_the_files_of_the_package(block: Block) -> None:
    assert block.text == (PACKAGE / block.file).read_text(encoding="utf-8")


def test_the_page_shows_all_files_that_have_code() -> None:
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert {block.file for block in SHOWN} == {*files, "pyproject.toml"} - {
        "imgpipe_example/__init__.py"
    }


@pytest.mark.slow
def test_the_installed_package_does_what_its_page_shows(site: Path, folder: Path) -> None:
    write_files(PAGE, folder)
    shutil.rmtree(folder / "imgpipe_example")  # only what is installed counts
    for block in blocks_of(PAGE):
        for command in commands_in(block) if block.language == "console" else ():
            with_package = f'export PYTHONPATH="{site}:$PYTHONPATH"\n{command.text}'
            got = run_shell(with_package, folder).stdout
            assert is_output(command.output, got), f"{PAGE}:{command.line}\n{got}"
