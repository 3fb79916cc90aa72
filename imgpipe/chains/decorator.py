"""Decorator that makes a filter of a NumPy function.

The function knows nothing of tiles, processes or files. It gets a chunk, an array of
(rows, columns, channels) that already carries the halo it asked for, and returns an array::

    @filter(halo=1)
    def relief(chunk, *, strength: float = 1.0): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from imgpipe.chains.chain import FilterFactory
from imgpipe.chains.declarations import define
from imgpipe.chains.definition import Kernel, PairLike
from imgpipe.errors import DeclarationError

__all__ = ["filter"]


@overload
def filter(  # noqa: A001 - imgpipe.filter is the name
    kernel: Kernel, /, **declared: Any
) -> FilterFactory: ...
@overload
def filter(**declared: Any) -> Callable[[Kernel], FilterFactory]: ...  # noqa: A001


def filter(  # noqa: A001
    kernel: Kernel | None = None,
    /,
    *,
    halo: PairLike | None = None,
    name: str | None = None,
    **declared: Any,
) -> FilterFactory | Callable[[Kernel], FilterFactory]:
    """Declare a function of a NumPy array to be a filter.

    Above a function, ``@filter(halo=1)``, or called with one: ``filter(np.sqrt, halo=0)``.

    Parameters
    ----------
    kernel : callable, optional
        The function: any callable, written in Python or in C, such as a ufunc or a method.
    halo : int, (int, int), or callable
        Rows and columns that the function needs on each side of a pixel; 0 for a function that
        looks at one pixel at a time. It must be given. A callable computes it from the parameters
        of the filter that have the names of its arguments.
    name : str, optional
        Name of the filter; the name of the function by default.
    border : {"edge", "symmetric", "reflect", "wrap", "constant"}, default "edge"
        Values of pixels beyond the image, as in `numpy.pad`; the caller may choose another.
    alpha : {"keep", "premultiply", "filter"}, default "keep"
        ``keep``: the function gets the colours only, and alpha does not change; neighbours with
        alpha 0 get the colour of a visible pixel near by. ``premultiply``, for averages: it gets
        floats, colours times alpha and then alpha, and imgpipe divides by alpha; the keyword
        ``white`` is then the value of full colour. ``filter``: it gets all channels as they are.
    channels : int or callable, optional
        Number of channels of the result; a callable computes it from that of the input and the
        parameters that it names.
    colour : {"gray", "rgb", "other"}, optional
        Meaning of the output channels, if it differs from that of the input.
    dtype : {"keep", "float32"}, default "keep"
        The type that the function gets: that of the image, or float32 from 0 to 1 (integers are
        divided by their maximum, and the result is multiplied by it).
    output_dtype : str or callable, optional
        Type of the output, by default that of the input; or a function of the parameters that it
        names. Results are rounded half to even and saturated when they become integers.
    measure, merge, measure_if : callable, optional
        For filters that need the whole image first: ``measure(chunk, **params)`` per chunk,
        folded in order by ``merge(a, b)``, which must be exact under any cut. The kernel gets
        the result as the keyword ``measured``. Pixels with alpha 0 are left out, unless alpha is
        ``filter``; the others then have the shape (1, number, channels). This takes one more pass,
        unless ``measure_if``, given parameters, returns False; `measured` is None then.
    output, region : callable, optional
        For filters that change the geometry: ``output(size, **params)`` is the size of the
        output, (rows, columns), given that of the input; ``region(box, size, **params)`` is the
        input box that an output box is made from.
    align : int, (int, int), or callable, default 1
        For filters that work in blocks: the size of a block. Chunks then begin at multiples of
        these rows and columns of the whole image, and end there or at its end.
    validate : callable, optional
        Raises a `ParameterError` if the parameters that it names contradict each other.
    metadata : callable, optional
        Returns the metadata of the output: ``metadata(metadata, before, after, **params)``, where
        `before` and `after` are the sizes of the input and the output.
    never_brighter : bool, default False
        Whether the maximum of the output is never above the maximum of the input. Then the light
        levels in the metadata are kept.
    in_order : bool or callable, default False
        Whether `region` keeps rows in order, so that the image can stream through the filter; or a
        function of the parameters that it names.
    operands : tuple of str, optional
        Parameters that are further images of the same size. The caller gives files or arrays; the
        function gets their pixels for the same chunk, with the same halo. A parameter whose
        default is None may be left out.
    executor : {"processes", "threads"}, default "processes"
        ``threads`` runs a function that releases the GIL in threads of this process, if all
        filters of the chain declare it. The caller may choose another executor.

    Returns
    -------
    FilterFactory
        Call it with parameters to get a `Filter`. Without a function, the result is a decorator.

    Raises
    ------
    DeclarationError
        If the declarations are impossible or contradict each other.
    """
    if kernel is not None and halo is None and not declared:
        raise DeclarationError(
            "the halo is not declared: write @imgpipe.filter(halo=N), where N is the number of "
            "pixels that the function needs on each side of a pixel (0 for none)"
        )

    def decorate(function: Kernel) -> FilterFactory:
        return FilterFactory(define(function, name, halo, declared))

    return decorate if kernel is None else decorate(kernel)
