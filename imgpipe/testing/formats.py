"""Conformance of formats: unchanged images, and bytes that depend on the image alone."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from imgpipe.chains.chain import Chain
from imgpipe.chains.decorator import filter
from imgpipe.chains.definition import Place
from imgpipe.errors import FilterError, FormatError, LimitError
from imgpipe.formats.base import Sink
from imgpipe.formats.declaration import GRAY, GRAY_ALPHA, RGB, RGBA, Format, Layout
from imgpipe.formats.fitting import fitted
from imgpipe.formats.folder import FolderTarget
from imgpipe.formats.formatchoice import HEAD_BYTES, format_of, loaded
from imgpipe.formats.opening import format_at, origin_of
from imgpipe.formats.origin import MemoryOrigin, Origin
from imgpipe.formats.target import FileTarget, MemoryTarget, Target
from imgpipe.image import ImageInfo, Pixels
from imgpipe.inmemory import info, read, write
from imgpipe.registry import FORMATS
from imgpipe.running import run
from imgpipe.testing.files import (
    must_report_damage,
    must_salvage,
    parts_of,
    put_back,
    put_in,
    taken_out,
)
from imgpipe.testing.pictures import noise, ramps
from imgpipe.testing.suite import Suite, must, must_equal

__all__ = ["FormatSuite", "check_format"]

_ALL_TYPES = ("uint8", "uint16", "int16", "uint32", "int64", "float16", "float32", "float64")
_ALL_LAYOUTS = (RGB, GRAY, GRAY_ALPHA, RGBA, Layout(5, "other"))
_SIZES = ((1, 1), (1, 211), (211, 1), (97, 89), (3, 4001))
_WIDE = 2000  # columns; so that two units are not many megapixels
_LARGEST_TRIED = 8 << 20  # bytes of pixels
_SMALL = (23, 19)
_ALIKE = 0.1  # of the range of the values, on average: a palette of 256 colours is that far


class FormatSuite(Suite):
    """The tests of a format.

    Attributes
    ----------
    format : str or Format
        The format: its registered name, or its declaration, which is registered for the test.
    save : dict
        Options to write with.
    sample : bytes
        The bytes of a file, if the format can only be read.
    """

    format: str | Format = ""
    save: Mapping[str, Any] = MappingProxyType({})
    sample: bytes = b""

    @property
    def subject(self) -> Format:
        """The declaration of the format."""
        return self.format if isinstance(self.format, Format) else loaded(self.format)

    def test_gives_back_what_it_was_given(self) -> None:
        """Images of every declared type and layout come back; to the bit, if it says so."""
        if self.subject.read is None or self.subject.write is None:
            return
        with self._registered() as folder:
            path = folder / f"image{self.subject.suffixes[0]}"
            for at, (dtype, layout) in enumerate(self._kinds()):
                for shape in _SIZES if at == 0 else _SIZES[3:4]:
                    array = noise((*shape, layout.channels), dtype)
                    write(array, path, alpha=layout.alpha, colour=layout.colour, save=self.save)
                    case = f"{self.subject.name}, {dtype}, {layout}, {shape[0]} x {shape[1]}"
                    self._must_give_back(path, array, layout, case)
                if not self.subject.exact:
                    self._must_be_alike(path, ramps((97, 89, layout.channels), dtype), layout)

    def _must_give_back(self, path: Path, array: Pixels, layout: Layout, case: str) -> None:
        about, made = info(path), read(path)
        must(
            about.shape == array.shape and about.dtype == array.dtype,
            f"{case}: it says that it holds {about.shape} {about.dtype}",
        )
        if self.subject.says_alpha:
            must(about.alpha == layout.alpha, f"{case}: alpha became {about.alpha}")
            must(about.colour == layout.colour, f"{case}: the colour became {about.colour}")
        expected = array if self.subject.exact else read(path).reshape(array.shape)
        must_equal(made.reshape(array.shape), expected, case)

    def _must_be_alike(self, path: Path, array: Pixels, layout: Layout) -> None:
        """Claim that a smooth image comes back with about its values, if not to the bit."""
        if layout.alpha is not None:  # some formats know opaque pixels and invisible ones only
            array[..., layout.alpha] = np.iinfo(array.dtype).max
            array[: len(array) // 4, :, layout.alpha] = 0
        write(array, path, alpha=layout.alpha, colour=layout.colour, save=self.save)
        seen = slice(len(array) // 2, None)
        made, given = read(path).reshape(array.shape)[seen], array[seen]
        error = float(np.abs(made.astype(np.float64) - given).mean() / np.ptp(array))
        must(
            error < _ALIKE,
            f"{self.subject.name}, {array.dtype}, {layout}: values are {error:.0%} of their range "
            "away from those that were written",
        )

    def test_bytes_depend_on_the_image_alone(self) -> None:
        """Bytes do not depend on executor, workers, chunks or memory."""
        if self.subject.write is None:
            return
        with self._registered() as folder, self.workers(2) as executor:
            ways: tuple[dict[str, Any], ...] = (
                {"executor": "serial", "chunk": (64, 300)},
                {"executor": "threads", "workers": 3, "chunk": (100, 3000)},
                {"executor": executor, "workers": 2},
                {"executor": executor, "workers": 2, "max_memory": "300M", "chunk": 50},
            )
            array = self._several_units(folder)
            source, path = folder / "in.npy", folder / f"out{self.subject.suffixes[0]}"
            np.save(source, array)
            run(source, Chain(()), path, executor="serial", save=self.save)
            expected = parts_of(path)
            for way in ways:
                run(source, Chain(()), path, save=self.save, **way)
                same = parts_of(path) == expected
                must(same, f"{self.subject.name}: other bytes with {way}")
            self._put(self._target(path), array)
            same = parts_of(path) == expected
            must(same, f"{self.subject.name}: other bytes from sink and encoder alone")

    def test_unit_depends_on_the_image_alone(self) -> None:
        """Units depend on width, type and channels, not on the height."""
        if self.subject.write is None:
            return
        with self._registered() as folder:
            for dtype, layout in self._kinds():
                units = {self._unit(folder, rows, dtype, layout) for rows in (1, 100, 3000)}
                must(len(units) == 1, f"{self.subject.name}: the unit depends on the height")
                rows, columns = units.pop()
                must(rows >= 1 and columns >= 0, f"({rows}, {columns}) is no unit")

    def test_memory_holds_the_same_bytes_as_a_file(self) -> None:
        """Origins and targets in memory are read and written, and need no file."""
        if self.subject.marks:
            return
        with self._registered() as folder:
            content, out = self._file(folder).read_bytes(), io.BytesIO()
            if self.subject.write is not None:
                self._put(MemoryTarget(out), self._small())
                must(out.getvalue() == content, f"{self.subject.name}: other bytes in memory")
            self._must_hold(MemoryOrigin(content), folder)

    def test_sources_give_the_same_in_any_order(self) -> None:
        """Boxes of a random source are equal in any order; a source can be read again."""
        with self._registered() as folder:
            self._must_hold(origin_of(str(self._file(folder))), folder)

    def _must_hold(self, origin: Origin, folder: Path) -> None:
        if self.subject.read is not None:
            more = () if self.subject.says_alpha else (None,)
            made = taken_out(self.subject.read(origin, None, *more), self.subject.name)
            expected = read(self._file(folder)).reshape(made.shape)
            must_equal(made, expected, f"{self.subject.name} from {type(origin).__name__}")

    def test_damaged_files_are_reported(self) -> None:
        """A truncated, empty or damaged file is an `InputError` that names the file."""
        with self._registered() as folder:
            path = self._file(folder)
            size = sum(map(len, parts_of(path).values()))
            cuts = [0, 1, 7, size - 1, *range(9, size, size // 11 + 1)]
            flips = np.random.default_rng(0).integers(0, size, 40).tolist()
            if self.subject.read is not None:
                must_report_damage(path, cuts, flips)

    def test_salvaged_pixels_are_the_same_for_every_way_to_read(self) -> None:
        """Boxes, rows and the whole of a cut or changed file have equal pixels with `salvage`."""
        with self._registered() as folder:
            path = self._file(folder)
            size = sum(map(len, parts_of(path).values()))
            cuts = [size * part // 8 for part in (3, 5, 7)]
            flips = np.random.default_rng(1).integers(size // 3, size, 5).tolist()
            if self.subject.read is not None:
                must_salvage(path, cuts, flips)

    def test_too_large_images_are_refused(self) -> None:
        """An image of more pixels than are allowed is a `LimitError`, before it is decoded."""
        with self._registered() as folder:
            if self.subject.read is not None:
                name = str(self._file(folder))
                try:
                    self.subject.read(origin_of(name), 1)
                except LimitError as error:
                    must(name in str(error), f"the error does not name the file: {error}")
                else:
                    raise AssertionError(f"{self.subject.name}: max_pixels=1 has no effect")

    def test_an_output_without_commit_leaves_nothing(self) -> None:
        """Outputs without a commit, and failed runs, leave no new file and change no old one."""
        if self.subject.write is None:
            return
        with self._registered() as folder:
            array, path = self._small(), folder / f"image{self.subject.suffixes[0]}"
            kept = path / self.subject.marks[0] if self.subject.marks else path
            for old in ({}, {kept: b"old"}):
                put_back(old)
                for filled in (False, True):
                    sink = self._sink(self._target(path), array)
                    if filled:
                        put_in(sink, array)
                    sink.abort()
                    sink.abort()
                    self._must_be_left(path, old, "a sink that was aborted")
                with contextlib.suppress(FilterError), tempfile.TemporaryDirectory() as elsewhere:
                    np.save(Path(elsewhere, "in.npy"), array)
                    run(Path(elsewhere, "in.npy"), _fails(), path, executor="serial", chunk=7)
                self._must_be_left(path, old, "a run that failed")

    def _must_be_left(self, path: Path, old: dict[Path, bytes], by: str) -> None:
        left = os.listdir(path.parent)
        must(left == ([path.name] if old else []), f"{by} left {sorted(left)}")
        must(not old or parts_of(path) == old, f"{by} changed the old file")

    def test_committed_files_stay(self) -> None:
        """An `abort` after a `commit` does nothing, and `commit` returns the size."""
        if self.subject.write is None:
            return
        with self._registered() as folder:
            array, path = self._small(), folder / f"image{self.subject.suffixes[0]}"
            sink = self._sink(self._target(path), array)
            put_in(sink, array)
            size = sink.commit()
            sink.abort()
            must(path.exists(), f"{self.subject.name}: an abort removed a committed file")
            there = sum(map(len, parts_of(path).values()))
            must(size == there, f"{self.subject.name}: commit() said {size} bytes of {there}")

    def test_is_recognized(self) -> None:
        """Files are recognized by their first bytes, declared in `magic`, or by the suffix."""
        with self._registered() as folder:
            path = self._file(folder)
            name = str(path.with_suffix(".unknown") if self.subject.magic else path)
            if self.subject.read is not None:
                try:
                    found = (
                        format_at(origin_of(str(path)))
                        if self.subject.marks
                        else format_of(name, path.read_bytes()[:HEAD_BYTES])
                    )
                except FormatError as error:
                    raise AssertionError(f"its files are not recognized: {error}") from error
                must(found == self.subject, f"its files are taken for {found.name}")

    def test_options_have_defaults_and_help(self) -> None:
        """Options have a default, and a help text for the command line."""
        for option in self.subject.options:
            must(not option.required, f"the option {option.name} has no default")
            must(option.text, f"the option {option.name} has no line of help")

    # --- files of this format ----------------------------------------------------------

    @contextlib.contextmanager
    def _registered(self) -> Iterator[Path]:
        """Give a folder; the format can be used by its suffix until the end."""
        with contextlib.ExitStack() as held:
            if isinstance(self.format, Format):
                held.enter_context(FORMATS.with_member(self.format.name, self.format))
            yield Path(held.enter_context(tempfile.TemporaryDirectory()))

    def _kinds(self) -> Iterator[tuple[str, Layout]]:
        for dtype in self.subject.dtypes or _ALL_TYPES:
            for layout in self.subject.layouts or _ALL_LAYOUTS:
                yield dtype, layout

    def _small(self) -> Pixels:
        dtype, layout = next(self._kinds())
        return noise((*_SMALL, layout.channels), dtype)

    def _several_units(self, folder: Path) -> Pixels:
        """Return an image of more than two units, if that is not too large."""
        dtype, layout = next(self._kinds())
        rows, _ = self._unit(folder, 1, dtype, layout)
        most = _LARGEST_TRIED // (_WIDE * layout.channels * np.dtype(dtype).itemsize)
        return noise((max(min(2 * rows + 7, most), 300), _WIDE, layout.channels), dtype)

    def _unit(self, folder: Path, rows: int, dtype: str, layout: Layout) -> tuple[int, int]:
        kind = np.dtype(dtype)
        about = ImageInfo(rows, _WIDE, layout.channels, kind, layout.alpha, layout.colour)
        target = self._target(folder / f"unit{self.subject.suffixes[0]}")
        sink = self._begun(target, about)
        sink.abort()
        return sink.unit

    def _sink(self, target: Target | FolderTarget, array: Pixels) -> Sink:
        layout = next(self._kinds())[1]
        rows, columns, channels = array.shape
        about = ImageInfo(rows, columns, channels, array.dtype, layout.alpha, layout.colour)
        return self._begun(target, about)

    def _begun(self, target: Target | FolderTarget, about: ImageInfo) -> Sink:
        assert self.subject.write is not None
        held = fitted(about, self.subject, target.name)
        return self.subject.write(target, held, **self.save)

    def _target(self, path: Path) -> Target | FolderTarget:
        marks = self.subject.marks
        return FolderTarget(str(path), marks) if marks else FileTarget(str(path))

    def _put(self, target: Target | FolderTarget, array: Pixels) -> None:
        sink = self._sink(target, array)
        put_in(sink, array)
        sink.commit()

    def _file(self, folder: Path) -> Path:
        """Return the path of a small file; `sample`, where the format can only be read."""
        path = folder / f"image{self.subject.suffixes[0]}"
        if self.subject.write is not None:
            self._put(self._target(path), self._small())
        else:
            must(self.sample, "the format can only be read: give the suite a sample")
            path.write_bytes(self.sample)
        return path


def check_format(format: str | Format, **attributes: Any) -> None:
    """Run `FormatSuite` on a format.

    Parameters
    ----------
    format : str or Format
        The format: its registered name, or its declaration.
    **attributes
        Other attributes of the suite, such as ``save={"quality": 90}``.

    Raises
    ------
    AssertionError
        If it does not conform.

    Examples
    --------
    >>> from imgpipe.testing import check_format
    >>> check_format("npy", executor="threads")  # doctest: +SKIP
    """
    type("_Suite", (FormatSuite,), {"format": format, **attributes})().check()


@filter(halo=0)
def _fails(chunk: Pixels, *, place: Place) -> Pixels:
    if place.box.y0:
        raise ValueError("it fails on purpose, not at once")
    return chunk
