"""Votes in one SQLite file to which rows are only ever added; the file itself refuses changes and deletions.

A vote is taken back by a further row, so that what a rater did stays on record. Many raters may write at once.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TABLE = """
CREATE TABLE IF NOT EXISTS votes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rater TEXT NOT NULL, item TEXT NOT NULL, choice TEXT NOT NULL,
    told TEXT NOT NULL, at REAL NOT NULL, takes_back INTEGER UNIQUE REFERENCES votes (id)
);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON votes BEGIN SELECT RAISE(ABORT, 'votes are only added'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON votes BEGIN SELECT RAISE(ABORT, 'votes are only added'); END;
"""
UNDO = "undo"


@dataclass(frozen=True)
class Vote:
    """`item` is what was shown, `choice` the answer, `told` anything else that is to be kept with it (JSON values)."""

    id: int
    rater: str
    item: str
    choice: str
    at: float
    told: Mapping[str, Any] = field(default_factory=dict)


class AlreadyVoted(ValueError):
    """The rater has an answer to this item that stands."""


class Votes:
    """The votes of one file."""

    def __init__(self, path: Path):
        self.path = path
        with self._opened() as base:
            base.executescript(_TABLE)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """One connection a call: requests come from several threads. Written when the block ends, or not at all."""
        with closing(sqlite3.connect(self.path, timeout=30)) as base, base:
            yield base

    def add(self, rater: str, item: str, choice: str, told: Mapping[str, Any] | None = None) -> int:
        """Number of the new row, which is on disk when this returns.

        Raises:
            AlreadyVoted: this rater's answer to the item stands; two tabs, or a key that was pressed twice.
        """
        if choice == UNDO:
            raise ValueError(f"choice {UNDO!r} is kept for `take_back`")
        with self._opened() as base:
            base.execute("BEGIN IMMEDIATE")
            if any(vote.item == item for vote in _standing(base, rater)):
                raise AlreadyVoted(f"{rater} has voted on {item}")
            return _insert(base, rater, item, choice, told or {}, None)

    def take_back(self, rater: str) -> Vote | None:
        """Undo this rater's last vote that stands; that vote, or None if there is none."""
        with self._opened() as base:
            base.execute("BEGIN IMMEDIATE")
            last = max(_standing(base, rater), key=lambda vote: vote.id, default=None)
            if last is not None:
                _insert(base, rater, last.item, UNDO, {}, last.id)
            return last

    def standing(self, rater: str | None = None) -> list[Vote]:
        """Votes that were not taken back, in the order in which they were given."""
        with self._opened() as base:
            return _standing(base, rater)

    def count(self) -> int:
        """Rows, with votes taken back and their undoing."""
        with self._opened() as base:
            return base.execute("SELECT COUNT(*) FROM votes").fetchone()[0]


def _insert(
    base: sqlite3.Connection, rater: str, item: str, choice: str, told: Mapping[str, Any], takes_back: int | None
) -> int:
    row = (rater, item, choice, json.dumps(told, ensure_ascii=False), time.time(), takes_back)
    command = "INSERT INTO votes (rater, item, choice, told, at, takes_back) VALUES (?, ?, ?, ?, ?, ?)"
    return base.execute(command, row).lastrowid or 0


def _standing(base: sqlite3.Connection, rater: str | None) -> list[Vote]:
    rows = base.execute(
        "SELECT id, rater, item, choice, at, told FROM votes WHERE takes_back IS NULL AND (? IS NULL OR rater = ?) AND"
        " id NOT IN (SELECT takes_back FROM votes WHERE takes_back IS NOT NULL) ORDER BY id",
        (rater, rater),
    )
    return [Vote(*row[:5], told=json.loads(row[5])) for row in rows]
