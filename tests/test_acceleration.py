"""Accelerators: the choice, the trial, the record, and the way of each into every run."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe import acceleration, trialrecords, trials
from imgpipe.acceleration import NONE, accelerated, get_ready, using
from imgpipe.accelerators import choice
from imgpipe.acceleratortable import ACCELERATED
from imgpipe.batches.events import OutputEnded
from imgpipe.chains.entry import chain_from
from imgpipe.chains.loading import load_registered
from imgpipe.errors import MemoryPlanError, UsageError
from imgpipe.image import Pixels
from imgpipe.kernels.boxes import box_mean
from imgpipe.kernels.extremes import extreme
from imgpipe.machine import is_own_process
from imgpipe.options import Options
from imgpipe.registry import ACCELERATORS, FILTERS
from imgpipe.running import plan_run
from imgpipe.testing.pictures import noise

Function = Callable[..., Pixels | None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a process that knows no accelerator yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("IMGPIPE_ACCELERATOR", raising=False)
    forget(monkeypatch)
    return tmp_path / "cache" / "imgpipe" / "accelerators"


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as a new process does."""
    monkeypatch.setattr(acceleration, "_loaded", {})
    monkeypatch.setattr(acceleration, "_told", set())
    monkeypatch.setattr(trialrecords, "_records", {})
    monkeypatch.setattr(choice, "_seen", [0.0])


@contextmanager
def accelerator(kernels: Mapping[str, Function], version: str = "1.0") -> Iterator[None]:
    """An accelerator ``fake`` with these functions."""
    with ACCELERATORS.with_member(
        "fake", SimpleNamespace(NAME="fake", VERSION=version, KERNELS=kernels)
    ):
        yield


@accelerated
def doubled(chunk: Pixels, factor: int = 2, tables: Any = None) -> Pixels:
    """Return a multiple, without the outermost pixels."""
    return (chunk * chunk.dtype.type(factor))[1:-1, 1:-1]


@accelerated
def copied(chunk: Pixels) -> Pixels:
    """Return a copy."""
    return chunk.copy()


class Counting:
    """An accelerator's function that counts its calls, and may lie about some chunks."""

    def __init__(self, lies: Callable[[Pixels], bool] = lambda _: False) -> None:
        self.calls, self.lies = 0, lies
        self.lock = threading.Lock()

    def __call__(self, chunk: Pixels, factor: int = 2, tables: Any = None) -> Pixels | None:
        with self.lock:
            self.calls += 1
        made = (chunk * chunk.dtype.type(factor))[1:-1, 1:-1]
        return made + 1 if self.lies(chunk) else made


CHUNK = noise((20, 30, 3), "uint8")


