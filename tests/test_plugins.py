"""Packages that add filters: commands of their own, and none that breaks the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import ImgpipeError
from imgpipe.filters import invert
from imgpipe.formats import formatchoice
from imgpipe.registry import FORMATS, Registry

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
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path, **more}
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
    words = {"COMP_WORDS": "imgpipe crack --timeo", "COMP_CWORD": "2"}
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


BROKEN_FORMATS = {
    "fails to import": "raise RuntimeError('no luck')\n",
    "ends the process": "raise SystemExit(3)\n",
    "does not parse": "FORMAT = (:\n",
    "is incomplete": "SUFFIXES = ('.odd',)\n",
}


@pytest.fixture(params=BROKEN_FORMATS)
def broken_format(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of images, where a distribution with a format of no use is installed."""
    info = tmp_path / "site" / "odd-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[imgpipe.formats]\nodd = odd_format\n")
    (tmp_path / "site" / "odd_format.py").write_text(BROKEN_FORMATS[request.param])
    registry = Registry("format", dict(FORMATS.built_in), "imgpipe.formats")
    monkeypatch.setattr(formatchoice, "FORMATS", registry)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "odd_format", raising=False)
    np.save(tmp_path / "in.npy", np.full((4, 5, 3), 100, np.uint8))
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def test_a_format_that_is_of_no_use_breaks_only_itself(broken_format: Path) -> None:
    imgpipe.run(broken_format / "in.npy", invert(), broken_format / "out.png")
    imgpipe.run(broken_format / "out.png", invert(), broken_format / "out.npy")
    assert (np.load(broken_format / "out.npy") == 100).all()


@pytest.mark.parametrize(
    ("source", "to", "says", "names_it"),
    [
        ("text.png", "o.png", "is not an image that imgpipe reads", True),
        ("empty.png", "o.png", "is empty; get a fresh copy", False),
        ("cut.png", "o.png", "", False),
        ("in.npy", "o.xyz", "no format has the suffix '.xyz'; the output must end in", True),
        ("in.npy", "o", "has no suffix for its format; the output must end in", True),
    ],
)
def test_an_error_of_the_file_comes_before_an_error_of_a_format(
    source: str, to: str, says: str, names_it: bool, broken_format: Path
) -> None:
    with pytest.raises(ImgpipeError) as caught:
        imgpipe.run(broken_format / source, invert(), broken_format / to)
    named = to if source == "in.npy" else source
    assert str(caught.value).startswith(f"{broken_format / named}: {says}")
    assert "\n" not in str(caught.value)
    assert ("odd" in str(caught.value)) == names_it


def test_the_command_tells_both_in_one_line(broken_format: Path) -> None:
    done = imgpipe_with(broken_format / "site", "invert", "text.png", "-o", "o.png")
    assert done.returncode == 1
    assert done.stderr.startswith("imgpipe: error: text.png: is not an image")
    assert done.stderr.count("\n") == 1
