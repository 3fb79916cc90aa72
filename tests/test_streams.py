"""Standard streams that are closed, missing or stand-ins change nothing of what is written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.filters import blur
from tests.conftest import noise
from tests.scripts import run_command, run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PIXELS = np.tile(noise((40, 1000, 1), "uint8"), (60, 1, 1))  # enough for workers
CLOSED = ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("streams")
    imgpipe.write(PIXELS, made / "in.png")
    (made / "own.py").write_text("import imgpipe\n\n@imgpipe.filter(halo=0)\n")
    with (made / "own.py").open("a") as file:
        file.write("def own(chunk):\n    print('said', flush=True)\n    return 255 - chunk\n")
        file.write("\n@imgpipe.filter(halo=0)\ndef crash(chunk):\n    import os; os.abort()\n")
    return made


@pytest.mark.parametrize(("closed", "workers"), [*((one, 2) for one in CLOSED), (CLOSED[-1], 1)])
def test_a_command_does_without_its_streams(closed: str, workers: int, folder: Path) -> None:
    out = folder / "out.png"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "imgpipe", "blur", "in.png", "-o", "out.png", "-j", workers]
    done = run_command(command, folder, after=closed)
    np.testing.assert_array_equal(imgpipe.read(out), blur()(PIXELS))
    assert ("out.png" in done.stderr) is ("2>&-" not in closed)


def test_an_image_for_a_standard_output_that_is_closed_is_not_lost_in_silence(folder: Path) -> None:
    command = [sys.executable, "-m", "imgpipe", "invert", "in.png", "-o", "-"]
    done = run_command(command, folder, after=">&-", code=1)
    assert "standard output: is closed" in done.stderr


@pytest.mark.parametrize("closed", CLOSED[-2:])
def test_prints_of_a_function_do_not_get_into_the_image(closed: str, folder: Path) -> None:
    out = folder / "out.png"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "imgpipe", "run", "own.py:own", "in.png", "-o", "out.png"]
    run_command(command, folder, after=closed)
    np.testing.assert_array_equal(imgpipe.read(out), 255 - PIXELS)


@pytest.mark.parametrize("words", [["filters"], ["--version"], ["blur", "--help"]])
def test_an_output_that_is_full_is_reported(words: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "imgpipe", *words]
    done = run_command(command, folder, after="> /dev/full", code=1)
    assert done.stderr == (
        "imgpipe: error: standard output: cannot write: no space left on device; "
        "send it to another place\n"
    )


def test_the_exit_code_tells_where_nothing_can_be_said(folder: Path) -> None:
    command = [sys.executable, "-m", "imgpipe", "blur", "missing.png", "-o", "out2.png"]
    assert run_command(command, folder, after="2>&-", code=1).stderr == ""
    command = [sys.executable, "-m", "imgpipe", "filters"]
    assert run_command(command, folder, after=">&-").stdout == ""


MISSING = {
    "closed": "import os; [os.close(n) for n in (0, 1, 2)]",
    "none": "import sys; sys.stdin = sys.stdout = sys.stderr = None",
    "stand-ins": """
import sys
class Silent:
    def write(self, text): pass
    def flush(self): pass
sys.stdout = sys.stderr = Silent()
""",
}


@pytest.mark.parametrize("how", MISSING)
def test_a_script_does_without_its_streams(how: str, folder: Path) -> None:
    """Their numbers are free when the image is opened, and C code prints to one of them."""
    text = f"""
{MISSING[how]}
import imgpipe, os
from imgpipe.progress import Bar
from own import own, crash
with Bar() as bar:
    imgpipe.run("in.png", own(), "out.png", workers=2, on_event=bar)
    os.write(2, b"printed by C") if {how == "closed"} else None
imgpipe.run("in.png", imgpipe.filters.blur(), "blurred.png", workers=2)
try:
    imgpipe.run("in.png", crash(), "crash.png", workers=1)
except imgpipe.errors.WorkerError as error:
    open("said", "w").write(str(error))
"""
    (folder / "out.png").unlink(missing_ok=True)
    run_script(text, folder)
    np.testing.assert_array_equal(imgpipe.read(folder / "out.png"), 255 - PIXELS)
    np.testing.assert_array_equal(imgpipe.read(folder / "blurred.png"), blur()(PIXELS))
    assert "SIGABRT" in (folder / "said").read_text()
