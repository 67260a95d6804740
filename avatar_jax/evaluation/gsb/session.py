"""Who sees which pair when, on which side, and what they said. All that is remembered lies in the votes file.

Every rater has an order of cases and sides of their own, drawn from the seed and their name; the first system is on the
left in half of the cases. One vote is the answer to one question, on disk before the next is asked.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar_jax.evaluation.gsb import comparison as kept
from avatar_jax.evaluation.gsb.comparison import Comparison, Pair
from avatar_jax.evaluation.gsb.dimensions import NAMES
from avatar_jax.media import BadInput
from avatar_jax.metrics.gsb import BAD, GOOD, SAME
from avatar_jax.web.media import Media
from avatar_jax.web.raters import Refused, known_rater, rater_rng
from avatar_jax.web.votes import AlreadyVoted, Vote, Votes

SKIP = "skip"
"""The rater cannot tell; the answer counts for nothing, and is reported."""
ANSWERS = ("left", "same", "right", SKIP)
"""Keys 1, 2, 3 and 0 of the page: the left video is better, both are the same, the right one is better."""


@dataclass(frozen=True)
class Plan:
    """A rater's cases in order, and the cases in which the first system is on the left."""

    cases: tuple[str, ...]
    first_left: frozenset[str]


@dataclass(frozen=True)
class Session:
    """The page's answers about one comparison."""

    comparison: Comparison
    media: Media
    votes: Votes

    def plan(self, rater: str) -> Plan:
        cases = [pair.case for pair in self.comparison.pairs]
        rng = rater_rng(self.comparison.seed, rater)
        left = rng.permutation(len(cases))[: len(cases) // 2 + int(rng.integers(2)) * (len(cases) % 2)]
        return Plan(tuple(cases[i] for i in rng.permutation(len(cases))), frozenset(cases[i] for i in left))

    def state(self, name: str) -> dict[str, Any]:
        """What the page shows next; nothing in it depends on which system is which."""
        rater = self._rater(name)
        plan, given = self.plan(rater), {vote.item: vote for vote in self.votes.standing(rater)}
        open_cases = [case for case in plan.cases if any(item_of(case, asked) not in given for asked in NAMES)]
        shown: dict[str, Any] = {"item": None, "left": None, "right": None, "next": []}
        if open_cases:
            case = open_cases[0]
            answers = [given.get(item_of(case, asked)) for asked in NAMES]
            pair, (left, right) = self._pair(case), self._sides(plan, case)
            shown = {
                "item": self._public(rater, case, answers.index(None)),
                "left": left,
                "right": right,
                "next": [url for case in open_cases[1:2] for url in self._sides(plan, case)],
                "asked": answers.index(None),
                "answers": [vote and vote.told["answer"] for vote in answers],
                "prompt": pair.prompt,
                "portrait": pair.portrait and self._url(pair.portrait),
            }
        total = len(plan.cases)
        place = {"case": total - len(open_cases) + bool(open_cases), "cases": total}
        return {"rater": name, "done": len(given), "total": total * len(NAMES), **place, **shown}

    def vote(self, name: str, item: str, answer: str, seconds: float) -> dict[str, Any]:
        """Keep the answer to the question that is shown; the next state.

        Raises:
            Refused: not an answer, or another question than the rater's current one.
        """
        rater = self._rater(name)
        plan, given = self.plan(rater), {vote.item for vote in self.votes.standing(rater)}
        if answer not in ANSWERS:
            raise Refused(f"answers are {', '.join(ANSWERS)}")
        places = ((case, asked) for case in plan.cases for asked in range(len(NAMES)))
        current = next((place for place in places if item_of(place[0], NAMES[place[1]]) not in given), None)
        if current is None or item != self._public(rater, *current):
            raise Refused("another page of yours has answered this; here is what is next")
        case, asked = current
        left = case in plan.first_left
        choice = {"left": GOOD if left else BAD, "right": BAD if left else GOOD, "same": SAME}.get(answer, SKIP)
        told = {"answer": answer, "first": "left" if left else "right", "seconds": round(float(seconds), 2)}
        try:
            self.votes.add(rater, item_of(case, NAMES[asked]), choice, {**told, "comparison": self.comparison.id})
        except AlreadyVoted as error:
            raise Refused(str(error)) from error
        return self.state(name)

    def undo(self, name: str) -> dict[str, Any]:
        """Take the rater's last answer back, so that its question is asked again; the next state."""
        self.votes.take_back(self._rater(name))
        return self.state(name)

    def _rater(self, name: object) -> str:
        """ "Ana " who comes back as "ana" is the same rater."""
        return " ".join(known_rater(name).split()).casefold()

    def _pair(self, case: str) -> Pair:
        return next(pair for pair in self.comparison.pairs if pair.case == case)

    def _sides(self, plan: Plan, case: str) -> tuple[str, str]:
        pair = self._pair(case)
        first, second = self._url(pair.a), self._url(pair.b)
        return (first, second) if case in plan.first_left else (second, first)

    def _url(self, file: str) -> str:
        return f"media/{self.media.name(self.media.root / file)}"

    def _public(self, rater: str, case: str, asked: int) -> str:
        told = f"{self.comparison.secret} {rater} {asked} {case}"
        return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]


def item_of(case: str, dimension: str) -> str:
    """How the votes file names a question about a case."""
    return f"{dimension} {case}"


def opened(folder: Path) -> Session:
    """The session of a prepared comparison.

    Raises:
        BadInput: there is none, its videos are gone, or the votes are of another comparison.
    """
    comparison = kept.read(folder)
    videos = (folder / kept.VIDEOS).resolve()
    names = {name for pair in comparison.pairs for name in (pair.a, pair.b, pair.portrait) if name}
    try:
        media = Media(videos, sorted(videos / name for name in names), salt=comparison.secret)
    except ValueError as error:
        raise BadInput(f"comparison {folder}", error, "its videos are as they were made", kept.FIX) from error
    return Session(comparison, media, votes_of(folder, comparison))


def votes_of(folder: Path, comparison: Comparison) -> Votes:
    """The votes file of a comparison.

    Raises:
        BadInput: it is another comparison's, or no such file.
    """
    path = folder / kept.VOTES
    try:
        votes = Votes(path)
        others = [vote for vote in votes.standing() if not _belongs(vote, comparison)]
    except (sqlite3.Error, ValueError) as error:
        raise BadInput(f"votes {path}", error, "a votes file of this page", kept.FIX) from error
    if others:
        got = f"votes of another comparison, such as {others[0].rater}'s on {others[0].item}"
        raise BadInput(f"votes {path}", got, f"votes of {' against '.join(comparison.systems)}", kept.FIX)
    return votes


def _belongs(vote: Vote, comparison: Comparison) -> bool:
    return vote.told.get("comparison") == comparison.id