class TestKernels:
    def test_are_numpys_unless_an_accelerator_is_in_use(self) -> None:
        function = Counting()
        with accelerator({"doubled": function}):
            doubled(CHUNK)
            with using(NONE):
                doubled(CHUNK)
        assert function.calls == 0

    def test_are_tried_once_for_each_type_and_parameter(self) -> None:
        function = Counting()
        with accelerator({"doubled": function}), using("fake"):
            doubled(CHUNK)
            tried = function.calls
            assert tried > 20
            doubled(CHUNK)
            assert function.calls == tried + 1
            doubled(CHUNK, factor=3)
            assert function.calls > tried + 20

    def test_arrays_among_the_parameters_stand_for_their_type_and_shape(self) -> None:
        function = Counting()
        with accelerator({"doubled": function}), using("fake"):
            doubled(CHUNK, tables=np.zeros(3))
            tried = function.calls
            doubled(CHUNK, tables=np.ones(3))
            assert function.calls == tried + 1
            doubled(CHUNK, tables=np.ones(4))
            assert function.calls > tried + 20

    def test_are_asked_once_whether_they_take_a_place(self) -> None:
        asked = list[str]()

        class Placing(Counting):
            @property
            def __kwdefaults__(self) -> dict[str, Any] | None:  # type: ignore[override]
                asked.append("")
                return None

        with accelerator({"doubled": Placing()}), using("fake"):
            doubled(CHUNK)
            doubled(CHUNK)
        assert len(asked) == 1

    def test_of_foreign_byte_order_are_numpys(self) -> None:
        function = Counting()
        with accelerator({"doubled": function}), using("fake"):
            doubled(CHUNK.astype(">u2"))
        assert function.calls == 0

    @pytest.mark.parametrize(
        "lies",
        [
            lambda chunk: chunk.max() == 255 and chunk.min() == 254,
            lambda chunk: chunk.shape[:2] == (3, 3),
            lambda chunk: chunk.shape[1] > 100,
            lambda chunk: not chunk.flags.c_contiguous,
            lambda chunk: chunk.strides[1] > 3,
            lambda chunk: np.count_nonzero(chunk) == 3,
        ],
        ids=["high values", "one pixel", "long rows", "strides", "channels beside", "one white"],
    )
    def test_of_a_liar_are_numpys_and_that_is_reported_once(
        self, lies: Callable[[Pixels], bool], caplog: pytest.LogCaptureFixture
    ) -> None:
        function = Counting(lies)
        with accelerator({"doubled": function}), using("fake"):
            for _ in range(3):
                assert np.array_equal(doubled(CHUNK), (CHUNK * 2)[1:-1, 1:-1])
        (record,) = caplog.records
        assert "fake 1.0 differs from NumPy in the kernel 'doubled' of uint8" in record.message

    def test_of_one_that_fails_are_numpys(self, caplog: pytest.LogCaptureFixture) -> None:
        def failing(chunk: Pixels) -> Pixels:
            raise RuntimeError("no luck")

        with accelerator({"doubled": failing}), using("fake"):
            for _ in range(3):
                assert np.array_equal(doubled(CHUNK), (CHUNK * 2)[1:-1, 1:-1])
        (record,) = caplog.records
        assert "no luck" in record.message

    def test_of_one_that_changes_its_input_are_numpys(self) -> None:
        def careless(chunk: Pixels) -> Pixels:
            made = chunk.copy()
            chunk[...] = 0
            return (made * made.dtype.type(2))[1:-1, 1:-1]

        chunk = CHUNK.copy()
        with accelerator({"doubled": careless}), using("fake"):
            for _ in range(2):
                assert np.array_equal(doubled(chunk), (CHUNK * 2)[1:-1, 1:-1])

    def test_of_one_that_uses_its_array_again_are_numpys(self) -> None:
        """A filter may need two results of a kernel, such as the greatest and the least values."""
        kept = np.zeros(1 << 16, np.uint8)

        def keeping(chunk: Pixels) -> Pixels:
            made = (chunk * chunk.dtype.type(2))[1:-1, 1:-1]
            out = kept[: made.size].reshape(made.shape)
            out[...] = made
            return out

        with accelerator({"doubled": keeping}), using("fake"):
            first, second = doubled(CHUNK), doubled(CHUNK + 1)
        assert np.array_equal(first, (CHUNK * 2)[1:-1, 1:-1])
        assert np.array_equal(second, (CHUNK * 2 + 2)[1:-1, 1:-1])

    def test_of_one_that_returns_its_input_are_numpys(self) -> None:
        with accelerator({"copied": lambda chunk: chunk}), using("fake"):
            assert not np.shares_memory(copied(CHUNK), CHUNK)

    @pytest.mark.parametrize("made", [3, [[1]], np.zeros(3, "u1"), "text", np.uint8(1)])
    def test_of_one_that_makes_no_image_are_numpys(self, made: Any) -> None:
        with accelerator({"doubled": lambda chunk: made}), using("fake"):
            for _ in range(2):
                assert np.array_equal(doubled(CHUNK), (CHUNK * 2)[1:-1, 1:-1])

    def test_that_are_not_covered_are_asked_for_once(self) -> None:
        asked = list[Pixels]()
        with accelerator({"doubled": asked.append}), using("fake"):
            for _ in range(3):
                doubled(CHUNK)
        assert len(asked) == 1

    def test_are_tried_by_one_thread_at_a_time(self) -> None:
        function, results = Counting(), list[Pixels]()

        def work() -> None:
            with using("fake"):
                results.append(doubled(CHUNK))

        with accelerator({"doubled": function}):
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert all(np.array_equal(each, results[0]) for each in results)
        assert function.calls < 2 * 100

    def test_of_one_that_cannot_be_loaded_are_numpys(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with accelerator({}):
            del ACCELERATORS._loaded["fake"]
            for _ in range(2):
                with using("fake"):
                    doubled(CHUNK)
        (record,) = caplog.records
        assert "the accelerator 'fake' cannot be loaded" in record.message


def test_getting_ready_says_nothing_of_one_that_cannot_be_loaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with accelerator({}):
        del ACCELERATORS._loaded["fake"]
        get_ready("fake")
        assert not caplog.records
        with using("fake"):
            assert "cannot be loaded" in caplog.text


class TestPictures:
    def test_are_of_every_kind_and_size(self) -> None:
        found = list(trials.pictures(np.dtype("uint16"), (2, 3), 3))
        assert len({each.tobytes() for each in found}) == 40
        assert {each.shape for each in found} >= {(5, 7, 3), (35, 136, 3)}
        assert all(each.dtype == np.uint16 for each in found)

    def test_are_few_if_the_halo_is_large(self) -> None:
        assert len(list(trials.pictures(np.dtype("uint8"), (400, 400), 3))) == 2

    @pytest.mark.parametrize(("dtype", "radius"), [("uint16", 5), ("int16", 8)])
    def test_show_sums_that_are_rounded_to_the_wrong_side(self, dtype: str, radius: int) -> None:
        """The mean of OpenCV is no longer the nearest whole number from these radii on."""
        cv2 = pytest.importorskip("cv2")

        @accelerated
        def mean(chunk: Pixels) -> Pixels:
            return box_mean.__wrapped__(chunk, radius=radius)  # type: ignore[attr-defined,no-any-return]

        def theirs(chunk: Pixels) -> Pixels:
            side = 2 * radius + 1
            made: Pixels = cv2.blur(np.ascontiguousarray(chunk), (side, side))
            return made[radius:-radius, radius:-radius]

        with accelerator({"mean": theirs}), using("fake"):
            mean(noise((60, 60, 3), dtype))
            loaded = acceleration._in_use.get()
            assert loaded is not None
            assert list(loaded.known.values()) == [False]


class TestRecord:
    def outcome(self, function: Counting, version: str = "1.0") -> int:
        with accelerator({"doubled": function}, version), using("fake"):
            doubled(CHUNK)
        return function.calls

    def test_saves_the_trial_in_the_next_process(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.outcome(Counting()) > 20
        assert "\nequal fake 1.0 doubled" in (cache / "fake").read_text()
        forget(monkeypatch)
        assert self.outcome(Counting()) == 1

    def test_keeps_a_liar_off_without_a_word(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.outcome(Counting(lambda _: True))
        caplog.clear()
        forget(monkeypatch)
        assert self.outcome(Counting()) == 0
        assert not caplog.records

    @pytest.mark.parametrize("changed", ["version", "processor", "variable", "source"])
    def test_is_for_one_version_machine_and_source(
        self, changed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.outcome(Counting())
        forget(monkeypatch)
        if changed == "processor":
            monkeypatch.setattr(trials, "_processor", lambda: "another")
        elif changed == "variable":
            monkeypatch.setenv("OPENCV_CPU_DISABLE", "AVX2")
        elif changed == "source":
            monkeypatch.setattr(trials, "_sources", lambda _: ("other.py 1 1",))
        assert self.outcome(Counting(), "1.1" if changed == "version" else "1.0") > 20

    @pytest.mark.parametrize(
        "content", [b"\xff\xfe\0\n", b"equal fake 1.0 dou", b"", b"x" * 3_000_000]
    )
    def test_that_is_damaged_is_made_again(
        self, content: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache.mkdir(parents=True)
        (cache / "fake").write_bytes(content)
        assert self.outcome(Counting()) > 20
        forget(monkeypatch)
        assert self.outcome(Counting()) == 1

    def test_that_cannot_be_written_is_done_without(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert self.outcome(Counting()) > 20
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setenv("HOME", "/nowhere")
        assert trialrecords.record_path("fake") == "/nowhere/.cache/imgpipe/accelerators/fake"

    def test_is_where_the_system_keeps_such_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setattr(sys, "platform", "darwin")
        assert trialrecords.record_path("x") == "/home/me/Library/Caches/imgpipe/accelerators/x"


def can(function: Callable[..., object], *args: object) -> bool:
    """Return whether the memory is enough."""
    with contextlib.suppress(MemoryPlanError):
        function(*args)
        return True
    return False


class TestChoice:
    """The choice of an accelerator, without loading it. ``opencv`` counts as installed."""

    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "_installed", {"opencv"})
        monkeypatch.setattr(choice, "is_loaded", lambda _: False)

    def chosen(self, asked: str | None, *work: tuple[str, str], pixels: float = 1e8) -> str:
        return choice.accelerating(choice.asked_for(asked), work, pixels).name

    def test_is_that_which_is_installed(self) -> None:
        assert self.chosen(None, ("erode", "uint8")) == "opencv"
        assert self.chosen("auto", ("erode", "uint8")) == "opencv"
        assert self.chosen("opencv", ("erode", "uint8")) == "opencv"
        assert self.chosen("none", ("erode", "uint8")) == "none"

    def test_is_none_where_nothing_is_covered(self) -> None:
        for asked in ("auto", "opencv"):
            assert self.chosen(asked, ("erode", "float32")) == "none"
            assert self.chosen(asked, ("solarize", "uint8")) == "none"
            assert self.chosen(asked) == "none"
            assert self.chosen(asked, ("solarize", "uint8"), ("erode", "uint8")) == "opencv"

    def test_is_none_where_memory_is_low_unless_it_is_named(self) -> None:
        assert Options(max_memory="255M").accelerator == "none"
        assert Options(max_memory="256M").accelerator == "auto"
        assert Options(max_memory="100M", accelerator="opencv").accelerator == "opencv"

    def test_is_none_where_the_image_needs_the_memory_unless_it_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in (("_ROOM", 0), ("_WORTH_LOADING", 0)):
            monkeypatch.setattr(choice, name, value)
        monkeypatch.setattr("imgpipe.engine.planning.is_loaded", lambda _: False)
        path = tmp_path / "in.png"
        imgpipe.write(noise((300, 400, 3), "uint8"), path)

        def planned(memory: int, accelerator: str) -> str:
            given = {"max_memory": memory, "accelerator": accelerator, "workers": 1}
            return plan_run(path, "median:1", tmp_path / "o.png", **given).accelerator

        fits = next(size for size in range(10**6, 10**8, 10**6) if can(planned, size, "none"))
        assert planned(fits, "auto") == "none"
        assert planned(fits + 30_000_000, "auto").startswith("opencv")
        with pytest.raises(MemoryPlanError):
            planned(fits, "opencv")

    def test_is_none_for_small_images_until_many_were_made(self) -> None:
        assert self.chosen("opencv", ("erode", "uint8"), pixels=100) == "opencv"
        assert self.chosen("auto", ("erode", "uint8"), pixels=512 * 512) == "none"
        many = [self.chosen("auto", ("erode", "uint8"), pixels=512 * 512) for _ in range(40)]
        assert many[0] == "none"
        assert many[-1] == "opencv"

    def test_is_for_small_images_too_once_it_is_loaded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choice, "is_loaded", lambda _: True)
        assert self.chosen("auto", ("erode", "uint8"), pixels=1) == "opencv"

    def test_is_that_of_the_environment_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IMGPIPE_ACCELERATOR", "none")
        assert self.chosen(None, ("erode", "uint8")) == "none"
        assert self.chosen("auto", ("erode", "uint8")) == "opencv"
        monkeypatch.setenv("IMGPIPE_ACCELERATOR", "cuda")
        with pytest.raises(UsageError, match="the environment variable IMGPIPE_ACCELERATOR must"):
            choice.asked_for(None)

    @pytest.mark.parametrize("unknown", ["cuda", "", 3, ["none"]])
    def test_that_is_unknown_is_an_error(self, unknown: Any) -> None:
        with pytest.raises(UsageError, match="must be one of none, auto, opencv, not"):
            choice.asked_for(unknown)

    def test_that_is_not_installed_is_an_error_that_tells_how(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choice, "_installed", set())
        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(UsageError, match=r"pip install 'imgpipe\[fast\]'"):
            choice.asked_for("opencv")
        assert self.chosen("auto", ("erode", "uint8")) == "none"

    def test_of_another_package_is_used_for_all_filters_if_it_is_named(self) -> None:
        with accelerator({}):
            assert self.chosen("fake", ("solarize", "float32"), pixels=1) == "fake"
            assert self.chosen("auto", ("solarize", "uint8")) == "none"

    def test_has_a_version_in_its_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "_version", lambda _: "5.0.0")
        found = choice.accelerating("opencv", [("erode", "uint8"), ("open", "uint8")], 1e8)
        assert str(found) == "opencv 5.0.0 for erode, open"
        assert str(choice.Accelerating()) == "none"


class TestTable:
    """The table of filters, which a change of an accelerator has to follow."""

    TEXTS: Mapping[str, str] = {
        "crop": "crop:width=9,height=9",
        "levels": "levels:in_black=0.1",
        "flip": "flip:horizontal",
        "linear": "linear:scale=2",
    }

    def text(self, name: str) -> str:
        """Return a filter with values for the parameters that it needs."""
        needed = [p for p in load_registered(name).definition.parameters if p.required]
        given = ",".join(f"{p.name}={p.example!r}" for p in needed)
        return self.TEXTS.get(name, f"{name}:{given}" if given else name)

    @pytest.mark.parametrize("name", sorted(set(FILTERS.built_in) - {"blend", "lut"}))
    def test_is_what_opencv_covers(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("cv2")
        monkeypatch.setattr(trials, "is_equal", lambda *_: (True, False))
        covered, chain = set[str](), chain_from(self.text(name))
        for dtype in ("uint8", "int8", "uint16", "int16", "float32"):
            for channels in (1, 3):
                image = noise((20, 30, channels), dtype)
                calls = list[str]()
                with using("opencv"):
                    loaded = acceleration._in_use.get()
                    assert loaded is not None
                    told = {
                        one: telling(function, calls) for one, function in loaded.kernels.items()
                    }
                    acceleration._in_use.set(loaded._replace(kernels=told))
                    try:
                        chain(image)
                    except imgpipe.ImgpipeError:
                        continue  # not a filter for such an image
                covered |= {dtype} if calls else set()
        written = set(ACCELERATED["opencv"].get(name, ()))
        written &= {"uint8", "int8", "uint16", "int16", "float32"}
        if not choice._is_recent("opencv", name):
            written = set()
        assert covered == written, f"imgpipe/acceleratortable.py: {name!r}: {covered}"

    def test_counts_only_what_the_version_computes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "_installed", {"opencv"})
        work = [("gamma", "uint16"), ("median", "uint16")]
        for version, filters in (("4.13.0", ("median",)), ("5.0.0", ("gamma", "median"))):
            monkeypatch.setattr(choice, "_version", lambda _, version=version: version)
            assert choice.accelerating("opencv", work, 1e8).filters == filters

    def test_has_no_other_filters(self) -> None:
        for table in ACCELERATED.values():
            assert set(table) <= set(FILTERS.built_in)


def telling(function: Function, calls: list[str]) -> Function:
    def told(*args: Any, **kwargs: Any) -> Pixels | None:
        found = function(*args, **kwargs)
        if found is not None:
            calls.append("covered")
        return found

    return told


def eroding(calls: list[str]) -> dict[str, Function]:
    """An accelerator's kernels: erosion, which counts its calls."""

    def counted(*args: Any) -> Pixels:
        calls.append("extreme")
        return extreme.__wrapped__(*args)  # type: ignore[attr-defined,no-any-return]

    return {"extreme": counted}


WAYS: dict[str, Callable[..., Any]] = {
    "run": lambda given: imgpipe.run("in.png", "erode", "out.png", **given),
    "run_all": lambda given: imgpipe.run_all("in.png", {"out.png": "erode"}, **given),
    "apply": lambda given: imgpipe.write(
        imgpipe.apply(imgpipe.read("in.png"), "erode", **given), "out.png"
    ),
    "submit": lambda given: imgpipe.submit("in.png", "erode", "out.png", **given).result(),
    "measure": lambda given: imgpipe.measure(
        "in.png", np.sum, lambda one, other: one + other, filter="erode", **given
    ),
    "batch": lambda given: imgpipe.batch("in.png", "erode", "out", overwrite=True, **given),
    "frames": lambda given: imgpipe.run("in.gif", "erode", "out.gif", **given),
    "batch of frames": lambda given: imgpipe.batch(
        "in.gif", "erode", "out", overwrite=True, **given
    ),
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    imgpipe.write(noise((40, 50, 3), "uint8"), "in.png")
    first, *others = (Image.fromarray(noise((40, 50, 3), "uint8", seed)) for seed in range(3))
    first.save("in.gif", save_all=True, append_images=others)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("way", WAYS)
class TestWaysIn:
    def test_use_it(self, way: str) -> None:
        calls = list[str]()
        with accelerator(eroding(calls)):
            WAYS[way]({"accelerator": "fake", "executor": "serial"})
        assert len(calls) > 20

    def test_do_without(self, way: str) -> None:
        calls = list[str]()
        with accelerator(eroding(calls)):
            WAYS[way]({"accelerator": "none", "executor": "serial"})
        assert not calls

    def test_refuse_an_unknown_one(self, way: str) -> None:
        with pytest.raises(UsageError, match="accelerator must be one of none, auto"):
            WAYS[way]({"accelerator": "cuda", "executor": "serial"})


@pytest.fixture
def package(tmp_path: Path, files: None) -> dict[str, str]:
    """The environment with a package that holds the accelerator of the documentation.

    It writes a line for each chunk that it computes.
    """
    (page,) = Path(__file__).parent.parent.glob("docs/accelerators.md")
    (source,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (point,) = re.findall(r"^scipy = (.*)$", page.read_text(), re.MULTILINE)
    site = tmp_path / "site"
    info = site / "mine-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    point = point.strip('"')
    (info / "entry_points.txt").write_text(f"[imgpipe.accelerators]\nscipy = {point}\n")
    folder, module = point.split(".")
    (site / folder).mkdir()
    (site / folder / "__init__.py").write_text("")
    (site / folder / f"{module}.py").write_text(source + TELLING)
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "CALLS": str(tmp_path / "calls")}


TELLING = """
def telling(chunk, *args):
    import os
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{os.getpid()} {chunk.shape}\\n")
    return extreme(chunk, *args)

KERNELS["extreme"] = telling
"""


def command(environment: dict[str, str], *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", *args],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("args", "made"),
    [
        (("in.png", "-o", "out.png"), "out.png"),
        (("in.png", "-o", "out.png", "--executor", "processes", "-j", "2"), "out.png"),
        (("in.png", "in.gif", "-o", "out"), "out/in.png"),
    ],
    ids=["serial", "processes", "batch"],
)
def test_a_package_adds_an_accelerator_with_the_same_bytes(
    args: tuple[str, ...], made: str, package: dict[str, str], tmp_path: Path
) -> None:
    command(package, "erode", *args, "--accelerator", "none")
    expected = Path(made).read_bytes()
    Path(made).unlink()
    assert not Path("calls").exists()
    more = ["--overwrite"] if "in.gif" in args else []
    said = command(package, "erode", *args, *more, "--accelerator", "scipy")
    assert "differs" not in said
    assert Path(made).read_bytes() == expected
    assert len(Path("calls").read_text().splitlines()) > 20


def test_a_liar_costs_one_line_and_no_byte(package: dict[str, str], tmp_path: Path) -> None:
    (module,) = (tmp_path / "site").glob("*/accelerator.py")
    module.write_text(module.read_text().replace("return extreme(chunk, *args)", "return chunk"))
    run = "erode", "in.png", "-o", "out.png", "--executor", "processes", "-j", "2"
    command(package, *run, "--accelerator", "none")
    expected = Path("out.png").read_bytes()
    said = command(package, *run, "--accelerator", "scipy")
    assert said.count("differs from NumPy") == 1
    assert Path("out.png").read_bytes() == expected
    before = Path("calls").read_text().count("\n")
    said = command(package, *run, "--accelerator", "scipy")
    assert "differs" not in said
    assert Path("calls").read_text().count("\n") == before


def test_a_crash_in_a_trial_costs_workers_but_no_run(
    package: dict[str, str], tmp_path: Path
) -> None:
    (module,) = (tmp_path / "site").glob("*/accelerator.py")
    module.write_text(
        module.read_text().replace("return extreme(chunk, *args)", "os.kill(os.getpid(), 9)")
    )
    run = "erode", "in.png", "-o", "out.png", "--executor", "processes", "-j", "2"
    command(package, *run, "--accelerator", "none")
    expected = Path("out.png").read_bytes()
    said = command(package, *run, "--accelerator", "scipy")
    assert said.count("has ended two processes in the kernel 'extreme'") == 1
    assert Path("out.png").read_bytes() == expected
    Path("calls").unlink()
    assert "ended" not in command(package, *run, "--accelerator", "scipy")
    assert not Path("calls").exists()


@imgpipe.filter(halo=0)
def settings_of_opencv(chunk: Pixels) -> Pixels:
    """Tell the threads of OpenCV in this process, and whether it uses OpenCL."""
    import cv2

    return np.full_like(chunk, 10 * cv2.getNumThreads() + cv2.ocl.useOpenCL())


def test_workers_give_opencv_one_thread(files: None) -> None:
    pytest.importorskip("cv2")
    imgpipe.run(
        "in.png", chain_from("erode") | settings_of_opencv(), "out.png", workers=1,
        executor="processes", accelerator="opencv",
    )  # fmt: skip
    assert set(imgpipe.read("out.png").flat) == {10}


def test_a_watch_uses_it(files: None) -> None:
    calls, stop = list[str](), threading.Event()

    def tell(event: object) -> None:
        if isinstance(event, OutputEnded):
            stop.set()

    Path("inbox").mkdir()
    os.rename("in.png", "inbox/in.png")
    with accelerator(eroding(calls)):
        imgpipe.watch(
            "inbox", "erode", "out", settle=0, poll=0.05, stop=stop, on_batch_event=tell,
            executor="serial", accelerator="fake",
        )  # fmt: skip
    assert len(calls) > 20


def test_the_plan_names_it(files: None) -> None:
    def accelerator_of(asked: str) -> str:
        return plan_run("in.png", "erode | invert", "out.png", accelerator=asked).accelerator

    with accelerator({}):
        assert accelerator_of("fake") == "fake for erode, invert"
        assert "accelerator: fake for erode, invert" in str(
            plan_run("in.png", "erode | invert", "out.png", accelerator="fake")
        )
        assert accelerator_of("none") == "none"


def test_the_plan_counts_its_memory(files: None) -> None:
    def memory(asked: str) -> int:
        return plan_run(
            "in.png", "erode", "out.png", accelerator=asked, executor="processes", workers=2
        ).memory

    with accelerator({}):
        assert memory("fake") - memory("none") == pytest.approx(24 << 20, abs=4 << 20)


def test_a_process_of_others_keeps_the_settings_of_opencv(files: None) -> None:
    pytest.importorskip("cv2")
    script = (
        "import cv2; cv2.setNumThreads(3); before = cv2.getNumThreads(); import imgpipe\n"
        "imgpipe.run('in.png', 'erode', 'out.png', executor='serial', accelerator='opencv')\n"
        "assert cv2.getNumThreads() == before"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert not is_own_process()
