"""Stage: one filter of a chain, at work on one image."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from imgpipe.borders import wrapped_reads
from imgpipe.chains.chunks import Read, as_chunk, extended, must_have, trimmed
from imgpipe.chains.definition import AlphaPolicy, Place
from imgpipe.chains.element import Element
from imgpipe.chains.faintimages import note
from imgpipe.chains.nodata import divided, marked, without_data
from imgpipe.chains.transparency import (
    NOTHING,
    colour_of,
    filled,
    finite_if_hidden,
    is_opaque,
    premultiplied,
    surrounded,
    unpremultiplied,
    with_alpha,
    without_hidden,
)
from imgpipe.errors import DeclarationError
from imgpipe.geometry import Box, Halo
from imgpipe.image import ImageInfo, Pixels
from imgpipe.records import dataclass
from imgpipe.tracebacks import FILTER_NOTE
from imgpipe.values import as_declared, full_scale, rescaled, with_one_nan

__all__ = ["Stage"]

_HALF = 0.5  # of the weights: less with data, and a resized pixel has none


@dataclass(frozen=True)
class Stage:
    """One filter of a chain, at work on one image.

    Attributes
    ----------
    filter : Element
        The filter.
    before, after : ImageInfo
        The image it gets and the image it makes.
    measured : object
        The result of its measuring pass.
    operands : tuple of Read
        Readers of its other images.
    """

    filter: Element
    before: ImageInfo
    after: ImageInfo
    measured: Any = None
    operands: tuple[Read, ...] = ()

    @cached_property
    def policy(self) -> AlphaPolicy:
        """The policy of the function for alpha: `filter` where there is none."""
        return "filter" if self.before.alpha is None else self.filter.definition.alpha

    @cached_property
    def minds_absence(self) -> bool:
        """Return whether pixels without data have to be treated as hidden ones."""
        definition = self.filter.definition
        moves = definition.alpha == "keep" and definition.region is not None
        known = self.after.nodata is not None  # no integer stands for a NaN: that is an error
        return (
            self.before.nodata is not None and known and definition.alpha != "filter" and not moves
        )

    @cached_property
    def reach(self) -> Halo:
        """Rows and columns beyond the halo to look for the colours of hidden pixels in."""
        keeps = self.policy == "keep" or (
            self.minds_absence and self.filter.definition.alpha == "keep"
        )
        if not keeps:
            return 0, 0
        (rows, columns), (height, width) = self.filter.halo, self.filter.grid
        return rows + height - 1, columns + width - 1

    @cached_property
    def context(self) -> Halo:
        """Rows and columns that are read on each side of the result."""
        (rows, columns), reach = self.filter.halo, self.reach
        return rows + reach[0], columns + reach[1]

    @property
    def in_order(self) -> bool:
        """Return whether rows can leave from top to bottom as rows come in from top to bottom."""
        definition = self.filter.definition
        moves = definition.region is not None and not self.filter.keeps_rows
        wraps = self.filter.border == "wrap" and self.context[0] > 0
        return not moves and not wraps

    def input_box(self, box: Box) -> Box:
        """Return the input box of `box`, not clipped to the image."""
        return self.origin(self.aligned(box)).grow(self.context)

    def aligned(self, box: Box) -> Box:
        """Return the box that the filter makes for `box`: whole blocks of its grid."""
        if self.filter.grid == (1, 1):
            return box
        return box.snap(*self.filter.grid).clip(self.after.height, self.after.width)

    def reads(self, wanted: Box) -> list[Box]:
        """Return the boxes of the image before this stage that hold the pixels of `wanted`."""
        size = self.before.height, self.before.width
        held = wanted.clip(*size)
        if held == wanted or self.filter.border != "wrap":
            return [held]
        return wrapped_reads(wanted, *size)

    def origin(self, box: Box) -> Box:
        """Return the box before this stage of the pixels of `box` after it, without the halo."""
        if self.filter.definition.region is None:
            return box
        found = self.filter.declared("region", box, (self.before.height, self.before.width))
        if not isinstance(found, Box):
            raise DeclarationError(f"{self.filter.name}: its region must be a Box, not {found!r}")
        return found

    @cached_property
    def takes_room(self) -> bool:
        """Return whether `apply` can have the place of its result."""
        plain = self.before.alpha is None and not self.minds_absence and self.is_local
        return plain and self.filter.definition.takes_into

    def apply(self, padded: Pixels, box: Box, wanted: Box, into: Pixels | None = None) -> Pixels:
        """Return the pixels of `box`, given those of `wanted`, its `input_box`.

        They may be a view of the inside of `into`, whose halo may be overwritten: an array with
        room for the pixels of `wanted`, for a stage that `takes_room`.

        All NaN among them are `numpy.nan`. Which sign a sum of two has depends on where they are in
        memory, and so on where a chunk begins.
        """
        if self.measured is NOTHING:
            made = np.zeros((*box.shape, self.after.channels), self.after.dtype)
            lost = np.ones(box.shape, bool)
            return marked(made, lost, self.after) if self.minds_absence else made
        extra = self._engine_keywords(box, wanted)
        if into is not None:
            extra["into"] = into
        if self.minds_absence:
            return with_one_nan(self._applied_around_absent(padded, box, wanted, extra))
        return with_one_nan(self._applied(padded, box, wanted, extra))

    def _applied(self, padded: Pixels, box: Box, wanted: Box, extra: dict[str, Any]) -> Pixels:
        if self.policy == "keep":
            return self._apply_to_colour(padded, box, wanted, extra)
        worked = self.as_worked(padded)
        if self.policy == "premultiply":
            return self._apply_to_mixtures(worked, box, extra)
        return self._declared(worked, self._called(worked, box, self.after.channels, extra))

    def _apply_to_colour(
        self, padded: Pixels, box: Box, wanted: Box, extra: dict[str, Any]
    ) -> Pixels:
        """Return the result for the colours, and alpha as it is.

        If the function looks at several pixels, its result for hidden ones is 0. Where it
        looks at one, a NaN or an infinity that cannot be seen is no reason to fail, and is 0 too.
        """
        if self.origin(box).shape != box.shape:
            raise DeclarationError(
                f"{self.filter.name}: changes the size of the image, but does not declare alpha; "
                'declare alpha="premultiply" for an average, or "filter" to get all channels'
            )
        alpha = trimmed(padded[self._seen(wanted).within(wanted)][..., -1:], box, self.filter)
        if alpha.dtype.kind == "f":
            as_declared(alpha, self.after.dtype, self.filter.name)  # where a NaN is an error
        kept = rescaled(alpha, self.after.dtype)
        hides = self.reach != (0, 0) and not alpha.all()
        if hides and not alpha.any():
            return np.zeros((*box.shape, self.after.channels), self.after.dtype)
        colour = self.as_worked(self._colour(padded, wanted))
        made = self._called(colour, box, self.after.channels - 1, extra)
        if hides:
            made = without_hidden(made, alpha[..., 0] == 0)
        elif self.reach == (0, 0):
            made = finite_if_hidden(made, alpha[..., 0])
        return with_alpha(self._declared(colour, made), kept)

    def _apply_to_mixtures(self, worked: Pixels, box: Box, extra: dict[str, Any]) -> Pixels:
        """Return the result for colours that are weighted by alpha, and for alpha.

        Where all that a pixel is made from is opaque, it is made as without alpha, which is the
        same but for rounding, and much faster.
        """
        opaque = self._surely_opaque(worked, box)
        if opaque.all():
            return self._apply_to_opaque(worked, box, extra)
        mixed = self._called(self.premultiplied(worked), box, self.after.channels, extra)
        made = unpremultiplied(mixed, worked.dtype, self.after.dtype, self.filter.name)
        if opaque.any():
            plain = self._apply_to_opaque(worked, box, extra)
            for channel in range(made.shape[2]):
                np.copyto(made[..., channel], plain[..., channel], where=opaque)
        return made

    def _surely_opaque(self, worked: Pixels, box: Box) -> Pixels:
        """Return a mask of the pixels made from opaque ones only, as far as is known."""
        one = self.filter
        known = one.definition.ours and one.definition.region is None and not one.operands
        if not known or one.grid != (1, 1):
            return np.zeros(box.shape, bool)
        return surrounded(is_opaque(worked), one.halo)

    def _apply_to_opaque(self, worked: Pixels, box: Box, extra: dict[str, Any]) -> Pixels:
        """Return the result for the colours of opaque pixels, and alpha."""
        if "white" in extra:
            extra = {**extra, "white": full_scale(worked.dtype)}
        colour = colour_of(worked)
        made = self._declared(colour, self._called(colour, box, self.after.channels - 1, extra))
        return with_alpha(made, rescaled(trimmed(worked[..., -1:], box, self.filter), made.dtype))

    # --- pixels without data ------------------------------------------------------------

    def _applied_around_absent(
        self, padded: Pixels, box: Box, wanted: Box, extra: dict[str, Any]
    ) -> Pixels:
        """Return the result as if pixels without data were hidden, and these as they were."""
        absent = self._absent(padded, wanted)
        if absent is None:
            if self._is_plain_without_absent:
                seen = padded[self._seen(wanted).within(wanted)]
                return self._applied(
                    padded if self.before.alpha is not None else seen, box, wanted, extra
                )
            absent = np.zeros(wanted.shape, bool)
        lost = absent
        if self.filter.definition.region is None:
            rows, columns = self.context
            lost = absent[rows : rows + box.height, columns : columns + box.width]
            for name in self.filter.operands:
                lost = lost | self._absent_in(extra[name], lost.shape)
        if self.before.alpha is not None:
            if not absent.any():
                return self._applied(padded, box, wanted, extra)
            hidden = np.array(padded)
            np.copyto(hidden[..., -1], 0, where=absent)
            made = self._applied(hidden, box, wanted, extra)
            return marked(made, lost, self.after) if made.shape[:2] == lost.shape else made
        if self.filter.definition.alpha == "keep":
            colour = self.as_worked(self._present(padded, absent, wanted))
            made = self._called(colour, box, self.after.channels, extra)
            made = self._declared(colour, finite_if_hidden(made, ~lost))
        else:
            made, share = self._averaged(padded, absent, box, extra)
            lost = lost if self.filter.definition.region is None else share < _HALF
        return marked(made, lost, self.after)

    @cached_property
    def _is_plain_without_absent(self) -> bool:
        """Return whether chunks that see no pixel without data are made as if no image had any.

        Not if they may depend on pixels that only the function knows, or on further images.
        """
        one = self.filter
        averages = one.definition.alpha != "keep" and self.before.alpha is None
        return not one.operands and (not averages or self.is_local or one.definition.ours)

    @cached_property
    def is_local(self) -> bool:
        """Return whether a pixel depends on its neighbourhood only."""
        return self.filter.definition.region is None and self.filter.grid == (1, 1)

    def _absent(self, padded: Pixels, wanted: Box) -> Pixels | None:
        """Return a mask of the pixels without data, except black pixels of a border."""
        absent = without_data(padded, self.before)
        if absent is not None and self.filter.border == "constant":
            inside = np.zeros(wanted.shape, bool)
            inside[wanted.clip(self.before.height, self.before.width).within(wanted)] = True
            absent &= inside
        return absent

    def _absent_in(self, other: Pixels, shape: tuple[int, ...]) -> Pixels | bool:
        """Return a mask of the pixels without data in a further image like the first one."""
        alike = other.shape[:2] == shape and other.shape[2] == self.before.channels
        absent = without_data(other, self.before) if alike else None
        return False if absent is None else absent

    def _present(self, padded: Pixels, absent: Pixels, wanted: Box) -> Pixels:
        """Return the pixels for the function; those without data get the values of near ones."""
        if not absent.any():
            return padded[self._seen(wanted).within(wanted)]
        if self.reach == (0, 0):
            return without_hidden(padded, absent)
        with_one_more = with_alpha(padded, np.zeros((*absent.shape, 1), padded.dtype))
        return filled(with_one_more, ~absent, self.reach)

    def _averaged(
        self, padded: Pixels, absent: Pixels, box: Box, extra: dict[str, Any]
    ) -> tuple[Pixels, Pixels]:
        """Return averages of pixels with data, and the share of the weights that these have.

        A pixel that depends on none without data is made as in an image that has only such ones.
        """
        one, channels = self.filter, self.after.channels
        worked = self.as_worked(without_hidden(padded, absent) if absent.any() else padded)
        local = self.is_local
        known = local or one.definition.ours or bool(one.operands)
        full = np.ones(box.shape, np.float32)
        if known and (one.operands or not absent.any()):
            return self._declared(worked, self._called(worked, box, channels, extra)), full
        white = full_scale(worked.dtype)
        top = np.iinfo(worked.dtype).max if worked.dtype.kind in "iu" else 1
        opaque = np.where(absent, worked.dtype.type(0), worked.dtype.type(top))[..., None]
        more = {**extra, "white": white**2} if "white" in extra else extra
        mixed = self._called(
            self.premultiplied(with_alpha(worked, opaque)), box, channels + 1, more
        )
        made, share = divided(mixed, worked.dtype, self.after.dtype, one.name)
        if not known:
            return made, share
        if local:
            whole = surrounded(~absent, one.halo)
        else:
            weights = self._called(absent[..., None].astype(np.float32), box, 1, extra)
            whole = weights[..., 0] == 0
        if whole.any():
            plain = self._called(worked, box, channels, extra)
            plain = self._declared(worked, finite_if_hidden(plain, whole))
            for channel in range(channels):
                np.copyto(made[..., channel], plain[..., channel], where=whole)
            share = np.where(whole, 1, share)
        return made, share

    # --- arguments of the function ------------------------------------------------------

    def _seen(self, wanted: Box) -> Box:
        """Return the part of its `input_box` that the function sees."""
        rows, columns = self.reach
        return wanted.grow((-rows, -columns))

    def _colour(self, padded: Pixels, wanted: Box) -> Pixels:
        """Return the colours for the function; hidden pixels get those of visible ones.

        A function that looks at one pixel only sees hidden colours too.
        """
        seen = padded[self._seen(wanted).within(wanted)]
        if self.reach == (0, 0) or seen[..., -1].all():
            return finite_if_hidden(colour_of(seen), seen[..., -1])
        return self._filled(padded, wanted)

    def _filled(self, padded: Pixels, wanted: Box) -> Pixels:
        """Return the colours of an image; hidden pixels get those of visible ones."""
        held = wanted
        if self.filter.border == "constant":  # beyond the image there is no alpha: 0 is meant
            held = wanted.clip(self.before.height, self.before.width)
        visible = np.ones(wanted.shape, bool)
        inside = held.within(wanted)
        visible[inside] = padded[inside][..., -1] != 0
        return filled(padded, visible, self.reach)

    def as_worked(self, pixels: Pixels) -> Pixels:
        """Return `pixels` in the type that the function works in."""
        if self.filter.definition.dtype == "keep":
            return pixels
        return rescaled(pixels, np.dtype(np.float32))

    def premultiplied(self, worked: Pixels) -> Pixels:
        """Return colour times alpha, and alpha, in floats that the function works in."""
        single = self.filter.definition.dtype == "float32"
        return premultiplied(worked, np.dtype(np.float32) if single else None)

    def _called(self, padded: Pixels, box: Box, channels: int, extra: dict[str, Any]) -> Pixels:
        """Return the result of the function, which has so many `channels`."""
        view = padded.view()
        view.flags.writeable = False
        args, keywords = self.filter.arguments(extra)
        kernel, ours = self.filter.definition.function, self.filter.definition.ours
        try:
            # Results of ours for infinity and NaN are documented; NumPy need not warn of them.
            with np.errstate(all="ignore") if ours else nullcontext():
                made = kernel(view, *args, **keywords)
        except BaseException as error:
            error.add_note(f"{FILTER_NOTE}{self.filter!r}")
            raise
        made = trimmed(as_chunk(made, self.filter.name), box, self.filter)
        must_have(made, channels, self.filter.name)
        return made

    def _declared(self, given: Pixels, made: Pixels) -> Pixels:
        """Return the result of the function in the declared type."""
        if self.filter.definition.dtype != "keep" and made.dtype.kind == "f":
            working = np.result_type(made, np.float32)
            made = np.multiply(made, full_scale(self.after.dtype), dtype=working)
        note(self.filter, given, made, self.after.dtype)
        return as_declared(made, self.after.dtype, self.filter.name)

    def _engine_keywords(self, box: Box, wanted: Box) -> dict[str, Any]:
        definition, extra = self.filter.definition, dict[str, Any]()
        if definition.takes_place:
            seen = self._seen(wanted)
            extra["place"] = Place(box, seen, self.before.height, self.before.width)
        if definition.takes_white:
            worked = self.before.dtype if definition.dtype == "keep" else "float32"
            extra["white"] = full_scale(worked) ** (2 if self.policy == "premultiply" else 1)
        if definition.takes_about:
            extra["about"] = self.before
        if definition.measure is not None:
            extra["measured"] = self.measured
        for name, read in zip(self.filter.operands, self.operands, strict=True):
            further = extended(read, wanted, self.before, self.filter.border)
            extra[name] = self._operand(further, wanted)
        return extra

    def _operand(self, pixels: Pixels, wanted: Box) -> Pixels:
        """Return the pixels of a further image that the function sees.

        One of the same type and number of channels as the first has its alpha in the same place.
        """
        seen = pixels[self._seen(wanted).within(wanted)]
        alike = (pixels.dtype, pixels.shape[2]) == (self.before.dtype, self.before.channels)
        if self.policy == "filter" or not alike:
            return self.as_worked(seen)
        if self.policy == "premultiply":
            return self.premultiplied(self.as_worked(seen))
        return self.as_worked(self._filled(pixels, wanted))
