"""Blur with libvips, saved as fast as it can: `pyvips_fastest.py input output sigma`."""

import sys

import pyvips

source, destination, sigma = sys.argv[1:]
image = pyvips.Image.new_from_file(source, access="sequential")
image.gaussblur(float(sigma)).pngsave(destination, compression=1, filter="up")
