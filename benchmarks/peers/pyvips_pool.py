"""A folder of images with libvips in a pool of processes.

    pyvips_pool.py blur|thumbnail input-folder output-folder processes [min_ampl]

It turns images upright and keeps the ICC profile and EXIF as it comes. Each process has one thread
of libvips, so that all of them together have as many as imgpipe. `min_ampl` is the value at which
the Gaussian is cut off; libvips has 0.2 by itself, and 0.011 gives it as many taps as imgpipe.
"""

import os
import sys
from multiprocessing import Pool

os.environ["VIPS_CONCURRENCY"] = "1"
import pyvips

SIGMA, SIZE, QUALITY = 2, 800, 90
work, source, out, processes, *least = sys.argv[1:]
options = {"min_ampl": float(least[0])} if least else {}


def make(name: str) -> None:
    """Make one file."""
    path, made = os.path.join(source, name), os.path.join(out, name)
    if work == "thumbnail":
        image = pyvips.Image.thumbnail(path, SIZE, size="down")
        image.jpegsave(made, Q=QUALITY, subsample_mode="on", keep="icc")
        return
    upright = {"autorotate": True} if name.endswith(".jpg") else {}
    image = pyvips.Image.new_from_file(path, access="sequential", **upright)
    image = image.gaussblur(SIGMA, **options)
    if name.endswith(".jpg"):
        image.jpegsave(made, Q=QUALITY, subsample_mode="on")
    else:
        image.write_to_file(made)


if __name__ == "__main__":
    os.makedirs(out, exist_ok=True)
    with Pool(int(processes)) as pool:
        for _ in pool.imap_unordered(make, sorted(os.listdir(source))):
            pass
