"""Filters, one file for each family, written in the same way as filters of users.

``from imgpipe.filters import *`` imports all filters of imgpipe except `open`, whose name would
hide the `open` of Python. Import `open`, and filters of other packages, by name.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe.chains.chain import FilterFactory


def __getattr__(name: str) -> FilterFactory | list[str]:
    from imgpipe.registry import FILTERS  # noqa: PLC0415

    if name == "__all__":
        ours = (each for each in FILTERS if FILTERS[each].module.startswith("imgpipe."))
        return sorted(set(ours) - set(dir(builtins)))
    if name.startswith("_") or name not in FILTERS:
        likely = "" if name.startswith("_") else FILTERS.suggestion(name)
        # With the name given, Python adds no suggestion of its own.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{likely}", name=name)
    found: Any = FILTERS.load(name)
    return found  # type: ignore[no-any-return]


def __dir__() -> list[str]:
    from imgpipe.registry import FILTERS  # noqa: PLC0415

    return sorted(FILTERS)
