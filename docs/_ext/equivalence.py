"""Equivalents of the filters in other libraries: their code, and how much the results differ.

The folder ``equivalents`` has a file for each family. For each filter it gives

- ``filter``: the call that is compared, and ``image``: the picture, ``photo`` by default;
- ``given``: lines of Python that all of the code below needs;
- ``note``: a sentence about all differences;
- for each library ``code``: an expression, or lines that assign `result`; and ``largest``: a bound
  of the difference, which a test holds; or ``none``: a reason, which may be empty.

``inside``, of one library or of all, is the number of pixels at each border that are not compared.
"""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from imgpipe import filters

__all__ = ["BORDER_NAMES", "LIBRARIES", "Comparison", "Difference", "Equivalent", "comparisons"]

Pixels = NDArray[Any]

LIBRARIES = {
    "scipy": "NumPy, SciPy",
    "skimage": "scikit-image",
    "opencv": "OpenCV",
    "pillow": "Pillow",
}

BORDER_NAMES = {
    "edge": ("a a | a b c d | d d", "nearest", "BORDER_REPLICATE"),
    "symmetric": ("b a | a b c d | d c", "reflect", "BORDER_REFLECT"),
    "reflect": ("c b | a b c d | c b", "mirror", "BORDER_REFLECT_101"),
    "wrap": ("c d | a b c d | a b", "wrap", "BORDER_WRAP"),
    "constant": ("0 0 | a b c d | 0 0", "constant", "BORDER_CONSTANT"),
}
"""For each border the pixels beyond ``a b c d``, and its names in SciPy and in OpenCV."""

_MODULES = {
    "scipy": ("ndimage",),
    "skimage": (
        *("color", "exposure", "filters", "morphology"),
        *("restoration", "transform", "util"),
    ),
    "PIL": ("Image", "ImageChops", "ImageFilter", "ImageOps"),
}


class Difference(NamedTuple):
    """Distance of two results, in levels of their type."""

    largest: float
    mean: float


@dataclass(frozen=True)
class Equivalent:
    """The code that does the same in another library.

    Attributes
    ----------
    code : str
        The lines, without imports; empty if there is no equivalent.
    note : str
        A sentence about the difference, or the reason why there is none.
    largest : float
        A bound of the difference.
    inside : int
        Number of pixels at each border that are not compared.
    """

    code: str
    note: str = ""
    largest: float = 0
    inside: int = 0


@dataclass(frozen=True)
class Comparison:
    """A filter with its equivalents.

    Attributes
    ----------
    call : str
        The call of the filter.
    image : str
        The picture.
    given : str
        Lines that the code needs.
    note : str
        A sentence about all differences.
    inside : int
        Number of pixels at each border that are not compared, if a library has no other.
    equivalents : dict of str to Equivalent
        By the names of `LIBRARIES`.
    """

    call: str
    image: str
    given: str
    note: str
    inside: int
    equivalents: dict[str, Equivalent]

    def listing(self, library: str) -> str:
        """Return the whole code for a library, with its imports."""
        code = self.equivalents[library].code
        parts = [_imports(f"{self.given}\n{code}"), self.given, code]
        return "\n\n".join(filter(None, parts))

    def expected(self) -> Pixels:
        """Return the result of the filter."""
        names = {name: getattr(filters, name) for name in dir(filters)}
        chain = eval(self.call, names, self._names("imgpipe"))
        alpha = "last" if self.image == "rgba" else None
        return np.asarray(chain(_images()[self.image], alpha=alpha))

    def result(self, library: str) -> Pixels:
        """Return the result of another library as pixels of the type of the filter's."""
        names = self._names(library)
        exec(self.listing(library), names)
        return _levels(np.asarray(names["result"]), self.expected().dtype)

    def difference(self, library: str) -> Difference:
        """Return the difference between another library and the filter."""
        ours, theirs = self.expected(), self.result(library)
        theirs = theirs.reshape(ours.shape)
        edge = self.equivalents[library].inside
        inner = slice(edge, -edge or None)
        apart = np.abs(ours.astype(float) - theirs.astype(float))[inner, inner]
        return Difference(float(apart.max()), float(apart.mean()))

    def _names(self, library: str) -> dict[str, Any]:
        """Return what the code finds: the pictures, and what it is given."""
        made: dict[str, Any] = {"image": _images()[self.image], "other": _images()["other"]}
        if library == "pillow":
            made = {name: Image.fromarray(image) for name, image in made.items()}
        exec(f"import numpy as np\n{self.given}", made)
        return made


def comparisons() -> dict[str, Comparison]:
    """Return the comparisons by the names of the filters."""
    found = dict[str, Comparison]()
    for path in sorted(Path(__file__).with_name("equivalents").glob("*.toml")):
        for name, one in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found[name] = Comparison(
                one["filter"].replace("'", '"'),
                one.get("image", "photo"),
                one.get("given", "").strip(),
                one.get("note", ""),
                one.get("inside", 0),
                {each: _equivalent(one[each], one.get("inside", 0)) for each in LIBRARIES},
            )
    return found


def _equivalent(entry: dict[str, Any], inside: int) -> Equivalent:
    if "none" in entry:
        return Equivalent("", entry["none"])
    code = entry["code"].strip()
    if not re.search(r"^result\b", code, re.MULTILINE):
        ast.parse(code, mode="eval")
        code = f"result = {code}"
    return Equivalent(
        code.replace("'", '"'), entry.get("note", ""), entry["largest"], entry.get("inside", inside)
    )


def _imports(code: str) -> str:
    """Return the imports that `code` needs."""
    lines = [f"import {name}" for name in ("cv2",) if f"{name}." in code]
    lines += ["import numpy as np"] if "np." in code else []
    for module, names in _MODULES.items():
        if used := [name for name in names if re.search(rf"\b{name}\.", code)]:
            lines.append(f"from {module} import {', '.join(used)}")
    return "\n".join(lines)


def _levels(result: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Return a result as levels: white for true, floats rounded and saturated."""
    if result.dtype == bool:
        result = result * np.iinfo(dtype).max
    limits = np.iinfo(dtype)
    return np.clip(np.rint(result), limits.min, limits.max).astype(dtype)


@cache
def _images() -> dict[str, Pixels]:
    photo = np.ascontiguousarray(data.astronaut()[20:140, 150:310])
    other = np.ascontiguousarray(data.astronaut()[180:300, 150:310])
    gray = filters.grayscale()(photo)[..., 0]
    return {"photo": photo, "other": other, "gray": gray, "rgba": np.dstack([photo, other[..., 0]])}
