"""Blur with libvips, saved with its default settings: `pyvips_default.py input output sigma`."""

import sys

import pyvips

source, destination, sigma = sys.argv[1:]
image = pyvips.Image.new_from_file(source, access="sequential")
image.gaussblur(float(sigma)).pngsave(destination)
