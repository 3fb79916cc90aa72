"""Pictures for the pages of the filters: crops of sample pictures, some with a fault to mend.

The photographs come with scikit-image; sample_images/README.md names the origin and the licence of
each. The other pictures are samples of imgpipe, or made here. Every picture is an
array of shape (rows, columns) or (rows, columns, channels), about 336 pixels wide; those whose
single pixels matter are half as wide.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import imgpipe
from imgpipe import filters

__all__ = ["PICTURES", "SAMPLES", "heat", "picture", "shown"]

Pixels = NDArray[Any]

SAMPLES = Path(__file__).parents[2] / "sample_images"
WIDTH, HEIGHT = 336, 252


@cache
def picture(name: str) -> Pixels:
    """Return the picture of that name, which is not to be changed."""
    made = np.ascontiguousarray(PICTURES[name]())
    made.flags.writeable = False
    return made


def shown(image: Pixels, *, inks: bool = False) -> Pixels:
    """Return an image as a screen shows it, shape (rows, columns, 3), uint8.

    Alpha is shown over a pattern of squares, inks as four plates side by side.
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype != np.uint8:
        image = filters.astype(dtype="uint8")(image)
    if inks:
        return _as_plates(image)
    if image.shape[2] == 4:
        squares = (np.indices(image.shape[:2]) // 8).sum(axis=0) % 2
        under = np.where(squares, 255, 204)[..., None]
        alpha = image[..., 3:] / 255
        return np.rint(alpha * image[..., :3] + (1 - alpha) * under).astype(np.uint8)
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _as_plates(inks: Pixels) -> Pixels:
    """Return cyan and magenta, and below them yellow and black, as each is printed alone."""
    plates = [np.repeat(255 - inks[::2, ::2, ink, None], 3, axis=2) for ink in range(4)]
    for plate, colour in zip(plates, (0, 1, 2), strict=False):
        plate[..., [other for other in range(3) if other != colour]] = 255
    return np.vstack([np.hstack(plates[:2]), np.hstack(plates[2:])])


def heat() -> Pixels:
    """Return a table of false colours for 256 levels: black, violet, red, yellow, white."""
    levels = [0, 64, 128, 192, 255]
    colours = np.array([(0, 0, 0), (96, 0, 144), (224, 40, 40), (255, 176, 0), (255, 255, 232)])
    table = [np.interp(np.arange(256), levels, channel) for channel in colours.T]
    return np.rint(np.transpose(table)).astype(np.uint8)


# ------------------------------------------------------------------------------- building blocks


def _fitted(image: Pixels, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Return the middle of an image, as much of it as has this form, in this size."""
    rows, columns = image.shape[:2]
    factor = min(rows / height, columns / width)
    part = _cut(image, *_middle(rows, columns, factor * height, factor * width))
    return np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.LANCZOS))


def _middle(rows: int, columns: int, height: float, width: float) -> tuple[int, int, int, int]:
    height, width = round(height), round(width)
    return (rows - height) // 2, (columns - width) // 2, height, width


def _cut(image: Pixels, y: int, x: int, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    return np.ascontiguousarray(image[y : y + height, x : x + width])


def _near(image: Pixels, y: int, x: int) -> Pixels:
    """Return a part whose single pixels can be seen."""
    return _cut(image, y, x, HEIGHT // 2, WIDTH // 2)


def _with_noise(image: Pixels, strength: float) -> Pixels:
    noise = np.random.default_rng(1).normal(0, strength, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _with_dots(image: Pixels, share: float, *, black: float = 0.0) -> Pixels:
    """Return an image with white dots, a share of which is black."""
    rng = np.random.default_rng(2)
    hit, dark = rng.random(image.shape[:2]) < share, rng.random(image.shape[:2]) < black
    made = image.copy()
    made[hit] = 255
    made[hit & dark] = 0
    return made


def _with_discs(image: Pixels, number: int, radius: float, level: int) -> Pixels:
    """Return an image with small discs of one level."""
    rng = np.random.default_rng(3)
    rows, columns = np.indices(image.shape[:2])
    made = image.copy()
    for y, x in rng.random((number, 2)) * image.shape[:2]:
        made[np.hypot(rows - y, columns - x) <= radius] = level
    return made


# -------------------------------------------------------------------------------- photographs


def _landscape() -> Pixels:
    return _fitted(imgpipe.read(SAMPLES / "landscape.png"))


def _portrait() -> Pixels:
    return _cut(data.astronaut(), 0, 60)


def _emblem() -> Pixels:
    emblem = Image.open(SAMPLES / "emblem.png").resize((HEIGHT, HEIGHT), Image.Resampling.LANCZOS)
    side = (WIDTH - HEIGHT) // 2
    return np.pad(np.asarray(emblem), ((0, 0), (side, side), (0, 0)))


def _horse() -> Pixels:
    return _fitted(np.where(data.horse(), 0, 255).astype(np.uint8))


def _camera() -> Pixels:
    return _cut(data.camera(), 60, 100)


def _relief() -> Pixels:
    """Return a surface with craters, a part of which lies in the shade: 8 bits."""
    return _fitted((imgpipe.read(SAMPLES / "relief.png")[..., 0] >> 8).astype(np.uint8))


def _craters() -> Pixels:
    """Return a near part of this surface in mist: with little contrast."""
    surface = imgpipe.read(SAMPLES / "relief.png")[40:230, 40:294, 0] / 65535
    return _fitted(np.rint(255 * (0.3 + 0.35 * surface)).astype(np.uint8))


def _pills() -> Pixels:
    """Return round pills on a table, with light from the left."""
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    distance = np.hypot(rows % 56 - 28, columns % 56 - 28)
    table = 150 - 0.35 * columns + 4 * np.sin(rows / 9) * np.sin(columns / 31)
    shadow = 1 - 0.4 * np.clip((25 - np.hypot(rows % 56 - 30, columns % 56 - 31)) / 4, 0, 1)
    pill = table + 70 - 25 * (distance / 18) ** 2
    lit = np.where(np.abs(rows % 56 - 28) < 2, pill - 22, pill)  # the groove
    inside = np.clip(18.5 - distance, 0, 1)
    made = inside * lit + (1 - inside) * table * shadow
    return _with_noise(np.clip(np.rint(made), 0, 255).astype(np.uint8), 2)


def _page() -> Pixels:
    """Return a printed page with a shadow over its lower left corner."""
    sheet = Image.new("L", (WIDTH, HEIGHT), 255)
    font = ImageFont.load_default(28)
    ImageDraw.Draw(sheet).multiline_text((14, 6), _TEXT, 0, font, spacing=6)
    rows, columns = np.indices((HEIGHT, WIDTH))
    light = 60 + 150 * np.clip((HEIGHT - rows + 0.8 * columns) / 380, 0, 1)
    printed = 0.35 + 0.65 * np.asarray(sheet) / 255
    return _with_noise(np.rint(light * printed).astype(np.uint8), 3)


_TEXT = """A point is that which
has no part. A line is
length without breadth.
The ends of a line are
points. A straight line
lies evenly with them."""  # Euclid, Elements, book I


def _plates() -> Pixels:
    """Return inks, of which 0 is none."""
    image = _landscape()
    black = 255 - image.max(axis=2)
    share = np.maximum(255 - black.astype(float), 1)[..., None]
    inks = 255 * (1 - image / share)
    return np.dstack([np.rint(np.clip(inks, 0, 255)).astype(np.uint8), black])


def _twelve_bits() -> Pixels:
    """Return 16 bits of which a camera used twelve."""
    return _fitted(imgpipe.read(SAMPLES / "relief.png")[:, ::-1, 0] >> 4)


PICTURES: dict[str, Callable[[], Pixels]] = {
    "bricks": lambda: _cut(data.brick(), 100, 60),
    "camera": _camera,
    "cat": lambda: _cut(data.chelsea(), 0, 40),
    "coffee": lambda: _fitted(data.coffee()),
    "emblem": _emblem,
    "cell": lambda: _cut(data.cell(), 250, 200),
    "handwriting": lambda: _cut(data.text(), 0, 80, 172, 229),
    "horse": _horse,
    "ink": _plates,
    "landscape": _landscape,
    "craters": _craters,
    "relief": _relief,
    "page": _page,
    "pills": _pills,
    "portrait": _portrait,
    "raw": _twelve_bits,
    "retina": lambda: _fitted(data.retina()[300:1100, 100:1166]),
    "rocket": lambda: _fitted(data.rocket()),
    "small": lambda: _fitted(data.astronaut()[:384], 84, 63),
    "sky": lambda: _fitted(data.hubble_deep_field()),
    "stars": lambda: _near(data.hubble_deep_field(), 60, 180),
    # With a fault.
    "dark": lambda: np.rint(_fitted(data.coffee()) * 0.25).astype(np.uint8),
    "faded": lambda: np.rint(_landscape() * 0.4 + 90).astype(np.uint8),
    "grainy": lambda: _with_noise(_near(data.astronaut(), 40, 140), 18),
    "negative": lambda: 255 - _portrait(),
    "salted": lambda: _with_dots(_near(data.chelsea(), 60, 90), 0.15),
    "speckled": lambda: _with_dots(_near(data.camera(), 80, 180), 0.1, black=0.5),
    "swapped": lambda: np.ascontiguousarray(_portrait()[..., ::-1]),
    "dotted": lambda: _with_discs(_horse(), 120, 2.2, 255),
    "holed": lambda: _with_discs(_horse(), 120, 2.2, 0),
}
