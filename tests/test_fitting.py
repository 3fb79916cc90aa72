"""Fitting an image into what a format declares, or refusing it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imgpipe.errors import UsageError
from imgpipe.formats.declaration import GRAY, RGB, RGBA, Format, Layout
from imgpipe.formats.fitting import fitted
from imgpipe.image import ImageInfo

RGB_IMAGE = ImageInfo(4, 5, 3, np.dtype(np.uint8), None, "rgb")
TOY = Format("Toy", (".toy",), dtypes=("uint8", "uint16"), layouts=(GRAY, RGB, RGBA), side=100)


def test_what_is_held_stays_as_it_is() -> None:
    for image in (RGB_IMAGE, replace(RGB_IMAGE, channels=4, alpha=3)):
        assert fitted(image, TOY, "a.toy") == image
    anything = Format("Any", (".any",))
    odd = ImageInfo(9, 9, 7, np.dtype(np.float64), 6)
    assert fitted(odd, anything, "a.any") == odd


def test_channels_mean_what_readers_will_take_them_for() -> None:
    unsaid = replace(RGB_IMAGE, channels=4, colour="other")
    assert fitted(unsaid, TOY, "a.toy").alpha == 3
    inks = Layout(4, "other")
    assert fitted(unsaid, replace(TOY, layouts=(RGBA, inks)), "a.toy").alpha is None
    assert fitted(unsaid, replace(TOY, layouts=None), "a.toy").alpha is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dtype": np.dtype(np.float32)}, "Toy supports uint8 and uint16, not float32; convert"),
        ({"channels": 2}, "Toy supports 1, 3 and 4 channels, not 2; select"),
        ({"width": 101}, "Toy cannot hold 101 x 4 pixels"),
        ({"height": 0}, "Toy cannot hold 5 x 0 pixels"),
    ],
)
def test_what_is_not_held_is_refused_with_a_way_out(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        fitted(replace(RGB_IMAGE, **changes), TOY, "a.toy")
    assert str(caught.value).startswith(f"a.toy: {says}")
    assert str(caught.value).endswith("write .npy")
