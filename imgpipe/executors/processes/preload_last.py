"""Settings of the fork server that come after its imports. Nobody else imports this."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from multiprocessing import forkserver
from typing import Any

from imgpipe.executors.processes.forkserver import remove_socket
from imgpipe.machine import keep_freed_memory

keep_freed_memory()
gc.freeze()  # or the first collection of every worker would copy all that is shared here
gc.enable()  # a command collects no garbage while it imports
# Workers inherit this, so that Ctrl-C never reaches a worker during its set-up.
signal.signal(signal.SIGINT, signal.SIG_IGN)
# A server that does not hear of the ends of its workers cannot tell of them.
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})
sys.excepthook = lambda *_: None  # the parent reports these errors


def _end() -> None:
    server: Any = forkserver
    remove_socket(server._forkserver._forkserver_address)


atexit.register(_end)  # not run by the workers
