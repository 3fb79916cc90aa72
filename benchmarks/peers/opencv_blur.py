"""Blur with OpenCV, on as many threads as it likes: `opencv_blur.py input output sigma`."""

import os
import sys

os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(1 << 40)
import cv2

source, destination, sigma = sys.argv[1:]
image = cv2.imread(source, cv2.IMREAD_UNCHANGED)
blurred = cv2.GaussianBlur(image, (0, 0), float(sigma), borderType=cv2.BORDER_REPLICATE)
if not cv2.imwrite(destination, blurred):
    sys.exit(f"OpenCV could not write {destination}")
