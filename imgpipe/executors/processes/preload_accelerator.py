"""Import of the accelerator that workers will need. Nobody else imports this."""

from __future__ import annotations

import contextlib
import os

from imgpipe.acceleration import get_ready
from imgpipe.executors.processes.server import EXPECTED

if _name := os.environ.pop(EXPECTED, ""):
    with contextlib.suppress(BaseException):  # a library may raise anything
        get_ready(_name)
