"""EXIF blocks: fields that come back, and edits that leave everything else where it is."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from PIL import ExifTags, Image

from imgpipe import exif
from imgpipe.density import density_from_dpi
from imgpipe.exif import Exif, Field
from imgpipe.texts import Text

ORDERS = ("<", ">")
MAKER_NOTE = b"Maker\0" + bytes(range(200))


def jpeg(colour: str = "red", side: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "JPEG")
    return file.getvalue()


def sample(order: Any) -> Exif:
    def field(type_: int, values: Any) -> Field:
        return Field.of(type_, values, order)

    main = {
        0x010F: field(2, "Maker"),
        0x0112: field(3, 6),
        0x011A: field(5, 300),
        0x011B: field(5, 200),
        0x0128: field(3, 2),
    }
    detail = {
        0x829A: field(5, Fraction(1, 125)),
        0x9003: field(2, "2024:05:06 07:08:09"),
        0x9214: field(3, (10, 20, 5)),
        0x927C: field(7, MAKER_NOTE),
        0xA002: field(3, 640),
        0xA003: field(4, 480),
        0xA20E: field(5, 1000),
        0xA20F: field(5, 2000),
    }
    gps = {1: field(2, "N"), 2: field(5, (48, 8, Fraction(145, 4)))}
    return Exif(order, main, detail, gps, {1: field(2, "R98")})


def with_preview(order: Any, picture: bytes) -> bytes:
    """Return a block with a directory of a picture at its end."""
    block = sample(order).block()
    (rows,) = struct.unpack_from(f"{order}H", block, 8)
    table = struct.pack(f"{order}H", 3)
    start = len(block) + 2 + 3 * 12 + 4
    for tag, value in ((0x0103, 6), (0x0201, start), (0x0202, len(picture))):
        table += struct.pack(f"{order}HHII", tag, 4, 1, value)
    made = bytearray(block + table + bytes(4) + picture)
    struct.pack_into(f"{order}I", made, 10 + 12 * rows, len(block))
    return bytes(made)


def seen(block: bytes) -> Image.Exif:
    """Return the block as another library reads it."""
    found = Image.Exif()
    found.load(b"Exif\0\0" + block)
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_fields_come_back(order: Any) -> None:
    given = sample(order)
    assert exif.parse(given.block()) == given
    found = seen(given.block())
    assert found[0x010F] == "Maker"
    assert found.get_ifd(0x8769)[0x829A] == Fraction(1, 125)
    assert found.get_ifd(0x8825)[2] == (48, 8, 36.25)
    assert found.get_ifd(0x8769)[0x927C] == MAKER_NOTE


@pytest.mark.parametrize("order", ORDERS)
def test_values_of_every_type(order: Any) -> None:
    for type_, values in [
        (1, (1, 2)),
        (3, (1,)),
        (4, (7, 8)),
        (8, (-1,)),
        (9, (-5,)),
        (12, (0.5,)),
    ]:
        assert Field.of(type_, values, order).values(order) == values
    assert Field.of(10, Fraction(-1, 3), order).values(order) == (Fraction(-1, 3),)
    assert Field(5, 1, bytes(8)).values(order) == (None,)
    with pytest.raises(ValueError, match="cannot hold"):
        Field.of(3, 70_000, order)


@pytest.mark.parametrize("order", ORDERS)
def test_orientation(order: Any) -> None:
    block = with_preview(order, jpeg())
    assert exif.orientation(block) == 6
    upright = exif.oriented(block, 1)
    assert upright is not None
    assert len(upright) == len(block)
    assert seen(upright)[0x0112] == 1
    none = Exif(order, {0x010F: Field.of(2, "Maker", order)}).block()
    assert exif.orientation(none) == 1
    assert exif.oriented(none, 1) == none
    added = exif.oriented(none, 8)
    assert added is not None
    assert seen(added)[0x0112] == 8
    assert seen(added)[0x010F] == "Maker"
    assert exif.oriented(None, 1) is None
    assert exif.orientation(exif.oriented(None, 5) or b"") == 5


@pytest.mark.parametrize("order", ORDERS)
def test_density(order: Any) -> None:
    block = sample(order).block()
    assert exif.density(block) == density_from_dpi(300, 200)
    assert exif.density(exif.swapped(block)) == density_from_dpi(200, 300)
    changed = exif.with_density(block, density_from_dpi(96, 72))
    assert len(changed) == len(block)
    assert exif.density(changed) == density_from_dpi(96, 72)
    bare = Exif(order, {0x010F: Field.of(2, "Maker", order)}).block()
    assert exif.density(bare) is None
    assert exif.density(exif.with_density(bare, density_from_dpi(96, 72))) == density_from_dpi(
        96, 72
    )
    assert exif.density(exif.with_density(None, density_from_dpi(1, 2))) == density_from_dpi(1, 2)


def test_a_density_in_centimetres() -> None:
    fields = {tag: Field.of(5, 100, "<") for tag in (0x011A, 0x011B)}
    block = Exif("<", fields | {0x0128: Field.of(3, 3, "<")}).block()
    assert exif.density(block) == density_from_dpi(254, 254)
    assert exif.density(Exif("<", fields | {0x0128: Field.of(3, 1, "<")}).block()) is None


@pytest.mark.parametrize("order", ORDERS)
def test_texts_are_added_where_there_is_none(order: Any) -> None:
    texts = [Text("Title", "Portrait"), Text("Author", "Señor"), Text("other", "x")]
    for block in (sample(order).block(), None):
        made = seen(exif.with_texts(block, texts) or b"")
        assert made[0x010D] == "Portrait"
        assert made[0x013B].encode("latin-1") == "Señor".encode()
    changed = exif.with_texts(exif.with_texts(None, texts), [Text("Title", "other")])
    assert seen(changed or b"")[0x010D] == "Portrait"
    assert exif.with_texts(None, texts[2:]) is None


@pytest.mark.parametrize("order", ORDERS)
def test_the_size_is_updated_where_it_stands(order: Any) -> None:
    detail = seen(exif.with_size(sample(order).block(), 70_000, 3)).get_ifd(0x8769)
    assert (detail[0xA003], detail[0xA002]) == (70_000, 3)
    bare = Exif(order).block()
    assert exif.with_size(bare, 1, 2) == bare


@pytest.mark.parametrize("order", ORDERS)
def test_fields_that_are_no_longer_true_are_overwritten(order: Any) -> None:
    given, block = sample(order), sample(order).block()
    area = given.detail[0x9214].data
    made = exif.without_places(block)
    assert area not in made
    assert len(made) == len(block)
    assert exif.parse(made).detail == {t: f for t, f in given.detail.items() if t != 0x9214}
    assert exif.parse(made).interop == given.interop
    made = exif.without_sensor(block)
    assert given.detail.keys() - exif.parse(made).detail.keys() == {0xA20E, 0xA20F}
    assert exif.without_colour(block) == block


# ------------------------------------------------------------------ previews


@pytest.mark.parametrize("order", ORDERS)
def test_a_preview_is_gone_with_its_bytes(order: Any) -> None:
    picture = jpeg()
    block = with_preview(order, picture)
    assert seen(block).get_ifd(ExifTags.IFD.IFD1)
    made = exif.without_previews(block)
    assert made == sample(order).block()
    assert exif.without_previews(made) == made


@pytest.mark.parametrize("spoiled", [b"\xff", b"\x01"], ids=["whole", "first byte spoiled"])
def test_a_preview_in_the_notes_of_a_maker_is_gone(spoiled: bytes) -> None:
    picture = spoiled + jpeg()[1:]
    given = sample("<")
    note = MAKER_NOTE + picture + MAKER_NOTE
    detail = dict(given.detail) | {0x927C: Field(7, len(note), note)}
    block = Exif("<", given.main, detail, given.gps).block()
    made = exif.without_previews(block)
    assert len(made) == len(block)
    assert exif.parse(made).detail[0x927C].data == MAKER_NOTE + bytes(len(picture)) + MAKER_NOTE
    assert exif.parse(made).gps == given.gps


def test_a_preview_without_compression_is_gone() -> None:
    strip = random.Random(1).randbytes(300)
    block = sample("<").block()
    (rows,) = struct.unpack_from("<H", block, 8)
    start = len(block) + 2 + 2 * 12 + 4
    table = struct.pack("<H", 2)
    for tag, value in ((0x0111, start), (0x0117, len(strip))):
        table += struct.pack("<HHII", tag, 4, 1, value)
    made = bytearray(block + table + bytes(4) + strip)
    struct.pack_into("<I", made, 10 + 12 * rows, len(block))
    assert exif.without_previews(bytes(made)) == block


def test_a_preview_cut_short_is_gone() -> None:
    picture = jpeg()[:-40]
    block = sample("<").block() + picture
    made = exif.without_previews(block)
    assert picture[100:150] not in made
    assert exif.parse(made) == sample("<")


# ------------------------------------------------------------------ damage

EDITS: list[Callable[[bytes], Any]] = [
    exif.parse,
    exif.orientation,
    exif.density,
    exif.without_previews,
    exif.swapped,
    lambda block: exif.oriented(block, 1),
    lambda block: exif.oriented(block, 3),
    lambda block: exif.with_density(block, density_from_dpi(300, 300)),
    lambda block: exif.with_size(block, 17, 99_999),
    exif.without_places,
    exif.without_sensor,
    exif.without_colour,
]


@pytest.mark.parametrize("block", [b"", b"II*", b"nonsense", b"II*\0\0\0\0"])
def test_an_error_names_a_block_that_is_not_exif(block: bytes) -> None:
    for edit in EDITS:
        with pytest.raises(ValueError, match="EXIF"):
            edit(block)


def test_no_damage_is_too_much() -> None:
    """Loops, offsets beyond the end and wrong counts change nothing but the damaged fields."""
    chance = random.Random(7)
    valid = with_preview("<", jpeg(side=8))
    for _ in range(400):
        block = bytearray(valid[: chance.choice((len(valid), chance.randrange(8, len(valid))))])
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(4, min(len(block), 300))
            block[at] = chance.choice((0, 8, 255, chance.randrange(256)))
        for edit in EDITS:
            made = edit(bytes(block))
            assert not isinstance(made, bytes) or len(made) <= 2 * len(block) + 100


def test_a_loop_of_directories_ends() -> None:
    looped = bytearray(
        Exif("<", {0x8769: Field.of(4, 8, "<"), 0x014A: Field.of(4, 8, "<")}).block()
    )
    struct.pack_into("<I", looped, 10 + 24, 8)
    for edit in EDITS:
        edit(bytes(looped))


def test_a_hostile_preview_does_not_reach_the_directories() -> None:
    block = bytearray(with_preview("<", jpeg()))
    at = block.index(struct.pack("<HHI", 0x0201, 4, 1)) + 8
    struct.pack_into("<I", block, at, 0)
    struct.pack_into("<I", block, at + 12, 1 << 30)
    assert exif.parse(exif.without_previews(bytes(block))).main[0x0112].values("<") == (6,)


def test_overlapping_values_cost_no_more_than_the_block() -> None:
    """Every one of 60,000 entries is a value of all of the block."""
    rows = 60_000
    size = 10 + 12 * rows + 4
    entry = struct.pack("<HII", 7, size - 14, 14)
    table = b"".join(struct.pack("<H", tag) + entry for tag in range(rows))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", rows) + table + struct.pack("<I", 14)
    for edit in EDITS:
        edit(block)


def test_many_beginnings_of_jpeg_are_followed_once() -> None:
    head = sample("<").block()
    block = head + b"\xff\xd8\xff\xe0\0\x06" * 100_000
    assert exif.without_previews(block) == block
