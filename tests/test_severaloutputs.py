"""Several outputs of one decode: all of them, or none."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import imgpipe
from imgpipe import severaloutputs
from imgpipe.cli import execute
from imgpipe.errors import OutputError, UsageError
from imgpipe.filters import blur, invert, resize, thumbnail
from imgpipe.formats.target import FileTarget
from imgpipe.options import Options
from tests.test_thumbnails import jpeg, scene


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return jpeg(tmp_path / "photo.jpg", scene(403, 601), 6)


def test_filters_make_the_same_bytes_as_in_runs_of_their_own(photo: Path, tmp_path: Path) -> None:
    wanted = {"a.png": blur(2), "b.tif": invert(), "c.jpg": resize("100x") | blur(1)}
    reports = imgpipe.run_all(
        photo, {tmp_path / name: one for name, one in wanted.items()}, workers=1
    )
    assert [Path(report.destination).name for report in reports] == list(wanted)
    for (name, one), report in zip(wanted.items(), reports, strict=True):
        alone = tmp_path / f"alone-{name}"
        imgpipe.run(photo, one, alone, workers=1)
        assert (tmp_path / name).read_bytes() == alone.read_bytes()
        assert report.size == alone.stat().st_size


def test_thumbnails_stay_near_the_exact_ones(photo: Path, tmp_path: Path) -> None:
    sizes = 240, 120, 60
    imgpipe.run_all(photo, {tmp_path / f"{s}.png": thumbnail(s) for s in sizes}, workers=1)
    for size in sizes:
        out = tmp_path / "exact.png"
        imgpipe.run(photo, thumbnail(size, exact=True), out, workers=1)
        exact, quick = imgpipe.read(out).astype(int), imgpipe.read(tmp_path / f"{size}.png")
        assert exact.shape == quick.shape
        assert abs(exact - quick).mean() < 1.5


def test_thumbnails_have_the_same_bytes_however_they_are_made(photo: Path) -> None:
    made = []
    for options in ({"workers": 1}, {"executor": "threads", "workers": 3, "chunk": 30}):
        outs = [io.BytesIO() for _ in range(4)]
        chains = thumbnail(240), thumbnail(120) | blur(1), thumbnail(120), thumbnail(110)
        imgpipe.run_all(photo, dict(zip(outs, chains, strict=True)), **options)
        made.append([out.getvalue() for out in outs])
    assert made[0] == made[1]


def test_an_option_goes_to_the_formats_that_have_it(photo: Path, tmp_path: Path) -> None:
    outputs = {tmp_path / "a.png": thumbnail(50), tmp_path / "a.jpg": thumbnail(50)}
    imgpipe.run_all(photo, outputs, save={"quality": 20}, workers=1)
    small = (tmp_path / "a.jpg").stat().st_size
    imgpipe.run_all(photo, outputs, save={"quality": 95}, workers=1)
    assert small < (tmp_path / "a.jpg").stat().st_size
    with pytest.raises(UsageError, match="no option 'colour'"):
        imgpipe.run_all(photo, outputs, save={"colour": 3})


def test_if_one_output_fails_there_is_none(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = FileTarget.commit

    def fails_for_b(target: FileTarget) -> int:
        if target.name.endswith("b.png"):
            raise OutputError("the disk is full")
        return publish(target)

    monkeypatch.setattr(FileTarget, "commit", fails_for_b)
    before = sorted(os.listdir(tmp_path))
    outputs = {tmp_path / f"{name}.png": thumbnail(50) for name in "abc"}
    with pytest.raises(OutputError, match="the disk is full"):
        imgpipe.run_all(photo, outputs, workers=1)
    assert sorted(os.listdir(tmp_path)) == before


def test_two_outputs_for_one_file_are_refused(photo: Path, tmp_path: Path) -> None:
    same = {tmp_path / "a.png": blur(1), str(tmp_path / "x/../a.png"): blur(2)}
    (tmp_path / "x").mkdir()
    with pytest.raises(UsageError, match="are the same file"):
        imgpipe.run_all(photo, same)


@pytest.mark.parametrize("outputs", [{}, ["a.png"], None])
def test_outputs_are_a_dict(photo: Path, outputs: object) -> None:
    with pytest.raises(UsageError, match="must be a dict with the filter of each output"):
        imgpipe.run_all(photo, outputs)
    with pytest.raises(UsageError, match="has no option 'region'"):
        imgpipe.run_all(photo, {"a.png": blur(1)}, region=(0, 0, 1, 1))


def test_the_memory_is_planned_for_all_outputs(photo: Path, tmp_path: Path) -> None:
    chains = {tmp_path / f"{n}.png": blur(n) for n in (1, 2, 3)}
    planned = [one.planned_memory for one in imgpipe.run_all(photo, chains, workers=1)]
    (alone,) = imgpipe.run_all(photo, {tmp_path / "1.png": blur(1)}, workers=1)
    assert max(planned) > alone.planned_memory


def test_thumbnails_in_memory_count_in_the_limit(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    run_to_all = severaloutputs.run_to_all

    def limited(source: Any, goals: Any, options: Options, control: Any) -> Any:
        limits.append(cast(int, options.max_memory))
        return run_to_all(source, goals, options, control)

    monkeypatch.setattr(severaloutputs, "run_to_all", limited)
    outputs = {tmp_path / f"{size}.png": thumbnail(size) for size in (240, 120)}
    imgpipe.run_all(photo, outputs, workers=1, max_memory="400M")
    imgpipe.run_all(photo, {tmp_path / "a.png": thumbnail(240)}, workers=1, max_memory="400M")
    *shared, alone = limits
    held = sum(rows * columns * 3 for rows, columns in ((240, 161), (120, 80)))
    assert len(shared) > 1
    assert {alone - one for one in shared} == {held}


class TestCommand:
    def test_names_outputs_by_stem_and_size(self, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "web"
        args = ["thumbnail", str(photo), "-o", str(out), "--size", "40,80x20", "-q", "-j", "1"]
        assert execute([*args, "--format", "webp,jpg", "--quality", "60"]) == 0
        assert sorted(os.listdir(out)) == [
            ".imgpipe", "photo-40.jpg", "photo-40.webp", "photo-80x20.jpg", "photo-80x20.webp",
        ]  # fmt: skip
        assert np.shape(imgpipe.read(out / "photo-40.jpg")) == (40, 27, 3)

    def test_one_size_keeps_the_name(self, photo: Path, tmp_path: Path) -> None:
        out = f"{tmp_path}/web/"
        assert execute(["thumbnail", str(photo), "-o", out, "--size", "40", "-q"]) == 0
        assert sorted(os.listdir(out)) == [".imgpipe", "photo.jpg"]

    def test_a_dry_run_leaves_no_folder(
        self, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        args = ["thumbnail", str(photo), "-o", f"{tmp_path}/web/", "--size", "40,80"]
        assert execute([*args, "--dry-run"]) == 0
        assert "photo-80.jpg" in capsys.readouterr().out
        assert os.listdir(tmp_path) == ["photo.jpg"]

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            (["--size", "40,5%"], "is not the size of a thumbnail"),
            (["--size", "40", "--format", "jpg,none"], "there is no format 'none'"),
            (
                ["--size", "40,80", "--format", "jpg,png", "--tile", "64"],
                "none of JPEG, PNG has an option 'tile'",
            ),
        ],
    )
    def test_says_what_is_wrong(
        self,
        photo: Path,
        tmp_path: Path,
        args: list[str],
        says: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert execute(["thumbnail", str(photo), "-o", f"{tmp_path}/web/", *args]) == 2
        assert says in capsys.readouterr().err
        assert os.listdir(tmp_path) == ["photo.jpg"]

    def test_never_replaces_the_input(
        self, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = photo.read_bytes()
        assert execute(["thumbnail", str(photo), "-o", str(tmp_path), "--size", "40"]) == 2
        assert "choose another folder, or use --in-place" in capsys.readouterr().err
        assert photo.read_bytes() == before
