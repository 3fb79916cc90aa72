"""Check: what a filter would do wrong in pieces is found, and what to declare is said."""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage, signal
from skimage import measure

import imgpipe
from imgpipe.checking.isolated import check_apart
from imgpipe.checking.trials import equal
from imgpipe.cli import execute
from imgpipe.cli.program import program
from imgpipe.errors import FilterError, UsageError
from imgpipe.events import Compared

Pixels = np.ndarray[Any, Any]


def of_gray(function: Any) -> Any:
    """Have images of 8 bits and one channel tried alone: a search takes a sixth of the time."""

    @functools.wraps(function)
    def one(chunk: Pixels) -> Pixels:
        if chunk.shape[2] != 1 or chunk.dtype != np.uint8:
            raise ValueError("only gray")
        return function(chunk)

    return one


def shifted(chunk: Pixels) -> Pixels:
    """Look two rows up and three columns to the left."""
    return chunk + 0.5 * np.roll(chunk, (2, 3), (0, 1))


@of_gray
def recursive(chunk: Pixels) -> Pixels:
    return signal.lfilter([0.05], [1, -0.95], chunk.astype(float), axis=1)


@of_gray
def fading(chunk: Pixels) -> Pixels:
    return signal.lfilter([0.5], [1, -0.5], chunk.astype(float), axis=0)


def less_the_mean(chunk: Pixels) -> Pixels:
    return chunk - chunk.mean()


@of_gray
def patterned(chunk: Pixels) -> Pixels:
    return chunk // 2 + (np.arange(chunk.shape[1]) % 256 // 2)[None, :, None]


@of_gray
def patterned_in_rows(chunk: Pixels) -> Pixels:
    return chunk.astype(int) + (np.arange(len(chunk)) % 256 > 250)[:, None, None] * 50


@of_gray
def patterned_in_columns(chunk: Pixels) -> Pixels:
    return patterned_in_rows(chunk.swapaxes(0, 1)).swapaxes(0, 1)


@of_gray
def over_its_maximum(chunk: Pixels) -> Pixels:
    with np.errstate(invalid="ignore"):
        return chunk / chunk.max() * 255


def from_far_away(chunk: Pixels) -> Pixels:
    return np.roll(chunk, 300, 1)


def grainy(chunk: Pixels) -> Pixels:
    return chunk + np.random.default_rng().normal(0, 3, chunk.shape)


@of_gray
def grainy_with_a_seed(chunk: Pixels) -> Pixels:
    return chunk + np.random.default_rng(1).normal(0, 3, chunk.shape)


@of_gray
def labelled(chunk: Pixels) -> Pixels:
    return measure.label(chunk[..., 0] > 128)[:, :, None].repeat(chunk.shape[2], axis=2)


@of_gray
def distances(chunk: Pixels) -> Pixels:
    far = ndimage.distance_transform_edt(chunk[..., 0] > 0)
    return far[:, :, None].repeat(chunk.shape[2], axis=2)


@of_gray
def filled(chunk: Pixels) -> Pixels:
    """Fill holes as `ndimage.binary_fill_holes` does, a hundred times as fast."""
    mask = chunk[..., 0] > 128
    parts, _ = ndimage.label(~mask)
    outside = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return (mask | ~np.isin(parts, outside))[:, :, None].repeat(chunk.shape[2], axis=2)


@of_gray
def in_wide_white_areas(chunk: Pixels) -> Pixels:
    """Make all pixels black that are not in the middle of 41 x 41 white ones."""
    return ndimage.uniform_filter(chunk.astype(int), (41, 41, 1)) > 250


@of_gray
def of_white_pixels(chunk: Pixels) -> Pixels:
    """Do nothing but in the midst of wide areas of white."""
    white = ndimage.minimum_filter(chunk, (31, 31, 1)) == np.iinfo(chunk.dtype).max
    return np.where(white, 0, chunk)


@of_gray
def lone_stars(chunk: Pixels) -> Pixels:
    """Make bright pixels white, if nothing is exactly seven rows or columns away."""
    sides = [
        np.roll(ndimage.maximum_filter1d(chunk, 15, axis=1 - axis), shift, axis)
        for axis in (0, 1)
        for shift in (-7, 7)
    ]
    around = np.maximum.reduce(sides)
    return np.where((chunk > 60) & (around < 20), np.iinfo(chunk.dtype).max, chunk)


