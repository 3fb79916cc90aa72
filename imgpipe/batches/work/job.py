"""Job: a file of a batch, from the agenda to its end."""

from __future__ import annotations

from imgpipe.batches.agenda import Due
from imgpipe.batches.work.answers import File
from imgpipe.records import dataclass

__all__ = ["Job"]


@dataclass(eq=False)
class Job:
    """A file that is to be made.

    Attributes
    ----------
    number : int
        Its turn.
    due : Due
        The source and the outputs.
    size : int
        Bytes of the source; 0 if that is not known.
    file : File or None
        The same for workers, with temporaries; None until work begins.
    pixels : int
        Its size; 0 until its header was read.
    large : bool
        Whether one worker cannot make it.
    taken : bool
        Whether its turn has come.
    attempts : int
        Number of attempts up to now.
    told : bool
        Whether it was told that it is opened.
    """

    number: int
    due: Due
    size: int = 0
    file: File | None = None
    pixels: int = 0
    large: bool = False
    taken: bool = False
    attempts: int = 0
    told: bool = False

    @property
    def path(self) -> str:
        """The source."""
        return self.due.found.path
