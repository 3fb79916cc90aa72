"""Dry runs: every file with what would be done and why, and the sums of all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.batches.agenda import Policy
from imgpipe.batches.choices import Choices
from imgpipe.batches.dryrun import DryRun
from imgpipe.batches.events import BatchEvent, BatchPlanned
from imgpipe.batches.naming.outputnames import OutputNames
from imgpipe.batches.naming.template import Template
from imgpipe.batches.work.answers import Recipe, Tail
from imgpipe.chains.chain import Chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.cli import execute
from imgpipe.errors import UsageError
from imgpipe.formats.readwrite import Writing
from imgpipe.options import Options
from tests.batches import made


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/b/c.tif"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        imgpipe.write(np.zeros((200, 300, 3), np.uint8), name)


def dry(*chains: str, **given: Any) -> tuple[list[str], BatchPlanned, int]:
    """Return the lines of a dry run, the plan and the exit code."""
    writing = given.pop("writing", Writing())
    tails = tuple(
        Tail(parse_chain(each) if each else Chain(()), writing) for each in chains or ("blur",)
    )
    options = Options(executor="serial", max_memory=given.pop("max_memory", "2G"))
    recipe = Recipe(tails, copies=given.pop("copies", False))
    folder = "" if given.get("in_place") else "out"
    told: list[BatchEvent] = []
    run = DryRun(Choices(("in",), folder, recipe, options=options, **given), told.append)
    lines = list(run.lines())
    *_, plan = told
    assert isinstance(plan, BatchPlanned)
    return lines, plan, run.exit


def test_every_output_has_a_line_and_the_sums_follow() -> None:
    lines, plan, code = dry()
    assert lines[:3] == [
        "in/a.png -> out/a.png: new, 300 x 200, 0.1 MP",
        "in/b/c.tif -> out/b/c.tif: new, 300 x 200, 0.1 MP",
        "2 images to make (2 new)",
    ]
    (sums,) = (line for line in lines[3:] if "accelerator" not in line)
    assert sums.startswith("0.1 MP of sources in 2 passes, with up to ")
    assert sums.endswith(" MB of memory (limit 2.0 GB)")
    assert plan.pixels == {".png .png": 60_000, ".tif .tif": 60_000}
    assert 0 < (plan.peak_memory or 0) < 2e9
    assert code == 0
    assert not Path("out").exists()


def test_every_output_has_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    made("in", "blur", "out")
    Path("out/a.png").unlink()
    Path("in/broken.png").write_bytes(b"no image")
    capfd.readouterr()
    command = ["resize", "in", "-o", "out", "--size", "150x", "--skip-existing", "--dry-run"]
    assert execute([*command, "--json"]) == 3
    shown = capfd.readouterr()
    start, *told, plan, summary = map(json.loads, shown.out.splitlines())
    assert [start["event"], plan["event"], summary["event"]] == ["start", "plan", "summary"]
    assert summary["exit"] == 3
    found = {each["output"]: each for each in told}
    assert {(each["event"], each["action"], each["reason"]) for each in told} == {
        ("foretold", "make", "output missing"),
        ("foretold", "fail", "new"),
        ("foretold", "skip", "exists"),
    }
    there = found["out/a.png"]
    assert (there["width"], there["height"], there["source_pixels"]) == (150, 100, 60_000)
    assert found["out/broken.png"]["error"] == "FormatError"
    assert found["out/b/c.tif"]["width"] is None
    assert shown.err == "2 images to make (0.1 MP); 1 skipped\n"


def test_the_sums_are_reported_once(capfd: pytest.CaptureFixture[str]) -> None:
    Path("in/notes.txt").write_text("notes")
    assert execute(["blur", "in", "-o", "out", "--dry-run"]) == 0
    shown = capfd.readouterr()
    assert "2 images to make (2 new); 1 passed over: 1 not an image" in shown.out.splitlines()
    assert not shown.err


def test_too_little_memory_for_any_file_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert execute(["blur", "in", "-o", "out", "--dry-run", "--json", "--max-memory", "1M"]) == 2
    shown = capfd.readouterr()
    (summary,) = map(json.loads, shown.out.splitlines())
    assert (summary["exit"], summary["error"]) == (2, "MemoryPlanError")
    assert "limit is 1 MB" in shown.err


def test_reasons_are_those_of_the_run_that_follows() -> None:
    made("in", "blur", "out")
    Path("in/new.png").write_bytes(Path("in/a.png").read_bytes())
    os.utime("in/b/c.tif", (1, 1))
    Path("out/a.png").unlink()
    lines, _, _ = dry(policy=Policy(resume=True))
    assert lines[:4] == [
        "in/a.png -> out/a.png: output missing, 300 x 200, 0.1 MP",
        "in/new.png -> out/new.png: new, 300 x 200, 0.1 MP",
        "in/b/c.tif -> out/b/c.tif: up to date",
        "2 images to make (1 output missing, 1 new), 1 skipped",
    ]
    assert made("in", "blur", "out", resume=True).report.done == 2
    assert dry(policy=Policy(resume=True))[0][-1] == "nothing to make, 3 skipped"
    assert "filter changed" in dry("blur:3", policy=Policy(resume=True))[0][0]


def test_a_file_that_will_fail_is_reported() -> None:
    Path("in/a.png").write_bytes(b"no image")
    lines, _, code = dry()
    assert lines[0].startswith("in/a.png -> out/a.png: new, will fail: is not an image")
    assert "2 images to make (2 new); 1 source will fail" in lines
    assert code == 3


def test_an_option_is_for_the_outputs_whose_format_has_it() -> None:
    imgpipe.write(np.zeros((20, 30, 3), np.uint8), "in/d.jpg")
    lines, _, code = dry(writing=Writing(save={"quality": "33"}))
    assert code == 0, lines


def test_an_image_that_needs_too_much_memory_is_reported_with_the_memory_that_would_do() -> None:
    (line, *_), _, code = dry(max_memory="60M")
    assert "will fail: " in line
    assert "--max-memory" in line
    assert code == 3


def test_passes_and_several_outputs_of_a_file() -> None:
    templates = tuple(map(Template, ("{stem}-n.png", "{stem}-s.png")))
    lines, plan, _ = dry("equalize", "resize:10x", naming=OutputNames(templates=templates))
    assert lines[0] == "in/a.png -> out/a-n.png: new, 300 x 200, 0.1 MP, 2 passes"
    assert lines[1] == "in/a.png -> out/a-s.png: new, 10 x 7 from 300 x 200, 0.1 MP, 2 passes"
    assert sum((plan.pixels or {}).values()) == 120_000


def test_other_files_and_files_in_place() -> None:
    Path("in/notes.txt").write_text("notes")
    assert "in/notes.txt -> out/notes.txt: new, copied" in dry(copy_others=True)[0]
    assert dry(in_place=True)[0][0] == "in/a.png: new, 300 x 200, 0.1 MP"


def test_more_pages_than_an_output_holds() -> None:
    with tifffile.TiffWriter("in/b/c.tif") as file:
        for _ in range(3):
            file.write(np.zeros((4, 5, 3), np.uint8), contiguous=False)
    lines, _, _ = dry("", copies=True, naming=OutputNames(formats=("jpeg",)))
    assert lines[-1] == (
        '1 file has more pages than .jpg files hold: --name "{stem}-{page}.{ext}" makes all'
    )
    assert "in/b/c.tif -> out/b/c.tif: new, 5 x 4, 60 pixels" in dry("", copies=True)[0]


def test_a_batch_that_would_be_refused_is_refused() -> None:
    made("in", "blur", "out")
    with pytest.raises(UsageError, match="2 of 2 outputs exist"):
        dry()