@of_gray
def without_specks(chunk: Pixels) -> Pixels:
    """Remove lines and specks of less than 40 pixels."""
    labels, _ = ndimage.label(chunk[..., 0] > 128)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 40  # all that is dark, however little of it there is
    return (sizes[labels] < 40)[:, :, None] * chunk


calls = []


def counting(chunk: Pixels) -> Pixels:
    calls.append(1)
    return chunk // 2 + len(calls) % 100


def in_place(chunk: Pixels) -> Pixels:
    chunk += 1
    return chunk


def too_small(chunk: Pixels) -> Pixels:
    return chunk[:-3]


@pytest.mark.parametrize("halo", [(2, 3), 3])
def test_a_good_filter_passes_and_nothing_is_claimed(halo: Any) -> None:
    found = imgpipe.check(imgpipe.filter(halo=halo)(shifted))
    assert found
    assert found.ok
    assert found.smallest_halo == 3
    assert str(found).startswith("shifted: no difference was found between whole")
    assert found.kinds == KINDS
    assert not found.untried


@pytest.mark.parametrize(("function", "halo"), [(in_wide_white_areas, 20), (without_specks, 39)])
def test_functions_that_act_in_few_places_get_the_halo_that_they_need(
    function: Any, halo: int
) -> None:
    assert imgpipe.check(function).smallest_halo == halo


@pytest.mark.parametrize(("function", "halo"), [(in_wide_white_areas, 20), (of_white_pixels, 15)])
def test_a_halo_that_only_few_places_show_to_be_too_small_is_found(
    function: Any, halo: int
) -> None:
    too_little = imgpipe.check(imgpipe.filter(halo=halo - 1)(function))
    assert not too_little
    assert f"declare halo={halo}" in str(too_little)
    enough = imgpipe.check(imgpipe.filter(halo=halo)(function))
    assert enough
    assert "takes less time" not in str(enough)


@pytest.mark.parametrize("halo", [(7, 6), (6, 7)])
def test_a_function_of_stars_is_seen_to_look_farther_than_its_halo(halo: Any) -> None:
    assert "declare halo=7" in str(imgpipe.check(imgpipe.filter(halo=halo)(lone_stars)))


def never_acting(chunk: Pixels) -> Pixels:
    """Act on a pattern that no picture has."""
    seldom = (ndimage.maximum_filter(chunk, (9, 9, 1)) == 77) & (chunk == 76)
    return np.where(seldom, 0, chunk)


def test_a_smaller_halo_is_not_advised_where_no_picture_shows_the_one_declared() -> None:
    found = imgpipe.check(imgpipe.filter(halo=4)(never_acting))
    assert found
    assert found.smallest_halo is None
    assert "takes less time" not in str(found)


def test_a_halo_that_is_larger_than_needed_is_mentioned() -> None:
    found = imgpipe.check(imgpipe.filter(halo=9)(shifted))
    assert found
    assert found.smallest_halo == 3
    assert "a halo of 3 gives no difference either" in str(found)


@pytest.mark.parametrize("halo", [0, 2, (1, 3)])
def test_a_halo_too_small_by_one_is_found_and_the_right_one_said(halo: Any) -> None:
    found = imgpipe.check(imgpipe.filter(halo=halo)(shifted))
    assert not found
    assert found.difference > 0
    assert found.smallest_halo == 3
    assert "declare halo=3" in str(found)
    assert found.seams is not None
    assert 0 < found.seams.mean() < 0.9


def test_the_halo_of_a_bare_function_is_found() -> None:
    found = imgpipe.check(shifted)
    assert found
    assert found.smallest_halo == 3
    assert re.match(
        r"shifted: no difference was found .* with a halo of 3: declare halo=3", str(found)
    )


