"""Errors: all exceptions of imgpipe, in one tree.

::

    ImgpipeError
    ├── UsageError          the call itself is wrong (exit code 2)
    │   ├── ParameterError      a filter's parameter has a bad name, type or value
    │   ├── ChainError          the text of a chain does not parse (points at the character)
    │   └── DeclarationError    the declarations of a filter do not fit its function
    ├── InputError          the input file is missing, unreadable or damaged
    │   ├── FormatError         not a format that can be read, or a feature of it that cannot
    │   ├── CorruptError        truncated, damaged or hostile
    │   └── LimitError          larger than the limits allow, found before allocation
    ├── OutputError         the output cannot be written; nothing was left behind
    ├── FilterError         a filter's own function failed on a chunk
    │   ├── ShapeError          … or returned an image of another size than was declared
    │   └── FilterTimeout       … or did not return in time
    ├── WorkerError         workers died, again and again
    ├── BatchError          files of a batch failed
    ├── MemoryPlanError     the job does not fit the memory it was given
    └── Cancelled           the run was stopped on request

A message names the event, the file and the remedy.
"""

from __future__ import annotations

__all__ = [
    "BatchError",
    "Cancelled",
    "ChainError",
    "CorruptError",
    "DeclarationError",
    "FilterError",
    "FilterTimeout",
    "FormatError",
    "ImgpipeError",
    "InputError",
    "LimitError",
    "MemoryPlanError",
    "OutputError",
    "ParameterError",
    "ShapeError",
    "UsageError",
    "WorkerError",
]


class ImgpipeError(Exception):
    """Base of every error that imgpipe raises on purpose."""


class UsageError(ImgpipeError, ValueError):
    """The call is wrong: a value, a name or a combination of them."""


class ParameterError(UsageError):
    """A filter was given a parameter it does not have or cannot use."""


class ChainError(UsageError):
    """The text of a chain does not parse.

    Parameters
    ----------
    message : str
        The message, without the position.
    text : str
        The whole chain.
    position : int
        Index of the offending character in `text`.
    """

    def __init__(self, message: str, text: str, position: int) -> None:
        self.message, self.text, self.position = message, text, position
        shown = "".join(char if char.isprintable() else " " for char in text)
        super().__init__(f"{message}\n  {shown}\n  {' ' * position}^")

    def __reduce__(self) -> tuple[type[ChainError], tuple[str, str, int]]:
        return type(self), (self.message, self.text, self.position)


class DeclarationError(UsageError):
    """A declaration of a filter is impossible, or its function does not keep it."""


class InputError(ImgpipeError):
    """The input cannot be used."""


class FormatError(InputError):
    """The input is in a format, or uses a feature, that imgpipe does not read."""


class CorruptError(InputError):
    """The input is truncated, damaged, or lies about itself."""


class LimitError(InputError):
    """The input or the output is larger than the limits allow; nothing was allocated."""


class OutputError(ImgpipeError):
    """The output cannot be written. The file that was at its path before is still there."""


class FilterError(ImgpipeError):
    """The function of a filter failed on a chunk.

    The message names the filter, the file and the chunk, and ends with the
    traceback of the filter's own function.
    """


class ShapeError(FilterError):
    """The function of a filter returned other rows, columns or channels than it declares."""


class FilterTimeout(FilterError):  # noqa: N818 - the word for it
    """The function of a filter did not return within the time it was given."""


class WorkerError(ImgpipeError):
    """The same piece of work took down several workers, or no worker starts."""


class BatchError(ImgpipeError):
    """Some files of a batch failed, or it was stopped before its end."""


class MemoryPlanError(ImgpipeError):
    """The job cannot be done within the memory it was given.

    Attributes
    ----------
    needed : int
        Bytes that all processes together need; 0 if that is not known.
    """

    needed: int = 0


class Cancelled(ImgpipeError):  # noqa: N818 - no error, but the caller's wish
    """The run was stopped before it was complete."""
