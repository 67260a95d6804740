"""Sides and orders, answers one by one, nothing lost and nothing told; the report from known votes."""

import csv
import json
import shutil
import socket
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the review extra")
pytest.importorskip("uvicorn", reason="needs the review extra")

from avatar_jax.evaluation import __main__ as command
from avatar_jax.evaluation.gsb.dimensions import NAMES
from avatar_jax.evaluation.gsb.prepare import prepare
from avatar_jax.evaluation.gsb.report import report
from avatar_jax.evaluation.gsb.session import SKIP, Session, opened
from avatar_jax.media import BadInput
from avatar_jax.metrics.gsb import BAD, GOOD, SAME
from avatar_jax.web.raters import Refused
from tests.evaluation.gsb_folders import write_set, write_systems

CASES = 4


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("comparison")
    prepare(*write_systems(root, CASES, 0.3), write_set(root / "set", CASES, 0.3), root / "out", 0, 3)
    return root / "out"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "out", ignore=shutil.ignore_patterns("votes*", "report*"))


def side(session: Session, rater: str, case: str, choice: str) -> str:
    """What a rater has to answer on the page for `choice` to be kept."""
    if choice in (SAME, SKIP):
        return choice
    return "left" if (case in session.plan(rater).first_left) == (choice == GOOD) else "right"


def answer(session: Session, rater: str, choices: dict[str, str], count: int = 5 * CASES) -> None:
    """Answer `count` questions as the page would: choices by case, the same in all dimensions."""
    for _ in range(count):
        state = session.state(rater)
        case = session.plan(rater).cases[state["case"] - 1]
        session.vote(rater, state["item"], side(session, rater, case, choices[case]), 1.5)


def test_sides_and_orders(prepared: Path) -> None:
    session, plans = opened(prepared), {}
    for name in "abcdefghijklmnop":
        plan = plans[name] = session.plan(name)
        assert len(plan.first_left) == CASES / 2 and sorted(plan.cases) == [f"case-{i}" for i in range(CASES)]
        assert plan == opened(prepared).plan(name)
    assert len({plan.cases for plan in plans.values()}) > 4 and len({plan.first_left for plan in plans.values()}) > 2


def test_nothing_tells_the_side(folder: Path) -> None:
    session = opened(folder)
    told = json.dumps([session.state(rater) for rater in "abcdef"])
    for word in ("ours", "theirs", "case-", "first", f'"{GOOD}"', f'"{BAD}"', ".mp4"):
        assert word not in told
    # The urls of one case are the same two for everybody, in both orders.
    seen = Counter()
    for rater in "abcdefghijkl":
        state = session.state(rater)
        seen[session.plan(rater).cases[0], state["left"], state["right"]] += 1
    assert any((case, right, left) in seen for case, left, right in seen)


def test_a_case_goes_on_where_it_was_left(folder: Path) -> None:
    session = opened(folder)
    answer(session, "ana", dict.fromkeys((f"case-{i}" for i in range(CASES)), GOOD), 7)
    state = opened(folder).state("  ana ")
    assert (state["done"], state["case"], state["asked"]) == (7, 2, 2)
    before = [vote.choice for vote in opened(folder).votes.standing("ana")]
    assert before == [GOOD] * 7 and None not in state["answers"][:2] and state["answers"][2:] == [None] * 3
    back = session.undo("ana")
    assert (back["done"], back["asked"], back["answers"][1]) == (6, 1, None)
    session.undo("ana")
    assert session.undo("ana")["case"] == 1 and session.votes.count() == 10


def test_strange_answers_are_refused(folder: Path) -> None:
    session = opened(folder)
    item = session.state("ana")["item"]
    for rater, asked, said in (
        ("ana", item, GOOD),
        ("ana", "x", "left"),
        ("ana", session.state("bo")["item"], "left"),
        (" ", item, "left"),
    ):
        with pytest.raises(Refused):
            session.vote(rater, asked, said, 0)
    session.vote("ana", item, "left", 0)
    with pytest.raises(Refused, match="another page"):
        session.vote("ana", item, "left", 0)
    assert session.votes.count() == 1


