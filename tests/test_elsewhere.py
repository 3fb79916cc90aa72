"""Systems other than Linux: commands do without its calls and system files.

Every process of the command starts with a module that hides them, and says that it is macOS. So
workers are spawned, and shared memory has a name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from tests.conftest import noise
from tests.leftovers import unused_segments

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is another system")

HIDDEN = """
import builtins, io, os, sys

for name in ("memfd_create", "posix_fallocate", "posix_fadvise", "sched_getaffinity", "O_PATH",
             "O_TMPFILE", "copy_file_range", "splice", "pidfd_open"):
    if hasattr(os, name):
        delattr(os, name)

def hide(module, name):
    real = getattr(module, name)
    def hidden(path=".", *more, **options):
        if isinstance(path, (str, bytes, os.PathLike)):
            if os.fsdecode(path).startswith(("/proc", "/sys")):
                raise FileNotFoundError(2, "No such file or directory", path)
        return real(path, *more, **options)
    setattr(module, name, hidden)

for module, name in ((os, "open"), (os, "stat"), (os, "listdir"), (os, "scandir"), (io, "open"),
                     (builtins, "open")):
    hide(module, name)
sys.platform = "darwin"
"""


@pytest.mark.alone
@pytest.mark.parametrize(
    ("chain", "suffix"), [("blur | rotate:90", ".png"), ("equalize | blur", ".tif")]
)
def test_a_command_needs_nothing_that_only_linux_has(
    chain: str, suffix: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    given, out, here = tmp_path / "in.png", tmp_path / f"out{suffix}", tmp_path / f"here{suffix}"
    imgpipe.write(noise((700, 300, 3), "uint8"), given)
    before = unused_segments()
    paths = os.pathsep.join([str(tmp_path), str(Path(imgpipe.__file__).parents[1])])
    command = [sys.executable, "-m", "imgpipe", "run", chain, given, "-o", out, "-j", "2"]
    done = subprocess.run(
        [*command, "--executor", "processes", "--chunk", "100", "--quiet"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    imgpipe.run(given, chain, here, executor="serial")
    assert np.array_equal(imgpipe.read(out), imgpipe.read(here))
    assert unused_segments() <= before
    assert not [name for name in os.listdir(tmp_path) if "part" in name]
