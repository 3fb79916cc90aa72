"""Make the sample pictures, from nothing but arithmetic. Run it with `make samples`.

landscape.png
    RGB, 8 bits: mountains over a lake before sunrise. A ray is cast for each pixel into a
    fractal height map, and once more below the water line for the reflection.
emblem.png
    RGBA, 8 bits: translucent petals, soft edges and a glow on a transparent ground.
relief.png
    Gray, 16 bits: a cratered surface under a low sun. Most of it lies in the shade of the
    terminator, where an 8-bit picture would show bands.
before_after.png
    The landscape, its right half blurred by imgpipe.

The same pictures come out each time, up to the last bit of rounding on another processor.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import imgpipe
from imgpipe.filters import blur

Array = NDArray[np.float64]
HERE = Path(__file__).parent


def main() -> None:
    """Write the pictures beside this file, or into another folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, NDArray[Any]] = {
        "landscape": landscape(),
        "emblem": emblem(),
        "relief": relief(),
    }
    for name, pixels in pictures.items():
        save(pixels, folder / f"{name}.png")
    save(before_after(folder / "landscape.png"), folder / "before_after.png")
    for path in sorted(folder.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def save(pixels: NDArray[Any], path: Path) -> None:
    """Write an image as a small PNG."""
    Image.fromarray(pixels).save(path, optimize=True)


# ---------------------------------------------------------------------------- building blocks


def smoothstep(low: float, high: float, x: Any) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def mix(one: Any, other: Any, amount: Any) -> Array:
    """Interpolate between two numbers, arrays or colours."""
    return np.asarray(one + (np.asarray(other) - one) * np.asarray(amount))


def colour(code: str) -> Array:
    """Return the colour ``rrggbb`` as three numbers from 0 to 1."""
    return np.frombuffer(bytes.fromhex(code), np.uint8) / 255


def gradient_noise(size: int, cells: int, rng: np.random.Generator) -> Array:
    """Return Perlin noise of about -0.7 to 0.7, `size` on a side, that repeats seamlessly."""
    angles = rng.random((cells, cells)) * 2 * np.pi
    at = np.arange(size) * cells / size
    near, offset = at.astype(int), at % 1
    ease = offset**3 * (offset * (offset * 6 - 15) + 10)

    def corner(down: int, right: int) -> Array:
        angle = angles[np.ix_((near + down) % cells, (near + right) % cells)]
        return np.asarray(
            np.sin(angle) * (offset - down)[:, None] + np.cos(angle) * (offset - right)
        )

    top = mix(corner(0, 0), corner(0, 1), ease)
    return mix(top, mix(corner(1, 0), corner(1, 1), ease), ease[:, None])


def fractal(
    size: int, seed: int, *, cells: int, octaves: int, gain: float = 0.5, ridged: bool = False
) -> Array:
    """Return the sum of octaves of noise, each twice as fine and `gain` times as strong."""
    rng = np.random.default_rng(seed)
    total, weight = np.zeros((size, size)), np.ones((size, size))
    for octave in range(octaves):
        layer = gradient_noise(size, cells << octave, rng)
        if ridged:  # sharp crests, and detail on them rather than in the valleys
            layer = (1.06 - 1.5 * np.hypot(layer, 0.04)) ** 2
            total += gain**octave * layer * weight
            weight = np.clip(layer * 1.4, 0, 1)
        else:
            total += gain**octave * layer
    return total


def sample(table: Array, y: Array, x: Array) -> Array:
    """Look a periodic table up between its cells."""
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    rows = (y0 % len(table), (y0 + 1) % len(table))
    columns = (x0 % table.shape[1], (x0 + 1) % table.shape[1])
    top = mix(table[rows[0], columns[0]], table[rows[0], columns[1]], x - x0)
    low = mix(table[rows[1], columns[0]], table[rows[1], columns[1]], x - x0)
    return mix(top, low, y - y0)


# -------------------------------------------------------------------------------- landscape

SIZE = 480, 720
EYE = 9.0  # metres above the lake
FOCAL = 0.92  # in widths of the picture
HORIZON = 0.655  # in heights of the picture, from the top
SUN = np.array([-0.62, 0.42, -0.30]) / np.linalg.norm([-0.62, 0.42, -0.30])
GLOW = 0.13, 0.045  # where the sky is brightest: to the right and up, as tangents


def landscape() -> NDArray[np.uint8]:
    """Return mountains over a lake, shape (480, 720, 3)."""
    height, width = SIZE
    rows, columns = np.mgrid[0.5:height, 0.5:width]
    right = (columns / width - 0.5) / FOCAL
    up = (HORIZON * height - rows) / width / FOCAL
    land = Terrain()
    picture, depth = land.view(right, up, EYE)

    # Water mirrors what an eye just as far below its surface would see.
    shore = -EYE / np.minimum(up, -1e-6)
    water = (up < 0) & (depth > shore)
    waves = sample(land.fine, 160 * np.log(shore), 0.9 * shore * right)
    waves += 0.4 * sample(land.fine, 420 * np.log(shore), 2.7 * shore * right)
    bent = np.abs(up) + 0.011 * waves * smoothstep(0.0, 0.2, -up)
    mirrored, _ = land.view(right + 0.003 * waves, bent, -EYE)
    facing = (1 - smoothstep(0, 0.5, -up))[..., None]
    lake = mirrored * mix(0.42, 0.9, facing) + colour("061a26") * 0.45 * (1 - facing)
    picture = np.where(water[..., None], lake, picture)

    edge = 1 - 0.35 * (right**2 + (up - 0.08) ** 2)[..., None] * 2
    graded = smoothstep(-0.12, 1.06, picture * edge) * 1.06 - 0.02
    return np.asarray(np.clip(graded * 255 + 0.5, 0, 255).astype(np.uint8))


class Terrain:
    """A valley between mountains: metres to the right, metres ahead, metres above the lake."""

    def __init__(self) -> None:
        self.crests = fractal(1024, 11, cells=4, octaves=7, gain=0.5, ridged=True)
        self.fine = fractal(512, 5, cells=16, octaves=4, gain=0.62)
        self.broad = fractal(512, 3, cells=4, octaves=6, gain=0.55)

    def height(self, x: Array, z: Array) -> Array:
        """Return the height of the ground; less than 0 is under water."""
        aside = np.abs(x - 60 * np.sin(z / 420) + 14 * sample(self.broad, z * 0.9, x * 0.9))
        rise = smoothstep(0, 620, aside - 70 + 0.42 * np.maximum(z - 520, -200))
        rise += 0.35 * smoothstep(0, 90, aside - 95)
        crest = sample(self.crests, z * 0.44 + 300, x * 0.44 + 640)
        relief = rise * (14 + 128 * crest) - 9
        return np.asarray(relief + 1.2 * sample(self.fine, z * 1.9, x * 1.9) * rise)

    def view(self, right: Array, up: Array, eye: float) -> tuple[Array, Array]:
        """Return the colours that rays with these slopes meet, and how far away."""
        steps = np.geomspace(25, 2600, 900)[:, None]
        columns = right[len(right) // 2]
        ground = self.height(columns * steps, np.broadcast_to(steps, (900, len(columns))))
        slope = np.where(ground > 0, ground - eye, -1e9) / steps
        slope = np.maximum.accumulate(slope, axis=0)
        depth = np.full(right.shape, np.inf)
        for column, rises in enumerate(slope.T):
            depth[:, column] = _first_depth(rises, steps[:, 0], up[:, column])
        sky = _sky(right, up, self.broad)
        hit = np.isfinite(depth)
        sky[hit] = self._shade(right[hit], depth[hit], sky_behind=sky[hit])
        return sky, depth

    def _shade(self, right: Array, z: Array, sky_behind: Array) -> Array:
        x, step = right * z, 0.6 + z * 0.0016
        here = self.height(x, z)
        dx = (self.height(x + step, z) - here) / step
        dz = (self.height(x, z + step) - here) / step
        normal = np.stack([-dx, np.ones_like(dx), -dz], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        grain = sample(self.fine, z * 4, np.abs(x) * 3 + here * 4)
        grain *= 1 - 0.8 * smoothstep(100, 700, z)  # finer than a pixel far away
        patches = sample(self.broad, z * 1.7, x * 1.7)

        flat = normal[:, 1]
        rock = mix(colour("3c3a42"), colour("75695f"), (0.5 + 0.5 * grain + 0.4 * patches)[:, None])
        woods = mix(colour("0d1c17"), colour("2f4428"), (0.4 + 0.9 * grain)[:, None])
        trees = smoothstep(0.32, 0.62, flat + 0.25 * patches) * smoothstep(
            74, 40, here + 25 * grain
        )
        snow = smoothstep(0.38, 0.62, flat + 0.2 * grain) * smoothstep(88, 128, here + 30 * patches)
        ground = mix(mix(rock, woods, trees[:, None]), colour("eef2fa"), snow[:, None])

        direct = np.clip(normal @ SUN, 0, 1)[:, None] * colour("ffc890") * 1.55
        above = (0.5 + 0.5 * flat)[:, None] * colour("6a86b8") * 0.8
        lit = ground * (direct + above)
        haze = 1 - np.exp(-((z / 1500) ** 1.25) * mix(1.35, 0.75, smoothstep(0, 160, here)))
        return mix(lit, mix(colour("8c97b8"), sky_behind, 0.55), haze[:, None])


def _first_depth(rises: Array, steps: Array, up: Array) -> Array:
    """Return where the ground first rises above each ray, infinity where it never does."""
    at = np.searchsorted(rises, up)
    inside = np.clip(at, 1, len(steps) - 1)
    low, high = rises[inside - 1], rises[inside]
    part = np.clip((up - low) / np.maximum(high - low, 1e-12), 0, 1)
    depth = mix(steps[inside - 1], steps[inside], part)
    return np.where(at < len(steps), depth, np.inf)


def _sky(right: Array, up: Array, clouds: Array) -> Array:
    """Return the colours of the sky: dusk, a glow and streaks of cloud."""
    heights = np.array([-1.0, 0.0, 0.06, 0.16, 0.32, 0.6])
    codes = ("f7c59a", "f7c59a", "f0a58c", "a98bb0", "4f6aa3", "1d2f5e")
    bands = np.stack([colour(code) for code in codes])
    sky = np.stack([np.interp(up, heights, band) for band in bands.T], axis=-1)
    away = np.hypot(right - GLOW[0], 1.5 * (up - GLOW[1]))
    sky += np.exp(-((away / 0.16) ** 1.2))[..., None] * colour("ffb45a") * 0.55
    over = 30 / (np.maximum(up, 0) + 0.12)
    streaks = sample(clouds, over * 1.6 + 40, right * over * 1.1 + 90)
    cover = smoothstep(0.02, 0.55, streaks) * smoothstep(0.03, 0.12, up)
    lining = mix(colour("ffd9b8"), colour("d58d96"), smoothstep(0.05, 0.3, up)[..., None])
    return mix(sky, lining, 0.62 * cover[..., None])


# ----------------------------------------------------------------------------------- emblem

PETALS = ("ff5f6d", "ff9f43", "ffd93d", "2ed8a3", "2f9bff", "9b5cff")


def emblem() -> NDArray[np.uint8]:
    """Return translucent petals with a glow on a transparent ground, shape (512, 512, 4)."""
    y, x = np.mgrid[-255.5:256, -255.5:256] / 256
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    colours = np.stack([colour(code) for code in PETALS])
    turn = (angle / (2 * np.pi)) % 1 * len(PETALS)
    below = np.floor(turn).astype(int)
    hue = mix(colours[below % 6], colours[(below + 1) % 6], (turn - below)[..., None])

    canvas = np.zeros((512, 512, 4))  # colour times alpha, and alpha
    glow = 0.55 * np.exp(-((radius / 0.6) ** 4)) * smoothstep(1.0, 0.6, radius)
    _paint(canvas, hue, glow)
    for petal, own in enumerate(colours):
        middle = 2 * np.pi * petal / len(PETALS)
        along = x * np.cos(middle) + y * np.sin(middle)
        across = y * np.cos(middle) - x * np.sin(middle)
        outside = np.hypot(along - 0.39, across * 1.28) - 0.37
        light = smoothstep(0.35, -0.3, np.hypot(along - 0.58, across) - 0.1)
        _paint(canvas, mix(own, 1.0, 0.38 * light[..., None]), 0.7 * _inside(outside))
        rim = _inside(np.abs(outside + 0.008) - 0.004)
        _paint(canvas, mix(own, 1.0, 0.75), 0.6 * rim)
    _paint(canvas, np.ones(3), 0.9 * np.exp(-((radius / 0.15) ** 2)))
    _paint(canvas, colour("1c2148"), _inside(np.abs(radius - 0.83) - 0.012))
    _paint(canvas, mix(hue, 1.0, 0.25), _inside(np.abs(radius - 0.83) - 0.006))
    for dot in range(12):
        at = 2 * np.pi * (dot + 0.5) / 12
        away = np.hypot(x - 0.83 * np.cos(at), y - 0.83 * np.sin(at))
        _paint(canvas, mix(hue, 1.0, 0.15), 0.55 * np.exp(-((away / 0.06) ** 2)))
        _paint(canvas, mix(hue, 1.0, 0.7), _inside(away - 0.022))

    alpha = canvas[..., 3:]
    straight = np.concatenate([canvas[..., :3] / np.maximum(alpha, 1e-6), alpha], axis=2)
    return np.asarray((np.clip(straight, 0, 1) * 255 + 0.5).astype(np.uint8))


def _inside(distance: Array) -> Array:
    """Return how much of each pixel is inside an outline, given the distance to it."""
    return np.asarray(np.clip(0.5 - distance * 256 / 1.5, 0, 1))


def _paint(canvas: Array, paint: Array, alpha: Array) -> None:
    """Lay a translucent colour over what is there."""
    alpha = np.asarray(alpha)[..., None]
    canvas *= 1 - alpha
    canvas[..., :3] += paint * alpha
    canvas[..., 3:] += alpha


# ----------------------------------------------------------------------------------- relief


def relief() -> NDArray[np.uint16]:
    """Return a cratered surface under a low sun, shape (480, 480), 16 bits."""
    size = 480
    ground = 7 * fractal(size, 21, cells=3, octaves=7, gain=0.45)
    rng = np.random.default_rng(8)
    for radius in 88 * np.arange(1, 800) ** -0.56:  # many small craters, few large ones
        cy, cx = rng.random(2) * size
        _dig(ground, cy, cx, radius, depth=(0.35 + 0.65 * rng.random()) * 0.42 * radius**0.86)
    dy, dx = np.gradient(ground)
    elevation = np.deg2rad(24)
    facing = np.sin(elevation) + np.cos(elevation) * (0.88 * dx + 0.47 * dy)
    direct = np.maximum(facing, 0) / np.sqrt(1 + dx**2 + dy**2)
    y, x = np.mgrid[0:size, 0:size] / size
    night = smoothstep(1.25, 0.1, x * 0.88 + y * 0.47)  # towards the terminator
    rock = 0.8 + 0.14 * fractal(size, 4, cells=5, octaves=4)
    light = (direct * night**1.5 + 0.012 * (1 + 0.5 * facing) * (0.3 + night)) * rock * 1.35
    return np.asarray((np.clip(light, 0, 1) ** 0.7 * 65535 + 0.5).astype(np.uint16))


def _dig(ground: Array, cy: float, cx: float, radius: float, depth: float) -> None:
    """Press a crater into the ground: a bowl, a rim, and what was thrown out around it."""
    size = len(ground)
    reach = int(2.6 * radius) + 2
    rows = np.arange(int(cy) - reach, int(cy) + reach + 1)
    columns = np.arange(int(cx) - reach, int(cx) + reach + 1)
    away = np.hypot((rows - cy)[:, None], columns - cx) / radius
    bowl = np.maximum(1.25 * away**2 - 1, -0.72)  # with a flat floor
    thrown = 0.25 * np.maximum(away, 0.2) ** -3.5
    shape = -0.08 * np.logaddexp(-bowl / 0.08, -thrown / 0.08)  # the lower of both, rounded
    where = np.ix_(rows % size, columns % size)
    ground[where] = ground[where] * (1 - 0.7 * smoothstep(1.1, 0.8, away)) + depth * shape


# ----------------------------------------------------------------------------- before_after


def before_after(picture: Path, sigma: float = 6.0) -> NDArray[np.uint8]:
    """Return the picture with its right half blurred by imgpipe, and a line between."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "blurred.png"
        imgpipe.run(picture, blur(sigma=sigma), output)
        pixels, blurred = (np.array(Image.open(path)) for path in (picture, output))
    middle = pixels.shape[1] // 2
    pixels[:, middle:] = blurred[:, middle:]
    pixels[:, middle - 1 : middle + 1] = 255
    return pixels


if __name__ == "__main__":
    main()
