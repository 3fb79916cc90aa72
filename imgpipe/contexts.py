"""Contexts that are closed at their end, and those that hold others."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

__all__ = ["Context", "HoldingContext"]


class Context:
    """A context that is closed at its end, with the error that has ended it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """End the context.

        Parameters
        ----------
        error : BaseException, optional
            The error that has ended it.
        """
        raise NotImplementedError


class HoldingContext(Context):
    """A context that ends others with it."""

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()

    def close(self, error: BaseException | None = None) -> None:
        """End all that is held, the last one first."""
        if error is None:
            self._held.close()
        else:
            self._held.__exit__(type(error), error, error.__traceback__)
