"""Opening of PNG files: still images, and the frames of animations."""

from __future__ import annotations

from dataclasses import replace

from imgpipe.formats.frames import must_have_frame
from imgpipe.formats.origin import Origin
from imgpipe.formats.png.animation import animation_of, missing, must_be_possible
from imgpipe.formats.png.canvas import DrawnSource, stands_alone
from imgpipe.formats.png.header import Header, read_header
from imgpipe.formats.png.reading import InterlacedSource, PngSource, info_of, still_source

__all__ = ["open_source"]


def open_source(
    origin: Origin,
    max_pixels: int | None = None,
    page: int = 0,
    level: int = 0,
    *,
    salvage: bool = False,
) -> PngSource | InterlacedSource | DrawnSource:
    """Open a PNG file: read and check everything but its pixels.

    Parameters
    ----------
    origin : Origin
        The file. It is opened again for every pass and held open by none.
    max_pixels : int, optional
        Refuse images of more pixels; see `imgpipe.image.check_pixels`.
    page : int
        The frame of an animation, from 0.
    level : int
        0: there is no other.
    salvage : bool
        Whether the file may be damaged after the beginning of its pixels.

    Returns
    -------
    PngSource, InterlacedSource or DrawnSource
        Rows from top to bottom, or, of an interlaced file and of a frame that is drawn over others,
        all pixels at once.

    Raises
    ------
    InputError
        If there is no such file or it cannot be used; `imgpipe.errors` has the kinds.
    UsageError
        If there is no such frame.
    """
    header = read_header(origin, max_pixels, salvage=salvage)
    must_have_frame(page, level, header.frames, origin.name)
    if header.frames == 1:
        return still_source(origin, header, salvage=salvage)
    return _frame(origin, header, page)


def _frame(origin: Origin, header: Header, page: int) -> PngSource | InterlacedSource | DrawnSource:
    film, name = animation_of(origin), origin.name
    if page >= len(film.frames):
        raise missing(film, name)
    shown = film.frames[page]
    must_be_possible(shown.header(header), shown, name)
    info = info_of(header)
    if info.alpha is None and film.uncovers:
        info = replace(info, channels=info.channels + 1, alpha=info.channels)
    elif stands_alone(film, page, alpha=info.alpha is not None):
        return still_source(origin, film.frames[page].header(header))
    return DrawnSource(origin, header, info, film, page)