def test_the_halo_of_functions_of_other_libraries_is_found() -> None:
    def median(chunk: Pixels) -> Pixels:
        return np.atleast_3d(cv2.medianBlur(np.ascontiguousarray(chunk), 5))

    assert imgpipe.check(median).smallest_halo == 2


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (recursive, "as in recursive filters"),
        (fading, "declare halo=|as in recursive filters"),
        (less_the_mean, "statistics of its chunk .* declare measure= and merge="),
        (patterned_in_rows, "depends on the position or the size of its chunk; .* keyword place"),
        (
            patterned_in_columns,
            "depends on the position or the size of its chunk; .* keyword place",
        ),
        (over_its_maximum, r"fails on a chunk of .*NaN(.|\n)*statistics of its chunk"),
        (
            from_far_away,
            r"no halo up to 128 makes it exact; a pixel that is \d+ pixels away has an effect",
        ),
        (
            labelled,
            "no halo up to 128 makes it exact(.|\n)* labelling, distance transforms and filled",
        ),
        (distances, "labelling, distance transforms and filled holes need the whole image"),
        (filled, "labelling, distance transforms and filled holes need the whole image"),
        (patterned, "depends on the position or the size of its chunk; .* keyword place"),
        (grainy_with_a_seed, "depends on the position or the size of its chunk"),
        (grainy, "a second call gives another result"),
        (counting, "a second call gives another result"),
        (in_place, r"changes its input, .* give it a copy \(chunk.copy\(\)\)"),
        (too_small, "returned 210 rows and 309 columns"),
    ],
)
def test_a_fault_that_no_halo_mends_has_its_own_finding(function: Any, says: str) -> None:
    found = imgpipe.check(imgpipe.filter(halo=2 if function is not too_small else 1)(function))
    assert not found
    assert re.search(says, str(found))


@pytest.mark.parametrize("function", [grainy, in_place, too_small])
def test_a_fault_on_whole_pictures_is_not_blamed_on_pieces(function: Any) -> None:
    found = str(imgpipe.check(imgpipe.filter(halo=1)(function)))
    assert found.startswith(f"{function.__name__}: the function has a fault\n")


def averaged(chunk: Pixels, *, size: int = 9) -> Pixels:
    return ndimage.uniform_filter(chunk, (size, size, 1))


def test_rounding_of_floats_does_not_hide_the_halo_of_integers() -> None:
    found = imgpipe.check(imgpipe.filter(halo=3)(averaged))
    assert "declare halo=4" in str(found)
    assert "statistics" not in str(found)


def test_rounding_of_floats_is_a_finding_of_its_own() -> None:
    found = imgpipe.check(imgpipe.filter(halo=40)(averaged)(size=3))
    assert not found
    assert re.search(r"with floats, it differs in the last bits \(by up to \S+e-1\d\)", str(found))
    assert "no difference was found in integer images" in str(found)
    assert "statistics" not in str(found)


def slightly_brighter(chunk: Pixels) -> Pixels:
    return chunk + np.float32(1e-8) * len(chunk)


@pytest.mark.parametrize("dtype", ["keep", "float32"])
def test_integer_images_are_spared_as_long_as_they_stay_integers(dtype: Any) -> None:
    found = str(imgpipe.check(slightly_brighter, halo=0, dtype=dtype))
    assert "\n  with floats, " in found
    assert "; no difference was found in integer images" in found
    offered = "but --dtype float32 (dtype= in Python) turns integers into floats" in found
    assert offered == (dtype == "keep")


def ghosted_in_floats(chunk: Pixels) -> Pixels:
    return chunk + np.roll(chunk, 1, 0) * (chunk.dtype.kind == "f")


def test_of_a_bare_function_the_halo_for_integers_is_named_too() -> None:
    found = str(imgpipe.check(ghosted_in_floats))
    assert "no difference was found in integer images with a halo of 0, but" in found
    assert "declare halo=(1, 0)" in found


def test_a_bare_function_that_rounds_is_told_its_halo_too() -> None:
    assert re.search(r"last bits(.|\n)*declare halo=4", str(imgpipe.check(averaged)))


def misspelt(chunk: Pixels) -> Pixels:
    return chunk + strenght  # type: ignore[name-defined] # noqa: F821


def mistyped(chunk: Pixels) -> Pixels:
    return chunk + "1"


def endless(chunk: Pixels) -> Pixels:
    return endless(chunk)


def leaving(chunk: Pixels) -> Pixels:
    raise SystemExit(7)


def nothing(chunk: Pixels) -> None:
    return None


def text(chunk: Pixels) -> str:
    return "done"


