"""Make the gallery of filters, by family: `python sample_images/make_gallery.py`.

In each tile the left half is a picture before the filter, and the right half the same picture
after it. A filter that moves pixels has both pictures beside each other. The examples are those of
the documentation, docs/_ext/examples.toml.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from imgpipe.registry import FILTERS, filters_by_family

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "docs" / "_ext"))

from filterexamples import Example, changed, examples, workshop  # noqa: E402
from filterpictures import TILE, tile_of_example  # noqa: E402

COLUMNS, GAP, HEADING, LABEL = 7, 12, 40, 60
WIDTH, HEIGHT = TILE[0] + GAP, TILE[1] + LABEL
LARGE, MEDIUM, SMALL = (ImageFont.load_default(size) for size in (22, 15, 13))
BLACK, GRAY = "#1a1a1a", "#666666"


@dataclass(frozen=True)
class Row:
    """Families that stand beside each other.

    Attributes
    ----------
    families : list of (str, list of str)
        Their names, and those of their filters.
    """

    families: list[tuple[str, list[str]]]

    @property
    def length(self) -> int:
        """The number of tiles."""
        return sum(len(names) for _, names in self.families)


def main() -> None:
    """Write gallery.png."""
    rows = list(rows_of(built_in()))
    sheet = Image.new("RGB", size_of(rows), "white")
    shown = examples()
    with workshop():
        for at, row in enumerate(rows):
            x, y = GAP, GAP // 2 + at * (HEADING + HEIGHT)
            for family, names in row.families:
                width = len(names) * WIDTH - GAP
                draw = ImageDraw.Draw(sheet)
                draw.text((x, y + 6), family, BLACK, LARGE)
                draw.line((x, y + HEADING - 6, x + width, y + HEADING - 6), "#cccccc")
                for name in names:
                    add_tile(sheet, shown[name], x, y + HEADING)
                    x += WIDTH
    sheet.save(HERE / "gallery.png", optimize=True)


def size_of(rows: list[Row]) -> tuple[int, int]:
    """Return the width and the height of the gallery."""
    return COLUMNS * WIDTH + GAP, len(rows) * (HEADING + HEIGHT) + GAP


def built_in() -> dict[str, list[str]]:
    """Return the names of the filters of imgpipe, by family."""
    found = {
        family: [name for name in names if name in FILTERS.built_in]
        for family, names in filters_by_family().items()
    }
    return {family: names for family, names in found.items() if names}


def rows_of(families: dict[str, list[str]]) -> Iterator[Row]:
    """Yield rows of families, each in the first row that has a place for all of its tiles.

    A family with more tiles than a row can hold has rows of its own, the first with its name.
    """
    rows = list[Row]()
    for family, names in families.items():
        if len(names) > COLUMNS:
            parts = [names[at : at + COLUMNS] for at in range(0, len(names), COLUMNS)]
            rows += [Row([("" if at else family, part)]) for at, part in enumerate(parts)]
            continue
        for row in rows:
            if row.length + len(names) <= COLUMNS:
                row.families.append((family, names))
                break
        else:
            rows.append(Row([(family, names)]))
    yield from rows


def add_tile(sheet: Image.Image, example: Example, x: int, y: int) -> None:
    """Paste the tile of an example, with the name of the filter and its parameters below it."""
    sheet.paste(tile_of_example(example), (x, y))
    draw = ImageDraw.Draw(sheet)
    draw.text((x, y + TILE[1] + 2), example.name, BLACK, MEDIUM)
    for line, text in enumerate(wrapped(parameters(example))):
        draw.text((x, y + TILE[1] + 21 + 15 * line), text, GRAY, SMALL)


def parameters(example: Example) -> list[str]:
    """Return the parameters of the filter of an example, as they are written in a chain."""
    own = next(one for one in example.chain.filters if one.name == example.name)
    return [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in changed(own).items()
    ]


def wrapped(words: list[str]) -> list[str]:
    """Return words in lines that are not wider than a tile."""
    lines = list[str]()
    for word in words:
        longer = f"{lines[-1]}, {word}" if lines else word
        if lines and SMALL.getlength(longer) <= TILE[0]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


if __name__ == "__main__":
    main()
