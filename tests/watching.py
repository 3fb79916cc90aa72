"""A folder that is watched without time passing: clock and hints are told what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import imgpipe
from imgpipe.batches.agenda import Policy
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import WatchNotice
from imgpipe.batches.inputs.walk import Rules
from imgpipe.batches.preparation import Prepared, prepare
from imgpipe.batches.results import Result
from imgpipe.batches.watch.hints import Hint, HintsLost
from imgpipe.batches.watch.inbox import Inbox, WatchSettings
from imgpipe.batches.watch.scan import Scanner
from imgpipe.batches.watch.verdicts import Judge
from imgpipe.batches.watch.watchfeed import WatchFeed
from imgpipe.batches.work.answers import Recipe, Tail
from imgpipe.chains.grammar import parse_chain
from imgpipe.errors import CorruptError
from tests.batchresults import Clock

__all__ = ["FakeHints", "Watched", "image"]

_LONG_AFTER = 1 << 62  # ns: nothing has changed while it was recorded


class FakeHints:
    """Hints that a test gives; `reason` is the reason if there are none, `places` their number."""

    def __init__(self, reason: str | None = None, places: int = 1_000_000) -> None:
        self.reason, self.places, self.starts = reason, places, 0
        self.receive: Callable[[Hint | HintsLost], None] = lambda _: None

    def start(self, folder: str, receive: Callable[[Hint | HintsLost], None]) -> str | None:
        self.starts += 1
        self.receive = receive
        return self.reason

    def covers(self, folders: int) -> bool:
        return folders <= self.places

    def stop(self) -> None:
        self.receive = lambda _: None


class Watched:
    """An inbox with an outbox, and a batch under the control of the test."""

    def __init__(self, home: Path, hints: FakeHints | None = None, **given: Any) -> None:
        self.clock, self.hints = Clock(), hints or FakeHints()
        self.home, self.inbox = home, home / "in"
        self.inbox.mkdir(exist_ok=True)
        self._given = given
        self.begun: list[str] = []
        self.start()

    def start(self, *, retry_failed: bool = False) -> None:
        """Start watching; it may have been watched before."""
        given = dict(self._given)
        hidden = given.pop("hidden", False)
        settings = {each: given.pop(each) for each in ("poll", "move_done", "move_failed", "settle")
                if each in given}  # fmt: skip
        self.prepared: Prepared = prepare(
            Choices(
                (str(self.inbox),),
                str(self.home / "out"),
                Recipe((Tail(parse_chain("invert")),)),
                retry_failed=retry_failed,
                **{"policy": Policy(resume=True)} | given,
            ),
            later=True,
        )
        self.feed = WatchFeed()
        moves = (settings.get("move_done"), settings.get("move_failed"))
        outputs = [os.stat(each) for each in moves if each is not None]
        rules = Rules(hidden=hidden, outputs=tuple((each.st_dev, each.st_ino) for each in outputs))
        self.box = Inbox(
            Scanner(str(self.inbox), rules), Judge(self.prepared), self.feed, self.hints,
            WatchSettings(**settings), self.clock,
        )  # fmt: skip
        self.box.begin()

    def stop(self) -> None:
        """Stop watching."""
        self.box.end()
        self.prepared.close()

    def turn(self, seconds: float = 0.0) -> list[str]:
        """Let time pass, and return the files that the batch begins then."""
        self.clock.now += seconds
        self.box.turn()
        names = []
        while (due := self.feed.next()) is not None:
            names.append(due.found.below)
            self.begun.append(due.found.below)
        return names

    def settle(self) -> list[str]:
        """Let so much time pass that a quiet file is complete."""
        return self.turn() + self.turn(2.0)

    def hint(self, name: str, **facts: bool) -> None:
        """Give a hint about a file or a folder."""
        self.hints.receive(Hint(str(self.inbox / name), **facts))

    def make(self, name: str, *, fail: bool = False) -> None:
        """End a file that was begun as the batch does, with its lines in the journal."""
        path, output = str(self.inbox / name), name
        journal = self.prepared.journal
        assert journal is not None
        target = Path(self.prepared.path(output))
        journal.begin({output: "temporary"})
        if not fail:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"made of " + Path(path).read_bytes())
        journal.finished([self._record(path, output, target, "failed" if fail else "")])
        error = CorruptError(f"{path}: is damaged") if fail else None
        status: Any = "failed" if fail else "done"
        self.feed.ended(Result(path, str(target), status, error=error))

    def _record(self, path: str, output: str, target: Path, failed: str) -> Any:
        from imgpipe.batches.journal.digests import file_digest
        from imgpipe.batches.journal.records import Record

        source = os.stat(path)
        there = target.stat() if target.exists() else None
        return Record(
            output, output, source.st_size, source.st_mtime_ns, source.st_ctime_ns,
            "" if failed else file_digest(path), there.st_size if there else -1,
            there.st_mtime_ns if there else -1, _LONG_AFTER, self.prepared.provenance[0], failed,
        )  # fmt: skip

    def notices(self) -> list[str]:
        """Return the kinds of the notices since the last call, and failures."""
        found = [
            each.kind if isinstance(each, WatchNotice) else "failed" for each in self.box.notices
        ]
        self.box.notices.clear()
        return found


def image(path: Path, value: int = 0) -> None:
    """Write a small picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    imgpipe.write(np.full((2, 3, 3), value, np.uint8), path)
