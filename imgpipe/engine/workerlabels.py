"""Labels of workers: numbers in the order of their first receipts."""

from __future__ import annotations

from imgpipe.engine.worker import Receipt

__all__ = ["WorkerLabels"]


class WorkerLabels:
    """Gives every worker, a thread of some process, its label."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], str] = {}

    def of(self, receipt: Receipt) -> str:
        """Return the label of the worker that wrote `receipt`: such as ``worker 1``."""
        identity = receipt.worker, receipt.thread
        return self._known.setdefault(identity, f"worker {len(self._known) + 1}")
