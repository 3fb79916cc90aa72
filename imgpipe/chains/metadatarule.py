"""Rule for the metadata of the result of a filter: the parts that stay true.

It holds for every pair of formats and every way to run, because all of them resolve a chain.
"""

from __future__ import annotations

from imgpipe.chains.element import Element
from imgpipe.errors import DeclarationError
from imgpipe.image import Colour, ImageInfo, Metadata

__all__ = ["carried"]


def carried(one: Element, before: ImageInfo, size: tuple[int, int], colour: Colour) -> Metadata:
    """Return the metadata of the result of a filter.

    Every filter drops previews, because they show the image as it was. What a filter declares
    about metadata comes next. One that changes the geometry without such a declaration leaves
    nothing that depends on where pixels are.

    Parameters
    ----------
    one : Element
        The filter.
    before : ImageInfo
        The image that it gets.
    size : (int, int)
        Rows and columns of the result.
    colour : str
        The colour model of the result.

    Raises
    ------
    DeclarationError
        If the filter declares something else than metadata.
    """
    definition = one.definition
    metadata = before.metadata.repainted()
    if definition.metadata is not None:
        metadata = one.declared("metadata", metadata, (before.height, before.width), size)
        if not isinstance(metadata, Metadata):
            raise DeclarationError(f"{one.name}: its metadata must be Metadata, not {metadata!r}")
    elif definition.output is not None:
        metadata = metadata.displaced()
    if size != (before.height, before.width):
        metadata = metadata.sized(*size)
    if colour != before.colour:
        metadata = metadata.recoloured(colour)
    return metadata if definition.never_brighter else metadata.brightened()
