"""Blur with Pillow: `pillow_blur.py input output sigma`."""

import sys

from PIL import Image, ImageFilter

Image.MAX_IMAGE_PIXELS = None
source, destination, sigma = sys.argv[1:]
with Image.open(source) as image:
    image.filter(ImageFilter.GaussianBlur(float(sigma))).save(destination)
