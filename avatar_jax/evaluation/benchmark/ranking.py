"""Do the metrics rank the systems as they should? One table, and a sceptic's checks with their p-values.

Every check compares two systems on the same cases (paired permutation test, one-sided: the direction is claimed
beforehand) and passes where the mean lies on the claimed side and p is below the check's limit. "Truth is no worse than
ours" fails only where the opposite is shown: a system as good as the truth is no fault of the metric.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avatar_jax.evaluation.scoring.results import CaseScore
from avatar_jax.metrics.paired import difference

Score = Callable[[CaseScore], float]
"""One number of a scored video; nan where it does not exist."""


@dataclass(frozen=True)
class Column:
    """One column of the table. `metric`: the harness's name for it."""

    title: str
    metric: str
    digits: int = 3

    def __call__(self, score: CaseScore) -> float:
        return score.value(self.metric)


COLUMNS = (
    Column("sync", "sync_corr"),
    Column("offset (frames)", "sync_offset_frames", 2),
    Column("closures", "closure_recall"),
    Column("identity", "identity"),
    Column("identity drift / 10 s", "identity_drift_per_10s", 4),
    Column("colour drift / 10 s", "color_drift_per_10s", 2),
    Column("motion", "motion_amount", 2),
    Column("motion diversity", "motion_diversity", 2),
    Column("sharpness", "sharpness", 0),
    Column("seam jump", "seam_jump", 2),
    Column("jitter", "pose_jitter", 2),
    Column("Hit@Segment", "hit_at_segment"),
)
COLUMN = {column.metric: column for column in COLUMNS}


@dataclass(frozen=True)
class Claim:
    """`better` scores higher than `worse` (or lower, where `lower`), with p below `limit`; None: it scores no worse,
    that is, p of the opposite is not below `OPPOSITE`."""

    text: str
    better: str
    worse: str
    score: Score
    lower: bool = False
    limit: float | None = 0.05
    least: float = 0.0
    """Seconds that a video must have to count: drift is a matter of length."""


@dataclass(frozen=True)
class Verdict:
    """The means of both systems by name; `p`: one-sided. `passed` None: it could not be looked at."""

    text: str
    means: dict[str, float]
    p: float
    cases: int
    passed: bool | None


OPPOSITE = 0.05
"""p below which "no worse" is refuted."""
LONG_S = 60.0
"""Length from which drift is compared."""
SYNC, IDENTITY, MOTION = COLUMN["sync_corr"], COLUMN["identity"], COLUMN["motion_amount"]
IDENTITY_DRIFT, COLOUR_DRIFT = COLUMN["identity_drift_per_10s"], COLUMN["color_drift_per_10s"]
SYNC_LIMIT = 0.01


def drift_claims(least: float = LONG_S) -> tuple[Claim, ...]:
    """Truth before ours before chained on likeness. Of colour none may be worse: how a chain of frames changes colours
    is a matter of the decoder, and one that paints with the portrait's own pixels keeps them."""
    return tuple(
        Claim(f"{better} drifts {how} than {worse} ({what})", better, worse, slope, True, limit, least)
        for better, worse, what, slope, how, limit in (
            ("truth", "ours", "identity", IDENTITY_DRIFT, "no more", None),
            ("ours", "chained", "identity", IDENTITY_DRIFT, "less", 0.05),
            ("truth", "ours", "colour", COLOUR_DRIFT, "no more", None),
            ("ours", "chained", "colour", COLOUR_DRIFT, "no more", None),
        )
    )


CLAIMS = (
    *(
        Claim(f"{worse} is worse on sync than ours", "ours", worse, SYNC, limit=SYNC_LIMIT)
        for worse in ("shuffled", "shifted_late", "shifted_early", "still")
    ),
    Claim("truth is no worse on sync than ours", "truth", "ours", SYNC, limit=None),
    *(
        Claim(f"still has a better identity than {worse}", "still", worse, IDENTITY)
        for worse in ("truth", "ours", "one_pass", "chained")
    ),
    *(
        Claim(f"still moves less than {better}", better, "still", MOTION)
        for better in ("truth", "ours", "one_pass", "chained")
    ),
    *drift_claims(),
)


def by_system(scores: Sequence[CaseScore]) -> dict[str, dict[str, CaseScore]]:
    """Scored videos by system and case; those refused are left out."""
    found: dict[str, dict[str, CaseScore]] = {}
    for score in scores:
        if score.scored:
            found.setdefault(score.system, {})[score.case] = score
    return found


def judged(claim: Claim, systems: Mapping[str, Mapping[str, CaseScore]], seconds: Mapping[str, float]) -> Verdict:
    """One claim over the cases that both systems have and that are long enough."""
    better, worse = systems.get(claim.better, {}), systems.get(claim.worse, {})
    shared = [case for case in better if case in worse and seconds.get(case, np.inf) >= claim.least]
    a = np.array([claim.score(better[case]) for case in shared])
    b = np.array([claim.score(worse[case]) for case in shared])
    kept = np.isfinite(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    if not len(a):
        return Verdict(claim.text, {}, np.nan, 0, None)
    found = difference(b, a) if claim.lower else difference(a, b)
    p = found.p / 2 if found.mean > 0 else 1 - found.p / 2
    passed = bool(p <= 1 - OPPOSITE if claim.limit is None else found.mean > 0 and p < claim.limit)
    means = {claim.better: float(a.mean()), claim.worse: float(b.mean())}
    return Verdict(claim.text, means, p, found.cases, passed)


def verdicts(scores: Sequence[CaseScore], seconds: Mapping[str, float]) -> list[Verdict]:
    """All claims about systems that are there."""
    systems = by_system(scores)
    claims = [claim for claim in CLAIMS if claim.better in systems and claim.worse in systems]
    return [judged(claim, systems, seconds) for claim in claims]


def table(scores: Sequence[CaseScore]) -> str:
    """Systems x metrics in Markdown: means over the cases that have the number."""
    lines = [f"| system | videos | {' | '.join(column.title for column in COLUMNS)} |"]
    lines.append("|---|---|" + "---|" * len(COLUMNS))
    for system, cases in by_system(scores).items():
        cells = []
        for column in COLUMNS:
            values = np.array([column(score) for score in cases.values()])
            values = values[np.isfinite(values)]
            cells.append(f"{values.mean():.{column.digits}f}" if len(values) else "")
        lines.append(f"| {system} | {len(cases)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def as_text(found: Sequence[Verdict]) -> str:
    """The checks in Markdown."""
    lines = ["| check | | means | p | cases |", "|---|---|---|---|---|"]
    for one in found:
        mark = {True: "pass", False: "**fail**", None: "not looked at"}[one.passed]
        means = ", ".join(f"{system} {mean:.4g}" for system, mean in one.means.items())
        p = f"{one.p:.2g}" if one.cases else ""
        lines.append(f"| {one.text} | {mark} | {means} | {p} | {one.cases} |")
    return "\n".join(lines)
