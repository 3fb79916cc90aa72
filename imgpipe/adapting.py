"""Adaptation of a chain to its target: conversions at its end.

Every way in that writes a file uses it, so that conversions are stages like all others: tiled and
whole they give the same pixels.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import cast

from imgpipe.chains.chain import Chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.chains.stages import Stage, resolve
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.fitting import fitting, left_out
from imgpipe.formats.opening import TargetLike, format_as, name_of
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.image import ImageInfo, check_made_pixels

__all__ = ["adapted", "check_range", "stages_to", "warn_of_alpha", "warn_of_range"]

_log = logging.getLogger("imgpipe")
_ALPHA_UNSAID = (
    "%s: alpha is not declared, so filters change all %d channels like colours, but the output "
    'stores channel %d as alpha; give --alpha last (alpha="last" in Python) if it is alpha, or '
    "--alpha none if it is not"
)


def adapted(
    chain: Chain,
    info: ImageInfo,
    dst: TargetLike,
    writing: Writing,
    *,
    autorotate: bool = True,
    told: set[str] | None = None,
    image: str = "",
) -> tuple[Stage, ...]:
    """Return the stages that convert an image for a target.

    A line in the log says what is lost by conversions that the target requires, and another one
    which metadata it cannot hold.

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
    image : str, optional
        Name of the image for errors.

    Raises
    ------
    UsageError
        If a filter cannot take the result of the one before it, or the target cannot hold that of
        the last one.
    """
    stages = resolve(chain, info, autorotate=autorotate, name=image)
    after = stages[-1].after if stages else info
    chosen, name = format_as(dst, writing), name_of(dst)
    check_range(writing)
    needed = fitting(
        after,
        chosen,
        name,
        background=writing.background,
        value_range=writing.value_range,
    )
    if needed.elements:
        stages += resolve(parse_chain(" | ".join(needed.elements)), after, autorotate=False)
        after = stages[-1].after
    if writing.strip:
        after = replace(after, metadata=after.metadata.stripped())
    if not any("range=" in one for one in needed.elements):
        warn_of_range(writing, f"{chosen.name} holds {after.dtype}", name)
    _warn_of_loss(f"converted for {chosen.name}", needed.lost, name, told)
    _warn_of_loss(
        f"left out metadata that {chosen.name} cannot hold", left_out(after, chosen), name, told
    )
    return stages


def stages_to(
    chain: Chain,
    dst: TargetLike,
    reading: Reading,
    writing: Writing,
    told: set[str],
    source: Source,
) -> tuple[tuple[Stage, ...], ImageInfo]:
    """Return the filters for an open image, and the properties of their result."""
    info = reading.declared(source.info)
    stages = adapted(
        chain, info, dst, writing, autorotate=reading.autorotate, told=told, image=source.name
    )
    after = stages[-1].after if stages else info
    if after.pixels > info.pixels:
        check_made_pixels(after, name_of(dst), cast("int | None", reading.max_pixels))
    if reading.nodata is None and source.info.nodata is None:
        after = replace(after, nodata=None)  # NaN goes without saying
    if writing.strip:
        after = replace(after, metadata=after.metadata.stripped())
    return stages, after


def warn_of_alpha(source: Source, reading: Reading, stages: tuple[Stage, ...], sink: Sink) -> None:
    """Warn where the last channel becomes alpha, and the filters did not know."""
    after = stages[-1].after if stages else source.info
    if reading.alpha is None and sink.info.alpha != after.alpha and _change_alpha(stages):
        _log.warning(_ALPHA_UNSAID, source.name, source.info.channels, sink.info.alpha)


def check_range(writing: Writing) -> None:
    """Refuse a wrong range of values, even if it is not needed.

    Raises
    ------
    UsageError
        If it is no range.
    """
    if writing.value_range is not None:
        parse_chain(f'astype:uint8,range="{writing.value_range}"')


def warn_of_range(writing: Writing, reason: str, name: str) -> None:
    """Warn that the range of values, if the caller gave one, is not used."""
    if writing.value_range is not None:
        _log.warning(
            "%s: the value range %s is not used, because %s; the filter astype converts in any "
            "case: astype:uint8,range=%s",
            name, writing.value_range, reason, writing.value_range,
        )  # fmt: skip


def _warn_of_loss(fault: str, lost: str, name: str, told: set[str] | None) -> None:
    """Log a loss, unless it was logged before."""
    if lost and (told is None or lost not in told):
        _log.warning("%s: %s: %s", name, fault, lost)
        if told is not None:
            told.add(lost)


def _change_alpha(stages: tuple[Stage, ...]) -> bool:
    """Return whether a filter would have left alone, or weighted with, a channel that was alpha."""
    return any(stage.filter.definition.alpha != "filter" for stage in stages)
