"""Executors are an open set: each has a name, and packages add theirs through entry points."""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import UsageError, WorkerError
from imgpipe.events import Finished
from imgpipe.executors.base import Traits, traits_of
from imgpipe.executors.choice import choose
from imgpipe.filters import autocontrast, blur, invert
from imgpipe.registry import EXECUTORS, Registry
from tests.conftest import noise
from tests.scripts import run_command

PIXELS = noise((40, 30, 3), "uint8")


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_has_a_name_and_says_its_traits(name: str) -> None:
    make = EXECUTORS.load(name)
    assert isinstance(traits_of(make), Traits)
    assert traits_of(make).same_host
    with make(2) as executor:
        assert isinstance(executor, Executor)
        assert traits_of(executor) == traits_of(make)
        assert executor.submit(divmod, 7, 3).result(60) == (2, 1)


@pytest.mark.parametrize("name", EXECUTORS)
def test_the_same_names_work_in_python_and_as_an_option(name: str, tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    imgpipe.run(tmp_path / "in.png", blur(), tmp_path / "expected.png", executor=name, workers=2)
    command = [sys.executable, "-m", "imgpipe", "blur", "in.png", "-o", "out.png", "-j", "2"]
    done = run_command([*command, "--executor", name, "-v"], tmp_path)
    assert f"{name}, as asked" in done.stderr
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_traits_are_those_that_an_executor_says_it_has() -> None:
    class Says(Executor):
        shares_files = True

    assert traits_of(Says()) == Traits(
        shares_memory=False, shares_files=True, isolates=True, same_host=False
    )
    assert traits_of(Executor()) == Traits(
        shares_memory=False, shares_files=False, isolates=True, same_host=False
    )
    with ThreadPoolExecutor(1) as threads:
        assert not traits_of(threads).isolates
    with ProcessPoolExecutor(1) as processes:
        assert traits_of(processes).shares_memory


class Cluster(ThreadPoolExecutor):
    """Has more processors than this machine may have."""

    traits = Traits(
        shares_memory=False, shares_files=False, isolates=True, same_host=False, processors=77
    )


class Unreachable(Executor):
    def __init__(self, workers: int) -> None:
        raise ConnectionRefusedError("nobody listens")


@pytest.fixture
def with_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Install a package with executors, one of which is far away; return its folder."""
    info = tmp_path / "site" / "more-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[imgpipe.executors]\n"
        "far = tests.faraway:FarAwayExecutor\n"
        "cluster = tests.test_executors:Cluster\n"
        "unreachable = tests.test_executors:Unreachable\n"
        "nothing = builtins:str\n"
        "missing = no_such_module:Executor\n"
    )
    registry = Registry("executor", dict(EXECUTORS.built_in), "imgpipe.executors")
    monkeypatch.setattr("imgpipe.executors.choice.EXECUTORS", registry)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # is hidden from the far executor
    return tmp_path


def test_a_package_adds_an_executor(with_more: Path) -> None:
    events: list[object] = []
    made = imgpipe.apply(PIXELS, autocontrast(), executor="far", chunk=10, on_event=events.append)
    np.testing.assert_array_equal(made, autocontrast()(PIXELS))
    (report,) = (event.report for event in events if isinstance(event, Finished))
    assert report.executor == "far, as asked"


def test_its_name_is_an_option_of_the_command(with_more: Path) -> None:
    np.save(with_more / "in.npy", PIXELS)
    root = Path(__file__).parents[1]
    path = os.pathsep.join(map(str, (with_more / "site", root)))
    run_command(
        [sys.executable, "-m", "imgpipe", "invert", "in.npy", "-o", "o.npy", "--executor", "far"],
        with_more,
        before=f'export PYTHONPATH="{path}" TMPDIR="{with_more}"',
    )
    np.testing.assert_array_equal(np.load(with_more / "o.npy"), invert()(PIXELS))


def test_the_processors_of_an_executor_are_all_used(with_more: Path) -> None:
    def workers(asked: object, given: int | None) -> int:
        return choose(asked, given, trusted=True, pixels=1 << 30).workers  # type: ignore[arg-type]

    assert workers("cluster", None) == 77
    assert workers("cluster", 2) == 2
    assert workers("serial", 8) == 1
    with Cluster(5) as cluster:
        assert workers(cluster, None) == 5


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("unreachable", WorkerError, r"'unreachable' cannot be started \(ConnectionRefusedError"),
        ("nothing", UsageError, "'nothing' comes from builtins, which made '1', not a concurrent"),
        ("missing", UsageError, "'missing' comes from no_such_module, which fails to load"),
        ("nowhere", UsageError, "one of serial, threads, processes, far, .*not 'nowhere'"),
    ],
)
def test_one_that_is_of_no_use_is_an_error(
    name: str, error: type[Exception], says: str, with_more: Path
) -> None:
    with pytest.raises(error, match=says):
        imgpipe.apply(PIXELS, invert(), executor=name, workers=1)


def test_the_command_says_which_executors_there_are(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    command = [sys.executable, "-m", "imgpipe", "blur", "in.png", "-o", "out.png"]
    done = run_command([*command, "--executor", "dusk"], tmp_path, code=2)
    assert "must be one of serial, threads, processes, not 'dusk'" in done.stderr
