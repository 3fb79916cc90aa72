"""Make the gallery of filters, from a sample picture: `python sample_images/make_gallery.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import imgpipe
from imgpipe.chains.grammar import parse_chain

HERE = Path(__file__).parent
TILE, LABEL, GAP, COLUMNS = (176, 132), 18, 6, 6

# What each filter is shown with, where its defaults do not show it well; written as in a chain.
SHOWN = {
    "blur": "blur:3",
    "box": "box:4",
    "median": "median:3",
    "minimum": "minimum:2",
    "maximum": "maximum:2",
    "percentile": "percentile:20,3",
    "open": "open:3",
    "close": "close:3",
    "tophat": "tophat:6,gain=3",
    "blackhat": "blackhat:6,gain=3",
    "unsharp": "unsharp:2,2",
    "convolve": 'convolve:"1 1 1 1 1 1 1 1 1",scale=9',
    "gamma": "gamma:0.5",
    "levels": "levels:0.1,0.7",
    "linear": "linear:1.4,-0.1",
    "posterize": "posterize:2",
    "solarize": "solarize",
    "tint": 'tint:"#3070c0"',
    "mix_channels": 'mix_channels:"0 0 1; 0 1 0; 1 0 0"',
    "bilateral": "bilateral",
    "laplace": "laplace:gain=3",
    "morphological_gradient": "morphological_gradient:gain=2",
    "prewitt": "prewitt | linear:4",
    "scharr": "scharr | linear:4",
    "sobel": "sobel | linear:4",
    "adaptive_threshold": "grayscale | adaptive_threshold",
    "otsu": "grayscale | otsu",
    "threshold": "grayscale | threshold:0.4",
    "crop": "crop:200,160,352,264",
    "resize": "resize:25%,nearest | resize:400%,nearest",
    "rotate": "rotate:180",
}
# They need a second file, are there under another name, or show the same picture.
LEFT_OUT = {"astype", "blend", "lut", "erode", "dilate"}


def main() -> None:
    """Write gallery.png."""
    picture = np.asarray(Image.open(HERE / "landscape.png").convert("RGB"))
    names = ["original", *sorted(set(imgpipe.filters.__dir__()) - LEFT_OUT)]
    rows = -(-len(names) // COLUMNS)
    width, height = TILE[0] + GAP, TILE[1] + LABEL + GAP
    sheet = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for at, name in enumerate(names):
        x, y = GAP + at % COLUMNS * width, GAP + at // COLUMNS * height
        sheet.paste(tile(picture, name), (x, y))
        text = "original" if name == "original" else SHOWN.get(name, name)
        draw.text((x + 2, y + TILE[1] + 2), text[:30], "black", font)
    sheet.quantize(256).save(HERE / "gallery.png", optimize=True)


def tile(picture: NDArray[np.uint8], name: str) -> Image.Image:
    """Return what a filter makes of the picture, as large as a tile."""
    made = picture
    if name != "original":
        made = parse_chain(SHOWN.get(name, name))(picture)
    if made.ndim == 3 and made.shape[2] == 1:
        made = made[..., 0]
    return Image.fromarray(made).convert("RGB").resize(TILE, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
