"""Conformance of filters: the same result in chunks, in workers, and from their text."""

from __future__ import annotations

import itertools
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Filter, FilterFactory
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.chains.nodata import nodata_after
from imgpipe.chains.serialization import by_value
from imgpipe.checking import check
from imgpipe.errors import UsageError
from imgpipe.image import Pixels
from imgpipe.inmemory import apply
from imgpipe.running import run
from imgpipe.testing.pictures import Kind, kinds, seen, with_hidden
from imgpipe.testing.suite import Suite, must, must_equal

__all__ = [
    "FilterSuite",
    "check_filter",
    "must_be_the_same_in_pieces",
    "must_be_written_as_it_is",
    "must_leave_pixels_without_data",
    "must_see_no_hidden_colour",
]

_ROWS, _COLUMNS = 41, 53
_CHUNKS = ((5, 7), (16, 64), (41, 11))
_SEVERAL = ("uint8", "uint16", "float32", "float64")


class FilterSuite(Suite):
    """The tests of a filter.

    Attributes
    ----------
    filter : Filter or decorated function
        The filter. Further images that are None are replaced by noise.
    dtypes : tuple of str
        Types of images that it takes.
    channels : tuple of int
        Numbers of colour channels that it takes.
    alpha : bool
        Whether it takes images with alpha.
    """

    filter: Any = None
    dtypes: tuple[str, ...] = _SEVERAL
    channels: tuple[int, ...] = (1, 3)
    alpha: bool = True

    @property
    def subject(self) -> Filter:
        """The filter, with its parameters."""
        given = self.filter
        if isinstance(given, FilterFactory):
            given = given(**dict.fromkeys(given.definition.operands))
        must(isinstance(given, Filter), f"filter must be a filter of imgpipe, not {given!r}")
        return given  # type: ignore[no-any-return] # it was looked at

    def test_is_the_same_in_pieces(self) -> None:
        """Chunks give the same as the whole image, for every kind of image and every border."""
        chunks, borders = itertools.cycle(_CHUNKS), itertools.cycle(BORDERS)
        for kind, chunk, border in zip(self._kinds(), chunks, borders, strict=False):
            array = kind.picture(_ROWS, _COLUMNS)
            one = Filter(self.subject.definition, self.subject.params, border)
            must_be_the_same_in_pieces(_completed(one, array), array, kind.alpha, chunk)

    def test_takes_the_smallest_images(self) -> None:
        """One pixel, one row and one column are filtered, or refused by a `UsageError`."""
        kind = next(self._kinds())
        for rows, columns in ((1, 1), (1, _COLUMNS), (_ROWS, 1)):
            array = kind.picture(rows, columns)
            one = _completed(self.subject, array)
            if not _refuses(one, array):
                must_be_the_same_in_pieces(one, array, None, _CHUNKS[0])

    def test_is_the_same_in_workers(self) -> None:
        """Workers of `executor` give the same file; the filter arrives pickled or by value."""
        with tempfile.TemporaryDirectory() as folder, self.workers(2) as executor:
            source, out = Path(folder, "in.npy"), Path(folder, "out.npy")
            for dtype in self.dtypes:
                array = Kind(dtype, max(self.channels)).picture(_ROWS, _COLUMNS)
                one = _completed(self.subject, array)
                np.save(source, array)
                run(source, one, out, executor=executor, workers=2, chunk=11)
                expected = _whole(one, array, None)
                made = np.load(out).reshape(expected.shape)
                must_equal(made, expected, f"{one} of {dtype} in workers")

    def test_sees_no_hidden_colour(self) -> None:
        """Colours under alpha 0 change no visible pixel, except for ``alpha="filter"``."""
        if self.alpha and self.subject.definition.alpha != "filter":
            visible = np.random.default_rng(1).random((_ROWS, _COLUMNS)) < 0.5
            for kind in self._kinds():
                if kind.alpha is not None:
                    array = kind.picture(_ROWS, _COLUMNS)
                    one = _completed(self.subject, array)
                    must_see_no_hidden_colour(one, array, visible, _CHUNKS[0])

    def test_leaves_pixels_without_data(self) -> None:
        """Pixels without data stay, and change no others, except for ``alpha="filter"``."""
        if self.subject.definition.alpha != "filter":
            absent = np.random.default_rng(2).random((_ROWS, _COLUMNS)) < 0.1
            absent[9:20, 30:] = True
            for kind in _one_of_each(self.dtypes, max(self.channels)):
                array = kind.picture(_ROWS, _COLUMNS)
                one = _completed(self.subject, array)
                must_leave_pixels_without_data(one, array, absent, _CHUNKS[1])

    def test_halo_is_honest(self) -> None:
        """Checking by `imgpipe.check` finds no difference: many pictures in many cuts."""
        report = check(self.subject)
        must(report, str(report))

    def test_travels(self) -> None:
        """Pickling brings the same filter to another process."""
        one = self.subject
        array = Kind(self.dtypes[0], max(self.channels)).picture(_ROWS, _COLUMNS)
        arrived = pickle.loads(by_value(one, one.name))  # noqa: S301 - made here
        expected = _whole(_completed(one, array), array, None)
        must_equal(_whole(_completed(arrived, array), array, None), expected, f"{one}, unpickled")

    def test_is_written_as_it_is(self) -> None:
        """Its `repr` makes the same filter, and so does its text, where it has one."""
        if not self.subject.operands:  # images have no text
            must_be_written_as_it_is(self.subject)

    def _kinds(self) -> Iterator[Kind]:
        return kinds(self.dtypes, self.channels, alpha=self.alpha)


