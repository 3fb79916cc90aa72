"""Adapting: the stages of a chain, followed by the conversions that the target requires.

Every way in that writes a file uses it, so that conversions are stages like all others: tiled and
whole they give the same pixels.
"""

from __future__ import annotations

import logging

from imgpipe.chains.chain import Chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.chains.stages import Stage, resolve
from imgpipe.formats.ends import Writing
from imgpipe.formats.fitting import fitting
from imgpipe.formats.opening import TargetLike, format_to, name_of
from imgpipe.image import ImageInfo

__all__ = ["adapted"]

_log = logging.getLogger("imgpipe")


def adapted(
    chain: Chain,
    info: ImageInfo,
    dst: TargetLike,
    writing: Writing,
    *,
    autorotate: bool = True,
    told: set[str] | None = None,
) -> tuple[Stage, ...]:
    """Return the stages that make of an image what a target holds.

    A line in the log says what is lost by conversions that the target requires.

    Parameters
    ----------
    chain : Chain
        The filters.
    info : ImageInfo
        The image.
    dst : path or binary file
        The target.
    writing : Writing
        The choices of the caller about it.
    autorotate : bool
        Whether the image is turned upright first.
    told : set of str, optional
        Losses that need not be told again; those that are told are added.

    Raises
    ------
    UsageError
        If a filter cannot take the result of the one before it, or the target cannot hold that of
        the last one.
    """
    stages = resolve(chain, info, autorotate=autorotate)
    after = stages[-1].after if stages else info
    chosen, name = format_to(dst, writing.format), name_of(dst)
    if writing.value_range is not None:  # wrong ones are refused where they are not needed too
        parse_chain(f'astype:uint8,range="{writing.value_range}"')
    needed = fitting(
        after,
        chosen,
        name,
        background=writing.background,
        value_range=writing.value_range,
    )
    if not needed.elements:
        return stages
    told = set() if told is None else told
    if needed.lost and needed.lost not in told:
        told.add(needed.lost)
        _log.warning("%s: converted for %s: %s", name, chosen.name, needed.lost)
    return stages + resolve(parse_chain(" | ".join(needed.elements)), after, autorotate=False)
