"""Start and end of a command: the processes that it starts, and the modules that it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe import registry

COMMAND = "import sys; from imgpipe.cli import main; code = main()\n"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An image that is worth a pool of workers."""
    np.save(tmp_path / "in.npy", np.zeros((1500, 1500), np.uint8))
    return tmp_path


def command(args: str, folder: Path, *, before: str = "", after: str = "") -> str:
    """Run a command between other code; return its output."""
    code = f"{before}\n{COMMAND}{after}\nsys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", code, *args.split()],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 14),
    reason="helper processes are new interpreters",
)
def test_all_processes_of_a_command_are_forks_of_it(large: Path) -> None:
    """Another interpreter would import everything once more."""
    before = (
        "import multiprocessing.util, os\n"
        "multiprocessing.util.spawnv_passfds = lambda *_: os._exit(9)\n"
    )
    after = "from multiprocessing import resource_tracker as it; print(it._resource_tracker._pid)"
    assert int(command("invert in.npy -o out.npy -j 2 -q", large, before=before, after=after))
    assert np.load(large / "out.npy").min() == 255


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 14),
    reason="helper processes are new interpreters",
)
def test_workers_load_no_library_of_their_own(large: Path) -> None:
    """Each would need as long for it as for the first chunks."""
    pytest.importorskip("cv2")
    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), np.uint8)
    imgpipe.write(noise, large / "in.jpg")
    before = (
        "import gc, os, sys\n"
        "import imgpipe.executors.processes.startup as startup\n"
        "def done(task, do=startup._done):\n"
        "    begun = set(sys.modules)\n"
        "    result = do(task)\n"
        "    said = ' '.join((str(gc.isenabled()), *(set(sys.modules) - begun)))\n"
        "    os.write(1, f'{said}\\n'.encode())\n"
        "    return result\n"
        "startup._done = done\n"
    )
    args = "blur in.jpg -o out.jpg -q --accelerator opencv --executor processes -j 2"
    printed = command(args, large, before=before)
    said = [line.partition(" ") for line in printed.splitlines()]
    assert {collects for collects, _, _ in said} == {"True"}
    libraries = {"cv2", "hashlib", "imagecodecs", "imagecodecs._jpeg8", "imgpipe.trials"}
    assert not libraries & {name for _, _, loaded in said for name in loaded.split()}


def test_a_command_imports_nothing_that_it_does_not_need(large: Path) -> None:
    imgpipe.write(np.load(large / "in.npy"), large / "in.png")
    with (large / "in.png").open("ab") as file:
        file.write(bytes(1_000_000))  # no part of the image; it makes the file worth a pool
    before = "import sys; begun = set(sys.modules)"
    after = "print(*sorted(set(sys.modules) - begun))"
    printed = command("invert in.png -o out.png -j 2 -q", large, before=before, after=after)
    loaded = set(printed.split())
    assert {"imgpipe.formats.png.reading", "imgpipe.executors.processes.pool"} <= loaded
    slow = {
        *("hashlib", "importlib.metadata", "numpy.typing", "pathlib", "urllib.parse"),
        *("PIL", "OpenImageIO", "tifffile", "zarr", "simplejpeg", "tqdm", "cloudpickle"),
        *("imgpipe.exif", "imgpipe.xmp", "imgpipe.checking", "imgpipe.testing"),
    }
    assert not slow & loaded
    for many, few in (("filters", {"filters", "filters.tone"}), ("formats", {"formats.png"})):
        members = {member.module for member in getattr(registry, many.upper()).values()}
        assert loaded & members <= {f"imgpipe.{one}" for one in few}


def test_the_end_of_a_command_leaves_out_nothing_that_others_have_registered(large: Path) -> None:
    (large / "own.py").write_text(
        "import atexit, threading\n"
        "def late():\n"
        "    threading.main_thread().join()\n"
        "    print('a thread')\n"
        "threading.Thread(target=late).start()\n"
        "atexit.register(print, 'registered', end='')\n"
        "def same(chunk):\n"
        "    return chunk\n"
    )
    printed = command("run own.py:same in.npy -o out.npy --halo 0 --dry-run -q", large)
    assert printed.endswith("a thread\nregistered")


def test_a_quiet_command_does_not_sample_its_memory(large: Path) -> None:
    before = "import imgpipe.machine; imgpipe.machine.PeakMemory = None"
    command("invert in.npy -o out.npy -j 1 -q", large, before=before)
    assert (large / "out.npy").exists()