def check_filter(filter: Filter | FilterFactory, **attributes: Any) -> None:
    """Run `FilterSuite` on a filter.

    Parameters
    ----------
    filter : Filter or decorated function
        The filter.
    **attributes
        Other attributes of the suite, such as ``channels=(3,)``.

    Raises
    ------
    AssertionError
        If it does not conform.

    Examples
    --------
    >>> from imgpipe.testing import check_filter
    >>> from imgpipe.filters import invert
    >>> check_filter(invert(), executor="threads", dtypes=("uint8",))
    """
    type("_Suite", (FilterSuite,), {"filter": filter, **attributes})().check()


def must_be_the_same_in_pieces(
    one: Filter, array: Pixels, alpha: int | None, chunk: int | tuple[int, int]
) -> None:
    """Claim that a filter makes the same of `array` in chunks as in one piece.

    Parameters
    ----------
    one : Filter
        The filter.
    array : ndarray, shape (rows, columns, channels)
        The image; the claim is also that it is not changed.
    alpha : int or None
        Its alpha channel.
    chunk : int or (int, int)
        Rows and columns of a chunk.

    Raises
    ------
    AssertionError
        If it does not.
    """
    before, case = array.copy(), f"{one} of {Kind(array.dtype.name, array.shape[2], alpha)}"
    expected = _whole(one, array, alpha)
    must_equal(array, before, f"{case}: the input afterwards")
    must(not np.shares_memory(expected, array), f"{case}: the result is a view of the input")
    if one.definition.output_dtype is None:
        must(expected.dtype == array.dtype, f"{case}: the type became {expected.dtype}")
    made = apply(array, one, alpha=alpha, executor="serial", chunk=chunk)
    must_equal(made, expected, f"{case} in chunks of {chunk}")


def must_be_written_as_it_is(one: Filter) -> None:
    """Claim that the `repr` of a filter makes the same filter, and its text, where it has one.

    Parameters
    ----------
    one : Filter
        The filter.

    Raises
    ------
    AssertionError
        If one of them makes another filter, or none.
    """
    try:
        made = eval(repr(one), {one.name: FilterFactory(one.definition)})  # noqa: S307 - made here
    except Exception as error:
        raise AssertionError(f"the repr {one!r} cannot be evaluated: {error!r}") from error
    must(made == one, f"the repr {one!r} makes another filter: {made!r}")
    try:
        text = format_chain(one)
    except UsageError:
        return
    must(parse_chain(text) == one, f"the text {text} makes another chain: {parse_chain(text)}")


