"""Functions travel by value, and what is told of them still names their files."""

from __future__ import annotations

import pickle
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

from imgpipe.chains.serialization import by_value
from imgpipe.errors import UsageError

pytestmark = pytest.mark.lowest


def sent(function: Any) -> Any:
    return pickle.loads(by_value(function, "it"))


def of_file(path: Path, source: str) -> dict[str, Any]:
    """Return the definitions of a file, as of a module that no other process can import."""
    path.write_text(source)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, str(path), "exec"), names)
    return names


def test_functions_and_those_inside_them_keep_the_names_of_their_files(tmp_path: Path) -> None:
    source = "def outer(n):\n    def inner(x):\n        return x / n\n    return inner\n"
    names = of_file(tmp_path / "own.py", source)
    for function in (sent(names["outer"])(0), sent(names["outer"](0))):
        assert function.__code__.co_filename == str(tmp_path / "own.py")
        with pytest.raises(ZeroDivisionError) as caught:
            function(1)
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        assert (last.lineno, last.line) == (3, "return x / n")


def test_closures_defaults_and_lambdas_arrive_as_they_are() -> None:
    factor = 3

    def scaled(x: int, *, by: int = 2) -> int:
        return x * by * factor

    assert sent(scaled)(5) == 30
    assert sent(lambda x: scaled(x, by=1))(5) == 15


def test_an_error_names_a_function_that_cannot_travel_and_a_remedy() -> None:
    lock = threading.Lock()
    with pytest.raises(UsageError, match=r"^it cannot be sent.*lock.*at its first call"):
        by_value(lambda: lock, "it")
