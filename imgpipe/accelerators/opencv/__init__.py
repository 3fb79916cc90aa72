"""OpenCV: kernels of integers at the speed of C.

Chunks come with their halo. The halo of a result is cut off, with the borders of OpenCV.
"""

from __future__ import annotations

import cv2

from imgpipe.accelerators.opencv import edges, gaussian, moves, order, sums, tone
from imgpipe.machine import is_own_process

__all__ = ["BUILD", "KERNELS", "NAME", "VERSION"]

if is_own_process():  # in a program of the user they do not change
    cv2.setNumThreads(1)  # the processors are shared out already
    cv2.ocl.setUseOpenCL(False)

NAME = "opencv"
VERSION = cv2.__version__
BUILD = cv2.getBuildInformation()
KERNELS = {
    "box_mean": sums.box_mean,
    "colour_of": moves.colour_of,
    "derivative": edges.derivative,
    "extreme": order.extreme,
    "lines": gaussian.lines,
    "looked_up": tone.looked_up,
    "luma": tone.luma,
    "magnitude": edges.magnitude,
    "mixed": tone.mixed,
    "moved_bits": moves.moved_bits,
    "pyramid": gaussian.pyramid,
    "ranked": order.ranked,
    "weighted_sum": edges.weighted_sum,
    "with_white": moves.with_white,
}
