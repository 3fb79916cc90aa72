"""A folder of images with Pillow in a pool of processes.

    pillow_pool.py blur|thumbnail|webp input-folder output-folder processes [method]

As imgpipe does, it turns images upright, keeps the ICC profile, and keeps EXIF except in
thumbnails. Files are given out one by one. `method` is the effort of WebP.
"""

import os
import sys
from multiprocessing import Pool

from PIL import Image, ImageFilter, ImageOps

SIGMA, SIZE, QUALITY = 2, 800, 90
work, source, out, processes, *method = sys.argv[1:]


def make(name: str) -> None:
    """Make one file."""
    stem, suffix = os.path.splitext(name)
    with Image.open(os.path.join(source, name)) as opened:
        profile = opened.info.get("icc_profile")
        options = {"icc_profile": profile} if profile else {}
        if work == "thumbnail":
            opened.thumbnail((SIZE, SIZE))  # has the decoder shrink
        image = ImageOps.exif_transpose(opened)
        if work == "blur":
            image = image.filter(ImageFilter.GaussianBlur(SIGMA))
        if work != "thumbnail" and (exif := image.getexif()):
            options["exif"] = exif
        if work == "webp":
            suffix, options["quality"] = ".webp", 80
            options |= {"method": int(method[0])} if method else {}
        elif suffix == ".jpg":
            options |= {"quality": QUALITY, "subsampling": "4:2:0"}
        image.save(os.path.join(out, stem + suffix), **options)


if __name__ == "__main__":
    os.makedirs(out, exist_ok=True)
    with Pool(int(processes)) as pool:
        for _ in pool.imap_unordered(make, sorted(os.listdir(source))):
            pass