def test_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = opened(folder)
    cases = [f"case-{i}" for i in range(CASES)]
    answer(session, "ana", dict(zip(cases, [GOOD, GOOD, SAME, SKIP], strict=True)))
    answer(session, "bo", dict(zip(cases, [GOOD, SAME, SAME, SKIP], strict=True)))
    answer(session, "cy", dict(zip(cases, [BAD, BAD, SAME, SKIP], strict=True)))
    result = report(folder)
    # Good by two of three; three ways, so the same; the same by all; nobody could tell.
    for row in result["dimensions"].values():
        assert [row[name] for name in (GOOD, SAME, BAD, "cases", "open", "without_majority")] == [1, 2, 0, 3, 1, 1]
        assert row["score"] == 3 / 2 and row["good_percent"] == pytest.approx(100 / 3)
    english, chinese = result["categories"]["language"]["en"], result["categories"]["language"]["zh"]
    assert (english["overall"]["score"], chinese["overall"]["score"]) == (2, 1)
    # ana and bo: G G S and G S S, observed 2/3, chance (2/3)(1/3) + (1/3)(2/3) = 4/9.
    pair = result["agreement"]["cohen"][0]
    assert pair["raters"] == ["ana", "bo"] and pair["overall"] == {
        "answers": 3,
        "agreement": pytest.approx(2 / 3),
        "kappa": pytest.approx(0.4),
    }
    # Pairs that agree: 1/3, 0, 1 of the three cases; answers G 3, S 4, B 2 of nine.
    chance = (9 + 16 + 4) / 81
    assert result["agreement"]["fleiss"]["all"] == pytest.approx((4 / 9 - chance) / (1 - chance))
    assert [told["cannot_tell"] for told in result["raters"]] == [5, 5, 5] and result["raters"][0][
        "median_seconds"
    ] == 1.5
    with (folder / "report.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == CASES * len(NAMES) and table[5]["verdict"] == SAME and table[5]["majority"] == "no"
    assert (table[0]["rater cy"], table[0]["tag language"], table[-1]["verdict"]) == (BAD, "en", "open")
    page = (folder / "report.html").read_text()
    assert "http" not in page and "<script" not in page and "1.50" in page and len(page) < 60_000
    assert json.loads((folder / "report.json").read_text())["dimensions"]["overall"]["score"] == 1.5
    assert command.main(["gsb", "--report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["cases"] == CASES
    # With four raters wanted, every case still waits.
    assert all(row["open"] == CASES for row in report(folder, 4)["dimensions"].values())


def test_other_votes_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nobody has voted"):
        report(folder)
    answer(opened(folder), "ana", {f"case-{i}": SAME for i in range(CASES)}, 1)
    other = prepare(*write_systems(tmp_path / "more", 1, 0.3), None, tmp_path / "other", 0, 3)
    shutil.copy(folder / "votes.sqlite", tmp_path / "other" / "votes.sqlite")
    with pytest.raises(BadInput, match="votes of another comparison"):
        opened(tmp_path / "other")
    (tmp_path / "other" / "votes.sqlite").write_text("no database at all, and longer than a header would be" * 9)
    with pytest.raises(BadInput, match="not a database"):
        opened(tmp_path / "other")
    (tmp_path / "other" / "videos" / other.pairs[0].a).unlink()
    with pytest.raises(BadInput, match="not a file inside"):
        opened(tmp_path / "other")
    with sqlite3.connect(folder / "votes.sqlite") as base:
        assert base.execute("SELECT COUNT(*) FROM votes").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{out}"], "two folders"),
        (["a", "b", "--out", "{out}x"], "no such folder"),
        (["--out", "{out}x"], "no comparison.json"),
        (["--report", "{out}x"], "no comparison.json"),
        (["--out", "{out}", "--host", "0.0.0.0"], "needs a token"),
        (["--out", "{out}", "--raters", "0"], "1 or more"),
        (["--out", "{out}", "--left", "ours"], "two folders"),
        (["--out", "{out}", "--port", "{port}"], "a free port"),
    ],
)
def test_command_refuses(arguments: list[str], told: str, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"out": prepared, "port": taken.getsockname()[1]}
        assert command.main(["gsb", *(text.format(**known) for text in arguments)]) == 2
    said = capsys.readouterr().err.strip()
    assert told in said and len(said.splitlines()) <= 3
