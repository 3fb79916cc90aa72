"""The filters: one family per file, each written exactly as a user writes theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe.filters.base import FilterFactory


def __getattr__(name: str) -> FilterFactory:
    from imgpipe.registry import FILTERS  # noqa: PLC0415

    if name.startswith("_") or name not in FILTERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: Any = FILTERS.load(name)
    return found  # type: ignore[no-any-return]


def __dir__() -> list[str]:
    from imgpipe.registry import FILTERS  # noqa: PLC0415

    return sorted(FILTERS)
