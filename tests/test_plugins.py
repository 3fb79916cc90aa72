"""Packages that add filters: commands of their own, and none that breaks the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SOURCE = '''
import imgpipe

@imgpipe.filter(halo=0)
def fade(chunk, *, by: float = 0.5):
    """Fade to black."""
    return chunk * by
'''


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with two distributions: one that works and one that does not."""
    site = tmp_path / "site"
    for name, module, source in (
        ("fading", "fading_filters", SOURCE),
        ("broken", "broken_filters", "raise RuntimeError('no luck')\n"),
    ):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        function = "fade" if name == "fading" else "crack"
        points = f"[imgpipe.filters]\n{function} = {module}:{function}\n"
        (info / "entry_points.txt").write_text(points)
        (site / f"{module}.py").write_text(source)
    np.save(tmp_path / "in.npy", np.full((4, 5, 3), 100, np.uint8))
    return site


def imgpipe_with(site: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(site), **more}
    command = [sys.executable, "-m", "imgpipe", *args]
    return subprocess.run(
        command, env=env, cwd=site.parent, capture_output=True, text=True, check=False
    )


def test_a_package_adds_a_command_with_options_and_help(site: Path) -> None:
    done = imgpipe_with(site, "fade", "in.npy", "-o", "out.npy", "--by", "0.25")
    assert done.returncode == 0, done.stderr
    assert (np.load(site.parent / "out.npy") == 25).all()
    assert "--by NUMBER" in imgpipe_with(site, "fade", "--help").stdout
    assert "fade" in imgpipe_with(site, "--help").stdout


def test_its_filter_goes_into_chains_and_workers(site: Path) -> None:
    chain = "invert | fade:by=0.2"
    done = imgpipe_with(site, "run", chain, "in.npy", "-o", "out.npy", "-j", "2")
    assert done.returncode == 0, done.stderr
    assert (np.load(site.parent / "out.npy") == 31).all()


def test_its_command_is_completed(site: Path) -> None:
    done = imgpipe_with(
        site, _IMGPIPE_COMPLETE="bash_complete", COMP_WORDS="imgpipe fad", COMP_CWORD="1"
    )
    assert "plain,fade" in done.stdout
    words = {"COMP_WORDS": "imgpipe fade --b", "COMP_CWORD": "2"}
    done = imgpipe_with(site, _IMGPIPE_COMPLETE="bash_complete", **words)
    assert "plain,--by" in done.stdout


def test_of_one_that_fails_to_import_only_the_rest_is_completed(site: Path) -> None:
    words = {"COMP_WORDS": "imgpipe crack --ti", "COMP_CWORD": "2"}
    done = imgpipe_with(site, _IMGPIPE_COMPLETE="bash_complete", **words)
    assert (done.stdout, done.stderr) == ("plain,--timeout\n", "")


def test_one_that_fails_to_import_breaks_only_itself(site: Path) -> None:
    done = imgpipe_with(site, "crack", "in.npy", "-o", "out.npy")
    assert done.returncode == 2
    assert "broken_filters, which fails to load (RuntimeError: no luck)" in done.stderr
    assert "Traceback" not in done.stderr
    listed = imgpipe_with(site, "filters")
    assert listed.returncode == 0
    assert "fade(by=0.5)" in listed.stdout
    assert "no luck" in " ".join(listed.stdout.split())
    assert imgpipe_with(site, "invert", "in.npy", "-o", "out.npy").returncode == 0
