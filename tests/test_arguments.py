"""Arguments: every parameter of every public function, with values of wrong kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe import arguments
from imgpipe.engine.control import Control
from imgpipe.errors import ImgpipeError, UsageError
from imgpipe.executors.serial import SerialExecutor
from imgpipe.filters import blend, blur, crop, invert
from imgpipe.running import plan_run
from tests.conftest import noise

PHOTO = noise((23, 31, 3), "uint8")


class BytesPath:
    """A path that is bytes, which some systems have."""

    def __fspath__(self) -> bytes:
        return b"in.png"


NO_WHOLE = ["2", b"2", 1.5, 2.0, True, np.True_, math.nan, [2], object(), int, 1 << 70]
NO_SIZE = ["", "12X", "-1", "0", "1e99", b"9", -1, 0, 1.5, math.inf, math.nan, True, [1], int]
NO_PAIR = [0, -1, "5", "5,5", 5.0, True, (5,), (5, 5, 5), (5, 0), (5, 2.5), ("5", 5), object()]
NO_PATH = [None, 3, "", "a\0b.png", b"in.png", BytesPath(), PHOTO, ["in.png"], object(), str]
NO_BOX = [
    *("0,0,9,9", 9, (0, 0, 9), (0, 0, 9, 9, 9), (0, 0, 0, 9), (5, 5, 2, 9), (-1, 0, 9, 9)),
    *((0, 0, 9, 9.5), (0, 0, "9", 9), (0, 0, True, 9), imgpipe.Box(3, 3, 3, 9), object()),
    *(imgpipe.Box(0, 0, 9.5, 9), (None,) * 4, (0, 0, 99, 99)),  # type: ignore[arg-type]
]
NO_FLAG = [3, "yes", None, [], PHOTO]
NO_FUNCTION = [3, "print", PHOTO]
RUNNING: dict[str, list[Any]] = {
    "workers": [0, -1, *NO_WHOLE],
    "max_memory": NO_SIZE,
    "executor": ["magic", "", 3, [], {}, ThreadPoolExecutor, SerialExecutor, object(), np.zeros(3)],
    "on_event": [*NO_FUNCTION, [3], [print, None], {print}],
    "chunk": NO_PAIR,
    "progress": NO_FLAG,
    "scratch": ["no such folder", __file__, *NO_PATH[1:]],
    "timeout": [0, -1, math.nan, math.inf, 1e300, "5", b"5", True, [5], object()],
}
BARE = {
    "halo": ["x", -1, 1.5, True, (1,), (1, 2, 3), [], object()],
    "dtype": ["x", "float64", 3, [], np.float32],
}
ALPHA = [0, 5, "first", "", True, 2.0, [2], object()]
FILE = {
    "src": NO_PATH,
    "dst": [*NO_PATH, "out", "out.xyz", ".png"],
    "filter": [None, 3, PHOTO, int, []],
    "region": NO_BOX,
    "max_pixels": NO_SIZE,
    "compression": [-1, 10, *(given for given in NO_WHOLE if given not in (2, "2"))],
    "save": [3, "compression=3", ["compression"], {3: 3}, {"compression": 10}, {"quality": 3}],
    "alpha": ALPHA,
    "strip": NO_FLAG,
    "autorotate": NO_FLAG,
    **BARE,
}
IMAGES = [None, 3, "in.png", b"in.png", [], "", object()]
WRONG: dict[str, tuple[Callable[..., Any], dict[str, list[Any]]]] = {
    "run": (imgpipe.run, {**FILE, **RUNNING, "control": [3, "x", Control, object()]}),
    "plan_run": (plan_run, {**FILE, **RUNNING} | {"on_event": [], "progress": []}),
    "submit": (imgpipe.submit, {**FILE, **RUNNING, "region": NO_BOX[:-1], "alpha": ALPHA[2:]}),
    "apply": (
        imgpipe.apply,
        {
            "array": IMAGES,
            "filter": FILE["filter"],
            "out": [list, [], 3, "out.png", PHOTO.tolist(), np.zeros(3), object()],
            "alpha": ALPHA,
            **BARE,
            **RUNNING,
        },
    ),
    "read": (imgpipe.read, {"src": NO_PATH, "box": NO_BOX, "autorotate": NO_FLAG}),
    "write": (
        imgpipe.write,
        {
            "array": IMAGES,
            "dst": FILE["dst"],
            "alpha": ALPHA,
            "compression": FILE["compression"],
            "save": FILE["save"],
        },
    ),
    "info": (imgpipe.info, {"src": NO_PATH, "autorotate": NO_FLAG}),
    "measure": (
        imgpipe.measure,
        {
            "src": [None, 3, "", b"in.png", BytesPath(), object()],
            "function": NO_FUNCTION,
            "merge": NO_FUNCTION,
            "filter": [3, PHOTO, int, []],
            "alpha": ALPHA,
            "max_pixels": NO_SIZE,
            "autorotate": NO_FLAG,
            **BARE,
            **RUNNING,
        },
    ),
    "iter_chunks": (
        lambda **given: list(imgpipe.iter_chunks(**given)),
        {
            "src": [None, 3, "", b"in.png", BytesPath(), object()],
            "size": NO_PAIR,
            "halo": [-1, *NO_PAIR[2:7], (5, 2.5)],
            "border": ["mirror", 3, None, [], PHOTO],
            "max_pixels": NO_SIZE,
            "autorotate": NO_FLAG,
        },
    ),
    "check": (
        imgpipe.check,
        {
            "filter": [None, 3, PHOTO, blur() | blur()],
            "image": [3, "", b"in.png", object(), []],
            **BARE,
        },
    ),
    "filter": (
        lambda **declared: imgpipe.filter(**declared)(lambda chunk: chunk)(),
        {
            "halo": [None, -1, "1", 1.5, (1,), (1, 2, 3), [], True, object()],
            "name": [3, "", [], PHOTO],
            "never_brighter": [3, "x", None],
            "measure_if": [3, "x"],
            "validate": [3, "x"],
            "in_order": [3, "x", None, PHOTO],
            "border": [3, "mirror", [], None, PHOTO],
            "alpha": [3, "none", [], None, PHOTO],
            "channels": [0, -1, "3", 1.5, True, []],
            "colour": [3, "cmyk", []],
            "dtype": [3, "float64", None, [], PHOTO],
            "output_dtype": [3, "magic", "bool", [], object(), PHOTO],
            "measure": [3, "x"],
            "merge": [3, "x"],
            "output": [3, "x"],
            "region": [3, "x"],
            "metadata": [3, "x"],
            "align": [0, "1", 1.5, (1,), []],
            "operands": ["chunk", 3, [], ("other",), (3,)],
            "executor": ["magic", 3, None, []],
        },
    ),
    "a filter": (blur, {"sigma": ["x", None, [], math.nan, PHOTO], "border": ["x", 3, [], PHOTO]}),
    "a second image": (blend, {"other": [3, b"in.png", [], object(), True], "amount": [2, "x"]}),
}


def right(name: str, folder: Path) -> dict[str, Any]:
    """Return arguments that can be meant."""
    source, target = folder / "in.png", folder / "out.png"
    given: dict[str, dict[str, Any]] = {
        "apply": {"array": PHOTO, "filter": invert()},
        "read": {"src": source},
        "write": {"array": PHOTO, "dst": target},
        "info": {"src": source},
        "measure": {"src": PHOTO, "function": np.sum, "merge": max},
        "iter_chunks": {"src": source},
        "check": {"filter": invert, "image": PHOTO},
        "filter": {"halo": 0},
        "a filter": {},
        "a second image": {"other": PHOTO},
    }
    return given.get(name, {"src": source, "filter": invert(), "dst": target})


def cases() -> Iterator[Any]:
    for name, (_, wrong) in WRONG.items():
        for parameter, values in wrong.items():
            yield pytest.param(name, parameter, values, id=f"{name}-{parameter}")


@pytest.mark.parametrize(("name", "parameter", "values"), list(cases()))
def test_a_line_refuses_a_wrong_argument_by_name(
    name: str, parameter: str, values: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    imgpipe.write(PHOTO, "in.png")
    wrong = {f"{value!r}"[:60]: _outcome(name, parameter, value, tmp_path) for value in values}
    assert not {value: outcome for value, outcome in wrong.items() if outcome}
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def _outcome(name: str, parameter: str, value: Any, folder: Path) -> str:
    """Return the fault of the refusal of a value."""
    try:
        WRONG[name][0](**{**right(name, folder), parameter: value})
    except UsageError as error:
        return f"more than a line: {error}" if "\n" in str(error) else ""
    except Exception as error:  # noqa: BLE001 - the test looks for any error
        return repr(error)
    return "it is taken"


def test_numbers_of_numpy_and_sizes_as_text_can_be_meant(tmp_path: Path) -> None:
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    imgpipe.write(PHOTO, source)
    expected = invert()(PHOTO)
    for given in (
        {"workers": np.int64(1), "chunk": np.uint8(9), "timeout": np.float32(60)},
        {"chunk": [5, np.int16(7)], "max_memory": "512M", "max_pixels": "1e6"},
        {"max_memory": 5e8, "max_pixels": np.int64(10**6), "compression": np.uint8(1)},
        {"max_memory": "1.5 GiB", "executor": "serial"},
    ):
        imgpipe.run(source, invert(), out, **given)
        np.testing.assert_array_equal(imgpipe.read(out), expected)
        given.pop("max_pixels", None)
        given.pop("compression", None)
        np.testing.assert_array_equal(imgpipe.apply(PHOTO, invert(), **given), expected)
    budgets = [
        plan_run(source, invert(), out, max_memory=limit).budget for limit in ("512M", 512_000_000)
    ]
    assert abs(budgets[0] - budgets[1]) < 10_000_000  # the memory of the process varies a little
    with pytest.raises(imgpipe.errors.MemoryPlanError):
        imgpipe.run(source, invert(), out, max_memory="1k")


@pytest.mark.parametrize(
    "box",
    [(5, 3, 20, 30), [5, 3, 20, 30], imgpipe.Box(5, 3, 20, 30), np.array([5, 3, 20, 30])],
)
def test_a_part_is_a_box_or_its_four_numbers(box: Any, tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "in.png")
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "in.png", box), PHOTO[5:20, 3:30])
    imgpipe.run(tmp_path / "in.png", invert(), tmp_path / "out.png", region=box)
    part = crop(y=5, x=3, height=15, width=27)(invert()(PHOTO))
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "out.png"), part)


def test_nothing_is_opened_before_the_call_is_known_to_be_right(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="workers must be a whole number, at least 1, not '2'"):
        imgpipe.run(tmp_path / "missing.png", invert(), tmp_path / "out.png", workers="2")
    with pytest.raises(UsageError, match=r"executor must be .* not the class ThreadPoolExecutor"):
        imgpipe.apply(PHOTO, invert(), executor=ThreadPoolExecutor)


@pytest.mark.parametrize(
    ("text", "number"),
    [("512M", 512_000_000), ("1.5G", 1_500_000_000), ("256KiB", 262_144), ("1e9", 10**9), ("7", 7)],
)
def test_sizes_as_text(text: str, number: int) -> None:
    assert arguments.parse_size(text) == arguments.size(text, "size") == number


def test_a_wrong_value_that_is_long_is_not_shown() -> None:
    with pytest.raises(ImgpipeError, match=r"not a ndarray$"):
        arguments.whole(np.zeros((50, 50)), "workers", at_least=1)
    with pytest.raises(ImgpipeError, match=r"not a str$"):
        arguments.whole("x" * 200, "workers", at_least=1)


def test_a_handle_is_waited_for_as_long_as_can_be_meant(tmp_path: Path) -> None:
    imgpipe.write(PHOTO, tmp_path / "in.png")
    handle = imgpipe.submit(tmp_path / "in.png", invert(), tmp_path / "out.png")
    for wrong in ("5", -1, math.nan, math.inf, [1]):
        with pytest.raises(UsageError, match="timeout must be a number of seconds from 0 on"):
            handle.result(wrong)
    assert handle.result(60).height == len(PHOTO)
    assert handle.result(0).height == len(PHOTO)


@pytest.mark.parametrize("given", [0, (0, 0)])
def test_a_number_of_pixels_is_named_as_one_number(given: Any) -> None:
    """The command line makes a pair of it before it is checked."""
    with pytest.raises(UsageError, match=r"^--chunk must be .*, at least 1, .*, not 0$"):
        arguments.pair(given, "--chunk", at_least=1)
