"""Contexts that are closed at their end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

__all__ = ["Context"]


class Context:
    """A context that is closed at its end, and told of the error that has ended it."""

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
