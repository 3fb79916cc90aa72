"""XMP packets: properties as attributes and as elements, under any prefix."""

from __future__ import annotations

import base64
import io
from fractions import Fraction

import pytest
from PIL import Image

from imgpipe import xmp
from imgpipe.density import density_from_dpi

HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
)
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
BASIC = "http://ns.adobe.com/xap/1.0/"
TAIL = "</rdf:RDF></x:xmpmeta>\n" + " " * 50 + '\n<?xpacket end="w"?>'


def packet(description: str) -> bytes:
    return f"{HEAD}<rdf:RDF {RDF}>{description}{TAIL}".encode()


def picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


AS_ATTRIBUTES = (
    '<rdf:Description xmlns:tiff="{tiff}" xmlns:exif="{exif}" tiff:Make="Señor" {rest}/>'
)
AS_ELEMENTS = (
    '<rdf:Description xmlns:t="{tiff}" xmlns:e="{exif}"><t:Make>a &lt; b</t:Make>'
    "<t:Orientation>{o}</t:Orientation><e:PixelXDimension>{w}</e:PixelXDimension>"
    "<e:PixelYDimension>{h}</e:PixelYDimension></rdf:Description>"
)


def attributes(orientation: int, width: int) -> bytes:
    o = orientation
    rest = f'tiff:Orientation=\'{o}\' exif:Orientation="{o}" tiff:ImageWidth = "{width}"'
    return packet(AS_ATTRIBUTES.format(tiff=TIFF, exif=EXIF, rest=rest))


def elements(orientation: int, width: int, height: int) -> bytes:
    text = AS_ELEMENTS.format(tiff=TIFF, exif=EXIF, o=orientation, w=width, h=height)
    return packet(text)


def test_orientation_is_replaced_wherever_it_stands() -> None:
    assert xmp.oriented(attributes(6, 40), 1) == attributes(1, 40)
    assert xmp.oriented(elements(8, 40, 30), 1) == elements(1, 40, 30)


def test_sizes_are_replaced() -> None:
    assert xmp.with_size(attributes(6, 40), 5, 70_000) == attributes(6, 70_000)
    assert xmp.with_size(elements(8, 40, 30), 5, 70_000) == elements(8, 70_000, 5)


def test_a_resolution_is_replaced() -> None:
    text = (
        '<rdf:Description xmlns:t="{}" t:XResolution="{}" t:YResolution="{}" '
        't:ResolutionUnit="{}"/>'
    )
    before, after = text.format(TIFF, "72/1", "1/1", 3), text.format(TIFF, "300/1", "1/7", 2)
    assert xmp.with_new_density(packet(before), density_from_dpi(300, Fraction(1, 7))) == packet(
        after
    )


def test_the_same_words_of_another_vocabulary_stay() -> None:
    other = packet(
        AS_ATTRIBUTES.format(tiff="urn:other", exif="urn:more", rest='tiff:Orientation="6"')
    )
    assert xmp.oriented(other, 1) == other


def test_thumbnails_are_removed() -> None:
    thumbnail = (
        f'<xmp:Thumbnails xmlns:xmp="{BASIC}"><rdf:Alt><rdf:li rdf:parseType="Resource">'
        f'<g:image xmlns:g="http://ns.adobe.com/xap/1.0/g/img/">{picture()}</g:image>'
        "</rdf:li></rdf:Alt></xmp:Thumbnails>"
    )
    rest = "<rdf:Description rdf:about=''>{}<a:b xmlns:a='urn:a'>kept</a:b></rdf:Description>"
    assert xmp.without_previews(packet(rest.format(thumbnail))) == packet(rest.format(""))


def test_regions_of_faces_and_descriptions_of_colour_are_removed() -> None:
    regions = (
        '<r:Regions xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/" '
        'rdf:parseType="Resource"><r:RegionList><rdf:Bag/></r:RegionList></r:Regions>'
    )
    given = '<rdf:Description xmlns:p="http://ns.adobe.com/photoshop/1.0/"{}>{}</rdf:Description>'
    profile = ' p:ICCProfile="Display P3"'
    assert xmp.without_places(packet(given.format("", regions))) == packet(given.format("", ""))
    assert xmp.without_colour(packet(given.format(profile, ""))) == packet(given.format("", ""))


@pytest.mark.parametrize("broken", ["", "&#xA;", "\n"])
def test_pictures_in_properties_of_any_name_are_removed(broken: str) -> None:
    text = broken + broken.join(picture()[at : at + 72] for at in range(0, len(picture()), 72))
    given = (
        '<rdf:Description xmlns:d="urn:depth" d:Mime="image/jpeg"{}><d:e>{}</d:e></rdf:Description>'
    )
    made = xmp.without_previews(packet(given.format(f' d:Data="{text}"', text)))
    assert made == packet(given.format("", ""))


def test_other_byte_orders_become_utf_8() -> None:
    text = elements(6, 4, 3).decode()
    assert xmp.oriented(text.encode("utf-16"), 1) == elements(1, 4, 3)
    assert xmp.checked(b"\xef\xbb\xbf" + elements(6, 4, 3) + b"\0\0") == elements(6, 4, 3)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no xml",
        attributes(6, 4)[:-90],
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"\xff\xfe<\0",
        b"<x>\xff</x>",
        "<x a='\ud800'/>".encode("utf-8", "surrogatepass"),
    ],
)
def test_damaged_packets_are_named(damaged: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is that of the parser
        xmp.checked(damaged)
    with pytest.raises(ValueError):  # noqa: PT011
        xmp.without_previews(damaged)


def test_empty_elements_are_understood() -> None:
    text = packet(
        f'<rdf:Description><t:Orientation xmlns:t="{TIFF}"/>'
        '<u:v xmlns:u="urn:u"></u:v></rdf:Description>'
    )
    assert xmp.oriented(text, 1) == text
    root = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' />"
    assert xmp.checked(root) == xmp.without_previews(root) == root


def test_many_prefixes_and_many_edits() -> None:
    spaces = " ".join(f'xmlns:p{number}="{TIFF}"' for number in range(3000))
    text = "".join(f'<p{n}:Make p{n}:Orientation="66"/>' for n in range(3000))
    made = xmp.oriented(packet(f"<rdf:Description {spaces}>{text * 5}</rdf:Description>"), 1)
    assert made.count(b'Orientation="1"') == 15_000
