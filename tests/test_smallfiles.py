"""Making: small files as one worker makes them, to the byte as a run does."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.work import heldfiles, smallfiles, smallpass
from imgpipe.batches.work.answers import Failed, File, Made, Output, Recipe, Tail, TooLarge
from imgpipe.batches.work.heldfiles import publish
from imgpipe.batches.work.smallfiles import make_files
from imgpipe.chains.chain import Chain
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.batch import CallsRequest, Request
from imgpipe.engine.callcontext import CallContext
from imgpipe.engine.jobs import CallJob
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import CorruptError, FilterError, InputError, OutputError
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.unnamedfiles import scratch_folder
from imgpipe.options import Options
from imgpipe.registry import FORMATS
from imgpipe.temporaries import temporary_beside
from tests.batches import make_images
from tests.conftest import noise
from tests.test_calls import Pile

HERE = CallContext(None, None)
WRITTEN = [
    member.suffixes[0]
    for name, member in FORMATS.built_in.items()
    if not member.read_only and name != "zarr"
]
CHAINS = ["blur:1", "autocontrast", "resize:20x | unsharp", "rotate:90", "median:2"]


def file(source: Path, *outputs: Path) -> File:
    each = (Output(str(path), temporary_beside(str(path))) for path in outputs)
    return File(str(source), tuple(each))


def recipe(*chains: Any, **given: Any) -> Recipe:
    return Recipe(tuple(Tail(chain_from(chain)) for chain in chains), **given)


def made(recipe: Recipe, *files: File) -> list[Any]:
    """Make files, and publish finished outputs."""
    answers = make_files(recipe, files, HERE)
    assert len(answers) == len(files)
    assert not publish([one for each in answers if isinstance(each, Made)
                        for one in each.finished])  # fmt: skip
    return answers


def nothing_left(folder: Path) -> None:
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small picture in every format that can be written."""
    folder = tmp_path_factory.mktemp("sources")
    found = {}
    for suffix in WRITTEN:
        found[suffix] = folder / f"picture{suffix}"
        imgpipe.write(noise((33, 47, 3), "uint8"), found[suffix])
    return found


# --- the same bytes -------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", WRITTEN)
def test_outputs_of_every_format_have_the_bytes_of_a_run(
    suffix: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    """From sources of every format."""
    files = [file(path, tmp_path / f"{path.suffix[1:]}{suffix}") for path in sources.values()]
    answers = made(recipe("blur:1"), *files)
    for source, one in zip(sources.values(), files, strict=True):
        wanted = tmp_path / f"wanted{suffix}"
        imgpipe.run(source, "blur:1", wanted, executor="serial", workers=1)
        assert Path(one.outputs[0].path).read_bytes() == wanted.read_bytes(), source
    assert all(isinstance(answer, Made) for answer in answers), answers
    nothing_left(tmp_path)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (64, 64, 4), (700, 900, 3), (300, 20, 1)])
def test_filters_of_every_kind_give_the_bytes_of_a_run(
    chain: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise(shape, "uint16"), source)
    (answer,) = made(recipe(chain), file(source, tmp_path / "out.png"))
    assert isinstance(answer, Made), answer
    imgpipe.run(source, chain, tmp_path / "wanted.png", executor="serial", workers=1)
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()


def test_several_outputs_come_from_one_decoding(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((90, 60, 3), "uint8"), source)
    outputs = [tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "c.webp"]
    chains = ["resize:40x", "resize:20x", "blur:2"]
    (answer,) = made(recipe(*chains), file(source, *outputs))
    assert [one.output for one in answer.finished] == list(map(str, outputs))
    for chain, path in zip(chains, outputs, strict=True):
        wanted = tmp_path / f"wanted{path.suffix}"
        imgpipe.run(source, chain, wanted, executor="serial", workers=1)
        assert path.read_bytes() == wanted.read_bytes()


