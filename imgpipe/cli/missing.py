"""Missing options: all that a filter needs, and those that mean the part in --region."""

from __future__ import annotations

import click

from imgpipe.plurals import listed

__all__ = ["missing"]

_PART = {"x", "y", "width", "height"}


def missing(error: click.MissingParameter) -> str:
    """Return the message about required options that are not given."""
    context = error.ctx
    if context is None or not hasattr(error.param, "parameter"):
        return error.format_message()
    own = [each for each in context.command.get_params(context) if hasattr(each, "parameter")]
    # click takes the options that are given first, so those that it has not taken are missing
    lost = [each for each in own if each.required and each.name not in context.params]
    noun = "option" if len(lost) == 1 else "options"
    text = f"Missing {noun} {listed(repr(each.opts[0]) for each in lost)}."
    part = context.params.get("region")
    if part is None or not {each.name for each in own} >= _PART:
        return text
    return (
        f"{text} --region limits the output of any filter; to cut out this part, give "
        f"--x {part.x0} --y {part.y0} --width {part.width} --height {part.height} instead"
    )
