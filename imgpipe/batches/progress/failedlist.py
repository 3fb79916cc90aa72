"""List of failed sources, for ``--files-from``."""

from __future__ import annotations

import logging
import os

from imgpipe.batches.events import BatchEvent, OutputEnded
from imgpipe.batches.inputs.walk import image_suffixes
from imgpipe.batches.progress.wording import one_line
from imgpipe.contexts import Context
from imgpipe.errors import UsageError
from imgpipe.sidefile import SideFile

__all__ = ["FailedList"]

_log = logging.getLogger(__name__)


class FailedList(Context):
    """An observer that writes a list of failed sources, each once.

    The list appears when the context ends; it is empty where nothing failed. A batch that is
    refused has no list.

    Parameters
    ----------
    path : path-like
        The list.
    null : bool, default False
        End names with a zero byte instead of the end of a line.

    Raises
    ------
    UsageError
        If its name is that of an image.
    OutputError
        If the list cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, null: bool = False) -> None:
        if os.path.splitext(path)[1].lower() in image_suffixes():
            raise UsageError(f"{os.fspath(path)}: is the name of an image; call the list otherwise")
        self._file = SideFile(path)
        self._end = b"\0" if null else b"\n"
        self._listed: set[str] = set()

    def close(self, error: BaseException | None = None) -> None:
        """Make the list appear, unless the batch was refused."""
        if isinstance(error, UsageError):
            self._file.abort()
        else:
            self._file.finish()

    def __call__(self, event: BatchEvent) -> None:
        """Take note of `event`."""
        match event:
            case OutputEnded(result=result) if result.status == "failed":
                if result.path in self._listed:
                    return
                self._listed.add(result.path)
                name = os.fsencode(result.path)
                if self._end == b"\n" and (b"\n" in name or name.endswith(b"\r")):
                    shown = one_line(result.path)
                    _log.warning(
                        "%s: is not listed in %s, because its name has an end of line; use --null "
                        "for lists",
                        shown, self._file.name,
                    )  # fmt: skip
                    return
                self._file.write(name + self._end)
