"""The rule of what metadata stays true of the result of a filter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe import exif
from imgpipe.chains.chain import Chain
from imgpipe.chains.stages import resolve
from imgpipe.errors import DeclarationError
from imgpipe.exif import Exif, Field
from imgpipe.filters import astype, blur, crop, flip, grayscale, invert, resize, rotate
from imgpipe.geo import Geo
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Metadata, Text
from imgpipe.metadata import density_from_dpi

AREA, FOCAL_PLANE, CURVE = 0x9214, 0xA20E, 0x012D
REGIONS = (
    '<r:Regions xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/">face</r:Regions>'
)


def block() -> bytes:
    def field(type_: int, values: Any) -> Field:
        return Field.of(type_, values, ">")

    main = {0x011A: field(5, 300), 0x011B: field(5, 100), CURVE: field(3, (1, 2, 3))}
    detail = {AREA: field(3, (9, 9)), FOCAL_PLANE: field(5, 7), 0xA20F: field(5, 5)}
    return Exif(">", main, detail).block()


def given() -> ImageInfo:
    packet = (
        '<rdf:Description xmlns:t="http://ns.adobe.com/tiff/1.0/" '
        f't:XResolution="300/1" t:YResolution="100/1">{REGIONS}</rdf:Description>'
    )
    metadata = Metadata(
        icc=b"profile",
        exif=block(),
        xmp=packet.encode(),
        geo=Geo.of_tags({33550: (1, 1, 0), 33922: (0, 0, 0, 5, 6, 0)}),
        pixels_per_metre=density_from_dpi(300, 100),
        light_levels=(500.0, 100.0),
        texts=(Text("Title", "kept"), Text("Raw profile type 8bim", "a preview")),
    )
    return ImageInfo(60, 40, 3, np.dtype("uint8"), None, "rgb", metadata)


def after(chain: Chain, info: ImageInfo | None = None) -> Metadata:
    return resolve(chain, info or given())[-1].after.metadata


def tags(metadata: Metadata) -> set[int]:
    assert metadata.exif is not None
    found = exif.parse(metadata.exif)
    return {*found.main, *found.detail}


@imgpipe.filter(halo=0, output=lambda size: size, region=lambda box, _size: box)
def warp(chunk: Any) -> Any:
    return chunk


def test_colours_that_change_leave_all_but_previews() -> None:
    found, before = after(invert()), given().metadata
    assert found.texts == (Text("Title", "kept"),)
    assert found == replace(before, texts=found.texts, light_levels=None)


@pytest.mark.parametrize(
    ("chain", "places", "sensor", "dpi"),
    [
        (blur(), True, True, (300, 100)),
        (astype(dtype="uint16"), True, True, (300, 100)),
        (flip(), False, True, (300, 100)),
        (crop(x=1, width=9, height=9), False, True, (300, 100)),
        (rotate(angle=90), False, True, (100, 300)),
        (rotate(angle=180), False, True, (300, 100)),
        (resize(size="50%"), False, False, (150, 50)),
        (resize(size="40x30!"), False, False, (300, 50)),
        (warp(), False, True, (300, 100)),
    ],
    ids=str,
)
def test_geometry(chain: Chain, places: bool, sensor: bool, dpi: tuple[int, int]) -> None:
    found = after(chain)
    assert (AREA in tags(found)) == places
    assert (b"face" in (found.xmp or b"")) == places
    assert (FOCAL_PLANE in tags(found)) == sensor
    assert found.dpi == dpi
    assert exif.density(found.exif or b"") == found.pixels_per_metre
    assert f't:XResolution="{dpi[0]}/1" t:YResolution="{dpi[1]}/1"'.encode() in (found.xmp or b"")
    assert (found.geo is None) == (chain == warp())


def test_a_quarter_turn_swaps_the_resolution_of_the_sensor() -> None:
    found = after(rotate(angle=270))
    detail = exif.parse(found.exif or b"").detail
    assert [detail[tag].values(">") for tag in (FOCAL_PLANE, 0xA20F)] == [(5,), (7,)]


def test_another_colour_model_leaves_no_description_of_colours() -> None:
    assert CURVE in tags(after(invert()))
    found = after(grayscale())
    assert CURVE not in tags(found)
    assert found.icc is None
    assert found.light_levels == (500.0, 100.0)


def test_a_filter_declares_what_stays_true() -> None:
    @imgpipe.filter(
        halo=0,
        output=lambda size: size,
        region=lambda box, _size: Box(box.y0, box.x0, box.y1, box.x1),
        metadata=lambda metadata, _before, _after: replace(metadata, icc=None),
        never_brighter=True,
    )
    def own(chunk: Any) -> Any:
        return chunk

    found = after(own())
    assert found.icc is None
    assert found.geo == given().metadata.geo
    assert found.light_levels is not None
    wrong = imgpipe.filter(lambda chunk: chunk, halo=0, metadata=lambda *_: None)
    with pytest.raises(DeclarationError, match="its metadata must be Metadata, not None"):
        after(wrong())


def test_metadata_that_cannot_stay_true_is_left_out() -> None:
    metadata = replace(given().metadata, exif=b"no exif", xmp=b"no xml")
    found = after(invert(), replace(given(), metadata=metadata))
    assert (found.exif, found.xmp) == (None, None)