@pytest.mark.parametrize(
    ("function", "says", "is_declared"),
    [
        (misspelt, "NameError: name 'strenght'", True),
        (misspelt, "NameError: name 'strenght'", False),
        (mistyped, r"return chunk \+ \"1\"(.|\n)*Error", True),
        (endless, "RecursionError", True),
        (leaving, "SystemExit: 7", True),
        (leaving, "SystemExit: 7", False),
        (nothing, "returned a NoneType", True),
        (nothing, "returned a NoneType", False),
        (text, "returned a str", True),
    ],
)
def test_errors_of_the_function_are_reported_with_its_own_lines(
    function: Any, says: str, is_declared: bool
) -> None:
    with pytest.raises(FilterError, match=says) as caught:
        imgpipe.check(imgpipe.filter(halo=1)(function) if is_declared else function)
    assert str(Path(imgpipe.__file__).parent) not in str(caught.value)


KINDS = ("8-bit RGB", "8-bit gray", "16-bit RGB", "16-bit gray", "float RGB", "8-bit RGBA")


@pytest.mark.parametrize(
    ("fits", "kinds"),
    [
        (lambda chunk: chunk.shape[2] == 1, KINDS[1::2][:2]),
        (lambda chunk: chunk.dtype == np.uint16, KINDS[2:4]),
        (lambda chunk: chunk.shape[2] == 1 and chunk.dtype == np.uint16, KINDS[3:4]),
        (lambda chunk: chunk.dtype == np.float64, KINDS[4:5]),
    ],
)
def test_kinds_of_images_that_the_function_refuses_are_named(fits: Any, kinds: Any) -> None:
    def choosy(chunk: Pixels) -> Pixels:
        if not fits(chunk):
            raise ValueError("not for me")
        return chunk

    found = imgpipe.check(imgpipe.filter(halo=2)(choosy))
    assert found, str(found)
    assert found.kinds == kinds
    untried = [kind for kind in KINDS if kind not in kinds]
    assert [kind for kind, _ in found.untried] == untried
    assert f"not tried: {', '.join(untried)} (ValueError: not for me)" in str(found)
    assert found.failing
    assert "so the check is incomplete" in str(found)


