"""The table of formats: their modules, suffixes, first bytes and options, without an import."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FORMAT_TABLE", "Member", "OptionHelp"]


class OptionHelp(NamedTuple):
    """An option of a format, as help shows it.

    Attributes
    ----------
    names : str
        The names of the option on the command line, as click takes them.
    noun : str
        The noun for its values; empty for a flag.
    text : str
        The explanation, with bounds and default.
    """

    names: str
    noun: str
    text: str


class Member(NamedTuple):
    """The place of a member, its summary of one line, and the marks of a format.

    `suffixes` to `options` are of formats alone; `imgpipe.formats.declaration.Format` explains
    them. Of a format that another package adds they are not known before it is loaded. `family`
    is of filters alone: the heading under which help lists them. Filters of other packages have
    none.
    """

    module: str
    summary: str
    attribute: str = ""
    name: str = ""
    suffixes: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    marks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    read_only: bool = False
    options: tuple[OptionHelp, ...] = ()
    family: str = ""


FORMAT_TABLE = {
    "png": Member(
        "imgpipe.formats.png",
        "PNG, streamed in and encoded by every worker.",
        name="PNG",
        suffixes=(".png", ".apng"),
        # The last two are of files that were damaged, mostly when transferred as text.
        magic=(b"\x89PNG\r\n\x1a\n", b"?PNG", b"????\r\n\x1a\n"),
        options=(
            OptionHelp(
                "--compression",
                "method",
                "deflate:0 (fast, large file) to deflate:9 (slow, small file), or 0 to 9 for "
                "short. [default: deflate:2]",
            ),
        ),
    ),
    "jpeg": Member(
        "imgpipe.formats.jpeg",
        "JPEG, streamed in and encoded by every worker.",
        name="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        magic=(b"\xff\xd8\xff",),
        options=(
            OptionHelp(
                "--quality",
                "integer",
                "1 is the smallest file, 100 the closest to the image. (between 1 and 100) "
                "[default: 90]",
            ),
            OptionHelp(
                "--subsampling",
                "4:4:4|4:2:2|4:2:0",
                "Resolution of the colours: 4:4:4 is full, 4:2:0 half both ways. [default: 4:2:0]",
            ),
            OptionHelp(
                "--progressive/--no-progressive",
                "",
                "Coarse to fine in several scans: a smaller file, which one worker encodes at "
                "the end.",
            ),
        ),
    ),
    "pnm": Member(
        "imgpipe.formats.pnm",
        "PNM: PBM, PGM, PPM and PAM, read and written in place.",
        name="PNM",
        suffixes=(".pnm", ".ppm", ".pgm", ".pbm", ".pam"),
        magic=(b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7"),
    ),
    "bmp": Member(
        "imgpipe.formats.bmp",
        "BMP, read and written in place.",
        name="BMP",
        suffixes=(".bmp", ".dib"),
        magic=(b"BM",),
    ),
    "tga": Member(
        "imgpipe.formats.tga",
        "TGA, read and written in place.",
        name="TGA",
        suffixes=(".tga",),
        magic=(
            b"?\0\x02\0\0\0\0\0????????\x18",
            b"?\0\x02\0\0\0\0\0????????\x20",
            b"?\0\x0a\0\0\0\0\0????????\x18",
            b"?\0\x0a\0\0\0\0\0????????\x20",
            b"?\0\x03\0\0\0\0\0????????\x08",
            b"?\0\x03\0\0\0\0\0????????\x10",
            b"?\0\x0b\0\0\0\0\0????????\x08",
            b"?\0\x0b\0\0\0\0\0????????\x10",
            b"?\x01\x01\0\0??\x18????????\x08",
            b"?\x01\x01\0\0??\x20????????\x08",
            b"?\x01\x09\0\0??\x18????????\x08",
            b"?\x01\x09\0\0??\x20????????\x08",
            b"",
        ),
    ),
    "npy": Member(
        "imgpipe.formats.npy",
        "NumPy array, read and written in place.",
        name="NPY",
        suffixes=(".npy",),
        magic=(b"\x93NUMPY",),
    ),
    "tiff": Member(
        "imgpipe.formats.tiff",
        "TIFF and BigTIFF, tiles and strips; slides.",
        name="TIFF",
        suffixes=(".tif", ".tiff", ".btf", ".tf8"),
        magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        options=(
            OptionHelp(
                "--compression",
                "method",
                "deflate:0 to deflate:9, or 0 to 9 for short; zstd:1 to zstd:22; lzw; "
                "jpeg:QUALITY; or none. [default: deflate:1]",
            ),
            OptionHelp(
                "--tile",
                "size",
                "Rows and columns of a tile, N or ROWSxCOLUMNS, or strips; 256, or 512 with "
                "--cog, by default.",
            ),
            OptionHelp(
                "--subsampling",
                "4:4:4|4:2:2|4:2:0",
                "Resolution of the colours: 4:4:4 is full, 4:2:0 half both ways. [default: 4:2:0]",
            ),
            OptionHelp(
                "--pyramid/--no-pyramid",
                "",
                "Add smaller versions of the image, each half the size.",
            ),
            OptionHelp(
                "--cog/--no-cog",
                "",
                "Write a Cloud-Optimized GeoTIFF: a pyramid in another order.",
            ),
        ),
    ),
    "zarr": Member(
        "imgpipe.formats.zarr",
        "Zarr 3 and OME-Zarr 0.5, chunks and shards.",
        name="Zarr",
        suffixes=(".zarr",),
        marks=("zarr.json", ".zgroup", ".zarray"),
        options=(
            OptionHelp(
                "--compression",
                "method",
                "zstd:1 to zstd:22, or 1 to 22 for short; blosc:1 to blosc:9, better for 16 "
                "bits and floats; gzip:1 to gzip:9; or none. [default: zstd:1]",
            ),
            OptionHelp("--tile", "size", "Rows and columns of a chunk. [default: 512]"),
            OptionHelp(
                "--shard",
                "size",
                "Rows and columns of a shard: one file of many chunks. Without it, each chunk is "
                "a file.",
            ),
            OptionHelp(
                "--pyramid/--no-pyramid",
                "",
                "Add smaller versions of the image, each half the size.",
            ),
        ),
    ),
    "jpeg2000": Member(
        "imgpipe.formats.jpeg2000",
        "JPEG 2000 and HTJ2K, tile by tile; lossless unless a quality is given.",
        name="JPEG 2000",
        suffixes=(".jp2", ".j2k", ".j2c", ".jpc", ".jph", ".jhc"),
        magic=(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        options=(
            OptionHelp(
                "--quality",
                "integer",
                "Signal-to-noise ratio of a tile in dB; without it the file is lossless. "
                "(between 20 and 100)",
            ),
            OptionHelp("--tile", "size", "Rows and columns of a tile. [default: 512]"),
            OptionHelp(
                "--ht/--no-ht",
                "",
                "High throughput (HTJ2K): several times faster, lossless only.",
            ),
        ),
    ),
    "jpegxl": Member(
        "imgpipe.formats.jpegxl",
        "JPEG XL, whole; lossless unless a quality is given.",
        name="JPEG XL",
        suffixes=(".jxl",),
        magic=(b"\xff\n", b"\0\0\0\x0cJXL \r\n\x87\n"),
        options=(
            OptionHelp(
                "--quality",
                "integer",
                "Quality of a lossy file; without it the file is lossless. (between 1 and 100)",
            ),
            OptionHelp(
                "--lossless/--no-lossless",
                "",
                "Keep every value; a quality has no effect.",
            ),
            OptionHelp(
                "--effort",
                "integer",
                "1 is fast, 9 is slow; by default 1 if lossless, else 3. (between 1 and 9)",
            ),
        ),
    ),
    "webp": Member(
        "imgpipe.formats.webp",
        "WebP, whole; lossy or lossless, animations.",
        name="WebP",
        suffixes=(".webp",),
        magic=(b"RIFF????WEBP",),
        options=(
            OptionHelp(
                "--quality",
                "integer",
                "1 is the smallest file, 100 the closest to the image. (between 1 and 100) "
                "[default: 80]",
            ),
            OptionHelp(
                "--lossless/--no-lossless",
                "",
                "Keep every value; a quality has no effect.",
            ),
            OptionHelp(
                "--effort",
                "integer",
                "0 is fast, 6 is slow and gives a smaller file. (between 0 and 6) [default: 2]",
            ),
        ),
    ),
    "avif": Member(
        "imgpipe.formats.avif",
        "AVIF, whole; lossy or lossless, animations.",
        name="AVIF",
        suffixes=(".avif", ".avifs"),
        magic=(
            b"????ftypavif",
            b"????ftypavis",
            b"????ftypmif1????avif",
            b"????ftypmif1????????avif",
            b"????ftypmif1????????????avif",
        ),
        options=(
            OptionHelp(
                "--quality",
                "integer",
                "1 is the smallest file, 100 the closest to the image. (between 1 and 100) "
                "[default: 75]",
            ),
            OptionHelp(
                "--lossless/--no-lossless",
                "",
                "Keep every value; a quality has no effect.",
            ),
            OptionHelp(
                "--effort",
                "integer",
                "0 is fast, 10 is slow and gives a smaller file. (between 0 and 10) [default: 1]",
            ),
        ),
    ),
    "gif": Member(
        "imgpipe.formats.gif",
        "GIF, whole; up to 256 colours, animations.",
        name="GIF",
        suffixes=(".gif",),
        magic=(b"GIF87a", b"GIF89a"),
    ),
    "qoi": Member(
        "imgpipe.formats.qoi",
        "QOI, whole; lossless and fast.",
        name="QOI",
        suffixes=(".qoi",),
        magic=(b"qoif",),
    ),
    "heif": Member(
        "imgpipe.formats.heif",
        "HEIF, as of phones; read only.",
        name="HEIF",
        suffixes=(".heic", ".heif", ".hif"),
        magic=(
            b"????ftypheic",
            b"????ftypheix",
            b"????ftypheim",
            b"????ftypheis",
            b"????ftypmif1",
            b"????ftypmsf1",
            b"????ftyphevc",
        ),
        needs=("pillow_heif",),
        extra="imgpipe[heif]",
        read_only=True,
    ),
}