def must_see_no_hidden_colour(
    one: Filter,
    array: Pixels,
    visible: Pixels,
    chunk: int | tuple[int, int],
    other: Filter | None = None,
) -> None:
    """Claim that colours under alpha 0 change nothing that can be seen.

    Parameters
    ----------
    one : Filter
        The filter.
    array : ndarray, shape (rows, columns, channels)
        An image whose last channel is alpha.
    visible : ndarray of bool, shape (rows, columns)
        The pixels that keep their alpha; all others get alpha 0.
    chunk : int or (int, int)
        Rows and columns of a chunk.
    other : Filter, optional
        The same filter, with other hidden colours in its further images.

    Raises
    ------
    AssertionError
        If they do.
    """
    alpha, case = array.shape[2] - 1, f"{one} of {array.dtype} with other hidden colours"
    first, second = (with_hidden(array, visible, seed) for seed in (3, 4))
    expected = seen(_whole(one, first, alpha))
    other = one if other is None else other
    must_equal(seen(_whole(other, second, alpha)), expected, case)
    made = apply(second, other, alpha=alpha, executor="serial", chunk=chunk)
    must_equal(seen(made), expected, f"{case}, in chunks of {chunk}")


def must_leave_pixels_without_data(
    one: Filter, array: Pixels, absent: Pixels, chunk: int | tuple[int, int]
) -> None:
    """Claim that pixels without data stay as they are, and that their value reaches no others.

    Parameters
    ----------
    one : Filter
        The filter.
    array : ndarray, shape (rows, columns, channels)
        An image without alpha.
    absent : ndarray of bool, shape (rows, columns)
        The pixels that get no data.
    chunk : int or (int, int)
        Rows and columns of a chunk.

    Raises
    ------
    AssertionError
        If they do not stay, or if it does.
    """
    is_float, found = array.dtype.kind == "f", list[Pixels]()
    made_of = np.dtype(one.output_dtype or array.dtype)
    for nodata in (np.nan, -9999.0) if is_float else (3, 100):
        if np.isnan(nodata) and made_of.kind != "f":  # no integer stands for it
            continue
        given = array if is_float else np.where(np.isin(array, (3, 100)), array + 1, array)
        given = np.where(absent[..., None], array.dtype.type(nodata), given)
        expected = _whole(one, given, None, nodata)
        case = f"{one} of {array.dtype} with {nodata} for no data"
        made = apply(given, one, nodata=nodata, executor="serial", chunk=chunk)
        must_equal(made, expected, f"{case}, in chunks of {chunk}")
        if expected.shape[:2] == absent.shape and one.definition.region is None:
            there, left = expected[absent], nodata_after(nodata, expected.dtype)
            must_equal(there, np.full_like(there, left), f"{case}: the pixels without data")
            found.append(expected[~absent][None])
    if len(found) == 2 and not one.operands:
        first, second = found
        must_equal(first, second, f"{one} of {array.dtype} with another value for no data")


def _one_of_each(dtypes: tuple[str, ...], channels: int) -> Iterator[Kind]:
    """Yield one kind of integers and one of floats, if a filter takes both."""
    for codes in ("iu", "f"):
        for dtype in [one for one in dtypes if np.dtype(one).kind in codes][:1]:
            yield Kind(dtype, channels)


def _whole(one: Filter, array: Pixels, alpha: int | None, nodata: float | None = None) -> Pixels:
    """Return the result of a filter on a whole image: the reference."""
    try:
        with np.errstate(all="ignore"):
            return one(array, alpha=alpha, nodata=nodata)
    except Exception as error:
        kind = Kind(array.dtype.name, array.shape[2], alpha)
        raise AssertionError(
            f"{one} fails on {kind}: {error!r}\nMend it, or declare in the suite the "
            "images that it takes: dtypes, channels, alpha"
        ) from error


def _refuses(one: Filter, array: Pixels) -> bool:
    """Return whether a filter says that it has no use for such an image."""
    try:
        one(array)
    except UsageError:
        return True
    except Exception:  # noqa: BLE001 - it shows afterwards
        return False
    return False


def _completed(one: Filter, array: Pixels) -> Filter:
    """Return a filter with noise for the further images that it lacks."""
    lacking = [name for name in one.operands if one.keywords[name] is None]
    if not lacking:
        return one
    rows, columns, channels = array.shape
    other = Kind(array.dtype.name, channels).picture(rows, columns, seed=9)
    others = dict.fromkeys(lacking, other)
    params = tuple((name, others.get(name, value)) for name, value in one.params)
    return Filter(one.definition, params, one.border)
