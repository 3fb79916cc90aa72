"""Pictures of a report and of a timeline, as Chromium shows them.

::

    make big photos     # the input: photographs in benchmarks/data
    cd benchmarks/data
    PYTHONPATH=../.. python ../../docs/pictures/make_pages.py photos big.png
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import Page, browser

PICTURES = Path(__file__).parent
WIDTH = 1200  # columns of the window


def main(photos: Path, big: Path) -> None:
    """Make the pages in a temporary folder, and their pictures in `PICTURES`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_report(photos, folder)
        (folder / "big.png").symlink_to(big.resolve())
        _imgpipe("blur big.png -o out.png --timeline run.html", folder)
        (folder / "profile").mkdir()
        with browser(folder / "profile") as page:
            _take(page, folder / "report.html", 1000)
            _take(page, folder / "run.html", 620)


def _write_report(photos: Path, folder: Path) -> None:
    """Run a batch over copies of some photographs, one of which is cut off."""
    inputs = folder / "photos"
    inputs.mkdir()
    for path in sorted(photos.glob("*.jpg"))[:24]:
        shutil.copy(path, inputs)
    damaged = next(inputs.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:20_000])
    _imgpipe("thumbnail photos/ -o web/ --size 800 --report report.html", folder)


def _imgpipe(command: str, folder: Path) -> None:
    """Run a command in a folder, so that the pages show short paths."""
    program = Path(sys.executable).parent / "imgpipe"
    subprocess.run([program, *command.split()], cwd=folder, check=False)  # noqa: S603 - ours


def _take(page: Page, path: Path, height: int) -> None:
    """Write the top of a page as a picture with the name of the page."""
    page.open(path, WIDTH, height)
    page.value("document.documentElement.style.overflow = 'hidden'")
    picture = Image.open(io.BytesIO(page.picture())).convert("RGB")
    picture.save(PICTURES / f"{path.stem}.webp", quality=85, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
