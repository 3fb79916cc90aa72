"""Zarr version 3 and OME-Zarr 0.5: folders of chunks, which workers read and write by themselves.

Usual codecs are our own: zstd, gzip, blosc and shards. The package zarr decodes the others.

References
----------
Zarr core specification 3.0 and the specifications of its codecs, zarr-specs.readthedocs.io.
Next-generation file formats, OME-Zarr 0.5, ngff.openmicroscopy.org/0.5.
"""

from __future__ import annotations

from imgpipe.formats.declaration import Format
from imgpipe.formats.zarr.copying import must_be_intact, spliced
from imgpipe.formats.zarr.reading import contents, open_source
from imgpipe.formats.zarr.writing import open_sink

__all__ = ["FORMAT", "contents", "open_sink", "open_source", "spliced"]

FORMAT = Format(
    "Zarr",
    (".zarr",),
    read=open_source,
    write=open_sink,
    says_alpha=False,
    contents=contents,  # type: ignore[arg-type] # of folders
    splice=spliced,  # type: ignore[arg-type] # of folders
    intact=must_be_intact,
    marks=("zarr.json", ".zgroup", ".zarray"),
    metadata=("exif", "icc", "xmp", "iptc", "geo", "texts", "resolution", "nodata", "meaning"),
)
