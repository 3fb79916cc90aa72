"""Pages of the filters, written from the registry at the start of a build.

``filters/index.md`` lists the filters by family, and each filter has a page with an example, its
parameters, its formula, its properties, and its equivalents in other libraries.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from equivalence import BORDER_NAMES, LIBRARIES, Comparison, comparisons
from filterexamples import Example, examples, workshop
from filterpictures import Pictures
from pagewords import (
    as_markdown,
    cell,
    docstring_of,
    parameter_rows,
    properties,
    signature,
)
from samplepictures import SAMPLES
from sphinx.application import Sphinx

from imgpipe.chains.definition import Definition
from imgpipe.cli.filteroptions import sees_border
from imgpipe.registry import FILTERS, filters_by_family

__all__ = ["setup", "write_pages"]

PACKAGES = {"scipy": "SciPy", "scikit-image": "scikit-image", "Pillow": "Pillow"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "filters"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path, names: Iterable[str] = FILTERS.built_in) -> None:
    """Write the index, the pages of filters and their pictures into a folder.

    Pages that would not change are left alone, so that Sphinx does not read them again. Those of
    filters that are no more are removed.
    """
    shown, compared = examples(), comparisons()
    pages = {"index.md": index()}
    with workshop():
        pictures = Pictures(folder / "pictures")
        for name in names:
            pictures.write(shown[name])
            pages[f"{name}.md"] = page(shown[name], compared[name])
    for file, text in pages.items():
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()


def index() -> str:
    """Return the text of the index."""
    parts = [_INDEX_HEAD.format(number=len(FILTERS.built_in), versions=_versions())]
    for family, names in filters_by_family().items():
        own = [name for name in names if name in FILTERS.built_in]
        if own:
            rows = "\n".join(map(_index_row, own))
            parts.append(f"## {family}\n\n```{{list-table}}\n:widths: 22 28 50\n\n{rows}\n```\n")
            entries = "\n".join(own)
            parts.append(f"```{{toctree}}\n:hidden:\n:caption: {family}\n\n{entries}\n```\n")
    return "\n".join([*parts, _borders(), _origins(), _INDEX_END])


_INDEX_END = """## All filters

- [Values](../values.md): types, exactness, transparent pixels, pixels without data.
- [Accelerators](../accelerators.md): libraries that compute filters faster, with the same bits.

```{toctree}
:hidden:
:caption: All filters

../values
../accelerators
```
"""

_INDEX_HEAD = """# Filters

imgpipe has {number} filters, in families. A page for each shows an example, the parameters, the
formula and the accuracy, and the same call in other libraries.