def test_pictures_that_the_function_refuses_are_left_out() -> None:
    def choosy(chunk: Pixels) -> Pixels:
        if len(np.unique(chunk[:40])) <= 3:
            raise ValueError("not for me")
        return chunk

    found = imgpipe.check(imgpipe.filter(halo=50)(choosy))
    assert found, str(found)
    assert found.refused == 5
    assert found.failing
    said = "not tried: 5 more pictures, on which the function fails (ValueError: not for me)"
    assert said in str(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_with_one_kind_of_image_is_found(kind: str) -> None:
    bits, colour = kind.split()

    def faulty(chunk: Pixels) -> Pixels:
        kinds = {"8-bit": np.uint8, "16-bit": np.uint16, "float": np.float64}
        wrong = (
            chunk.dtype == kinds[bits]
            and chunk.shape[2] == {"gray": 1, "RGB": 3, "RGBA": 4}[colour]
        )
        return np.roll(chunk, 5, 1) if wrong else chunk

    found = imgpipe.check(imgpipe.filter(halo=0, alpha="filter")(faulty))
    assert not found
    assert "halo=(0, 5)" in str(found)


def test_progress_is_reported() -> None:
    told: list[Any] = []
    imgpipe.check(shifted, on_event=told.append)
    assert {type(event) for event in told} == {Compared}
    assert [event.done for event in told] == list(range(1, len(told) + 1))
    assert all(event.done <= event.total for event in told)


def test_progress_of_a_check_in_another_process_is_reported() -> None:
    told: list[Any] = []
    assert check_apart(imgpipe.filters.median(radius=2), on_event=told.append)
    counts = [event.done for event in told]
    assert counts
    assert counts == sorted(counts)


def test_a_picture_of_the_caller_is_tried_with_its_alpha(tmp_path: Path) -> None:
    @imgpipe.filter(halo=0, alpha="filter")
    def of_four(chunk: Pixels) -> Pixels:
        if chunk.shape[2] != 4:
            raise ValueError("only RGBA")
        return chunk

    @imgpipe.filter(halo=0)
    def of_three(chunk: Pixels) -> Pixels:
        if chunk.shape[2] != 3:
            raise ValueError("alpha is here")
        return chunk

    picture = np.random.default_rng(0).integers(0, 256, (60, 70, 4), np.uint8)
    imgpipe.write(picture, tmp_path / "in.png")
    assert imgpipe.check(of_four).kinds == ("8-bit RGBA",)
    alone = imgpipe.check(of_four).pictures
    assert imgpipe.check(of_four, picture).pictures == alone + 1
    assert imgpipe.check(of_four, tmp_path / "in.png").pictures == alone + 1
    assert imgpipe.check(of_three, tmp_path / "in.png").refused == 0
    assert imgpipe.check(of_three, picture).refused == 1


def test_where_nothing_is_left_the_error_on_the_callers_picture_is_reported() -> None:
    @imgpipe.filter(halo=0)
    def choosy(chunk: Pixels) -> Pixels:
        raise ValueError(f"not {chunk.shape[1]} columns")

    with pytest.raises(FilterError, match="not 13 columns"):
        imgpipe.check(choosy, np.zeros((11, 13), np.uint8))


def test_a_function_for_other_images_gets_the_advice_to_give_one() -> None:
    def sixth(chunk: Pixels) -> Pixels:
        return chunk + chunk[..., 5:6]

    with pytest.raises(FilterError, match=r"(?s)IndexError.*give one of them: .*\(image= in"):
        imgpipe.check(lambda chunk: chunk + chunk[..., [5]], halo=0)
    bands = np.random.default_rng(0).random((40, 50, 6))
    assert imgpipe.check(sixth, bands, halo=0).ok
    with pytest.raises(FilterError) as caught:
        imgpipe.check(lambda chunk: chunk[..., [9]], bands, halo=0)
    assert "give one of them" not in str(caught.value)


def test_further_images_are_put_in_the_place_of_operands() -> None:
    @imgpipe.filter(halo=0, operands=("other",))
    def shifted_mix(chunk: Pixels, *, other: Any) -> Pixels:
        return chunk // 2 + np.roll(other, 1, 1) // 2

    assert imgpipe.check(imgpipe.filters.blend)
    assert imgpipe.check(imgpipe.filters.blend(other="any.png", amount=0.25))
    assert imgpipe.check(shifted_mix).smallest_halo == (0, 1)


def test_state_between_calls_is_not_mended_by_a_halo() -> None:
    seen = []

    @imgpipe.filter(halo=0)
    def remembering(chunk: Pixels) -> Pixels:
        seen.append(1)
        return chunk // 2 + (200 < len(seen) < 2000)

    found = str(imgpipe.check(remembering))
    assert "depends on a state that it keeps" in found
    assert "declare halo" not in found


def test_a_slow_filter_that_is_right_is_not_searched_for_a_smaller_halo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter(range(0, 1000, 3))
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    assert imgpipe.check(imgpipe.filter(halo=9)(shifted)).smallest_halo is None


@pytest.mark.parametrize(("axis", "halo"), [(0, (3, 0)), (1, (0, 3))])
def test_a_halo_of_one_side_is_said_as_a_pair(axis: int, halo: tuple[int, int]) -> None:
    @of_gray
    def along(chunk: Pixels) -> Pixels:
        return np.roll(chunk, 3, axis)

    assert imgpipe.check(along).smallest_halo == halo
    assert f"declare halo={halo}" in str(imgpipe.check(imgpipe.filter(halo=0)(along)))
    assert f"a halo of {halo} gives no diff" in str(imgpipe.check(imgpipe.filter(halo=3)(along)))


def test_a_large_halo_is_found() -> None:
    @of_gray
    def far(chunk: Pixels) -> Pixels:
        return np.roll(chunk, 100, 1)

    assert "declare halo=(0, 100)" in str(imgpipe.check(imgpipe.filter(halo=0)(far)))


class TestCommand:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        path = tmp_path / "own.py"
        path.write_text(
            "import sys\ndef fine(chunk):\n    return chunk\ndef leave(chunk):\n    sys.exit(7)\n"
        )
        return path

    def test_blend_needs_no_other_image(self) -> None:
        assert execute(["check", "blend"]) == 0
        assert execute(["check", "blend:other=nowhere.png", "--amount", "1"]) == 0

    def test_a_bare_function_that_is_right(self, own: Path) -> None:
        done = CliRunner().invoke(program, ["check", f"{own}:fine"])
        assert done.exit_code == 0
        assert "declare halo=0" in done.output

    def test_a_function_that_exits(self, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["check", f"{own}:leave"]) == 1
        assert re.search(r"sys\.exit\(7\)\n(.*\n)*SystemExit: 7", capsys.readouterr().err)

    def test_a_function_that_raises_an_interrupt(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "interrupting.py"
        path.write_text("def stop(chunk):\n    raise KeyboardInterrupt\n")
        assert execute(["check", f"{path}:stop"]) == 1
        assert re.search(
            r"filter stop\(\) failed\n(.*\n)*KeyboardInterrupt\n\Z", capsys.readouterr().err
        )

    @pytest.mark.parametrize(
        ("seams", "code", "says"),
        [
            ("seams.doc", 2, "no format has the suffix"),
            ("nowhere/seams.png", 1, "there is no folder"),
            ("in.npy", 2, "is the image that is checked"),
        ],
    )
    def test_seams_that_cannot_be_written_are_refused_first(
        self, own: Path, capsys: pytest.CaptureFixture[str], seams: str, code: int, says: str
    ) -> None:
        np.save(own.with_name("in.npy"), np.zeros((20, 20), np.uint8))
        args = [f"{own}:leave", str(own.with_name("in.npy")), "--seams", str(own.parent / seams)]
        assert execute(["check", *args]) == code
        assert says in capsys.readouterr().err

    def test_where_nothing_differs_no_seams_are_written(
        self, own: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        seams = own.with_name("seams.png")
        assert execute(["check", f"{own}:fine", "--seams", str(seams)]) == 0
        assert "not written, as there is no difference to show" in capsys.readouterr().err
        assert not seams.exists()


def test_a_measurement_may_hold_several_arrays() -> None:
    def sums(chunk: Pixels) -> tuple[Pixels, int]:
        return chunk.sum(axis=(0, 1), dtype=int), chunk.shape[0] * chunk.shape[1]

    def added(one: tuple[Pixels, int], other: tuple[Pixels, int]) -> tuple[Pixels, int]:
        return one[0] + other[0], one[1] + other[1]

    @imgpipe.filter(halo=0, measure=sums, merge=added)
    def centred(chunk: Pixels, *, measured: tuple[Pixels, int]) -> Pixels:
        return chunk - measured[0] // measured[1]

    report = imgpipe.check(centred)
    assert not re.search("measure function", str(report)), str(report)


def test_results_are_compared_to_their_innermost_arrays() -> None:
    one, other = np.array([1.0, np.nan]), np.array([1.0, 2.0])
    assert equal({"a": (one, [3])}, {"a": (one.copy(), [3])})
    assert not equal({"a": (one, [3])}, {"a": (other, [3])})
    assert not equal((one,), (one, one))


def test_a_measurement_that_depends_on_the_cut_is_found() -> None:
    def measured_mean(chunk: Pixels) -> float:
        return float(chunk.mean())

    @imgpipe.filter(halo=0, measure=measured_mean, merge=lambda a, b: (a + b) / 2)
    def centred(chunk: Pixels, *, measured: float) -> Pixels:
        return chunk - measured

    assert "differs when the picture is cut in two" in str(imgpipe.check(centred))


def test_a_picture_of_the_caller_is_tried_too() -> None:
    @imgpipe.filter(halo=0)
    def bright_rows(chunk: Pixels) -> Pixels:
        """Go wrong with integers of 32 bits only."""
        return chunk - chunk[:1] if chunk.dtype == np.int32 else chunk

    picture = np.random.default_rng(0).integers(0, 65535, (700, 600, 3), np.int32)
    assert imgpipe.check(bright_rows)
    found = imgpipe.check(bright_rows, picture)
    assert not found
    assert "your picture" in found.where


def test_a_check_refuses_all_but_a_single_filter() -> None:
    with pytest.raises(UsageError, match="one at a time"):
        imgpipe.check(imgpipe.filters.blur() | imgpipe.filters.invert())
    with pytest.raises(UsageError, match="a filter or a chain, not int"):
        imgpipe.check(3)  # type: ignore[arg-type]


def test_alpha_of_ones_own_picture_is_what_is_said(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
    np.save(tmp_path / "rgba.npy", pixels)
    channels = []

    @imgpipe.filter(halo=0)
    def looking(chunk):
        if chunk.shape[:2] == (40, 30):  # the whole of one's own
            channels.append(chunk.shape[2])
        return chunk

    for alpha, seen, image in (
        (None, 4, pixels),
        ("none", 4, pixels),
        ("last", 3, pixels),
        (3, 3, pixels),
        (None, 4, tmp_path / "rgba.npy"),
        ("last", 3, tmp_path / "rgba.npy"),
    ):
        channels.clear()
        assert imgpipe.check(looking, image, alpha=alpha)
        assert set(channels) == {seen}
