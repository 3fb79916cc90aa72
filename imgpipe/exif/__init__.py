"""EXIF blocks: their fields, and the changes that keep them true when the image changes.

A block begins with the header of a TIFF file, in either byte order. It may be damaged or hostile:
unreadable parts are ignored, and nothing is read or written twice.
"""

from imgpipe.exif.editing import (
    TEXT_TAGS,
    checked,
    density,
    orientation,
    oriented,
    swapped,
    texts_left_out,
    with_density,
    with_new_density,
    with_size,
    with_texts,
    without_colour,
    without_orientation,
    without_places,
    without_sensor,
)
from imgpipe.exif.fields import Exif, Field, parse
from imgpipe.exif.previews import without_previews

__all__ = [
    "TEXT_TAGS",
    "Exif",
    "Field",
    "checked",
    "density",
    "orientation",
    "oriented",
    "parse",
    "swapped",
    "texts_left_out",
    "with_density",
    "with_new_density",
    "with_size",
    "with_texts",
    "without_colour",
    "without_orientation",
    "without_places",
    "without_previews",
    "without_sensor",
]