In a picture of this list, the left half is the picture before the filter, and the right half the
picture after it. A filter that moves pixels has both beside each other. The origin of the
photographs is [below](#origin-of-the-pictures).

Differences to other libraries were measured with {versions}, on 8-bit pictures of 160 x 120
pixels.
"""


def _borders() -> str:
    """Return the section about borders."""
    rows = "\n".join(
        f"* - `{name}`\n  - `{beyond}`\n  - `{scipy}`\n  - `cv2.{opencv}`"
        for name, (beyond, scipy, opencv) in BORDER_NAMES.items()
    )
    return f"""## Borders

The option `--border` gives the values of the pixels beyond the image. Its names are those of
`numpy.pad`; other libraries use the same words for other values.

```{{list-table}}
:header-rows: 1

* - border
  - beyond `a b c d`
  - SciPy, `skimage.filters`
  - OpenCV
{rows}
```
"""


def _origins() -> str:
    """Return the section about the photographs, which stands beside the samples too."""
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    return "## Origin of the pictures\n\n" + text.partition("## Photographs\n\n")[2]


def _index_row(name: str) -> str:
    tile = f"[![{name}](pictures/{name}-tile.png)]({name}.md)"
    return f"* - {tile}\n  - [{name}]({name}.md)\n  - {FILTERS[name].summary}"


def _versions() -> str:
    found = [f"{title} {version(package)}" for package, title in PACKAGES.items()]
    import cv2  # noqa: PLC0415 - its package has several names

    return ", ".join([*found, f"OpenCV {cv2.__version__}"])


def page(example: Example, comparison: Comparison) -> str:
    """Return the text of the page of a filter."""
    definition = FILTERS.load(example.name).definition
    parts = [
        _head(definition, example),
        _parameters(definition),
        _definition(definition),
        _properties(definition, example),
        _equivalents(comparison, definition),
        _references(definition),
    ]
    return "\n".join(parts)


def _head(definition: Definition, example: Example) -> str:
    after = f"pictures/{example.name}.png"
    return f"""# {example.name}

{definition.summary} {example.shows}

::::{{grid}} 2
:gutter: 2

:::{{grid-item}}
![{example.file}](pictures/{example.picture}.png)

`{example.file}`{", each plate by itself" if example.picture == "ink" else ""}
:::

:::{{grid-item}}
![{example.output}]({after})

`{example.output}`
:::
::::

```sh
{example.command}
```

```python
{example.python}
```
"""


def _parameters(definition: Definition) -> str:
    parts = ["## Parameters", f"```{{py:function}} {signature(definition)}\n```"]
    rows = [f"| {' | '.join(map(cell, row))} |" for row in parameter_rows(definition)]
    if rows:
        head = "| parameter | option | default | meaning |\n|---|---|---|---|"
        parts.append("\n".join([head, *rows]))
    else:
        parts.append("This filter has no parameters of its own.")
    return "\n\n".join(parts) + "\n"


def _definition(definition: Definition) -> str:
    sections = docstring_of(definition)
    text = as_markdown("\n".join(sections["Extended Summary"]), definition)
    (result,) = sections["Returns"]
    made = result.type or result.name
    shape = made.partition(", ")[2]
    given = next(each for each in sections["Parameters"] if each.name == "chunk")
    words = as_markdown(" ".join(result.desc), definition)
    rows = [
        f"- Input: {as_markdown(' '.join(given.desc), definition)}",
        f"- Result: {shape + '. ' if shape else ''}{words}",
    ]
    return f"## Formula and accuracy\n\n{text}\n\n" + "\n".join(rows) + "\n"


def _properties(definition: Definition, example: Example) -> str:
    own = next(one for one in example.chain.filters if one.name == example.name)
    family = FILTERS[example.name].family
    anchor = family.lower().replace(" ", "-")
    rows = [("Family", f"[{family}](index.md#{anchor})"), *properties(definition, own)]
    lines = "\n".join(f"* - {name}\n  - {words}" for name, words in rows)
    head = ":widths: 20 80\n:stub-columns: 1"
    return f"## Properties\n\n```{{list-table}}\n{head}\n\n{lines}\n```\n"


def _references(definition: Definition) -> str:
    text = "\n".join(docstring_of(definition)["References"])
    entries = [" ".join(each.split()) for each in text.split(".. [")[1:]]
    return "## References\n\n" + "\n".join(f"{one.replace(']', '.', 1)}" for one in entries) + "\n"


# --------------------------------------------------------------------------------- equivalents


def _equivalents(comparison: Comparison, definition: Definition) -> str:
    rows = "\n".join(_difference_row(comparison, library) for library in LIBRARIES)
    tabs = "\n".join(
        _tab(comparison, library) for library, found in comparison.equivalents.items() if found.code
    )
    white = np.iinfo(comparison.expected().dtype).max
    notes = filter(None, [comparison.note, _compared(comparison.inside)])
    codes = {name: found.code for name, found in comparison.equivalents.items()}
    words = [
        _RESULT,
        *_inputs(comparison.image, codes),
        *([_BORDER] if sees_border(definition) else []),
    ]
    return f"""## In other libraries

The same as `{comparison.call}`, for {_IMAGES[comparison.image]}.
Differences are in levels; white is {white}. {" ".join(notes)}

```{{list-table}}
:widths: 22 14 14 50
:header-rows: 1

* - library
  - largest difference
  - mean difference
  - note
{rows}
```

::::{{tab-set}}
:sync-group: library

{tabs}
::::

{" ".join(words)}

The commands of ImageMagick and libvips: [coming from another program](../coming-from.md).
"""


def _inputs(image: str, codes: dict[str, str]) -> list[str]:
    """Return sentences about the `image` of libraries that do not take the array as it is."""
    said = []
    if codes["opencv"] and image != "gray":
        said.append("Channels are red, green, blue; those of `cv2.imread` are blue, green, red.")
    if codes["pillow"]:
        said.append("In the code for Pillow `image` is a Pillow image.")
    return said


_RESULT = (
    "Before the comparison, each `result` is rounded to whole levels and clipped; True counts as "
    "white."
)

_BORDER = (
    'The border is `edge`. The default of SciPy, `mode="reflect"`, is `border="symmetric"` here, '
    'and that of most filters of OpenCV is `border="reflect"` ([borders](index.md#borders)).'
)

_IMAGES = {
    "photo": "an `image` with 8 bits, shape (rows, columns, 3)",
    "gray": "a gray `image` with 8 bits, shape (rows, columns)",
    "rgba": "an `image` with 8 bits and alpha, shape (rows, columns, 4)",
}


def _difference_row(comparison: Comparison, library: str) -> str:
    found, title = comparison.equivalents[library], LIBRARIES[library]
    if not found.code:
        return f"* - {title}\n  - none\n  -\n  - {found.note}"
    largest, mean = comparison.difference(library)
    edge = _compared(found.inside) if found.inside != comparison.inside else ""
    note = f"{found.note} {edge}".strip()
    return f"* - {title}\n  - {largest:g}\n  - {_short(mean)}\n  - {note}"


def _compared(inside: int) -> str:
    if inside == 0:
        return ""
    pixels = "pixel is" if inside == 1 else f"{inside} pixels are"
    return f"The outermost {pixels} not compared."


def _short(mean: float) -> str:
    if mean == 0:
        return "0"
    return f"{mean:.3f}" if mean >= 0.0005 else "below 0.001"


def _tab(comparison: Comparison, library: str) -> str:
    return f""":::{{tab-item}} {LIBRARIES[library]}
:sync: {library}

```python
{comparison.listing(library)}
```
:::
"""