def test_all_frames_are_made_and_coded_pixels_copied_as_by_conversion(tmp_path: Path) -> None:
    pages, still = tmp_path / "pages.tif", tmp_path / "still.jpg"
    _write_pages(pages)
    imgpipe.write(noise((30, 40, 3), "uint8"), still)
    (animated,) = made(recipe("invert"), file(pages, tmp_path / "out.tif"))
    assert isinstance(animated, Made), animated
    assert len(tifffile.imread(tmp_path / "out.tif")) == 2
    (half,) = made(recipe("crop:0,0,15,20"), file(pages, tmp_path / "half.tif"))
    assert isinstance(half, Made), half
    assert half.pixels == animated.pixels == 2 * 600  # those of the source
    (copied,) = made(recipe(Chain(()), copies=True), file(still, tmp_path / "copy.jpg"))
    assert isinstance(copied, Made), copied
    assert (tmp_path / "copy.jpg").read_bytes() == still.read_bytes()
    nothing_left(tmp_path)


def _write_pages(path: Path) -> None:
    tifffile.imwrite(path, np.stack([noise((20, 30), "uint8"), noise((20, 30), "uint8", seed=2)]),
                     photometric="minisblack")  # fmt: skip


# --- content of answers ---------------------------------------------------------------------


def test_an_answer_has_status_digest_and_seconds_of_a_file(tmp_path: Path) -> None:
    source, out = tmp_path / "source.png", tmp_path / "out.png"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)
    (answer,) = made(recipe("blur:1"), file(source, out))
    found = source.stat()
    assert answer.status == (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    assert answer.digest == file_digest(str(source))
    assert answer.pixels == 600
    assert {name for name, _ in answer.seconds} >= {"open", "read", "filter", "encode", "write"}
    assert all(seconds >= 0 for _, seconds in answer.seconds)
    (finished,) = answer.finished
    assert (finished.size, finished.mtime_ns) == (out.stat().st_size, out.stat().st_mtime_ns)


def test_warnings_go_into_the_answer_of_every_file_that_has_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((20, 30, 3), "uint16"), source)
    files = [file(source, tmp_path / f"{number}.jpg") for number in range(2)]
    with caplog.at_level(logging.WARNING):
        answers = made(recipe("invert"), *files)
    for answer, one in zip(answers, files, strict=True):
        (text,) = answer.warnings
        assert text.startswith(f"{one.outputs[0].path}: converted for JPEG")
    assert not caplog.records
    logging.getLogger("imgpipe").warning("heard again")
    assert "heard again" in caplog.text


# --- failures -------------------------------------------------------------------------------


def raising(chunk: Any) -> Any:
    if chunk[0, 0, 0] == 7:
        raise ValueError("seven")
    return chunk


def test_a_failure_costs_its_own_file_only(tmp_path: Path) -> None:
    good, seven, torn = (tmp_path / name for name in ("good.png", "seven.png", "torn.png"))
    array = noise((20, 30, 3), "uint8")
    imgpipe.write(array * 0, good)
    imgpipe.write(array * 0 + 7, seven)
    imgpipe.write(array, torn)
    data = bytearray(torn.read_bytes())
    data[-200] ^= 255
    torn.write_bytes(data)
    text = tmp_path / "text.png"
    text.write_text("no image")
    missing = tmp_path / "missing.png"
    out = tmp_path / "out"
    out.mkdir()
    files = [file(path, out / path.name) for path in (good, torn, seven, missing, text, good)]
    answers = made(Recipe((Tail(chain_from(raising, 0)),)), *files)
    kinds = ["made" if isinstance(one, Made) else (one.stage, type(one.error)) for one in answers]
    assert kinds[1:4] == [("read", CorruptError), ("filter", FilterError), ("open", InputError)]
    assert kinds[4][0] == "open"
    assert kinds[0] == kinds[5] == "made"
    assert "torn.png" in str(answers[1].error)
    assert "ValueError: seven" in str(answers[2].error)
    assert os.listdir(out) == ["good.png"]


