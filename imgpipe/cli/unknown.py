"""Unknown options: the nearest one that there is, or those of the filter."""

from __future__ import annotations

import click

from imgpipe.suggestions import suggestion

__all__ = ["MisplacedOption", "unknown"]


class MisplacedOption(click.NoSuchOption):
    """An option that there is at another place. Its message names the place."""


def unknown(error: click.NoSuchOption) -> str:
    """Return the message about an option that a command does not have."""
    if isinstance(error, MisplacedOption) or error.ctx is None:
        return error.format_message()
    name, command = error.option_name, error.ctx.command
    shown = [each for each in command.get_params(error.ctx) if not getattr(each, "hidden", False)]
    names = [one for each in shown for one in each.opts if one.startswith("--")]
    own = [each.opts[0] for each in shown if hasattr(each, "parameter")]
    otherwise = f"the options of the filter: {', '.join(own)}" if own else ""
    return f"there is no option {name!r}{suggestion(name, names, otherwise)}"
