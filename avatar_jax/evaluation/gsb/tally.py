"""From votes to verdicts and tables, for any rater's answer and any tag of a case."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from avatar_jax.evaluation.gsb.comparison import Comparison
from avatar_jax.evaluation.gsb.dimensions import NAMES
from avatar_jax.evaluation.gsb.session import SKIP, item_of
from avatar_jax.metrics.gsb import SAME, Counts, majority
from avatar_jax.web.agreement import agreement, cohen_kappa, fleiss_kappa
from avatar_jax.web.votes import Vote


@dataclass(frozen=True)
class Verdict:
    """What the raters made of one case in one dimension.

    answers: by rater. verdict: None while raters are missing, or where none could tell. tied: nobody had more than half
    of those who could tell, so it counts as the same.
    """

    case: str
    dimension: str
    answers: Mapping[str, str]
    verdict: str | None
    tied: bool

    def judged(self) -> list[str]:
        return [answer for answer in self.answers.values() if answer != SKIP]


def verdicts(comparison: Comparison, votes: Sequence[Vote], raters: int) -> list[Verdict]:
    """One for every case and dimension, in order; a case counts as soon as `raters` people have answered."""
    by_item: dict[str, dict[str, str]] = {}
    for vote in votes:
        by_item.setdefault(vote.item, {})[vote.rater] = vote.choice
    found = []
    for pair in comparison.pairs:
        for name in NAMES:
            answers = by_item.get(item_of(pair.case, name), {})
            judged = [answer for answer in answers.values() if answer != SKIP]
            counts = len(answers) >= raters and bool(judged)
            most = majority(judged)
            verdict = (most or SAME) if counts else None
            found.append(Verdict(pair.case, name, answers, verdict, counts and most is None))
    return found


def row(found: Iterable[Verdict]) -> dict[str, Any]:
    """Counts, percentages, score and interval of some verdicts."""
    found = list(found)
    counts = Counts.of(verdict.verdict for verdict in found if verdict.verdict is not None)
    low, high = counts.interval()
    return {
        "good": counts.good,
        "same": counts.same,
        "bad": counts.bad,
        "cases": counts.total,
        "open": len(found) - counts.total,
        "without_majority": sum(verdict.tied for verdict in found),
        "good_percent": counts.percent(counts.good),
        "same_percent": counts.percent(counts.same),
        "bad_percent": counts.percent(counts.bad),
        "score": counts.score,
        "low": low,
        "high": high,
    }


def by_dimension(found: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    return {name: row(verdict for verdict in found if verdict.dimension == name) for name in NAMES}


def by_category(comparison: Comparison, found: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    """Tag, value of the tag, dimension: a row."""
    tags = {pair.case: pair.tags for pair in comparison.pairs}
    tables: dict[str, dict[str, Any]] = {}
    for tag in sorted({tag for given in tags.values() for tag in given}):
        values = sorted({given[tag] for given in tags.values() if tag in given})
        tables[tag] = {
            value: by_dimension([verdict for verdict in found if tags[verdict.case].get(tag) == value])
            for value in values
        }
    return tables


def agreements(found: Sequence[Verdict]) -> dict[str, Any]:
    """Fleiss' kappa by dimension and over all answers; every two raters' share of equal answers and Cohen's kappa."""

    def among(some: Sequence[Verdict]) -> float | None:
        return fleiss_kappa([verdict.judged() for verdict in some])

    fleiss = {name: among([verdict for verdict in found if verdict.dimension == name]) for name in NAMES}
    pairs = []
    for one, other in combinations(sorted({rater for verdict in found for rater in verdict.answers}), 2):
        told: dict[str, Any] = {"raters": [one, other]}
        both = [verdict for verdict in found if {one, other} <= verdict.answers.keys()]
        both = [verdict for verdict in both if SKIP not in (verdict.answers[one], verdict.answers[other])]
        for name in ("all", *NAMES):
            asked = [verdict.answers for verdict in both if name in ("all", verdict.dimension)]
            mine, theirs = [answers[one] for answers in asked], [answers[other] for answers in asked]
            equal, kappa = agreement(mine, theirs), cohen_kappa(mine, theirs)
            told[name] = {"answers": len(asked), "agreement": equal, "kappa": kappa}
        pairs.append(told)
    return {"fleiss": {"all": among(found), **fleiss}, "cohen": pairs}


def raters(votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """Every rater's number of answers, and what would show a hurried or one-sided one."""
    rows = []
    for rater in sorted({vote.rater for vote in votes}):
        own = [vote for vote in votes if vote.rater == rater]
        said = [vote.told["answer"] for vote in own]
        sided = [answer for answer in said if answer in ("left", "right")]
        rows.append(
            {
                "rater": rater,
                "answers": len(own),
                "cannot_tell": said.count(SKIP),
                "left_share": sided.count("left") / len(sided) if sided else None,
                "median_seconds": statistics.median(vote.told["seconds"] for vote in own),
            }
        )
    return rows
