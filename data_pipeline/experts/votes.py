"""Review votes as labels: from the CSV file that a review exports, or from its SQLite data base."""

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from avatar_jax.media import BadInput
from data_pipeline.review.session import AGAIN

ACCEPTED, REJECTED = ("accept", "a", "good", "1"), ("reject", "r", "bad", "0")
"""Other words (skip, undo) are nobody's vote."""
COLUMNS = (("clip", "choice"), ("item", "choice"), ("id", "vote"))
"""A review's CSV file, its data base, and the plain table of anyone else."""
RULE = "a CSV file, or an SQLite file with a table `votes`, with columns clip and choice, or id and vote"
Rows = list[tuple[str, str]]


def read_votes(path: Path) -> dict[str, bool]:
    """Clip id -> accepted, by majority where several voted; ties and second showings are left out.

    Raises:
        BadInput: if the file cannot be read or has no such columns.
    """
    if not path.is_file():
        raise BadInput(f"votes {path}", "no such file", RULE, "export the review first")
    with path.open("rb") as file:
        stored = file.read(15) == b"SQLite format 3"
    try:
        rows = sqlite_rows(path) if stored else csv_rows(path)
    except (sqlite3.Error, UnicodeError, csv.Error) as error:
        raise BadInput(f"votes {path}", f"cannot be read ({error})", RULE, "export the review again") from error
    balance: Counter[str] = Counter()
    for name, vote in rows:
        word = vote.strip().lower()
        balance[name] += (word in ACCEPTED) - (word in REJECTED)
    return {name: count > 0 for name, count in balance.items() if count}


def columns(path: Path, found: set[str]) -> tuple[str, str]:
    """The first of COLUMNS that is there."""
    for pair in COLUMNS:
        if found.issuperset(pair):
            return pair
    raise BadInput(f"votes {path}", f"columns {', '.join(sorted(found))}", RULE, "export the review again")


def csv_rows(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        name, vote = columns(path, set(reader.fieldnames or ()))
        return [(row[name], row[vote]) for row in reader if row.get("showing") != "2"]


def sqlite_rows(path: Path) -> Rows:
    """Read only: a review may still be going on. Votes that were taken back do not count."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
        found = {row[1] for row in base.execute("PRAGMA table_info(votes)")}
        name, vote = columns(path, found)
        standing = "WHERE id NOT IN (SELECT takes_back FROM votes WHERE takes_back IS NOT NULL)"
        query = f"SELECT {name}, {vote} FROM votes {standing if 'takes_back' in found else ''}"
        return [(str(a), str(b)) for a, b in base.execute(query) if not str(a).endswith(AGAIN)]
