"""Callables: any function of an array is a filter, with or without a name or a signature."""

from __future__ import annotations

import functools
import inspect
import operator
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.special
from numpy.testing import assert_array_equal

import imgpipe
from imgpipe.callables import docstring_of, name_of, signature_of, source_of
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import definitions_in, parse_chain
from imgpipe.cli import execute

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


class Scale:
    """Scale the values."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, chunk: Any, *, more: int = 1) -> Any:
        return chunk * self.by * more

    def method(self, chunk: Any, more: int = 1) -> Any:
        return chunk * self.by * more


class Dispatcher:
    """Wrapper of a function, as compilers such as numba return it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.py_func = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.py_func(*args, **kwargs)


def half(chunk: Any, more: int = 1) -> Any:
    """Halve it."""
    return chunk * 0.5 * more


def masked(chunk: Any, out: Any = None, where: bool = True, dtype: Any = None) -> Any:
    assert (out, where, dtype) == (None, True, None)
    return 255 - chunk


KINDS: dict[str, tuple[Callable[..., Any], dict[str, Any], Callable[[Any], Any]]] = {
    "a ufunc": (np.sqrt, {}, lambda a: np.rint(np.sqrt(a.astype(float)))),
    "a ufunc of two": (np.maximum, {"x2": 99}, lambda a: np.maximum(a, 99)),
    "a ufunc of scipy": (scipy.special.expit, {}, lambda a: np.rint(scipy.special.expit(a))),
    "a partial of a ufunc": (functools.partial(np.subtract, 255), {}, lambda a: 255 - a),
    "a ufunc and its dtype": (
        functools.partial(np.multiply, 2, dtype=float), {}, lambda a: np.minimum(a * 2.0, 255),
    ),
    "vectorize": (np.vectorize(lambda v: 255 - v), {}, lambda a: 255 - a),
    "frompyfunc": (np.frompyfunc(lambda v: 255 - v, 1, 1), {}, lambda a: 255 - a),
    "a function of numpy": (np.clip, {"a_min": 9, "a_max": 99}, lambda a: np.clip(a, 9, 99)),
    "its other parameters": (np.clip, {"min": 9, "max": 99}, lambda a: np.clip(a, 9, 99)),
    "sort": (np.sort, {}, np.sort),
    "a method of numpy": (np.ndarray.round, {}, lambda a: a),
    "a builtin": (abs, {}, lambda a: a),
    "an operator": (operator.inv, {}, lambda a: ~a),
    "an operator of two": (operator.floordiv, {"b": 2}, lambda a: a // 2),
    "a method caller": (operator.methodcaller("clip", 9, 99), {}, lambda a: np.clip(a, 9, 99)),
    "a function of C": (cv2.bitwise_not, {}, lambda a: 255 - a),
    "an object": (Scale(0.5), {"more": 2}, lambda a: a),
    "a method": (Scale(0.5).method, {"more": 2}, lambda a: a),
    "a partial of a method": (functools.partial(Scale(0.5).method, more=2), {}, lambda a: a),
    "a dispatcher": (Dispatcher(half), {"more": 2}, lambda a: a),
    "a mask": (np.isfinite, {}, lambda a: np.full(a.shape, 255)),
    "a lambda": (lambda c: 255 - c, {}, lambda a: 255 - a),
    "out, where and dtype": (masked, {}, lambda a: 255 - a),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_is_a_filter(self, kind: str) -> None:
        function, given, expected = KINDS[kind]
        assert_array_equal(imgpipe.filter(function, halo=0)(**given)(IMAGE), expected(IMAGE))
        assert_array_equal(imgpipe.filter(halo=0)(function)(**given)(IMAGE), expected(IMAGE))

    def test_travels_to_workers(self, kind: str, pool: Executor) -> None:
        function, given, expected = KINDS[kind]
        one = imgpipe.filter(function, halo=0)(**given)
        assert_array_equal(imgpipe.apply(IMAGE, one, executor=pool, chunk=16), expected(IMAGE))

    def test_tells_what_it_can(self, kind: str) -> None:
        function, given, _ = KINDS[kind]
        factory = imgpipe.filter(function, halo=0)
        one = factory(**given)
        assert " at 0x" not in repr(one)
        assert "<no value>" not in repr(one)
        assert one.digest == imgpipe.filter(function, halo=0)(**given).digest
        assert factory.__name__ == name_of(function)
        assert isinstance(factory.definition.summary, str)


def test_of_a_ufunc_only_the_inputs_are_parameters() -> None:
    assert signature_of(np.sqrt) == signature_of(np.frompyfunc(abs, 1, 1))
    assert list(signature_of(functools.partial(np.add, 1)).parameters) == ["x2"]
    for text in ("numpy:sqrt", "scipy.special:expit"):
        assert definitions_in(text, halo=0)[0].parameters == ()


def test_names_of_declarations_are_no_parameters_of_a_bare_function(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(
        "def f(chunk, out=None, border=1, halo=2, dtype=None, by=3):\n"
        "    return chunk + border + halo + by\n"
    )
    one = parse_chain(f"{tmp_path / 'f.py'}:f:by=1,border=wrap,halo=0,dtype=keep")
    assert [p.name for p in one.filters[0].definition.parameters] == ["by"]
    assert_array_equal(one(IMAGE // 2), IMAGE // 2 + 4)


def test_annotations_of_an_object_are_those_of_its_call() -> None:
    (more,) = imgpipe.filter(Scale(1), halo=0).definition.parameters
    assert more.kind is int


def test_a_docstring_that_begins_with_a_signature_begins_after_it() -> None:
    assert docstring_of(np.sqrt).startswith("Return the non-negative square-root")
    assert docstring_of(half) == "Halve it."


def test_values_of_a_vectorized_function_have_each_a_type_of_their_own() -> None:
    half = np.vectorize(lambda v: v / 2 if v > 10 else 0)  # of whole numbers, if the first is 0
    image = IMAGE.copy()
    image[0, 0] = 0
    one = imgpipe.filter(half, halo=0)()
    expected = np.where(image > 10, np.rint(image / 2), 0)
    assert_array_equal(one(image), expected)
    assert_array_equal(imgpipe.apply(image, one, executor="serial", chunk=8), expected)


class TestDigests:
    def test_cover_what_a_function_holds_on_to(self) -> None:
        def adding(n: int) -> Callable[[Any], Any]:
            return lambda chunk: chunk + n

        assert source_of(adding(1)) == source_of(adding(1))
        assert source_of(adding(1)) != source_of(adding(2))
        assert source_of(functools.partial(np.add, 1)) != source_of(functools.partial(np.add, 2))
        assert source_of(Scale(1).method) != source_of(Scale(2).method)
        assert source_of(Scale(1)) == source_of(Scale(1)) != source_of(Scale(2))

    def test_are_the_same_in_every_process(self) -> None:
        code = """
            import functools, operator, numpy as np, imgpipe
            class Scale:
                by = 3
                def __init__(self): self.table = np.arange(3)
                def __call__(self, chunk): return chunk
            def closure(n):
                return lambda chunk: (lambda c: c + n)(chunk)
            kinds = [np.sqrt, functools.partial(closure(2)), Scale(), closure(1), operator.neg,
                     np.vectorize(closure(3)), np.frompyfunc(closure(4), 1, 1)]
            print([imgpipe.filter(each, halo=0)().digest for each in kinds])
        """
        command = [sys.executable, "-c", textwrap.dedent(code)]
        runs = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
        assert len(runs) == 1
        assert len(set(runs.pop().split())) == 7


class TestOnTheCommandLine:
    @pytest.fixture
    def picture(self, tmp_path: Path) -> str:
        np.save(tmp_path / "in.npy", IMAGE)
        return str(tmp_path / "in.npy")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["numpy:sqrt"], np.rint(np.sqrt(IMAGE.astype(float)))),
            (["numpy:maximum", "--x2", "99"], np.maximum(IMAGE, 99)),
            (["numpy:maximum:99"], np.maximum(IMAGE, 99)),
            (["scipy.special:expit"], np.rint(scipy.special.expit(IMAGE))),
            (["operator:inv"], ~IMAGE),
            (["cv2:bitwise_not"], ~IMAGE),
            (["numpy:clip", "--min", "9", "--max", "99"], np.clip(IMAGE, 9, 99)),
        ],
    )
    def test_they_run(self, words: list[str], expected: Any, picture: str, tmp_path: Path) -> None:
        out = str(tmp_path / "out.npy")
        assert execute(["run", words[0], picture, "-o", out, "--halo", "0", *words[1:]]) == 0
        assert_array_equal(np.load(out), expected)

    def test_their_help_offers_the_inputs_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["run", "numpy:power", "--help"]) == 0
        page = capsys.readouterr().out
        assert "--x2" in page
        assert "First array elements raised to powers" in page
        for name in ("--out ", "--where", "--casting", "--subok", "--signature"):
            assert name not in page

    def test_they_are_checked(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["check", "numpy:sqrt"]) == 0
        assert "declare halo=0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (np.sqrt, "numpy:sqrt:halo=0"),
        (scipy.special.expit, "scipy.special:expit:halo=0"),
        (scipy.ndimage.gaussian_filter, "scipy.ndimage:gaussian_filter:sigma=2,halo=0"),
        (operator.neg, "operator:neg:halo=0"),
    ],
)
def test_a_bare_function_has_a_text_that_means_it(function: Any, text: str) -> None:
    one = parse_chain(text)
    assert one.filters[0].definition.kernel is function
    assert format_chain(one) == text
    assert parse_chain(format_chain(one)) == one


def test_a_ufunc_of_a_function_is_sent_by_value() -> None:
    one = imgpipe.filter(np.frompyfunc(lambda v: v + 1, 1, 1), halo=0)()
    from imgpipe.chains.serialization import by_value

    assert_array_equal(pickle.loads(by_value(one, "it"))(IMAGE // 2), IMAGE // 2 + 1)


def test_the_signature_of_what_tells_none_is_unknown() -> None:
    assert signature_of(cv2.medianBlur) is None
    assert signature_of(half) == inspect.signature(half)
