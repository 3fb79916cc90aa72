"""Preloading: imports and settings of the fork server before its first worker.

Threads of BLAS and of codecs are one in a worker, because the cores are shared out already; the
variables that say so are read when NumPy is imported, hence their place above the imports.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

os.environ.pop("PYTHONSAFEPATH", None)  # was for this interpreter alone

from imgpipe.machine import keep_freed_memory  # noqa: E402

keep_freed_memory()
gc.freeze()  # or the first collection of every worker would copy all that is shared here
# Workers inherit this, so that Ctrl-C never reaches one that is just being set up.
signal.signal(signal.SIGINT, signal.SIG_IGN)
# A server that does not hear of the ends of its workers cannot tell of them.
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})
sys.excepthook = lambda *_: None  # what ends the server or the start of a worker is told by others
