"""Settings of the fork server that come before its imports. Nobody else imports this.

Threads of BLAS and of codecs are one in a worker, because the cores are shared out already; the
variables that say so are read when NumPy is imported.
"""

from __future__ import annotations

import os

from imgpipe.machine import mark_own_process

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

mark_own_process()
os.environ.pop("PYTHONSAFEPATH", None)  # was for this interpreter alone
