"""Reserve: space on a disk for the last lines of a journal.

On a full disk, the outputs in their places still need their ``done`` lines. Without the lines they
would be made again.
"""

from __future__ import annotations

import contextlib
import os

from imgpipe.publish import reserved
from imgpipe.temporaries import temporary_beside

__all__ = ["Reserve"]

_SIZE = 256 << 10  # bytes: more than 500 lines, those of the outputs that can be under way
_BLOCK = 4 << 10  # bytes that a file system gives away at once
_NAME = "reserve"


class Reserve:
    """Space in a folder, held by a file without a name; so it is gone with its process.

    Nothing is kept where the disk is nearly full already, or a file needs a name.

    Parameters
    ----------
    folder : str
        The folder.
    """

    def __init__(self, folder: str) -> None:
        self._fd, self._left = -1, 0
        path = temporary_beside(os.path.join(folder, _NAME))
        with contextlib.suppress(OSError):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.unlink(path)
                reserved(self._fd, _SIZE)
                self._left = _SIZE
            except OSError:
                self.close()
                os.unlink(path)

    def give(self, size: int) -> bool:
        """Give up the space for `size` bytes; return whether there was some.

        The rest stays: others may be quicker to take what is given up.
        """
        if not self._left:
            return False
        self._left = max(0, self._left - (size // _BLOCK + 2) * _BLOCK)
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._left)
        return True

    def close(self) -> None:
        """Give up all of it."""
        fd, self._fd, self._left = self._fd, -1, 0
        if fd >= 0:
            os.close(fd)
