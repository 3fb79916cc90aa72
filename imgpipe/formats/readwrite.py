"""Choices of the caller about reading the input and writing the output."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from imgpipe import arguments
from imgpipe.admission import Alpha, Nodata, may_be_alpha, nodata_held, nodata_meant
from imgpipe.colours import hexadecimal
from imgpipe.errors import UsageError
from imgpipe.image import ImageInfo
from imgpipe.records import dataclass

__all__ = ["Reading", "Writing"]


@dataclass(frozen=True)
class Reading:
    """Choices about an input.

    Attributes
    ----------
    max_pixels : int, str or None
        Larger images are errors.
    alpha : int, str or None
        The alpha channel, where the file does not declare it.
    autorotate : bool
        Whether the image is turned upright.
    page : int or None
        The frame to read, counted from 0; None for all of them, or the first where there can be
        but one.
    level : int
        The level of the pyramid; 0 is the full resolution.
    nodata : float, "none" or None
        The value of pixels without data; "none" if there are none. By default the file says it,
        and NaN is such a value.
    salvage : bool
        Whether a damaged file is read as far as that is possible.

    Raises
    ------
    UsageError
        If a value would be wrong for any file.
    """

    max_pixels: int | str | None = None
    alpha: Alpha = None
    autorotate: bool = True
    page: int | None = None
    level: int = 0
    nodata: Nodata = None
    salvage: bool = False

    def __post_init__(self) -> None:
        if self.max_pixels is not None:
            _set(self, max_pixels=arguments.size(self.max_pixels, "max_pixels"))
        if not may_be_alpha(self.alpha):
            raise UsageError(
                "alpha must be the number of the last channel, 'last' or 'none', not "
                f"{self.alpha!r}"
            )
        _set(self, autorotate=arguments.flag(self.autorotate, "autorotate"))
        if self.page is not None:
            _set(self, page=arguments.whole(self.page, "page", at_least=0))
        _set(self, level=arguments.whole(self.level, "level", at_least=0))
        _set(self, nodata=nodata_meant(self.nodata))
        _set(self, salvage=arguments.flag(self.salvage, "salvage"))

    def of_page(self, page: int) -> Reading:
        """Return the same choices for one frame."""
        return replace(self, page=page)

    def declared(self, info: ImageInfo) -> ImageInfo:
        """Return the image of a file with the value of pixels without data that counts."""
        given = info.nodata if self.nodata is None else self.nodata
        if given is None and info.dtype.kind == "f":
            given = float("nan")
        return replace(info, nodata=nodata_held(given, info.dtype))

    @property
    def limit(self) -> int | None:
        """The most pixels of an image; None for the usual limit."""
        assert not isinstance(self.max_pixels, str)
        return self.max_pixels


@dataclass(frozen=True)
class Writing:
    """Choices about an output.

    Attributes
    ----------
    save : dict or None
        Options of the format.
    compression : int, str or None
        One of these options.
    format : str or None
        The name of the format; if None, the suffix decides.
    strip : bool
        Whether metadata are left out.
    background : str or None
        The colour behind alpha, where the format has no alpha: ``#rrggbb``; None for white.
    value_range : str or None
        Values that become black and white, where the format cannot hold the type of the values.
    hold : callable or None
        Holds the output back, once it is complete: see `heldtargets`.

    Raises
    ------
    UsageError
        If a value would be wrong for any file.
    """

    save: Mapping[str, Any] | None = None
    compression: int | str | None = None
    format: str | None = None
    strip: bool = False
    background: Any = None
    value_range: Any = None
    hold: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if self.format is not None and not isinstance(self.format, str):
            raise UsageError(
                "format must be the name of a format, such as 'png', not "
                f"{arguments.shown(self.format)}"
            )
        _set(self, strip=arguments.flag(self.strip, "strip"))
        _set(self, save=_options(self.save, self.compression))
        if self.background is not None:
            _set(self, background=_colour(self.background))
        if self.value_range is not None:
            _set(self, value_range=_range(self.value_range))

    @property
    def options(self) -> Mapping[str, Any]:
        """All options of the format."""
        return self.save or {}


def _options(save: Any, compression: Any) -> Mapping[str, Any]:
    """Return the options of the output, of which compression may be given by itself."""
    if save is None:
        save = {}
    if not isinstance(save, Mapping) or not all(isinstance(key, str) for key in save):
        raise UsageError(
            "save must be the options of the output format by name, such as "
            f"{{'compression': 3}}, not {arguments.shown(save)}"
        )
    if compression is None:
        return save
    if "compression" in save:
        raise UsageError("compression is given twice: by itself and in save; leave one out")
    return {**save, "compression": compression}


def _colour(given: Any) -> str:
    try:
        return hexadecimal(given)
    except ValueError as error:
        raise UsageError(f"background: {error}") from None


def _range(given: Any) -> str:
    """Return a range as text in the words of `astype`, which checks it."""
    text = "..".join(map(str, given)) if isinstance(given, (list, tuple)) else given
    if not isinstance(text, str) or not re.fullmatch(
        r"full|measured|[-+.\deE]+\.\.[-+.\deE]+", text
    ):
        raise UsageError(
            "value_range must be full, measured, or two numbers such as 0..4095, not "
            f"{arguments.shown(given)}"
        )
    return _in_order(text)


def _in_order(text: str) -> str:
    """Return a range, of which the first number must be the smaller one."""
    low, dots, high = text.partition("..")
    try:
        is_wrong = bool(dots) and float(low) >= float(high)
    except ValueError:
        return text  # `astype` tells
    if is_wrong:
        raise UsageError(f"value_range must have the smaller number first, not {text!r}")
    return text


def _set(choices: Any, **values: Any) -> None:
    """Set fields of a frozen object to their final values."""
    for name, value in values.items():
        object.__setattr__(choices, name, value)
