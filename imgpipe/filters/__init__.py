"""Filters: those of one kind per file, each written exactly as a user writes theirs.

``from imgpipe.filters import *`` gives imgpipe's own, but for `open`, which would hide that of
Python: that one is imported by name. Filters of other packages are too.
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
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: Any = FILTERS.load(name)
    return found  # type: ignore[no-any-return]


def __dir__() -> list[str]:
    from imgpipe.registry import FILTERS  # noqa: PLC0415

    return sorted(FILTERS)
