"""Entry: a value given as a filter means the same in every way in."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage.filters import sobel

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.entry import chain_from
from imgpipe.chains.grammar import parse_chain
from imgpipe.cli import execute
from imgpipe.errors import ChainError, DeclarationError, UsageError
from imgpipe.filters import blur, grayscale, invert
from imgpipe.running import plan_run

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def shifted(chunk: Any, *, by: int = 1) -> Any:
    return np.roll(chunk, by, 1)


def ran(given: Any, folder: Path, **options: Any) -> Any:
    imgpipe.write(IMAGE, folder / "in.png")
    imgpipe.run(folder / "in.png", given, folder / "out.png", executor="serial", **options)
    return imgpipe.read(folder / "out.png")


def submitted(given: Any, folder: Path, **options: Any) -> Any:
    imgpipe.write(IMAGE, folder / "in.png")
    out = folder / "out.png"
    imgpipe.submit(folder / "in.png", given, out, executor="serial", **options).result()
    return imgpipe.read(folder / "out.png")


def applied(given: Any, folder: Path, **options: Any) -> Any:
    return imgpipe.apply(IMAGE, given, executor="serial", **options)


def measured(given: Any, folder: Path, **options: Any) -> Any:
    """Return the pixels of chunks that are whole rows, put together."""
    return imgpipe.measure(
        IMAGE,
        np.array,
        lambda a, b: np.concatenate([a, b]),
        filter=given,
        chunk=(16, 64),
        executor="serial",
        **options,
    )


WAYS: list[Callable[..., Any]] = [ran, submitted, applied, measured]


@pytest.mark.parametrize("way", WAYS)
class TestEveryWayIn:
    def test_takes_text(self, way: Callable[..., Any], tmp_path: Path) -> None:
        expected = (blur(2) | invert())(IMAGE)
        assert_array_equal(way("blur:2 | invert", tmp_path), expected)

    def test_takes_a_function_and_its_halo(self, way: Callable[..., Any], tmp_path: Path) -> None:
        expected = imgpipe.filter(shifted, halo=(0, 1))()(IMAGE)
        assert_array_equal(way(shifted, tmp_path, halo=(0, 1)), expected)

    def test_takes_what_it_works_in(self, way: Callable[..., Any], tmp_path: Path) -> None:
        expected = imgpipe.filter(sobel, halo=1, dtype="float32")()(IMAGE)
        assert expected.max() > 50
        assert_array_equal(way(sobel, tmp_path, halo=1, dtype="float32"), expected)
        assert_array_equal(
            way("skimage.filters:sobel", tmp_path, halo=1, dtype="float32"), expected
        )

    def test_takes_lists_and_types_of_numpy(self, way: Callable[..., Any], tmp_path: Path) -> None:
        expected = imgpipe.filter(sobel, halo=1, dtype="float32")()(IMAGE)
        assert_array_equal(way(sobel, tmp_path, halo=[1, 1], dtype=np.float32), expected)

    def test_takes_text_that_declares(self, way: Callable[..., Any], tmp_path: Path) -> None:
        text = "numpy:sqrt:halo=0,dtype=float32 | skimage.filters:sobel:halo=1,dtype=float32"
        sqrt = imgpipe.filter(np.sqrt, halo=0, dtype="float32")
        expected = (sqrt() | imgpipe.filter(sobel, halo=1, dtype="float32")())(IMAGE)
        assert_array_equal(way(text, tmp_path), expected)

    def test_refuses_what_it_cannot_mean(self, way: Callable[..., Any], tmp_path: Path) -> None:
        for given, options, says in [
            (shifted, {}, "shifted: a bare function has no declared halo; give halo=N"),
            ("numpy:sqrt", {}, "sqrt is a bare function without a declared halo"),
            (blur(2), {"halo": 3}, "halo is only for bare functions"),
            ("blur:2 | invert", {"dtype": "float32"}, "dtype is only for bare functions"),
            (np.sqrt, {"halo": 0, "dtype": "uint8"}, "dtype must be one of keep, float32"),
            (np.sqrt, {"halo": -1}, "halo must be a whole number"),
            (3, {}, "a filter or a chain, not int"),
            (["blur"], {}, "a filter or a chain, not list"),
        ]:
            with pytest.raises((UsageError, DeclarationError), match=says):
                way(given, tmp_path, **options)
        with pytest.raises(ChainError) as caught:
            way("blur:2 | grayscal", tmp_path)
        assert (caught.value.text, caught.value.position) == ("blur:2 | grayscal", 9)


class TestCheck:
    def test_takes_text(self) -> None:
        assert imgpipe.check("numpy:sqrt:halo=0").halo == (0, 0)
        assert imgpipe.check("blend")  # the further image is made up

    def test_finds_the_halo_of_a_bare_function_in_text(self) -> None:
        found = imgpipe.check("numpy:sqrt")
        assert (found.halo, found.smallest_halo) == (None, 0)

    def test_takes_the_halo_of_a_bare_function(self) -> None:
        found = imgpipe.check(functools.partial(shifted, by=2), halo=(0, 1))
        assert found.halo == (0, 1)
        assert found.smallest_halo == (0, 2)
        assert not found

    def test_is_of_one_filter(self) -> None:
        for chain in (blur() | invert(), "blur | invert"):
            with pytest.raises(UsageError, match="one at a time"):
                imgpipe.check(chain)


class TestDeclaringAFunction:
    def test_in_one_call(self) -> None:
        made = imgpipe.filter(lambda c: 255 - c, halo=0, name="minus")
        assert_array_equal(made()(IMAGE), 255 - IMAGE)
        assert repr(made()) == "minus()"

    def test_needs_the_halo(self) -> None:
        with pytest.raises(DeclarationError, match="halo"):
            imgpipe.filter(lambda c: c)
        with pytest.raises(DeclarationError, match="halo"):
            imgpipe.filter(lambda c: c, dtype="float32")

    def test_needs_a_function(self) -> None:
        with pytest.raises(DeclarationError, match="blur is a filter already"):
            imgpipe.filter(blur, halo=0)
        for wrong in ("blur", 3, IMAGE):
            with pytest.raises(DeclarationError, match="function of an array"):
                imgpipe.filter(wrong, halo=0)

    def test_leaves_to_imgpipe_what_is_worked_out(self) -> None:
        for name in ("kernel", "parameters", "takes_place", "takes_white", "bare"):
            with pytest.raises((DeclarationError, TypeError), match=name):
                imgpipe.filter(halo=0, **{name: True})(shifted)


class TestText:
    def test_is_what_the_plan_prints(self, tmp_path: Path) -> None:
        imgpipe.write(IMAGE, tmp_path / "in.png")
        chain = blur(3, border="wrap") | imgpipe.filter(np.sqrt, halo=0)() | grayscale()
        for given in (chain, "blur:3,border=wrap | numpy:sqrt:halo=0 | grayscale"):
            plan = plan_run(tmp_path / "in.png", given, tmp_path / "out.png")
            (line,) = [line for line in str(plan).splitlines() if line.startswith("chain:")]
            text = line.removeprefix("chain:").strip()
            assert text == str(chain_from(given)) == str(chain_from(text))
            assert_array_equal(chain_from(text)(IMAGE), chain(IMAGE))

    def test_is_that_of_python_where_there_is_none(self) -> None:
        local = imgpipe.filter(lambda c: c, halo=0, name="local")
        assert str(local() | blur(3)) == "local() | blur:sigma=3.0"
        assert str(Chain(())) == ""

    def test_finds_a_file_whatever_is_in_its_path(self, tmp_path: Path) -> None:
        for name in ("with a blank", "a, b", "it's", "a=b", "a|b", "a:b"):
            path = tmp_path / name / "my filters.py"
            path.parent.mkdir()
            path.write_text("def bare(chunk, *, by=1):\n    return chunk\n")
            for text in (f"{path}:bare:2", f"blur | {path} : bare : by=2"):
                *_, found = parse_chain(text, halo=0)
                assert found.keywords == {"by": 2}, text

    def test_of_a_path_that_is_not_there_still_needs_quotes(self, tmp_path: Path) -> None:
        with pytest.raises(ChainError, match="no such file"):
            parse_chain(f"{tmp_path}/with a blank.py:bare")
        with pytest.raises(ChainError, match="no such file"):
            parse_chain(f'"{tmp_path}/with a blank.py":bare')


class TestOnTheCommandLine:
    @pytest.fixture
    def picture(self, tmp_path: Path) -> str:
        np.save(tmp_path / "in.npy", IMAGE)
        return str(tmp_path / "in.npy")

    @pytest.mark.parametrize("text", ["numpy:sqrt | invert", "numpy:sqrt"])
    def test_halo_and_dtype_are_of_all_bare_functions(
        self, text: str, picture: str, tmp_path: Path
    ) -> None:
        out = str(tmp_path / "out.npy")
        words = ["run", text, picture, "-o", out, "--halo", "0", "--dtype", "float32"]
        assert execute(words) == 0
        assert_array_equal(np.load(out), chain_from(text, 0, "float32")(IMAGE))

    def test_declarations_in_the_text_precede_options(self, picture: str, tmp_path: Path) -> None:
        out = str(tmp_path / "out.npy")
        text = "numpy:sqrt:dtype=keep | numpy:square"
        words = ["run", text, picture, "-o", out, "--halo", "0", "--dtype", "float32"]
        assert execute(words) == 0
        square = imgpipe.filter(np.square, halo=0, dtype="float32")()
        assert_array_equal(np.load(out), (imgpipe.filter(np.sqrt, halo=0)() | square)(IMAGE))

    @pytest.mark.parametrize("command", ["run", "check"])
    @pytest.mark.parametrize("option", [["--halo", "3"], ["--dtype", "float32"]])
    def test_they_are_refused_where_nothing_is_bare(
        self, command: str, option: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert execute([command, "blur", "in.png", *option]) == 2
        assert f"{option[0]} is only for bare functions" in capsys.readouterr().err

    def test_a_parameter_of_the_filter_goes_before(self, picture: str, tmp_path: Path) -> None:
        path, out = tmp_path / "f.py", str(tmp_path / "out.npy")
        path.write_text(
            "import imgpipe\n@imgpipe.filter(halo=0)\n"
            "def f(chunk, *, dtype: int = 1, halo: int = 2):\n"
            "    return chunk // 2 + dtype + halo\n"
        )
        assert execute(["run", f"{path}:f", picture, "-o", out, "--dtype", "5"]) == 0
        assert_array_equal(np.load(out), IMAGE // 2 + 7)
        assert execute(["check", f"{path}:f", picture, "--halo", "5"]) == 0

    def test_check_sees_what_the_function_sees(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "f.py"
        path.write_text("def f(chunk):\n    assert chunk.max() <= 1\n    return chunk\n")
        assert execute(["check", f"{path}:f", "--dtype", "float32"]) == 0
        assert "AssertionError" not in capsys.readouterr().out
        assert execute(["check", f"{path}:f"]) == 3  # most kinds of images could not be tried
        said = " ".join(capsys.readouterr().out.split())
        assert re.search(r"not tried: 8-bit RGB, .*AssertionError.* the check is incomplete", said)

    def test_a_path_with_a_blank_is_found(self, picture: str, tmp_path: Path) -> None:
        path, out = tmp_path / "dir with blank" / "f.py", str(tmp_path / "out.npy")
        path.parent.mkdir()
        path.write_text("def f(chunk):\n    return 255 - chunk\n")
        assert execute(["run", f"{path}:f", picture, "-o", out, "--halo", "0"]) == 0
        assert_array_equal(np.load(out), 255 - IMAGE)
