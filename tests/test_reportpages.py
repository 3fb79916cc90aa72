"""Reports: complete for programs, bounded and harmless for people."""

from __future__ import annotations

import base64
import csv
import errno
import json
import os
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe.batches.events import BatchRefused, OutputEnded
from imgpipe.batches.results import Result
from imgpipe.errors import FilterTimeout, OutputError, UsageError
from imgpipe.reportpages.pictures import Picture
from imgpipe.reportpages.writing import ReportFile
from tests.batchresults import done, ended, failed, odd_names, planned, skipped, started, told
from tests.browser import Page
from tests.browser import browser as started_browser

PICTURE = Picture(4000, 3000, b"\xff\xd8" + b"x" * 14_998)


def fake_pictures(paths: Sequence[str]) -> dict[str, Picture]:
    return dict.fromkeys(paths, PICTURE)


def no_pictures(paths: Sequence[str]) -> dict[str, Picture]:
    return {}


def write(path: Path, results: list[Result], **facts: Any) -> str:
    """Write a report, and return its text."""
    with ReportFile(path, pictures=facts.pop("pictures", no_pictures)) as report:
        told(report, results, **facts)
    return path.read_bytes().decode()


def rows_of(page: str) -> list[list[Any]]:
    found = re.search(r'<script type="application/json" id="rows">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    rows: list[list[Any]] = json.loads(found[1])
    return rows


RESULTS = [
    *(done(f"{number}.jpg", seconds={"read": number / 100}) for number in range(50)),
    *(failed(name) for name in odd_names()),
    skipped(),
    skipped("s.jpg", "not_smaller"),
]


class TestEveryReport:
    @pytest.mark.parametrize("suffix", [".html", ".json", ".csv", ".HTML"])
    def test_appears_at_the_end(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"report{suffix}"
        with ReportFile(path, pictures=no_pictures) as report:
            told(report, RESULTS)
            assert not path.exists()
        assert os.listdir(tmp_path) == [path.name]

    def test_has_a_suffix_that_says_what_it_is(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"report\.txt: .*\.html, \.json or \.csv"):
            ReportFile(tmp_path / "report.txt")

    def test_that_cannot_be_written_is_refused_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputError):
            ReportFile(tmp_path / "file" / "report.json")

    @pytest.mark.parametrize("suffix", [".html", ".json", ".csv"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug")])
    def test_is_written_when_the_batch_breaks_off(
        self, tmp_path: Path, suffix: str, error: BaseException
    ) -> None:
        path = tmp_path / f"report{suffix}"
        report = ReportFile(path, pictures=no_pictures)
        report(started())
        report(planned([done()]))
        report(OutputEnded(done("a/x.jpg")))
        report.close(error)
        assert "a/x.jpg" in path.read_text()
        assert os.listdir(tmp_path) == [path.name]

    def test_of_a_batch_that_is_refused_does_not_exist(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_text("of yesterday")
        with ReportFile(path) as report:
            report(started())
            report(BatchRefused(2, UsageError("outputs exist")))
        assert path.read_text() == "of yesterday"
        assert os.listdir(tmp_path) == [path.name]

    @pytest.mark.parametrize("suffix", [".html", ".json", ".csv"])
    def test_takes_no_more_memory_for_more_results(self, tmp_path: Path, suffix: str) -> None:
        with ReportFile(tmp_path / f"report{suffix}", pictures=no_pictures) as report:
            report(started())
            report(planned([done()]))
            peaks = []
            for count in (500, 5_000):
                tracemalloc.start()
                for number in range(count):
                    report(
                        OutputEnded(done(f"folder/{number}.jpg", seconds={"read": 1.0 + number}))
                    )
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        assert peaks[1] < peaks[0] + 200_000

    def test_that_finds_no_space_does_not_stop_the_batch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "report.json"
        path.write_text("of yesterday")

        def refuse(fd: int, data: object) -> int:
            raise OSError(errno.ENOSPC, "no space left")

        with ReportFile(path) as report:
            report(started())
            report(planned([done()]))
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", refuse)
                for _ in range(1000):
                    report(OutputEnded(done()))
            report(ended([done()]))
        assert path.read_text() == "of yesterday"
        assert os.listdir(tmp_path) == [path.name]
        (message,) = caplog.messages
        assert message.startswith(f"{path}: cannot write: the disk is full")


class TestJson:
    def test_has_every_result_as_in_the_events(self, tmp_path: Path) -> None:
        report = json.loads(write(tmp_path / "r.json", RESULTS, exit=3))
        assert [each["output"] for each in report["results"][:50]] == [
            each.output for each in RESULTS[:50]
        ]
        assert len(report["results"]) == len(RESULTS)
        assert report["start"]["argv"] == ["imgpipe", "blur", "photos"]
        assert report["summary"]["exit"] == 3
        counts = [report["summary"][key] for key in ("done", "failed", "skipped")]
        assert counts == [50, len(odd_names()), 2]

    def test_keeps_the_bytes_of_any_name(self, tmp_path: Path) -> None:
        report = json.loads(write(tmp_path / "r.json", [failed(name) for name in odd_names()]))
        names = [
            base64.b64decode(each["path_bytes"]) if "path_bytes" in each else each["path"].encode()
            for each in report["results"]
        ]
        assert names == [os.fsencode(name) for name in odd_names()]

    def test_of_no_result_is_json_too(self, tmp_path: Path) -> None:
        assert json.loads(write(tmp_path / "r.json", []))["results"] == []

    def test_that_broke_off_says_by_which_error(self, tmp_path: Path) -> None:
        path = tmp_path / "r.json"
        report = ReportFile(path)
        report(planned([done()]))
        report(OutputEnded(done()))
        report.close(ValueError("a bug"))
        summary = json.loads(path.read_text())["summary"]
        assert (summary["error"], summary["message"], summary["done"]) == ("ValueError", "a bug", 1)


class TestCsv:
    def read(self, path: Path) -> list[dict[str, str]]:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def test_has_a_row_for_every_result(self, tmp_path: Path) -> None:
        write(tmp_path / "r.csv", RESULTS)
        rows = self.read(tmp_path / "r.csv")
        assert len(rows) == len(RESULTS)
        first, bad, left = rows[2], rows[50], rows[-1]
        assert (first["status"], first["pixels"], first["seconds_read"]) == (
            "done",
            "3000000",
            "0.02",
        )
        assert (first["seconds_write"], first["reason"]) == ("", "")
        assert (bad["status"], bad["stage"], bad["error"]) == ("failed", "read", "CorruptError")
        assert (bad["pixels"], bad["attempts"]) == ("", "1")
        assert (left["status"], left["reason"], left["bytes_in"]) == ("skipped", "not_smaller", "")

    def test_keeps_the_bytes_of_any_name(self, tmp_path: Path) -> None:
        write(tmp_path / "r.csv", [failed(name) for name in odd_names()])
        rows = self.read(tmp_path / "r.csv")
        names = [
            base64.b64decode(row["path_bytes"]) if row["path_bytes"] else row["path"].encode()
            for row in rows
        ]
        assert names == [os.fsencode(name) for name in odd_names()]


class TestPage:
    def test_says_how_the_batch_ended(self, tmp_path: Path) -> None:
        page = write(tmp_path / "r.html", RESULTS, exit=3, resume="imgpipe blur <a> --resume")
        assert "finished, 10 outputs failed" in page
        assert "imgpipe blur &lt;a&gt; --resume" in page
        assert "<b>50</b><span>done</span><small>of 62 outputs</small>" in page
        assert "<b>2</b><span>skipped</span><small>1 up to date, 1 not smaller</small>" in page
        assert "150.0 MP" in page
        assert "50.0 kB" in page
        assert "25.0 kB (&minus;50%)" in page

    @pytest.mark.parametrize(
        ("stopped_by", "said"),
        [(None, ">finished<"), ("no_space", "the disk is full"), ("signal", "interrupted")],
    )
    def test_says_what_stopped_the_batch(
        self, tmp_path: Path, stopped_by: str | None, said: str
    ) -> None:
        assert said in write(tmp_path / "r.html", [done()], stopped_by=stopped_by)

    def test_names_the_bottleneck(self, tmp_path: Path) -> None:
        page = write(tmp_path / "r.html", [done()], utilisation=0.85, bottleneck="read")
        assert "workers busy 85%; bottleneck: read</footer>" in page

    def test_groups_failures_by_error_and_stage(self, tmp_path: Path) -> None:
        late = Result(
            "t.jpg", "t.png", "failed", stage="filter", error=FilterTimeout("t.jpg: late")
        )
        page = write(tmp_path / "r.html", [*RESULTS, late])
        assert "<li>10 &times; CorruptError in read</li>" in page
        assert "<li>1 &times; FilterTimeout in filter</li>" in page
        assert "<p>late</p>" in page

    def test_has_a_row_for_every_result(self, tmp_path: Path) -> None:
        rows = rows_of(write(tmp_path / "r.html", RESULTS))
        assert len(rows) == len(RESULTS)
        assert rows[2] == ["done", "2.jpg", "web/2.jpg", "", 3_000_000, 1000, 500, 0.02]
        assert rows[-1][:4] == ["skipped", "s.jpg", "web/s.jpg", "not smaller"]

    @pytest.mark.parametrize("name", odd_names())
    def test_takes_names_for_text(self, tmp_path: Path, name: str) -> None:
        results = [failed(name), done(name, name, seconds={"read": 1.0}, warnings=(name,))]
        page = write(tmp_path / "r.html", results, resume=name)
        inner = page.replace("<script>\n", "").replace('<script type="application/json"', "")
        assert "<script" not in inner
        assert "alert(1)<" not in page
        assert len(rows_of(page)) == 2
        assert not re.search("[\udc80-\udcff\u202e]", page)

    def test_lists_the_slowest_first_without_the_time_they_waited(self, tmp_path: Path) -> None:
        waited = done("w.jpg", seconds={"wait": 99.0, "read": 0.001})
        page = write(tmp_path / "r.html", [waited, *RESULTS])
        slowest = page[page.index("<h2>Slowest</h2>") :].partition("</ol>")[0]
        names = re.findall(r"<bdi>web/(\d+)\.jpg</bdi>", slowest)
        assert names == [str(number) for number in range(49, 29, -1)]

    def test_has_at_most_two_hundred_small_pictures(self, tmp_path: Path) -> None:
        results = [done(f"{number}.jpg", seconds={"read": 1.0}) for number in range(1000)]
        results += [failed(f"f{number}.jpg") for number in range(500)]
        page = write(tmp_path / "r.html", results, pictures=fake_pictures)
        pictures = re.findall(r'src="(data:image[^"]*)"', page)
        assert len(pictures) == 200
        assert max(map(len, pictures)) <= 20 << 10
        assert "The first 200; the table below has all." in page

    def test_shows_an_even_sample(self, tmp_path: Path) -> None:
        results = [done(f"{number}.jpg", seconds={}) for number in range(1000)]
        page = write(tmp_path / "r.html", results)
        sample = page[page.index("<h2>Before and after</h2>") :]
        numbers = [int(each) for each in re.findall(r"<bdi>web/(\d+)\.jpg</bdi>", sample)]
        gaps = [later - earlier for earlier, later in pairwise(numbers)]
        assert 40 <= len(numbers) <= 60
        assert max(gaps) <= 32
        assert numbers[0] < 32
        assert numbers[-1] > 960

    def test_shows_before_and_after_with_their_sizes(self, tmp_path: Path) -> None:
        def pictures(paths: Sequence[str]) -> dict[str, Picture]:
            return {"a.jpg": PICTURE, "web/a.jpg": PICTURE._replace(width=800, height=600)}

        page = write(tmp_path / "r.html", [done("a.jpg")], pictures=pictures)
        assert "4,000 &times; 3,000 → 800 &times; 600" in page

    def test_shows_a_file_that_replaced_itself_once(self, tmp_path: Path) -> None:
        page = write(tmp_path / "r.html", [done("a.jpg", "a.jpg")], pictures=fake_pictures)
        assert 'alt="before"' not in page
        assert 'alt="after"' in page

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("odd")])
    def test_is_complete_without_pictures(self, tmp_path: Path, error: BaseException) -> None:
        def fail(paths: Sequence[str]) -> dict[str, Picture]:
            raise error

        page = write(tmp_path / "r.html", [done()], pictures=fail)
        assert ">finished<" in page
        assert page.endswith("</html>\n")

    def test_makes_no_pictures_when_somebody_waits(self, tmp_path: Path) -> None:
        def fail(paths: Sequence[str]) -> dict[str, Picture]:
            raise AssertionError

        write(tmp_path / "r.html", [done()], interrupted="SIGINT", pictures=fail)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with started_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


class TestPageInABrowser:
    def shown(self, browser: Page) -> list[list[str]]:
        """Return the texts of the rows that are shown."""
        rows: list[list[str]] = browser.value(
            "[...document.querySelectorAll('#all tbody tr')]"
            ".map(row => [...row.cells].map(cell => cell.textContent))"
        )
        return rows

    def test_asks_for_nothing_but_itself(self, browser: Page, tmp_path: Path) -> None:
        source = tmp_path / "in.jpg"
        Image.effect_noise((60, 40), 50).save(source)
        results = [done(str(source), str(source)), *(done(name, name) for name in odd_names())]
        path = tmp_path / "r.html"
        with ReportFile(path) as report:
            told(report, results)
        browser.open(path)
        pictures = browser.value("[...document.images].map(i => [i.complete, i.naturalWidth])")
        assert pictures == [[True, 60], [True, 60]]
        asked = [each for each in browser.requests if not each.startswith("data:")]
        assert asked == [path.as_uri()]
        assert browser.errors == []

    def test_shows_names_as_text(self, browser: Page, tmp_path: Path) -> None:
        path = tmp_path / "r.html"
        write(path, [failed(name) for name in odd_names()])
        browser.open(path)
        names = [row[1] for row in self.shown(browser)]
        assert names[0] == "caf\ufffd.jpg"
        assert names[1] == "two\\nlines.jpg"
        assert names[2:4] == odd_names()[2:4]
        assert browser.value("document.scripts.length") == 2

    @pytest.mark.slow
    def test_pages_sorts_and_searches_a_hundred_thousand_rows(
        self, browser: Page, tmp_path: Path
    ) -> None:
        path = tmp_path / "r.html"
        with ReportFile(path, pictures=no_pictures) as report:
            report(started())
            report(planned([]))
            for number in range(100_000):
                name = f"folder/{number:06}.jpg"
                bad = number == 77_777
                result = failed(name) if bad else done(name, bytes_in=number)
                report(OutputEnded(result))
            report(ended([done()]))
        assert path.stat().st_size < 12 << 20
        browser.open(path)
        assert len(self.shown(browser)) == 100
        where = "document.getElementById('where').textContent"
        assert browser.value(where) == "page 1 of 1,000"
        browser.value("document.getElementById('last').click()")
        assert self.shown(browser)[-1][1] == "folder/099999.jpg"
        browser.value("document.querySelectorAll('#all th button')[5].click()")
        assert self.shown(browser)[0][1] == "folder/099999.jpg"
        browser.value(
            "const s = document.getElementById('status'); s.value = 'failed';"
            "s.dispatchEvent(new Event('change'))"
        )
        assert [row[1] for row in self.shown(browser)] == ["folder/077777.jpg"]
        browser.value(
            "s.value = ''; s.dispatchEvent(new Event('change'));"
            "const q = document.getElementById('search'); q.value = '/0123';"
            "q.dispatchEvent(new Event('input'))"
        )
        assert browser.value("document.getElementById('found').textContent") == (
            "100 of 100,000 outputs"
        )
        assert browser.errors == []