def test_an_output_that_cannot_be_written_says_the_number_of_the_error(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)
    (answer,) = made(recipe("invert"), file(source, tmp_path / "nowhere" / "out.png"))
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, OutputError)
    assert answer.number == 2


def test_a_disk_that_does_not_take_the_data_is_the_failure_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answers = made(recipe("invert"), file(source, tmp_path / "1.png"))
    assert [(one.stage, one.number) for one in answers] == [("write", 28)]
    assert not (tmp_path / "1.png").exists()
    nothing_left(tmp_path)


class Changing(heldfiles.HeldOrigin):
    """A source that changes while it is read, the first times that it is opened."""

    times = 0

    @property
    def changed(self) -> bool:
        Changing.times -= 1
        return Changing.times >= 0


@pytest.mark.parametrize("times", [1, 2])
def test_a_source_that_changes_is_tried_once_more(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)
    monkeypatch.setattr(smallfiles, "HeldOrigin", Changing)
    Changing.times = times
    (answer,) = made(recipe("invert"), file(source, tmp_path / "out.png"))
    assert isinstance(answer, Made) == (times == 1)
    if times == 2:
        assert "changed while it was read" in str(answer.error)
        nothing_left(tmp_path)


def _changed(origin: heldfiles.HeldOrigin) -> bool:
    return origin.changed


def test_a_file_that_is_written_to_or_replaced_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    origin = heldfiles.HeldOrigin(str(path))
    origin.read(10)
    assert not _changed(origin)
    other = tmp_path / "other"
    other.write_bytes(b"1")
    other.replace(path)
    assert _changed(origin)
    origin.close()


# --- files that a worker leaves to the crew -------------------------------------------------


def test_files_that_do_not_fit_are_left_to_the_crew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((200, 300, 3), "uint8"), source)
    (little,) = made(recipe("blur:1", allowance=100_000), file(source, tmp_path / "out.png"))
    (folder,) = made(recipe("blur:1"), file(source, tmp_path / "out.zarr"))
    monkeypatch.setattr(smallfiles, "MOST_PIXELS", 50_000)
    (large,) = made(recipe("blur:1"), file(source, tmp_path / "out.png"))
    for answer in (little, folder, large):
        assert isinstance(answer, TooLarge), answer
        assert answer.pixels in (0, 60_000)
    assert sorted(os.listdir(tmp_path)) == ["source.png"]


