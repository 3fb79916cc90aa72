"""Blur with libvips between any formats.

    pyvips_formats.py input output sigma min_ampl [option=value ...]

`sigma` 0 is no blur. The options are those of the saver of libvips.
"""

import sys

import pyvips

source, destination, sigma, min_ampl, *options = sys.argv[1:]
image = pyvips.Image.new_from_file(source, access="sequential")
if float(sigma):
    image = image.gaussblur(float(sigma), min_ampl=float(min_ampl))
given = {}
for option in options:
    name, _, value = option.partition("=")
    given[name] = int(value) if value.lstrip("-").isdigit() else value
image.write_to_file(destination, **given)
