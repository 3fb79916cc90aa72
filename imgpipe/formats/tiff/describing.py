"""Description of a page: its tags, checked, as storage of samples and properties of the image."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.tiff import decoding, lzw, oldjpeg
from imgpipe.formats.tiff.expansion import Expansion
from imgpipe.formats.tiff.layout import Given, InFile, Layout, McuStarts, Numbers
from imgpipe.formats.tiff.metadata import metadata_of, nodata_of
from imgpipe.formats.tiff.pages import Opened
from imgpipe.formats.tiff.support import must_be_supported
from imgpipe.formats.tiff.ycbcr import YCbCr
from imgpipe.image import Colour, ImageInfo, check_pixels
from imgpipe.plurals import counted
from imgpipe.records import dataclass

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["Description", "described"]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_LZW, _OLD_JPEG, _APERIO_YCBCR = 5, 6, 33003
_INK_IS_CMYK = 1
_PREMULTIPLIED, _STRAIGHT = 1, 2
_GIVEN = 64  # offsets that a description holds itself
_KINDS = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_MOST_OVERSIZE = 4  # times the image, of a segment
_LEAST_OVERSIZE = 16 << 20  # pixels


@dataclass(frozen=True)
class Description:
    """A page, ready to be decoded.

    Attributes
    ----------
    info : ImageInfo
        The image.
    layout : Layout
        The storage of its samples.
    expansion : Expansion
        The way from samples to pixels.
    """

    info: ImageInfo
    layout: Layout
    expansion: Expansion


def described(opened: Opened, name: str, max_pixels: int | None) -> Description:
    """Return the description of a page.

    Raises
    ------
    FormatError
        If it uses something that is not supported.
    CorruptError
        If its tags contradict each other.
    LimitError
        If it has more than `max_pixels` pixels.
    """
    page, full = opened.tags, opened.full
    height, width = page.imagelength, page.imagewidth
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        raise CorruptError(f"{name}: the file is damaged: it declares {width} x {height} pixels")
    check_pixels(height, width, name, max_pixels)
    must_be_supported(page, name)
    layout = _layout(page, name)
    if opened.plane:
        offset = int(page.dataoffsets[0]) + opened.plane * int(page.nbytes)
        step = layout.size_of(layout.rows)
        starts = range(offset, offset + layout.segments * step, step)
        layout = replace(layout, offsets=Given(tuple(starts)))
    check_pixels(layout.rows, layout.columns, name, max_pixels)
    _must_be_likely(layout, name)
    expansion, channels, colour, alpha = _meaning(page, layout, name)
    metadata = metadata_of(full, opened.walk, name)
    if full is not page:
        before = full.imagelength, full.imagewidth
        metadata = metadata.resized(before, (height, width), exact=False)
    counts = expansion.palette is None and not expansion.inverted and layout.bits >= 8
    nodata = nodata_of(full, name) if counts else None
    info = ImageInfo(height, width, channels, expansion.dtype, alpha, colour, metadata, nodata)
    return Description(info, layout, expansion)


def _layout(page: TiffPage, name: str) -> Layout:
    bits = int(page.bitspersample)
    kind = np.dtype(np.uint8) if bits == 1 else np.dtype(page.dtype).newbyteorder("=")
    compression = int(page.compression)
    is_jpeg = decoding.codec_of(compression) == "jpeg"
    offsets, counts = _tables(page)
    tiled = bool(page.is_tiled)
    rows, columns = (page.tilelength, page.tilewidth) if tiled else (
        page.rowsperstrip, page.imagewidth
    )  # fmt: skip
    rows, columns = int(rows), int(columns)
    if rows < 1 or columns < 1:
        raise CorruptError(f"{name}: the file is damaged: it declares tiles of no size")
    predictor = 1 if is_jpeg or decoding.is_image(compression) else int(page.predictor)
    return Layout(
        page.imagelength,
        page.imagewidth,
        page.samplesperpixel,
        int(page.planarconfig) == 2 and page.samplesperpixel > 1,
        rows,
        columns,
        tiled,
        bits,
        kind,
        page.parent.byteorder,
        compression,
        predictor,
        int(page.fillorder) == 2 and not is_jpeg,
        offsets,
        counts,
        _jpeg_colours(page) if is_jpeg else "",
        (page.jpegtables or b"") if is_jpeg else b"",
        _jpeg_header(page, rows, columns, name) if is_jpeg else b"",
        int(page.tags.valueof(292, 0)) & 7,
        _sampling(page) if _ycbcr(page) is not None else (1, 1),
    )


def _tables(page: TiffPage) -> tuple[Numbers, Numbers]:
    """Return the positions of the offsets and the sizes of the segments."""
    stream = oldjpeg.stream_of(page) if int(page.compression) == _OLD_JPEG else None
    if stream is not None:
        return Given(stream[:1]), Given(stream[1:])
    starts, high = page.tags.get(65426), page.tags.get(65432)
    if page.jpegheader is not None and starts is not None:
        places = [_in_file(page, tag) if tag is not None else None for tag in (starts, high)]
        base = page.tags.valueof(273)
        size = page.tags.valueof(279)
        base, size = (v[0] if isinstance(v, tuple) else v for v in (base, size))
        assert places[0] is not None
        return (
            McuStarts(base, size, places[0], places[1], sizes=False),
            McuStarts(base, size, places[0], places[1], sizes=True),
        )
    pairs = ((page.dataoffsets, (324, 273)), (page.databytecounts, (325, 279)))
    offsets, counts = (_numbers(page, values, codes) for values, codes in pairs)
    return offsets, counts


def _numbers(page: TiffPage, values: Any, codes: tuple[int, int]) -> Numbers:
    tag = next((page.tags[code] for code in codes if code in page.tags), None)
    if len(values) > _GIVEN and tag is not None and tag.count == len(values):
        place = _in_file(page, tag)
        if place is not None:
            return place
    return Given(tuple(map(int, values)))


def _in_file(page: TiffPage, tag: Any) -> InFile | None:
    kind = _KINDS.get(int(tag.dtype))
    return InFile(tag.valueoffset, tag.count, f"{page.parent.byteorder}{kind}") if kind else None


def _must_be_likely(layout: Layout, name: str) -> None:
    """Refuse segments that are far larger than the image, or too large for their codec."""
    if layout.compression == _LZW and not lzw.fits(layout.rows, layout.row_bytes):
        size = layout.rows * layout.row_bytes / 1e6
        raise FormatError(
            f"{name}: tiles or strips of LZW of {size:,.0f} MB are not supported; "
            "write it in smaller ones"
        )
    most = max(_LEAST_OVERSIZE, _MOST_OVERSIZE * layout.height * layout.width)
    if layout.rows * layout.columns > most:
        raise CorruptError(
            f"{name}: the file is damaged: tiles of {layout.columns} x {layout.rows} pixels "
            f"for an image of {layout.width} x {layout.height}"
        )


def _jpeg_header(page: TiffPage, rows: int, columns: int, name: str) -> bytes:
    """Return the beginning that all JPEG segments have in common."""
    if int(page.compression) == _OLD_JPEG:
        return oldjpeg.header_of(page, rows, columns, name)
    return page.jpegheader or b""


def _jpeg_colours(page: TiffPage) -> str:
    """Return the colours of JPEG data: "rgb" if they are certainly not YCbCr."""
    three = page.samplesperpixel == 3 and int(page.planarconfig) == 1
    return "rgb" if three and int(page.photometric) != _YCBCR and not page.is_jfif else ""


def _meaning(
    page: TiffPage, layout: Layout, name: str
) -> tuple[Expansion, int, Colour, int | None]:
    """Return expansion, channels, colour model and alpha."""
    photometric, samples, bits = int(page.photometric), layout.samples, layout.bits
    if 262 not in page.tags and photometric == _WHITE_IS_ZERO:
        photometric = _RGB if samples >= 3 else _BLACK_IS_ZERO
    dtype = np.dtype(np.uint8) if bits < 8 and layout.dtype.kind == "u" else layout.dtype
    extras = tuple(int(value) for value in page.extrasamples or ())
    palette = None
    colours = {_RGB: 3, _YCBCR: 3, _CMYK: 4}.get(photometric, 1)
    model: Colour = {3: "rgb", 4: "cmyk", 1: "gray"}[colours]  # type: ignore[assignment]
    if photometric == _CMYK and page.tags.valueof(332, _INK_IS_CMYK) != _INK_IS_CMYK:
        model, colours = "other", samples
    if samples < colours:
        raise CorruptError(
            f"{name}: the file is damaged: {counted(samples, 'sample')} a pixel where "
            f"{colours} are needed"
        )
    if photometric == _PALETTE:
        palette, model = _palette(page, layout, name), "rgb"
        dtype, channels = np.dtype(np.uint8), samples + 2
        if samples > 2 or (samples == 2 and layout.dtype != np.uint8):
            raise FormatError(
                f"{name}: a palette of {samples} samples is not supported; convert it"
            )
    else:
        channels = samples
    kind = extras[-1] if len(extras) == samples - colours and extras else 0
    whole = dtype.kind == "f" or bits in (1, 2, 4, 8, 16, 32, 64)
    alpha = channels - 1 if kind in (_PREMULTIPLIED, _STRAIGHT) and whole else None
    if len(extras) > 1 or (samples > colours and alpha is None):
        model = "other"
    expansion = Expansion(
        dtype,
        bits,
        palette,
        photometric == _WHITE_IS_ZERO and dtype.kind != "f",
        alpha is not None and kind == _PREMULTIPLIED and palette is None,
        _ycbcr(page),
    )
    return expansion, channels, model, alpha


def _ycbcr(page: TiffPage) -> YCbCr | None:
    """Return the meaning of samples that are left as YCbCr by their codec."""
    compression = int(page.compression)
    of_rgb = decoding.codec_of(compression) in decoding.OF_RGB
    if compression != _APERIO_YCBCR and (of_rgb or int(page.photometric) != _YCBCR):
        return None
    luma, reference = page.tags.valueof(529), page.tags.valueof(532)
    made = YCbCr()
    if isinstance(luma, tuple) and len(luma) == 6 and all(luma[1::2]) and luma[2]:
        made = replace(made, luma=tuple(a / b for a, b in zip(luma[::2], luma[1::2], strict=True)))
    if isinstance(reference, tuple) and len(reference) == 12 and all(reference[1::2]):
        pairs = zip(reference[::2], reference[1::2], strict=True)
        made = replace(made, reference=tuple(a / b for a, b in pairs))
    return made


def _sampling(page: TiffPage) -> tuple[int, int]:
    """Return the pixels across and down that share a Cb and a Cr."""
    if decoding.codec_of(int(page.compression)) == "jpeg2k":
        return 1, 1
    across, down = page.subsampling or (1, 1)
    return int(across), int(down)


def _palette(page: TiffPage, layout: Layout, name: str) -> InFile:
    tag = page.tags.get(320)
    place = _in_file(page, tag) if tag is not None else None
    entries = 1 << layout.bits if layout.bits <= 16 else math.inf
    if place is None or place.count != 3 * entries or layout.dtype.kind != "u":
        raise CorruptError(f"{name}: the file is damaged: its palette does not fit its pixels")
    return place
