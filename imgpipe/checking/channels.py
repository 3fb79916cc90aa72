"""Channels: a note if channels of the result depend on other channels of the image.

A comparison with chunks does not show this. A function over all axes of an array, such as most of
`scipy.ndimage`, filters across the channels as well, which is seldom meant.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from imgpipe.chains.chain import Filter
from imgpipe.checking.pictures import Picture
from imgpipe.checking.trials import distance, rounding, whole
from imgpipe.errors import ImgpipeError
from imgpipe.image import Pixels
from imgpipe.plurals import listed

__all__ = ["note_on_channels"]

_NAMES = ("noise", "soft texture", "a page", "your picture")
_PART = np.s_[40:170, 90:260]
_MOST = 16  # channels that are tried
_ROWS_AND_COLUMNS = {"sigma": 0, "size": 1}
"""Parameters that may be one number for each axis, and the number that spares an axis."""


def note_on_channels(one: Filter, pictures: list[Picture], patience: float) -> str:
    """Return a note if channels of the result depend on other channels; else empty text.

    The filters of imgpipe need none, nor does a filter that declares the channels or the colour of
    its result.

    Parameters
    ----------
    one : Filter
        The filter.
    pictures : list of Picture
        Pictures that it takes.
    patience : float
        Seconds of processor time after which no more is tried.
    """
    declared = one.definition
    if declared.ours or declared.channels is not None or declared.colour is not None:
        return ""
    until = time.process_time() + patience
    tried = [_part(picture) for picture in pictures if _can_tell(picture)]
    for picture in tried:
        if mixed := _mixed(one, picture):
            count = min(_MOST, picture.pixels.shape[2])
            return f"{_depending(mixed, count)} on other channels: {_remedy(one, tried)}"
        if time.process_time() > until:
            break
    return ""


def _can_tell(picture: Picture) -> bool:
    several = picture.pixels.shape[2] > 1 and picture.alpha is None
    return several and picture.name.partition(" in ")[0] in _NAMES


def _part(picture: Picture) -> Picture:
    """Return a part of a picture, which is enough, in less time."""
    part = picture.pixels[_PART]
    if part.shape[:2] != (130, 170):
        return picture
    return replace(picture, pixels=np.ascontiguousarray(part))


def _mixed(one: Filter, picture: Picture) -> list[int] | None:
    """Return the channels of the result that change with other channels; None if unknown.

    It is unknown if the result has another number of channels, if the function fails, and if it
    gives another result the second time.
    """
    pixels, found = picture.pixels, list[int]()
    others = picture.turned // 2 if pixels.dtype.kind in "iu" else picture.turned / 2
    made = _made(one, picture)
    if made is None or made.shape[2] != pixels.shape[2]:
        return None
    for channel in range(min(_MOST, pixels.shape[2])):
        changed = others.astype(pixels.dtype)
        changed[..., channel] = pixels[..., channel]
        again = _made(one, replace(picture, pixels=changed))
        if again is None:
            return None
        if not _alike(one, made[..., channel], again[..., channel]):
            found.append(channel)
    if found:
        again = _made(one, picture)
        if again is None or not _alike(one, made, again):
            return None
    return found


def _made(one: Filter, picture: Picture) -> Pixels | None:
    """Return the result of a picture, without warnings; None if the function refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return whole(one, picture)
        except ImgpipeError:
            return None


def _alike(one: Filter, made: Pixels, again: Pixels) -> bool:
    """Return whether two results differ by no more than the rounding of their values."""
    if made.shape != again.shape:
        return False
    most = 1.0 if made.dtype.kind in "iu" else rounding(one, made)
    return bool(distance(made, again).max(initial=0.0) <= most)


def _depending(mixed: list[int], count: int) -> str:
    if len(mixed) == count:
        return "each channel of the result depends"
    names = listed(map(str, mixed))
    if len(mixed) == 1:
        return f"channel {names} of the result depends"
    return f"channels {names} of the result depend"


def _remedy(one: Filter, tried: list[Picture]) -> str:
    """Return the value of a parameter that treats each channel alone, as tried; else advice."""
    for name, value in _values(one):
        try:
            changed = _with(one, name, value)
        except ImgpipeError:  # the filter does not take this value
            continue
        if all(_is_remedy(one, changed, name, picture) for picture in tried):
            numbers = value if isinstance(value, tuple) else (value,)
            option = f"--{name.replace('_', '-')} {','.join(map(str, numbers))}"
            return f"if this is not meant, give {option} ({name}={value} in Python)"
    return "if this is not meant, call the function for each channel alone"


def _is_remedy(one: Filter, changed: Filter, name: str, picture: Picture) -> bool:
    """Return whether a changed filter treats each channel alone, and as the filter itself does."""
    if _mixed(changed, picture) != []:
        return False
    if name == "axis":  # of a function along one axis, which is that of the channels
        return True
    made, alone = _made(changed, picture), _each_alone(one, picture)
    return alone is None or (made is not None and _alike(one, made, alone))


def _each_alone(one: Filter, picture: Picture) -> Pixels | None:
    """Return the results of each channel as a picture; None if the function refuses one."""
    planes = np.split(picture.pixels, picture.pixels.shape[2], axis=2)
    made = [_made(one, replace(picture, pixels=np.ascontiguousarray(each))) for each in planes]
    found = [each for each in made if each is not None]
    return np.concatenate(found, axis=2) if len(found) == len(made) else None


def _values(one: Filter) -> Iterator[tuple[str, Any]]:
    """Yield values of parameters that may keep a function from filtering across the channels."""
    given = one.keywords
    if given.get("channel_axis", 0) is None:
        yield "channel_axis", -1
        yield "channel_axis", 2
    for name, spared in _ROWS_AND_COLUMNS.items():
        value = given.get(name)
        if isinstance(value, (tuple, list)) and len(value) == 3:
            yield name, (*value[:2], spared)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, (value, value, spared)
    if given.get("axes", 0) is None:
        yield "axes", (0, 1)
    if given.get("axis") in (-1, 2):
        yield "axis", 0


def _with(one: Filter, name: str, value: Any) -> Filter:
    """Return a filter with another value of one parameter."""
    parameters = {parameter.name: parameter for parameter in one.definition.parameters}
    checked = parameters[name].check(value, one.name)
    params = tuple((key, checked if key == name else old) for key, old in one.params)
    return Filter(one.definition, params, one.border)