def test_a_strip_of_whole_rows_is_one_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the last chunk of each strip would be low, and mostly halo."""
    counted: list[int] = []

    def worked(task: Any, job: Any) -> Any:
        counted.extend(len([*branch.tiler.chunks(part.box)])
                       for part in task.parts for branch in job.branches)  # fmt: skip
        return smallpass_worked(task, job)

    smallpass_worked = smallpass.worked
    monkeypatch.setattr(smallpass, "worked", worked)
    imgpipe.write(noise((900, 1500, 3), "uint8"), tmp_path / "in.png")
    made(recipe("blur:1"), file(tmp_path / "in.png", tmp_path / "out.jpg"))
    assert counted == [1, 1]


def test_a_plan_leaves_room_for_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: list[int] = []

    def make_plans(*args: Any, **given: Any) -> Any:
        budgets.append(given["max_memory"])
        return planned(*args, **given)

    planned = smallpass.make_plans
    monkeypatch.setattr(smallpass, "make_plans", make_plans)
    imgpipe.write(noise((300, 400, 3), "uint8"), tmp_path / "in.png")
    given = recipe("blur:1", allowance=50_000_000)
    made(given, *(file(tmp_path / "in.png", tmp_path / f"{n}.png") for n in range(3)))
    assert budgets == [50_000_000 - (tmp_path / "in.png").stat().st_size]


def test_a_call_ends_after_some_megapixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source.png"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)
    monkeypatch.setattr(smallfiles, "_GROUP_PIXELS", 1_000)
    files = tuple(file(source, tmp_path / f"{number}.png") for number in range(5))
    assert len(make_files(recipe("invert"), files, HERE)) == 2


def test_a_call_ends_with_a_failure_that_may_end_the_batch(tmp_path: Path) -> None:
    files = tuple(file(tmp_path / "missing.png", tmp_path / f"{number}.png") for number in range(5))
    assert len(make_files(recipe("invert", stops_at_failure=True), files, HERE)) == 1
    assert len(make_files(recipe("invert"), files, HERE)) == 5


# --- publishing -----------------------------------------------------------------------------


def test_nothing_appears_before_it_is_published_and_modes_are_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "source.png", tmp_path / "out.png"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)
    out.write_text("old")
    out.chmod(0o640)
    (answer,) = make_files(recipe("invert"), (file(source, out),), HERE)
    assert isinstance(answer, Made)
    assert out.read_text() == "old"
    assert not publish(answer.finished)
    assert out.stat().st_mode & 0o777 == 0o640
    assert np.array_equal(imgpipe.read(out), 255 - imgpipe.read(source))
    assert list(publish(answer.finished)) == [str(out)]  # it is gone


# --- in a pool ------------------------------------------------------------------------------


def dying(chunk: Any) -> Any:
    if chunk[0, 0, 0] == 7:
        os.kill(os.getpid(), 11)
    return chunk


class Files(Pile):
    """A dispatcher of files."""

    def land(self, item: File, answer: Any, worker: Any) -> None:
        self.answers[item.name] = answer


def test_a_file_that_kills_its_workers_fails_alone_beside_an_image_in_chunks(
    tmp_path: Path,
) -> None:
    """All in one crew: the calls, and an image that is cut."""
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        imgpipe.write(noise((20, 30, 3), "uint8") * 0 + 5 + number, path)
    large, out = tmp_path / "large.npy", tmp_path / "out"
    np.save(large, noise((900, 400, 3), "uint8"))
    out.mkdir()
    dispatcher = Files([tuple(file(path, out / path.name) for path in paths)])
    common = Recipe((Tail(chain_from(dying, 0)),))
    job = CallJob("files", make_files, common, ours=False)

    def goals(source: Any) -> tuple[WantedOutput, ...]:
        stages = resolve(chain_from("blur:1"), source.info)
        return (WantedOutput(stages, open_sink(out / "large.png", stages[-1].after), "large.png"),)

    requests: list[Any] = [
        CallsRequest(lambda _: job, dispatcher, 64 << 20),
        Request(lambda: open_source(large), goals),
    ]
    outcomes = list(make_images(requests, Options(workers=1, executor="processes")))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [Path(name).name for name in dispatcher.given_up] == ["2.png"]
    answers = [dispatcher.answers[str(path)] for path in paths if path.name != "2.png"]
    assert not publish([one for answer in answers for one in answer.finished])
    assert sorted(name for name in os.listdir(out) if name[0] != ".") == [
        "0.png", "1.png", "3.png", "4.png", "5.png", "large.png"
    ]  # fmt: skip
    imgpipe.run(large, "blur:1", tmp_path / "wanted.png", executor="serial", workers=1)
    assert (out / "large.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()


def test_scratch_files_lie_in_their_folder_or_beside_the_outputs(tmp_path: Path) -> None:
    source, out, given = tmp_path / "source.png", tmp_path / "out", tmp_path / "given"
    imgpipe.write(noise((20, 30, 3), "uint8"), source)
    out.mkdir()
    found: list[str] = []

    def noting(chunk: Any) -> Any:
        found.append(scratch_folder())
        return chunk

    for scratch in (None, str(given)):
        common = Recipe((Tail(chain_from(noting, 0)),), scratch=scratch)
        made(common, file(source, out / "out.png"))
    usual = {str(out), tempfile.gettempdir(), "/var/tmp"}
    assert found[0] in usual
    assert found[-1] == str(given)
