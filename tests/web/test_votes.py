"""Votes are only added; answers agree beyond chance as the textbooks compute it."""

import sqlite3
import threading
from pathlib import Path

import pytest

from avatar_jax.web.agreement import agreement, cohen_kappa
from avatar_jax.web.votes import AlreadyVoted, Votes


def test_a_vote_taken_back_stays_on_record(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add("ana", "one", "accept")
    votes.add("ana", "two", "reject", {"reasons": ["blur"]})
    votes.add("bo", "one", "reject")
    taken = votes.take_back("ana")
    assert taken is not None and taken.item == "two" and votes.count() == 4
    votes.add("ana", "two", "accept")
    assert [(v.rater, v.item, v.choice) for v in votes.standing()] == [
        ("ana", "one", "accept"),
        ("bo", "one", "reject"),
        ("ana", "two", "accept"),
    ]
    # Back to the first, then nothing is left to undo.
    assert [getattr(votes.take_back("ana"), "item", None) for _ in range(3)] == ["two", "one", None]
    assert [v.rater for v in Votes(votes.path).standing()] == ["bo"]


def test_no_item_is_voted_on_twice(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add("ana", "one", "accept")
    with pytest.raises(AlreadyVoted):
        votes.add("ana", "one", "reject")
    assert votes.count() == 1


@pytest.mark.parametrize("command", ["UPDATE votes SET choice = 'accept'", "DELETE FROM votes"])
def test_the_file_refuses_changes(command: str, tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add("ana", "one", "reject")
    with sqlite3.connect(votes.path) as base, pytest.raises(sqlite3.IntegrityError, match="only added"):
        base.execute(command)
    assert votes.standing()[0].choice == "reject"


def test_raters_at_once_lose_nothing(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite")

    def rate(rater: str) -> None:
        for item in range(15):
            votes.add(rater, str(item), "accept")

    threads = [threading.Thread(target=rate, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(votes.standing()) == votes.count() == 45


def test_kappa_by_hand() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: observed .7, chance .5 * .6 + .5 * .4 = .5, kappa .4.
    a = ["y"] * 25 + ["n"] * 25
    b = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert agreement(a, b) == pytest.approx(0.7) and cohen_kappa(a, b) == pytest.approx(0.4)
    assert cohen_kappa(a, a) == 1 and cohen_kappa([], []) is None and cohen_kappa(["y"] * 3, ["y"] * 3) is None
