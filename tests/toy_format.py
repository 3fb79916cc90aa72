"""A format as a package would add it: one file, gray or RGB of 8 bits, with two options."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from imgpipe import Between
from imgpipe.errors import CorruptError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import GRAY, RGB, Format
from imgpipe.formats.origin import Origin
from imgpipe.formats.raw import RawLayout, raw_sink, raw_source
from imgpipe.formats.target import Target
from imgpipe.image import ImageInfo, check_pixels


def open_source(origin: Origin, max_pixels: int | None = None) -> Source:
    """Read the header."""
    fields: list[bytes] = []
    with origin.open() as file:
        while len(fields) < 4:
            line = file.readline()
            if not line:
                raise CorruptError(
                    f"{origin.name}: the file is truncated: it ends within its header; "
                    "get a fresh copy"
                )
            fields += line.partition(b"#")[0].split()
        offset = file.tell()
    colour = fields[0] == b"T6"
    width, height = map(int, fields[1:3])
    check_pixels(height, width, origin.name, max_pixels)
    channels = 3 if colour else 1
    info = ImageInfo(
        height, width, channels, np.dtype(np.uint8), colour="rgb" if colour else "gray"
    )
    return raw_source(info, RawLayout(offset, info.shape, info.dtype), origin)


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    comment: Annotated[str, "A line of text in the header."] = "made",
    sigma: Annotated[float, Between(0, 1), "A number that a filter has too."] = 0.5,
) -> Sink:
    """Write the header."""
    kind = "T6" if info.channels == 3 else "T5"
    header = f"{kind}\n# {comment} {sigma}\n{info.width} {info.height}\n255\n"
    return raw_sink(target, info, header.encode())


FORMAT = Format(
    "Toy",
    (".toy", ".tny"),
    (b"T6\n", b"T5\n"),
    open_source,
    open_sink,
    dtypes=("uint8",),
    layouts=(GRAY, RGB),
)
