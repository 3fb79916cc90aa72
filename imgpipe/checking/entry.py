"""Entry: the public check of any value that stands for a filter."""

from __future__ import annotations

import os
from typing import Any

from imgpipe import arguments
from imgpipe.admission import Alpha
from imgpipe.chains.chain import Chain, Filter, FilterFactory
from imgpipe.chains.definition import Works
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.chains.grammar import all_declared, definitions_in
from imgpipe.checking.comparison import checked
from imgpipe.checking.report import CheckReport
from imgpipe.errors import UsageError
from imgpipe.events import Observing
from imgpipe.geometry import Halo
from imgpipe.image import Pixels
from imgpipe.observers import observed

__all__ = ["check"]


def check(
    filter: FilterLike,
    image: str | os.PathLike[str] | Pixels | None = None,
    *,
    halo: int | Halo | None = None,
    dtype: Works | None = None,
    alpha: Alpha = None,
    on_event: Observing | None = None,
    progress: bool = False,
) -> CheckReport:
    """Compare the results of a filter over whole pictures and over pieces of them.

    For tests of your own: ``assert imgpipe.check(my_filter(strength=2))``.

    The pictures are noise, soft texture, ramps, a checkerboard, impulses, lines, stars, and a page
    with text and wide areas of white, black and gray. The kinds of image are RGB and gray of
    8 and 16 bits, floats from 0 to 1, and RGBA. All pictures are tried as the first kind that the
    function takes, and two of them as every other kind.

    The report has a note if channels of the result depend on others, unless the filter declares
    ``channels`` or ``colour``, or is one of imgpipe.

    Parameters
    ----------
    filter : Filter, decorated function, bare function, or str
        The filter to check, with its default parameters unless you give others. A bare function is
        tried with one halo after the other. Parameters that are further images get generated
        images of the same shape. Text is written as in a chain: ``"my_filter.py:relief"``.
    image : path or ndarray, optional
        Your own picture, tried in addition; at most 512 x 512 pixels from its centre are used.
    halo : int or (int, int), optional
        The halo of a bare function; then only this halo is tried.
    dtype : {"keep", "float32"}, optional
        The type that a bare function gets, as for `imgpipe.run`.
    alpha : int, "last" or "none", optional
        The alpha channel of `image`, if it is an array, or a file that does not declare alpha.
    on_event : callable or list of callables, optional
        Observers: functions that get an event after every comparison.
    progress : bool, default False
        Show a progress bar, also in a notebook.

    Returns
    -------
    CheckReport
        True if no difference was found. Printed, it lists the pictures that were tried, the
        differences and their places, and advice on the declarations.

    Raises
    ------
    UsageError
        If the check cannot run.
    FilterError
        If the function fails on every picture.
    """
    one, known = _as_filter(filter, halo, dtype)
    arguments.flag(progress, "progress")
    with observed(on_event, progress=progress) as observer:
        return checked(one, image, alpha, known=known, on_event=observer)


def _as_filter(
    given: FilterLike, halo: int | Halo | None, dtype: Works | None
) -> tuple[Filter, bool]:
    """Return a filter without its further images, and whether its halo is known."""
    more, known = dict[str, Any](), True
    if isinstance(given, FilterFactory):
        given = given(**dict.fromkeys(given.definition.operands))
    elif isinstance(given, str):
        more = dict.fromkeys(definitions_in(given, 0)[0].operands)
        known = halo is not None or all_declared(given)
    elif callable(given) and not isinstance(given, Chain):
        known = halo is not None
    chain = chain_from(given, halo if known else 0, dtype, more)
    if len(chain.filters) != 1:
        raise UsageError("check the filters of a chain one at a time")
    return chain.filters[0], known
